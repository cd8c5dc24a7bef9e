/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/guest/power_up.h"
#include "arch/x86/guest/startup.h"
#include "arch/x86/guest/world.h"
#include "drivers/virt/lapic.h"
#include "kernel/lib/string.h"

/* All vCPUs of a VM have the same TSC, which starts at 0 with the VM. */
void power_up(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    struct vcpu_start start = vm->start;

    if (vcpu->index == 0)
        memcpy(vcpu->gpr, start.gpr, sizeof vcpu->gpr);
    else
        startup_park(vcpu, &start);
    world_reset(vcpu);
    world_load(vcpu);
    vcpu->tsc_offset = vm->tsc_offset;
    lapic_set_tsc_offset(vcpu->lapic, (int64_t)vcpu->tsc_offset);
    vcpu_ops->vcpu_reset(vcpu, &start);
    if (vcpu->uses_virtual_delivery)
        lapic_use_virtual_delivery(vcpu->lapic);
}
