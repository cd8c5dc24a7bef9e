/* SPDX-License-Identifier: BSD-2-Clause */
/* The shell's table of commands: finding, checking, completing, explaining. */
#ifndef KERNEL_SHELL_COMMAND_H
#define KERNEL_SHELL_COMMAND_H

#include "kernel/line_editor.h"
#include "kernel/manager.h"
#include "kernel/shell.h"

#define SHELL_NAME_BYTES (2 * CONFIG_KEY_BYTES) /* of a command: two words */

/* Runs a line, or says what was expected. A blank one does nothing. */
void shell_execute(const char *line);

line_complete_fn shell_complete;

/* --- the table --- */

/* All commands, in the order in which they were added; NULL past the end. */
const struct shell_command *shell_command_at(unsigned index);
/* The command that the line begins with, and what follows its name; NULL: none. */
const struct shell_command *shell_find_command(const char *line, struct config_cursor *rest);
/* Of a name of two words the second one, if the first is that; else NULL. */
const char *shell_subcommand(const struct shell_command *command, const char *first_word);
bool shell_is_optional(const struct shell_parameter *parameter);
/* The next bare word: 1, 0 at the end, or -EINVAL of what is none (word then begins like it). */
MUST_CHECK int shell_next_word(struct config_cursor *cursor, char word[CONFIG_KEY_BYTES]);

/* Names of VMs and of virtual switches; NULL past the end. */
const char *shell_vm_at(unsigned index);
const char *shell_switch_at(unsigned index);

/* "vm stop VM [--force]" */
void shell_format_usage(const struct shell_command *command, char *text, size_t size);

/* The words of a choice, one by one: "[on|off]" has two. False: no more. */
bool shell_next_choice(const char **text, char word[CONFIG_KEY_BYTES]);

/* --- VMs, as more than one file sees them --- */

/* Says what is wrong after one of the manager's errors. */
void shell_explain_vm_error(const struct vm_slot *slot, int error);

/* A VM's vCPUs. */
static inline unsigned shell_vcpu_count(const struct vm *vm)
{
    return vm ? vm->vcpu_count : 0;
}

static inline struct vcpu *shell_vcpu(const struct vm *vm, unsigned index)
{
    return vm->vcpus[index];
}

static inline uint64_t shell_vcpu_exits(const struct vcpu *vcpu)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < EXIT_KINDS; i++)
        sum += vcpu->exits[i];
    return sum;
}

/* --- the commands of the shell itself, by file --- */

void shell_help(const struct shell_call *call);
void shell_vm_create(const struct shell_call *call);
void shell_vm_show(const struct shell_call *call);
void shell_vm_init(void);
void shell_host_init(void);
void shell_top_init(void);
void shell_exits_init(void);

#endif
