/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest gets at its next entry, and in which order. */
#ifndef ARCH_X86_GUEST_EVENT_H
#define ARCH_X86_GUEST_EVENT_H

#include "kernel/vm.h"

/* Takes REQUEST_EVENT and REQUEST_NMI: injects what is due, asks for a window for what must wait. */
void event_prepare(struct vcpu *vcpu);

/* Is there anything that ends a HLT? */
bool event_wakes(struct vcpu *vcpu);

#endif
