/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_X86_GUEST_POWER_UP_H
#define ARCH_X86_GUEST_POWER_UP_H

struct vcpu;

/* The vCPU as its VM starts: the boot CPU where the loader says, the others waiting for a SIPI. The CPU that holds its state. */
void power_up(struct vcpu *vcpu);

#endif
