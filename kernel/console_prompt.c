/* SPDX-License-Identifier: BSD-2-Clause */
/* See console_prompt.h. */
#include "kernel/console_prompt.h"
#include "kernel/lib/string.h"

struct output {
    char *bytes;
    size_t count;
};

static void put_many(struct output *o, char c, size_t count)
{
    memset(o->bytes + o->count, c, count);
    o->count += count;
}

/* The characters from one column up to another. */
static void put_text(struct output *o, const struct console_prompt *row, size_t from, size_t to)
{
    memcpy(o->bytes + o->count, row->text + from, to - from);
    o->count += to - from;
}

static size_t common_length(const struct console_prompt *a, const struct console_prompt *b)
{
    size_t limit = MIN(a->length, b->length), i = 0;

    while (i < limit && a->text[i] == b->text[i])
        i++;
    return i;
}

/* Over what both rows have in common a character moves the cursor to the right. */
static void move_cursor(struct output *o, const struct console_prompt *row, size_t from, size_t to)
{
    if (from > to)
        put_many(o, '\b', from - to);
    else
        put_text(o, row, from, to);
}

size_t console_prompt_change(const struct console_prompt *old, const struct console_prompt *new, char *bytes)
{
    struct output o = {bytes, 0};
    size_t same = common_length(old, new);
    size_t left_over = old->length > new->length ? old->length - new->length : 0;

    if (same == old->length && same == new->length) {
        move_cursor(&o, new, old->cursor, new->cursor);
        return o.count;
    }
    move_cursor(&o, new, old->cursor, same);
    put_text(&o, new, same, new->length);
    put_many(&o, ' ', left_over);
    put_many(&o, '\b', new->length + left_over - new->cursor);
    return o.count;
}

size_t console_prompt_erase(const struct console_prompt *old, char *bytes)
{
    struct output o = {bytes, 0};

    put_many(&o, '\r', 1);
    put_many(&o, ' ', old->length);
    put_many(&o, '\r', 1);
    return o.count;
}
