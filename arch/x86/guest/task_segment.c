/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/guest/task_segment.h"
#include "arch/x86/guest/access.h"
#include "arch/x86/regs.h"
#include "kernel/lib/errno.h"

/* --- the CPU's own accesses --- */

void task_access_begin(struct task_access *a, struct vcpu *vcpu, uint32_t external)
{
    gva_t rip;

    a->vcpu = vcpu;
    a->external = external;
    (void)access_begin(vcpu, &a->gva, &rip);
    a->gva.cpl = 0;
    a->gva.rflags &= ~RFLAGS_AC; /* which is for a program's own accesses */
    vcpu_ops->get_gdtr(vcpu, &a->gdt);
}

int task_read(struct task_access *a, uint64_t linear, unsigned width, uint64_t *value)
{
    return access_read(a->vcpu, &a->gva, GVA((uint32_t)linear), width, value);
}

int task_probe_write(struct task_access *a, uint64_t linear)
{
    return access_probe_write(a->vcpu, &a->gva, GVA((uint32_t)linear), 1);
}

void task_write(struct task_access *a, uint64_t linear, unsigned width, uint64_t value)
{
    if (access_write(a->vcpu, &a->gva, GVA((uint32_t)linear), width, value) != 0)
        return;
}

int task_push(struct task_access *a, uint64_t linear, unsigned width, uint64_t value)
{
    struct gva_context gva;
    gva_t rip;

    (void)access_begin(a->vcpu, &gva, &rip);
    return access_write(a->vcpu, &gva, GVA((uint32_t)linear), width, value);
}

int task_raise(struct task_access *a, uint8_t vector, uint16_t selector)
{
    vcpu_raise_with_code(a->vcpu, vector, (selector & ~SELECTOR_RPL) | a->external);
    return -EFAULT;
}

/* --- descriptors --- */

static int find_table(struct task_access *a, uint16_t selector, struct descriptor_table *table)
{
    struct segment ldt;

    *table = a->gdt;
    if (!(selector & SELECTOR_LOCAL))
        return 0;
    vcpu_ops->get_segment(a->vcpu, SEG_LDTR, &ldt);
    *table = (struct descriptor_table){ldt.base, ldt.limit};
    return ldt.attributes & SEG_ATTR_P ? 0 : -ENOENT;
}

/* SDM 3A, "Segment Descriptors" */
static struct segment unpack(uint16_t selector, uint32_t low, uint32_t high)
{
    uint32_t limit = (low & 0xffff) | (high & 0xf0000);
    uint16_t attributes = (high >> 8 & 0xff) | (high >> 8 & 0xf000);

    return (struct segment){
        .selector = selector,
        .attributes = attributes,
        .limit = attributes & SEG_ATTR_G ? limit << PAGE_SHIFT | (PAGE_SIZE - 1) : limit,
        .base = low >> 16 | (high & 0xff) << 16 | (high & 0xff000000),
    };
}

int task_read_descriptor(struct task_access *a, uint16_t selector, struct segment *s, uint32_t *linear)
{
    struct descriptor_table table;
    uint64_t low, high;

    if (find_table(a, selector, &table) != 0 || (selector & SELECTOR_INDEX) + 7u > table.limit)
        return -ENOENT;
    *linear = (uint32_t)table.base + (selector & SELECTOR_INDEX);
    if (task_read(a, *linear, 4, &low) != 0 || task_read(a, *linear + 4, 4, &high) != 0)
        return -EFAULT;
    *s = unpack(selector, (uint32_t)low, (uint32_t)high);
    return 0;
}

bool segment_allows(const struct segment *s, uint64_t offset, unsigned width, bool is_write)
{
    uint64_t last = offset + width - 1;
    bool is_code = s->attributes & SEG_TYPE_CODE;

    if (!(s->attributes & SEG_ATTR_P))
        return false;
    if (is_write ? is_code || !(s->attributes & SEG_TYPE_WRITABLE) : is_code && !(s->attributes & SEG_TYPE_READABLE))
        return false;
    if (is_code || !(s->attributes & SEG_TYPE_EXPANDS_DOWN))
        return last <= s->limit;
    return offset > s->limit && last <= (s->attributes & SEG_ATTR_DB ? UINT32_MAX : UINT16_MAX);
}

/* --- the rules for each register: the vector of what is wrong, or 0 --- */

#define SEG_TYPE_CONFORMING 4u /* code */
#define DESCRIPTOR_ACCESSED BIT(8) /* of the second doubleword */

static unsigned dpl_of(const struct segment *s)
{
    return (s->attributes & SEG_ATTR_DPL_MASK) >> SEG_ATTR_DPL_SHIFT;
}

static uint8_t check_ldt(const struct segment *s)
{
    bool is_ldt = (s->attributes & (SEG_ATTR_S | SEG_ATTR_TYPE_MASK)) == SEG_TYPE_LDT;

    return !is_ldt || !(s->attributes & SEG_ATTR_P) || (s->selector & SELECTOR_LOCAL) ? X86_TS : 0;
}

static uint8_t check_code(const struct segment *s, unsigned cpl)
{
    bool is_conforming = s->attributes & SEG_TYPE_CONFORMING;

    if (!(s->attributes & SEG_ATTR_S) || !(s->attributes & SEG_TYPE_CODE))
        return X86_TS;
    if (is_conforming ? dpl_of(s) > cpl : dpl_of(s) != cpl)
        return X86_TS;
    return s->attributes & SEG_ATTR_P ? 0 : X86_NP;
}

static uint8_t check_stack(const struct segment *s, unsigned cpl)
{
    bool is_writable_data = (s->attributes & (SEG_TYPE_CODE | SEG_TYPE_WRITABLE)) == SEG_TYPE_WRITABLE;

    if (!(s->attributes & SEG_ATTR_S) || !is_writable_data || dpl_of(s) != cpl || (s->selector & SELECTOR_RPL) != cpl)
        return X86_TS;
    return s->attributes & SEG_ATTR_P ? 0 : X86_SS;
}

static uint8_t check_data(const struct segment *s, unsigned cpl)
{
    bool is_code = s->attributes & SEG_TYPE_CODE, is_conforming = is_code && (s->attributes & SEG_TYPE_CONFORMING);

    if (!(s->attributes & SEG_ATTR_S) || (is_code && !(s->attributes & SEG_TYPE_READABLE)))
        return X86_TS;
    if (!is_conforming && dpl_of(s) < MAX(cpl, s->selector & SELECTOR_RPL))
        return X86_TS;
    return s->attributes & SEG_ATTR_P ? 0 : X86_NP;
}

static uint8_t check(enum segment_register which, const struct segment *s, unsigned cpl)
{
    switch (which) {
    case SEG_LDTR:
        return check_ldt(s);
    case SEG_CS:
        return check_code(s, cpl);
    case SEG_SS:
        return check_stack(s, cpl);
    default:
        return check_data(s, cpl);
    }
}

/* --- loading --- */

/* What a register has until its descriptor is loaded, and what it keeps if that fails: it can be entered with. */
static void load_provisional(struct task_access *a, const uint16_t selectors[SEG_COUNT], unsigned cpl)
{
    const uint16_t common = (uint16_t)(SEG_ATTR_S | SEG_ATTR_P | SEG_ATTR_DB | SEG_ATTR_G | cpl << SEG_ATTR_DPL_SHIFT);

    for (unsigned i = 0; i < SEG_TR; i++) {
        struct segment s = {.selector = selectors[i]};

        if (i == SEG_CS || i == SEG_SS) {
            s.attributes = common | (i == SEG_CS ? SEG_TYPE_CODE_RX_A : SEG_TYPE_DATA_RW_A);
            s.limit = UINT32_MAX;
        }
        vcpu_ops->set_segment(a->vcpu, i, &s);
    }
}

static void load_virtual_8086(struct task_access *a, const uint16_t selectors[SEG_COUNT])
{
    for (unsigned i = 0; i <= SEG_GS; i++)
        vcpu_ops->set_segment(a->vcpu, i,
                              &(struct segment){.selector = selectors[i],
                                                .base = (uint32_t)selectors[i] << 4,
                                                .limit = UINT16_MAX,
                                                .attributes = SEG_TYPE_DATA_RW_A | SEG_ATTR_S | SEG_ATTR_P | SEG_ATTR_DPL_MASK});
}

static int mark_accessed(struct task_access *a, struct segment *s, uint32_t descriptor)
{
    uint64_t high;

    if (!(s->attributes & SEG_ATTR_S) || (s->attributes & SEG_TYPE_ACCESSED))
        return 0;
    s->attributes |= SEG_TYPE_ACCESSED;
    if (task_probe_write(a, descriptor + 4) != 0 || task_read(a, descriptor + 4, 4, &high) != 0)
        return -EFAULT;
    task_write(a, descriptor + 4, 4, high | DESCRIPTOR_ACCESSED);
    return 0;
}

/* Null is no segment; CS and SS must be one. */
static int load(struct task_access *a, enum segment_register which, uint16_t selector, unsigned cpl)
{
    uint32_t descriptor;
    struct segment s;
    uint8_t vector;
    int error;

    if ((selector & ~SELECTOR_RPL) == 0)
        return which == SEG_CS || which == SEG_SS ? task_raise(a, X86_TS, selector) : 0;
    error = task_read_descriptor(a, selector, &s, &descriptor);
    if (error == -EFAULT)
        return error;
    vector = error ? X86_TS : check(which, &s, cpl);
    if (vector)
        return task_raise(a, vector, selector);
    if (mark_accessed(a, &s, descriptor) != 0)
        return -EFAULT;
    vcpu_ops->set_segment(a->vcpu, which, &s);
    return 0;
}

int task_load_segments(struct task_access *a, const uint16_t selectors[SEG_COUNT], bool is_virtual_8086)
{
    static const enum segment_register order[] = {SEG_CS, SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    unsigned cpl = is_virtual_8086 ? 3 : selectors[SEG_CS] & SELECTOR_RPL;

    load_provisional(a, selectors, cpl);
    if (is_virtual_8086)
        load_virtual_8086(a, selectors);
    if (load(a, SEG_LDTR, selectors[SEG_LDTR], cpl) != 0)
        return -EFAULT;
    for (unsigned i = 0; i < ARRAY_SIZE(order) && !is_virtual_8086; i++)
        if (load(a, order[i], selectors[order[i]], cpl) != 0)
            return -EFAULT;
    return 0;
}
