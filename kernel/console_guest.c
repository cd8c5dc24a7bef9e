/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The multiplexer of the one console: guests. Owns their numbers, who is attached, what of a guest's text waits for
 * the end of its line, and everybody's share of the slow line. Leaves the text itself to console_stream.c, the bytes to
 * console.c, whose lock guards everything here.
 */
#include "kernel/console_output.h"
#include "kernel/console_quota.h"
#include "kernel/console_view.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"

#define LINE_OVERHEAD (CONSOLE_NAME_BYTES + 8u) /* a prefix, the line's end */

static struct source {
    struct console_guest guest;
    bool is_present;
    struct console_stream stream;
    struct console_quota quota;
} sources[CONSOLE_GUESTS_MAX + 1]; /* by number, from 1 */
static int numbers;
static int attached;
static int lost;            /* who was attached when it was removed; 0: nobody */
static bool shell_is_awake; /* somebody has typed for it, or attached it */

/* --- shares of the slow line --- */

static size_t guest_share(const struct console_pace *pace)
{
    return (pace->capacity - CONSOLE_LOG_RESERVE) / (unsigned)MAX(numbers, 1);
}

/* How much a guest may write now. */
static size_t room_for(int number)
{
    const struct console_pace *pace = console_get_pace();
    size_t room, share;

    if (!pace)
        return SIZE_MAX;
    room = pace->room();
    share = console_quota_room(&sources[number].quota, guest_share(pace), console_drained());
    return room > CONSOLE_LOG_RESERVE ? MIN(share, room - CONSOLE_LOG_RESERVE) : 0;
}

/* --- guests' output --- */

static void emit_prefix(int number)
{
    console_emit_text("[");
    console_emit_text(sources[number].guest.name);
    console_emit_text("] ");
}

/* Only the attached guest, or the only one while nobody asks for the shell, has its bytes shown as they come. */
static bool is_streamed(int number)
{
    return number == attached || (attached == CONSOLE_SHELL && console_target() == number);
}

/* What the mark is before becomes the name's line: the terminal overwrites it, the log has both. */
static void emit_disclaimer(int number)
{
    console_emit_text("\r");
    emit_prefix(number);
    console_emit_text("rm:");
}

/* A bare CR redraws the line; only LF ends it. Returns that come before any text stay before the name, which they would hide. */
static void stream_bytes(int number, const char *bytes, size_t count)
{
    size_t start = 0;
    bool in_line = console_is_in_line();

    for (size_t i = 0; i < count; i++) {
        bool is_end = bytes[i] == '\n', is_blank = is_end || bytes[i] == '\r';
        bool starts = !in_line && !is_blank, forges = console_stream_forges(&sources[number].stream, (uint8_t)bytes[i]);

        if (forges || (starts && attached != number)) {
            console_emit(bytes + start, i - start);
            start = i;
            (forges ? emit_disclaimer : emit_prefix)(number);
        }
        in_line = !is_end && (in_line || starts);
    }
    console_emit(bytes + start, count - start);
    console_set_in_line(in_line);
}

static void tell_drops(int number)
{
    struct console_quota *quota = &sources[number].quota;

    if (quota->dropped == 0)
        return;
    console_switch_to(NULL);
    console_say("[%s] ... %lu bytes dropped", sources[number].guest.name, quota->dropped);
    quota->dropped = 0;
}

static void stream(int number, const char *bytes, size_t count)
{
    size_t fits = MIN(room_for(number), count);

    if (fits > 0) {
        tell_drops(number);
        console_switch_to(&sources[number].stream);
    }
    stream_bytes(number, bytes, fits);
    if (fits < count)
        console_quota_drop(&sources[number].quota, count - fits);
}

/* A whole line, or a piece of a long one. Blank lines have no name: there is nothing to know of them. */
static void show_line(int number)
{
    struct console_stream *s = &sources[number].stream;

    if (room_for(number) < s->count + LINE_OVERHEAD) {
        console_quota_drop(&sources[number].quota, s->count);
        s->count = 0;
        return;
    }
    tell_drops(number);
    console_switch_to(NULL);
    if (s->count > 0)
        emit_prefix(number);
    console_emit(s->line, s->count);
    console_emit_text("\r\n");
    s->count = 0;
}

/* Several guests at once write byte by byte: only whole lines keep the log readable. */
static void collect(int number, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (console_stream_collect(&sources[number].stream, (uint8_t)bytes[i]))
            show_line(number);
}

/* What waits for the end of its line. */
static void flush(int number)
{
    if (sources[number].stream.count > 0)
        show_line(number);
    tell_drops(number);
    console_lower_prompt();
}

static void write_guest(int number, const char *bytes, size_t count)
{
    uint64_t before = console_written();

    if (is_streamed(number))
        stream(number, bytes, count);
    else if (attached == CONSOLE_SHELL)
        collect(number, bytes, count);
    console_lower_prompt();
    if (console_written() != before)
        console_quota_charge(&sources[number].quota, (size_t)(console_written() - before), console_written());
}

void console_guest_write(int number, const uint8_t *bytes, size_t count)
{
    uint64_t flags = console_enter();

    if (console_guest_at(number))
        write_guest(number, (const char *)bytes, count);
    console_leave(flags);
}

void console_flush_guest(int number)
{
    uint64_t flags = console_enter();

    if (number > 0 && attached == CONSOLE_SHELL)
        flush(number);
    console_leave(flags);
}

/* --- guests and views --- */

static int find_name(const char *name)
{
    for (int i = 1; i <= numbers; i++)
        if (strcmp(sources[i].guest.name, name) == 0)
            return i;
    return 0;
}

/* Its own number of before, else a new one, else that of a guest that is gone; 0: none is left. */
static int find_number(const char *name)
{
    int own = find_name(name);

    if (own || numbers < CONSOLE_GUESTS_MAX)
        return own ? own : ++numbers;
    for (int i = 1; i <= numbers; i++)
        if (!sources[i].is_present)
            return i;
    return 0;
}

void console_expect_guest(const char *name)
{
    uint64_t flags = console_enter();
    int number = find_number(name);

    if (number > 0 && !sources[number].is_present)
        format_text(sources[number].guest.name, CONSOLE_NAME_BYTES, "%s", name);
    console_leave(flags);
}

int console_add_guest(const struct console_guest *guest)
{
    uint64_t flags = console_enter();
    int number = find_number(guest->name);

    if (number > 0) {
        sources[number] = (struct source){.guest = *guest, .is_present = true, .stream.line = guest->line};
        if (guest->typed)
            guest->typed->tail = guest->typed->head;
        if (number == lost)
            console_set_view(number);
    }
    console_leave(flags);
    return number > 0 ? number : -ENOSPC;
}

void console_remove_guest(int number)
{
    uint64_t flags = console_enter();

    if (console_guest_at(number)) {
        if (attached == CONSOLE_SHELL)
            flush(number);
        sources[number].is_present = false;
        sources[number].stream.count = 0;
        if (attached == number) {
            console_set_view(CONSOLE_SHELL);
            lost = number;
        }
    }
    console_leave(flags);
}

const struct console_guest *console_guest_at(int number)
{
    return number > 0 && number <= numbers && sources[number].is_present ? &sources[number].guest : NULL;
}

int console_numbers(void)
{
    return numbers;
}

/* Lines that still wait show before the view changes. */
void console_set_view(int number)
{
    for (int i = 1; i <= numbers && attached == CONSOLE_SHELL; i++)
        flush(i);
    console_switch_to(NULL);
    attached = number;
    lost = 0;
    shell_is_awake = number == CONSOLE_SHELL;
    console_lower_prompt();
}

bool console_shell_is_awake(void)
{
    return attached == CONSOLE_SHELL && shell_is_awake;
}

void console_wake_shell(void)
{
    lost = 0;
    shell_is_awake = true;
    console_lower_prompt();
}

void console_attach(int number)
{
    uint64_t flags = console_enter();

    console_set_view(number);
    console_leave(flags);
}

int console_attached(void)
{
    return attached;
}

int console_target(void)
{
    bool has_no_choice = attached == CONSOLE_SHELL && !shell_is_awake && numbers == 1 && sources[1].is_present;

    return has_no_choice ? 1 : attached;
}

int console_input_target(void)
{
    return console_target();
}

int console_find_guest(const char *name)
{
    int number = find_name(name);

    return number > 0 && sources[number].is_present ? number : -ENOENT;
}
