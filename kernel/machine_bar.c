/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a guest has the memory and the ports of its functions, in its second-level tables and its port permission maps.
 *
 * Memory that is not decoded any more stays mapped until somebody else wants its place: whoever sizes BARs puts them
 * back, and pays for no change of the tables. Of several that the guest puts at one place the first one is there, and
 * the next one as soon as that has left. Ports are passed where the guest has them at the machine's own addresses, as it
 * has at first; elsewhere each access makes an exit.
 */
#include "kernel/machine_bar.h"
#include "arch/arch.h"
#include "arch/x86/io.h"
#include "kernel/log.h"
#include "kernel/pt.h"
#include "kernel/stage2.h"
#include "kernel/vcpu_ops.h"

#define HOST_WINDOWS_MAX 64u
#define MAPPINGS_MAX     64u /* of a function's memory: each leaves tables behind until the VM's end */

/* Windows to device memory are for good, so a device that is given again gets the old one. */
static struct host_window {
    hpa_t hpa;
    uint64_t size;
    volatile uint8_t *at;
} host_windows[HOST_WINDOWS_MAX];

static volatile uint8_t *map_host(hpa_t hpa, uint64_t size)
{
    for (struct host_window *w = host_windows; w < host_windows + HOST_WINDOWS_MAX; w++) {
        if (w->at && (w->hpa.value != hpa.value || w->size != size))
            continue;
        if (!w->at)
            *w = (struct host_window){hpa, size, arch_map_device(hpa, size)};
        return w->at;
    }
    return NULL;
}

static bool is_ports(const struct machine_function *f, unsigned bar)
{
    return f->device.layout.bars[bar].is_ports;
}

/* --- accesses that make exits --- */

static uint64_t ports_read(uint16_t port, unsigned width)
{
    return width == 1 ? io_in8(port) : width == 2 ? io_in16(port) : io_in32(port);
}

static void ports_write(uint16_t port, unsigned width, uint32_t value)
{
    if (width == 1)
        io_out8(port, (uint8_t)value);
    else if (width == 2)
        io_out16(port, (uint16_t)value);
    else
        io_out32(port, value);
}

/* No driver makes an access across a register's end, and what becomes of one is each device's own affair. */
static bool is_trapped(const struct machine_bar *b, uint64_t offset, unsigned width)
{
    return offset % width == 0 && offset >= b->trapped_first && range_fits(offset - b->trapped_first, width, b->trapped_bytes);
}

uint64_t machine_bar_read(void *hardware, unsigned bar, uint64_t offset, unsigned width)
{
    const struct machine_function *f = hardware;
    const struct machine_bar *b = &f->bars[bar];
    volatile const uint8_t *at;

    if (is_ports(f, bar))
        return ports_read((uint16_t)(f->host->bars[bar].address + offset), width);
    if (!is_trapped(b, offset, width))
        return UINT64_MAX;
    at = b->trapped + (offset - b->trapped_first);
    switch (width) {
    case 1:
        return *at;
    case 2:
        return *(volatile const uint16_t *)at;
    case 4:
        return *(volatile const uint32_t *)at;
    default:
        return *(volatile const uint64_t *)at;
    }
}

static void memory_write(volatile uint8_t *at, unsigned width, uint64_t value)
{
    switch (width) {
    case 1:
        *at = (uint8_t)value;
        break;
    case 2:
        *(volatile uint16_t *)at = (uint16_t)value;
        break;
    case 4:
        *(volatile uint32_t *)at = (uint32_t)value;
        break;
    default:
        *(volatile uint64_t *)at = value;
    }
}

void machine_bar_write(void *hardware, unsigned bar, uint64_t offset, unsigned width, uint64_t value)
{
    const struct machine_function *f = hardware;
    const struct machine_bar *b = &f->bars[bar];

    if (is_ports(f, bar))
        ports_write((uint16_t)(f->host->bars[bar].address + offset), width, (uint32_t)value);
    else if (is_trapped(b, offset, width))
        memory_write(b->trapped + (offset - b->trapped_first), width, value);
}

/* --- memory in the guest's tables --- */

static uint64_t mapped_bytes(const struct machine_function *f, unsigned bar)
{
    return ALIGN_UP(f->host->bars[bar].size, PAGE_SIZE);
}

/* The pages of a BAR on one side of what is trapped. */
static int map_part(const struct machine_function *f, unsigned bar, uint64_t first, uint64_t end)
{
    hpa_t hpa = HPA(f->host->bars[bar].address + first);

    return first < end ? stage2_map_device(f->vm->stage2, GPA(f->bars[bar].wanted + first), hpa, end - first) : 0;
}

static void unmap(struct machine_function *f, unsigned bar)
{
    struct machine_bar *b = &f->bars[bar];

    if (b->placed == PCI_BAR_NOWHERE)
        return;
    if (pt_unmap(f->vm->stage2, b->placed, mapped_bytes(f, bar)) != 0)
        log_warn("pci", PCI_ADDRESS_FORMAT ": no memory to move it", PCI_ADDRESS_ARGS(f->host->address));
    b->placed = PCI_BAR_NOWHERE;
    vm_request(f->vm, REQUEST_FLUSH); /* something else may be there soon */
}

static void map(struct machine_function *f, unsigned bar)
{
    struct machine_bar *b = &f->bars[bar];
    uint64_t first = b->trapped_first, end = first + b->trapped_bytes, size = mapped_bytes(f, bar);

    if (f->mappings >= MAPPINGS_MAX)
        return;
    f->mappings++;
    b->placed = b->wanted;
    if (f->host->bars[bar].size < PAGE_SIZE)
        return; /* all of it is trapped */
    if (map_part(f, bar, 0, first) != 0 || map_part(f, bar, end, size) != 0) {
        unmap(f, bar);
        log_warn("pci", PCI_ADDRESS_FORMAT ": its memory cannot be at %#lx", PCI_ADDRESS_ARGS(f->host->address), b->wanted);
    }
}

/* Calls visit for each BAR of the guest that is memory, until it returns true; says whether it did. */
struct bar_visitor {
    bool (*visit)(const struct bar_visitor *v, struct machine_function *f, unsigned bar);
    struct machine_function *f; /* whose place it is about */
    unsigned bar;
};

static bool visit_memory(const struct machine_bus *bus, const struct bar_visitor *v)
{
    for (unsigned i = 0; i < bus->count; i++)
        for (unsigned bar = 0; bar < PCI_BARS_MAX; bar++)
            if (!is_ports(bus->functions[i], bar) && v->visit(v, bus->functions[i], bar))
                return true;
    return false;
}

/* Who has v's place and is to stay; who is there and need not be leaves. */
static bool stays_in_the_way(const struct bar_visitor *v, struct machine_function *f, unsigned bar)
{
    const struct machine_bar *b = &f->bars[bar];

    if ((f == v->f && bar == v->bar) || b->placed == PCI_BAR_NOWHERE ||
        !ranges_overlap(b->placed, mapped_bytes(f, bar), v->f->bars[v->bar].wanted, mapped_bytes(v->f, v->bar)))
        return false;
    if (b->wanted == b->placed)
        return true;
    unmap(f, bar);
    return false;
}

static bool map_if_possible(const struct bar_visitor *v, struct machine_function *f, unsigned bar)
{
    const struct bar_visitor in_the_way = {stays_in_the_way, f, bar};
    const struct machine_bar *b = &f->bars[bar];

    (void)v;
    if (b->wanted != PCI_BAR_NOWHERE && b->wanted != b->placed && !visit_memory(f->bus, &in_the_way))
        map(f, bar);
    return false;
}

/* --- where the guest has it --- */

static void place_memory(struct machine_function *f, unsigned bar, uint64_t address)
{
    const struct bar_visitor waiting = {map_if_possible, NULL, 0};
    struct machine_bar *b = &f->bars[bar];

    b->wanted = address;
    if (address != PCI_BAR_NOWHERE && address != b->placed)
        unmap(f, bar);
    (void)visit_memory(f->bus, &waiting);
}

static void place_ports(struct machine_function *f, unsigned bar, uint64_t address)
{
    const struct pci_bar *host = &f->host->bars[bar];

    f->bars[bar].wanted = f->bars[bar].placed = address;
    for (unsigned i = 0; i < f->vm->vcpu_count; i++)
        vcpu_ops->pass_ports(f->vm->vcpus[i], (uint16_t)host->address, (unsigned)host->size, address == host->address);
}

void machine_bar_place(void *hardware, unsigned bar, uint64_t address)
{
    struct machine_function *f = hardware;

    if (is_ports(f, bar))
        place_ports(f, bar, address);
    else
        place_memory(f, bar, address);
}

/* --- the beginning --- */

static bool open_ports(const struct machine_function *f)
{
    for (unsigned i = 0; i < f->vm->vcpu_count; i++)
        if (vcpu_ops->own_ports(f->vm->vcpus[i]) != 0)
            return false;
    return true;
}

static bool trap(struct machine_function *f, unsigned bar, uint64_t first, uint64_t size)
{
    struct machine_bar *b = &f->bars[bar];

    b->trapped_first = first;
    b->trapped_bytes = size;
    b->trapped = map_host(HPA(f->host->bars[bar].address + first), size);
    return b->trapped;
}

static bool open_memory(struct machine_function *f, unsigned bar)
{
    const struct pci_bar *host = &f->host->bars[bar];
    uint64_t first, size;

    if (host->address == 0)
        return false;
    if (host->size < PAGE_SIZE)
        return trap(f, bar, 0, host->size);
    pci_passthrough_msix_pages(&f->device.layout.msix, &first, &size);
    return size == 0 || bar != f->device.layout.msix.bar || trap(f, bar, first, size);
}

bool machine_bars_open(struct machine_function *f)
{
    for (unsigned i = 0; i < PCI_BARS_MAX; i++) {
        f->bars[i].wanted = f->bars[i].placed = PCI_BAR_NOWHERE;
        if (f->device.layout.bars[i].size == 0)
            continue;
        if (!(is_ports(f, i) ? open_ports(f) : open_memory(f, i)))
            return false;
    }
    return true;
}
