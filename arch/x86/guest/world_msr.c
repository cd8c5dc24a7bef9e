/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/guest/world_msr.h"
#include "arch/x86/cpu.h"
#include "arch/x86/descriptors.h"
#include "arch/x86/msr.h"
#include "arch/x86/trap.h"
#include "kernel/pcpu.h"
#include "kernel/vm.h"

/* SWAPGS changes the last one, and makes no exit. From STAR on some engines switch them in run(). */
enum { TSC_AUX, STAR, LSTAR, CSTAR, FMASK, KERNEL_GS_BASE };

static const uint32_t indexes[WORLD_MSRS] = {
    [TSC_AUX] = MSR_IA32_TSC_AUX, [STAR] = MSR_IA32_STAR,   [LSTAR] = MSR_IA32_LSTAR,
    [CSTAR] = MSR_IA32_CSTAR,     [FMASK] = MSR_IA32_FMASK, [KERNEL_GS_BASE] = MSR_IA32_KERNEL_GS_BASE,
};
_Static_assert(WORLD_MSRS == GUEST_MSRS, "a CPU has a place for each");

static uint64_t *held_msrs(void)
{
    return this_pcpu()->arch->guest_msrs;
}

void world_msr_init_cpu(void)
{
    for (unsigned i = 0; i < WORLD_MSRS; i++)
        trap_rdmsr(indexes[i], &held_msrs()[i]);
}

bool world_msr_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    unsigned i = 0;

    while (indexes[i] != index)
        i++;
    if (!trap_wrmsr(index, value))
        return false;
    vcpu->msrs[i] = held_msrs()[i] = rdmsr(index); /* without the bits that the CPU drops */
    return true;
}

void world_msr_load(const struct vcpu *vcpu)
{
    unsigned count = vcpu_ops->switches_syscall_msrs ? STAR : WORLD_MSRS;
    uint64_t *held = held_msrs();

    for (unsigned i = 0; i < count; i++) {
        if (held[i] != vcpu->msrs[i]) {
            held[i] = vcpu->msrs[i];
            wrmsr(indexes[i], held[i]);
        }
    }
}

void world_msr_save(struct vcpu *vcpu)
{
    if (!vcpu_ops->switches_syscall_msrs)
        vcpu->msrs[KERNEL_GS_BASE] = held_msrs()[KERNEL_GS_BASE] = rdmsr(MSR_IA32_KERNEL_GS_BASE);
}
