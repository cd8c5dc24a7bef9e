/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine's members of vcpu_ops: SVM on a CPU, life of a vCPU's VMCB, registers, TLB tags. All of a vCPU's state is
 * in its VMCB, which is memory: load and unload have nothing to do, and the first run on another CPU takes a tag there
 * and tells the CPU that it knows nothing of the VMCB.
 */
#include "arch/x86/svm/svm_ops.h"
#include "arch/arch.h"
#include "arch/x86/cpu.h"
#include "arch/x86/guest/gva.h"
#include "arch/x86/msr.h"
#include "arch/x86/regs.h"
#include "arch/x86/svm/npt.h"
#include "arch/x86/svm/svm_avic.h"
#include "arch/x86/svm/svm_caps.h"
#include "arch/x86/svm/svm_event.h"
#include "arch/x86/svm/svm_exit.h"
#include "arch/x86/svm/svm_msr.h"
#include "arch/x86/svm/vmcb.h"
#include "drivers/virt/lapic.h"
#include "kernel/heap.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/errno.h"
#include "kernel/log.h"
#include "kernel/page.h"
#include "kernel/pcpu.h"
#include "kernel/pt.h"

/* --- a CPU with SVM --- */

static struct svm_cpu {
    hpa_t save_area, host_vmcb;
    uint64_t asid_generation; /* 0: SVM is off */
    uint32_t last_asid;
} svm_cpus[PCPU_MAX];

static int svm_cpu_enable(void)
{
    struct svm_cpu *cpu = &svm_cpus[this_pcpu()->id];

    if (!svm_unlock()) {
        log_error("svm", "AMD-V is locked off on this CPU (VM_CR.SVMDIS)");
        return -ENODEV;
    }
    if (page_alloc_zeroed(PAGE_ORDER_4K, &cpu->save_area) != 0)
        return -ENOMEM;
    if (page_alloc_zeroed(PAGE_ORDER_4K, &cpu->host_vmcb) != 0) {
        page_free(cpu->save_area, PAGE_ORDER_4K);
        return -ENOMEM;
    }
    wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) | EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, cpu->save_area.value);
    vmsave(cpu->host_vmcb);
    cpu->asid_generation = 1;
    cpu->last_asid = svm_caps.asids; /* firmware, or another hypervisor before us, may have used tags: the first one flushes */
    return 0;
}

static void svm_cpu_disable(void)
{
    if (svm_cpus[this_pcpu()->id].asid_generation != 0)
        wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) & ~EFER_SVME);
}

/* --- a vCPU --- */

static void svm_vcpu_destroy(struct vcpu *vcpu)
{
    struct svm_vcpu *v = svm_of(vcpu);

    svm_avic_destroy(vcpu);
    vmcb_free_port_map(v);
    page_free(v->vmcb_address, PAGE_ORDER_4K);
    heap_free(v);
    vcpu->engine = NULL;
}

static int svm_vcpu_create(struct vcpu *vcpu)
{
    struct svm_vcpu *v = heap_alloc(sizeof *v);

    if (!v)
        return -ENOMEM;
    if (page_alloc_zeroed(PAGE_ORDER_4K, &v->vmcb_address) != 0) {
        heap_free(v);
        return -ENOMEM;
    }
    v->vmcb = phys_to_virt(v->vmcb_address);
    vcpu->engine = v;
    return svm_avic_create(vcpu);
}

/* --- running: tags of the TLB, of this CPU's current generation (APM 2, "TLB Control") --- */

static void take_asid(struct svm_vcpu *v, struct svm_cpu *cpu)
{
    if (++cpu->last_asid >= svm_caps.asids) {
        cpu->last_asid = 1;
        cpu->asid_generation++;
        v->vmcb->control.tlb_control = TLB_FLUSH_ALL;
    }
    v->vmcb->control.guest_asid = cpu->last_asid;
    v->vmcb->control.clean &= ~(uint32_t)CLEAN_ASID;
    v->asid_generation = cpu->asid_generation;
}

static void prepare_tlb(struct svm_vcpu *v)
{
    unsigned id = this_pcpu()->id;
    struct svm_cpu *cpu = &svm_cpus[id];
    bool is_tagged_here = v->cpu == id && v->asid_generation == cpu->asid_generation;

    if (v->cpu != id)
        v->vmcb->control.clean = 0;
    v->cpu = id;
    if (!is_tagged_here || (v->needs_flush && !svm_has(SVM_FEATURE_FLUSH_BY_ASID)))
        take_asid(v, cpu);
    else if (v->needs_flush)
        v->vmcb->control.tlb_control = TLB_FLUSH_ASID;
    if (!svm_caps.uses_asids)
        v->vmcb->control.tlb_control = TLB_FLUSH_ALL;
    v->needs_flush = !svm_caps.uses_asids;
}

/* A guest without breakpoints is not asked for them: its next use of DR0 to DR3, or write of DR7, makes an exit. */
static void svm_load(struct vcpu *vcpu)
{
    struct vmcb *vmcb = svm_of(vcpu)->vmcb;

    if (!vcpu->may_have_breakpoints || (vmcb->state.dr7 & DR7_ENABLED))
        return;
    vcpu->may_have_breakpoints = false;
    vmcb_change_intercepts(vmcb, INTERCEPT_DR, VMCB_DR_INTERCEPTS, true);
}

static void svm_unload(struct vcpu *vcpu, bool comes_back_here)
{
    (void)comes_back_here;
    svm_avic_stop_polling(vcpu);
}

static void svm_vcpu_reset(struct vcpu *vcpu, const struct vcpu_start *start)
{
    vmcb_init(vcpu, start);
    vcpu->may_have_breakpoints = false;
    svm_avic_reset(vcpu);
}

void svm_prepare_entry(struct vcpu *vcpu)
{
    struct svm_vcpu *v = svm_of(vcpu);
    struct vmcb *vmcb = v->vmcb;
    uint64_t tpr = lapic_tpr(vcpu->lapic) >> 4;

    vmcb->state.rax = vcpu->gpr[GPR_RAX];
    if (unlikely(v->needs_flush))
        prepare_tlb(v);
    if (unlikely((vmcb->control.v_intr & V_TPR_MASK) != tpr)) {
        vmcb->control.v_intr = (vmcb->control.v_intr & ~V_TPR_MASK) | tpr;
        vmcb->control.clean &= ~(uint32_t)CLEAN_TPR;
    }
}

/* An exit between the delivery and the handler's first instruction: the interrupt that is taken then has nothing to say. */
static void end_injection_by_exit(const struct vmcb *vmcb)
{
    uint64_t event = vmcb->control.event_inj;

    if ((event & EVENT_VALID) && (event >> EVENT_TYPE_SHIFT & EVENT_TYPE_MASK) == SVM_EVENT_INTR)
        arch_kick(this_pcpu()->id);
}

static enum verdict svm_run(struct vcpu *vcpu)
{
    struct svm_vcpu *v = svm_of(vcpu);
    enum verdict verdict;

    prepare_tlb(v);
    svm_prepare_entry(vcpu);
    svm_avic_begin_run(vcpu);
    if (unlikely(svm_caps.repeats_interrupts))
        end_injection_by_exit(v->vmcb);
    verdict = svm_enter(vcpu, v->vmcb_address, svm_cpus[this_pcpu()->id].host_vmcb);
    svm_avic_end_run(vcpu);
    return verdict;
}

/* --- registers --- */

/* Nested translations have the tag of the guest's own: one flush is for both (APM 2, "TLB Control"). */
static void svm_flush(struct vcpu *vcpu)
{
    svm_of(vcpu)->needs_flush = true;
}

#define STATE(member) offsetof(struct vmcb, state.member)

/* Where it is, and the clean bit that it belongs to; none: the CPU takes it at every entry. */
static const struct {
    uint16_t offset, clean;
} registers[VCPU_REGISTERS] = {
    [VCPU_RIP] = {STATE(rip), 0},
    [VCPU_RSP] = {STATE(rsp), 0},
    [VCPU_RFLAGS] = {STATE(rflags), 0},
    [VCPU_CR2] = {STATE(cr2), CLEAN_CR2},
    [VCPU_CR3] = {STATE(cr3), CLEAN_CR},
    [VCPU_EFER] = {STATE(efer), CLEAN_CR},
    [VCPU_PAT] = {STATE(g_pat), CLEAN_NP},
    [VCPU_DR6] = {STATE(dr6), CLEAN_DR},
    [VCPU_DR7] = {STATE(dr7), CLEAN_DR},
    [VCPU_FS_BASE] = {STATE(fs.base), 0},
    [VCPU_GS_BASE] = {STATE(gs.base), 0},
    [VCPU_SYSENTER_CS] = {STATE(sysenter_cs), 0},
    [VCPU_SYSENTER_ESP] = {STATE(sysenter_esp), 0},
    [VCPU_SYSENTER_EIP] = {STATE(sysenter_eip), 0},
    [VCPU_TSC_OFFSET] = {offsetof(struct vmcb, control.tsc_offset), CLEAN_INTERCEPTS},
};

static uint64_t *slot(struct svm_vcpu *v, enum vcpu_register which)
{
    return (uint64_t *)((char *)v->vmcb + registers[which].offset);
}

/* The CPU keeps no copy of them with nested paging: it reads them whenever it walks. */
static uint64_t read_pdpte(struct vcpu *vcpu, unsigned n)
{
    uint8_t bytes[sizeof(uint64_t)];
    uint64_t table = svm_of(vcpu)->vmcb->state.cr3 & 0xffffffe0u;

    return guest_mem_read(&vcpu->vm->mem, GPA(table + sizeof bytes * n), bytes, sizeof bytes) == 0 ? get_le64(bytes) : 0;
}

static uint64_t svm_get(struct vcpu *vcpu, enum vcpu_register which)
{
    struct svm_vcpu *v = svm_of(vcpu);

    switch (which) {
    case VCPU_CR0:
        return vmcb_get_cr0(v);
    case VCPU_CR4:
        return v->cr4;
    case VCPU_DR0 ... VCPU_DR3:
        return cpu_read_dr(which - VCPU_DR0);
    case VCPU_EFER:
        return v->vmcb->state.efer & ~EFER_SVME;
    case VCPU_PDPTE0 ... VCPU_PDPTE3:
        return read_pdpte(vcpu, which - VCPU_PDPTE0);
    default:
        return *slot(v, which);
    }
}

/* MOV to CR0 and CR4 flush (APM 2, "TLB Management"); ours do, too. */
static void svm_set(struct vcpu *vcpu, enum vcpu_register which, uint64_t value)
{
    struct svm_vcpu *v = svm_of(vcpu);

    switch (which) {
    case VCPU_CR0:
        vmcb_set_cr0(v, value);
        v->needs_flush = true;
        break;
    case VCPU_CR4:
        vmcb_set_cr4(v, value);
        v->needs_flush = true;
        break;
    case VCPU_PDPTE0 ... VCPU_PDPTE3:
        break;
    default:
        *slot(v, which) = which == VCPU_EFER ? value | EFER_SVME : value;
        v->vmcb->control.clean &= ~(uint32_t)registers[which].clean;
    }
}

static void svm_get_segment(struct vcpu *vcpu, enum segment_register which, struct segment *s)
{
    vmcb_get_segment(svm_of(vcpu)->vmcb, which, s);
}

static void svm_set_segment(struct vcpu *vcpu, enum segment_register which, const struct segment *s)
{
    vmcb_set_segment(svm_of(vcpu)->vmcb, which, s);
}

static void svm_get_gdtr(struct vcpu *vcpu, struct descriptor_table *gdtr)
{
    const struct vmcb_segment *s = &svm_of(vcpu)->vmcb->state.gdtr;

    *gdtr = (struct descriptor_table){s->base, s->limit};
}

/* Bits that the guest does not own (CR0.NE, CD, NW) mean nothing to a walk. */
static void svm_get_code_context(struct vcpu *vcpu, struct gva_context *c, struct code_position *code)
{
    const struct vmcb *vmcb = svm_of(vcpu)->vmcb;

    c->cr0 = vmcb->state.cr0;
    c->cr3 = vmcb->state.cr3;
    c->cr4 = vmcb->state.cr4;
    c->efer = vmcb->state.efer;
    c->rflags = vmcb->state.rflags;
    c->cpl = vmcb->state.cpl;
    code->rip = vmcb->state.rip;
    code->cs_attributes = vmcb_is_64_bit(vmcb) ? SEG_ATTR_L : 0;
}

const struct vcpu_ops svm_ops = {
    .name = "AMD-V with nested paging",
    .switches_syscall_msrs = true,
    .msrs = svm_msr_rows,
    .msr_count = SVM_MSR_ROWS,
    .is_present = svm_is_present,
    .probe = svm_probe,
    .cpu_enable = svm_cpu_enable,
    .cpu_disable = svm_cpu_disable,
    .vcpu_create = svm_vcpu_create,
    .vcpu_destroy = svm_vcpu_destroy,
    .vcpu_reset = svm_vcpu_reset,
    .load = svm_load,
    .unload = svm_unload,
    .run = svm_run,
    .get = svm_get,
    .set = svm_set,
    .get_code_context = svm_get_code_context,
    .get_segment = svm_get_segment,
    .set_segment = svm_set_segment,
    .get_gdtr = svm_get_gdtr,
    .is_open = svm_is_open,
    .want_window = svm_want_window,
    .inject = svm_inject,
    .sync_interrupts = svm_sync_interrupts,
    .flush_linear = svm_flush,
    .flush_physical = svm_flush,
    .own_ports = vmcb_make_port_map,
    .pass_ports = vmcb_pass_ports,
    .set_apic_mode = svm_avic_update,
    .describe = vmcb_describe,
    .visit_passed = svm_visit_passed,
    .serves_msr = svm_serves_msr,
    .apic_page = svm_apic_page,
};

static unsigned svm_leaf_levels(void)
{
    return svm_caps.leaf_levels;
}

const struct stage2_ops svm_stage2_ops = {&npt_format, svm_leaf_levels};
