/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building a VM, step by step, and taking it apart in reverse. The wiring is here: which line goes
 * where, which port has which device. Invariant: a guest's second-level tables hold its own RAM (and
 * what its engine adds for the local APIC, and machine_pci.c for devices that are its own), nothing else.
 */
#include "kernel/machine.h"
#include "arch/arch.h"
#include "arch/x86/guest/acpi_tables.h"
#include "arch/x86/guest/boot.h"
#include "arch/x86/guest/cpuid.h"
#include "arch/x86/guest/event.h"
#include "arch/x86/guest/world.h"
#include "arch/x86/regs.h"
#include "drivers/net/networks.h"
#include "kernel/ballooning.h"
#include "kernel/console.h"
#include "kernel/control.h"
#include "kernel/heap.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/machine_pci.h"
#include "kernel/multiboot2.h"
#include "kernel/page.h"
#include "kernel/pcpu.h"
#include "kernel/pt.h"
#include "kernel/random.h"
#include "kernel/stage2.h"

#define ZERO_STEP_BYTES      KIB(256)
#define PLATFORM_TIMERS_MAX  (3 + GUEST_VIRTIO_MAX)

static unsigned next_vm_id = 1;
static struct vm *console_vms[CONSOLE_GUESTS_MAX + 1]; /* by console number */
/*
 * Guards console_vms: who reaches a VM through it holds the lock until it has made its request, so that the VM is
 * not freed meanwhile. Taken with interrupts off, before a queue's lock.
 */
static struct lock console_vms_lock;

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
    struct vcpu *boot_vcpu = p->vm->vcpus[0];

    lapic_set_lint(boot_vcpu->lapic, input, level);
    if (level)
        request_event(boot_vcpu);
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

static const struct lapic_wiring lapic_wiring = {
    lapic_send, lapic_broadcast_eoi, request_event, event_deliver, event_timer_is_here,
};

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
    console_guest_write(p->vm->console, bytes, count);
}

static void virtio_output(void *context, const uint8_t *bytes, size_t count)
{
    struct platform *p = context;

    p->console_is_virtio = true;
    console_guest_write(p->vm->console, bytes, count);
}

static void debug_output(void *context, const uint8_t *bytes, size_t count)
{
    struct platform *p = context;

    console_guest_write(p->vm->console, bytes, count);
}

/* --- steps of building; each returns 0 or refuses --- */

static int refuse(struct vm *vm, const char *why)
{
    vm_config_refuse((struct vm_config *)vm->config, "%s", why);
    return -ENOMEM;
}

/* The guests of this CPU run in between. */
static void zero_slowly(uint8_t *at, uint64_t size)
{
    while (size > 0) {
        uint64_t piece = MIN(size, ZERO_STEP_BYTES);

        memset(at, 0, piece);
        at += piece;
        size -= piece;
        control_yield();
    }
}

/* One extent of RAM in the largest block that is there; says how much it got. */
static int add_extent(struct vm *vm, uint64_t gpa, uint64_t wanted, uint64_t *got)
{
    unsigned order = MIN(page_order_for(wanted), PAGE_ORDER_MAX);
    hpa_t block;

    while (order > 0 && ((PAGE_SIZE << order) > wanted || !IS_ALIGNED(gpa, PAGE_SIZE << order)))
        order--;
    while (page_alloc(order, &block) != 0)
        if (order-- == 0)
            return -ENOMEM;
    *got = PAGE_SIZE << order;
    zero_slowly(phys_to_virt(block), *got);
    if (stage2_map(vm->stage2, GPA(gpa), block, *got) == 0 &&
        guest_mem_add(&vm->mem, GPA(gpa), *got, phys_to_virt(block)) == 0)
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
    if (vm->config->balloon && ballooning_init_pages(vm) != 0)
        return refuse(vm, "no memory for its balloon");
    return 0;
}

static int make_platform(struct vm *vm)
{
    vm->platform = heap_alloc(sizeof *vm->platform);
    if (!vm->platform)
        return refuse(vm, "no memory for its devices");
    vm->platform->vm = vm;
    return 0;
}

static void *alloc_page(void)
{
    hpa_t page;

    return page_alloc_zeroed(PAGE_ORDER_4K, &page) == 0 ? phys_to_virt(page) : NULL;
}

static void free_page(void *page)
{
    if (page)
        page_free(virt_to_phys(page), PAGE_ORDER_4K);
}

static int fill_vcpu(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    void *lapic_page;
    int error;

    vcpu->cpuid = heap_alloc(sizeof *vcpu->cpuid);
    vcpu->xsave_area = alloc_page();
    vcpu->lapic = heap_alloc(sizeof *vcpu->lapic);
    lapic_page = vcpu->lapic ? alloc_page() : NULL;
    if (!lapic_page || !vcpu->cpuid || !vcpu->xsave_area) {
        free_page(lapic_page);
        return -ENOMEM;
    }
    world_reset(vcpu);
    lapic_init(vcpu->lapic, lapic_page, vcpu->index, vcpu->index == 0, &lapic_wiring, vcpu);
    guest_cpuid_init(vcpu->cpuid, vcpu->index, vm->config->vcpus);
    vcpu->physical_bits = (uint8_t)guest_cpuid_find(vcpu->cpuid, 0x80000008, 0)->eax;
    vcpu->has_1g_pages = guest_cpuid_find(vcpu->cpuid, 0x80000001, 0)->edx & CPUID_81_EDX_PAGE1GB;
    /* The VM's cap is shared out: a vCPU alone cannot use it up for the others. */
    task_init(&vcpu->task, vcpu, vm->config->weight,
              (vm->config->cap + vm->config->vcpus - 1) / vm->config->vcpus, vm->config->cpus);
    error = vcpu_ops->vcpu_create(vcpu);
    if (!error && !vcpu->uses_virtual_delivery)
        guest_cpuid_offer_pv_eoi(vcpu->cpuid);
    return error;
}

static int make_vcpus(struct vm *vm)
{
    for (unsigned i = 0; i < vm->config->vcpus; i++) {
        struct vcpu *vcpu = heap_alloc(sizeof *vcpu);

        if (!vcpu)
            return refuse(vm, "no memory for its vCPUs");
        vcpu->vm = vm;
        vcpu->index = i;
        vm->vcpus[vm->vcpu_count++] = vcpu;
        if (fill_vcpu(vcpu) != 0)
            return refuse(vm, "no memory for its vCPUs");
        if (vcpu->task.cpus == 0)
            return refuse(vm, "none of the CPUs that it may use runs guests");
        control_yield();
    }
    return 0;
}

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
    if (vm->config->device_count == 0)
        place(&vm->ports, vm->platform, &reset_place);
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

/* Work that a guest's requests make is done while one of its vCPUs runs, and counts as that one's time. */
static bool is_own_time(void *context)
{
    struct vm *vm = context;
    const struct task *running = this_pcpu()->running;

    if (running && running->vcpu && running->vcpu->vm == vm)
        return true;
    vcpu_request(vm->vcpus[0], REQUEST_WORK);
    return false;
}

void machine_resume_devices(struct vm *vm)
{
    struct platform *p = vm->platform;

    lock_acquire(&vm->device_lock);
    for (unsigned i = 0; i < p->transport_count; i++)
        virtio_device_resume(p->transports[i].device);
    lock_release(&vm->device_lock);
}

static int add_virtio(struct platform *p, struct virtio_device *device)
{
    unsigned n = p->transport_count;
    struct irq_line line = {set_gsi, p, guest_virtio_gsi(n)};
    struct io_region region = {"virtio", guest_virtio_base(n), GUEST_VIRTIO_BYTES, VIRTIO_MMIO_WIDTHS,
                               &virtio_mmio_ops, &p->transports[n], &p->vm->device_lock};

    if (n == GUEST_VIRTIO_MAX)
        return refuse(p->vm, "more virtio devices than there are places for");
    device->worker = (struct virtio_worker){is_own_time, p->vm};
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

static int attach_port(struct platform *p, struct random *random, unsigned n)
{
    const struct vm_net_config *config = &p->vm->config->nets[n];
    struct switch_port_config port = {
        .vlan = (uint16_t)config->vlan,
        .mtu = (uint16_t)config->mtu,
        .rate = config->rate,
        .is_trunk = config->is_trunk,
        .is_isolated = config->is_isolated,
        .checks_source = config->spoof_check,
    };
    struct net_switch *network;
    uint64_t seed;

    random_fill(random, &seed, sizeof seed);
    network = networks_get(config->network, seed);
    if (!network)
        return refuse(p->vm, "too many switches, or no memory for one");
    format_text(port.name, sizeof port.name, "%s.%u", p->vm->name, n);
    memcpy(port.mac, config->mac, sizeof port.mac);
    switch (switch_attach(network, &port, &p->ports[n])) {
    case 0:
        return 0;
    case -EEXIST:
        return refuse(p->vm, "another card on the switch has the address of one of its own");
    default:
        return refuse(p->vm, "its switch has no port left");
    }
}

static int add_net(struct platform *p, struct random *random, unsigned n)
{
    const struct vm_net_config *config = &p->vm->config->nets[n];
    struct virtio_net_settings settings = {
        .may_change_mac = !config->spoof_check,
        .pairs = config->queues,
        .mtu = (uint16_t)config->mtu,
    };
    int error = attach_port(p, random, n);

    if (error)
        return error;
    memcpy(settings.mac, config->mac, sizeof settings.mac);
    virtio_net_init(&p->nets[n], &p->vm->mem, &settings, &p->ports[n]->netdev);
    return add_virtio(p, &p->nets[n].device);
}

static int add_balloon(struct platform *p)
{
    if (!p->vm->config->balloon)
        return 0;
    ballooning_init_device(p->vm);
    return add_virtio(p, &p->balloon.device);
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
    for (unsigned i = 0; i < vm->config->net_count && !error; i++)
        error = add_net(p, random, i);
    return error ? error : add_balloon(p);
}

/* --- images --- */

static const enum boot_format formats[] = {
    [VM_FORMAT_AUTO] = BOOT_AUTO,           [VM_FORMAT_LINUX] = BOOT_LINUX, [VM_FORMAT_PVH] = BOOT_PVH,
    [VM_FORMAT_MULTIBOOT] = BOOT_MULTIBOOT, [VM_FORMAT_FLAT] = BOOT_FLAT,
};

static int load_images(struct vm *vm, const struct boot_info *boot, struct vcpu_start *start)
{
    const struct vm_config *config = vm->config;
    struct acpi_request tables = {vm->vcpu_count, vm->platform->transport_count, vm->platform->pci,
                                  machine_pci_has_high_window(vm)};
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

static int attach_console(struct vm *vm)
{
    struct console_guest guest = {.receive = receive_input, .context = vm->platform};
    int number;

    memcpy(guest.name, vm->name, sizeof guest.name);
    number = console_add_guest(&guest);
    if (number < 0)
        return refuse(vm, "too many consoles");
    vm->console = number;
    set_console_vm(number, vm);
    return 0;
}

void machine_wake_console(void)
{
    request_of_console(console_input_target(), REQUEST_INPUT);
}

/* Timers that belong to the devices; each is under the lock of its device. */
static unsigned platform_timers(struct platform *p, struct timer *timers[PLATFORM_TIMERS_MAX])
{
    unsigned n = 0;

    timers[n++] = &p->pit.timer;
    timers[n++] = &p->rtc.timer;
    timers[n++] = &p->pm.timer;
    for (unsigned i = 0; i < p->transport_count; i++)
        timers[n++] = &p->transports[i].device->resume;
    return n;
}

static void lock_timers(struct vm *vm)
{
    struct timer *timers[PLATFORM_TIMERS_MAX];
    unsigned count = platform_timers(vm->platform, timers);

    for (unsigned i = 0; i < count; i++)
        timers[i]->lock = &vm->device_lock;
}

static int make_pci(struct vm *vm)
{
    struct io_region reset = region_of(vm->platform, &reset_place);

    return vm->config->device_count ? machine_pci_create(vm, &reset) : 0;
}

static int build(struct vm *vm, const struct boot_info *boot, struct random *random)
{
    int error = make_memory(vm);

    error = error ? error : make_platform(vm);
    error = error ? error : make_vcpus(vm);
    if (error)
        return error;
    init_interrupt_controllers(vm->platform);
    init_legacy_devices(vm->platform);
    place_devices(vm);
    error = make_virtio(vm, boot, random);
    error = error ? error : make_pci(vm);
    error = error ? error : load_images(vm, boot, &vm->start);
    error = error ? error : attach_console(vm);
    lock_timers(vm);
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

void machine_dump_all(void)
{
    for (int i = 1; i <= CONSOLE_GUESTS_MAX; i++)
        request_of_console(i, REQUEST_DUMP);
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
    struct timer *timers[PLATFORM_TIMERS_MAX];
    unsigned count = vm->platform ? platform_timers(vm->platform, timers) : 0;

    lock_acquire(&vm->device_lock);
    for (unsigned i = 0; i < count; i++)
        timer_cancel(timers[i]);
    lock_release(&vm->device_lock);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        if (vm->vcpus[i]->lapic)
            timer_cancel(&vm->vcpus[i]->lapic->timer);
    sched_synchronize();
}

static void destroy_platform(struct platform *p)
{
    for (unsigned i = 0; i < VM_DISKS_MAX; i++)
        if (p->ramdisks[i].root)
            ramdisk_revert(&p->ramdisks[i]);
    heap_free(p);
}

static void destroy_vcpu(struct vcpu *vcpu)
{
    if (vcpu->engine)
        vcpu_ops->vcpu_destroy(vcpu);
    if (vcpu->lapic)
        free_page(vcpu->lapic->page);
    free_page(vcpu->xsave_area);
    heap_free(vcpu->lapic);
    trace_free(vcpu);
    heap_free(vcpu->cpuid);
    heap_free(vcpu);
}

/* Before anything is freed: other guests' CPUs write into its memory and interrupt its vCPUs. */
static void unplug(struct platform *p)
{
    for (unsigned i = 0; i < VM_NETS_MAX; i++)
        if (p->ports[i])
            switch_detach(p->ports[i]);
}

static void free_memory(struct vm *vm)
{
    if (vm->mem.pages)
        ballooning_free_pages(vm);
    else
        for (unsigned i = 0; i < vm->mem.count; i++)
            page_free(virt_to_phys(vm->mem.slots[i].host), page_order_for(vm->mem.slots[i].size));
}

void machine_destroy(struct vm *vm)
{
    bool is_unreachable; /* by devices */

    if (vm->console) {
        set_console_vm(vm->console, NULL);
        console_remove_guest(vm->console);
    }
    if (vm->platform)
        unplug(vm->platform);
    is_unreachable = machine_pci_detach(vm) == 0;
    silence(vm);
    machine_pci_free(vm);
    while (vm->vcpu_count > 0)
        destroy_vcpu(vm->vcpus[--vm->vcpu_count]);
    if (vm->platform)
        destroy_platform(vm->platform);
    if (is_unreachable)
        free_memory(vm);
    else
        log_error("machine", "%s: its memory is not used again: a device may still reach it", vm->name);
    if (vm->stage2) {
        stage2_destroy(vm->stage2);
        heap_free(vm->stage2);
    }
    heap_free(vm);
}
