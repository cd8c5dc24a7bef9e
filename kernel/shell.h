/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The management shell: lines that are typed at the console's number 0 become commands. All of it runs in the
 * control thread. A command is a row of a table; modules add rows of their own.
 */
#ifndef KERNEL_SHELL_H
#define KERNEL_SHELL_H

#include "kernel/config.h"
#include "kernel/lib/types.h"

#define SHELL_PARAMETERS_MAX 3u
#define SHELL_LINE_BYTES     512u

struct vm_slot;

enum shell_kind {
    SHELL_NOTHING,  /* the end of the parameters */
    SHELL_VM,       /* the name of a VM that there is */
    SHELL_NAME,     /* a new one */
    SHELL_NUMBER,
    SHELL_SIZE,     /* bytes: 256M */
    SHELL_SWITCH,   /* the name of a virtual switch that there is */
    SHELL_CHOICE,   /* one of the words of the parameter's text, which '|' separates */
    SHELL_COMMAND,  /* the rest of the line: a command's name, or the beginning of some */
    SHELL_PAIRS,    /* the rest of the line: key=value, by kernel/config.h */
};

/* text is how help shows it; one that begins with '[' may be left out. */
struct shell_parameter {
    enum shell_kind kind;
    const char *text;
};

/* What was typed, checked against the command's parameters. */
struct shell_call {
    const struct shell_command *command;
    char word[SHELL_PARAMETERS_MAX][CONFIG_KEY_BYTES]; /* by parameter; "": left out */
    struct vm_slot *slot;                              /* of SHELL_VM; NULL: left out */
    unsigned number;                                   /* of SHELL_NUMBER */
    uint64_t size;                                     /* of SHELL_SIZE */
    struct config_cursor rest;                         /* of SHELL_COMMAND and SHELL_PAIRS */
};

struct shell_command {
    const char *name; /* one word or two: "vm start" */
    struct shell_parameter parameters[SHELL_PARAMETERS_MAX];
    const char *help;
    void (*run)(const struct shell_call *call);
};

/* Before any input: the built-in commands, the prompt. */
void shell_init(void);
/* The rows live on. */
void shell_add_commands(const struct shell_command *commands, unsigned count);

/* Names of virtual switches, by number from 0; NULL past the end. Without it there are none. */
void shell_set_switches(const char *(*name_at)(unsigned index));

/* Something was typed for the shell. */
void shell_input(const uint8_t *bytes, size_t count);
/* About once a second, as long as shell_wants_tick(): a command shows something anew. */
void shell_tick(void);
bool shell_wants_tick(void);

/* --- for commands --- */

/* One line, without its end. */
PRINTF_LIKE(1, 2) void shell_print(const char *format, ...);

/* Calls refresh at each tick until it returns false, or q or Ctrl-C is typed. */
void shell_refresh(bool (*refresh)(void));

#endif
