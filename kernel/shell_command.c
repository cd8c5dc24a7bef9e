/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a typed line to a checked call, by the table of commands; see shell.h. A line is either run as a whole or
 * answered with what was expected: nothing is guessed, so that a slip never means another VM.
 */
#include "kernel/shell_command.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "kernel/manager.h"

#define TABLES_MAX  16u
#define SLIPS_MAX   2u /* of one word that may have been meant as another */
#define USAGE_BYTES 128u
#define LIST_BYTES  384u
#define NUMBER_MAX  1000000u

static struct table {
    const struct shell_command *commands;
    unsigned count;
} tables[TABLES_MAX];
static unsigned table_count;
static const char *(*switch_at)(unsigned index);
static struct config_pair pair; /* too large for a stack */

/* --- the table --- */

void shell_add_commands(const struct shell_command *commands, unsigned count)
{
    if (table_count < TABLES_MAX)
        tables[table_count++] = (struct table){commands, count};
}

const struct shell_command *shell_command_at(unsigned index)
{
    for (unsigned i = 0; i < table_count; i++) {
        if (index < tables[i].count)
            return &tables[i].commands[index];
        index -= tables[i].count;
    }
    return NULL;
}

void shell_set_switches(const char *(*name_at)(unsigned index))
{
    switch_at = name_at;
}

const char *shell_vm_at(unsigned index)
{
    const struct vm_slot *slot = manager_slot(index);

    return slot ? slot->config->name : NULL;
}

const char *shell_switch_at(unsigned index)
{
    return switch_at ? switch_at(index) : NULL;
}

static const struct shell_command *find_name(const char *name)
{
    const struct shell_command *c;

    for (unsigned i = 0; (c = shell_command_at(i)); i++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

const char *shell_subcommand(const struct shell_command *command, const char *first_word)
{
    size_t length = strlen(first_word);

    if (strncmp(command->name, first_word, length) != 0 || command->name[length] != ' ')
        return NULL;
    return command->name + length + 1;
}

bool shell_is_optional(const struct shell_parameter *parameter)
{
    return parameter->text[0] == '[';
}

void shell_format_usage(const struct shell_command *command, char *text, size_t size)
{
    size_t n = format_text(text, size, "%s", command->name);

    for (unsigned i = 0; i < SHELL_PARAMETERS_MAX && command->parameters[i].kind != SHELL_NOTHING && n < size; i++)
        n += format_text(text + n, size - n, " %s", command->parameters[i].text);
}

/* --- words --- */

int shell_next_word(struct config_cursor *cursor, char word[CONFIG_KEY_BYTES])
{
    const char *start = cursor->at;
    int result = config_next(cursor, &pair);

    memcpy(word, pair.key, CONFIG_KEY_BYTES);
    for (; start < cursor->at; start++)
        if (*start == '=')
            return -EINVAL;
    return result < 0 ? -EINVAL : result;
}

static bool is_at_end(struct config_cursor cursor)
{
    char word[CONFIG_KEY_BYTES];

    return shell_next_word(&cursor, word) == 0;
}

const struct shell_command *shell_find_command(const char *line, struct config_cursor *rest)
{
    char first[CONFIG_KEY_BYTES], second[CONFIG_KEY_BYTES], both[SHELL_NAME_BYTES];
    struct config_cursor cursor = config_open(line);
    const struct shell_command *c = NULL;

    if (shell_next_word(&cursor, first) <= 0)
        return NULL;
    *rest = cursor;
    if (shell_next_word(&cursor, second) > 0) {
        format_text(both, sizeof both, "%s %s", first, second);
        c = find_name(both);
    }
    if (!c)
        return find_name(first);
    *rest = cursor;
    return c;
}

bool shell_next_choice(const char **text, char word[CONFIG_KEY_BYTES])
{
    size_t length = 0;

    while (**text == '[' || **text == '|')
        (*text)++;
    for (; **text && **text != '|' && **text != ']' && length + 1 < CONFIG_KEY_BYTES; (*text)++)
        word[length++] = **text;
    word[length] = '\0';
    return length > 0;
}

/* --- what was meant? --- */

/* Levenshtein's distance of two names. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[SHELL_NAME_BYTES + 1];
    size_t columns = strnlen(b, SHELL_NAME_BYTES);

    for (unsigned j = 0; j <= columns; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1]; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            unsigned above = row[j], change = diagonal + (a[i - 1] != b[j - 1]);

            row[j] = MIN(change, 1 + MIN(above, row[j - 1]));
            diagonal = above;
        }
    }
    return row[columns];
}

/* " (did you mean x?)", or nothing. */
struct guess {
    unsigned slips;
    char text[SHELL_NAME_BYTES + 24];
};

static void guess(struct guess *g, const char *typed, const char *meant)
{
    unsigned slips = distance(typed, meant);

    if (slips >= g->slips || slips >= MIN(strlen(meant), strlen(typed)))
        return;
    g->slips = slips;
    format_text(g->text, sizeof g->text, "; did you mean '%s'?", meant);
}

static void say_subcommands(const char *first)
{
    const struct shell_command *c;
    const char *second;
    char list[LIST_BYTES];
    size_t n = 0;

    for (unsigned i = 0; (c = shell_command_at(i)) && n < sizeof list; i++)
        if ((second = shell_subcommand(c, first)))
            n += format_text(list + n, sizeof list - n, "%s%s", n ? ", " : "", second);
    shell_print("%s what? %s", first, list);
}

static bool is_group(const char *first)
{
    const struct shell_command *c;

    for (unsigned i = 0; (c = shell_command_at(i)); i++)
        if (shell_subcommand(c, first))
            return true;
    return false;
}

static void explain_unknown(const char *line)
{
    char first[CONFIG_KEY_BYTES], second[CONFIG_KEY_BYTES], both[SHELL_NAME_BYTES];
    struct config_cursor cursor = config_open(line);
    bool has_first = shell_next_word(&cursor, first) > 0, has_second = shell_next_word(&cursor, second) > 0;
    bool is_half = has_first && is_group(first);
    struct guess g = {.slips = SLIPS_MAX + 1};
    const struct shell_command *c;

    format_text(both, sizeof both, "%s %s", first, second);
    for (unsigned i = 0; (c = shell_command_at(i)); i++)
        guess(&g, strchr(c->name, ' ') ? both : first, c->name);
    if (is_half && (!has_second || g.slips > SLIPS_MAX))
        say_subcommands(first);
    else
        shell_print("unknown command '%s'%s", is_half ? both : first, g.slips <= SLIPS_MAX ? g.text : "; help lists all");
}

static void explain_name(const char *kind, const char *name, const char *(*name_at)(unsigned index))
{
    struct guess g = {.slips = SLIPS_MAX + 1};
    const char *meant;
    char list[LIST_BYTES];
    size_t n = 0;

    for (unsigned i = 0; (meant = name_at(i)) && n < sizeof list; i++) {
        n += format_text(list + n, sizeof list - n, "%s%s", n ? ", " : "; there are: ", meant);
        guess(&g, name, meant);
    }
    shell_print("no %s '%s'%s%s", kind, name, g.text, n ? list : "; there is none");
}

/* --- parameters --- */

static bool parse_vm(struct shell_call *call, unsigned i)
{
    call->slot = manager_find(call->word[i]);
    if (!call->slot)
        explain_name("VM", call->word[i], shell_vm_at);
    return call->slot != NULL;
}

static bool parse_switch(struct shell_call *call, unsigned i)
{
    const char *name;

    for (unsigned n = 0; (name = shell_switch_at(n)); n++)
        if (strcmp(name, call->word[i]) == 0)
            return true;
    explain_name("switch", call->word[i], shell_switch_at);
    return false;
}

static bool store(const struct config_key *key, void *object, const char *word)
{
    struct config_error error;

    memcpy(pair.key, key->name, strlen(key->name) + 1);
    memcpy(pair.value, word, strlen(word) + 1);
    if (config_store(key, object, &pair, &error) == 0)
        return true;
    shell_print("%s", error.text);
    return false;
}

static bool parse_name(struct shell_call *call, unsigned i)
{
    static const struct config_key key = {.name = "name", .type = CONFIG_NAME, .max = VM_NAME_MAX};
    char name[VM_NAME_MAX + 1];

    return store(&key, name, call->word[i]);
}

static bool parse_number(struct shell_call *call, unsigned i)
{
    static const struct config_key key = {.name = "number", .type = CONFIG_NUMBER, .min = 1, .max = NUMBER_MAX};

    return store(&key, &call->number, call->word[i]);
}

static bool parse_size(struct shell_call *call, unsigned i)
{
    static const struct config_key key = {.name = "size", .type = CONFIG_SIZE, .min = PAGE_SIZE, .max = VM_MEMORY_MAX};

    return store(&key, &call->size, call->word[i]);
}

static bool parse_choice(struct shell_call *call, unsigned i)
{
    const char *at = call->command->parameters[i].text;
    char word[CONFIG_KEY_BYTES];

    while (shell_next_choice(&at, word))
        if (strcmp(word, call->word[i]) == 0)
            return true;
    shell_print("%s: '%s' is not %s", call->command->name, call->word[i], call->command->parameters[i].text);
    return false;
}

static void explain_usage(const struct shell_command *command, const char *what, const char *why)
{
    char usage[USAGE_BYTES];

    shell_format_usage(command, usage, sizeof usage);
    shell_print("%s: %s %s; usage: %s", command->name, what, why, usage);
}

/* Of each word its check; of what takes the rest of the line none. */
static bool (*const parsers[])(struct shell_call *call, unsigned i) = {
    [SHELL_VM] = parse_vm, [SHELL_NAME] = parse_name, [SHELL_NUMBER] = parse_number,
    [SHELL_SIZE] = parse_size, [SHELL_SWITCH] = parse_switch, [SHELL_CHOICE] = parse_choice,
    [SHELL_COMMAND] = NULL, [SHELL_PAIRS] = NULL,
};

static bool parse_parameter(struct shell_call *call, unsigned i)
{
    const struct shell_parameter *p = &call->command->parameters[i];
    int result;

    if (!parsers[p->kind]) {
        if (!shell_is_optional(p) && is_at_end(call->rest))
            explain_usage(call->command, p->text, "is missing");
        return shell_is_optional(p) || !is_at_end(call->rest);
    }
    result = shell_next_word(&call->rest, call->word[i]);
    if (result > 0)
        return parsers[p->kind](call, i);
    if (result < 0)
        explain_usage(call->command, call->word[i], "is no single word");
    else if (!shell_is_optional(p))
        explain_usage(call->command, p->text, "is missing");
    return result == 0 && shell_is_optional(p);
}

static bool parse(struct shell_call *call)
{
    char word[CONFIG_KEY_BYTES];

    for (unsigned i = 0; i < SHELL_PARAMETERS_MAX; i++) {
        enum shell_kind kind = call->command->parameters[i].kind;

        if (kind == SHELL_NOTHING)
            break;
        if (!parse_parameter(call, i))
            return false;
        if (!parsers[kind])
            return true;
    }
    if (shell_next_word(&call->rest, word) == 0)
        return true;
    explain_usage(call->command, word, "is too much");
    return false;
}

void shell_execute(const char *line)
{
    struct shell_call call = {.rest = config_open(line)};

    if (is_at_end(call.rest))
        return;
    call.command = shell_find_command(line, &call.rest);
    if (!call.command)
        explain_unknown(line);
    else if (parse(&call))
        call.command->run(&call);
}
