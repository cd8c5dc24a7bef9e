/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building a VM, step by step, and taking it apart in reverse; the steps are in machine_*.c. Invariant: a guest's
 * second-level tables hold its own RAM (and what its engine adds for the local APIC, machine_pci.c and machine_legacy.c
 * for devices that are its own, machine_shared.c for regions that it names), nothing else.
 */
#include "kernel/machine.h"
#include "arch/arch.h"
#include "kernel/control.h"
#include "kernel/heap.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/machine_parts.h"
#include "kernel/machine_pci.h"
#include "kernel/random.h"
#include "kernel/stage2.h"

static unsigned next_vm_id = 1;

int machine_refuse(struct vm *vm, const char *why)
{
    vm_config_refuse((struct vm_config *)vm->config, "%s", why);
    return -ENOMEM;
}

static int make_platform(struct vm *vm)
{
    vm->platform = heap_alloc(sizeof *vm->platform);
    if (!vm->platform)
        return machine_refuse(vm, "no memory for its devices");
    vm->platform->vm = vm;
    return 0;
}

/* Between long steps the guests of this CPU run. */
static int build(struct vm *vm, const struct boot_info *boot, struct random *random)
{
    int error = machine_make_memory(vm);

    control_yield();
    error = error ? error : make_platform(vm);
    control_yield();
    error = error ? error : machine_make_vcpus(vm);
    if (error)
        return error;
    machine_make_devices(vm);
    control_yield();
    error = machine_make_virtio(vm, boot, random);
    error = error ? error : machine_make_legacy(vm);
    control_yield();
    error = error ? error : machine_make_pci(vm);
    error = error ? error : machine_make_shared(vm);
    error = error ? error : machine_load_images(vm, boot);
    error = error ? error : machine_attach_console(vm);
    machine_lock_timers(vm);
    io_bus_freeze(&vm->ports);
    io_bus_freeze(&vm->mmio);
    return error;
}

struct vm *machine_create(struct vm_config *config, const struct boot_info *boot, struct random *random)
{
    struct vm *vm = heap_alloc(sizeof *vm);

    if (!vm) {
        vm_config_refuse(config, "no memory for it");
        return NULL;
    }
    vm->id = next_vm_id++;
    vm->config = config;
    memcpy(vm->name, config->name, sizeof vm->name);
    if (build(vm, boot, random) == 0)
        return vm;
    machine_destroy(vm);
    return NULL;
}

/* The guest's TSC starts at 0 with its first instruction. */
void machine_start(struct vm *vm)
{
    vm->tsc_offset = -clock_now();
    vm->live_vcpus = vm->vcpu_count;
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vm->vcpus[i]->requests = REQUEST_RESET;
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        int error = sched_add(&vm->vcpus[i]->task);

        ASSERT(!error); /* machine_create looked at its CPUs */
    }
}

void machine_press_power_button(struct vm *vm)
{
    lock_acquire(&vm->device_lock);
    acpi_pm_press_power_button(&vm->platform->pm);
    lock_release(&vm->device_lock);
}

/*
 * No timer of the VM fires any more, and once every CPU has been through its loop nobody is on the way to one of its
 * vCPUs, or holds a timer that it took off its heap before: all of them are cancelled before that. A local APIC's
 * does not arm itself again, since no CPU has the vCPU.
 */
static void silence(struct vm *vm)
{
    if (vm->platform)
        machine_cancel_timers(vm);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        if (vm->vcpus[i]->lapic)
            timer_cancel(&vm->vcpus[i]->lapic->timer);
    sched_synchronize();
}

static void free_platform(struct platform *p)
{
    machine_free_shared(p);
    machine_free_virtio(p);
    heap_free(p);
}

static void unplug(struct platform *p)
{
    machine_unplug_virtio(p);
    machine_unplug_shared(p);
}

/* Nothing is freed before all is unplugged: other guests' CPUs write into its memory and interrupt its vCPUs. */
void machine_destroy(struct vm *vm)
{
    bool is_unreachable; /* by devices */

    machine_detach_console(vm);
    if (vm->platform)
        unplug(vm->platform);
    machine_take_legacy_back(vm);
    is_unreachable = machine_pci_detach(vm) == 0;
    silence(vm);
    machine_pci_free(vm);
    machine_free_vcpus(vm);
    control_yield();
    if (vm->platform)
        free_platform(vm->platform);
    control_yield();
    if (is_unreachable)
        machine_free_memory(vm);
    else
        log_error("machine", "%s: its memory is not used again: a device may still reach it", vm->name);
    control_yield();
    if (vm->stage2) {
        stage2_destroy(vm->stage2);
        heap_free(vm->stage2);
    }
    heap_free(vm);
}
