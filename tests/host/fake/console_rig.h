/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console with a screen that keeps what is shown, and three guests: two that take what is typed, and one that does not.
 * The console's state is static and guests are never taken back, so the tests of a program share them and each starts
 * unattached.
 */
#ifndef TESTS_HOST_FAKE_CONSOLE_RIG_H
#define TESTS_HOST_FAKE_CONSOLE_RIG_H

#include "tests/host/fake/fake.h"
#include "kernel/console.h"

extern char screen[8192];
extern size_t screen_length;

struct typist {
    struct console_typed queue;
    char typed[1024];
    size_t count;
};
extern struct typist web, db;

enum { WEB = 1, DB, MUTE };
extern char lines[MUTE + 1][CONSOLE_LINE_BYTES];

int console_rig_start(void **state); /* once a program */
int console_rig_set_up(void **state);

/* A guest's part, whose context is its typist. */
void receive_typed(void *context, const uint8_t *bytes, size_t count);

static inline void type(const char *text)
{
    console_input((const uint8_t *)text, strlen(text));
}

static inline void say(int number, const char *text)
{
    console_guest_write(number, (const uint8_t *)text, strlen(text));
}

static inline void log_text(const char *text)
{
    console_write(text, strlen(text));
}

#endif
