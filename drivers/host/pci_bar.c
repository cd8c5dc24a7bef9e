/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How large each base address register's range is: PCI Local Bus Specification, "Address Maps".
 * A range is where all ones were written for a moment, so the function decodes nothing meanwhile.
 */
#include "drivers/host/pci_internal.h"
#include "kernel/log.h"

/* What stays of all ones that were written; the register holds its old value again. */
static uint32_t probe(const struct pci_function *f, unsigned offset, uint32_t ones, uint32_t *old)
{
    uint32_t mask;

    *old = pci_read32(f, offset);
    pci_config_write(f->address, offset, 4, ones);
    mask = pci_read32(f, offset);
    pci_config_write(f->address, offset, 4, *old);
    return mask;
}

/* A range is a power of two, and lies at a multiple of it, or what we read was nonsense. */
static void settle(const struct pci_function *f, struct pci_bar *bar, uint64_t mask,
                   unsigned offset)
{
    bar->size = mask & (~mask + 1);
    if (bar->size == 0 || ~mask + 1 != bar->size || !IS_ALIGNED(bar->address, bar->size)) {
        if (bar->size != 0)
            log_warn("pci", PCI_ADDRESS_FORMAT ": register 0x%02x makes no sense: ignored",
                     PCI_ADDRESS_ARGS(f->address), offset);
        *bar = (struct pci_bar){.kind = PCI_BAR_NONE};
    }
}

static void read_ports(struct pci_bar *bar, uint32_t old, uint32_t mask, uint64_t *size_mask)
{
    bar->kind = PCI_BAR_PORTS;
    bar->address = old & PCI_BAR_IO_MASK & 0xffff;
    mask &= PCI_BAR_IO_MASK & 0xffff; /* the upper half may be hardwired to zero */
    *size_mask = mask ? mask | ~UINT64_C(0xffff) : 0;
}

/* Returns how many registers the BAR takes. */
static unsigned read_bar(struct pci_function *f, unsigned index, unsigned count)
{
    struct pci_bar *bar = &f->bars[index];
    unsigned offset = PCI_BAR0 + 4 * index;
    uint32_t old, high_old, mask = probe(f, offset, UINT32_MAX, &old);
    uint64_t size_mask;

    if (old & PCI_BAR_IO) {
        read_ports(bar, old, mask, &size_mask);
        settle(f, bar, size_mask, offset);
        return 1;
    }
    bar->kind = PCI_BAR_MEMORY;
    bar->is_prefetchable = old & PCI_BAR_PREFETCH;
    bar->address = old & PCI_BAR_MEMORY_MASK;
    size_mask = mask & PCI_BAR_MEMORY_MASK;
    if ((old & PCI_BAR_TYPE_MASK) != PCI_BAR_TYPE_64 || index + 1 == count) {
        settle(f, bar, size_mask ? size_mask | ~UINT64_C(0xffffffff) : 0, offset);
        return 1;
    }
    bar->kind = PCI_BAR_MEMORY_64;
    size_mask |= (uint64_t)probe(f, offset + 4, UINT32_MAX, &high_old) << 32;
    bar->address |= (uint64_t)high_old << 32;
    settle(f, bar, size_mask, offset);
    return 2;
}

static void read_rom(struct pci_function *f, unsigned offset)
{
    uint32_t old, mask = probe(f, offset, PCI_ROM_MASK, &old) & PCI_ROM_MASK;

    f->rom.kind = PCI_BAR_MEMORY;
    f->rom.address = old & PCI_ROM_MASK;
    settle(f, &f->rom, mask ? mask | ~UINT64_C(0xffffffff) : 0, offset);
}

/* A host bridge is never given away, and some stop forwarding to memory when they do not decode. */
static bool has_bars(const struct pci_function *f)
{
    return (f->header_type & PCI_HEADER_TYPE_MASK) <= PCI_HEADER_BRIDGE &&
           !(f->base_class == PCI_CLASS_BRIDGE && f->sub_class == PCI_SUBCLASS_HOST);
}

void pci_read_bars(struct pci_function *f)
{
    unsigned count = f->is_bridge ? 2 : PCI_BARS_MAX;
    uint16_t command = pci_read16(f, PCI_COMMAND);

    if (!has_bars(f))
        return;
    pci_config_write(f->address, PCI_COMMAND, 2, command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
    for (unsigned i = 0; i < count;)
        i += read_bar(f, i, count);
    read_rom(f, f->is_bridge ? PCI_BRIDGE_ROM : PCI_ROM);
    pci_config_write(f->address, PCI_COMMAND, 2, command);
}

/* --- overlaps --- */

/* What a function does not decode is where somebody left it. */
static bool answers(const struct pci_function *f, bool is_ports)
{
    return pci_read16(f, PCI_COMMAND) & (is_ports ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);
}

static bool has_overlap(const struct pci_function *f, const struct pci_bar *bar)
{
    bool is_ports = bar->kind == PCI_BAR_PORTS;

    for (unsigned i = 0; i < PCI_BARS_MAX; i++) {
        const struct pci_bar *other = &f->bars[i];

        if (other != bar && other->kind != PCI_BAR_NONE && (other->kind == PCI_BAR_PORTS) == is_ports &&
            ranges_overlap(other->address, other->size, bar->address, bar->size) && answers(f, is_ports))
            return true;
    }
    return false;
}

const struct pci_function *pci_find_overlap(const struct pci_bar *bar)
{
    for (unsigned i = 0; i < pci_count(); i++)
        if (has_overlap(pci_at(i), bar))
            return pci_at(i);
    return NULL;
}
