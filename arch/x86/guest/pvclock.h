/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * KVM's paravirtual clock (Linux, Documentation/virt/kvm/x86/msr.rst and cpuid.rst): tells a guest how fast its TSC
 * runs and what time it is, so that stock kernels calibrate nothing.
 *
 * Each vCPU has a page of its own, and all pages give the same time: that since the VM's start, whatever the guest has
 * written to the TSC of one of them. Physical CPUs' TSCs agree, so a page stays true when its vCPU moves to another.
 */
#ifndef ARCH_X86_GUEST_PVCLOCK_H
#define ARCH_X86_GUEST_PVCLOCK_H

#include "kernel/lib/types.h"

struct vcpu;

#define MSR_KVM_WALL_CLOCK      0x11
#define MSR_KVM_SYSTEM_TIME     0x12
#define MSR_KVM_WALL_CLOCK_NEW  0x4b564d00
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01

/* Writes of the MSRs: an address to fill, bit 0 of SYSTEM_TIME enables. False: not a place in RAM (#GP). */
bool pvclock_write_wall_clock(struct vcpu *vcpu, uint32_t index, uint64_t value);
bool pvclock_write_system_time(struct vcpu *vcpu, uint32_t index, uint64_t value);

/* The guest's TSC has jumped: its clock must not. The vCPU's own CPU. */
void pvclock_publish(struct vcpu *vcpu);

#endif
