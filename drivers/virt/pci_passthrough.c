/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration registers of a passed-through function, by table: PCI Local Bus Specification,
 * "Configuration Space" and "Message Signaled Interrupts"; PCI Express Base Specification, "PCI
 * Express Capability Structure". The MSI-X table itself is pci_msix.c's.
 */
#include "drivers/virt/pci_passthrough.h"
#include "drivers/pci_regs.h"
#include "drivers/virt/pci_msix.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

#define HEADER_BYTES          0x40u
#define SUBSYSTEM             0x2c
#define STATUS_SHIFT          16
#define COMMAND_WRITABLE      (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_OFF)
#define CACHE_LINE_MASK       0xffu
#define INTERRUPT_PIN_SHIFT   8
#define HEADER_TYPE_SHIFT     16
#define MSI_CONTROL_SHIFT     16
#define MSI_BYTES_32          12u
#define MSI_BYTES_64          16u
#define PM_CAPABILITY_KEPT    0x0007ffffu /* id, next, version: no PME, no D1, no D2 */
#define VENDOR_LENGTH_SHIFT   16
#define LIST_MAX              48u /* all that fit: a list that goes in circles ends, too */
#define EXPRESS_TYPE_SHIFT    (16 + PCI_EXP_FLAGS_TYPE_SHIFT)
#define CAPABILITY_NEXT       0x0000ff00u
#define CAPABILITY_NEXT_SHIFT 8

static uint32_t hardware_read(const struct pci_passthrough *p, unsigned offset)
{
    return p->ops->config_read(p->hardware, offset);
}

static uint32_t merge(uint32_t old, uint32_t value, uint32_t mask)
{
    return (old & ~mask) | (value & mask);
}

/* --- the header --- */

static uint32_t read_hardware(const struct pci_passthrough *p, unsigned at)
{
    return hardware_read(p, at);
}

static uint32_t read_command(const struct pci_passthrough *p, unsigned at)
{
    uint32_t pending = p->layout.has_pin ? hardware_read(p, at) & PCI_STATUS_INTERRUPT << STATUS_SHIFT : 0;

    return p->command | pending | (p->capability_count ? PCI_STATUS_CAP_LIST << STATUS_SHIFT : 0);
}

static uint64_t bar_address(const struct pci_passthrough *p, unsigned bar)
{
    uint32_t low = p->bar_registers[bar];

    if (p->layout.bars[bar].is_ports)
        return low & PCI_BAR_IO_MASK;
    low &= PCI_BAR_MEMORY_MASK;
    return p->layout.bars[bar].is_64 ? low | (uint64_t)p->bar_registers[bar + 1] << 32 : low;
}

static bool is_in_window(const struct pci_passthrough *p, const struct pci_passthrough_bar *bar, uint64_t address)
{
    for (unsigned i = 0; i < PCI_PASSTHROUGH_WINDOWS; i++) {
        const struct pci_passthrough_window *w = &p->layout.windows[i];

        if (w->is_ports == bar->is_ports && address >= w->base && range_fits(address - w->base, bar->size, w->size))
            return true;
    }
    return false;
}

static bool decodes(const struct pci_passthrough *p, const struct pci_passthrough_bar *bar)
{
    return p->command & (bar->is_ports ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);
}

static void place_bars(struct pci_passthrough *p)
{
    for (unsigned i = 0; i < PCI_PASSTHROUGH_BARS; i++) {
        const struct pci_passthrough_bar *bar = &p->layout.bars[i];
        uint64_t address = bar_address(p, i);

        if (!decodes(p, bar) || !is_in_window(p, bar, address))
            address = PCI_BAR_NOWHERE;
        if (bar->size == 0 || address == p->placed[i])
            continue;
        p->placed[i] = address;
        p->ops->place_bar(p->hardware, i, address);
    }
}

static uint16_t command_writable(const struct pci_passthrough *p)
{
    uint32_t writable = COMMAND_WRITABLE;

    for (unsigned i = 0; i < PCI_PASSTHROUGH_BARS; i++)
        writable |= p->layout.bars[i].is_ports ? PCI_COMMAND_IO : 0;
    return (uint16_t)writable;
}

static void write_command(struct pci_passthrough *p, unsigned at, uint32_t value, uint32_t mask)
{
    uint16_t old = p->command;

    (void)at;
    p->command = (uint16_t)merge(p->command, value, mask & command_writable(p));
    if ((old ^ p->command) & PCI_COMMAND_MASTER)
        p->ops->set_master(p->hardware, p->command & PCI_COMMAND_MASTER);
    if (((old ^ p->command) & PCI_COMMAND_INTX_OFF) && p->layout.has_pin)
        p->ops->set_pin(p->hardware, !(p->command & PCI_COMMAND_INTX_OFF));
    place_bars(p);
}

/* Of a device with several functions each is one of its own here. */
static uint32_t read_header_type(const struct pci_passthrough *p, unsigned at)
{
    (void)at;
    return p->cache_line | (uint32_t)PCI_HEADER_NORMAL << HEADER_TYPE_SHIFT;
}

static void write_cache_line(struct pci_passthrough *p, unsigned at, uint32_t value, uint32_t mask)
{
    (void)at;
    p->cache_line = (uint8_t)merge(p->cache_line, value, mask & CACHE_LINE_MASK);
}

static uint32_t read_bar(const struct pci_passthrough *p, unsigned at)
{
    return p->bar_registers[(at - PCI_BAR0) / 4];
}

/* The bits of a register that are an address; 0: there is no BAR. */
static uint32_t bar_writable(const struct pci_passthrough *p, unsigned index)
{
    const struct pci_passthrough_bar *bars = p->layout.bars;

    if (bars[index].size != 0)
        return (uint32_t) ~(bars[index].size - 1) & (bars[index].is_ports ? PCI_BAR_IO_MASK : PCI_BAR_MEMORY_MASK);
    if (index > 0 && bars[index - 1].is_64)
        return (uint32_t)(~(bars[index - 1].size - 1) >> 32);
    return 0;
}

static void write_bar(struct pci_passthrough *p, unsigned at, uint32_t value, uint32_t mask)
{
    unsigned index = (at - PCI_BAR0) / 4;

    p->bar_registers[index] = merge(p->bar_registers[index], value, mask & bar_writable(p, index));
    place_bars(p);
}

static uint32_t read_first_capability(const struct pci_passthrough *p, unsigned at)
{
    (void)at;
    return p->capability_count ? p->capabilities[0].offset : 0;
}

/* As a device of its own it has one pin, whichever the hardware's is. */
static uint32_t read_interrupt(const struct pci_passthrough *p, unsigned at)
{
    (void)at;
    return p->interrupt_line | (p->layout.has_pin ? 1u << INTERRUPT_PIN_SHIFT : 0);
}

static void write_interrupt(struct pci_passthrough *p, unsigned at, uint32_t value, uint32_t mask)
{
    (void)at;
    p->interrupt_line = (uint8_t)merge(p->interrupt_line, value, mask & 0xff);
}

static const struct pci_register {
    uint32_t (*read)(const struct pci_passthrough *p, unsigned at);
    void (*write)(struct pci_passthrough *p, unsigned at, uint32_t value, uint32_t mask);
} header[HEADER_BYTES / 4] = {
    [PCI_VENDOR_ID / 4] = {read_hardware, NULL},
    [PCI_COMMAND / 4] = {read_command, write_command},
    [PCI_REVISION_ID / 4] = {read_hardware, NULL},
    [PCI_HEADER_TYPE / 4] = {read_header_type, write_cache_line},
    [PCI_BAR0 / 4 ... PCI_BAR0 / 4 + PCI_PASSTHROUGH_BARS - 1] = {read_bar, write_bar},
    [SUBSYSTEM / 4] = {read_hardware, NULL},
    /* No expansion ROM: its code is firmware's and has run; read through a BAR, it could be no guest's to move. */
    [PCI_CAPABILITIES / 4] = {read_first_capability, NULL},
    [PCI_INTERRUPT_LINE / 4] = {read_interrupt, write_interrupt},
};

/* --- capabilities; at is relative to base, where the capability is --- */

/* The device stays in D0: power is the machine's. */
static uint32_t read_pm(const struct pci_passthrough *p, unsigned base, unsigned at)
{
    return at == 0 ? hardware_read(p, base) & PM_CAPABILITY_KEPT : PCI_PM_CONTROL_NO_RESET;
}

/* Virtio says here where its registers are. Writes could reach any of them, the table of messages
 * too. */
static uint32_t read_vendor(const struct pci_passthrough *p, unsigned base, unsigned at)
{
    return hardware_read(p, base + at);
}

static uint32_t read_msi(const struct pci_passthrough *p, unsigned base, unsigned at)
{
    uint32_t control = p->msi_control | (p->msi_is_64 ? PCI_MSI_CONTROL_64 : 0);
    unsigned data_at = p->msi_is_64 ? 12 : 8;

    (void)base;
    if (at == 0)
        return PCI_CAP_ID_MSI | control << MSI_CONTROL_SHIFT;
    if (at == data_at)
        return p->msi.data;
    return at == 4 ? (uint32_t)p->msi.address : (uint32_t)(p->msi.address >> 32);
}

/* One message only, so there is no number in its lowest bits. */
static void write_msi(struct pci_passthrough *p, unsigned at, uint32_t value, uint32_t mask)
{
    if (at == 0)
        p->msi_control = (uint16_t)merge(p->msi_control, value >> MSI_CONTROL_SHIFT,
                                         mask >> MSI_CONTROL_SHIFT & PCI_MSI_CONTROL_ENABLE);
    else if (at == (p->msi_is_64 ? 12 : 8))
        p->msi.data = merge(p->msi.data, value, mask & UINT16_MAX);
    else if (at == 4)
        p->msi.address =
            (p->msi.address & ~bytes_mask(4)) | merge((uint32_t)p->msi.address, value, mask & ~3u);
    else
        p->msi.address = (uint32_t)p->msi.address |
                         (uint64_t)merge((uint32_t)(p->msi.address >> 32), value, mask) << 32;
    p->ops->set_msi(p->hardware, p->msi_control & PCI_MSI_CONTROL_ENABLE ? &p->msi : NULL);
}

static uint32_t read_msix(const struct pci_passthrough *p, unsigned base, unsigned at)
{
    if (at != 0)
        return hardware_read(p, base + at);
    return PCI_CAP_ID_MSIX | (uint32_t)(p->msix_control | (p->layout.msix.offered - 1)) << MSI_CONTROL_SHIFT;
}

static void write_msix(struct pci_passthrough *p, unsigned at, uint32_t value, uint32_t mask)
{
    if (at == 0)
        pci_msix_set_control(p,
                             (uint16_t)merge(p->msix_control, value >> MSI_CONTROL_SHIFT,
                                             mask >> MSI_CONTROL_SHIFT & (PCI_MSIX_CONTROL_ENABLE |
                                                                          PCI_MSIX_CONTROL_MASK)));
}

/* There is no port above it, so it is one of the root complex's own. Its reset is ours to do. */
static uint32_t read_express(const struct pci_passthrough *p, unsigned base, unsigned at)
{
    uint32_t value = hardware_read(p, base + at);

    if (at == 0)
        return (value & ~(PCI_EXP_FLAGS_TYPE_MASK << EXPRESS_TYPE_SHIFT)) |
               PCI_EXP_TYPE_INTEGRATED << EXPRESS_TYPE_SHIFT;
    return at == PCI_EXP_DEVCAP ? value & ~PCI_EXP_DEVCAP_FLR : value;
}

enum { KIND_PM, KIND_MSI, KIND_VENDOR, KIND_EXPRESS, KIND_MSIX, KINDS };

/* What is not here a guest does not see. */
static const struct {
    uint8_t id;
    uint8_t bytes; /* 0: it says so itself */
    uint32_t (*read)(const struct pci_passthrough *p, unsigned base, unsigned at);
    void (*write)(struct pci_passthrough *p, unsigned at, uint32_t value, uint32_t mask);
} kinds[KINDS] = {
    [KIND_PM] = {PCI_CAP_ID_PM, 8, read_pm, NULL},
    [KIND_MSI] = {PCI_CAP_ID_MSI, 0, read_msi, write_msi},
    [KIND_VENDOR] = {PCI_CAP_ID_VENDOR, 0, read_vendor, NULL},
    /* Up to device control and status: one of the root complex's own has no link. */
    [KIND_EXPRESS] = {PCI_CAP_ID_PCIE, 12, read_express, NULL},
    [KIND_MSIX] = {PCI_CAP_ID_MSIX, 12, read_msix, write_msix},
};

/* --- any register --- */

static const struct pci_passthrough_capability *find_capability(const struct pci_passthrough *p,
                                                                unsigned offset)
{
    for (unsigned i = 0; i < p->capability_count; i++)
        if (offset - p->capabilities[i].offset < p->capabilities[i].bytes)
            return &p->capabilities[i];
    return NULL;
}

/* Where the next one is that a guest may see. */
static uint32_t next_capability(const struct pci_passthrough *p,
                                const struct pci_passthrough_capability *c)
{
    return c + 1 < p->capabilities + p->capability_count ? c[1].offset : 0u;
}

static uint32_t read_capability(const struct pci_passthrough *p,
                                const struct pci_passthrough_capability *c, unsigned at)
{
    uint32_t value = kinds[c->kind].read(p, c->offset, at);

    return at == 0 ? (value & ~CAPABILITY_NEXT) | next_capability(p, c) << CAPABILITY_NEXT_SHIFT
                   : value;
}

static uint32_t config_read(void *device, unsigned offset)
{
    const struct pci_passthrough *p = device;
    const struct pci_passthrough_capability *c = find_capability(p, offset);

    if (offset < HEADER_BYTES)
        return header[offset / 4].read ? header[offset / 4].read(p, offset) : 0;
    return c ? read_capability(p, c, offset - c->offset) : 0;
}

static void config_write(void *device, unsigned offset, uint32_t value, uint32_t mask)
{
    struct pci_passthrough *p = device;
    const struct pci_passthrough_capability *c = find_capability(p, offset);

    if (offset < HEADER_BYTES) {
        if (header[offset / 4].write)
            header[offset / 4].write(p, offset, value, mask);
    } else if (c && kinds[c->kind].write) {
        kinds[c->kind].write(p, offset - c->offset, value, mask);
    }
}

/* --- what BARs lead to --- */

/* The BAR that an access is in; PCI_PASSTHROUGH_BARS: none. */
static unsigned find_bar(const struct pci_passthrough *p, const struct pci_access *access)
{
    unsigned i = 0;

    while (i < PCI_PASSTHROUGH_BARS &&
           (p->layout.bars[i].is_ports != access->is_port || p->placed[i] == PCI_BAR_NOWHERE ||
            access->address < p->placed[i] ||
            !range_fits(access->address - p->placed[i], access->width, p->layout.bars[i].size)))
        i++;
    return i;
}

static bool read_register(void *device, const struct pci_access *access, uint64_t *value)
{
    const struct pci_passthrough *p = device;
    unsigned bar = find_bar(p, access);
    uint64_t offset;

    if (bar == PCI_PASSTHROUGH_BARS)
        return false;
    offset = access->address - p->placed[bar];
    *value = pci_msix_is_table(p, bar, offset, access->width)
                 ? pci_msix_read(p, offset - p->layout.msix.offset, access->width)
                 : p->ops->bar_read(p->hardware, bar, offset, access->width);
    return true;
}

static bool write_register(void *device, const struct pci_access *access, uint64_t value)
{
    struct pci_passthrough *p = device;
    unsigned bar = find_bar(p, access);
    uint64_t offset;

    if (bar == PCI_PASSTHROUGH_BARS)
        return false;
    offset = access->address - p->placed[bar];
    if (pci_msix_is_table(p, bar, offset, access->width))
        pci_msix_write(p, offset - p->layout.msix.offset, access->width, value);
    else
        p->ops->bar_write(p->hardware, bar, offset, access->width, value);
    return true;
}

const struct pci_slot_ops pci_passthrough_ops = {config_read, config_write, read_register, write_register};

/* --- init --- */

static unsigned capability_bytes(struct pci_passthrough *p, unsigned kind, uint32_t first)
{
    if (kind == KIND_VENDOR)
        return ALIGN_UP(first >> VENDOR_LENGTH_SHIFT & 0xff, 4u);
    if (kind != KIND_MSI)
        return kinds[kind].bytes;
    p->msi_is_64 = first >> MSI_CONTROL_SHIFT & PCI_MSI_CONTROL_64;
    return p->msi_is_64 ? MSI_BYTES_64 : MSI_BYTES_32;
}

static bool has_kind(const struct pci_passthrough *p, unsigned kind)
{
    for (unsigned i = 0; i < p->capability_count; i++)
        if (p->capabilities[i].kind == kind)
            return true;
    return false;
}

/* Of each kind the first one, but for the vendor's. */
static bool is_offered(const struct pci_passthrough *p, unsigned kind, unsigned offset)
{
    if (kind == KIND_MSIX && (p->layout.msix.count == 0 || offset != p->layout.msix.capability))
        return false;
    return kind < KINDS && (kind == KIND_VENDOR || !has_kind(p, kind)) &&
           !find_capability(p, offset) && p->capability_count < PCI_PASSTHROUGH_CAPABILITIES;
}

static void add_capability(struct pci_passthrough *p, unsigned offset, uint32_t first)
{
    unsigned kind = 0, bytes;

    while (kind < KINDS && kinds[kind].id != (first & 0xff))
        kind++;
    if (!is_offered(p, kind, offset))
        return;
    bytes = capability_bytes(p, kind, first);
    if (bytes >= 4 && range_fits(offset, bytes, PCI_CONFIG_BYTES))
        p->capabilities[p->capability_count++] =
            (struct pci_passthrough_capability){(uint16_t)offset, (uint16_t)bytes, (uint8_t)kind};
}

static void add_capabilities(struct pci_passthrough *p)
{
    unsigned offset = 0;

    if (hardware_read(p, PCI_COMMAND) >> STATUS_SHIFT & PCI_STATUS_CAP_LIST)
        offset = hardware_read(p, PCI_CAPABILITIES) & 0xfc;
    for (unsigned i = 0; i < LIST_MAX && offset >= PCI_CAP_FIRST; i++) {
        uint32_t first = hardware_read(p, offset);

        add_capability(p, offset, first);
        offset = first >> CAPABILITY_NEXT_SHIFT & 0xfc;
    }
}

/* As firmware leaves a machine: addresses are chosen, nothing is switched on. */
static void init_bars(struct pci_passthrough *p)
{
    for (unsigned i = 0; i < PCI_PASSTHROUGH_BARS; i++) {
        const struct pci_passthrough_bar *bar = &p->layout.bars[i];

        p->placed[i] = PCI_BAR_NOWHERE;
        if (bar->size == 0)
            continue;
        p->bar_registers[i] = (uint32_t)bar->start | (bar->is_64 ? PCI_BAR_TYPE_64 : 0) |
                              (bar->is_prefetchable ? PCI_BAR_PREFETCH : 0) | (bar->is_ports ? PCI_BAR_IO : 0);
        if (bar->is_64)
            p->bar_registers[i + 1] = (uint32_t)(bar->start >> 32);
    }
}

void pci_passthrough_init(struct pci_passthrough *p, const struct pci_hardware_ops *ops,
                          void *hardware, const struct pci_passthrough_layout *layout,
                          struct pci_msix_entry *entries)
{
    *p = (struct pci_passthrough){
        .ops = ops, .hardware = hardware, .layout = *layout, .msix_entries = entries};
    pci_msix_init(p);
    add_capabilities(p);
    init_bars(p);
}
