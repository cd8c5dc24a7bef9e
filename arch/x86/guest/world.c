/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/guest/world.h"
#include "arch/x86/cpu.h"
#include "arch/x86/guest/breakpoint.h"
#include "arch/x86/guest/cpuid.h"
#include "arch/x86/guest/cr.h"
#include "arch/x86/guest/speculation.h"
#include "arch/x86/msr.h"
#include "arch/x86/regs.h"
#include "kernel/lib/string.h"
#include "kernel/vm.h"

/* MSRs that pass through and where they wait; only those that differ are written. Those of SYSCALL stand last. */
static const struct {
    uint32_t index;
    size_t offset;
} switched[] = {
    {MSR_IA32_TSC_AUX, offsetof(struct vcpu, tsc_aux)},
    {MSR_IA32_STAR, offsetof(struct vcpu, star)},
    {MSR_IA32_LSTAR, offsetof(struct vcpu, lstar)},
    {MSR_IA32_CSTAR, offsetof(struct vcpu, cstar)},
    {MSR_IA32_FMASK, offsetof(struct vcpu, fmask)},
    {MSR_IA32_KERNEL_GS_BASE, offsetof(struct vcpu, kernel_gs_base)},
};
#define SYSCALL_MSRS 5u

static unsigned switched_count(void)
{
    return ARRAY_SIZE(switched) - (vcpu_ops->switches_syscall_msrs ? SYSCALL_MSRS : 0);
}

static uint64_t *slot(struct vcpu *vcpu, unsigned i)
{
    return (uint64_t *)((char *)vcpu + switched[i].offset);
}

static bool has_xsave(void)
{
    return read_cr4() & CR4_OSXSAVE;
}

static void load_extended(struct vcpu *vcpu)
{
    x87_forget_pointers();
    if (!has_xsave()) {
        __asm__ volatile("fxrstor64 (%0)" : : "r"(vcpu->xsave_area) : "memory");
        return;
    }
    xsetbv0(vcpu->cpuid->xcr0_allowed);
    __asm__ volatile("xrstor64 (%0)" : : "r"(vcpu->xsave_area), "a"(~0u), "d"(~0u) : "memory");
    if (vcpu->xcr0 != vcpu->cpuid->xcr0_allowed)
        xsetbv0(vcpu->xcr0);
}

/* All components, whatever the guest's XCR0 enables at the moment: a disabled one keeps its content. */
static void save_extended(struct vcpu *vcpu)
{
    if (!has_xsave()) {
        __asm__ volatile("fxsave64 (%0)" : : "r"(vcpu->xsave_area) : "memory");
        return;
    }
    cr_adopt_xcr0(vcpu);
    if (vcpu->xcr0 != vcpu->cpuid->xcr0_allowed)
        xsetbv0(vcpu->cpuid->xcr0_allowed);
    __asm__ volatile("xsave64 (%0)" : : "r"(vcpu->xsave_area), "a"(~0u), "d"(~0u) : "memory");
}

/* SDM 2A, "FXSAVE": what FNINIT and the reset of MXCSR leave. */
void world_reset(struct vcpu *vcpu)
{
    uint8_t *area = vcpu->xsave_area;

    vcpu->xcr0 = XCR0_X87;
    vcpu->dr6 = DR6_INIT;
    memset(area, 0, PAGE_SIZE);
    area[0] = 0x7f; /* FCW = 037f */
    area[1] = 0x03;
    area[24] = 0x80; /* MXCSR = 1f80 */
    area[25] = 0x1f;
    area[512] = 3; /* XSTATE_BV: x87 and SSE are as above, the rest is as after reset */
}

void world_load(struct vcpu *vcpu)
{
    const unsigned count = switched_count();

    speculation_barrier(vcpu);
    for (unsigned i = 0; i < count; i++)
        if (rdmsr(switched[i].index) != *slot(vcpu, i))
            wrmsr(switched[i].index, *slot(vcpu, i));
    if (vcpu->may_have_breakpoints)
        breakpoint_load(vcpu);
    load_extended(vcpu);
}

void world_save(struct vcpu *vcpu)
{
    const unsigned count = switched_count();

    save_extended(vcpu);
    for (unsigned i = 0; i < count; i++)
        *slot(vcpu, i) = rdmsr(switched[i].index);
    if (vcpu->may_have_breakpoints)
        breakpoint_save(vcpu);
}
