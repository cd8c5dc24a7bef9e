/* SPDX-License-Identifier: BSD-2-Clause */
/* The shell's commands for why guests stop running: how often by kind, and the last ones in detail. */
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "kernel/shell_command.h"
#include "kernel/timer.h"

#define TRACE_DEFAULT 16u
#define DETAIL_BYTES  48u

/* --- exits --- */

struct exit_counts {
    uint64_t exits[EXIT_KINDS], handled[EXIT_KINDS], ticks[EXIT_KINDS];
};

static void add_vcpu(struct exit_counts *sum, const struct vcpu *vcpu)
{
    const struct exit_ring *ring = vcpu->exit_ring;

    for (unsigned i = 0; i < EXIT_KINDS; i++) {
        sum->exits[i] += vcpu->exits[i];
        if (!ring)
            continue;
        sum->handled[i] += ring->handled[i];
        sum->ticks[i] += ring->ticks[i];
    }
}

/* Ticks by exit only where they were measured. */
static void show_counts(const char *name, const struct exit_counts *sum)
{
    for (unsigned i = 0; i < EXIT_KINDS; i++) {
        if (sum->handled[i])
            shell_print("%-20s %-16s %12lu %10lu", name, exit_name(i), sum->exits[i], sum->ticks[i] / sum->handled[i]);
        else if (sum->exits[i])
            shell_print("%-20s %-16s %12lu %10s", name, exit_name(i), sum->exits[i], "-");
    }
}

static void show_vm(const struct vm_slot *slot)
{
    struct exit_counts sum = {.exits = {0}};

    for (unsigned i = 0; i < shell_vcpu_count(slot->vm); i++)
        add_vcpu(&sum, shell_vcpu(slot->vm, i));
    show_counts(slot->config->name, &sum);
}

/* "web/0", "web/1", …: who asks for one VM wants to know which of its vCPUs it is. */
static void show_vcpus(const struct vm_slot *slot)
{
    for (unsigned i = 0; i < shell_vcpu_count(slot->vm); i++) {
        struct exit_counts sum = {.exits = {0}};
        char name[VM_NAME_BYTES + 4];

        format_text(name, sizeof name, "%s/%u", slot->config->name, i);
        add_vcpu(&sum, shell_vcpu(slot->vm, i));
        show_counts(name, &sum);
    }
}

static void exits(const struct shell_call *call)
{
    const struct vm_slot *slot;

    shell_print("%-20s %-16s %12s %10s", "VM", "EXIT", "COUNT", "TICKS/EXIT");
    for (unsigned i = 0; (slot = manager_slot(i)); i++)
        if (slot == call->slot && shell_vcpu_count(slot->vm) > 1)
            show_vcpus(slot);
        else if (!call->slot || slot == call->slot)
            show_vm(slot);
    shell_print("ticks are counted while a VM is traced: trace on VM");
}

/* --- trace --- */

static bool has_vm(const struct shell_call *call)
{
    if (!call->slot->vm)
        shell_print("%s is %s; start it first", call->slot->config->name, vm_state_name(call->slot->state));
    return call->slot->vm != NULL;
}

static void show_record(const struct vcpu *vcpu, const struct exit_record *record, uint64_t now)
{
    char detail[DETAIL_BYTES];

    trace_describe(record, detail, sizeof detail);
    shell_print("%4u %14lu %8u  %016lx %-12s %s", vcpu->index, now - record->tsc, record->ticks, record->rip,
                exit_name(record->kind), detail);
}

static void show_trace(const struct vcpu *vcpu, unsigned count)
{
    static struct exit_record records[EXIT_RING_RECORDS]; /* too large for a stack */
    unsigned got = trace_read(vcpu, records, MIN(count, EXIT_RING_RECORDS));
    uint64_t now = clock_now();

    for (unsigned i = 0; i < got; i++)
        show_record(vcpu, &records[i], now);
}

static void trace(const struct shell_call *call)
{
    const struct vm *vm = call->slot->vm;
    bool was_traced = false;

    if (!has_vm(call))
        return;
    for (unsigned i = 0; i < shell_vcpu_count(vm); i++)
        was_traced |= shell_vcpu(vm, i)->exit_ring != NULL;
    if (!was_traced) {
        shell_print("nothing is recorded of %s; trace on %s begins", vm->name, vm->name);
        return;
    }
    shell_print("%4s %14s %8s  %-16s %-12s %s", "VCPU", "TICKS AGO", "TICKS", "RIP", "EXIT", "WHAT");
    for (unsigned i = 0; i < shell_vcpu_count(vm); i++)
        show_trace(shell_vcpu(vm, i), call->word[1][0] ? call->number : TRACE_DEFAULT);
}

static void trace_on(const struct shell_call *call)
{
    const struct vm *vm = call->slot->vm;
    int error = 0;

    if (!has_vm(call))
        return;
    for (unsigned i = 0; i < shell_vcpu_count(vm) && !error; i++)
        error = trace_start(shell_vcpu(vm, i));
    if (error)
        shell_explain_vm_error(call->slot, error);
    else
        shell_print("%s is traced; trace %s shows the last exits", vm->name, vm->name);
}

static void trace_off(const struct shell_call *call)
{
    const struct vm *vm = call->slot->vm;

    if (!has_vm(call))
        return;
    for (unsigned i = 0; i < shell_vcpu_count(vm); i++)
        trace_stop(shell_vcpu(vm, i));
    shell_print("%s is not traced any more", vm->name);
}

void shell_exits_init(void)
{
    static const struct shell_command commands[] = {
        {"exits", {{SHELL_VM, "[VM]"}}, "why guests stopped running, how often", exits},
        {"trace on", {{SHELL_VM, "VM"}}, "record its exits from now on", trace_on},
        {"trace off", {{SHELL_VM, "VM"}}, "record no more", trace_off},
        {"trace", {{SHELL_VM, "VM"}, {SHELL_NUMBER, "[N]"}}, "its vCPUs' last N exits", trace},
    };

    shell_add_commands(commands, ARRAY_SIZE(commands));
}
