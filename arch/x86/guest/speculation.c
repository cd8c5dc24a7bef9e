/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/guest/speculation.h"
#include "arch/x86/cpu.h"
#include "arch/x86/descriptors.h"
#include "arch/x86/msr.h"
#include "arch/x86/regs.h"
#include "arch/x86/trap.h"
#include "kernel/log.h"
#include "kernel/pcpu.h"
#include "kernel/vm.h"

static uint64_t capabilities; /* IA32_ARCH_CAPABILITIES; 0 where there is none */

static bool forgets_branches(void)
{
    if (cpuid(0, 0).eax >= 7 && (cpuid(7, 0).edx & CPUID_7_EDX_IBPB))
        return true;
    return cpuid(0x80000000, 0).eax >= 0x80000008 && (cpuid(0x80000008, 0).ebx & CPUID_88_EBX_IBPB);
}

static bool flushes_l1d(void)
{
    return cpuid(0, 0).eax >= 7 && (cpuid(7, 0).edx & CPUID_7_EDX_L1D_FLUSH) && !(capabilities & ARCH_CAP_RDCL_NO);
}

static bool clears_buffers(void)
{
    return cpuid(0, 0).eax >= 7 && (cpuid(7, 0).edx & CPUID_7_EDX_MD_CLEAR) && !(capabilities & ARCH_CAP_MDS_NO);
}

static void forget_branches(void)
{
    wrmsr(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
}

static void flush_l1d(void)
{
    wrmsr(MSR_IA32_FLUSH_CMD, FLUSH_CMD_L1D);
}

/* Of VERW only the memory form, with a valid selector, clears them (Intel, "Microarchitectural Data Sampling"). */
static void clear_buffers(void)
{
    static const uint16_t selector = HOST_DS;

    __asm__ volatile("verw %0" : : "m"(selector) : "cc");
}

static struct barrier {
    const char *name;
    bool (*is_there)(void);
    void (*put_up)(void);
    bool is_used;
} barriers[] = {
    {"branch prediction", forgets_branches, forget_branches, false},
    {"level-1 data cache", flushes_l1d, flush_l1d, false},
    {"buffers", clears_buffers, clear_buffers, false},
};

void speculation_init(void)
{
    capabilities = 0;
    if (cpuid(0, 0).eax >= 7 && (cpuid(7, 0).edx & CPUID_7_EDX_ARCH_CAPABILITIES))
        trap_rdmsr(MSR_IA32_ARCH_CAPABILITIES, &capabilities);
    for (unsigned i = 0; i < ARRAY_SIZE(barriers); i++) {
        barriers[i].is_used = barriers[i].is_there();
        if (barriers[i].is_used)
            log_info("preflight", "between two VMs: %s cleared", barriers[i].name);
    }
}

void speculation_barrier(const struct vcpu *next)
{
    struct pcpu *cpu = this_pcpu();

    if (cpu->last_vm == next->vm->id)
        return;
    cpu->last_vm = next->vm->id;
    for (unsigned i = 0; i < ARRAY_SIZE(barriers); i++)
        if (barriers[i].is_used)
            barriers[i].put_up();
}
