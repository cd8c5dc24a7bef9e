/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a PC has at fixed places, and one VM may have instead of us: COM2 and the VGA. Each is with one VM at most. Ports
 * are passed by the engine's permission map and memory by the second-level tables, so that nothing of an access is ours;
 * COM2's interrupt, an edge, is handed on.
 *
 * A guest makes as many edges as it writes to COM2's registers, without an exit, and whoever runs on the CPU that they go
 * to pays for them: what is more than a line can need is held back until the next tick.
 */
#include "arch/x86/device_irq.h"
#include "arch/x86/guest/layout.h"
#include "arch/x86/io.h"
#include "arch/x86/ioapic.h"
#include "drivers/host/pci.h"
#include "drivers/ns16550.h"
#include "drivers/pci_regs.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/lock.h"
#include "kernel/log.h"
#include "kernel/machine.h"
#include "kernel/machine_function.h"
#include "kernel/machine_parts.h"
#include "kernel/pcpu.h"
#include "kernel/stage2.h"
#include "kernel/timer.h"
#include "kernel/vcpu_ops.h"

#define COM2_PORT     0x2f8u
#define COM2_PORTS    8u
#define COM2_IRQ      3u
#define COM2_TICKS_PER_SECOND 10u
#define COM2_INTERRUPTS_MAX   5000u /* in a tick; a byte at a time at 115,200 bits a second, both ways, is half of that */
#define VGA_PORT      0x3b0u /* to 3dfh: of both kinds of monitor */
#define VGA_PORTS     0x30u
#define VGA_MISC_READ 0x3ccu
#define NOTHING_THERE 0xffu

void (*machine_leave_screen)(void);

static struct vm *com2_owner, *vga_owner;
static struct device_irq com2_irq;
static struct lock com2_lock; /* guards what follows, and changes of com2_owner; interrupts are off */
static struct timer com2_timer; /* armed: its interrupt is masked until then */
static uint64_t com2_tick_end;
static unsigned com2_interrupts; /* in this tick */
static bool com2_was_reported;

const struct vm *machine_vga_owner(void)
{
    return vga_owner;
}

static int pass_ports(struct vm *vm, uint16_t first, unsigned count)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        if (vcpu_ops->own_ports(vm->vcpus[i]) != 0)
            return machine_refuse(vm, "no memory for its port permissions");
        vcpu_ops->pass_ports(vm->vcpus[i], first, count, true);
    }
    return 0;
}

/* --- COM2 --- */

static bool has_com2(void)
{
    io_out8(COM2_PORT + UART_SCR, 0x5a);
    return io_in8(COM2_PORT + UART_SCR) == 0x5a;
}

/* As after power-on: nobody sees what went through it before, and it interrupts nobody. */
static void quiet_com2(void)
{
    io_out8(COM2_PORT + UART_LCR, 0);
    io_out8(COM2_PORT + UART_IER, 0);
    io_out8(COM2_PORT + UART_MCR, 0);
    io_out8(COM2_PORT + UART_FCR, UART_FCR_ENABLE | UART_FCR_RESET_RX | UART_FCR_RESET_TX);
    io_out8(COM2_PORT + UART_FCR, 0);
    io_out8(COM2_PORT + UART_SCR, 0);
}

/* The line stays high until the next edge, so that a PIC that looks late still finds it. */
static void hand_on(struct platform *p)
{
    machine_set_isa_line(p, COM2_IRQ, false);
    machine_set_isa_line(p, COM2_IRQ, true);
}

static void begin_tick(void)
{
    com2_tick_end = clock_now() + clock_hz() / COM2_TICKS_PER_SECOND;
    com2_interrupts = 0;
}

/* An edge that came meanwhile was lost: this one is in its stead. */
static void tick_is_over(void *context)
{
    begin_tick();
    host_ioapic_set_isa_mask(COM2_IRQ, false);
    hand_on(context);
}

static void hold_back(void)
{
    if (!com2_was_reported)
        log_warn("legacy", "COM2: more than %u interrupts a second: held back", COM2_INTERRUPTS_MAX * COM2_TICKS_PER_SECOND);
    com2_was_reported = true;
    host_ioapic_set_isa_mask(COM2_IRQ, true);
    timer_arm(&com2_timer, com2_tick_end);
}

/* An interrupt handler. */
static void on_com2(void *context)
{
    hand_on(context);
    lock_acquire(&com2_lock);
    if (clock_now() >= com2_tick_end)
        begin_tick();
    if (++com2_interrupts >= COM2_INTERRUPTS_MAX && com2_owner)
        hold_back();
    lock_release(&com2_lock);
}

static void set_com2_owner(struct vm *vm)
{
    lock_acquire(&com2_lock);
    com2_owner = vm;
    if (!vm)
        timer_cancel(&com2_timer);
    lock_release(&com2_lock);
}

static int route_com2(struct vm *vm)
{
    struct host_ioapic_target target;

    com2_irq = (struct device_irq){.handler = on_com2, .context = vm->platform};
    timer_init(&com2_timer, tick_is_over, vm->platform);
    com2_timer.lock = &com2_lock;
    com2_was_reported = false;
    if (device_irq_take(&com2_irq, vm->config->cpus) != 0)
        return machine_refuse(vm, "serial=COM2: no interrupt vector is left");
    target = (struct host_ioapic_target){pcpus[com2_irq.cpu].apic_id, com2_irq.vector};
    if (host_ioapic_route_isa(COM2_IRQ, &target))
        return 0;
    device_irq_release(&com2_irq);
    return machine_refuse(vm, "serial=COM2: its interrupt cannot be routed");
}

static int give_com2(struct vm *vm)
{
    int error;

    if (com2_owner)
        return machine_refuse(vm, "serial=COM2: another VM has it");
    if (!has_com2())
        return machine_refuse(vm, "serial=COM2: the machine has none");
    quiet_com2();
    error = pass_ports(vm, COM2_PORT, COM2_PORTS);
    error = error ? error : route_com2(vm);
    if (error)
        return error;
    set_com2_owner(vm);
    log_info("legacy", "COM2 is %s's", vm->name);
    return 0;
}

static void take_com2_back(void)
{
    set_com2_owner(NULL);
    host_ioapic_set_isa_mask(COM2_IRQ, true);
    device_irq_release(&com2_irq);
    quiet_com2();
}

/* --- VGA --- */

/* For good: what mode a guest leaves it in nobody knows. */
void machine_release_screen(void)
{
    if (machine_leave_screen)
        machine_leave_screen();
    machine_leave_screen = NULL;
}

/* Whoever has a display by its PCI address has its VGA, too. */
static bool is_display_given(void)
{
    for (unsigned i = 0; i < pci_count(); i++)
        if (pci_at(i)->base_class == PCI_CLASS_DISPLAY && machine_function_find(pci_at(i)->address))
            return true;
    return false;
}

static int map_vga(struct vm *vm)
{
    int error = stage2_unmap(vm->stage2, GPA(GUEST_VGA_BASE), GUEST_VGA_BYTES);

    if (!error)
        error = stage2_map_device(vm->stage2, GPA(GUEST_VGA_BASE), HPA(GUEST_VGA_BASE), GUEST_VGA_BYTES);
    return error ? machine_refuse(vm, "vga: no memory for its page tables") : 0;
}

static int give_vga(struct vm *vm)
{
    int error;

    if (vga_owner || is_display_given())
        return machine_refuse(vm, "vga: another VM has it");
    if (io_in8(VGA_MISC_READ) == NOTHING_THERE)
        return machine_refuse(vm, "vga: the machine has none");
    error = map_vga(vm);
    error = error ? error : pass_ports(vm, VGA_PORT, VGA_PORTS);
    if (error)
        return error;
    vga_owner = vm;
    machine_release_screen();
    log_info("legacy", "VGA is %s's", vm->name);
    return 0;
}

/* --- both --- */

int machine_make_legacy(struct vm *vm)
{
    int error = 0;

    if (vm->config->serial == VM_SERIAL_COM2)
        error = give_com2(vm);
    if (vm->config->vga && !error)
        error = give_vga(vm);
    return error;
}

void machine_take_legacy_back(struct vm *vm)
{
    if (com2_owner == vm)
        take_com2_back();
    if (vga_owner == vm)
        vga_owner = NULL;
}

bool machine_legacy_owns_port(const struct vm *vm, uint16_t port)
{
    return (vm == com2_owner && port - COM2_PORT < COM2_PORTS) || (vm == vga_owner && port - VGA_PORT < VGA_PORTS);
}

bool machine_legacy_owns_memory(const struct vm *vm, hpa_t hpa, uint64_t size)
{
    return vm == vga_owner && hpa.value >= GUEST_VGA_BASE && range_fits(hpa.value - GUEST_VGA_BASE, size, GUEST_VGA_BYTES);
}
