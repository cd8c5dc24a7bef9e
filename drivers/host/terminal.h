/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A write-only terminal: bytes in, characters in cells out. It moves its cursor and erases as ECMA-48 says, and
 * has no colours; other control sequences do nothing. What the cells look like is the screen's business.
 */
#ifndef DRIVERS_HOST_TERMINAL_H
#define DRIVERS_HOST_TERMINAL_H

#include "drivers/backend.h"

/* Where in an escape sequence the last byte stood. */
enum terminal_escape {
    TERMINAL_PLAIN,
    TERMINAL_ESCAPE,
    TERMINAL_CONTROL_SEQUENCE,
    TERMINAL_CONTROL_STRING,
};

#define TERMINAL_ROWS_MAX       256u
#define TERMINAL_PARAMETERS_MAX 2u /* of a control sequence: no function here takes more */

struct terminal {
    /* The screen fills these in. */
    unsigned columns, rows;
    unsigned scroll_rows;  /* by how many a full screen scrolls, 1 to rows */
    uint8_t *text, *shown; /* columns * rows each: what is to be seen, and what was drawn */
    void (*draw)(unsigned column, unsigned row, uint8_t character);

    unsigned column, row;
    uint64_t dirty[TERMINAL_ROWS_MAX / 64]; /* rows of text that may differ from shown, as bits; atomic */
    void (*written)(void); /* who draws later; NULL: each write draws */
    enum terminal_escape escape;
    unsigned parameters[TERMINAL_PARAMETERS_MAX]; /* of the sequence that is open; 0: left out */
    unsigned parameter;                           /* which one a digit belongs to */
    bool is_foreign;                              /* the sequence is private, or not of a kind that is known */
    bool is_visible;
};

/* A blank screen that nothing is drawn on yet. */
void terminal_init(struct terminal *t);
/* The screen is there, and blank but for what was drawn before: from now on it shows what was and
 * is written. */
void terminal_show(struct terminal *t);
/* It cannot be reached any more. */
void terminal_hide(struct terminal *t);
/*
 * From now on a write draws nothing, but calls written(); NULL: as before. Drawing is slow, and whoever writes may
 * hold up others.
 */
void terminal_defer(struct terminal *t, void (*written)(void));
/* Draws one row that has changed; false: there was none. One CPU at a time, beside any that write. */
bool terminal_draw(struct terminal *t);
void terminal_write(struct terminal *t, const uint8_t *bytes, size_t count);
struct chardev terminal_chardev(struct terminal *t);

#endif
