/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers are memory-mapped; each access has the register's width ("Register Location"). */
#include "arch/arch.h"
#include "arch/x86/vtd/vtd_unit.h"
#include "kernel/lib/errno.h"

static volatile void *at(const struct vtd_unit *unit, unsigned offset)
{
    return (volatile uint8_t *)unit->registers + offset;
}

uint32_t vtd_read32(const struct vtd_unit *unit, unsigned offset)
{
    return *(volatile uint32_t *)at(unit, offset);
}

uint64_t vtd_read64(const struct vtd_unit *unit, unsigned offset)
{
    return *(volatile uint64_t *)at(unit, offset);
}

void vtd_write32(const struct vtd_unit *unit, unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)at(unit, offset) = value;
}

void vtd_write64(const struct vtd_unit *unit, unsigned offset, uint64_t value)
{
    *(volatile uint64_t *)at(unit, offset) = value;
}

/* Some registers lie where the capabilities say, which may be pages behind the first. */
static uint64_t register_bytes(const struct vtd_unit *unit)
{
    unsigned faults = FRCD_REG_AT(CAP_FRO(unit->cap), CAP_NFR(unit->cap));
    unsigned invalidation = IOTLB_REG_AT(ECAP_IRO(unit->ecap)) + 8;

    return MAX(PAGE_SIZE, MAX(faults, invalidation));
}

int vtd_unit_map(struct vtd_unit *unit, const struct acpi_dmar_unit *table)
{
    *unit = (struct vtd_unit){.table = table, .registers = arch_map_device(table->base, PAGE_SIZE)};
    if (!unit->registers)
        return -ENOMEM;
    unit->cap = vtd_read64(unit, CAP_REG);
    unit->ecap = vtd_read64(unit, ECAP_REG);
    if (vtd_read32(unit, VER_REG) == 0 || unit->cap == 0 || unit->cap == UINT64_MAX)
        return -ENODEV;
    if (register_bytes(unit) > PAGE_SIZE)
        unit->registers = arch_map_device(table->base, register_bytes(unit));
    return unit->registers ? 0 : -ENOMEM;
}
