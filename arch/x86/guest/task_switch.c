/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hardware task switches (SDM 3A, "Task Switching"): CALL, JMP and IRET to a task, and events through a task gate. The
 * CPU has checked the selectors and the gate; everything is read anew, as another vCPU may have changed it meanwhile.
 *
 * Until the old task is saved a fault is the old task's and nothing has changed. From then on a fault is the new task's:
 * its segment registers hold what can be entered with, none of it the old task's, until their descriptors are loaded.
 */
#include "arch/x86/guest/task_switch.h"
#include "arch/x86/guest/access.h"
#include "arch/x86/guest/cr.h"
#include "arch/x86/guest/event.h"
#include "arch/x86/guest/task_segment.h"
#include "arch/x86/regs.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/errno.h"

#define TSS_BYTES_MAX  104u
#define TSS_LINK       0u
#define TSS_GPRS       8u /* RAX to RDI, in the order of enum gpr */
#define TSS_TRAP       100u /* 32-bit: bit 0 makes #DB at the switch */
#define TSS_IS_32_BIT  8u /* of the type */
#define TSS_IS_BUSY    2u
#define TSS_AVAILABLE  1u
#define TYPE_OF(s)     ((s)->attributes & SEG_ATTR_TYPE_MASK)
#define DESCRIPTOR_BUSY BIT(9) /* of the second doubleword */
#define FLAGS_LOADED                                                                                                 \
    (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_OF |      \
     RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | RFLAGS_AC | RFLAGS_VIF | RFLAGS_VIP | RFLAGS_ID)

/* SDM 3A, "32-Bit Task-State Segment (TSS)", "16-Bit Task-State Segment (TSS)" */
static const struct tss_layout {
    uint8_t width, bytes; /* of a field, and of all that the CPU reads */
    uint8_t cr3, ip, flags, gprs, segments, ldt; /* offsets; 0: not there. Segments are in the order of their numbers */
    uint8_t segment_count;
} layouts[] = {
    {.width = 2, .bytes = 44, .ip = 14, .flags = 16, .gprs = 18, .segments = 34, .ldt = 42, .segment_count = SEG_DS + 1},
    {.width = 4, .bytes = TSS_BYTES_MAX, .cr3 = 28, .ip = 32, .flags = 36, .gprs = 40, .segments = 72, .ldt = 96,
     .segment_count = SEG_GS + 1},
};

struct task_switch {
    struct task_access access;
    const struct vcpu_exit *exit;
    struct segment old, new; /* TR's */
    uint32_t descriptor;     /* where the new one's is */
    const struct tss_layout *old_layout, *layout;
    uint8_t tss[TSS_BYTES_MAX]; /* the new one's, as it was read once */
};

static const struct tss_layout *layout_of(const struct segment *tr)
{
    return &layouts[TYPE_OF(tr) & TSS_IS_32_BIT ? 1 : 0];
}

static uint32_t field(const struct task_switch *t, unsigned offset)
{
    return t->layout->width == 4 ? get_le32(t->tss + offset) : get_le16(t->tss + offset);
}

/* --- the old task's part: nothing has changed yet --- */

/* An IRET returns to a task that is busy; all else begins one that is not. */
static int find_task(struct task_switch *t)
{
    bool is_return = t->exit->task.source == TASK_IRET;
    uint16_t selector = t->exit->task.selector;
    unsigned type, wanted = is_return ? TSS_AVAILABLE | TSS_IS_BUSY : TSS_AVAILABLE;
    int error = task_read_descriptor(&t->access, selector, &t->new, &t->descriptor);

    if (error == -EFAULT)
        return error;
    type = t->new.attributes & (SEG_ATTR_S | (SEG_ATTR_TYPE_MASK & ~TSS_IS_32_BIT));
    if (error || (selector & SELECTOR_LOCAL) || type != wanted)
        return task_raise(&t->access, is_return ? X86_TS : X86_GP, selector);
    if (!(t->new.attributes & SEG_ATTR_P))
        return task_raise(&t->access, X86_NP, selector);
    t->layout = layout_of(&t->new);
    if (t->new.limit < t->layout->bytes - 1u)
        return task_raise(&t->access, X86_TS, selector);
    return 0;
}

static int read_task(struct task_switch *t)
{
    for (unsigned i = 0; i < t->layout->bytes; i += sizeof(uint32_t)) {
        uint64_t value;

        if (task_read(&t->access, t->new.base + i, sizeof(uint32_t), &value) != 0)
            return -EFAULT;
        put_le32(t->tss + i, (uint32_t)value);
    }
    return 0;
}

static uint32_t old_descriptor(const struct task_switch *t)
{
    return (uint32_t)t->access.gdt.base + (t->old.selector & SELECTOR_INDEX);
}

/* All that is written later can be written. A TSS is in at most two pages. */
static int probe(struct task_switch *t)
{
    const uint64_t places[] = {t->old.base, t->old.base + t->old_layout->bytes - 1, t->new.base, old_descriptor(t) + 4,
                               t->descriptor + 4};

    for (unsigned i = 0; i < ARRAY_SIZE(places); i++)
        if (task_probe_write(&t->access, places[i]) != 0)
            return -EFAULT;
    return 0;
}

/* --- the switch --- */

static void save(struct task_switch *t, unsigned offset, unsigned width, uint64_t value)
{
    task_write(&t->access, t->old.base + offset, width, value);
}

static void save_old_task(struct task_switch *t)
{
    struct vcpu *vcpu = t->access.vcpu;
    const struct tss_layout *l = t->old_layout;
    uint64_t flags = vcpu_ops->get(vcpu, VCPU_RFLAGS);

    if (t->exit->task.source == TASK_IRET)
        flags &= ~RFLAGS_NT;
    save(t, l->ip, l->width, vcpu_ops->get(vcpu, VCPU_RIP) + t->exit->task.length);
    save(t, l->flags, l->width, flags);
    vcpu->gpr[GPR_RSP] = vcpu_ops->get(vcpu, VCPU_RSP);
    for (unsigned i = GPR_RAX; i <= GPR_RDI; i++)
        save(t, l->gprs + i * l->width, l->width, vcpu->gpr[i]);
    for (unsigned i = 0; i < l->segment_count; i++) {
        struct segment s;

        vcpu_ops->get_segment(vcpu, i, &s);
        save(t, l->segments + i * l->width, sizeof s.selector, s.selector);
    }
}

static void change_busy(struct task_switch *t, uint32_t descriptor, bool is_busy)
{
    uint64_t high;

    if (task_read(&t->access, descriptor + 4, 4, &high) == 0)
        task_write(&t->access, descriptor + 4, 4, is_busy ? high | DESCRIPTOR_BUSY : high & ~DESCRIPTOR_BUSY);
}

/* The old task stays busy where the new one is nested in it. */
static void link_tasks(struct task_switch *t)
{
    enum task_source source = t->exit->task.source;

    if (source == TASK_JMP || source == TASK_IRET)
        change_busy(t, old_descriptor(t), false);
    if (source != TASK_IRET)
        change_busy(t, t->descriptor, true);
    if (source == TASK_CALL || source == TASK_GATE)
        task_write(&t->access, t->new.base + TSS_LINK, sizeof t->old.selector, t->old.selector);
}

static uint64_t new_flags(const struct task_switch *t)
{
    enum task_source source = t->exit->task.source;
    uint64_t flags = (field(t, t->layout->flags) & FLAGS_LOADED) | RFLAGS_ONE;

    return source == TASK_CALL || source == TASK_GATE ? flags | RFLAGS_NT : flags;
}

/* A 16-bit task has no upper halves: the CPU fills them with ones. */
static uint64_t new_gpr(const struct task_switch *t, unsigned i)
{
    uint32_t value = field(t, t->layout->gprs + i * t->layout->width);

    return t->layout->width == 2 ? value | 0xffff0000u : value;
}

static int load_cr3(struct task_switch *t)
{
    struct vcpu *vcpu = t->access.vcpu;

    if (t->layout->cr3 == 0 || !(vcpu_ops->get(vcpu, VCPU_CR0) & CR0_PG))
        return 0;
    if (!cr_load_cr3(vcpu, field(t, t->layout->cr3)))
        return task_raise(&t->access, X86_TS, t->new.selector);
    task_access_begin(&t->access, vcpu, t->access.external);
    return 0;
}

static void load_registers(struct task_switch *t)
{
    struct vcpu *vcpu = t->access.vcpu;

    t->new.attributes |= TSS_IS_BUSY;
    vcpu_ops->set_segment(vcpu, SEG_TR, &t->new);
    vcpu_ops->set(vcpu, VCPU_CR0, vcpu_ops->get(vcpu, VCPU_CR0) | CR0_TS);
    vcpu_ops->set(vcpu, VCPU_DR7, vcpu_ops->get(vcpu, VCPU_DR7) & ~DR7_LOCAL);
    vcpu_ops->set(vcpu, VCPU_RIP, field(t, t->layout->ip));
    vcpu_ops->set(vcpu, VCPU_RFLAGS, new_flags(t));
    for (unsigned i = GPR_RAX; i <= GPR_RDI; i++)
        vcpu->gpr[i] = new_gpr(t, i);
    vcpu_ops->set(vcpu, VCPU_RSP, vcpu->gpr[GPR_RSP]);
}

/* --- the new task's part --- */

static int load_segments(struct task_switch *t)
{
    uint16_t selectors[SEG_COUNT] = {0};

    for (unsigned i = 0; i < t->layout->segment_count; i++)
        selectors[i] = (uint16_t)field(t, t->layout->segments + i * t->layout->width);
    selectors[SEG_LDTR] = (uint16_t)field(t, t->layout->ldt);
    return task_load_segments(&t->access, selectors, new_flags(t) & RFLAGS_VM);
}

static int push_error_code(struct task_switch *t)
{
    struct vcpu *vcpu = t->access.vcpu;
    unsigned width = t->layout->width;
    struct segment ss;
    uint64_t mask, sp;

    if (!t->exit->task.has_error_code)
        return 0;
    vcpu_ops->get_segment(vcpu, SEG_SS, &ss);
    mask = ss.attributes & SEG_ATTR_DB ? UINT32_MAX : UINT16_MAX;
    sp = (vcpu->gpr[GPR_RSP] - width) & mask;
    if (!segment_allows(&ss, sp, width, true))
        return task_raise(&t->access, X86_SS, 0);
    if (task_push(&t->access, ss.base + sp, width, t->exit->task.error_code) != 0)
        return -EFAULT;
    vcpu->gpr[GPR_RSP] = (vcpu->gpr[GPR_RSP] & ~mask) | sp;
    vcpu_ops->set(vcpu, VCPU_RSP, vcpu->gpr[GPR_RSP]);
    return 0;
}

static int check_ip(struct task_switch *t)
{
    struct segment cs;

    vcpu_ops->get_segment(t->access.vcpu, SEG_CS, &cs);
    return field(t, t->layout->ip) > cs.limit ? task_raise(&t->access, X86_GP, 0) : 0;
}

/* What a task gate was found for is delivered by now; the new task may ask for a trap at its start. */
static void finish(struct task_switch *t)
{
    struct vcpu *vcpu = t->access.vcpu;

    vcpu->event.type = EVENT_NONE;
    if (t->layout->width == 4 && (t->tss[TSS_TRAP] & 1))
        event_raise_debug(vcpu, DR6_BT);
}

enum verdict task_switch_handle(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    struct task_switch t = {.exit = exit};

    task_access_begin(&t.access, vcpu, exit->task.is_external ? ERROR_CODE_EXT : 0);
    vcpu_ops->get_segment(vcpu, SEG_TR, &t.old);
    t.old_layout = layout_of(&t.old);
    if (find_task(&t) || read_task(&t) || probe(&t))
        return VERDICT_RESUME;
    save_old_task(&t);
    link_tasks(&t);
    load_registers(&t);
    if (load_cr3(&t) == 0 && load_segments(&t) == 0 && push_error_code(&t) == 0 && check_ip(&t) == 0)
        finish(&t);
    return VERDICT_RESUME;
}
