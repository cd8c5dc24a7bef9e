/* SPDX-License-Identifier: BSD-2-Clause */
/* What console_input.c needs of console.c. But for console_enter, everything is called between enter and leave. */
#ifndef KERNEL_CONSOLE_VIEW_H
#define KERNEL_CONSOLE_VIEW_H

#include "kernel/console.h"

/* The one lock of the console, with interrupts off. */
uint64_t console_enter(void);
void console_leave(uint64_t flags);

/* A line of the console's own; text has no end of line. */
PRINTF_LIKE(1, 2) void console_say(const char *format, ...);

/* The guest of that number, NULL: there is none now. */
const struct console_guest *console_guest_at(int number);
int console_numbers(void); /* the highest that was ever given */

/* Shows that view. */
void console_set_view(int number);
int console_target(void);
/* Somebody types for the shell: its prompt shows from now on. */
void console_wake_shell(void);

#endif
