/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * KVM's paravirtual clock (Linux, Documentation/virt/kvm/x86/msr.rst and cpuid.rst): tells a guest how fast its TSC
 * runs and what time it is, so that stock kernels calibrate nothing.
 */
#ifndef ARCH_X86_GUEST_PVCLOCK_H
#define ARCH_X86_GUEST_PVCLOCK_H

#include "kernel/lib/types.h"

struct vcpu;

#define MSR_KVM_WALL_CLOCK      0x11
#define MSR_KVM_SYSTEM_TIME     0x12
#define MSR_KVM_WALL_CLOCK_NEW  0x4b564d00
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01

/* CPUID 40000001H:EAX: the clock at its old and its new MSRs, and its TSC is stable. */
#define PVCLOCK_CPUID_FEATURES (1u << 0 | 1u << 3 | 1u << 24)

/* Writes of the MSRs: an address to fill, bit 0 of SYSTEM_TIME enables. False: not a place in RAM (#GP). */
bool pvclock_write_wall_clock(struct vcpu *vcpu, uint32_t index, uint64_t value);
bool pvclock_write_system_time(struct vcpu *vcpu, uint32_t index, uint64_t value);

#endif
