/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much of a slow console's queue one guest holds, so that a chatty one delays itself and nobody else. The
 * queue is first in, first out; positions in it are counts of bytes since boot, so that no list of what is
 * whose is needed: a guest's bytes are known by windows, each of which is gone when the queue has moved past it.
 */
#ifndef KERNEL_CONSOLE_QUOTA_H
#define KERNEL_CONSOLE_QUOTA_H

#include "kernel/lib/types.h"

/* Bytes that were queued up to a position. */
struct console_window {
    size_t bytes;
    uint64_t end;
};

/* All zero at the start. */
struct console_quota {
    struct console_window older, newer;
    uint64_t dropped; /* since that was last told */
    bool is_over;     /* nothing is taken until half of the share is free again */
};

/* The bytes that it may queue now: out of share, of which what it holds takes off; drained: the queue's front. */
size_t console_quota_room(struct console_quota *q, size_t share, uint64_t drained);
/* It has queued bytes, the last of which stands before end. */
void console_quota_charge(struct console_quota *q, size_t bytes, uint64_t end);
void console_quota_drop(struct console_quota *q, size_t bytes);

/* At most twice what it really holds of the queue. */
static inline size_t console_quota_held(const struct console_quota *q)
{
    return q->older.bytes + q->newer.bytes;
}

#endif
