/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building a VM, step by step, and taking it apart in reverse. The wiring is here: which line goes
 * where, which port has which device. Invariant: a guest's second-level tables hold its own RAM (and
 * what its engine adds for the local APIC), nothing else.
 */
#include "kernel/machine.h"
#include "arch/arch.h"
#include "arch/x86/guest/acpi_tables.h"
#include "arch/x86/guest/boot.h"
#include "arch/x86/guest/cpuid.h"
#include "arch/x86/regs.h"
#include "kernel/console.h"
#include "kernel/heap.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/multiboot2.h"
#include "kernel/page.h"
#include "kernel/pt.h"
#include "kernel/random.h"
#include "kernel/stage2.h"

static unsigned next_vm_id = 1;
static struct vcpu *console_vcpus[CONSOLE_GUESTS_MAX + 1]; /* by console number */
/*
 * Guards console_vcpus: who reaches a vCPU through it holds the lock until it has made its request, so that the
 * vCPU is not freed meanwhile. Taken with interrupts off. A kick needs no other lock.
 */
static struct lock console_vcpus_lock;

/* --- lines --- */

static void request_event(void *context)
{
    struct vcpu *vcpu = context;

    vcpu_request(vcpu, REQUEST_EVENT);
}

/* An ISA interrupt reaches both kinds of controller; the guest listens to one. */
static void set_isa_line(void *context, unsigned input, bool level)
{
    struct platform *p = context;

    pic_set_line(&p->pic, input, level);
    ioapic_set_line(&p->ioapic, input == PIT_IRQ ? GUEST_PIT_GSI : input, level);
}

static struct irq_line isa_line(struct platform *p, unsigned irq)
{
    return (struct irq_line){set_isa_line, p, irq};
}

static void set_intr(void *context, unsigned input, bool level)
{
    struct platform *p = context;

    lapic_set_lint(&p->lapic, input, level);
    if (level)
        request_event(p->vm->vcpu);
}

static void lapic_send(void *context, const struct apic_message *message)
{
    struct vcpu *vcpu = context;

    apic_bus_send(&vcpu->vm->platform->apic_bus, message);
}

static void lapic_broadcast_eoi(void *context, uint8_t vector)
{
    struct vcpu *vcpu = context;

    apic_bus_broadcast_eoi(&vcpu->vm->platform->apic_bus, vector);
}

/* INIT and STARTUP have nobody to wake as long as a VM has one vCPU. */
static void lapic_deliver(void *context, uint8_t delivery, uint8_t vector)
{
    (void)vector;
    vcpu_request(context, delivery == APIC_DELIVERY_NMI ? REQUEST_NMI : REQUEST_EVENT);
}

static const struct lapic_wiring lapic_wiring = {lapic_send, lapic_broadcast_eoi, request_event, lapic_deliver};

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

/* --- console: what is typed goes to the device that wrote last --- */

static void offer_input(void *context)
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
    offer_input(p);
}

static void uart_output(void *context, const uint8_t *bytes, size_t count)
{
    struct platform *p = context;

    p->console_is_virtio = false;
    console_guest_write(p->vm->vcpu->console, bytes, count);
}

static void virtio_output(void *context, const uint8_t *bytes, size_t count)
{
    struct platform *p = context;

    p->console_is_virtio = true;
    console_guest_write(p->vm->vcpu->console, bytes, count);
}

static void debug_output(void *context, const uint8_t *bytes, size_t count)
{
    struct platform *p = context;

    console_guest_write(p->vm->vcpu->console, bytes, count);
}

/* --- steps of building; each returns 0 or refuses --- */

static int refuse(struct vm *vm, const char *why)
{
    vm_config_refuse((struct vm_config *)vm->config, "%s", why);
    return -ENOMEM;
}

/* One extent of RAM in the largest block that is there; says how much it got. */
static int add_extent(struct vm *vm, uint64_t gpa, uint64_t wanted, uint64_t *got)
{
    unsigned order = MIN(page_order_for(wanted), PAGE_ORDER_MAX);
    hpa_t block;

    while (order > 0 && ((PAGE_SIZE << order) > wanted || !IS_ALIGNED(gpa, PAGE_SIZE << order)))
        order--;
    while (page_alloc_zeroed(order, &block) != 0)
        if (order-- == 0)
            return -ENOMEM;
    *got = PAGE_SIZE << order;
    if (stage2_map(vm->stage2, GPA(gpa), block, *got) == 0 && guest_mem_add(&vm->mem, GPA(gpa), *got, phys_to_virt(block)) == 0)
        return 0;
    page_free(block, order);
    return -ENOMEM;
}

static int add_ram(struct vm *vm, uint64_t gpa, uint64_t size)
{
    while (size > 0) {
        uint64_t got;
        int error = add_extent(vm, gpa, size, &got);

        if (error)
            return error;
        gpa += got;
        size -= got;
    }
    return 0;
}

static int make_memory(struct vm *vm)
{
    uint64_t size = vm->config->memory;

    vm->stage2 = heap_alloc(sizeof *vm->stage2);
    if (vm->stage2 && stage2_create(vm->stage2) != 0) {
        heap_free(vm->stage2);
        vm->stage2 = NULL; /* there is no root to destroy */
    }
    if (!vm->stage2)
        return refuse(vm, "no memory for its page tables");
    if (add_ram(vm, 0, guest_ram_below_hole(size)) != 0 || add_ram(vm, GUEST_HOLE_END, guest_ram_above_hole(size)) != 0)
        return refuse(vm, "too little memory is free for it");
    return 0;
}

static int make_platform(struct vm *vm)
{
    hpa_t page;

    vm->platform = heap_alloc(sizeof *vm->platform);
    if (!vm->platform || page_alloc_zeroed(PAGE_ORDER_4K, &page) != 0)
        return refuse(vm, "no memory for its devices");
    vm->platform->lapic_page = phys_to_virt(page);
    vm->platform->vm = vm;
    return 0;
}

static int make_vcpu(struct vm *vm, unsigned cpu)
{
    struct platform *p = vm->platform;
    struct vcpu *vcpu = heap_alloc(sizeof *vcpu);
    hpa_t xsave;

    vm->vcpu = vcpu;
    if (!vcpu)
        return refuse(vm, "no memory for its vCPU");
    vcpu->vm = vm;
    vcpu->cpu = cpu;
    vcpu->lapic = &p->lapic;
    vcpu->cpuid = heap_alloc(sizeof *vcpu->cpuid);
    if (!vcpu->cpuid || page_alloc_zeroed(PAGE_ORDER_4K, &xsave) != 0)
        return refuse(vm, "no memory for its vCPU");
    vcpu->xsave_area = phys_to_virt(xsave);
    guest_cpuid_init(vcpu->cpuid, 0, 1);
    vcpu->physical_bits = (uint8_t)guest_cpuid_find(vcpu->cpuid, 0x80000008, 0)->eax;
    vcpu->has_1g_pages = guest_cpuid_find(vcpu->cpuid, 0x80000001, 0)->edx & CPUID_81_EDX_PAGE1GB;
    lapic_init(&p->lapic, p->lapic_page, 0, true, &lapic_wiring, vcpu);
    if (vcpu_ops->vcpu_create(vcpu) != 0)
        return refuse(vm, "no memory for its vCPU");
    return 0;
}

static void init_interrupt_controllers(struct platform *p)
{
    int error;

    apic_bus_init(&p->apic_bus);
    error = apic_bus_attach(&p->apic_bus, &p->lapic);
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
    uart_init(&p->uart, isa_line(p, UART_COM1_IRQ), (struct chardev){uart_output, p});
    uart_on_room(&p->uart, offer_input, p);
    debug_port_init(&p->debug_port, (struct chardev){debug_output, p});
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
    {"reset", ACPI_PM_RESET_REGION_PORT, ACPI_PM_RESET_REGION_PORTS, IO_WIDTH_ANY, &acpi_pm_reset_ops, DEVICE(pm)},
    {"uart", UART_COM1_PORT, UART_PORTS, IO_WIDTH_1, &uart_ops, DEVICE(uart)},
    {"debug", DEBUG_PORT_CONSOLE, 1, IO_WIDTH_1, &debug_port_console_ops, DEVICE(debug_port)},
    {"post", DEBUG_PORT_POST, 1, IO_WIDTH_1, &debug_port_post_ops, DEVICE(debug_port)},
};

static const struct place debug_exit_place = {
    "debug-exit", DEBUG_EXIT_PORT, DEBUG_EXIT_PORTS, IO_WIDTH_1 | IO_WIDTH_2 | IO_WIDTH_4, &debug_exit_ops, DEVICE(debug_exit),
};

static const struct place mmio_places[] = {
    {"ioapic", GUEST_IOAPIC_BASE, PAGE_SIZE, IO_WIDTH_1 | IO_WIDTH_2 | IO_WIDTH_4, &ioapic_ops, DEVICE(ioapic)},
    {"lapic", GUEST_LAPIC_BASE, PAGE_SIZE, IO_WIDTH_1 | IO_WIDTH_2 | IO_WIDTH_4, &lapic_mmio_ops, DEVICE(lapic)},
};

/* Overlaps are bugs of the tables above. */
static void place(struct io_bus *bus, struct platform *p, const struct place *at)
{
    struct io_region region = {at->name, at->base, at->size, at->widths, at->ops, (char *)p + at->device};
    int error = io_bus_add(bus, &region);

    ASSERT(!error);
}

static void place_devices(struct vm *vm)
{
    for (unsigned i = 0; i < ARRAY_SIZE(port_places); i++)
        place(&vm->ports, vm->platform, &port_places[i]);
    if (vm->config->debug_exit)
        place(&vm->ports, vm->platform, &debug_exit_place);
    for (unsigned i = 0; i < ARRAY_SIZE(mmio_places); i++)
        place(&vm->mmio, vm->platform, &mmio_places[i]);
}

/* --- virtio --- */

static void set_gsi(void *context, unsigned input, bool level)
{
    struct platform *p = context;

    ioapic_set_line(&p->ioapic, input, level);
}

static int add_virtio(struct platform *p, struct virtio_device *device)
{
    unsigned n = p->transport_count;
    struct irq_line line = {set_gsi, p, guest_virtio_gsi(n)};
    struct io_region region = {"virtio", guest_virtio_base(n), GUEST_VIRTIO_BYTES, VIRTIO_MMIO_WIDTHS,
                               &virtio_mmio_ops, &p->transports[n]};

    if (n == GUEST_VIRTIO_MAX)
        return refuse(p->vm, "more virtio devices than there are places for");
    virtio_mmio_init(&p->transports[n], device, &line);
    p->transport_count++;
    return io_bus_add(&p->vm->mmio, &region);
}

static void *scratch_alloc(void *context)
{
    hpa_t page;

    (void)context;
    return page_alloc(PAGE_ORDER_4K, &page) == 0 ? phys_to_virt(page) : NULL;
}

static void scratch_free(void *context, void *page)
{
    (void)context;
    page_free(virt_to_phys(page), PAGE_ORDER_4K);
}

static struct guest_image image_of(const struct boot_info *boot, unsigned index)
{
    if (index == VM_IMAGE_NONE)
        return (struct guest_image){NULL, 0};
    return (struct guest_image){phys_to_virt(boot->modules[index].start), boot->modules[index].size};
}

static int add_disk(struct platform *p, const struct boot_info *boot, unsigned n)
{
    const struct vm_disk_config *config = &p->vm->config->disks[n];
    const struct ramdisk_pages pages = {scratch_alloc, scratch_free, NULL};
    struct guest_image image = image_of(boot, config->image);
    struct ramdisk *ramdisk = &p->ramdisks[n];

    if (config->mode == VM_DISK_RO)
        ramdisk_init_read_only(ramdisk, image.data, image.size);
    else if (ramdisk_init_scratch(ramdisk, image.data, image.size, image.size, &pages) != 0)
        return refuse(p->vm, "a disk's image is too large");
    memcpy(ramdisk->disk.id, config->id, MIN(sizeof ramdisk->disk.id, sizeof config->id));
    virtio_blk_init(&p->disks[n], &p->vm->mem, &ramdisk->disk);
    return add_virtio(p, &p->disks[n].device);
}

static int make_virtio(struct vm *vm, const struct boot_info *boot, struct random *random)
{
    struct platform *p = vm->platform;
    struct entropy_source entropy = random_entropy_source(random);
    struct chardev output = {virtio_output, p};
    int error;

    virtio_console_init(&p->console, &vm->mem, &output);
    virtio_rng_init(&p->rng, &vm->mem, &entropy);
    error = add_virtio(p, &p->console.device);
    error = error ? error : add_virtio(p, &p->rng.device);
    for (unsigned i = 0; i < vm->config->disk_count && !error; i++)
        error = add_disk(p, boot, i);
    return error;
}

/* --- images --- */

static const enum boot_format formats[] = {
    [VM_FORMAT_AUTO] = BOOT_AUTO,           [VM_FORMAT_LINUX] = BOOT_LINUX, [VM_FORMAT_PVH] = BOOT_PVH,
    [VM_FORMAT_MULTIBOOT] = BOOT_MULTIBOOT, [VM_FORMAT_FLAT] = BOOT_FLAT,
};

static int load_images(struct vm *vm, const struct boot_info *boot, struct vcpu_start *start)
{
    const struct vm_config *config = vm->config;
    struct acpi_request tables = {1, vm->platform->transport_count};
    struct guest_module modules[VM_MODULES_MAX];
    struct boot_request request = {
        .mem = &vm->mem,
        .ram_bytes = config->memory,
        .format = formats[config->format],
        .image = image_of(boot, config->kernel),
        .initrd = image_of(boot, config->initrd),
        .cmdline = config->cmdline,
        .modules = modules,
        .module_count = config->module_count,
        .load_address = GPA(config->load),
        .entry = GPA(config->entry_point),
        .entry_mode = config->entry == VM_ENTRY_REAL ? BOOT_ENTRY_REAL : BOOT_ENTRY_PROTECTED,
        .start = start,
    };
    const char *why;

    for (unsigned i = 0; i < config->module_count; i++)
        modules[i] = (struct guest_module){image_of(boot, config->modules[i].image), config->modules[i].cmdline};
    if (config->memory >= MIB(1) && acpi_tables_build(&tables, &vm->mem, &request.acpi_rsdp) != 0)
        return refuse(vm, "no room for its ACPI tables");
    return boot_load(&request, &why) == 0 ? 0 : refuse(vm, why);
}

static void set_console_vcpu(int number, struct vcpu *vcpu)
{
    uint64_t flags = arch_irq_save();

    lock_acquire(&console_vcpus_lock);
    console_vcpus[number] = vcpu;
    lock_release(&console_vcpus_lock);
    arch_irq_restore(flags);
}

static void request_of_console(int number, uint32_t requests)
{
    uint64_t flags = arch_irq_save();

    lock_acquire(&console_vcpus_lock);
    if (console_vcpus[number])
        vcpu_request(console_vcpus[number], requests);
    lock_release(&console_vcpus_lock);
    arch_irq_restore(flags);
}

static int attach_console(struct vm *vm)
{
    struct console_guest guest = {.receive = receive_input, .context = vm->platform};
    int number;

    memcpy(guest.name, vm->name, sizeof guest.name);
    number = console_add_guest(&guest);
    if (number < 0)
        return refuse(vm, "too many consoles");
    vm->vcpu->console = number;
    set_console_vcpu(number, vm->vcpu);
    return 0;
}

void machine_wake_console(void)
{
    request_of_console(console_input_target(), REQUEST_INPUT);
}

static int build(struct vm *vm, const struct boot_info *boot, struct random *random, unsigned cpu)
{
    int error = make_memory(vm);

    error = error ? error : make_platform(vm);
    error = error ? error : make_vcpu(vm, cpu);
    if (error)
        return error;
    init_interrupt_controllers(vm->platform);
    init_legacy_devices(vm->platform);
    place_devices(vm);
    error = make_virtio(vm, boot, random);
    error = error ? error : load_images(vm, boot, &vm->start);
    error = error ? error : attach_console(vm);
    io_bus_freeze(&vm->ports);
    io_bus_freeze(&vm->mmio);
    return error;
}

struct vm *machine_create(struct vm_config *config, const struct boot_info *boot, struct random *random, unsigned cpu)
{
    struct vm *vm = heap_alloc(sizeof *vm);

    if (!vm) {
        vm_config_refuse(config, "no memory for it");
        return NULL;
    }
    vm->id = next_vm_id++;
    vm->config = config;
    memcpy(vm->name, config->name, sizeof vm->name);
    if (build(vm, boot, random, cpu) == 0)
        return vm;
    machine_destroy(vm);
    return NULL;
}

void machine_dump_all(void)
{
    for (int i = 1; i <= CONSOLE_GUESTS_MAX; i++)
        request_of_console(i, REQUEST_DUMP);
}

/* SDM 2A, "FXSAVE": what FNINIT and the reset of MXCSR leave. */
static void reset_extended_state(struct vcpu *vcpu)
{
    uint8_t *area = vcpu->xsave_area;

    memset(area, 0, PAGE_SIZE);
    area[0] = 0x7f; /* FCW = 037f */
    area[1] = 0x03;
    area[24] = 0x80; /* MXCSR = 1f80 */
    area[25] = 0x1f;
    area[512] = 3; /* XSTATE_BV: x87 and SSE are as above, the rest is as after reset */
}

/* The guest's TSC starts at 0 with its first instruction. */
void machine_start(struct vm *vm)
{
    struct vcpu *vcpu = vm->vcpu;

    memcpy(vcpu->gpr, vm->start.gpr, sizeof vcpu->gpr);
    reset_extended_state(vcpu);
    vcpu->xcr0 = XCR0_X87;
    vcpu->dr6 = DR6_INIT;
    vcpu->tsc_offset = -clock_now();
    lapic_set_tsc_offset(vcpu->lapic, (int64_t)vcpu->tsc_offset);
    vcpu_ops->vcpu_reset(vcpu, &vm->start);
    if (vcpu->uses_virtual_delivery)
        lapic_use_virtual_delivery(vcpu->lapic);
}

static void destroy_platform(struct platform *p)
{
    struct timer *const timers[] = {&p->lapic.timer, &p->pit.timer, &p->rtc.timer, &p->pm.timer};

    for (unsigned i = 0; i < ARRAY_SIZE(timers); i++)
        timer_cancel(timers[i]);
    for (unsigned i = 0; i < p->transport_count; i++)
        timer_cancel(&p->transports[i].device->resume);
    for (unsigned i = 0; i < VM_DISKS_MAX; i++)
        if (p->ramdisks[i].root)
            ramdisk_revert(&p->ramdisks[i]);
    if (p->lapic_page)
        page_free(virt_to_phys(p->lapic_page), PAGE_ORDER_4K);
    heap_free(p);
}

static void destroy_vcpu(struct vcpu *vcpu)
{
    set_console_vcpu(vcpu->console, NULL);
    console_remove_guest(vcpu->console);
    if (vcpu->engine)
        vcpu_ops->vcpu_destroy(vcpu);
    if (vcpu->xsave_area)
        page_free(virt_to_phys(vcpu->xsave_area), PAGE_ORDER_4K);
    heap_free(vcpu->cpuid);
    heap_free(vcpu);
}

void machine_destroy(struct vm *vm)
{
    if (vm->stage2) {
        stage2_destroy(vm->stage2);
        heap_free(vm->stage2);
    }
    for (unsigned i = 0; i < vm->mem.count; i++)
        page_free(virt_to_phys(vm->mem.slots[i].host), page_order_for(vm->mem.slots[i].size));
    if (vm->platform)
        destroy_platform(vm->platform);
    if (vm->vcpu)
        destroy_vcpu(vm->vcpu);
    heap_free(vm);
}
