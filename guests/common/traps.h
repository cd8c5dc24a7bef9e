/* SPDX-License-Identifier: BSD-2-Clause */
/* An IDT for 64-bit guests: one handler a vector, and instructions that may not exist. */
#ifndef GUESTS_COMMON_TRAPS_H
#define GUESTS_COMMON_TRAPS_H

#include "kernel/lib/types.h"

struct interrupt_frame {
    uint64_t ip, cs, flags, sp, ss;
};

/* Handlers are functions with the interrupt attribute. */
void traps_set(unsigned vector, void (*handler)(struct interrupt_frame *));

/* Loads the IDT, with a handler for undefined instructions. */
void traps_enable(void);

/* Makes a hypercall that does nothing. */
typedef void hypercall_fn(void);

/* The one that this machine has; NULL: none, as on a bare one. */
hypercall_fn *traps_find_hypercall(void);

#endif
