/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boot, as a table of contents. GRUB's 32-bit hand-over is boot/multiboot2.asm; from kernel_main on
 * everything is C, on the boot CPU, until cpu_main, which every CPU ends up in.
 */
#include "arch/arch.h"
#include "arch/x86/acpi.h"
#include "arch/x86/apic.h"
#include "arch/x86/clock.h"
#include "arch/x86/cpu.h"
#include "arch/x86/descriptors.h"
#include "arch/x86/guest/msr.h"
#include "arch/x86/guest/speculation.h"
#include "arch/x86/guest/world_msr.h"
#include "arch/x86/ioapic.h"
#include "arch/x86/msr.h"
#include "arch/x86/paging.h"
#include "arch/x86/power.h"
#include "arch/x86/smp.h"
#include "arch/x86/svm/svm_ops.h"
#include "arch/x86/trap.h"
#include "arch/x86/unsafe_dma.h"
#include "arch/x86/vmx/vmx_ops.h"
#include "arch/x86/vtd/vtd_ops.h"
#include "drivers/host/e9.h"
#include "drivers/host/host_uart.h"
#include "drivers/host/keyboard.h"
#include "drivers/host/pci.h"
#include "drivers/host/pci_config.h"
#include "drivers/host/screen.h"
#include "drivers/host/terminal.h"
#include "drivers/pci_regs.h"
#include "kernel/console.h"
#include "kernel/control.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/host_config.h"
#include "kernel/identity.h"
#include "kernel/iommu.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/machine.h"
#include "kernel/machine_audit.h"
#include "kernel/machine_net.h"
#include "kernel/machine_parts.h"
#include "kernel/machine_ranges.h"
#include "kernel/machine_pci.h"
#include "kernel/manager.h"
#include "kernel/memmap.h"
#include "kernel/multiboot2.h"
#include "kernel/page.h"
#include "kernel/pcpu.h"
#include "kernel/random.h"
#include "kernel/shell.h"
#include "kernel/sched.h"
#include "kernel/stage2.h"
#include "kernel/timers.h"
#include "kernel/vm_config.h"

#define COM1_IRQ        4
#define EARLY_LOW_LIMIT GIB(4) /* the boot tables' 1:1 map ends there */

extern uint8_t image_start[], image_end[];

uintptr_t __stack_chk_guard;
NORETURN void __stack_chk_fail(void);
void kernel_main(uint32_t magic, uint32_t mbi) NORETURN;

static hpa_t boot_information; /* where the loader left it, and whose memory it stays */
static uint32_t boot_information_bytes;
static struct boot_info boot; /* its strings are there, too */
static struct screen screen;
static struct memmap memory;
static struct acpi_info acpi;
static struct host_config config;
static struct random entropy;
static bool queues_are_ready;

static const struct engine {
    const struct vcpu_ops *vcpu;
    const struct stage2_ops *stage2;
} engines[] = {{&vmx_ops, &vmx_stage2_ops}, {&svm_ops, &svm_stage2_ops}};

const struct vcpu_ops *vcpu_ops;
const struct stage2_ops *stage2_ops;

void __stack_chk_fail(void)
{
    panic("stack overrun");
}

/* --- steps --- */

static void start_consoles(void)
{
    struct chardev uart = host_uart_chardev(), e9 = e9_chardev();
    const struct console_pace pace = {HOST_UART_QUEUE_BYTES, host_uart_room, host_uart_pump};

    if (host_uart_init()) {
        console_add_sink(&uart);
        console_set_pace(&pace);
    }
    if (e9_is_present())
        console_add_sink(&e9);
}

/* A screen that the boot tables do not reach shows nothing until move_screen. */
static void start_screen(void)
{
    if (!screen_find(&boot, &screen))
        return;
    if (range_fits(screen.address.value, screen.bytes, EARLY_LOW_LIMIT))
        screen.move(phys_to_virt(screen.address));
    console_add_sink(&screen.chardev);
}

/* Until the command line is read, every console that is there is used. */
static void choose_consoles(void)
{
    struct chardev uart = host_uart_chardev(), e9 = e9_chardev();

    if (!(config.consoles & HOST_CONSOLE_COM1))
        console_remove_sink(&uart);
    if (!(config.consoles & HOST_CONSOLE_E9))
        console_remove_sink(&e9);
    if (config.consoles & HOST_CONSOLE_VGA)
        start_screen();
}

static void parse_boot_information(void)
{
    if (multiboot2_parse(phys_to_virt(boot_information), boot_information_bytes, &boot) != 0)
        panic("boot information is broken");
}

static void find_boot_information(uint32_t magic, uint32_t mbi)
{
    if (magic != MULTIBOOT2_BOOTLOADER_MAGIC)
        panic("not loaded by Multiboot2 (magic %#x)", magic);
    boot_information = HPA(mbi);
    boot_information_bytes = get_le32(phys_to_virt(boot_information));
    parse_boot_information();
}

/* Under UEFI the boot information lies where an AP's first page could be. */
static void map_memory(void)
{
    int error = 0;

    for (unsigned i = 0; i < boot.memory_count && !error; i++)
        error = memmap_add(&memory, boot.memory[i].start, boot.memory[i].size, boot.memory[i].type);
    for (unsigned i = 0; i < boot.module_count && !error; i++)
        error = memmap_reserve(&memory, boot.modules[i].start, boot.modules[i].size, MEMMAP_MODULE);
    error = error ? error : memmap_reserve(&memory, HPA((uint64_t)image_start), (uint64_t)(image_end - image_start),
                                           MEMMAP_KERNEL);
    error = error ? error : memmap_reserve(&memory, boot_information, boot_information_bytes, MEMMAP_KERNEL);
    if (error)
        panic("the memory map has too many ranges");
}

/* Where the first page tables go: the largest piece of RAM that the boot tables reach. */
static hpa_t find_early_memory(uint64_t *size)
{
    struct memmap_range best = memmap_find_largest(&memory, MIB(1), EARLY_LOW_LIMIT);

    if (best.size < MIB(4))
        panic("no 4 MiB of free memory below 4 GiB");
    *size = best.size;
    return best.start;
}

/*
 * The machine's low memory is for the VM that wants to see it where it is, before anybody else takes some. The descriptions
 * are read when there is memory to keep them; here that of one VM at a time, in room that nobody has yet.
 */
static void set_identity_memory_aside(void)
{
    uint64_t size;
    hpa_t room = find_early_memory(&size);
    struct vm_config_set set = {.vms = (struct vm_config *)room.value, .capacity = 1};
    struct config_error unheard; /* it is said when they are read */
    int error = 0;

    for (unsigned i = 0; i < boot.module_count; i++, set.count = 0)
        if (vm_config_add_module(&set, i, boot.modules[i].command_line, &unheard) == 0 && set.count > 0 &&
            set.vms[0].memory_map == VM_MEMORY_MAP_IDENTITY) {
            error = identity_reserve(&memory, set.vms[0].memory);
            break;
        }
    if (error == -ENOMEM)
        log_warn("memory", "memory_map=identity: too little of the machine's memory would be left");
    else if (error)
        panic("the memory map has too many ranges");
}

static void start_memory(void)
{
    uint64_t size;
    hpa_t early_start = find_early_memory(&size), early = early_start;
    struct memmap_range r;

    paging_init(&memory, &early);
    parse_boot_information(); /* again: the strings are where the direct map has them now */
    if (memmap_reserve(&memory, early_start, early.value - early_start.value, MEMMAP_KERNEL) != 0)
        panic("the memory map has too many ranges");
    page_init();
    for (unsigned cursor = 0; memmap_next_usable(&memory, &cursor, &r);)
        if (page_add_range(r.start, r.size) != 0)
            log_warn("memory", "%lu KiB at %#lx are not used", r.size >> 10, r.start.value);
    heap_init();
    identity_move_modules(&boot);
}

/* Firmware tables may lie anywhere in what firmware calls reserved: a window is opened for each look. */
static const void *map_firmware(void *context, hpa_t address, uint64_t size)
{
    const struct memmap_range *r = memmap_find(&memory, address);

    (void)context;
    if (r && r->type != MEMMAP_RESERVED && r->type != MEMMAP_BAD &&
        range_fits(address.value - r->start.value, size, r->size))
        return phys_to_virt(address);
    return arch_map_device(address, size);
}

static void read_firmware_tables(void)
{
    struct acpi_source source = {map_firmware, NULL, boot.rsdp, boot.rsdp_bytes};

    if (acpi_parse(&source, &acpi) != 0)
        log_warn("acpi", "no ACPI tables: one CPU, no power control");
    machine_ranges_init(&memory, &acpi);
}

static void use_engine(const struct engine *engine)
{
    vcpu_ops = engine->vcpu;
    stage2_ops = engine->stage2;
}

/* The one that this CPU has; where it has none, the last one: its members have nothing to end. */
static void choose_engine(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(engines); i++) {
        use_engine(&engines[i]);
        if (vcpu_ops->is_present())
            return;
    }
}

/* Where there is none, each says what it lacks. */
static bool is_engine_usable(void)
{
    if (vcpu_ops->is_present())
        return vcpu_ops->probe(&config);
    for (unsigned i = 0; i < ARRAY_SIZE(engines); i++)
        (void)engines[i].vcpu->probe(&config);
    return false;
}

/* Where no IOMMU's tables tell, a USB controller may be what firmware plays the PC's keyboard with. */
static bool is_firmwares(struct pci_address device)
{
    const struct pci_function *f = pci_find(device);

    if (iommu_ops)
        return vtd_is_firmware_device(device);
    return f && f->base_class == PCI_CLASS_SERIAL_BUS && f->sub_class == PCI_SUBCLASS_USB;
}

/* A window in RAM is a mistake of firmware's, and writes there would be ours. */
static unsigned find_ecams(struct pci_ecam ecams[ACPI_ECAMS_MAX])
{
    unsigned count = 0;

    for (unsigned i = 0; i < acpi.ecam_count; i++) {
        const struct acpi_ecam *e = &acpi.ecams[i];
        hpa_t first = HPA(e->base.value + e->first_bus * PCI_ECAM_BUS_BYTES);

        if (machine_is_ram(first, (e->last_bus - e->first_bus + 1u) * PCI_ECAM_BUS_BYTES))
            log_warn("pci", "MCFG: the window of segment %u lies in RAM: not used", e->segment);
        else
            ecams[count++] = (struct pci_ecam){e->base, e->segment, e->first_bus, e->last_bus};
    }
    return count;
}

/*
 * Before anything else, so that no device reaches what we build. Firmware is not called any more, and what it still
 * drives by itself is what it declared: the others may lose their right to do DMA now.
 */
static void confine_devices(void)
{
    struct vtd_boot vtd = {&acpi, &memory, pci_bridge_buses, config.iommu != 0};
    struct pci_ecam ecams[ACPI_ECAMS_MAX];

    pci_config_init(ecams, find_ecams(ecams));
    iommu_on_fault = machine_pci_on_fault;
    iommu_ops = vtd_start(&vtd);
    pci_scan();
    pci_quiet_unowned(is_firmwares);
    if (!iommu_ops && config.unsafe_dma && (!acpi.has_dmar || config.iommu == 0))
        iommu_ops = unsafe_dma_start();
}

static void preflight(void)
{
    struct page_stats pages;

    page_get_stats(&pages);
    log_info("preflight", "CPUs: %u, memory: %lu MiB free of %lu MiB, VT-d: %s", MAX(acpi.cpu_count, 1u),
             pages.free_pages >> 8, memmap_total_bytes(&memory, MEMMAP_USABLE) >> 20,
             iommu_ops && iommu_ops->confines ? "on" : acpi.has_dmar ? "not used" : "none");
    if (is_engine_usable())
        return;
    log_event("event=exit status=1");
    if (config.on_idle == ON_IDLE_POWEROFF)
        arch_power_off(1);
    log_info("preflight", "halted");
    host_uart_flush();
    arch_halt();
}

static void on_typed(const uint8_t *bytes, size_t count)
{
    console_input(bytes, count);
    if (console_wants_power_off()) {
        log_event("event=exit status=0");
        arch_power_off(0);
    }
    if (console_take_dump_request())
        machine_dump_all();
    if (console_input_target() == CONSOLE_SHELL || console_shell_has_input())
        control_wake();
    machine_wake_console();
}

static void on_com1(void)
{
    host_uart_interrupt();
}

static bool route_to_us(uint8_t irq, uint8_t vector)
{
    return host_ioapic_route_isa(irq, &(struct host_ioapic_target){apic_id(), vector});
}

static void start_interrupts(void)
{
    apic_init(acpi.has_madt ? acpi.local_apic : HPA(rdmsr(MSR_IA32_APIC_BASE) & ~(PAGE_SIZE - 1)),
              config.x2apic && vtd_allows_x2apic());
    apic_enable();
    vtd_start_interrupts(apic_is_x2apic());
    apic_timer_init();
    host_ioapic_init(&acpi);
    trap_set_handler(VECTOR_TIMER, timers_interrupt);
    trap_set_handler(VECTOR_KICK, power_stop_if_asked);
    trap_set_handler(VECTOR_COM1, on_com1);
    if (route_to_us(COM1_IRQ, VECTOR_COM1))
        host_uart_use_interrupts(on_typed);
    trap_set_handler(VECTOR_KEYBOARD, keyboard_poll);
    if (keyboard_init(&keyboard_host_ports, on_typed))
        route_to_us(I8042_KEYBOARD_IRQ, VECTOR_KEYBOARD);
}

/* --- the shell, in the control thread --- */

static struct timer shell_timer;
static bool shell_tick_is_due;

static void shell_timer_fired(void *context)
{
    (void)context;
    shell_tick_is_due = true;
    control_wake();
}

static void serve_shell(void)
{
    uint8_t bytes[64];
    size_t count;

    while ((count = console_take_shell_input(bytes, sizeof bytes)) > 0)
        shell_input(bytes, count);
    if (shell_tick_is_due)
        shell_tick();
    shell_tick_is_due = false;
    if (shell_wants_tick() && !shell_timer.armed)
        timer_arm(&shell_timer, clock_now() + clock_hz());
}

/* --- VMs --- */

static void when_idle(void)
{
    unsigned status = manager_any_failed();

    log_event("event=idle");
    if (config.on_idle == ON_IDLE_SHELL) {
        log_info("main", "no VM runs; help lists the shell's commands, Ctrl-A x powers off");
        console_attach(CONSOLE_SHELL);
        return;
    }
    log_event("event=exit status=%u", status);
    if (config.on_idle == ON_IDLE_REBOOT)
        arch_reboot();
    arch_power_off(status);
}

/* The manager keeps what there is; the room for all that there could be is given back. */
static void read_vm_configs(void)
{
    const unsigned order = page_order_for(VM_CONFIGS_MAX * sizeof(struct vm_config));
    struct vm_config_set set = {.capacity = VM_CONFIGS_MAX};
    struct vm_slot *slot;
    hpa_t room;

    if (page_alloc_zeroed(order, &room) != 0)
        panic("no memory to read the descriptions of VMs in");
    set.vms = phys_to_virt(room);
    vm_config_read_boot(&set, &boot);
    for (unsigned i = 0; i < set.count; i++) {
        if (manager_add(&set.vms[i], &slot) != 0) {
            vm_config_refuse(&set.vms[i], "no memory for it");
            manager_refused(&set.vms[i]);
        } else if (!slot->config->refused) {
            console_expect_guest(slot->config->name);
        }
    }
    page_free(room, order);
}

static void start_vms(void)
{
    struct vm_slot *slot;

    read_vm_configs();
    for (unsigned i = 0; (slot = manager_slot(i)); i++)
        if (manager_start(slot) != 0)
            manager_refused(slot->config);
}

static bool draw_screen(void)
{
    return terminal_draw(screen.terminal);
}

/* A panicking CPU does not wait for the control thread. */
static void draw_at_once(void)
{
    terminal_defer(screen.terminal, NULL);
}

/* The control thread, which draws, too. */
static void leave_screen(void)
{
    if (!screen.terminal)
        return;
    log_info("screen", "this screen is a VM's from here on");
    while (draw_screen())
        ;
    console_remove_sink(&screen.chardev);
    screen.move(NULL);
}

static void defer_screen(void)
{
    if (!screen.terminal)
        return;
    console_on_broken_locks(draw_at_once);
    terminal_defer(screen.terminal, frames_written);
    frames_init(draw_screen);
}

static NORETURN void control_main(void)
{
    defer_screen();
    machine_leave_screen = leave_screen;
    timer_init(&shell_timer, shell_timer_fired, NULL);
    shell_init();
    machine_pci_init(config.device_interrupts);
    machine_net_init();
    machine_audit_init(config.audit);
    start_vms();
    console_introduce_guests();
    for (bool was_idle = false;; control_wait()) {
        manager_run();
        serve_shell();
        frames_run();
        if (manager_is_idle() && !was_idle)
            when_idle();
        was_idle = manager_is_idle();
    }
}

static void enable_cpu(void)
{
    world_msr_init_cpu();
    this_pcpu()->runs_guests = vcpu_ops->cpu_enable() == 0;
    if (!this_pcpu()->runs_guests)
        log_warn("main", "cpu%u cannot run guests", this_pcpu()->id);
}

/* The queues are made when all CPUs are online. */
static NORETURN void ap_main(void)
{
    apic_enable();
    apic_timer_init();
    enable_cpu();
    smp_report_online();
    while (!__atomic_load_n(&queues_are_ready, __ATOMIC_ACQUIRE))
        cpu_relax();
    speculation_start_cpu();
    sched_loop();
}

static void start_scheduler(void)
{
    sched_init();
    random_init(&entropy, arch_random_seed);
    msr_init();
    speculation_init(config.mitigations);
    speculation_start_cpu();
    manager_init(&boot, &entropy);
    control_start(control_main);
    __atomic_store_n(&queues_are_ready, true, __ATOMIC_RELEASE);
}

/* The screen was written through the boot tables' 1:1 map. */
static void move_screen(void)
{
    if (screen.bytes)
        screen.move(arch_map_device(screen.address, screen.bytes));
}

static NORETURN void main_on_own_stack(void)
{
    move_screen();
    read_firmware_tables();
    clock_init(&acpi);
    confine_devices();
    start_interrupts();
    choose_engine();
    power_init(&acpi, vcpu_ops->cpu_disable);
    preflight();
    enable_cpu();
    smp_start_others(&acpi, config.max_cpus, ap_main);
    start_scheduler();
    sched_loop();
}

/* The canary changes within it: it cannot check its own. */
__attribute__((no_stack_protector)) static void init_canary(void)
{
    uintptr_t canary;

    if (!arch_random_seed(&canary, sizeof canary))
        canary = rdtsc() * 0x9e3779b97f4a7c15ul;
    __stack_chk_guard = canary;
}

void kernel_main(uint32_t magic, uint32_t mbi)
{
    void *stack;

    wrmsr(MSR_IA32_GS_BASE, (uint64_t)&pcpus[0]);
    pcpus[0].self = &pcpus[0];
    init_canary();
    idt_init();
    start_consoles();
    idt_load();
    find_boot_information(magic, mbi);
    host_config_parse(boot.command_line, &config);
    log_level = config.log_level;
    choose_consoles();
    log_info("main", "Ringmaster, a hypervisor for x86-64");
    map_memory();
    set_identity_memory_aside();
    start_memory();
    stack = smp_init_boot_cpu();
    __asm__ volatile("mov %0, %%rsp; xor %%ebp, %%ebp; call *%1" : : "r"(stack), "r"(main_on_own_stack) : "memory");
    __builtin_unreachable();
}
