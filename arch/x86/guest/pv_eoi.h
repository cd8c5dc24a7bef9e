/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * KVM's paravirtual EOI (Linux, Documentation/virt/kvm/x86/msr.rst), for CPUs that do not end interrupts by
 * themselves: a bit in the guest's memory says that nothing waits for the EOI of the interrupt in service, and the
 * guest ends it by clearing the bit, with no exit. Whoever decides what the guest gets next settles that first.
 */
#ifndef ARCH_X86_GUEST_PV_EOI_H
#define ARCH_X86_GUEST_PV_EOI_H

#include "kernel/vm.h"

#define MSR_KVM_PV_EOI 0x4b564d04

/* A write of the MSR: an address, and the bit that enables. False: reserved bits, or not a place in RAM (#GP). */
bool pv_eoi_write(struct vcpu *vcpu, uint32_t index, uint64_t value);
bool pv_eoi_read(struct vcpu *vcpu, uint32_t index, uint64_t *value);

/* vector has just come into service: offers the guest to end it so, if nothing waits for its EOI. */
void pv_eoi_offer(struct vcpu *vcpu, uint8_t vector);

/* Ends what the guest has ended, or takes the offer back: it will tell the local APIC. Its own CPU. */
void pv_eoi_end_offer(struct vcpu *vcpu);

static inline void pv_eoi_settle(struct vcpu *vcpu)
{
    if (vcpu->has_eoi_offer)
        pv_eoi_end_offer(vcpu);
}

#endif
