/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI Local Bus Specification, "MSI-X Capability and Table Structures". The guest's table is in our
 * memory; the device's own holds what the hypervisor wrote, and never an address of the guest's.
 * Whether a message is masked is the one thing that reaches the device, so that what it holds back
 * shows in its pending bits.
 */
#include "drivers/virt/pci_msix.h"
#include "drivers/pci_regs.h"
#include "kernel/lib/bytes.h"

#define CONTROL_SHIFT 16
#define WORDS         (PCI_MSIX_ENTRY_BYTES / 4)

enum { WORD_ADDRESS, WORD_UPPER, WORD_DATA, WORD_CONTROL };
#define VECTOR_MASKED 0x1u

static bool table_fits(const struct pci_passthrough_layout *layout, const struct pci_passthrough_msix *m)
{
    return m->bar < PCI_PASSTHROUGH_BARS && !layout->bars[m->bar].is_ports &&
           range_fits(m->offset, m->count * PCI_MSIX_ENTRY_BYTES, layout->bars[m->bar].size);
}

void pci_passthrough_find_msix(const struct pci_hardware_ops *ops, void *hardware,
                               struct pci_passthrough_layout *layout)
{
    struct pci_passthrough_msix *m = &layout->msix;
    uint32_t control, table;

    m->count = m->offered = 0;
    if (!m->capability)
        return;
    control = ops->config_read(hardware, m->capability) >> CONTROL_SHIFT;
    table = ops->config_read(hardware, m->capability + PCI_MSIX_TABLE);
    m->bar = table & PCI_MSIX_BAR_MASK;
    m->offset = table & ~PCI_MSIX_BAR_MASK;
    m->count = (control & PCI_MSIX_CONTROL_SIZE) + 1;
    if (!table_fits(layout, m))
        m->count = 0;
    m->offered = m->count;
}

void pci_msix_init(struct pci_passthrough *p)
{
    for (unsigned i = 0; i < p->layout.msix.offered; i++)
        p->msix_entries[i] = (struct pci_msix_entry){{0, 0, 0, VECTOR_MASKED}};
}

void pci_passthrough_msix_pages(const struct pci_passthrough_msix *msix, uint64_t *first, uint64_t *size)
{
    uint64_t end = ALIGN_UP((uint64_t)msix->offset + msix->count * PCI_MSIX_ENTRY_BYTES, PAGE_SIZE);

    *first = ALIGN_DOWN((uint64_t)msix->offset, PAGE_SIZE);
    *size = msix->count ? end - *first : 0;
}

/* The device is told of an entry when the guest lets it send, and no sooner. */
static void tell(struct pci_passthrough *p, unsigned index)
{
    const uint32_t *w = p->msix_entries[index].words;
    struct pci_message message = {(uint64_t)w[WORD_UPPER] << 32 | w[WORD_ADDRESS], w[WORD_DATA]};

    p->ops->set_msix(p->hardware, index, w[WORD_CONTROL] & VECTOR_MASKED ? NULL : &message);
}

void pci_msix_set_control(struct pci_passthrough *p, uint16_t control)
{
    if (control == p->msix_control)
        return;
    p->msix_control = control;
    p->ops->set_msix_control(p->hardware, control);
}

bool pci_msix_is_table(const struct pci_passthrough *p, unsigned bar, uint64_t offset,
                       unsigned width)
{
    const struct pci_passthrough_msix *m = &p->layout.msix;

    return m->count > 0 && bar == m->bar &&
           ranges_overlap(offset, width, m->offset, m->count * PCI_MSIX_ENTRY_BYTES);
}

/* "All accesses must be naturally aligned doublewords or quadwords"; what is not, or not offered, gets nothing. */
static bool is_proper(const struct pci_passthrough *p, uint64_t offset, unsigned width)
{
    return (width == 4 || width == 8) && offset % width == 0 &&
           range_fits(offset, width, p->layout.msix.offered * PCI_MSIX_ENTRY_BYTES);
}

static uint32_t *word_at(const struct pci_passthrough *p, uint64_t offset)
{
    return &p->msix_entries[offset / PCI_MSIX_ENTRY_BYTES].words[offset / 4 % WORDS];
}

uint64_t pci_msix_read(const struct pci_passthrough *p, uint64_t offset, unsigned width)
{
    if (!is_proper(p, offset, width))
        return bytes_mask(width);
    return *word_at(p, offset) | (width == 8 ? (uint64_t)*word_at(p, offset + 4) << 32 : 0);
}

static void write_word(struct pci_passthrough *p, uint64_t offset, uint32_t value)
{
    static const uint32_t writable[WORDS] = {~3u, UINT32_MAX, UINT32_MAX, VECTOR_MASKED};

    *word_at(p, offset) = value & writable[offset / 4 % WORDS];
}

void pci_msix_write(struct pci_passthrough *p, uint64_t offset, unsigned width, uint64_t value)
{
    if (!is_proper(p, offset, width))
        return;
    write_word(p, offset, (uint32_t)value);
    if (width == 8)
        write_word(p, offset + 4, (uint32_t)(value >> 32));
    tell(p, (unsigned)(offset / PCI_MSIX_ENTRY_BYTES));
}
