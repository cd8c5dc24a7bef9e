/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Setting up a VMCB from tables: what makes an exit, what the guest starts with. What each field means is the
 * manual's business (APM 2, "Secure Virtual Machine"). Invariant: whoever changes a field that the CPU may have
 * kept since the last VMRUN clears its clean bit.
 */
#include "arch/x86/svm/vmcb.h"
#include "arch/arch.h"
#include "arch/x86/cpu.h"
#include "arch/x86/guest/cr.h"
#include "arch/x86/guest/exit.h"
#include "arch/x86/guest/msr.h"
#include "arch/x86/msr.h"
#include "arch/x86/regs.h"
#include "arch/x86/svm/svm_caps.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "kernel/page.h"
#include "kernel/pt.h"

/* --- permission maps: a set bit makes an exit --- */

#define IOPM_ORDER      2u /* 12 KiB are looked at: a bit a port, and a few more for accesses that run over the end */
#define MSRPM_ORDER     1u
#define MSRPM_RANGE     0x2000u /* MSRs in each 2 KiB of it: two bits each */
#define MSRPM_READ      1u
#define MSRPM_WRITE     2u

static hpa_t iopm, msrpm;

/*
 * Not the guest's although the policy would pass them: EFER has SVME, which a guest must not see; the TSC's offset
 * does not count for RDMSR everywhere; PAT is in the VMCB only as far as nested paging goes.
 */
static bool is_kept(uint32_t index)
{
    return index == MSR_IA32_EFER || index == MSR_IA32_TIME_STAMP_COUNTER || index == MSR_IA32_PAT;
}

/* APM 2, "MSR Intercepts": vectors for 0000_0000H, C000_0000H and C001_0000H upwards. */
static void allow_msr(uint8_t *map, uint32_t index, uint32_t accesses)
{
    static const uint32_t first[] = {0, 0xc0000000u, 0xc0010000u};

    for (unsigned i = 0; i < ARRAY_SIZE(first); i++) {
        uint32_t bit = 2 * (index - first[i]);

        if (index >= first[i] && index - first[i] < MSRPM_RANGE)
            map[MSRPM_RANGE / 4 * i + bit / 8] &= (uint8_t)~(accesses << bit % 8);
    }
}

static void fill_msrpm(uint8_t *map)
{
    unsigned count;
    const struct msr_row *rows = msr_rows(&count);

    _Static_assert(MSR_PASS_READ == MSRPM_READ && MSR_PASS_WRITE == MSRPM_WRITE, "the policy's flags are the map's bits");
    memset(map, 0xff, PAGE_SIZE << MSRPM_ORDER);
    for (unsigned i = 0; i < count; i++)
        if (!is_kept(rows[i].index))
            allow_msr(map, rows[i].index, msr_passes(&rows[i]));
}

int vmcb_make_permission_maps(void)
{
    int error = page_alloc(IOPM_ORDER, &iopm);

    error = error ? error : page_alloc(MSRPM_ORDER, &msrpm);
    if (error)
        return error;
    memset(phys_to_virt(iopm), 0xff, PAGE_SIZE << IOPM_ORDER);
    fill_msrpm(phys_to_virt(msrpm));
    return 0;
}

int vmcb_make_port_map(struct vcpu *vcpu)
{
    struct svm_vcpu *v = svm_of(vcpu);
    int error;

    if (v->iopm.value)
        return 0; /* and some ports may be passed already */
    error = page_alloc(IOPM_ORDER, &v->iopm);
    if (!error)
        memset(phys_to_virt(v->iopm), 0xff, PAGE_SIZE << IOPM_ORDER);
    return error;
}

void vmcb_free_port_map(struct svm_vcpu *v)
{
    if (v->iopm.value)
        page_free(v->iopm, IOPM_ORDER);
}

void vmcb_pass_ports(struct vcpu *vcpu, uint16_t first, unsigned count, bool is_passed)
{
    const struct svm_vcpu *v = svm_of(vcpu);

    for (unsigned port = first; port < first + count && v->iopm.value; port++)
        bytes_put_bit(phys_to_virt(v->iopm), port, !is_passed);
}

/* --- intercepts --- */

static const uint32_t fixed_intercepts[INTERCEPT_WORDS] = {
    [INTERCEPT_CR] = CR_WRITE(4),
    [INTERCEPT_DR] = VMCB_DR_INTERCEPTS,
    [INTERCEPT_EXCEPTION] = EXCEPTIONS_TAKEN,
    [INTERCEPT_MISC1] = MISC1_INTR | MISC1_NMI | MISC1_INIT | MISC1_CR0_SEL | MISC1_RDPMC | MISC1_CPUID | MISC1_RSM |
                        MISC1_INVD | MISC1_HLT | MISC1_INVLPGA | MISC1_IOIO_PROT | MISC1_MSR_PROT | MISC1_SHUTDOWN,
    [INTERCEPT_MISC2] = MISC2_VMRUN | MISC2_VMMCALL | MISC2_VMLOAD | MISC2_VMSAVE | MISC2_STGI | MISC2_CLGI |
                        MISC2_SKINIT | MISC2_ICEBP | MISC2_WBINVD | MISC2_MONITOR | MISC2_MWAIT | MISC2_MWAIT_ARMED |
                        MISC2_XSETBV,
};

/* Instructions that only some CPUs have; elsewhere the bit is reserved. */
static const struct {
    uint32_t cpuid_88_ebx;
    enum intercept_word word;
    uint32_t bits;
} optional_intercepts[] = {
    {CPUID_88_EBX_RDPRU, INTERCEPT_MISC2, MISC2_RDPRU},
    {CPUID_88_EBX_INVLPGB, INTERCEPT_MISC3, MISC3_INVLPGB | MISC3_INVLPGB_ILLEGAL | MISC3_TLBSYNC},
    {CPUID_88_EBX_MCOMMIT, INTERCEPT_MISC3, MISC3_MCOMMIT},
};

/*
 * A loop of that many PAUSEs, each at most so many cycles after the last one, makes an exit (APM 2, "Pause Intercept
 * Filtering").
 */
#define PAUSE_COUNT     3000
#define PAUSE_THRESHOLD 128

static void write_intercepts(struct vmcb_control *c)
{
    uint32_t ebx = cpuid(0x80000008, 0).ebx;

    memcpy(c->intercepts, fixed_intercepts, sizeof c->intercepts);
    for (unsigned i = 0; i < ARRAY_SIZE(optional_intercepts); i++)
        if (ebx & optional_intercepts[i].cpuid_88_ebx)
            c->intercepts[optional_intercepts[i].word] |= optional_intercepts[i].bits;
    if (!svm_caps.uses_virtual_tpr)
        c->intercepts[INTERCEPT_CR] |= CR_READ(8) | CR_WRITE(8);
    if (svm_has(SVM_FEATURE_PAUSE_FILTER)) {
        c->intercepts[INTERCEPT_MISC1] |= MISC1_PAUSE;
        c->pause_filter_count = PAUSE_COUNT;
        c->pause_filter_threshold = PAUSE_THRESHOLD;
    }
}

void vmcb_change_intercepts(struct vmcb *vmcb, enum intercept_word word, uint32_t bits, bool wanted)
{
    uint32_t old = vmcb->control.intercepts[word], value = wanted ? old | bits : old & ~bits;

    if (value == old)
        return;
    vmcb->control.intercepts[word] = value;
    vmcb->control.clean &= ~(uint32_t)CLEAN_INTERCEPTS;
}

static void write_controls(struct vcpu *vcpu, struct vmcb_control *c)
{
    write_intercepts(c);
    c->iopm_base_pa = svm_of(vcpu)->iopm.value ? svm_of(vcpu)->iopm.value : iopm.value;
    c->msrpm_base_pa = msrpm.value;
    c->tsc_offset = vcpu->tsc_offset;
    c->v_intr = V_INTR_MASKING;
    c->np_enable = NP_ENABLE;
    c->n_cr3 = vcpu->vm->stage2->root.value;
}

/* --- guest state --- */

static size_t segment_offset(enum segment_register which)
{
    static const uint16_t offsets[SEG_COUNT] = {
        [SEG_ES] = offsetof(struct vmcb_state, es),     [SEG_CS] = offsetof(struct vmcb_state, cs),
        [SEG_SS] = offsetof(struct vmcb_state, ss),     [SEG_DS] = offsetof(struct vmcb_state, ds),
        [SEG_FS] = offsetof(struct vmcb_state, fs),     [SEG_GS] = offsetof(struct vmcb_state, gs),
        [SEG_LDTR] = offsetof(struct vmcb_state, ldtr), [SEG_TR] = offsetof(struct vmcb_state, tr),
    };

    return offsetof(struct vmcb, state) + offsets[which];
}

/* The neutral attributes have the descriptor's gap of four bits (the limit's upper part), the VMCB's do not. */
#define ATTRIBUTES_LOW 0xffu
#define ATTRIBUTES_GAP 4

static struct vmcb_segment pack_segment(const struct segment *s)
{
    uint32_t high = s->attributes & ~(ATTRIBUTES_LOW | ATTRIBUTES_LOW << ATTRIBUTES_GAP);

    return (struct vmcb_segment){
        .selector = s->selector,
        .attributes = (uint16_t)((s->attributes & ATTRIBUTES_LOW) | high >> ATTRIBUTES_GAP),
        .limit = s->limit,
        .base = s->base,
    };
}

/*
 * The privilege level is a field of its own (APM 2, "VMRUN"): SYSRET leaves the attributes of SS as they are, the kernel's
 * among them.
 */
void vmcb_get_segment(const struct vmcb *vmcb, enum segment_register which, struct segment *s)
{
    const struct vmcb_segment *packed = (const void *)((const char *)vmcb + segment_offset(which));
    uint32_t high = packed->attributes & ~ATTRIBUTES_LOW;

    s->selector = packed->selector;
    s->attributes = (uint16_t)((packed->attributes & ATTRIBUTES_LOW) | high << ATTRIBUTES_GAP);
    s->limit = packed->limit;
    s->base = packed->base;
    if (which == SEG_SS)
        s->attributes = (uint16_t)((s->attributes & ~SEG_ATTR_DPL_MASK) | vmcb->state.cpl << SEG_ATTR_DPL_SHIFT);
}

void vmcb_set_segment(struct vmcb *vmcb, enum segment_register which, const struct segment *s)
{
    *(struct vmcb_segment *)((char *)vmcb + segment_offset(which)) = pack_segment(s);
    if (which == SEG_SS)
        vmcb->state.cpl = (s->attributes & SEG_ATTR_DPL_MASK) >> SEG_ATTR_DPL_SHIFT;
    vmcb->control.clean &= ~(uint32_t)CLEAN_SEG;
}

/*
 * NE stays set: errors of the x87 are exceptions, not signals on the machine's wires. CD and NW would slow the guest's
 * memory down.
 */
void vmcb_set_cr0(struct svm_vcpu *v, uint64_t value)
{
    struct vmcb *vmcb = v->vmcb;

    v->cr0 = value;
    vmcb->state.cr0 = (value & ~(CR0_CD | CR0_NW)) | CR0_NE;
    vmcb->control.clean &= ~(uint32_t)CLEAN_CR;
    vmcb_change_intercepts(vmcb, INTERCEPT_CR, CR_READ(0) | CR_WRITE(0), vmcb->state.cr0 != value);
}

/* Without an exit the guest changes TS and MP. */
uint64_t vmcb_get_cr0(const struct svm_vcpu *v)
{
    return (v->vmcb->state.cr0 & CR0_GUEST_OWNED) | (v->cr0 & CR0_HOST_OWNED);
}

/* MCE is the host's: with 0 a machine check while the guest runs would shut the CPU down. */
void vmcb_set_cr4(struct svm_vcpu *v, uint64_t value)
{
    struct vmcb *vmcb = v->vmcb;

    v->cr4 = value;
    vmcb->state.cr4 = value | (read_cr4() & CR4_MCE);
    vmcb->control.clean &= ~(uint32_t)CLEAN_CR;
    vmcb_change_intercepts(vmcb, INTERCEPT_CR, CR_READ(4), vmcb->state.cr4 != value);
}

static void write_state(struct svm_vcpu *v, const struct vcpu_start *start)
{
    struct vmcb_state *s = &v->vmcb->state;

    for (unsigned i = 0; i < SEG_COUNT; i++)
        vmcb_set_segment(v->vmcb, i, &start->segment[i]);
    s->gdtr = (struct vmcb_segment){.base = start->gdtr.base, .limit = start->gdtr.limit};
    s->idtr = (struct vmcb_segment){.base = start->idtr.base, .limit = start->idtr.limit};
    s->rip = start->rip;
    s->rsp = start->gpr[GPR_RSP];
    s->rflags = start->rflags | RFLAGS_ONE;
    s->cr3 = start->cr3;
    s->efer = start->efer | EFER_SVME;
    s->g_pat = PAT_RESET;
    s->dr6 = DR6_INIT;
    s->dr7 = DR7_INIT;
    vmcb_set_cr0(v, start->cr0);
    vmcb_set_cr4(v, start->cr4);
}

/* An INIT leaves them. */
static void keep_syscall_msrs(struct vmcb_state *s, const struct vmcb_state *old)
{
    s->star = old->star;
    s->lstar = old->lstar;
    s->cstar = old->cstar;
    s->sfmask = old->sfmask;
    s->kernel_gs_base = old->kernel_gs_base;
}

void vmcb_init(struct vcpu *vcpu, const struct vcpu_start *start)
{
    struct svm_vcpu *v = svm_of(vcpu);
    const struct vmcb_state old = v->vmcb->state;

    memset(v->vmcb, 0, sizeof *v->vmcb);
    write_controls(vcpu, &v->vmcb->control);
    keep_syscall_msrs(&v->vmcb->state, &old);
    write_state(v, start);
    v->needs_flush = true;
    v->asid_generation = 0; /* its tag went with the rest */
    v->looks_again = false;
    v->is_nmi_blocked = false;
    v->is_held_back = false;
    v->step = STEP_NONE;
}

unsigned vmcb_describe(struct vcpu *vcpu, struct named_value *values, unsigned count)
{
    const struct vmcb_control *c = &svm_of(vcpu)->vmcb->control;
    const struct vmcb_state *s = &svm_of(vcpu)->vmcb->state;
    const struct named_value shown[] = {
        {"cpl", s->cpl},
        {"gdtr", s->gdtr.base}, {"limit", s->gdtr.limit}, {"idtr", s->idtr.base}, {"limit", s->idtr.limit},
        {"exit code", c->exit_code}, {"info", c->exit_info1}, {"info2", c->exit_info2},
        {"interrupted event", c->exit_int_info}, {"injected", c->event_inj}, {"shadow", c->interrupt_shadow},
        {"virtual interrupt", c->v_intr},
    };
    unsigned n = MIN((unsigned)ARRAY_SIZE(shown), count);

    memcpy(values, shown, n * sizeof shown[0]);
    return n;
}
