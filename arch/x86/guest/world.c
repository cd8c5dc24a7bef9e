/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/guest/world.h"
#include "arch/x86/cpu.h"
#include "arch/x86/guest/breakpoint.h"
#include "arch/x86/guest/cpuid.h"
#include "arch/x86/guest/cr.h"
#include "arch/x86/guest/speculation.h"
#include "arch/x86/guest/world_msr.h"
#include "arch/x86/regs.h"
#include "kernel/lib/string.h"
#include "kernel/vm.h"

/* XCR0 is changed only where it has to be: most guests enable all that they may. */
static void load_extended(struct vcpu *vcpu)
{
    uint64_t allowed = vcpu->cpuid->xcr0_allowed; /* 0: the CPU has no XSAVE */

    x87_forget_pointers();
    if (!allowed) {
        __asm__ volatile("fxrstor64 (%0)" : : "r"(vcpu->xsave_area) : "memory");
        return;
    }
    if (unlikely(xgetbv0() != allowed))
        xsetbv0(allowed);
    __asm__ volatile("xrstor64 (%0)" : : "r"(vcpu->xsave_area), "a"(~0u), "d"(~0u) : "memory");
    if (vcpu->xcr0 != allowed)
        xsetbv0(vcpu->xcr0);
}

/* All components, whatever the guest's XCR0 enables at the moment: a disabled one keeps its content. */
static void save_extended(struct vcpu *vcpu)
{
    uint64_t allowed = vcpu->cpuid->xcr0_allowed;

    if (!allowed) {
        __asm__ volatile("fxsave64 (%0)" : : "r"(vcpu->xsave_area) : "memory");
        return;
    }
    if (unlikely(xgetbv0() != vcpu->xcr0))
        cr_adopt_xcr0(vcpu);
    if (vcpu->xcr0 != allowed)
        xsetbv0(allowed);
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
    speculation_barrier(vcpu);
    world_msr_load(vcpu);
    if (vcpu->may_have_breakpoints)
        breakpoint_load(vcpu);
    load_extended(vcpu);
}

void world_save(struct vcpu *vcpu)
{
    save_extended(vcpu);
    world_msr_save(vcpu);
    if (vcpu->may_have_breakpoints)
        breakpoint_save(vcpu);
}
