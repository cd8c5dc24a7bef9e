/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One serial line (and whatever screen there is) for the log, the management shell and every guest's console.
 * Number 0 is the shell's view: every line of the hypervisor, and of the guests, theirs behind "[name] "; the
 * row that is being typed stays below all of them. Who attaches a guest by its number has its console as it is.
 *
 * A line that begins with "rm: " is the hypervisor's: where a guest writes one, its name is put before.
 * A guest never waits here and nobody waits for a guest: what is more than its share of a slow line's queue
 * is dropped, and how much, said.
 */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include "kernel/console_prompt.h"
#include "kernel/lib/types.h"
#include "drivers/backend.h"

#define CONSOLE_SINKS_MAX   4
#define CONSOLE_GUESTS_MAX  64
#define CONSOLE_NAME_BYTES  32
#define CONSOLE_SHELL       0
#define CONSOLE_LOG_RESERVE KIB(64) /* of a slow sink's queue: guests leave it to the hypervisor */

/* Adds a place where output goes: COM1, port 0xE9, a screen. Boot CPU, before the APs run. */
void console_add_sink(const struct chardev *sink);
void console_remove_sink(const struct chardev *sink);

/* The slowest sink, which everybody's output is measured by. */
struct console_pace {
    size_t capacity;        /* of its queue, in bytes; more than CONSOLE_LOG_RESERVE */
    size_t (*room)(void);   /* what is free of it; any CPU, takes no lock */
    void (*pump)(void);     /* moves what can be moved now, and waits for nothing */
};
/* As add_sink. Without it nothing is ever dropped. */
void console_set_pace(const struct console_pace *pace);

/* Whole lines of the hypervisor; any CPU. Waits for room in the queue, but keeps nobody else waiting. */
void console_write(const char *text, size_t length);

/* The panicking CPU takes the console: no lock is waited for from now on. */
void console_break_locks(void);
/* What else is to be done then: a sink that hands its work to others does it itself from now on. */
void console_on_broken_locks(void (*act)(void));

/* --- guests --- */

#define CONSOLE_LINE_BYTES 1024u /* a longer one comes in pieces */

/* What was typed for one and is not yet taken; more than that is dropped. */
#define CONSOLE_TYPED_BYTES 256u
struct console_typed {
    uint8_t bytes[CONSOLE_TYPED_BYTES];
    unsigned head, tail; /* free running */
};

/* A guest's console: its output, and who takes what is typed for it. */
struct console_guest {
    char name[CONSOLE_NAME_BYTES];
    struct console_typed *typed; /* the guest's own, as long as it is there; NULL: it takes no input, and has no receive() */
    void (*receive)(void *context, const uint8_t *bytes, size_t count);
    void *context;
    char *line; /* CONSOLE_LINE_BYTES, for one that is not finished: the console's until the guest is removed */
};

/*
 * A guest of this name will be added: it has a number from now on, so that the first of several is not taken for the
 * only one, whose bytes are shown as they come.
 */
void console_expect_guest(const char *name);
/*
 * Returns the number that Ctrl-A attaches by (1…), or -ENOSPC. A guest whose name had a number gets that again, and
 * who was attached when it was removed is attached again, unless something was typed meanwhile.
 */
MUST_CHECK int console_add_guest(const struct console_guest *guest);
/* Its unfinished line comes out: it will not be finished. */
void console_flush_guest(int number);
/* 0: never added. */
void console_remove_guest(int number);
void console_guest_write(int number, const uint8_t *bytes, size_t count);

/* --- the view --- */

/* CONSOLE_SHELL, or a guest's number. */
void console_attach(int number);
int console_attached(void);
/* Who gets what is typed: a guest's number, or CONSOLE_SHELL. As long as nobody has asked for the shell and one guest has
 * ever been there or expected, that guest. */
int console_input_target(void);
/* The number of the guest of that name, or -ENOENT. */
int console_find_guest(const char *name);

/* Says by which keys one gets to whom. */
void console_introduce_guests(void);

/* --- the shell --- */

/* Whole lines, or a screen full, that only who looks at the shell's view sees. As console_write otherwise. */
void console_shell_write(const char *text, size_t length);
/* The row that stays below all output in the shell's view, as soon as somebody has typed for the shell or attached it. */
void console_set_prompt(const struct console_prompt *prompt);
/* Makes a line of what the row shows; there is no prompt then. */
void console_end_prompt(void);

/* --- input --- */

/*
 * What was typed, from an interrupt; queued for who is looked at then until console_deliver_input(number) takes it on
 * the CPU that runs that guest, or console_take_shell_input() for the shell, whoever is attached by that time. It is
 * dropped with a guest that goes. power_off is what Ctrl-A x asks for.
 */
void console_input(const uint8_t *bytes, size_t count);
/* The guest of the lowest number above this one (0: of all) that has not taken all that was typed for it; 0: there is none. */
int console_next_with_input(int number);
void console_deliver_input(int number);
bool console_shell_has_input(void);
/* Returns how many bytes were typed for the shell, up to size. */
size_t console_take_shell_input(uint8_t *bytes, size_t size);
bool console_wants_power_off(void);
/* Ctrl-A d was typed since this was last asked. */
bool console_take_dump_request(void);

#endif
