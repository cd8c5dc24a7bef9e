/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/guest/speculation.h"
#include "arch/x86/cpu.h"
#include "arch/x86/msr.h"
#include "arch/x86/regs.h"
#include "arch/x86/trap.h"
#include "kernel/log.h"
#include "kernel/pcpu.h"
#include "kernel/vm.h"

bool speculation_flushes_cache, speculation_clears_buffers;

static bool forgets_branches, guards_branches;
static uint64_t capabilities;            /* IA32_ARCH_CAPABILITIES; 0 where there is none */
static struct cpuid_result leaf7, leaf88, leaf821; /* likewise */

static struct cpuid_result leaf(uint32_t number)
{
    return cpuid(number & BIT(31), 0).eax >= number ? cpuid(number, 0) : (struct cpuid_result){0};
}

static void look_at_cpu(void)
{
    leaf7 = leaf(7);
    leaf88 = leaf(0x80000008);
    leaf821 = leaf(0x80000021);
    capabilities = 0;
    if (leaf7.edx & CPUID_7_EDX_ARCH_CAPABILITIES)
        trap_rdmsr(MSR_IA32_ARCH_CAPABILITIES, &capabilities);
}

/* --- what this CPU needs, and can do --- */

static bool needs_ibpb(void)
{
    return leaf7.edx & CPUID_7_EDX_IBPB || leaf88.ebx & CPUID_88_EBX_IBPB;
}

/* Of Intel's the one bit of CPUID says both: IBPB, and that there is a SPEC_CTRL. */
static bool can_guard_branches(void)
{
    return (capabilities & ARCH_CAP_IBRS_ALL && leaf7.edx & CPUID_7_EDX_IBPB) || leaf821.eax & CPUID_821_EAX_AUTO_IBRS;
}

static bool needs_l1d_flush(void)
{
    return leaf7.edx & CPUID_7_EDX_L1D_FLUSH && !(capabilities & (ARCH_CAP_RDCL_NO | ARCH_CAP_SKIP_L1DFL_VMENTRY));
}

/* Each has a way to say that VERW clears what it is about, and one or more to say that it is not there. */
static bool has_mds(void)
{
    return leaf7.edx & CPUID_7_EDX_MD_CLEAR && !(capabilities & ARCH_CAP_MDS_NO);
}

static bool has_taa(void)
{
    return leaf7.edx & CPUID_7_EDX_MD_CLEAR && leaf7.ebx & CPUID_7_EBX_RTM && !(capabilities & ARCH_CAP_TAA_NO);
}

static bool has_mmio_stale_data(void)
{
    return capabilities & ARCH_CAP_FB_CLEAR && (capabilities & ARCH_CAP_MMIO_NO) != ARCH_CAP_MMIO_NO;
}

static bool has_rfds(void)
{
    return capabilities & ARCH_CAP_RFDS_CLEAR && !(capabilities & ARCH_CAP_RFDS_NO);
}

static bool needs_verw(void)
{
    return has_mds() || has_taa() || has_mmio_stale_data() || has_rfds();
}

static const struct {
    bool *is_used;
    bool (*is_needed)(void);
    const char *text;
} measures[] = {
    {&forgets_branches, needs_ibpb, "between two VMs: branch prediction cleared"},
    {&guards_branches, can_guard_branches, "in the hypervisor: no branch prediction of a guest's"},
    {&speculation_flushes_cache, needs_l1d_flush, "when the run loop goes back to a guest: level-1 data cache flushed"},
    {&speculation_clears_buffers, needs_verw, "before each entry: buffers cleared"},
};

/* --- hyperthreads --- */

/* SDM 2A, "CPUID—CPU Identification", leaf 0BH: the bits of an APIC ID that tell the threads of a core apart. */
static unsigned thread_bits(void)
{
    struct cpuid_result topology = leaf(0x0b);

    return topology.ebx ? topology.eax & 0x1f : 0;
}

static bool is_first_of_core(unsigned id, unsigned shift)
{
    for (unsigned i = 0; i < id; i++)
        if (pcpus[i].apic_id >> shift == pcpus[id].apic_id >> shift)
            return false;
    return true;
}

static void tell_siblings(void)
{
    unsigned shift = thread_bits(), cores = 0;

    for (unsigned i = 0; i < pcpu_count; i++)
        cores += is_first_of_core(i, shift);
    if (cores < pcpu_count)
        log_info("preflight", "smt: hyperthreads share cores (CPUs: %u, cores: %u): cpus= keeps VMs apart", pcpu_count, cores);
}

/* --- what others see --- */

void speculation_init(bool is_wanted)
{
    look_at_cpu();
    for (unsigned i = 0; i < ARRAY_SIZE(measures); i++) {
        *measures[i].is_used = is_wanted && measures[i].is_needed();
        if (*measures[i].is_used)
            log_info("preflight", "%s", measures[i].text);
        else if (measures[i].is_needed())
            log_warn("preflight", "mitigations=off: not %s", measures[i].text);
    }
    if (is_wanted && needs_ibpb() && !can_guard_branches())
        log_warn("preflight", "no enhanced IBRS: guests can train the hypervisor's branch prediction");
    tell_siblings();
}

/* SDM 3A, "Indirect Branch Restricted Speculation": with IBRS_ALL it holds until it is cleared. AMD's is in EFER. */
void speculation_start_cpu(void)
{
    uint64_t control = SPEC_CTRL_IBRS;

    if (!guards_branches)
        return;
    if (leaf821.eax & CPUID_821_EAX_AUTO_IBRS) {
        wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) | EFER_AIBRSE);
        return;
    }
    if (leaf7.eax >= 2 && cpuid(7, 2).edx & CPUID_72_EDX_BHI_CTRL)
        control |= SPEC_CTRL_BHI_DIS_S;
    wrmsr(MSR_IA32_SPEC_CTRL, rdmsr(MSR_IA32_SPEC_CTRL) | control);
}

void speculation_flush_cache(void)
{
    wrmsr(MSR_IA32_FLUSH_CMD, FLUSH_CMD_L1D);
}

void speculation_barrier(const struct vcpu *next)
{
    struct pcpu *cpu = this_pcpu();

    if (cpu->last_vm == next->vm->id)
        return;
    cpu->last_vm = next->vm->id;
    if (forgets_branches)
        wrmsr(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
}
