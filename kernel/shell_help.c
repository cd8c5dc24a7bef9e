/* SPDX-License-Identifier: BSD-2-Clause */
/* What the shell says of its commands: help, and completion by Tab. */
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "kernel/manager.h"
#include "kernel/shell_command.h"

#define USAGE_BYTES  128u
#define USAGE_COLUMN "38"

/* --- help --- */

static void show_keys(void)
{
    for (unsigned i = 0; i < vm_config_table.count; i++)
        shell_print("  %-12s %s", vm_config_table.keys[i].name, vm_config_table.keys[i].help);
}

static bool takes_pairs(const struct shell_command *command)
{
    for (unsigned i = 0; i < SHELL_PARAMETERS_MAX; i++)
        if (command->parameters[i].kind == SHELL_PAIRS)
            return true;
    return false;
}

static void show_command(const struct shell_command *command)
{
    char usage[USAGE_BYTES];

    shell_format_usage(command, usage, sizeof usage);
    shell_print("%-" USAGE_COLUMN "s %s", usage, command->help);
}

/* Every command whose name is that, or begins with that word; all of them for "". Returns how many. */
static unsigned show_matching(const char *words)
{
    const struct shell_command *c;
    unsigned shown = 0;

    for (unsigned i = 0; (c = shell_command_at(i)); i++) {
        if (words[0] && strcmp(c->name, words) != 0 && !shell_subcommand(c, words))
            continue;
        show_command(c);
        shown++;
    }
    return shown;
}

void shell_help(const struct shell_call *call)
{
    struct config_cursor cursor = call->rest;
    char first[CONFIG_KEY_BYTES], second[CONFIG_KEY_BYTES], name[SHELL_NAME_BYTES];
    const struct shell_command *c;

    if (shell_next_word(&cursor, first) < 0 || shell_next_word(&cursor, second) < 0 || !first[0])
        first[0] = second[0] = '\0';
    format_text(name, sizeof name, second[0] ? "%s %s" : "%s", first, second);
    if (show_matching(name) == 0) {
        shell_print("no command '%s'; help lists all", name);
        return;
    }
    c = shell_find_command(name, &cursor);
    if (c && takes_pairs(c))
        show_keys();
    if (!first[0])
        shell_print("Tab completes, Ctrl-C drops the line; Ctrl-A h is the console's own help");
}

/* --- completion --- */

static void offer_names(const char *(*name_at)(unsigned index), const char *prefix, struct line_candidates *c)
{
    const char *name;

    for (unsigned i = 0; (name = name_at(i)); i++)
        line_candidates_offer(c, prefix, name);
}

static void offer_vms(const struct shell_parameter *parameter, const char *prefix, struct line_candidates *c)
{
    (void)parameter;
    offer_names(shell_vm_at, prefix, c);
}

static void offer_switches(const struct shell_parameter *parameter, const char *prefix, struct line_candidates *c)
{
    (void)parameter;
    offer_names(shell_switch_at, prefix, c);
}

static void offer_choices(const struct shell_parameter *parameter, const char *prefix, struct line_candidates *c)
{
    const char *at = parameter->text;
    char word[CONFIG_KEY_BYTES];

    while (shell_next_choice(&at, word))
        line_candidates_offer(c, prefix, word);
}

static void offer_once(struct line_candidates *c, const char *prefix, const char *word)
{
    for (unsigned i = 0; i < c->count; i++)
        if (strcmp(c->words[i], word) == 0)
            return;
    line_candidates_offer(c, prefix, word);
}

static void offer_first_words(const struct shell_parameter *parameter, const char *prefix, struct line_candidates *candidates)
{
    const struct shell_command *c;
    char word[CONFIG_KEY_BYTES];

    (void)parameter;
    for (unsigned i = 0; (c = shell_command_at(i)); i++) {
        struct config_cursor cursor = config_open(c->name);

        if (shell_next_word(&cursor, word) > 0)
            offer_once(candidates, prefix, word);
    }
}

static void offer_keys(const struct shell_parameter *parameter, const char *prefix, struct line_candidates *c)
{
    char word[LINE_EDITOR_WORD_BYTES + VM_NAME_MAX];
    struct vm_slot *slot;

    (void)parameter;
    if (strncmp(prefix, "like=", 5) != 0)
        line_candidates_offer(c, prefix, "like=");
    for (unsigned i = 0; i < vm_config_table.count; i++) {
        format_text(word, sizeof word, "%s=", vm_config_table.keys[i].name);
        line_candidates_offer(c, prefix, word);
    }
    for (unsigned i = 0; (slot = manager_slot(i)) && strncmp(prefix, "like=", 5) == 0; i++) {
        format_text(word, sizeof word, "like=%s", slot->config->name);
        line_candidates_offer(c, prefix, word);
    }
}

static void (*const offers[])(const struct shell_parameter *parameter, const char *prefix, struct line_candidates *c) = {
    [SHELL_VM] = offer_vms, [SHELL_SWITCH] = offer_switches, [SHELL_CHOICE] = offer_choices, [SHELL_COMMAND] = offer_first_words,
    [SHELL_PAIRS] = offer_keys,
};

static void offer_subcommands(const char *head, const char *prefix, struct line_candidates *candidates)
{
    struct config_cursor cursor = config_open(head);
    char first[CONFIG_KEY_BYTES], second[CONFIG_KEY_BYTES];
    const struct shell_command *c;

    if (shell_next_word(&cursor, first) <= 0 || shell_next_word(&cursor, second) != 0)
        return;
    for (unsigned i = 0; (c = shell_command_at(i)); i++)
        if (shell_subcommand(c, first))
            line_candidates_offer(candidates, prefix, shell_subcommand(c, first));
}

/* The parameter that the next word would be; NULL: none. What takes the rest of the line takes all words. */
static const struct shell_parameter *next_parameter(const struct shell_command *command, struct config_cursor rest)
{
    char word[CONFIG_KEY_BYTES];
    unsigned i = 0;

    while (i < SHELL_PARAMETERS_MAX && command->parameters[i].kind != SHELL_PAIRS && shell_next_word(&rest, word) > 0)
        i++;
    return i < SHELL_PARAMETERS_MAX && command->parameters[i].kind != SHELL_NOTHING ? &command->parameters[i] : NULL;
}

void shell_complete(const char *line, struct line_candidates *candidates)
{
    char head[LINE_EDITOR_BYTES];
    const struct shell_command *command;
    const struct shell_parameter *p;
    struct config_cursor rest;
    size_t start = strlen(line);

    while (start > 0 && line[start - 1] != ' ')
        start--;
    memcpy(head, line, start);
    head[start] = '\0';
    candidates->start = start;
    if (*head == '\0') {
        offer_first_words(NULL, line, candidates);
        return;
    }
    offer_subcommands(head, line + start, candidates);
    command = shell_find_command(head, &rest);
    p = command ? next_parameter(command, rest) : NULL;
    if (p && offers[p->kind])
        offers[p->kind](p, line + start, candidates);
}
