/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's platform devices: what makes a PC. The wiring is here: which line goes where, which port has which device.
 */
#include "arch/arch.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/lock.h"
#include "kernel/machine.h"
#include "kernel/machine_parts.h"
#include "kernel/machine_pci.h"
#include "kernel/pcpu.h"

#define PLATFORM_TIMERS_MAX (4 + GUEST_VIRTIO_MAX)

/* --- lines --- */

/* An ISA interrupt reaches both kinds of controller; the guest listens to one. */
void machine_set_isa_line(void *context, unsigned input, bool level)
{
    struct platform *p = context;

    pic_set_line(&p->pic, input, level);
    ioapic_set_line(&p->ioapic, input == PIT_IRQ ? GUEST_PIT_GSI : input, level);
}

static struct irq_line isa_line(struct platform *p, unsigned irq)
{
    return (struct irq_line){machine_set_isa_line, p, irq};
}

static void set_intr(void *context, unsigned input, bool level)
{
    struct platform *p = context;
    struct vcpu *boot_vcpu = p->vm->vcpus[0];

    lapic_set_lint(boot_vcpu->lapic, input, level);
    if (level)
        vcpu_request(boot_vcpu, REQUEST_EVENT);
}

/* --- power --- */

static void power_off(void *context)
{
    vm_stop(context, STOP_SHUTDOWN);
}

static void power_reset(void *context)
{
    vm_stop(context, STOP_RESET);
}

static void exited(void *context, uint32_t value)
{
    struct vm *vm = context;

    if (vm->stop_reason == STOP_NONE)
        vm->exit_status = value;
    vm_stop(vm, STOP_DEBUG_EXIT);
}

/* --- devices --- */

static void init_interrupt_controllers(struct platform *p)
{
    int error = 0;

    apic_bus_init(&p->apic_bus);
    for (unsigned i = 0; i < p->vm->vcpu_count && !error; i++)
        error = apic_bus_attach(&p->apic_bus, p->vm->vcpus[i]->lapic);
    error = error ? error : ioapic_init(&p->ioapic, &p->apic_bus);
    ASSERT(!error); /* both are bounded by layout.h */
    pic_init(&p->pic, (struct irq_line){set_intr, p, 0});
}

static void init_legacy_devices(struct platform *p)
{
    struct vm *vm = p->vm;
    struct power_sink power = {power_off, power_reset, vm};
    struct rtc_memory memory = {guest_ram_below_hole(vm->config->memory), guest_ram_above_hole(vm->config->memory)};

    pit_init(&p->pit, isa_line(p, PIT_IRQ));
    rtc_init(&p->rtc, isa_line(p, RTC_IRQ), memory, 0);
    i8042_init(&p->i8042, isa_line(p, I8042_KEYBOARD_IRQ), power);
    acpi_pm_init(&p->pm, isa_line(p, GUEST_SCI_GSI), power, GUEST_S5_SLP_TYP);
    uart_init(&p->uart, isa_line(p, UART_COM1_IRQ), (struct chardev){machine_uart_output, p});
    uart_on_room(&p->uart, machine_offer_input, p);
    debug_port_init(&p->debug_port, (struct chardev){machine_debug_output, p});
    debug_exit_init(&p->debug_exit, exited, vm);
}

/* --- the buses, by table --- */

struct place {
    const char *name;
    uint32_t base, size;
    unsigned widths;
    const struct io_region_ops *ops;
    size_t device; /* offset in struct platform */
};

#define DEVICE(member) offsetof(struct platform, member)

static const struct place port_places[] = {
    {"pic", PIC_MASTER_PORT, PIC_PORTS, IO_WIDTH_1, &pic_ops, DEVICE(pic.master)},
    {"pic", PIC_SLAVE_PORT, PIC_PORTS, IO_WIDTH_1, &pic_ops, DEVICE(pic.slave)},
    {"elcr", PIC_ELCR_PORT, PIC_ELCR_PORTS, IO_WIDTH_1, &pic_elcr_ops, DEVICE(pic)},
    {"pit", PIT_PORT, PIT_PORTS, IO_WIDTH_1, &pit_ops, DEVICE(pit)},
    {"port61", PIT_PORT61, PIT_PORT61_PORTS, IO_WIDTH_1, &pit_port61_ops, DEVICE(pit)},
    {"rtc", RTC_PORT, RTC_PORTS, IO_WIDTH_1, &rtc_ops, DEVICE(rtc)},
    {"i8042", I8042_DATA_PORT, 1, IO_WIDTH_1, &i8042_data_ops, DEVICE(i8042)},
    {"i8042", I8042_COMMAND_PORT, 1, IO_WIDTH_1, &i8042_command_ops, DEVICE(i8042)},
    {"port92", I8042_PORT92, 1, IO_WIDTH_1, &i8042_port92_ops, DEVICE(i8042)},
    {"pm", GUEST_PM1A_EVT_PORT, ACPI_PM_PORTS, IO_WIDTH_2 | IO_WIDTH_4, &acpi_pm_ops, DEVICE(pm)},
    {"uart", UART_COM1_PORT, UART_PORTS, IO_WIDTH_1, &uart_ops, DEVICE(uart)},
    {"debug", DEBUG_PORT_CONSOLE, 1, IO_WIDTH_1, &debug_port_console_ops, DEVICE(debug_port)},
    {"post", DEBUG_PORT_POST, 1, IO_WIDTH_1, &debug_port_post_ops, DEVICE(debug_port)},
};

/* Where there is a PCI bridge, its ports are around this one. */
static const struct place reset_place = {
    "reset", ACPI_PM_RESET_REGION_PORT, ACPI_PM_RESET_REGION_PORTS, IO_WIDTH_ANY, &acpi_pm_reset_ops, DEVICE(pm),
};

static const struct place debug_exit_place = {
    "debug-exit", DEBUG_EXIT_PORT, DEBUG_EXIT_PORTS, IO_WIDTH_1 | IO_WIDTH_2 | IO_WIDTH_4, &debug_exit_ops,
    DEVICE(debug_exit),
};

static const struct place mmio_places[] = {
    {"ioapic", GUEST_IOAPIC_BASE, PAGE_SIZE, IO_WIDTH_1 | IO_WIDTH_2 | IO_WIDTH_4, &ioapic_ops, DEVICE(ioapic)},
};

/* Every vCPU sees its own local APIC at the same address. */
static uint64_t own_lapic_read(void *device, uint64_t offset, unsigned width)
{
    (void)device;
    return lapic_mmio_ops.read(this_pcpu()->current->lapic, offset, width);
}

static void own_lapic_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    (void)device;
    lapic_mmio_ops.write(this_pcpu()->current->lapic, offset, width, value);
}

static const struct io_region_ops own_lapic_ops = {own_lapic_read, own_lapic_write};

static const struct io_region lapic_region = {
    "lapic", GUEST_LAPIC_BASE, PAGE_SIZE, IO_WIDTH_1 | IO_WIDTH_2 | IO_WIDTH_4, &own_lapic_ops, NULL, NULL,
};

static struct io_region region_of(struct platform *p, const struct place *at)
{
    return (struct io_region){at->name, at->base, at->size, at->widths, at->ops, (char *)p + at->device,
                              &p->vm->device_lock};
}

/* Overlaps are bugs of the tables above. */
static void place(struct io_bus *bus, struct platform *p, const struct place *at)
{
    struct io_region region = region_of(p, at);
    int error = io_bus_add(bus, &region);

    ASSERT(!error);
}

static void place_devices(struct vm *vm)
{
    int error = io_bus_add(&vm->mmio, &lapic_region);

    ASSERT(!error);
    for (unsigned i = 0; i < ARRAY_SIZE(port_places); i++)
        place(&vm->ports, vm->platform, &port_places[i]);
    if (!vm_config_has_pci(vm->config))
        place(&vm->ports, vm->platform, &reset_place);
    if (vm->config->debug_exit)
        place(&vm->ports, vm->platform, &debug_exit_place);
    for (unsigned i = 0; i < ARRAY_SIZE(mmio_places); i++)
        place(&vm->mmio, vm->platform, &mmio_places[i]);
}

void machine_make_devices(struct vm *vm)
{
    init_interrupt_controllers(vm->platform);
    init_legacy_devices(vm->platform);
    place_devices(vm);
}

int machine_make_pci(struct vm *vm)
{
    struct io_region reset = region_of(vm->platform, &reset_place);

    return vm_config_has_pci(vm->config) ? machine_pci_create(vm, &reset) : 0;
}

/* --- timers --- */

/* Timers that belong to the devices; each is under the lock of its device. */
static unsigned platform_timers(struct platform *p, struct timer *timers[PLATFORM_TIMERS_MAX])
{
    unsigned n = 0;

    timers[n++] = &p->pit.timer;
    timers[n++] = &p->rtc.timer;
    timers[n++] = &p->pm.timer;
    timers[n++] = &p->balloon_timer;
    for (unsigned i = 0; i < p->transport_count; i++)
        timers[n++] = &p->transports[i].device->resume;
    return n;
}

void machine_lock_timers(struct vm *vm)
{
    struct timer *timers[PLATFORM_TIMERS_MAX];
    unsigned count = platform_timers(vm->platform, timers);

    for (unsigned i = 0; i < count; i++)
        timers[i]->lock = &vm->device_lock;
}

void machine_cancel_timers(struct vm *vm)
{
    struct timer *timers[PLATFORM_TIMERS_MAX];
    unsigned count = platform_timers(vm->platform, timers);

    lock_acquire(&vm->device_lock);
    for (unsigned i = 0; i < count; i++)
        timer_cancel(timers[i]);
    lock_release(&vm->device_lock);
}
