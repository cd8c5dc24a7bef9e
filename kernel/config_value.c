/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The values of the grammar; see config.h. A type is one row: how to read the text and how to say
 * what was expected. Values are read into a local first, so that a bad one leaves the object as it
 * was.
 */
#include "kernel/config.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"

/* A command line in an error message is cut: what matters is which key it was. */
#define SHOWN_CHARACTERS 48

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decimal, or hexadecimal after 0x. Returns what follows the digits, NULL when there are none or
 * too many. */
static const char *read_digits(const char *text, uint64_t *value)
{
    int base = text[0] == '0' && text[1] == 'x' ? 16 : 10;
    uint64_t v = 0;

    if (base == 16)
        text += 2;
    if (digit(*text) < 0 || digit(*text) >= base)
        return NULL;
    for (; digit(*text) >= 0 && digit(*text) < base; text++)
        if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit(*text), &v))
            return NULL;
    *value = v;
    return text;
}

static bool read_whole_number(const char *text, uint64_t *value)
{
    const char *end = read_digits(text, value);

    return end && *end == '\0';
}

static bool is_in_range(const struct config_key *key, uint64_t value)
{
    return value >= key->min && value <= key->max;
}

static bool store_flag(const struct config_key *key, void *field, const char *text)
{
    bool value = text[0] == '1';

    (void)key;
    if ((text[0] != '0' && text[0] != '1') || text[1] != '\0')
        return false;
    memcpy(field, &value, sizeof value);
    return true;
}

static bool store_number(const struct config_key *key, void *field, const char *text)
{
    uint64_t value;
    unsigned number;

    if (!read_whole_number(text, &value) || !is_in_range(key, value) || value > UINT32_MAX)
        return false;
    number = (unsigned)value;
    memcpy(field, &number, sizeof number);
    return true;
}

/* The shift that a suffix means: K, M, G, T; -1 when it is none. */
static int suffix_shift(const char *suffix)
{
    static const char letters[] = "KMGT";
    char upper = (char)(*suffix & ~0x20);
    const char *letter = strchr(letters, upper);

    if (*suffix == '\0')
        return 0;
    if (!letter || upper == '\0' || suffix[1] != '\0')
        return -1;
    return 10 * (int)(letter - letters + 1);
}

static bool store_size(const struct config_key *key, void *field, const char *text)
{
    uint64_t value;
    const char *suffix = read_digits(text, &value);
    int shift = suffix ? suffix_shift(suffix) : -1;

    if (shift < 0 || value > UINT64_MAX >> shift)
        return false;
    value <<= shift;
    if (!is_in_range(key, value) || !IS_ALIGNED(value, PAGE_SIZE))
        return false;
    memcpy(field, &value, sizeof value);
    return true;
}

static bool store_address(const struct config_key *key, void *field, const char *text)
{
    uint64_t value;

    if (!read_whole_number(text, &value) || !is_in_range(key, value))
        return false;
    memcpy(field, &value, sizeof value);
    return true;
}

static const struct config_choice *find_choice(const struct config_key *key, const char *name,
                                               size_t length)
{
    for (const struct config_choice *c = key->choices; c->name; c++)
        if (strlen(c->name) == length && memcmp(c->name, name, length) == 0)
            return c;
    return NULL;
}

static bool store_choice(const struct config_key *key, void *field, const char *text)
{
    const struct config_choice *choice = find_choice(key, text, strlen(text));

    if (!choice)
        return false;
    memcpy(field, &choice->value, sizeof choice->value);
    return true;
}

static bool store_choices(const struct config_key *key, void *field, const char *text)
{
    unsigned mask = 0;

    for (;; text++) {
        const char *comma = strchr(text, ',');
        const char *end = comma ? comma : text + strlen(text);
        const struct config_choice *choice = find_choice(key, text, (size_t)(end - text));

        if (!choice)
            return false;
        mask |= choice->value;
        text = end;
        if (!comma)
            break;
    }
    memcpy(field, &mask, sizeof mask);
    return true;
}

/* One element of a list: N or N-M; adds its CPUs to the mask. Returns what follows, or NULL. */
static const char *read_cpu_range(const char *text, uint64_t *mask)
{
    uint64_t first = 0, last;
    const char *end = read_digits(text, &first);

    last = first;
    if (end && *end == '-')
        end = read_digits(end + 1, &last);
    if (!end || last >= 64 || first > last)
        return NULL;
    *mask |= (UINT64_MAX >> (63 - (last - first))) << first;
    return end;
}

static bool store_cpu_list(const struct config_key *key, void *field, const char *text)
{
    uint64_t mask = 0;

    (void)key;
    text = read_cpu_range(text, &mask);
    while (text && *text == ',')
        text = read_cpu_range(text + 1, &mask);
    if (!text || *text != '\0')
        return false;
    memcpy(field, &mask, sizeof mask);
    return true;
}

static bool store_text(const struct config_key *key, void *field, const char *text)
{
    size_t length = strlen(text);

    if (length > key->max)
        return false;
    memcpy(field, text, length + 1);
    return true;
}

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static bool store_name(const struct config_key *key, void *field, const char *text)
{
    for (const char *c = text; *c; c++)
        if (!is_name_character(*c))
            return false;
    return text[0] != '\0' && store_text(key, field, text);
}

/* --- what was expected, in words --- */

struct words {
    char text[CONFIG_ERROR_BYTES];
    size_t length;
};

PRINTF_LIKE(2, 3) static void say(struct words *words, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    words->length += format_text_va(words->text + words->length, sizeof words->text - words->length,
                                    format, args);
    va_end(args);
    words->length = MIN(words->length, sizeof words->text - 1);
}

static void say_flag(const struct config_key *key, struct words *words)
{
    (void)key;
    say(words, "0 or 1");
}

static void say_number(const struct config_key *key, struct words *words)
{
    say(words, "a number from %llu to %llu", (unsigned long long)key->min,
        (unsigned long long)key->max);
}

static void say_bytes(struct words *words, uint64_t value)
{
    static const char letters[] = "\0KMGT";
    unsigned unit = 0;

    for (; unit < 4 && value > 0 && value % 1024 == 0; unit++)
        value /= 1024;
    say(words, "%llu%.1s", (unsigned long long)value, &letters[unit]);
}

static void say_size(const struct config_key *key, struct words *words)
{
    say(words, "a size like 256M, whole pages, from ");
    say_bytes(words, key->min);
    say(words, " to ");
    say_bytes(words, key->max);
}

static void say_address(const struct config_key *key, struct words *words)
{
    say(words, "an address like 0x7c00, from 0x%llx to 0x%llx", (unsigned long long)key->min,
        (unsigned long long)key->max);
}

static void say_choice(const struct config_key *key, struct words *words)
{
    for (const struct config_choice *c = key->choices; c->name; c++)
        say(words, "%s%s", c == key->choices ? "" : c[1].name ? ", " : " or ", c->name);
}

static void say_choices(const struct config_key *key, struct words *words)
{
    say(words, "a list with commas of ");
    say_choice(key, words);
}

static void say_cpu_list(const struct config_key *key, struct words *words)
{
    (void)key;
    say(words, "CPU numbers up to 63, like 1,2 or 0-3");
}

static void say_text(const struct config_key *key, struct words *words)
{
    say(words, "at most %llu characters", (unsigned long long)key->max);
}

static void say_name(const struct config_key *key, struct words *words)
{
    say(words, "a name of a-z, 0-9, _ and -, of ");
    say_text(key, words);
}

static const struct {
    bool (*store)(const struct config_key *key, void *field, const char *text);
    void (*say_expected)(const struct config_key *key, struct words *words);
} types[] = {
    [CONFIG_FLAG] = {store_flag, say_flag},
    [CONFIG_NUMBER] = {store_number, say_number},
    [CONFIG_SIZE] = {store_size, say_size},
    [CONFIG_ADDRESS] = {store_address, say_address},
    [CONFIG_CHOICE] = {store_choice, say_choice},
    [CONFIG_CHOICES] = {store_choices, say_choices},
    [CONFIG_CPU_LIST] = {store_cpu_list, say_cpu_list},
    [CONFIG_TEXT] = {store_text, say_text},
    [CONFIG_NAME] = {store_name, say_name},
};

/* --- the interface --- */

const struct config_key *config_find(const struct config_table *table, const char *name)
{
    for (unsigned i = 0; i < table->count; i++)
        if (strcmp(table->keys[i].name, name) == 0)
            return &table->keys[i];
    return NULL;
}

int config_store(const struct config_key *key, void *object, const struct config_pair *pair,
                 struct config_error *error)
{
    struct words expected = {.length = 0};

    if (types[key->type].store(key, (char *)object + key->offset, pair->value))
        return 0;
    types[key->type].say_expected(key, &expected);
    config_explain(error, "%s=%.*s: expected %s", pair->key, SHOWN_CHARACTERS, pair->value,
                   expected.text);
    return -EINVAL;
}

void config_explain(struct config_error *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    format_text_va(error->text, sizeof error->text, format, args);
    va_end(args);
    for (char *c = error->text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
}

void config_explain_token(struct config_error *error, const struct config_pair *pair, int result)
{
    const char *why = result == -E2BIG       ? "too long"
                      : pair->key[0] == '\0' ? "expected a key before ="
                                             : "the quote never ends";

    config_explain(error, "%s=%.*s: %s", pair->key, SHOWN_CHARACTERS, pair->value, why);
}

const char *config_choice_name(const struct config_choice *choices, unsigned value)
{
    for (; choices->name; choices++)
        if (choices->value == value)
            return choices->name;
    return "?";
}
