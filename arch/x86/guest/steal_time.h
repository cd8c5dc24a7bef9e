/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * KVM's steal time (Linux, Documentation/virt/kvm/x86/msr.rst): tells a guest for how long a vCPU of it was ready but
 * did not run, and whether it runs now. A vCPU that does not run need not be interrupted for a TLB flush: the guest
 * leaves a note, and the flush is done here before the vCPU runs again.
 */
#ifndef ARCH_X86_GUEST_STEAL_TIME_H
#define ARCH_X86_GUEST_STEAL_TIME_H

#include "kernel/lib/types.h"

struct vcpu;

#define MSR_KVM_STEAL_TIME 0x4b564d03

/* A write of the MSR: an address, and the bit that enables. False: reserved bits, or not a place in RAM (#GP). */
bool steal_time_write(struct vcpu *vcpu, uint32_t index, uint64_t value);
bool steal_time_read(struct vcpu *vcpu, uint32_t index, uint64_t *value);

/*
 * The vCPU has got a CPU, which holds its state by now; steal_ticks: all that it has ever missed, in ticks of the TSC.
 */
void steal_time_publish(struct vcpu *vcpu, uint64_t steal_ticks);
/* It is about to lose it, for whatever reason, and runs no more before steal_time_publish(). */
void steal_time_preempt(struct vcpu *vcpu);

#endif
