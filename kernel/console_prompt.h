/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The row that is being typed, and the bytes that turn one such row into another on any terminal: it takes
 * BS, CR and blanks, which even a screen without escape sequences has. Invariant: the row never wraps.
 */
#ifndef KERNEL_CONSOLE_PROMPT_H
#define KERNEL_CONSOLE_PROMPT_H

#include "kernel/lib/types.h"

#define CONSOLE_PROMPT_BYTES 79u  /* the last column stays free: a cursor behind it would wrap */
#define CONSOLE_PROMPT_DRAWN (5 * CONSOLE_PROMPT_BYTES)

struct console_prompt {
    char text[CONSOLE_PROMPT_BYTES]; /* printable ASCII */
    size_t length;                   /* 0: there is no prompt */
    size_t cursor;                   /* 0 to length */
};

/* Each writes up to CONSOLE_PROMPT_DRAWN bytes and returns how many. */

/* old, or nothing where that has no length, is what the row shows. */
size_t console_prompt_change(const struct console_prompt *old, const struct console_prompt *new, char *bytes);
/* The row is blank then, and the cursor at its start. Ends with a CR, by which readers of logs know what counts. */
size_t console_prompt_erase(const struct console_prompt *old, char *bytes);

#endif
