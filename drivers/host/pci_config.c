/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bus's window is mapped when the bus is found, not whole segments at once: one of 256 buses
 * would cost half a MiB of page tables.
 */
#include "drivers/host/pci_config.h"
#include "arch/arch.h"
#include "arch/x86/io.h"
#include "drivers/pci_regs.h"
#include "kernel/heap.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/lock.h"
#include "kernel/log.h"

#define FUNCTION_SHIFT     12
#define CF8_FUNCTION_SHIFT 8
#define CF8_BUS_SHIFT      16

static struct {
    struct pci_ecam ecam;
    volatile uint8_t **buses; /* PCI_BUSES of them, from the heap; NULL: not mapped */
} segments[PCI_ECAMS_MAX];
static unsigned segment_count;
static struct lock port_lock; /* guards the pair of ports */

void pci_config_init(const struct pci_ecam *ecams, unsigned count)
{
    for (unsigned i = 0; i < MIN(count, PCI_ECAMS_MAX); i++) {
        segments[segment_count].ecam = ecams[i];
        segments[segment_count].buses = heap_alloc(PCI_BUSES * sizeof *segments[i].buses);
        if (segments[segment_count].buses)
            segment_count++;
        else
            log_warn("pci", "no memory for the windows of segment %u", ecams[i].segment);
    }
}

unsigned pci_config_ecams(const struct pci_ecam **ecams)
{
    static struct pci_ecam all[PCI_ECAMS_MAX];

    for (unsigned i = 0; i < segment_count; i++)
        all[i] = segments[i].ecam;
    *ecams = all;
    return segment_count;
}

static bool is_covered(const struct pci_ecam *ecam, uint16_t segment, uint8_t bus)
{
    return ecam->segment == segment && bus >= ecam->first_bus && bus <= ecam->last_bus;
}

void pci_config_open_bus(uint16_t segment, uint8_t bus)
{
    for (unsigned i = 0; i < segment_count; i++) {
        hpa_t window = HPA(segments[i].ecam.base.value + bus * PCI_ECAM_BUS_BYTES);

        if (!is_covered(&segments[i].ecam, segment, bus) || segments[i].buses[bus])
            continue;
        segments[i].buses[bus] = arch_map_device(window, PCI_ECAM_BUS_BYTES);
        if (!segments[i].buses[bus])
            log_warn("pci", "no memory for the window of bus %04x:%02x", segment, bus);
    }
}

/* The function's 4 KiB, or NULL. */
static volatile uint8_t *find_window(struct pci_address a)
{
    for (unsigned i = 0; i < segment_count; i++)
        if (segments[i].ecam.segment == a.segment && segments[i].buses[a.bus])
            return segments[i].buses[a.bus] + ((size_t)a.devfn << FUNCTION_SHIFT);
    return NULL;
}

unsigned pci_config_bytes(struct pci_address address)
{
    if (find_window(address))
        return PCI_EXTENDED_CONFIG_BYTES;
    return address.segment == 0 ? PCI_CONFIG_BYTES : 0;
}

/* PCI Local Bus Specification, "Software Generation of Configuration Transactions". */
static void select_register(struct pci_address a, unsigned offset)
{
    io_out32(PCI_CONFIG_ADDRESS_PORT, PCI_CONFIG_ADDRESS_ENABLE | (uint32_t)a.bus << CF8_BUS_SHIFT |
                                          (uint32_t)a.devfn << CF8_FUNCTION_SHIFT | (offset & ~3u));
}

static uint32_t port_read(struct pci_address a, unsigned offset, unsigned width)
{
    uint16_t port = (uint16_t)(PCI_CONFIG_DATA_PORT + (offset & 3));
    uint32_t value;

    lock_acquire(&port_lock);
    select_register(a, offset);
    value = width == 1 ? io_in8(port) : width == 2 ? io_in16(port) : io_in32(port);
    lock_release(&port_lock);
    return value;
}

static void port_write(struct pci_address a, unsigned offset, unsigned width, uint32_t value)
{
    uint16_t port = (uint16_t)(PCI_CONFIG_DATA_PORT + (offset & 3));

    lock_acquire(&port_lock);
    select_register(a, offset);
    if (width == 1)
        io_out8(port, (uint8_t)value);
    else if (width == 2)
        io_out16(port, (uint16_t)value);
    else
        io_out32(port, value);
    lock_release(&port_lock);
}

uint32_t pci_config_read(struct pci_address address, unsigned offset, unsigned width)
{
    volatile uint8_t *at = find_window(address);

    if (!range_fits(offset, width, pci_config_bytes(address)))
        return (uint32_t)bytes_mask(width);
    if (!at)
        return port_read(address, offset, width);
    at += offset;
    return width == 1 ? *at : width == 2 ? *(volatile uint16_t *)at : *(volatile uint32_t *)at;
}

void pci_config_write(struct pci_address address, unsigned offset, unsigned width, uint32_t value)
{
    volatile uint8_t *at = find_window(address);

    if (!range_fits(offset, width, pci_config_bytes(address)))
        return;
    if (!at) {
        port_write(address, offset, width, value);
        return;
    }
    at += offset;
    if (width == 1)
        *at = (uint8_t)value;
    else if (width == 2)
        *(volatile uint16_t *)at = (uint16_t)value;
    else
        *(volatile uint32_t *)at = value;
}
