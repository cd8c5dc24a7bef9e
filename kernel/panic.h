/* SPDX-License-Identifier: BSD-2-Clause */
/* The end: what a bug of ours leaves on the console. panic() itself is in kernel/lib/assert.h. */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include "kernel/lib/types.h"

/* Takes the console and stops the other CPUs; a second panic on the way just halts. */
void panic_start(void);

/* Prints the backtrace from there, where the stack pointer was sp, and each CPU's last exits, and ends the machine with failure. */
NORETURN void panic_finish(uint64_t rip, uint64_t sp);

/* From an NMI: halts here if another CPU panics. */
void panic_stop_if_asked(void);

#define SYMBOL_NAME_BYTES 64u /* with the 0; scripts/symbols cuts longer ones */

/*
 * The function that holds a text address, and the offset in it; "?" and 0 where none does. SYMBOL_NAME_BYTES, good until the
 * next call; what panics, only.
 */
const char *panic_symbol(uint64_t address, uint64_t *offset);

#endif
