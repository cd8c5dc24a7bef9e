/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between a VM's character devices and the machine's console. What is typed goes to the device that wrote last.
 */
#include "arch/arch.h"
#include "kernel/console.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/machine.h"
#include "kernel/machine_parts.h"

static struct vm *console_vms[CONSOLE_GUESTS_MAX + 1]; /* by console number */
/*
 * Guards console_vms: who reaches a VM through it holds the lock until it has made its request, so that the VM is
 * not freed meanwhile. Taken with interrupts off, before a queue's lock.
 */
static struct lock console_vms_lock;

void machine_offer_input(void *context)
{
    struct platform *p = context;
    size_t taken = p->console_is_virtio ? virtio_console_receive(&p->console, p->input, p->input_count)
                                        : uart_receive(&p->uart, p->input, p->input_count);

    p->input_count -= taken;
    memmove(p->input, p->input + taken, p->input_count);
}

static void receive_input(void *context, const uint8_t *bytes, size_t count)
{
    struct platform *p = context;
    size_t fits = MIN(count, sizeof p->input - p->input_count);

    memcpy(p->input + p->input_count, bytes, fits);
    p->input_count += fits;
    machine_offer_input(p);
}

void machine_uart_output(void *context, const uint8_t *bytes, size_t count)
{
    struct platform *p = context;

    p->console_is_virtio = false;
    console_guest_write(p->vm->console, bytes, count);
}

void machine_virtio_output(void *context, const uint8_t *bytes, size_t count)
{
    struct platform *p = context;

    p->console_is_virtio = true;
    console_guest_write(p->vm->console, bytes, count);
}

void machine_debug_output(void *context, const uint8_t *bytes, size_t count)
{
    struct platform *p = context;

    console_guest_write(p->vm->console, bytes, count);
}

static void set_console_vm(int number, struct vm *vm)
{
    uint64_t flags = arch_irq_save();

    lock_acquire(&console_vms_lock);
    console_vms[number] = vm;
    lock_release(&console_vms_lock);
    arch_irq_restore(flags);
}

/* The devices are everybody's, so the boot CPU takes what was typed. */
static void request_of_console(int number, uint32_t requests)
{
    uint64_t flags = arch_irq_save();

    lock_acquire(&console_vms_lock);
    if (console_vms[number])
        vcpu_request(console_vms[number]->vcpus[0], requests);
    lock_release(&console_vms_lock);
    arch_irq_restore(flags);
}

int machine_attach_console(struct vm *vm)
{
    struct console_guest guest = {.typed = &vm->platform->typed, .receive = receive_input, .context = vm->platform,
                                  .line = vm->platform->console_line};
    int number;

    memcpy(guest.name, vm->name, sizeof guest.name);
    number = console_add_guest(&guest);
    if (number < 0)
        return machine_refuse(vm, "too many consoles");
    vm->console = number;
    set_console_vm(number, vm);
    return 0;
}

void machine_wake_console(void)
{
    for (int number = 0; (number = console_next_with_input(number)) != 0;)
        request_of_console(number, REQUEST_INPUT);
}

void machine_detach_console(struct vm *vm)
{
    if (!vm->console)
        return;
    set_console_vm(vm->console, NULL);
    console_remove_guest(vm->console);
}

void machine_dump_all(void)
{
    for (int i = 1; i <= CONSOLE_GUESTS_MAX; i++)
        request_of_console(i, REQUEST_DUMP);
}
