/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest gets at its next entry, and in which order. */
#ifndef ARCH_X86_GUEST_EVENT_H
#define ARCH_X86_GUEST_EVENT_H

#include "kernel/vm.h"

/* What both of the following take. REQUEST_TIMER and REQUEST_KICK come with REQUEST_EVENT. */
#define EVENT_REQUESTS (REQUEST_EVENT | REQUEST_NMI | REQUEST_TIMER | REQUEST_KICK)

/* Before the vCPU runs on: injects what is due, asks for a window for what must wait. */
void event_prepare(struct vcpu *vcpu);

/* A debug exception with these bits for DR6, as the CPU delivers it: the guest gets it at its next entry. */
void event_raise_debug(struct vcpu *vcpu, uint64_t dr6_bits);

/*
 * While it is halted: is there anything that ends the HLT? If so, event_prepare has to follow. If not, the vCPU may
 * sleep unless a request has come since.
 */
bool event_wakes(struct vcpu *vcpu);

/* Any CPU; a lapic_wiring's deliver and timer_is_here. context: the struct vcpu. */
void event_deliver(void *context, uint8_t delivery, uint8_t vector);
bool event_timer_is_here(void *context);

#endif
