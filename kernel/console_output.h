/* SPDX-License-Identifier: BSD-2-Clause */
/* What console_guest.c and console.c need of each other. All of it between console_enter() and console_leave(). */
#ifndef KERNEL_CONSOLE_OUTPUT_H
#define KERNEL_CONSOLE_OUTPUT_H

#include "kernel/console.h"
#include "kernel/console_stream.h"

/* Whose bytes come now; NULL: the hypervisor's. Ends another's unfinished line, and lifts the shell's row. */
void console_switch_to(struct console_stream *stream);
void console_emit(const char *text, size_t length);
void console_emit_text(const char *text);
/* Behind everything that was written: the shell's row, if it is to be seen. */
void console_lower_prompt(void);

/* The last byte did not end a line. */
bool console_is_in_line(void);
void console_set_in_line(bool is_in_line);

/* NULL: no sink is slow. */
const struct console_pace *console_get_pace(void);
/* Positions in the slow sink's queue: its end, and what stood before which is out. */
uint64_t console_written(void);
uint64_t console_drained(void);

/* It is attached, and somebody has typed for it or attached it. */
bool console_shell_is_awake(void);

#endif
