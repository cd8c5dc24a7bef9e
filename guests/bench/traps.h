/* SPDX-License-Identifier: BSD-2-Clause */
/* An IDT for 64-bit guests: one handler a vector, and instructions that may not exist. */
#ifndef GUESTS_BENCH_TRAPS_H
#define GUESTS_BENCH_TRAPS_H

#include "kernel/lib/types.h"

struct interrupt_frame {
    uint64_t ip, cs, flags, sp, ss;
};

/* Handlers are functions with the interrupt attribute. */
void traps_set(unsigned vector, void (*handler)(struct interrupt_frame *));

/* Loads the IDT, with a handler for undefined instructions. */
void traps_enable(void);

/* Does VMCALL exist here? On a bare machine, and where a hypervisor wants another one, it does not.
 */
bool traps_try_vmcall(void);

#endif
