/* SPDX-License-Identifier: BSD-2-Clause */
/* The shell's commands for the life of VMs. Each looks first whether the VM's state allows it, and else says what would. */
#include "kernel/console.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "kernel/shell_command.h"

#define IN(state) (1u << (state))
#define HAS_VM    (IN(VM_CREATED) | IN(VM_RUNNING) | IN(VM_PAUSED) | IN(VM_STOPPING))

/* --- what is wrong --- */

/* How a VM comes from a state into one that is allowed. */
static const struct {
    unsigned from, to;
    const char *advice;
} ways[] = {
    {IN(VM_PAUSED), IN(VM_RUNNING), "resume it first"},
    {IN(VM_EMPTY) | IN(VM_CREATED), IN(VM_RUNNING) | IN(VM_PAUSED), "start it first"},
    {IN(VM_RUNNING), IN(VM_PAUSED), "pause it first"},
    {IN(VM_RUNNING) | IN(VM_PAUSED), IN(VM_EMPTY) | IN(VM_CREATED), "stop it first"},
    {IN(VM_STOPPING), ~0u, "wait, or stop it with --force"},
};

static bool is_in_state(const struct vm_slot *slot, unsigned allowed)
{
    const char *advice = "nothing to do";

    if (IN(slot->state) & allowed)
        return true;
    for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
        if ((ways[i].from & IN(slot->state)) && (ways[i].to & allowed)) {
            advice = ways[i].advice;
            break;
        }
    }
    shell_print("%s is %s; %s", slot->config->name, vm_state_name(slot->state), advice);
    return false;
}

void shell_explain_vm_error(const struct vm_slot *slot, int error)
{
    const char *name = slot->config->name;

    if (error == -EINVAL)
        shell_print("%s: %s", name, slot->config->reason.text);
    else if (error == -ENOMEM)
        shell_print("%s: too little memory is free", name);
    else if (error == -EBUSY)
        shell_print("%s is %s: not now", name, vm_state_name(slot->state));
    else
        shell_print("%s: error %d", name, -error);
}

/* --- life --- */

struct action {
    unsigned allowed; /* states */
    int (*act)(struct vm_slot *slot);
    const char *done;
};

static void do_action(const struct shell_call *call, const struct action *action)
{
    int error;

    if (!is_in_state(call->slot, action->allowed))
        return;
    error = action->act(call->slot);
    if (error)
        shell_explain_vm_error(call->slot, error);
    else
        shell_print("%s %s", call->slot->config->name, action->done);
}

static void vm_start(const struct shell_call *call)
{
    static const struct action action = {IN(VM_EMPTY) | IN(VM_CREATED), manager_start, "is running"};

    do_action(call, &action);
}

static void vm_pause(const struct shell_call *call)
{
    static const struct action action = {IN(VM_RUNNING), manager_pause, "is paused"};

    do_action(call, &action);
}

static void vm_resume(const struct shell_call *call)
{
    static const struct action action = {IN(VM_PAUSED), manager_resume, "is running"};

    do_action(call, &action);
}

static void vm_restart(const struct shell_call *call)
{
    static const struct action action = {IN(VM_RUNNING) | IN(VM_PAUSED) | IN(VM_STOPPING), manager_restart, "is running anew"};

    do_action(call, &action);
}

static void vm_stop_command(const struct shell_call *call)
{
    static const struct action ask = {IN(VM_RUNNING), manager_power_button, "was asked to stop by its power button"};
    static const struct action force = {HAS_VM, manager_stop, "is stopped"};

    if (call->slot->state == VM_EMPTY)
        shell_print("%s is stopped already", call->slot->config->name);
    else
        do_action(call, call->word[1][0] ? &force : &ask);
}

static void vm_balloon(const struct shell_call *call)
{
    const char *name = call->slot->config->name;
    int error;

    if (!is_in_state(call->slot, IN(VM_RUNNING)))
        return;
    error = manager_set_memory(call->slot, call->size);
    if (error == -ENOTSUP)
        shell_print("%s has no balloon", name);
    else if (error == -EINVAL)
        shell_print("%s was made with %luM: expected that or less", name, call->slot->config->memory >> 20);
    else if (error)
        shell_explain_vm_error(call->slot, error);
    else
        shell_print("%s was asked to live with %luM", name, call->size >> 20);
}

static int destroy(struct vm_slot *slot)
{
    int error = slot->state == VM_CREATED ? manager_stop(slot) : 0;

    return error ? error : manager_remove(slot);
}

static void vm_destroy(const struct shell_call *call)
{
    char name[VM_NAME_MAX + 1];
    int error;

    if (!is_in_state(call->slot, IN(VM_EMPTY) | IN(VM_CREATED)))
        return;
    memcpy(name, call->slot->config->name, sizeof name);
    error = destroy(call->slot);
    if (error)
        shell_explain_vm_error(call->slot, error);
    else
        shell_print("%s is gone", name);
}

/* --- looking --- */

static void show_slot(const struct vm_slot *slot)
{
    char console[12] = "-";

    if (slot->console)
        format_text(console, sizeof console, "%d", slot->console);
    shell_print("%-20s %-9s %5u %7luM %6u %7s  %s", slot->config->name, vm_state_name(slot->state), slot->config->vcpus,
                slot->config->memory >> 20, slot->starts, console,
                slot->last_reason == STOP_NONE ? "-" : stop_reason_name(slot->last_reason));
}

static void vm_list(const struct shell_call *call)
{
    struct vm_slot *slot;

    (void)call;
    if (!manager_slot(0)) {
        shell_print("there is no VM");
        return;
    }
    shell_print("%-20s %-9s %5s %8s %6s %7s  %s", "NAME", "STATE", "VCPUS", "MEMORY", "STARTS", "CONSOLE", "LAST STOP");
    for (unsigned i = 0; (slot = manager_slot(i)); i++)
        show_slot(slot);
}

static void attach(const struct shell_call *call)
{
    const char *name = call->slot->config->name;

    if (!is_in_state(call->slot, HAS_VM))
        return;
    if (call->slot->console <= 0) {
        shell_print("%s has no console", name);
        return;
    }
    shell_print("attached to %s; Ctrl-A 0 comes back here", name);
    console_attach(call->slot->console);
}

static void dump(const struct shell_call *call)
{
    const struct vm *vm = call->slot->vm;

    if (!is_in_state(call->slot, HAS_VM))
        return;
    for (unsigned i = 0; i < shell_vcpu_count(vm); i++)
        vcpu_request(shell_vcpu(vm, i), REQUEST_DUMP);
}

void shell_vm_init(void)
{
    static const struct shell_command commands[] = {
        {"vm list", {{SHELL_NOTHING, NULL}}, "every VM and its state", vm_list},
        {"vm show", {{SHELL_VM, "VM"}}, "its description, key by key", shell_vm_show},
        {"vm create",
         {{SHELL_NAME, "NAME"}, {SHELL_PAIRS, "like=VM [KEY=VALUE ...]"}},
         "a VM with another one's images",
         shell_vm_create},
        {"vm start", {{SHELL_VM, "VM"}}, "run it from its start", vm_start},
        {"vm pause", {{SHELL_VM, "VM"}}, "hold its vCPUs", vm_pause},
        {"vm resume", {{SHELL_VM, "VM"}}, "let them go on", vm_resume},
        {"vm restart", {{SHELL_VM, "VM"}}, "stop it by force, and start it", vm_restart},
        {"vm stop", {{SHELL_VM, "VM"}, {SHELL_CHOICE, "[--force]"}}, "press its power button, or pull the plug", vm_stop_command},
        {"vm balloon", {{SHELL_VM, "VM"}, {SHELL_SIZE, "SIZE"}}, "have its guest give memory back", vm_balloon},
        {"vm destroy", {{SHELL_VM, "VM"}}, "forget it and its description", vm_destroy},
        {"attach", {{SHELL_VM, "VM"}}, "its console; Ctrl-A 0 comes back", attach},
        {"dump", {{SHELL_VM, "VM"}}, "log its registers and last exits", dump},
    };

    shell_add_commands(commands, ARRAY_SIZE(commands));
}
