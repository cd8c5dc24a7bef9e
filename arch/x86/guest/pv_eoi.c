/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * While an offer stands, the interrupt is in service in the local APIC's page, whether the guest has ended it
 * or not: nothing else is pending that could tell the difference. An offer ends before anything new is decided.
 */
#include "arch/x86/guest/pv_eoi.h"
#include "drivers/virt/lapic.h"
#include "kernel/guest_mem.h"

#define PV_EOI_ENABLE   1u
#define PV_EOI_RESERVED 2u

#define OFFERED 1u

static uint8_t *place_of(const struct vcpu *vcpu, uint64_t msr)
{
    if (!(msr & PV_EOI_ENABLE))
        return NULL;
    return guest_mem_at(&vcpu->vm->mem, GPA(msr & ~(uint64_t)(PV_EOI_ENABLE | PV_EOI_RESERVED)), sizeof(uint32_t));
}

bool pv_eoi_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    (void)index;
    if ((value & PV_EOI_RESERVED) || ((value & PV_EOI_ENABLE) && !place_of(vcpu, value)))
        return false;
    pv_eoi_settle(vcpu);
    vcpu->pv_eoi_msr = value;
    return true;
}

bool pv_eoi_read(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    (void)index;
    *value = vcpu->pv_eoi_msr;
    return true;
}

/*
 * IOAPICs wait for the EOI of a level; what is requested waits for any. One that interrupts another's handler gets no
 * offer: an EOI that comes by the APIC must find the vector that it is for in service as the highest.
 */
void pv_eoi_offer(struct vcpu *vcpu, uint8_t vector)
{
    uint8_t *place = place_of(vcpu, vcpu->pv_eoi_msr);

    if (!place || lapic_is_level(vcpu->lapic, vector) || lapic_highest_irr(vcpu->lapic) >= 0 ||
        lapic_serves_others(vcpu->lapic, vector))
        return;
    WRITE_ONCE(*place, OFFERED);
    vcpu->has_eoi_offer = true;
}

void pv_eoi_end_offer(struct vcpu *vcpu)
{
    uint8_t *place = place_of(vcpu, vcpu->pv_eoi_msr);
    bool was_taken = place && !(READ_ONCE(*place) & OFFERED);

    vcpu->has_eoi_offer = false;
    if (was_taken)
        lapic_write_trapped(vcpu->lapic, APIC_EOI);
    else if (place)
        WRITE_ONCE(*place, 0);
}
