/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's PCI bus, and how functions get on it and off again. A function is with one VM at most.
 *
 * Order: it is reset and quiet before the guest's memory is mapped for it; it may become bus master
 * only when it is confined; in reverse at the end.
 */
#include "kernel/machine_pci.h"
#include "arch/x86/guest/layout.h"
#include "drivers/host/pci.h"
#include "drivers/host/pci_reset.h"
#include "drivers/pci_regs.h"
#include "kernel/control.h"
#include "kernel/heap.h"
#include "kernel/iommu.h"
#include "kernel/lib/errno.h"
#include "kernel/log.h"
#include "kernel/machine.h"
#include "kernel/machine_function.h"
#include "kernel/machine_parts.h"
#include "kernel/machine_ranges.h"
#include "kernel/shell.h"

#define HIGH_BAR_BYTES MIB(64) /* from here on a 64-bit BAR lies above 4 GiB */

struct machine_pci {
    struct pci_host host;
    struct pci_window low, high, ports;
    struct iommu_domain *domain;
    struct machine_bus bus;
    unsigned slots; /* device numbers from 1 that are taken */
    bool has_high_window;
    uint64_t next_low, next_high; /* where the next BAR may lie */
};

static int refuse(struct vm *vm, struct pci_address a, const char *why)
{
    vm_config_refuse((struct vm_config *)vm->config, "device " PCI_ADDRESS_FORMAT ": %s", PCI_ADDRESS_ARGS(a), why);
    return -EINVAL;
}

/* --- may it be given away? --- */

static bool is_given(const struct pci_function *f)
{
    return machine_function_find(f->address) != NULL;
}

/* NULL: nobody's but its own. The line says where, for who has to find out which of the two is wrong. */
static const char *bar_owner(const struct pci_bar *bar)
{
    const char *owner = bar->kind == PCI_BAR_PORTS ? machine_ports_owner(bar->address, bar->size)
                                                   : machine_memory_owner(HPA(bar->address), bar->size);

    return owner ? owner : pci_find_overlap(bar) ? "another function" : NULL;
}

/* Those that a guest would not get at all do not matter. */
static bool has_false_bar(const struct pci_function *f)
{
    for (unsigned i = 0; i < PCI_BARS_MAX; i++) {
        const struct pci_bar *bar = &f->bars[i];
        bool is_hidden = bar->kind == PCI_BAR_NONE ||
                         (bar->kind == PCI_BAR_PORTS && bar->address < GUEST_PCI_PORTS_BASE);
        const char *owner = is_hidden ? NULL : bar_owner(bar);

        if (!owner)
            continue;
        log_warn("pci", PCI_ADDRESS_FORMAT ": register %u says %#lx, where %s is", PCI_ADDRESS_ARGS(f->address), i,
                 bar->address, owner);
        return true;
    }
    return false;
}

static const char *why_not(const struct pci_function *f)
{
    if (!f)
        return "there is none";
    if (f->is_bridge || f->base_class == PCI_CLASS_BRIDGE)
        return "bridges are the machine's";
    if (!iommu_ops)
        return "no IOMMU confines it, and its DMA would reach everything";
    if (is_given(f))
        return "another VM has it";
    if (f->base_class == PCI_CLASS_DISPLAY && machine_vga_owner())
        return "a VM has the VGA";
    if (has_false_bar(f))
        return "its registers say that they are where something else is";
    if (!iommu_ops->confines)
        return NULL; /* what it may do is its guest's pleasure */
    if (!iommu_ops->remaps_interrupts())
        return "the IOMMU does not remap interrupts, and it could send any";
    if (pci_shares_group(f))
        return "the IOMMU cannot tell it from its neighbours";
    return NULL;
}

static const char *attach_error(int error)
{
    return error == -ENODEV  ? "no IOMMU sees it"
           : error == -EBUSY ? "firmware does not let go of it"
                             : "the IOMMU does not take it";
}

/* --- time --- */

/* The guests of this CPU run in between. */
static void wait(uint64_t ns)
{
    uint64_t end = clock_now() + clock_ticks_from_ns(ns);

    while ((int64_t)(clock_now() - end) < 0)
        control_yield();
}

/* --- DMA --- */

struct attaching {
    struct machine_pci *pci;
    const struct pci_function *f;
};

/* Firmware needs USB controllers and displays only until somebody drives them. */
static bool firmware_lets_go(const struct pci_function *f)
{
    return f->base_class == PCI_CLASS_DISPLAY ||
           (f->base_class == PCI_CLASS_SERIAL_BUS && f->sub_class == PCI_SUBCLASS_USB);
}

static int attach_requester(void *context, struct pci_address requester)
{
    const struct attaching *a = context;
    struct iommu_device device = {requester, firmware_lets_go(a->f)};

    return iommu_ops->attach(a->pci->domain, &device);
}

/* All of them, whatever comes of each. */
static int detach_requester(void *context, struct pci_address requester)
{
    struct attaching *a = context;
    int error = iommu_ops->detach(a->pci->domain, requester);

    if (error == -EIO)
        a->f = NULL;
    return 0;
}

static int detach(struct machine_pci *pci, const struct pci_function *f)
{
    struct attaching a = {pci, f};

    (void)pci_visit_requesters(f, detach_requester, &a);
    return a.f ? 0 : -EIO;
}

static int map_guest(struct vm *vm, struct machine_pci *pci)
{
    int error = iommu_map_guest(pci->domain, &vm->mem);

    if (!error)
        return 0;
    iommu_ops->domain_destroy(pci->domain);
    pci->domain = NULL;
    return error;
}

static int make_domain(struct vm *vm, struct machine_pci *pci)
{
    int error = iommu_ops->domain_create(vm->name, IOMMU_TRANSLATED, &pci->domain);

    error = error ? error : map_guest(vm, pci);
    if (error && !iommu_ops->confines)
        vm_config_refuse((struct vm_config *)vm->config, "with no IOMMU, a device needs memory_map=identity");
    return error;
}

/* --- where BARs lie at first --- */

static bool take_room(uint64_t *next, uint64_t end, struct pci_passthrough_bar *bar)
{
    uint64_t start = ALIGN_UP(*next, bar->size);

    if (start > end || bar->size > end - start)
        return false;
    bar->start = start;
    *next = start + MAX(bar->size, PAGE_SIZE); /* no two in one page */
    return true;
}

static bool place_bar(struct machine_pci *pci, struct pci_passthrough_bar *bar)
{
    if (bar->is_64 && bar->size >= HIGH_BAR_BYTES && pci->has_high_window)
        return take_room(&pci->next_high, GUEST_PCI_HIGH_BASE + GUEST_PCI_HIGH_BYTES, bar);
    return take_room(&pci->next_low, GUEST_PCI_BASE + (uint64_t)GUEST_PCI_BYTES, bar);
}

/* Ports are at the machine's addresses, for the guest to reach them with no exit; what cannot be there is hidden. */
static struct pci_passthrough_bar bar_of(const struct pci_bar *host)
{
    bool is_ports = host->kind == PCI_BAR_PORTS;

    if (host->kind == PCI_BAR_NONE || (is_ports && host->address < GUEST_PCI_PORTS_BASE))
        return (struct pci_passthrough_bar){.size = 0};
    return (struct pci_passthrough_bar){.size = host->size,
                                        .start = is_ports ? host->address : 0,
                                        .is_64 = host->kind == PCI_BAR_MEMORY_64,
                                        .is_prefetchable = host->is_prefetchable,
                                        .is_ports = is_ports};
}

/* One that cannot be held back delays whoever shares its line: not behind an IOMMU, which promises that nobody is harmed. */
static bool has_pin(const struct pci_function *f)
{
    return f->interrupt_pin != 0 && (!iommu_ops->confines || pci_has_maskable_pin(f));
}

static void fill_layout(const struct pci_function *f, struct pci_passthrough_layout *layout)
{
    *layout = (struct pci_passthrough_layout){
        .msix.capability = (uint8_t)f->capabilities[PCI_CAP_MSIX],
        .has_pin = has_pin(f),
    };
    for (unsigned i = 0; i < PCI_BARS_MAX; i++)
        layout->bars[i] = bar_of(&f->bars[i]);
}

bool machine_pci_place(struct vm *vm, struct pci_passthrough_layout *layout)
{
    struct machine_pci *pci = vm->platform->pci;

    layout->windows[0] = (struct pci_passthrough_window){GUEST_PCI_BASE, GUEST_PCI_BYTES, false};
    layout->windows[1] = (struct pci_passthrough_window){GUEST_PCI_PORTS_BASE, GUEST_PCI_PORTS, true};
    if (pci->has_high_window)
        layout->windows[2] = (struct pci_passthrough_window){GUEST_PCI_HIGH_BASE, GUEST_PCI_HIGH_BYTES, false};
    for (unsigned i = 0; i < PCI_BARS_MAX; i++)
        if (layout->bars[i].size > 0 && !layout->bars[i].is_ports && !place_bar(pci, &layout->bars[i]))
            return false;
    return true;
}

int machine_pci_add(struct vm *vm, struct pci_passthrough *function, unsigned *number)
{
    struct machine_pci *pci = vm->platform->pci;
    struct pci_slot slot = {&pci_passthrough_ops, function};

    *number = ++pci->slots;
    return pci_host_add(&pci->host, *number, &slot);
}

/* --- is it so? --- */

static const struct guest_mem *memory_of(struct pci_address requester)
{
    const struct machine_function *f = machine_function_find_requester(requester);

    return f ? &f->vm->mem : NULL;
}

/* A bug of ours, or hardware that does not hold what was written: nobody runs on that. */
static int audit(void)
{
    unsigned devices;
    int error = iommu_check(memory_of, &devices);

    return error == -ENODEV ? 0 : error;
}

/* --- one function --- */

static void wire_pin(struct vm *vm, struct machine_function *f, unsigned index)
{
    f->pin.address = f->host->address;
    f->pin.chip = &vm->platform->ioapic;
    f->pin.input = GUEST_PCI_GSI + index;
    f->pin.is_maskable = pci_has_maskable_pin(f->host);
}

static void end_of_interrupt(void *context, unsigned input)
{
    struct machine_pci *pci = context;

    if (input - GUEST_PCI_GSI < pci->bus.count)
        machine_pin_end(&pci->bus.functions[input - GUEST_PCI_GSI]->pin);
}

static int add_to_bus(struct vm *vm, const struct pci_function *f, unsigned *number)
{
    struct machine_pci *pci = vm->platform->pci;
    struct pci_passthrough_layout layout;
    struct machine_function *function;

    if (pci->bus.count == GUEST_PCI_PINS)
        return refuse(vm, f->address, "the guest's bus is full");
    fill_layout(f, &layout);
    if (!machine_pci_place(vm, &layout))
        return refuse(vm, f->address, "its registers do not fit into the guest's PCI windows");
    function = machine_function_create(vm, &pci->bus, f, &layout);
    if (!function)
        return refuse(vm, f->address, "no memory for it, or its registers have no address");
    wire_pin(vm, function, pci->bus.count);
    pci->bus.functions[pci->bus.count++] = function;
    return machine_pci_add(vm, &function->device, number);
}

static int make_new(const struct pci_function *f)
{
    int error = pci_reset(f, wait);

    if (error == -ENOTSUP)
        log_warn("pci", PCI_ADDRESS_FORMAT ": nothing resets it: what its last owner left stays, for the next one to see",
                 PCI_ADDRESS_ARGS(f->address));
    return error == -ENOTSUP ? 0 : error;
}

static int give(struct vm *vm, struct pci_address address)
{
    struct machine_pci *pci = vm->platform->pci;
    const struct pci_function *f = pci_find(address);
    struct attaching a = {pci, f};
    const char *why = why_not(f);
    unsigned number;
    int error;

    if (why)
        return refuse(vm, address, why);
    error = make_new(f);
    if (error)
        return refuse(vm, address, "it does not answer after its reset");
    error = add_to_bus(vm, f, &number);
    if (error)
        return error;
    error = pci_visit_requesters(f, attach_requester, &a);
    if (error)
        return refuse(vm, address, attach_error(error));
    if (f->base_class == PCI_CLASS_DISPLAY)
        machine_release_screen();
    if (machine_function_start(pci->bus.functions[pci->bus.count - 1]) != 0)
        return refuse(vm, address, "no memory for its pin");
    log_info("pci", PCI_ADDRESS_FORMAT " is %s's 00:%02x.0", PCI_ADDRESS_ARGS(address), vm->name, number);
    return 0;
}

/* --- the bus --- */

static int place_regions(struct vm *vm, struct machine_pci *pci)
{
    struct io_region ports = {"pci", PCI_HOST_PORT, PCI_HOST_PORTS, IO_WIDTH_1 | IO_WIDTH_2 | IO_WIDTH_4, &pci_host_ops,
                              &pci->host, &vm->device_lock};
    struct io_region window = {"pci", GUEST_PCI_PORTS_BASE, GUEST_PCI_PORTS, IO_WIDTH_1 | IO_WIDTH_2 | IO_WIDTH_4,
                               &pci_window_ops, &pci->ports, &vm->device_lock};
    struct io_region low = {"pci", GUEST_PCI_BASE, GUEST_PCI_BYTES, IO_WIDTH_ANY, &pci_window_ops, &pci->low,
                            &vm->device_lock};
    struct io_region high = {"pci", GUEST_PCI_HIGH_BASE, GUEST_PCI_HIGH_BYTES, IO_WIDTH_ANY, &pci_window_ops,
                             &pci->high, &vm->device_lock};
    int error = io_bus_add(&vm->ports, &ports);

    error = error ? error : io_bus_add(&vm->ports, &window);
    error = error ? error : io_bus_add(&vm->mmio, &low);
    if (pci->has_high_window)
        error = error ? error : io_bus_add(&vm->mmio, &high);
    return error;
}

static void init_bus(struct vm *vm, struct machine_pci *pci, const struct io_region *neighbour)
{
    const struct ioapic_sampler sampler = {end_of_interrupt, pci};
    uint64_t ram_end = GUEST_HOLE_END + guest_ram_above_hole(vm->config->memory);

    ioapic_sample(&vm->platform->ioapic, (BIT(GUEST_PCI_PINS) - 1) << GUEST_PCI_GSI, &sampler);
    pci_host_init(&pci->host, neighbour);
    pci->has_high_window = vm->vcpus[0]->physical_bits >= GUEST_PCI_HIGH_BITS && ram_end <= GUEST_PCI_HIGH_BASE;
    pci->low = (struct pci_window){&pci->host, GUEST_PCI_BASE, false};
    pci->high = (struct pci_window){&pci->host, GUEST_PCI_HIGH_BASE, false};
    pci->ports = (struct pci_window){&pci->host, GUEST_PCI_PORTS_BASE, true};
    pci->next_low = GUEST_PCI_BASE;
    pci->next_high = GUEST_PCI_HIGH_BASE;
}

bool machine_pci_has_high_window(const struct vm *vm)
{
    return vm->platform->pci && vm->platform->pci->has_high_window;
}

int machine_pci_create(struct vm *vm, const struct io_region *neighbour)
{
    const struct vm_config *config = vm->config;
    struct machine_pci *pci = heap_alloc(sizeof *pci);
    int error = pci ? 0 : -ENOMEM;

    vm->platform->pci = pci;
    if (!error) {
        init_bus(vm, pci, neighbour);
        error = place_regions(vm, pci);
    }
    if (!error && config->device_count > 0 && iommu_ops)
        error = make_domain(vm, pci);
    if (error) {
        vm_config_refuse((struct vm_config *)config, "no memory for its PCI bus");
        return error;
    }
    for (unsigned i = 0; i < config->device_count && !error; i++)
        error = give(vm, config->devices[i]);
    if (!error && audit() != 0) {
        vm_config_refuse((struct vm_config *)config, "devices reach what they should not");
        error = -EIO;
    }
    return error;
}

/* What a unit that does not answer may still do is known to nobody: the domain is then kept, too. */
int machine_pci_detach(struct vm *vm)
{
    struct machine_pci *pci = vm->platform ? vm->platform->pci : NULL;
    int error = 0;

    if (!pci)
        return 0;
    for (unsigned i = pci->bus.count; i-- > 0;) {
        const struct pci_function *f = pci->bus.functions[i]->host;

        machine_function_stop(pci->bus.functions[i]);
        if (pci_reset(f, wait) != 0)
            log_warn("pci", PCI_ADDRESS_FORMAT ": not reset behind %s", PCI_ADDRESS_ARGS(f->address), vm->name);
        if (detach(pci, f) != 0)
            error = -EIO;
    }
    if (!error && pci->domain)
        iommu_ops->domain_destroy(pci->domain);
    if (!error)
        error = audit();
    return error;
}

void machine_pci_free(struct vm *vm)
{
    struct machine_pci *pci = vm->platform ? vm->platform->pci : NULL;

    if (!pci)
        return;
    while (pci->bus.count > 0)
        machine_function_destroy(pci->bus.functions[--pci->bus.count]);
    heap_free(pci);
}

/* --- faults --- */

static struct timer poll_timer;

static void poll(void *context)
{
    (void)context;
    iommu_ops->poll();
    machine_message_tick();
    timer_arm(&poll_timer, clock_now() + clock_hz() / MACHINE_MESSAGE_TICKS_PER_SECOND);
}

/* --- the shell --- */

static void put_line(void *context, const char *text)
{
    (void)context;
    shell_print("%s", text);
}

static void show_pci(const struct shell_call *call)
{
    (void)call;
    pci_list(put_line, NULL);
}

static void show_iommu(const struct shell_call *call)
{
    int error = iommu_list(put_line, NULL);
    unsigned devices;

    (void)call;
    error = error ? error : iommu_check(memory_of, &devices);
    if (error == -ENODEV)
        shell_print("there is no IOMMU, or it is not used: any device reaches all memory");
    else if (error == -EFAULT)
        shell_print("a device reaches what it should not, or not all that it should: see the log");
    else if (error)
        shell_print("the IOMMU does not hold what was written to it");
    else
        shell_print("audit: %u devices reach all memory of their guests, and nothing else", devices);
}

static const struct shell_command commands[] = {
    {"pci", {{SHELL_NOTHING, NULL}}, "the machine's PCI functions", show_pci},
    {"iommu", {{SHELL_NOTHING, NULL}}, "which memory each device reaches, read back from the hardware", show_iommu},
};

void machine_pci_init(unsigned interrupts_per_second)
{
    machine_message_set_limit(interrupts_per_second);
    shell_add_commands(commands, ARRAY_SIZE(commands));
    timer_init(&poll_timer, poll, NULL);
    if (iommu_ops)
        poll(NULL);
}

/* --- audits --- */

static bool has_memory(const struct pci_function *f, hpa_t hpa, uint64_t size)
{
    for (unsigned i = 0; i < PCI_BARS_MAX; i++) {
        const struct pci_bar *bar = &f->bars[i];

        if (bar->kind >= PCI_BAR_MEMORY && hpa.value >= bar->address &&
            range_fits(hpa.value - bar->address, size, ALIGN_UP(bar->size, PAGE_SIZE)))
            return true;
    }
    return false;
}

bool machine_pci_is_own(const struct vm *vm, hpa_t hpa, uint64_t size)
{
    for (unsigned i = 0; i < vm->config->device_count; i++) {
        const struct pci_function *f = pci_find(vm->config->devices[i]);

        if (f && has_memory(f, hpa, size))
            return true;
    }
    return false;
}

bool machine_pci_owns_port(const struct vm *vm, uint16_t port)
{
    for (unsigned i = 0; i < vm->config->device_count; i++) {
        const struct pci_function *f = pci_find(vm->config->devices[i]);

        for (unsigned bar = 0; f && bar < PCI_BARS_MAX; bar++)
            if (f->bars[bar].kind == PCI_BAR_PORTS && port >= f->bars[bar].address &&
                port - f->bars[bar].address < f->bars[bar].size)
                return true;
    }
    return false;
}
