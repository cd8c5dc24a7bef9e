/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's text on a line that others use too. Two views of it: as it comes, for who is attached, where
 * only what looks like a line of the hypervisor's is marked; or as whole clean lines, beside others.
 */
#ifndef KERNEL_CONSOLE_STREAM_H
#define KERNEL_CONSOLE_STREAM_H

#include "kernel/console.h"

/* Where in an escape sequence the last byte stood: ECMA-48, "Control sequences" and "Control strings". */
enum console_escape {
    CONSOLE_PLAIN,
    CONSOLE_ESCAPE,
    CONSOLE_SEQUENCE,
    CONSOLE_STRING,
};

/* All zero at the start, but for the line's room. */
struct console_stream {
    enum console_escape escape;
    unsigned matched;   /* of the hypervisor's mark, at the line's start; more than it has: the line starts otherwise */
    bool after_return;  /* the next character overwrites the line */
    size_t count;       /* bytes of line */
    char *line;         /* CONSOLE_LINE_BYTES */
};

/* Streaming. True: this byte would complete "rm: " at the start of a line, as only the hypervisor's begin. */
bool console_stream_forges(struct console_stream *s, uint8_t byte);
/* Somebody else's line came between: what follows starts a line. */
void console_stream_interrupted(struct console_stream *s);

/* Collecting. True: line is to be shown; the caller then sets count to 0. Nothing but text and tabs is kept. */
bool console_stream_collect(struct console_stream *s, uint8_t byte);

#endif
