/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a vCPU comes to run, and stops by INIT (SDM 3A, "Multiple-Processor (MP) Initialization"): the boot CPU
 * begins where the loader says, every other one waits for a STARTUP IPI (SIPI).
 */
#ifndef ARCH_X86_GUEST_STARTUP_H
#define ARCH_X86_GUEST_STARTUP_H

#include "kernel/vm.h"

#define STARTUP_REQUESTS (REQUEST_INIT | REQUEST_SIPI)

/* Any CPU: INIT or STARTUP (APIC_DELIVERY_*) has reached the vCPU. */
void startup_request(struct vcpu *vcpu, uint8_t delivery, uint8_t vector);

/*
 * The vCPU's own CPU, which holds its state: does what STARTUP_REQUESTS ask for. What the vCPU was about to do is void:
 * it may be halted now, or no longer. An INIT of the boot CPU resets the VM, for there is no firmware to go on in.
 */
void startup_take_requests(struct vcpu *vcpu);

/* Before the VM runs: another vCPU than the boot CPU waits for its SIPI; start is for vcpu_ops->vcpu_reset. */
void startup_park(struct vcpu *vcpu, struct vcpu_start *start);

#endif
