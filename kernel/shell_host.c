/* SPDX-License-Identifier: BSD-2-Clause */
/* The shell's commands for the machine itself: CPUs, memory, the log, its end. */
#include "arch/arch.h"
#include "kernel/heap.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/page.h"
#include "kernel/pcpu.h"
#include "kernel/shared_memory.h"
#include "kernel/shell_command.h"

#define LIST_BYTES 256u
#define CPU_BYTES  64u

static const char *const level_names[] = {[LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

/* A vCPU stays as long as its VM, which this thread alone takes apart. */
static void show_cpu(const struct pcpu *cpu)
{
    const struct vcpu *vcpu = READ_ONCE(cpu->current);
    char text[CPU_BYTES] = "idle";

    if (vcpu)
        format_text(text, sizeof text, "%s/%u", vcpu->vm->name, vcpu->index);
    shell_print("%4u %8u  %-8s %s", cpu->id, cpu->apic_id, !cpu->is_online ? "offline" : cpu->runs_guests ? "yes" : "no", text);
}

static void cpus(const struct shell_call *call)
{
    (void)call;
    shell_print("%4s %8s  %-8s %s", "CPU", "APIC ID", "GUESTS", "RUNS");
    for (unsigned i = 0; i < pcpu_count; i++)
        show_cpu(&pcpus[i]);
}

static void show_vm_memory(const struct vm_slot *slot)
{
    char given_back[LIST_BYTES] = "", guest[LIST_BYTES] = "";
    struct vm_memory m;

    manager_get_memory(slot, &m);
    if (m.missing)
        format_text(given_back, sizeof given_back, ", %lu MiB (%lu pages) given back", m.missing >> 8, m.missing);
    if (m.has_stats)
        format_text(guest, sizeof guest, "; its guest has %lu MiB free of %lu", m.guest_free_bytes >> 20,
                    m.guest_total_bytes >> 20);
    shell_print("%-20s %8lu MiB%s%s", slot->config->name, m.pages >> 8, given_back, guest);
}

static void show_regions(void)
{
    const struct shared_region *region;
    char name[SHARED_NAME_BYTES + 8];

    for (unsigned i = 0; (region = shared_memory_at(i)); i++) {
        format_text(name, sizeof name, "region %s", region->name);
        shell_print("%-20s %8lu KiB, %u VM%s", name, region->size >> 10, region->users, region->users > 1 ? "s" : "");
    }
}

static void mem(const struct shell_call *call)
{
    struct page_stats pages;
    struct heap_stats heap;
    unsigned order = PAGE_ORDER_MAX;
    const struct vm_slot *slot;

    (void)call;
    page_get_stats(&pages);
    heap_get_stats(&heap);
    while (order > 0 && pages.free_blocks[order] == 0)
        order--;
    shell_print("%-20s %8lu MiB", "total", pages.total_pages >> 8);
    shell_print("%-20s %8lu MiB (%lu pages), the largest block %lu KiB", "free", pages.free_pages >> 8, pages.free_pages,
                PAGE_SIZE << order >> 10);
    shell_print("%-20s %8lu KiB in %lu objects, %lu pages", "hypervisor's heap", heap.object_bytes >> 10, heap.objects, heap.pages);
    for (unsigned i = 0; (slot = manager_slot(i)); i++)
        if (slot->vm)
            show_vm_memory(slot);
    show_regions();
}

static void set_log(const struct shell_call *call)
{
    for (unsigned i = 0; i < ARRAY_SIZE(level_names); i++)
        if (strcmp(call->word[0], level_names[i]) == 0)
            log_level = i;
    shell_print("log level: %s", level_names[log_level]);
}

/* What is typed next is what a test is about: nothing here, nor in the console, allocates. */
static void fail(const struct shell_call *call)
{
    if (call->word[0][0])
        page_fail(call->number, 1);
    shell_print("allocations until one fails: %u", page_fails_in());
}

/* --- the end --- */

/* Who has not named the running VMs has perhaps forgotten them. */
static bool may_end(const struct shell_call *call)
{
    const struct vm_slot *slot;
    char list[LIST_BYTES];
    size_t n = 0;

    for (unsigned i = 0; (slot = manager_slot(i)) && n < sizeof list; i++)
        if (slot->state > VM_CREATED)
            n += format_text(list + n, sizeof list - n, "%s%s", n ? ", " : "", slot->config->name);
    if (n == 0 || call->word[0][0])
        return true;
    shell_print("%s: still there: %s; --force ends them", call->command->name, list);
    return false;
}

static void power_off(const struct shell_call *call)
{
    if (!may_end(call))
        return;
    log_event("event=exit status=0");
    arch_power_off(0);
}

static void reboot(const struct shell_call *call)
{
    if (!may_end(call))
        return;
    log_event("event=exit status=0");
    arch_reboot();
}

void shell_host_init(void)
{
    static const struct shell_command commands[] = {
        {"cpus", {{SHELL_NOTHING, NULL}}, "the machine's CPUs and what they run", cpus},
        {"mem", {{SHELL_NOTHING, NULL}}, "the machine's memory, and who has it", mem},
        {"log", {{SHELL_CHOICE, "[error|warn|info|debug]"}}, "what is logged: that and worse", set_log},
        {"fail", {{SHELL_NUMBER, "[N]"}}, "tests: the Nth allocation fails", fail},
        {"reboot", {{SHELL_CHOICE, "[--force]"}}, "reset the machine", reboot},
        {"poweroff", {{SHELL_CHOICE, "[--force]"}}, "switch the machine off", power_off},
    };

    shell_add_commands(commands, ARRAY_SIZE(commands));
}
