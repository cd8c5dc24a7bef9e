/* SPDX-License-Identifier: BSD-2-Clause */
/* See machine_audit.h. */
#include "kernel/machine_audit.h"
#include "kernel/audit.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/machine_parts.h"
#include "kernel/machine_pci.h"
#include "kernel/manager.h"
#include "kernel/shared_memory.h"
#include "kernel/shell.h"

#define LINE_BYTES 160u

static bool is_named(const struct vm *vm, const char *region)
{
    for (unsigned i = 0; i < vm->config->shared_count; i++)
        if (strcmp(vm->config->shared[i].name, region) == 0)
            return true;
    return false;
}

static bool is_shared(const struct vm *vm, const struct pt_mapping *page)
{
    const struct shared_region *r;

    for (unsigned i = 0; (r = shared_memory_at(i)); i++)
        if (page->hpa.value >= r->memory.value && range_fits(page->hpa.value - r->memory.value, page->size, r->size))
            return is_named(vm, r->name);
    return false;
}

static bool is_given(const struct vm *vm, const struct pt_mapping *page)
{
    if (page->attributes & PT_UNCACHED)
        return machine_pci_is_own(vm, page->hpa, page->size) || machine_legacy_owns_memory(vm, page->hpa, page->size);
    return is_shared(vm, page);
}

static bool is_port_given(const struct vm *vm, uint16_t port)
{
    return machine_pci_owns_port(vm, port) || machine_legacy_owns_port(vm, port);
}

static const struct vm *find_vm(const char *name)
{
    const struct vm_slot *slot = manager_find(name);

    return slot ? slot->vm : NULL;
}

/* VMs that have never run have no bitmaps in force. */
static bool is_still(const struct vm_slot *slot)
{
    return slot->state == VM_PAUSED ||
           (slot->state > VM_CREATED && __atomic_load_n(&slot->vm->live_vcpus, __ATOMIC_ACQUIRE) == 0);
}

/* hold: those that run stand still for a moment, one after the other. */
static void audit_slot(struct audit *a, struct vm_slot *slot, bool hold)
{
    bool is_held = hold && manager_pause(slot) == 0;

    audit_vm(a, slot->vm, is_still(slot));
    if (is_held)
        (void)!manager_resume(slot);
}

static void audit_all(struct audit *a, bool hold)
{
    struct vm_slot *slot;

    for (unsigned i = 0; (slot = manager_slot(i)); i++)
        if (slot->vm)
            audit_slot(a, slot, hold);
    if (audit_iommu(a, find_vm) != 0) {
        a->violations++;
        a->report(a->context, "the IOMMU does not hold what was written into it");
    }
}

static bool run(char *line, void (*report)(void *context, const char *text), bool hold)
{
    struct audit a = {.is_given = is_given, .is_port_given = is_port_given, .report = report};

    if (audit_begin(&a) != 0) {
        report(NULL, "no memory for the audit");
        return false;
    }
    audit_all(&a, hold);
    audit_end(&a);
    audit_format(&a, line, LINE_BYTES);
    return a.violations == 0;
}

static void log_violation(void *context, const char *text)
{
    (void)context;
    log_error("audit", "violation: %s", text);
}

static void before_the_end(void)
{
    char line[LINE_BYTES] = "";

    if (run(line, log_violation, false))
        log_info("audit", "%s", line);
    else
        log_error("audit", "%s", line);
}

static void print_violation(void *context, const char *text)
{
    (void)context;
    shell_print("violation: %s", text);
}

static void audit_command(const struct shell_call *call)
{
    char line[LINE_BYTES] = "";

    (void)call;
    (void)run(line, print_violation, true);
    shell_print("audit: %s", line);
}

void machine_audit_init(bool at_every_end)
{
    static const struct shell_command command = {
        "audit", {{SHELL_NOTHING, NULL}}, "does every VM, and every device, reach only what is its own?", audit_command};

    shell_add_commands(&command, 1);
    if (at_every_end)
        manager_before_destroy = before_the_end;
}
