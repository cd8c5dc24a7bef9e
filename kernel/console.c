/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The multiplexer of the one console: output. Owns which source wrote last (so that lines do not mix), who is
 * attached, the shell's row, and everybody's share of the slow line. Leaves the hardware to its sinks, a
 * guest's text to console_stream.c, what is typed to console_input.c.
 */
#include <stdarg.h>
#include "kernel/console_quota.h"
#include "kernel/console_stream.h"
#include "kernel/console_view.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "arch/arch.h"

#define SOURCE_LOG      0
#define LINE_OVERHEAD   (CONSOLE_NAME_BYTES + 8u) /* a prefix, the line's end */
#define PUMPS_MAX       1000000u /* about a second of a port's reads: a line that is dead by then stays dead */
#define SAY_BYTES       160u

struct source {
    struct console_guest guest;
    bool is_present;
    struct console_stream stream;
    struct console_quota quota;
};

static struct lock console_lock; /* guards everything below; taken with interrupts off */
static struct chardev sinks[CONSOLE_SINKS_MAX];
static unsigned sink_count;
static struct console_pace pace;
static uint64_t written;         /* bytes that went to the sinks since boot: the end of the slow queue */
static struct source sources[CONSOLE_GUESTS_MAX + 1]; /* by number, from 1 */
static int numbers;
static int attached;
static int lost;            /* who was attached when it was removed; 0: nobody */
static bool shell_is_awake; /* somebody has typed for it, or attached it */
static int last_source;     /* who wrote the last byte */
static bool in_line;        /* that byte did not end a line */
static struct console_prompt prompt;
static bool prompt_is_drawn;
static bool locks_broken;
static void (*when_broken)(void);

uint64_t console_enter(void)
{
    uint64_t flags = arch_irq_save();

    if (!locks_broken)
        lock_acquire(&console_lock);
    return flags;
}

void console_leave(uint64_t flags)
{
    if (!locks_broken)
        lock_release(&console_lock);
    arch_irq_restore(flags);
}

void console_on_broken_locks(void (*act)(void))
{
    when_broken = act;
}

void console_break_locks(void)
{
    locks_broken = true;
    prompt.length = 0;
    if (when_broken)
        when_broken();
}

void console_add_sink(const struct chardev *sink)
{
    if (sink_count < CONSOLE_SINKS_MAX)
        sinks[sink_count++] = *sink;
}

void console_remove_sink(const struct chardev *sink)
{
    for (unsigned i = 0; i < sink_count; i++)
        if (sinks[i].write == sink->write && sinks[i].context == sink->context)
            sinks[i--] = sinks[--sink_count];
}

/* --- the slow line --- */

void console_set_pace(const struct console_pace *new_pace)
{
    pace = *new_pace;
}

/* A position of the queue: what stood before it is out. */
static uint64_t drained(void)
{
    size_t queued = pace.capacity - MIN(pace.room(), pace.capacity);

    return written - MIN(queued, written);
}

static size_t guest_share(void)
{
    return (pace.capacity - CONSOLE_LOG_RESERVE) / (unsigned)MAX(numbers, 1);
}

/* How much a guest may write now. */
static size_t room_for(int number)
{
    size_t room, share;

    if (!pace.room)
        return SIZE_MAX;
    room = pace.room();
    share = console_quota_room(&sources[number].quota, guest_share(), drained());
    return room > CONSOLE_LOG_RESERVE ? MIN(share, room - CONSOLE_LOG_RESERVE) : 0;
}

/* Without the lock, so that it is this CPU alone that waits. */
static void wait_for_room(size_t length)
{
    if (!pace.room || locks_broken)
        return;
    for (unsigned i = 0; i < PUMPS_MAX && pace.room() < length; i++)
        pace.pump();
}

bool console_guest_is_ahead(int number)
{
    bool is_ahead;
    uint64_t flags;

    if (!pace.room || number <= 0)
        return false;
    flags = console_enter();
    is_ahead = room_for(number) < guest_share() / 2;
    console_leave(flags);
    return is_ahead;
}

/* --- bytes and lines --- */

static void emit(const char *text, size_t length)
{
    for (unsigned i = 0; i < sink_count; i++)
        chardev_write(&sinks[i], (const uint8_t *)text, length);
    written += length;
}

static void emit_text(const char *text)
{
    emit(text, strlen(text));
}

static bool prompt_is_wanted(void)
{
    return prompt.length > 0 && attached == CONSOLE_SHELL && shell_is_awake;
}

static void draw_prompt(const struct console_prompt *shown)
{
    char bytes[CONSOLE_PROMPT_DRAWN];

    emit(bytes, console_prompt_change(shown, &prompt, bytes));
    prompt_is_drawn = true;
}

/* Before anything else is written. */
static void lift_prompt(void)
{
    char bytes[CONSOLE_PROMPT_DRAWN];

    if (prompt_is_drawn)
        emit(bytes, console_prompt_erase(&prompt, bytes));
    prompt_is_drawn = false;
}

/* Behind everything that was written. */
static void lower_prompt(void)
{
    static const struct console_prompt blank;

    if (prompt_is_wanted() && !prompt_is_drawn && !in_line)
        draw_prompt(&blank);
}

/* A control string that a guest left open would swallow what others write. */
static void break_off(struct console_stream *stream)
{
    if (stream->escape != CONSOLE_PLAIN)
        emit_text("\x18");
    console_stream_interrupted(stream);
    emit_text("\r\n");
}

/* Ends another source's unfinished line before this one writes. */
static void switch_source(int source)
{
    lift_prompt();
    if (source != last_source && in_line) {
        break_off(&sources[last_source].stream);
        in_line = false;
    }
    last_source = source;
}

static void write_lines(const char *text, size_t length)
{
    switch_source(SOURCE_LOG);
    emit(text, length);
    lower_prompt();
}

void console_say(const char *format, ...)
{
    char line[SAY_BYTES];
    size_t length;
    va_list args;

    va_start(args, format);
    length = format_text_va(line, sizeof line - 2, format, args);
    va_end(args);
    length = MIN(length, sizeof line - 3);
    memcpy(line + length, "\r\n", 2);
    write_lines(line, length + 2);
}

void console_write(const char *text, size_t length)
{
    uint64_t flags;

    wait_for_room(length);
    flags = console_enter();
    write_lines(text, length);
    console_leave(flags);
}

/* --- the shell's row --- */

void console_shell_write(const char *text, size_t length)
{
    uint64_t flags;

    wait_for_room(length);
    flags = console_enter();
    if (attached == CONSOLE_SHELL)
        write_lines(text, length);
    console_leave(flags);
}

void console_set_prompt(const struct console_prompt *new_prompt)
{
    uint64_t flags = console_enter();
    struct console_prompt shown = prompt;

    prompt = *new_prompt;
    if (prompt_is_drawn && prompt.length > 0)
        draw_prompt(&shown);
    else
        lower_prompt();
    console_leave(flags);
}

void console_end_prompt(void)
{
    uint64_t flags = console_enter();

    if (prompt_is_drawn) {
        emit(prompt.text + prompt.cursor, prompt.length - prompt.cursor);
        emit_text("\r\n");
    }
    prompt_is_drawn = false;
    prompt.length = 0;
    console_leave(flags);
}

/* --- guests' output --- */

static void emit_prefix(int number)
{
    emit_text("[");
    emit_text(sources[number].guest.name);
    emit_text("] ");
}

/* Only the attached guest, or the only one while nobody asks for the shell, has its bytes shown as they come. */
static bool is_streamed(int number)
{
    return number == attached || (attached == CONSOLE_SHELL && console_target() == number);
}

/* What the mark is before becomes the name's line: the terminal overwrites it, the log has both. */
static void emit_disclaimer(int number)
{
    emit_text("\r");
    emit_prefix(number);
    emit_text("rm:");
}

/* A bare CR redraws the line; only LF ends it. Returns that come before any text stay before the name, which they would hide. */
static void stream_bytes(int number, const char *bytes, size_t count)
{
    size_t start = 0;

    for (size_t i = 0; i < count; i++) {
        bool is_end = bytes[i] == '\n', is_blank = is_end || bytes[i] == '\r';
        bool starts = !in_line && !is_blank, forges = console_stream_forges(&sources[number].stream, (uint8_t)bytes[i]);

        if (forges || (starts && attached != number)) {
            emit(bytes + start, i - start);
            start = i;
            (forges ? emit_disclaimer : emit_prefix)(number);
        }
        in_line = !is_end && (in_line || starts);
    }
    emit(bytes + start, count - start);
}

static void tell_drops(int number)
{
    struct console_quota *quota = &sources[number].quota;

    if (quota->dropped == 0)
        return;
    switch_source(SOURCE_LOG);
    console_say("[%s] ... %lu bytes dropped", sources[number].guest.name, quota->dropped);
    quota->dropped = 0;
}

static void stream(int number, const char *bytes, size_t count)
{
    size_t fits = MIN(room_for(number), count);

    if (fits > 0) {
        tell_drops(number);
        switch_source(number);
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
    switch_source(SOURCE_LOG);
    if (s->count > 0)
        emit_prefix(number);
    emit(s->line, s->count);
    emit_text("\r\n");
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
    lower_prompt();
}

static void write_guest(int number, const char *bytes, size_t count)
{
    uint64_t before = written;

    if (is_streamed(number))
        stream(number, bytes, count);
    else if (attached == CONSOLE_SHELL)
        collect(number, bytes, count);
    lower_prompt();
    if (written != before)
        console_quota_charge(&sources[number].quota, (size_t)(written - before), written);
}

void console_guest_write(int number, const uint8_t *bytes, size_t count)
{
    uint64_t flags;

    if (number <= 0)
        return;
    flags = console_enter();
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

int console_add_guest(const struct console_guest *guest)
{
    uint64_t flags = console_enter();
    int number = find_number(guest->name);

    if (number > 0) {
        sources[number] = (struct source){.guest = *guest, .is_present = true};
        if (number == lost)
            console_set_view(number);
    }
    console_leave(flags);
    return number > 0 ? number : -ENOSPC;
}

void console_remove_guest(int number)
{
    uint64_t flags = console_enter();

    if (number > 0 && sources[number].is_present) {
        if (attached == CONSOLE_SHELL)
            flush(number);
        sources[number].is_present = false;
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

/* What was typed for one is never another's; lines that still wait show before the view changes. */
void console_set_view(int number)
{
    for (int i = 1; i <= numbers && attached == CONSOLE_SHELL; i++)
        flush(i);
    switch_source(SOURCE_LOG);
    if (number != attached)
        console_forget_input();
    attached = number;
    lost = 0;
    shell_is_awake = number == CONSOLE_SHELL;
    lower_prompt();
}

void console_wake_shell(void)
{
    lost = 0;
    shell_is_awake = true;
    lower_prompt();
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
