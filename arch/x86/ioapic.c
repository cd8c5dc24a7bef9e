/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/ioapic.h"
#include "arch/arch.h"
#include "arch/x86/acpi.h"
#include "arch/x86/apic.h"
#include "arch/x86/io.h"
#include "kernel/iommu.h"
#include "kernel/log.h"

#define REGSEL (0x00 / 4)
#define WIN    (0x10 / 4)
#define REG_VERSION     0x01
#define REG_REDIRECTION 0x10
#define RTE_LOW_ACTIVE  (1u << 13)
#define RTE_LEVEL       (1u << 15)
#define RTE_MASKED      (1u << 16)
#define PIC_MASTER_DATA 0x21
#define PIC_SLAVE_DATA  0xa1

static struct {
    volatile uint32_t *registers;
    uint32_t gsi_base, inputs;
    uint8_t id;
} chips[ACPI_IOAPICS_MAX];
static unsigned chip_count;
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

    chip_write(chip, reg, RTE_MASKED);
    chip_write(chip, reg + 1, high);
    chip_write(chip, reg, low);
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
static bool route_input(unsigned chip, uint32_t input, uint32_t mode, uint8_t vector)
{
    struct iommu_route route = {apic_id(), vector, mode & RTE_LEVEL};
    uint64_t entry = (uint64_t)route.apic_id << 56 | mode | vector;
    int error = 0;

    if (iommu_ops && iommu_ops->remaps_interrupts())
        error = iommu_ops->route_ioapic(chips[chip].id, input, &route, &entry);
    if (!error)
        write_entry(chip, input, (uint32_t)(entry >> 32), (uint32_t)entry | mode);
    else
        log_error("ioapic", "input %u of IOAPIC %u cannot be routed: error %d", input, chips[chip].id, error);
    return !error;
}

bool host_ioapic_route_isa(uint8_t irq, uint8_t vector)
{
    uint32_t gsi, mode;

    find_gsi(irq, &gsi, &mode);
    for (unsigned i = 0; i < chip_count; i++) {
        if (gsi - chips[i].gsi_base >= chips[i].inputs)
            continue;
        return route_input(i, gsi - chips[i].gsi_base, mode, vector);
    }
    return false;
}
