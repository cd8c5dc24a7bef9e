/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bridge has no registers but its name: guests look for a host bridge to find out whether the
 * configuration ports work. PCI Local Bus Specification, "Software Generation of Configuration
 * Transactions".
 */
#include "drivers/virt/pci_host.h"
#include "drivers/pci_regs.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/errno.h"

#define CONFIG_DATA_OFFSET    (PCI_CONFIG_DATA_PORT - PCI_HOST_PORT)
#define CONFIG_ADDRESS_BITS   0x80fffffcu
#define CONFIG_BUS_SHIFT      16
#define CONFIG_FUNCTION_SHIFT 8

/* Red Hat's number of a PCI Express host bridge that is none of a chipset's: no driver has quirks
 * for it. */
#define BRIDGE_ID    0x00081b36u
#define BRIDGE_CLASS ((uint32_t)PCI_CLASS_BRIDGE << 24 | PCI_SUBCLASS_HOST << 16)

static uint32_t bridge_read(void *device, unsigned offset)
{
    (void)device;
    return offset == PCI_VENDOR_ID ? BRIDGE_ID : offset == PCI_REVISION_ID ? BRIDGE_CLASS : 0;
}

static void bridge_write(void *device, unsigned offset, uint32_t value, uint32_t mask)
{
    (void)device, (void)offset, (void)value, (void)mask;
}

static bool bridge_read_register(void *device, const struct pci_access *access, uint64_t *value)
{
    (void)device, (void)access, (void)value;
    return false;
}

static bool bridge_write_register(void *device, const struct pci_access *access, uint64_t value)
{
    (void)device, (void)access, (void)value;
    return false;
}

static const struct pci_slot_ops bridge_ops = {bridge_read, bridge_write, bridge_read_register,
                                               bridge_write_register};

void pci_host_init(struct pci_host *host, const struct io_region *neighbour)
{
    *host = (struct pci_host){.neighbour = *neighbour};
    host->slots[0].ops = &bridge_ops;
}

void pci_host_reset(struct pci_host *host)
{
    host->config_address = 0;
}

int pci_host_add(struct pci_host *host, unsigned number, const struct pci_slot *slot)
{
    if (number >= PCI_HOST_SLOTS)
        return -EINVAL;
    if (host->slots[number].ops)
        return -EEXIST;
    host->slots[number] = *slot;
    return 0;
}

/* --- configuration --- */

/* Whom CONFIG_ADDRESS names: bus 0, and of each device function 0 only. */
static const struct pci_slot *selected(const struct pci_host *host)
{
    uint32_t address = host->config_address, function = address >> CONFIG_FUNCTION_SHIFT & 0xff;
    const struct pci_slot *slot = &host->slots[function >> 3];

    if (!(address & PCI_CONFIG_ADDRESS_ENABLE) || (address >> CONFIG_BUS_SHIFT & 0xff) != 0 ||
        (function & 7) != 0)
        return NULL;
    return slot->ops ? slot : NULL;
}

static unsigned selected_register(const struct pci_host *host)
{
    return host->config_address & 0xfc;
}

static uint64_t data_read(const struct pci_host *host, unsigned byte, unsigned width)
{
    const struct pci_slot *slot = selected(host);

    if (!slot)
        return bytes_mask(width);
    return slot->ops->config_read(slot->device, selected_register(host)) >> (8 * byte) &
           bytes_mask(width);
}

static void data_write(const struct pci_host *host, unsigned byte, unsigned width, uint32_t value)
{
    const struct pci_slot *slot = selected(host);
    uint32_t mask = (uint32_t)(bytes_mask(width) << (8 * byte));

    if (slot)
        slot->ops->config_write(slot->device, selected_register(host), value << (8 * byte), mask);
}

static bool is_config_address(uint64_t offset, unsigned width)
{
    return offset == 0 && width == 4;
}

/* What straddles the two ports' doublewords is no access of ours: nobody answers. */
static uint64_t pci_host_read(void *device, uint64_t offset, unsigned width)
{
    struct pci_host *host = device;

    if (is_config_address(offset, width))
        return host->config_address;
    if (offset >= CONFIG_DATA_OFFSET)
        return data_read(host, (unsigned)(offset - CONFIG_DATA_OFFSET), width);
    if (offset + width > CONFIG_DATA_OFFSET)
        return bytes_mask(width);
    return host->neighbour.ops->read(host->neighbour.device, offset, width);
}

static void pci_host_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    struct pci_host *host = device;

    if (is_config_address(offset, width))
        host->config_address = (uint32_t)value & CONFIG_ADDRESS_BITS;
    else if (offset >= CONFIG_DATA_OFFSET)
        data_write(host, (unsigned)(offset - CONFIG_DATA_OFFSET), width, (uint32_t)value);
    else if (offset + width <= CONFIG_DATA_OFFSET)
        host->neighbour.ops->write(host->neighbour.device, offset, width, value);
}

const struct io_region_ops pci_host_ops = {pci_host_read, pci_host_write};

/* --- windows --- */

static uint64_t window_read(void *device, uint64_t offset, unsigned width)
{
    const struct pci_window *window = device;
    const struct pci_access access = {window->base + offset, width, window->is_ports};
    uint64_t value;

    for (const struct pci_slot *s = window->host->slots; s < window->host->slots + PCI_HOST_SLOTS; s++)
        if (s->ops && s->ops->read(s->device, &access, &value))
            return value;
    return bytes_mask(width);
}

static void window_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    const struct pci_window *window = device;
    const struct pci_access access = {window->base + offset, width, window->is_ports};

    for (const struct pci_slot *s = window->host->slots; s < window->host->slots + PCI_HOST_SLOTS; s++)
        if (s->ops && s->ops->write(s->device, &access, value))
            return;
}

const struct io_region_ops pci_window_ops = {window_read, window_write};
