/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: between a guest that writes anything into configuration space and into its functions' memory, and hardware that
 * says anything of itself, the hardware is asked only for what the guest may have: memory inside the windows and
 * beside the table of messages, messages that there are; and the guest's list of capabilities ends. Input: records of
 * 8 bytes {what, which, where, value}.
 */
#include "tests/host/fake/fake.h"
#include "drivers/pci_regs.h"
#include "drivers/virt/pci_passthrough.h"
#include "kernel/lib/bytes.h"

#define RECORD_BYTES 8u
#define WINDOW_BASE  0xc0000000u
#define WINDOW_SIZE  0x10000000u
#define HIGH_BASE    (UINT64_C(1) << 38)
#define HIGH_SIZE    (UINT64_C(1) << 37)
#define PORTS_BASE   0x1000u
#define PORTS_SIZE   0xf000u
#define SLOT         3u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct pci_passthrough_layout usual = {
    .bars = {[0] = {0x10000, WINDOW_BASE, true, false, false},
             [2] = {0x10, WINDOW_BASE + 0x10000, false, false, false},
             [3] = {0x20, 0xc040, false, false, true},
             [4] = {UINT64_C(1) << 32, HIGH_BASE, true, true, false}},
    .windows = {{WINDOW_BASE, WINDOW_SIZE, false}, {HIGH_BASE, HIGH_SIZE, false}, {PORTS_BASE, PORTS_SIZE, true}},
    .msix.capability = 0x50,
    .has_pin = true,
};

static uint32_t config[PCI_CONFIG_BYTES / 4]; /* of the hardware */
static struct pci_passthrough device;
static struct pci_msix_entry entries[PCI_MSIX_ENTRIES_MAX];
static struct pci_host host;
static struct pci_window low, high, port_window;
static struct io_bus ports, mmio;

/* --- the hardware --- */

static uint32_t hw_config_read(void *hw, unsigned offset)
{
    (void)hw;
    if (offset >= sizeof config || offset % 4 != 0)
        abort();
    return config[offset / 4];
}

static void hw_set(void *hw, bool is_on)
{
    (void)hw, (void)is_on;
}

static bool is_in_a_window(const struct pci_passthrough_bar *bar, uint64_t address)
{
    for (unsigned i = 0; i < PCI_PASSTHROUGH_WINDOWS; i++) {
        const struct pci_passthrough_window *w = &usual.windows[i];

        if (w->is_ports == bar->is_ports && address >= w->base && address - w->base <= w->size - bar->size)
            return true;
    }
    return false;
}

static void hw_place_bar(void *hw, unsigned bar, uint64_t address)
{
    (void)hw;
    if (bar >= PCI_PASSTHROUGH_BARS || usual.bars[bar].size == 0)
        abort();
    if (address != PCI_BAR_NOWHERE &&
        (!is_in_a_window(&usual.bars[bar], address) || !IS_ALIGNED(address, usual.bars[bar].size)))
        abort();
}

static void check_access(unsigned bar, uint64_t offset, unsigned width)
{
    const struct pci_passthrough_msix *m = &device.layout.msix;

    if (bar >= PCI_PASSTHROUGH_BARS || width > usual.bars[bar].size || offset > usual.bars[bar].size - width)
        abort();
    if (m->count && bar == m->bar && offset + width > m->offset && offset < m->offset + m->count * PCI_MSIX_ENTRY_BYTES)
        abort();
}

static uint64_t hw_bar_read(void *hw, unsigned bar, uint64_t offset, unsigned width)
{
    (void)hw;
    check_access(bar, offset, width);
    return offset & bytes_mask(width);
}

static void hw_bar_write(void *hw, unsigned bar, uint64_t offset, unsigned width, uint64_t value)
{
    (void)hw, (void)value;
    check_access(bar, offset, width);
}

static void hw_set_msi(void *hw, const struct pci_message *message)
{
    (void)hw;
    if (message && !(device.msi_control & PCI_MSI_CONTROL_ENABLE))
        abort();
}

static void hw_set_msix(void *hw, unsigned index, const struct pci_message *message)
{
    (void)hw, (void)message;
    if (index >= device.layout.msix.count)
        abort();
}

static void hw_set_msix_control(void *hw, uint16_t control)
{
    (void)hw;
    if (control & ~(PCI_MSIX_CONTROL_ENABLE | PCI_MSIX_CONTROL_MASK))
        abort();
}

static const struct pci_hardware_ops hw_ops = {
    hw_config_read, hw_set,     hw_set,      hw_place_bar,        hw_bar_read,
    hw_bar_write,   hw_set_msi, hw_set_msix, hw_set_msix_control,
};

/* --- the machine --- */

static uint64_t neighbour_read(void *context, uint64_t offset, unsigned width)
{
    (void)context;
    if (offset + width > 4)
        abort();
    return offset;
}

static void neighbour_write(void *context, uint64_t offset, unsigned width, uint64_t value)
{
    (void)context, (void)value;
    if (offset + width > 4)
        abort();
}

static void add_region(struct io_bus *bus, struct io_region region)
{
    if (io_bus_add(bus, &region) != 0)
        abort();
}

static void plug(void)
{
    struct pci_passthrough_layout layout = usual;
    static const struct io_region_ops neighbour_ops = {neighbour_read, neighbour_write};
    struct io_region neighbour = {"reset", 0xcf8, 4, IO_WIDTH_ANY, &neighbour_ops, NULL, NULL};

    pci_host_init(&host, &neighbour);
    pci_passthrough_find_msix(&hw_ops, NULL, &layout);
    if (layout.msix.count > PCI_MSIX_ENTRIES_MAX)
        abort();
    pci_passthrough_init(&device, &hw_ops, NULL, &layout, entries);
    if (pci_host_add(&host, SLOT, &(struct pci_slot){&pci_passthrough_ops, &device}) != 0)
        abort();
}

static void build_machine(void)
{
    low = (struct pci_window){&host, WINDOW_BASE, false};
    high = (struct pci_window){&host, HIGH_BASE, false};
    port_window = (struct pci_window){&host, PORTS_BASE, true};
    add_region(&ports, (struct io_region){"pci", PCI_HOST_PORT, PCI_HOST_PORTS, 7, &pci_host_ops, &host, NULL});
    add_region(&ports, (struct io_region){"ports", PORTS_BASE, PORTS_SIZE, 7, &pci_window_ops, &port_window, NULL});
    add_region(&mmio, (struct io_region){"low", WINDOW_BASE, WINDOW_SIZE, IO_WIDTH_ANY, &pci_window_ops, &low, NULL});
    add_region(&mmio, (struct io_region){"high", HIGH_BASE, HIGH_SIZE, IO_WIDTH_ANY, &pci_window_ops, &high, NULL});
    io_bus_freeze(&ports);
    io_bus_freeze(&mmio);
}

/* --- the guest --- */

static void access(struct io_bus *bus, uint64_t address, unsigned width, bool is_write, uint64_t value)
{
    if (is_write)
        io_bus_write(bus, address, width, value & bytes_mask(width));
    else if (io_bus_read(bus, address, width) & ~bytes_mask(width))
        abort();
}

static void access_config(const uint8_t record[RECORD_BYTES])
{
    uint8_t offset = record[2], width = (uint8_t)(1u << record[1] % 3);

    io_bus_write(&ports, 0xcf8, 4, 0x80000000u | SLOT << 11 | (offset & 0xfc));
    access(&ports, 0xcfc + (offset & 3), width, record[1] & 0x80, get_le32(record + 4));
}

/* Near where a BAR is, or is not any more. */
static void access_memory(const uint8_t record[RECORD_BYTES])
{
    unsigned bar = record[1] % PCI_PASSTHROUGH_BARS, width = 1u << (record[1] >> 4) % 4;
    uint64_t base = device.placed[bar] == PCI_BAR_NOWHERE ? usual.bars[bar].start : device.placed[bar];

    if (usual.bars[bar].is_ports)
        access(&ports, (base + record[2]) & 0xffff, MIN(width, 4u), record[1] & 0x80, get_le32(record + 4));
    else
        access(&mmio, base + get_le16(record + 2), width, record[1] & 0x80, get_le32(record + 4));
}

static void step(const uint8_t record[RECORD_BYTES])
{
    uint32_t value = get_le32(record + 4);

    switch (record[0] % 6) {
    case 0:
        config[record[2] / 4] = value; /* the hardware changes its mind */
        break;
    case 1:
        plug();
        break;
    case 2:
        access(&ports, 0xcf8 + record[2] % 8, 1u << record[1] % 3, record[1] & 0x80, value);
        break;
    case 3:
        access_memory(record);
        break;
    default:
        access_config(record);
    }
}

/* As a guest follows it; ours has at most 16 entries, each of which is seen once. */
static void check_list(void)
{
    unsigned at = pci_passthrough_ops.config_read(&device, PCI_CAPABILITIES) & 0xff, entries_seen = 0;

    while (at) {
        if (at < PCI_CAP_FIRST || at % 4 != 0 || ++entries_seen > PCI_PASSTHROUGH_CAPABILITIES)
            abort();
        at = pci_passthrough_ops.config_read(&device, at) >> 8 & 0xff;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!ports.frozen)
        build_machine();
    memset(config, 0, sizeof config);
    plug();
    for (size_t at = 0; at + RECORD_BYTES <= size; at += RECORD_BYTES)
        step(data + at);
    for (unsigned offset = 0; offset < PCI_CONFIG_BYTES; offset += 4)
        (void)pci_passthrough_ops.config_read(&device, offset);
    check_list();
    return 0;
}
