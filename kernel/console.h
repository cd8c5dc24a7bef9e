/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One serial line (and whatever screen there is) for the log and every guest's console. Output of
 * different sources never shares a line; in the unattached view a guest's lines are prefixed "[name] ".
 */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include "kernel/lib/types.h"
#include "drivers/backend.h"

#define CONSOLE_SINKS_MAX   4
#define CONSOLE_GUESTS_MAX  64
#define CONSOLE_NAME_BYTES  32

/* Adds a place where output goes: COM1, port 0xE9, a screen. Boot CPU, before the APs run. */
void console_add_sink(const struct chardev *sink);
void console_remove_sink(const struct chardev *sink);

/* Whole lines of the hypervisor; any CPU. */
void console_write(const char *text, size_t length);

/* The panicking CPU takes the console: no lock is waited for from now on. */
void console_break_locks(void);

/* A guest's console: its output, and who takes what is typed for it. */
struct console_guest {
    char name[CONSOLE_NAME_BYTES];
    void (*receive)(void *context, const uint8_t *bytes, size_t count);
    void *context;
};

/* Returns the number that Ctrl-A attaches by (1…), or -ENOSPC. */
MUST_CHECK int console_add_guest(const struct console_guest *guest);
/* Its unfinished line comes out: it will not be finished. */
void console_flush_guest(int number);
/* 0: never added. */
void console_remove_guest(int number);
void console_guest_write(int number, const uint8_t *bytes, size_t count);

/* 0: the unattached view. */
void console_attach(int number);
int console_attached(void);
/* Who gets what is typed; 0: nobody. */
int console_input_target(void);
/* The number of the guest of that name, or -ENOENT. */
int console_find_guest(const char *name);

/*
 * What was typed, from the UART's interrupt; queued until console_deliver_input(number) takes it on the
 * CPU that runs that guest, and dropped if another one is attached before that. power_off is what Ctrl-A x asks for.
 */
void console_input(const uint8_t *bytes, size_t count);
void console_deliver_input(int number);
bool console_wants_power_off(void);
/* Ctrl-A d was typed since this was last asked. */
bool console_take_dump_request(void);

#endif
