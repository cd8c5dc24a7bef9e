/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/ioapic.h"
#include "arch/arch.h"
#include "arch/x86/acpi.h"
#include "arch/x86/apic.h"
#include "arch/x86/io.h"
#include "kernel/iommu.h"
#include "kernel/lib/lock.h"
#include "kernel/log.h"

#define REGSEL (0x00 / 4)
#define WIN    (0x10 / 4)
#define REG_VERSION     0x01
#define REG_REDIRECTION 0x10
#define RTE_LOW_ACTIVE  (1u << 13)
#define RTE_LEVEL       (1u << 15)
#define RTE_MASKED      (1u << 16)
#define ISA_IRQS        16u
#define PIC_MASTER_DATA 0x21
#define PIC_SLAVE_DATA  0xa1

static struct {
    volatile uint32_t *registers;
    uint32_t gsi_base, inputs;
    uint8_t id;
} chips[ACPI_IOAPICS_MAX];
static unsigned chip_count;
static struct lock lock; /* guards the pairs of registers */
static const struct acpi_info *tables;

static uint32_t chip_read(unsigned chip, uint8_t reg)
{
    chips[chip].registers[REGSEL] = reg;
    return chips[chip].registers[WIN];
}

static void chip_write(unsigned chip, uint8_t reg, uint32_t value)
{
    chips[chip].registers[REGSEL] = reg;
    chips[chip].registers[WIN] = value;
}

static void write_entry(unsigned chip, uint32_t input, uint32_t high, uint32_t low)
{
    uint8_t reg = (uint8_t)(REG_REDIRECTION + 2 * input);

    lock_acquire(&lock);
    chip_write(chip, reg, RTE_MASKED);
    chip_write(chip, reg + 1, high);
    chip_write(chip, reg, low);
    lock_release(&lock);
}

void host_ioapic_init(const struct acpi_info *acpi)
{
    tables = acpi;
    io_out8(PIC_MASTER_DATA, 0xff);
    io_out8(PIC_SLAVE_DATA, 0xff);
    for (unsigned i = 0; i < acpi->ioapic_count; i++) {
        volatile uint32_t *registers = arch_map_device(acpi->ioapics[i].address, PAGE_SIZE);

        if (!registers)
            continue;
        chips[chip_count].registers = registers;
        chips[chip_count].gsi_base = acpi->ioapics[i].gsi_base;
        chips[chip_count].id = acpi->ioapics[i].id;
        chips[chip_count].inputs = (chip_read(chip_count, REG_VERSION) >> 16 & 0xff) + 1;
        for (uint32_t input = 0; input < chips[chip_count].inputs; input++)
            write_entry(chip_count, input, 0, RTE_MASKED);
        chip_count++;
    }
}

static void find_gsi(uint8_t irq, uint32_t *gsi, uint32_t *mode)
{
    *gsi = irq;
    *mode = 0;
    for (unsigned i = 0; i < tables->override_count; i++) {
        const struct acpi_override *o = &tables->overrides[i];

        if (o->irq != irq)
            continue;
        *gsi = o->gsi;
        *mode = ((o->flags & ACPI_INTI_POLARITY_MASK) == ACPI_INTI_POLARITY_LOW ? RTE_LOW_ACTIVE : 0) |
                ((o->flags & ACPI_INTI_TRIGGER_MASK) == ACPI_INTI_TRIGGER_LEVEL ? RTE_LEVEL : 0);
    }
}

/* Where interrupts are remapped, the entry names one of the IOMMU's, which says where it goes. */
static bool route_input(unsigned chip, uint32_t input, uint32_t mode, const struct host_ioapic_target *to)
{
    struct iommu_route route = {to->apic_id, to->vector, mode & RTE_LEVEL};
    uint64_t entry = (uint64_t)route.apic_id << 56 | mode | to->vector;
    int error = 0;

    if (iommu_ops && iommu_ops->remaps_interrupts())
        error = iommu_ops->route_ioapic(chips[chip].id, input, &route, &entry);
    if (!error)
        write_entry(chip, input, (uint32_t)(entry >> 32), (uint32_t)entry | mode);
    else
        log_error("ioapic", "input %u of IOAPIC %u cannot be routed: error %d", input, chips[chip].id, error);
    return !error;
}

/* Which chip has that input; chip_count: none. */
static unsigned find_chip(uint32_t gsi)
{
    unsigned i = 0;

    while (i < chip_count && gsi - chips[i].gsi_base >= chips[i].inputs)
        i++;
    return i;
}

static bool route_gsi(uint32_t gsi, uint32_t mode, const struct host_ioapic_target *to)
{
    unsigned chip = find_chip(gsi);

    return chip < chip_count && route_input(chip, gsi - chips[chip].gsi_base, mode, to);
}

bool host_ioapic_route_isa(uint8_t irq, const struct host_ioapic_target *to)
{
    uint32_t gsi, mode;

    find_gsi(irq, &gsi, &mode);
    return route_gsi(gsi, mode, to);
}

void host_ioapic_set_isa_mask(uint8_t irq, bool is_masked)
{
    uint32_t gsi, mode;

    find_gsi(irq, &gsi, &mode);
    host_ioapic_set_mask(gsi, is_masked);
}

/* --- PCI's pins --- */

/* Is it some ISA interrupt's, and how does that come? */
static bool is_isa(uint32_t gsi, uint32_t *mode, bool *is_sci)
{
    for (uint8_t irq = 0; irq < ISA_IRQS; irq++) {
        uint32_t its_gsi;

        find_gsi(irq, &its_gsi, mode);
        *is_sci = tables->has_fadt && irq == tables->fadt.sci_irq;
        if (its_gsi == gsi)
            return true;
    }
    return false;
}

static bool is_nmi(uint32_t gsi)
{
    for (unsigned i = 0; i < tables->nmi_source_count; i++)
        if (tables->nmi_sources[i].gsi == gsi)
            return true;
    return false;
}

/*
 * Those behind ISA's, level and active low as the PCI bus has them; and of ISA's what the tables call level-triggered,
 * which is how a chipset's router joins PCI to ISA. Not the SCI, which is firmware's.
 */
static bool is_for_pci(uint32_t gsi, uint32_t *mode)
{
    bool is_sci;

    if (is_nmi(gsi) || (tables->has_fadt && gsi == tables->fadt.sci_irq))
        return false;
    if (is_isa(gsi, mode, &is_sci))
        return (*mode & RTE_LEVEL) && !is_sci;
    if (gsi < ISA_IRQS)
        return false; /* the PICs', or nobody's */
    *mode = RTE_LEVEL | RTE_LOW_ACTIVE;
    return true;
}

unsigned host_ioapic_pci_inputs(uint32_t *gsis, unsigned max)
{
    unsigned count = 0;
    uint32_t mode;

    for (unsigned i = 0; i < chip_count; i++)
        for (uint32_t input = 0; input < chips[i].inputs && count < max; input++)
            if (is_for_pci(chips[i].gsi_base + input, &mode))
                gsis[count++] = chips[i].gsi_base + input;
    return count;
}

bool host_ioapic_route_pci(uint32_t gsi, const struct host_ioapic_target *to)
{
    uint32_t mode;

    return is_for_pci(gsi, &mode) && route_gsi(gsi, mode, to);
}

void host_ioapic_set_mask(uint32_t gsi, bool is_masked)
{
    unsigned chip = find_chip(gsi);
    uint8_t reg;
    uint32_t low;

    if (chip == chip_count)
        return;
    reg = (uint8_t)(REG_REDIRECTION + 2 * (gsi - chips[chip].gsi_base));
    lock_acquire(&lock);
    low = chip_read(chip, reg) & ~RTE_MASKED;
    chip_write(chip, reg, low | (is_masked ? RTE_MASKED : 0));
    lock_release(&lock);
}
