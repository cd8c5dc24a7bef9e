/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The multiplexer of the one console. Owns: which source wrote last (so that lines do not mix), who is
 * attached, the Ctrl-A escape, and the queue of typed bytes. Leaves the hardware to its sinks.
 */
#include "kernel/console.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "arch/arch.h"

#define ESCAPE           0x01 /* Ctrl-A, as in QEMU */
#define INPUT_QUEUE_SIZE 256u
#define SOURCE_LOG       0
#define LINE_BYTES_MAX   256u /* a longer one comes in pieces */

static struct lock console_lock; /* guards everything below; taken with interrupts off */
static struct chardev sinks[CONSOLE_SINKS_MAX];
static unsigned sink_count;
static struct console_guest guests[CONSOLE_GUESTS_MAX + 1]; /* by number, from 1 */
static struct pending_line {
    char bytes[LINE_BYTES_MAX];
    size_t count;
} pending[CONSOLE_GUESTS_MAX + 1];
static int guest_count;
static int attached;
static int last_source;     /* who wrote the last byte */
static bool in_line;        /* that byte did not end a line */
static bool after_escape;
static bool power_off_asked;
static bool dump_asked;
static bool locks_broken;
static uint8_t input_queue[INPUT_QUEUE_SIZE];
static unsigned input_head, input_tail; /* free running */

static uint64_t console_enter(void)
{
    uint64_t flags = arch_irq_save();

    if (!locks_broken)
        lock_acquire(&console_lock);
    return flags;
}

static void console_leave(uint64_t flags)
{
    if (!locks_broken)
        lock_release(&console_lock);
    arch_irq_restore(flags);
}

void console_break_locks(void)
{
    locks_broken = true;
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

static void emit(const char *text, size_t length)
{
    for (unsigned i = 0; i < sink_count; i++)
        chardev_write(&sinks[i], (const uint8_t *)text, length);
}

static void emit_text(const char *text)
{
    emit(text, strlen(text));
}

/* Ends another source's unfinished line before this one writes. */
static void switch_source(int source)
{
    if (source != last_source && in_line) {
        emit_text("\r\n");
        in_line = false;
    }
    last_source = source;
}

void console_write(const char *text, size_t length)
{
    uint64_t flags = console_enter();

    switch_source(SOURCE_LOG);
    emit(text, length);
    console_leave(flags);
}

int console_add_guest(const struct console_guest *guest)
{
    if (guest_count == CONSOLE_GUESTS_MAX)
        return -ENOSPC;
    guests[++guest_count] = *guest;
    return guest_count;
}

static void emit_prefix(int number)
{
    if (attached == number)
        return;
    emit_text("[");
    emit_text(guests[number].name);
    emit_text("] ");
}

/* A bare CR redraws the line; only LF ends it. Returns that come before any text stay before the name, which they would hide. */
static void emit_guest_bytes(int number, const char *bytes, size_t count)
{
    size_t start = 0;

    for (size_t i = 0; i < count; i++) {
        bool is_end = bytes[i] == '\n', is_blank = is_end || bytes[i] == '\r';

        if (!in_line && !is_blank) {
            emit_prefix(number);
            in_line = true;
        }
        if (is_end || !in_line) {
            emit(bytes + start, i + 1 - start);
            start = i + 1;
            in_line = false;
        }
    }
    emit(bytes + start, count - start);
}

static void stream(int number, const char *bytes, size_t count)
{
    switch_source(number);
    emit_guest_bytes(number, bytes, count);
}

/* What waits for the end of its line. */
static void flush_line(int number)
{
    struct pending_line *p = &pending[number];

    if (p->count > 0)
        stream(number, p->bytes, p->count);
    p->count = 0;
}

/* What was typed for one guest is never another's; lines that still wait show before the view changes. */
static void set_attached(int number)
{
    for (int i = 1; i <= guest_count && attached == 0; i++)
        flush_line(i);
    switch_source(SOURCE_LOG);
    if (number != attached)
        input_tail = input_head;
    attached = number;
}

/* Several guests at once write byte by byte: only whole lines keep the log readable. */
static void collect(int number, const char *bytes, size_t count)
{
    struct pending_line *p = &pending[number];

    for (size_t i = 0; i < count; i++) {
        p->bytes[p->count++] = bytes[i];
        if (bytes[i] == '\n' || p->count == sizeof p->bytes)
            flush_line(number);
    }
}

void console_guest_write(int number, const uint8_t *bytes, size_t count)
{
    uint64_t flags = console_enter();

    if (attached == number || (attached == 0 && guest_count == 1))
        stream(number, (const char *)bytes, count);
    else if (attached == 0)
        collect(number, (const char *)bytes, count);
    console_leave(flags);
}

void console_flush_guest(int number)
{
    uint64_t flags = console_enter();

    if (attached == 0)
        flush_line(number);
    console_leave(flags);
}

/* Its number is not given again: what was logged stays unambiguous. */
void console_remove_guest(int number)
{
    uint64_t flags = console_enter();

    if (number > 0) {
        if (attached == 0)
            flush_line(number);
        guests[number].receive = NULL;
        if (attached == number)
            set_attached(0);
    }
    console_leave(flags);
}

void console_attach(int number)
{
    uint64_t flags = console_enter();

    set_attached(number);
    console_leave(flags);
}

int console_attached(void)
{
    return attached;
}

int console_find_guest(const char *name)
{
    for (int i = 1; i <= guest_count; i++)
        if (strcmp(guests[i].name, name) == 0)
            return i;
    return -ENOENT;
}

/* --- input --- */

/* With one guest there is no doubt whom one types for. */
int console_input_target(void)
{
    return attached == 0 && guest_count == 1 ? 1 : attached;
}

static void queue_byte(uint8_t byte)
{
    if (console_input_target() != 0 && input_head - input_tail < INPUT_QUEUE_SIZE)
        input_queue[input_head++ % INPUT_QUEUE_SIZE] = byte;
}

static void attach_by_key(uint8_t key)
{
    char line[64];
    int number = key - '0';

    if (number > guest_count || (number && !guests[number].receive))
        return;
    set_attached(number);
    format_text(line, sizeof line, "console: %s%s\r\n", number ? "attached to " : "all guests",
                number ? guests[number].name : "");
    emit_text(line);
}

static void act_on_escape(uint8_t key)
{
    if (key == ESCAPE)
        queue_byte(ESCAPE);
    else if (key == 'x')
        power_off_asked = true;
    else if (key == 'd')
        dump_asked = true;
    else if (key >= '0' && key <= '9')
        attach_by_key(key);
    else if (key == 'h') {
        switch_source(SOURCE_LOG);
        emit_text("console: Ctrl-A h help, 0 all guests, 1-9 attach a guest, d dump, x power off, Ctrl-A itself\r\n");
    }
}

void console_input(const uint8_t *bytes, size_t count)
{
    uint64_t flags = console_enter();

    for (size_t i = 0; i < count; i++) {
        if (after_escape)
            act_on_escape(bytes[i]);
        else if (bytes[i] != ESCAPE)
            queue_byte(bytes[i]);
        after_escape = !after_escape && bytes[i] == ESCAPE;
    }
    console_leave(flags);
}

void console_deliver_input(int number)
{
    uint8_t bytes[INPUT_QUEUE_SIZE];
    size_t count = 0;
    uint64_t flags;

    flags = console_enter();
    while (number == console_input_target() && input_tail != input_head)
        bytes[count++] = input_queue[input_tail++ % INPUT_QUEUE_SIZE];
    console_leave(flags);
    if (count > 0 && guests[number].receive)
        guests[number].receive(guests[number].context, bytes, count);
}

bool console_wants_power_off(void)
{
    return power_off_asked;
}

bool console_take_dump_request(void)
{
    return __atomic_exchange_n(&dump_asked, false, __ATOMIC_ACQ_REL);
}
