/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See console_stream.h. Whoever reads a log drops escape sequences and control characters before looking for
 * the hypervisor's lines, and so does this. Invariant: what a reader drops, this calls a control, too.
 */
#include "kernel/console_stream.h"
#include "kernel/lib/string.h"

#define BELL   0x07
#define CANCEL 0x18
#define ESCAPE 0x1b
#define DELETE 0x7f

#define MARK_LENGTH 4u
static const char mark[] = "rm: ";
_Static_assert(sizeof mark - 1 == MARK_LENGTH, "the length of the mark");

static enum console_escape after_escape(uint8_t byte)
{
    if (byte == '[')
        return CONSOLE_SEQUENCE;
    if (byte == 'P' || byte == 'X' || byte == ']' || byte == '^' || byte == '_')
        return CONSOLE_STRING;
    return byte < '0' ? CONSOLE_ESCAPE : CONSOLE_PLAIN;
}

static bool is_text(uint8_t byte)
{
    return byte >= ' ' && byte != DELETE;
}

static enum console_escape next_escape(enum console_escape escape, uint8_t byte)
{
    if (byte == ESCAPE)
        return CONSOLE_ESCAPE;
    if (byte == CANCEL || (escape == CONSOLE_STRING && byte == BELL))
        return CONSOLE_PLAIN;
    if (escape == CONSOLE_ESCAPE)
        return after_escape(byte);
    if (escape == CONSOLE_SEQUENCE)
        return byte < '@' ? CONSOLE_SEQUENCE : CONSOLE_PLAIN;
    return escape;
}

/* Moves on; true: the byte belongs to no sequence and is no control character. */
static bool shows(struct console_stream *s, uint8_t byte)
{
    bool was_plain = s->escape == CONSOLE_PLAIN, breaks_off = s->escape == CONSOLE_SEQUENCE && byte >= DELETE;

    s->escape = next_escape(s->escape, byte);
    return is_text(byte) && (was_plain || breaks_off);
}

/* A line's end ends what is no string: those, terminals read on. */
static void start_line(struct console_stream *s)
{
    s->matched = 0;
    if (s->escape != CONSOLE_STRING)
        s->escape = CONSOLE_PLAIN;
}

void console_stream_interrupted(struct console_stream *s)
{
    s->escape = CONSOLE_PLAIN;
    s->matched = 0;
}

/* A reader may take a string's content for text: it counts as such. */
bool console_stream_forges(struct console_stream *s, uint8_t byte)
{
    bool was_string = s->escape == CONSOLE_STRING;

    if (byte == '\n' || byte == '\r') {
        start_line(s);
        return false;
    }
    if (!shows(s, byte) && !(was_string && is_text(byte)))
        return false;
    if (s->matched < MARK_LENGTH && byte == (uint8_t)mark[s->matched])
        return ++s->matched == MARK_LENGTH;
    s->matched = MARK_LENGTH;
    return false;
}

bool console_stream_collect(struct console_stream *s, uint8_t byte)
{
    if (byte == '\n' || byte == '\r') {
        s->escape = CONSOLE_PLAIN;
        s->after_return = byte == '\r';
        return byte == '\n';
    }
    if (!shows(s, byte) && !(byte == '\t' && s->escape == CONSOLE_PLAIN))
        return false;
    if (s->after_return)
        s->count = 0;
    s->after_return = false;
    s->line[s->count++] = (char)byte;
    return s->count == CONSOLE_LINE_BYTES;
}
