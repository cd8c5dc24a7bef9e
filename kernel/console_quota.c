/* SPDX-License-Identifier: BSD-2-Clause */
/* See console_quota.h. */
#include "kernel/console_quota.h"

static void retire(struct console_quota *q, uint64_t drained)
{
    if (drained >= q->newer.end)
        q->newer.bytes = 0;
    if (drained < q->older.end)
        return;
    q->older = q->newer;
    q->newer.bytes = 0;
}

size_t console_quota_room(struct console_quota *q, size_t share, uint64_t drained)
{
    size_t held;

    retire(q, drained);
    held = console_quota_held(q);
    if (held > (q->is_over ? share / 2 : share))
        return 0;
    q->is_over = false;
    return share - held;
}

void console_quota_charge(struct console_quota *q, size_t bytes, uint64_t end)
{
    q->newer.bytes += bytes;
    q->newer.end = end;
}

void console_quota_drop(struct console_quota *q, size_t bytes)
{
    q->dropped += bytes;
    q->is_over = true;
}
