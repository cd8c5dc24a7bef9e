/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one grammar of everything that is typed at the hypervisor: its command line, module lines and
 * the console's commands.
 *
 *   line   = tokens separated by blanks
 *   token  = key=value, or a bare key, which means key=1
 *
 * Double or single quotes may enclose any part of a token, even all of it, and hide blanks: GRUB
 * hands on cmdline="a b" as "cmdline=a b". A backslash, quoted or not, takes the next character as
 * it is: GRUB puts one before each quote and backslash. Only \xHH stands for itself, because some
 * builds of GRUB (Fedora's) do not escape that, for the sake of kernels that decode it.
 *
 * On top, tables of keys say where a value is stored, what it may be and what to say when it is
 * not.
 */
#ifndef KERNEL_CONFIG_H
#define KERNEL_CONFIG_H

#include "kernel/lib/types.h"

#define CONFIG_KEY_BYTES   32
#define CONFIG_VALUE_BYTES 2048 /* a kernel's command line, with its NUL */
#define CONFIG_ERROR_BYTES 192

struct config_cursor {
    const char *at;
};

struct config_pair {
    char key[CONFIG_KEY_BYTES];
    char value[CONFIG_VALUE_BYTES];
};

/* One line for a person: "memory=12Q: expected a size like 256M". */
struct config_error {
    char text[CONFIG_ERROR_BYTES];
};

static inline struct config_cursor config_open(const char *line)
{
    return (struct config_cursor){line};
}

/*
 * Reads the next pair: 1 read, 0 at the end; -E2BIG: longer than a pair holds, -EINVAL: an empty
 * key or a quote that never ends. After an error the pair holds what was read of the token (for a
 * message) and the next call goes on behind it.
 */
MUST_CHECK int config_next(struct config_cursor *cursor, struct config_pair *pair);

enum config_type {
    CONFIG_FLAG,     /* bool: 0 or 1 */
    CONFIG_NUMBER,   /* unsigned; min..max */
    CONFIG_SIZE,     /* uint64_t of bytes: a number with K, M, G or T, whole pages; min..max */
    CONFIG_ADDRESS,  /* uint64_t; min..max */
    CONFIG_CHOICE,   /* unsigned, or an enum: one of choices */
    CONFIG_CHOICES,  /* unsigned: the bits of some of choices, separated by commas */
    CONFIG_CPU_LIST, /* uint64_t mask: 0-3,6 */
    CONFIG_TEXT,     /* char[max + 1] */
    CONFIG_NAME,     /* char[max + 1], not empty: a-z 0-9 _ - */
};

struct config_choice {
    const char *name;
    unsigned value; /* of CONFIG_CHOICES: a bit */
};

struct config_key {
    const char *name;
    enum config_type type;
    size_t offset; /* of the field in the object that is filled */
    uint64_t min, max;
    const struct config_choice *choices; /* ends with a name of NULL */
    const char *help;
};

struct config_table {
    const struct config_key *keys;
    unsigned count;
};

#define CONFIG_TABLE(array)        \
    {                              \
        (array), ARRAY_SIZE(array) \
    }

/* NULL when the table has no such key. */
const struct config_key *config_find(const struct config_table *table, const char *name);

/* Stores a pair's value in the object, or says in error what was expected (-EINVAL, nothing
 * stored). */
MUST_CHECK int config_store(const struct config_key *key, void *object,
                            const struct config_pair *pair, struct config_error *error);

/* Fills error->text; control characters of what was typed become '?'. */
PRINTF_LIKE(2, 3) void config_explain(struct config_error *error, const char *format, ...);

/* What config_next's error means, with the offending token. */
void config_explain_token(struct config_error *error, const struct config_pair *pair, int result);

/* Of CONFIG_CHOICE: the name of a value ("?" when it has none), for log lines. */
const char *config_choice_name(const struct config_choice *choices, unsigned value);

#endif
