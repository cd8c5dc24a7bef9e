/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSRs that a guest has in the CPU. Writes of most make an exit, so that their values are known: a switch compares what
 * the CPU holds with what it is to hold, and reads none of them.
 */
#ifndef ARCH_X86_GUEST_WORLD_MSR_H
#define ARCH_X86_GUEST_WORLD_MSR_H

#include "kernel/lib/types.h"

struct vcpu;

/* On each CPU, before it holds a vCPU: learns what firmware has left in it. */
void world_msr_init_cpu(void);

/* world.c's: this CPU is about to hold the vCPU's, and no longer. */
void world_msr_load(const struct vcpu *vcpu);
void world_msr_save(struct vcpu *vcpu);

/* Handler of msr.c, on the vCPU's own CPU: which takes the value, or refuses it (false), as it would the guest's WRMSR. */
bool world_msr_write(struct vcpu *vcpu, uint32_t index, uint64_t value);

#endif
