/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The multiplexer of the one console: bytes and lines, and the shell's row below them. Owns who wrote last, so that
 * lines do not mix. Leaves the hardware to its sinks, the guests and who is attached to console_guest.c, what is typed
 * to console_input.c.
 */
#include <stdarg.h>
#include "kernel/console_output.h"
#include "kernel/console_view.h"
#include "kernel/lib/format.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "arch/arch.h"

#define PUMPS_MAX       1000000u /* about a second of a port's reads: a line that is dead by then stays dead */
#define SAY_BYTES       160u

static struct lock console_lock; /* guards everything below, and console_guest.c's; taken with interrupts off */
static struct chardev sinks[CONSOLE_SINKS_MAX];
static unsigned sink_count;
static struct console_pace pace;
static uint64_t written;         /* bytes that went to the sinks since boot: the end of the slow queue */
static struct console_stream *writer; /* of the last byte; NULL: the hypervisor */
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
    uint64_t flags = console_enter();

    for (unsigned i = 0; i < sink_count; i++)
        if (sinks[i].write == sink->write && sinks[i].context == sink->context)
            sinks[i--] = sinks[--sink_count];
    console_leave(flags);
}

/* --- the slow line --- */

void console_set_pace(const struct console_pace *new_pace)
{
    pace = *new_pace;
}

const struct console_pace *console_get_pace(void)
{
    return pace.room ? &pace : NULL;
}

uint64_t console_written(void)
{
    return written;
}

uint64_t console_drained(void)
{
    size_t queued = pace.capacity - MIN(pace.room(), pace.capacity);

    return written - MIN(queued, written);
}

/* Without the lock, so that it is this CPU alone that waits. */
static void wait_for_room(size_t length)
{
    if (!pace.room || locks_broken)
        return;
    for (unsigned i = 0; i < PUMPS_MAX && pace.room() < length; i++)
        pace.pump();
}

/* --- bytes and lines --- */

void console_emit(const char *text, size_t length)
{
    for (unsigned i = 0; i < sink_count; i++)
        chardev_write(&sinks[i], (const uint8_t *)text, length);
    written += length;
}

void console_emit_text(const char *text)
{
    console_emit(text, strlen(text));
}

static bool prompt_is_wanted(void)
{
    return prompt.length > 0 && console_shell_is_awake();
}

static void draw_prompt(const struct console_prompt *shown)
{
    char bytes[CONSOLE_PROMPT_DRAWN];

    console_emit(bytes, console_prompt_change(shown, &prompt, bytes));
    prompt_is_drawn = true;
}

/* Before anything else is written. */
static void lift_prompt(void)
{
    char bytes[CONSOLE_PROMPT_DRAWN];

    if (prompt_is_drawn)
        console_emit(bytes, console_prompt_erase(&prompt, bytes));
    prompt_is_drawn = false;
}

void console_lower_prompt(void)
{
    static const struct console_prompt blank;

    if (prompt_is_wanted() && !prompt_is_drawn && !in_line)
        draw_prompt(&blank);
}

/* A control string that a guest left open would swallow what others write. */
static void break_off(struct console_stream *stream)
{
    if (stream->escape != CONSOLE_PLAIN)
        console_emit_text("\x18");
    console_stream_interrupted(stream);
    console_emit_text("\r\n");
}

void console_switch_to(struct console_stream *stream)
{
    lift_prompt();
    if (stream != writer && in_line) {
        break_off(writer);
        in_line = false;
    }
    writer = stream;
}

bool console_is_in_line(void)
{
    return in_line;
}

void console_set_in_line(bool is_in_line)
{
    in_line = is_in_line;
}

static void write_lines(const char *text, size_t length)
{
    console_switch_to(NULL);
    console_emit(text, length);
    console_lower_prompt();
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
    if (console_attached() == CONSOLE_SHELL)
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
        console_lower_prompt();
    console_leave(flags);
}

void console_end_prompt(void)
{
    uint64_t flags = console_enter();

    if (prompt_is_drawn) {
        console_emit(prompt.text + prompt.cursor, prompt.length - prompt.cursor);
        console_emit_text("\r\n");
    }
    prompt_is_drawn = false;
    prompt.length = 0;
    console_leave(flags);
}
