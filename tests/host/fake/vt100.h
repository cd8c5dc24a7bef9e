/* SPDX-License-Identifier: BSD-2-Clause */
/* A terminal of 80 columns as a person sees it: what bytes make of a screen, for tests that care about that only. */
#ifndef TESTS_HOST_FAKE_VT100_H
#define TESTS_HOST_FAKE_VT100_H

#include "drivers/backend.h"

#define VT100_COLUMNS 80u
#define VT100_ROWS    24u

struct vt100 {
    char cells[VT100_ROWS][VT100_COLUMNS];
    unsigned row, column; /* of the cursor */
    char sequence[16];    /* what followed ESC [ */
    unsigned sequence_length;
    int state;
    unsigned scrolled; /* rows that have left at the top */
};

void vt100_reset(struct vt100 *t);
void vt100_write(struct vt100 *t, const char *bytes, size_t count);
struct chardev vt100_chardev(struct vt100 *t);

/* A row without the blanks at its end; valid until the next call. */
const char *vt100_row(const struct vt100 *t, unsigned row);
/* The row that the cursor is in. */
const char *vt100_current_row(const struct vt100 *t);
/* Does some row begin with that text? */
bool vt100_shows(const struct vt100 *t, const char *text);

#endif
