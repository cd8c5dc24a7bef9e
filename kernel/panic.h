/* SPDX-License-Identifier: BSD-2-Clause */
/* The end: what a bug of ours leaves on the console. panic() itself is in kernel/lib/assert.h. */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include "kernel/lib/types.h"

/* Takes the console and stops the other CPUs; a second panic on the way just halts. */
void panic_start(void);

/* Prints the backtrace from there and each CPU's last exits, and ends the machine with failure. */
NORETURN void panic_finish(uint64_t rip, uint64_t frame);

/* From an NMI: halts here if another CPU panics. */
void panic_stop_if_asked(void);

/* The function that holds a text address, and the offset in it; "?" where none does. */
const char *panic_symbol(uint64_t address, uint64_t *offset);

#endif
