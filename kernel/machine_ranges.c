/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Out of the memory map and the ACPI tables. What firmware calls reserved is not refused: it may well mean the windows
 * of PCI.
 */
#include "kernel/machine_ranges.h"
#include "arch/x86/acpi.h"
#include "arch/x86/apic_regs.h"
#include "drivers/pci_regs.h"
#include "kernel/memmap.h"

#define HPET_BYTES       KIB(1)
#define PC_PORTS         0x400u /* ISA's own */
#define PCI_CONFIG_PORTS 8u
#define BLOCK_PORTS      16u /* no block of the FADT that we know of is larger */

static const struct memmap *map;
static const struct acpi_info *tables;

void machine_ranges_init(const struct memmap *memory, const struct acpi_info *acpi)
{
    map = memory;
    tables = acpi;
}

bool machine_is_ram(hpa_t start, uint64_t size)
{
    for (unsigned i = 0; i < map->count; i++) {
        const struct memmap_range *r = &map->ranges[i];

        if (r->type != MEMMAP_RESERVED && r->type != MEMMAP_BAD &&
            ranges_overlap(r->start.value, r->size, start.value, size))
            return true;
    }
    return false;
}

static bool is_interrupt_controllers(hpa_t start, uint64_t size)
{
    if (ranges_overlap(MSI_ADDRESS_BASE, MIB(1), start.value, size) ||
        (tables->has_madt && ranges_overlap(tables->local_apic.value, PAGE_SIZE, start.value, size)))
        return true;
    for (unsigned i = 0; i < tables->ioapic_count; i++)
        if (ranges_overlap(tables->ioapics[i].address.value, PAGE_SIZE, start.value, size))
            return true;
    return false;
}

static bool is_iommus(hpa_t start, uint64_t size)
{
    for (unsigned i = 0; i < tables->dmar.unit_count; i++)
        if (ranges_overlap(tables->dmar.units[i].base.value, PAGE_SIZE, start.value, size))
            return true;
    return false;
}

static bool is_configuration_space(hpa_t start, uint64_t size)
{
    for (unsigned i = 0; i < tables->ecam_count; i++) {
        const struct acpi_ecam *e = &tables->ecams[i];
        uint64_t base = e->base.value + e->first_bus * PCI_ECAM_BUS_BYTES;

        if (ranges_overlap(base, (e->last_bus - e->first_bus + 1u) * PCI_ECAM_BUS_BYTES, start.value, size))
            return true;
    }
    return false;
}

static bool is_hpets(hpa_t start, uint64_t size)
{
    return tables->has_hpet && ranges_overlap(tables->hpet.value, HPET_BYTES, start.value, size);
}

static const struct {
    const char *name;
    bool (*is_there)(hpa_t start, uint64_t size);
} owners[] = {
    {"RAM", machine_is_ram},
    {"an interrupt controller", is_interrupt_controllers},
    {"an IOMMU", is_iommus},
    {"configuration space", is_configuration_space},
    {"the HPET", is_hpets},
};

const char *machine_memory_owner(hpa_t start, uint64_t size)
{
    for (unsigned i = 0; i < ARRAY_SIZE(owners); i++)
        if (owners[i].is_there(start, size))
            return owners[i].name;
    return NULL;
}

/* --- ports --- */

static bool is_block(const struct acpi_gas *block, uint64_t start, uint64_t size)
{
    return block->space_id == ACPI_GAS_SYSTEM_IO && block->address != 0 &&
           ranges_overlap(block->address, BLOCK_PORTS, start, size);
}

static bool is_power_management(uint64_t start, uint64_t size)
{
    const struct acpi_fadt *f = &tables->fadt;
    const struct acpi_gas *const blocks[] = {&f->reset,       &f->pm_timer,     &f->pm1a_event,
                                             &f->pm1b_event, &f->pm1a_control, &f->pm1b_control};

    for (unsigned i = 0; i < ARRAY_SIZE(blocks); i++)
        if (is_block(blocks[i], start, size))
            return true;
    return f->smi_command_port != 0 && ranges_overlap(f->smi_command_port, 2, start, size);
}

const char *machine_ports_owner(uint64_t start, uint64_t size)
{
    if (ranges_overlap(0, PC_PORTS, start, size))
        return "the PC";
    if (ranges_overlap(PCI_CONFIG_ADDRESS_PORT, PCI_CONFIG_PORTS, start, size))
        return "configuration space";
    return tables->has_fadt && is_power_management(start, size) ? "power management" : NULL;
}
