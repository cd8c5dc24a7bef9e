/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The multiplexer of the one console: input. Owns what was typed for each until it takes that, and the Ctrl-A escape. Its
 * lock and the views are console.c's.
 */
#include "kernel/console_view.h"
#include "kernel/lib/format.h"

#define ESCAPE           0x01 /* Ctrl-A, as in QEMU */
#define GUESTS_BYTES     96u /* a longer list is cut off */

/* Guarded by console_enter. */
static bool after_escape;
static bool power_off_asked;
static bool dump_asked;
static struct console_typed typed_for_shell;

/* NULL: nobody is there, or takes none. */
static struct console_typed *typed_for(int number)
{
    const struct console_guest *guest = console_guest_at(number);

    if (number == CONSOLE_SHELL)
        return &typed_for_shell;
    return guest ? guest->typed : NULL;
}

static void queue_byte(uint8_t byte)
{
    struct console_typed *q = typed_for(console_target());

    if (console_target() == CONSOLE_SHELL)
        console_wake_shell();
    if (q && q->head - q->tail < sizeof q->bytes)
        q->bytes[q->head++ % sizeof q->bytes] = byte;
}

static size_t take_bytes(struct console_typed *q, uint8_t *bytes, size_t size)
{
    size_t count = 0;

    while (q && count < size && q->tail != q->head)
        bytes[count++] = q->bytes[q->tail++ % sizeof q->bytes];
    return count;
}

/* --- what follows the escape --- */

static void attach_shell(uint8_t key)
{
    (void)key;
    console_set_view(CONSOLE_SHELL);
    console_say("console: shell; Ctrl-A h is help");
}

static void attach_number(int number)
{
    const struct console_guest *guest = console_guest_at(number);

    if (!guest)
        return;
    console_set_view(number);
    console_say("console: attached to %s; Ctrl-A 0 is the shell", guest->name);
}

static void attach_by_digit(uint8_t key)
{
    attach_number(key - '0');
}

/* The next guest that is there in that direction, around; the shell's view counts as before the first one. */
static void attach_neighbour(uint8_t key)
{
    int step = key == 'n' ? 1 : -1, count = console_numbers() + 1, number = console_attached();

    for (int tries = 0; tries < count; tries++) {
        number = (number + step + count) % count;
        if (console_guest_at(number)) {
            attach_number(number);
            return;
        }
    }
}

static void ask_for_dump(uint8_t key)
{
    (void)key;
    dump_asked = true;
}

static void ask_for_power_off(uint8_t key)
{
    (void)key;
    power_off_asked = true;
}

/* Those with a digit of their own, as "1 web, 2 db, ". */
static void list_guests(char *text, size_t size)
{
    size_t n = 0;

    text[0] = '\0';
    for (int number = 1; number <= 9 && n < size; number++)
        if (console_guest_at(number))
            n += format_text(text + n, size - n, "%d %s, ", number, console_guest_at(number)->name);
}

static void say_guests(void)
{
    char guests[GUESTS_BYTES];

    list_guests(guests, sizeof guests);
    if (console_target() != CONSOLE_SHELL)
        console_say("console: what you type goes to %s; Ctrl-A h is help", console_guest_at(console_target())->name);
    else if (guests[0])
        console_say("console: Ctrl-A and %s0 the shell; Ctrl-A h is help", guests);
}

static void show_help(uint8_t key)
{
    (void)key;
    console_say("console: Ctrl-A h help, 0 shell, 1-9 a guest, n p next and previous guest, d dump, x power off, Ctrl-A itself");
    say_guests();
}

static const struct {
    uint8_t first, last; /* keys */
    void (*act)(uint8_t key);
} actions[] = {
    {'h', 'h', show_help},        {'0', '0', attach_shell},     {'1', '9', attach_by_digit},
    {'n', 'n', attach_neighbour}, {'p', 'p', attach_neighbour}, {'d', 'd', ask_for_dump},
    {'x', 'x', ask_for_power_off}, {ESCAPE, ESCAPE, queue_byte},
};

static void act_on_escape(uint8_t key)
{
    for (unsigned i = 0; i < ARRAY_SIZE(actions); i++)
        if (key >= actions[i].first && key <= actions[i].last)
            actions[i].act(key);
}

/* --- the interface --- */

void console_introduce_guests(void)
{
    uint64_t flags = console_enter();

    if (console_target() == CONSOLE_SHELL) /* else a guest is streamed, maybe in the middle of a line */
        say_guests();
    console_leave(flags);
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

static bool is_empty(const struct console_typed *q)
{
    return !q || q->head == q->tail;
}

int console_next_with_input(int number)
{
    uint64_t flags = console_enter();
    int next = number + 1;

    while (next <= console_numbers() && is_empty(typed_for(next)))
        next++;
    next = next <= console_numbers() ? next : 0;
    console_leave(flags);
    return next;
}

void console_deliver_input(int number)
{
    const struct console_guest *guest;
    uint8_t bytes[CONSOLE_TYPED_BYTES];
    size_t count = 0;
    uint64_t flags;

    flags = console_enter();
    guest = console_guest_at(number);
    if (guest)
        count = take_bytes(guest->typed, bytes, sizeof bytes);
    console_leave(flags);
    if (count > 0)
        guest->receive(guest->context, bytes, count);
}

bool console_shell_has_input(void)
{
    uint64_t flags = console_enter();
    bool has_some = !is_empty(&typed_for_shell);

    console_leave(flags);
    return has_some;
}

size_t console_take_shell_input(uint8_t *bytes, size_t size)
{
    uint64_t flags = console_enter();
    size_t count = take_bytes(&typed_for_shell, bytes, size);

    console_leave(flags);
    return count;
}

bool console_wants_power_off(void)
{
    return power_off_asked;
}

bool console_take_dump_request(void)
{
    return __atomic_exchange_n(&dump_asked, false, __ATOMIC_ACQ_REL);
}
