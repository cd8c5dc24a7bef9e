/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupt remapping: what a device writes to interrupt names an entry of a table of ours, which
 * says vector and CPU, and whose request it must be (VT-d specification, "Interrupt Remapping").
 *
 * Invariants: an entry is present only while somebody owns it, and names its owner's source-id;
 * requests in compatibility format, which name a CPU themselves, are blocked.
 */
#include "arch/arch.h"
#include "arch/x86/vtd/vtd_unit.h"
#include "kernel/heap.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/page.h"

#define IOAPIC_INPUTS_MAX 256u

struct iommu_interrupts {
    struct vtd_unit *unit;
    uint16_t source_id;
    uint16_t first, count; /* entries */
};

static struct lock lock; /* guards what is taken of the units' tables */

/* An entry for each input that was ever routed; it is kept. */
static struct ioapic_input {
    bool is_taken;
    uint8_t ioapic_id;
    uint16_t input, entry;
} ioapic_inputs[IOAPIC_INPUTS_MAX];

/* --- entries --- */

static bool is_free(const struct vtd_unit *unit, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++)
        if (unit->irtes_taken[i / 64] & BIT(i % 64))
            return false;
    return true;
}

static void mark(struct vtd_unit *unit, unsigned first, unsigned count, bool is_taken)
{
    for (unsigned i = first; i < first + count; i++) {
        unit->irtes_taken[i / 64] &= ~BIT(i % 64);
        unit->irtes_taken[i / 64] |= is_taken ? BIT(i % 64) : 0;
    }
}

/* Aligned, because a device with several messages puts their number into the lowest bits. */
static int take_entries(struct vtd_unit *unit, unsigned count, uint16_t *first)
{
    int error = -ENOSPC;

    lock_acquire(&lock);
    for (unsigned i = 0; i < VTD_IRTES && error; i += count) {
        if (!is_free(unit, i, count))
            continue;
        mark(unit, i, count, true);
        *first = (uint16_t)i;
        error = 0;
    }
    lock_release(&lock);
    return error;
}

static void give_entries_back(struct vtd_unit *unit, unsigned first, unsigned count)
{
    lock_acquire(&lock);
    mark(unit, first, count, false);
    lock_release(&lock);
}

/* A unit may read the entry meanwhile: absent while its words do not belong together. */
static int store_irte(struct vtd_unit *unit, unsigned index, struct vtd_entry value)
{
    struct vtd_entry *entry = &unit->irtes[index];

    __atomic_store_n(&entry->low, 0, __ATOMIC_RELEASE);
    vtd_publish(unit, entry, sizeof *entry);
    WRITE_ONCE(entry->high, value.high);
    __atomic_store_n(&entry->low, value.low, __ATOMIC_RELEASE);
    vtd_publish(unit, entry, sizeof *entry);
    return vtd_flush_interrupts(unit);
}

/* --- on --- */

static bool is_capable(const struct vtd_unit *unit, bool is_x2apic)
{
    return (unit->ecap & ECAP_IR) && unit->queue && (!is_x2apic || (unit->ecap & ECAP_EIM));
}

bool vtd_irq_is_capable(const struct acpi_dmar *dmar)
{
    for (unsigned i = 0; i < vtd_unit_count; i++)
        if (!is_capable(&vtd_units[i], false))
            return false;
    return dmar->flags & ACPI_DMAR_INTR_REMAP;
}

/* NULL: nothing. */
static const char *what_is_missing(const struct acpi_info *acpi, bool is_x2apic)
{
    uint16_t source_id;

    if (!vtd_irq_is_capable(&acpi->dmar))
        return "the machine has none";
    for (unsigned i = 0; i < vtd_unit_count; i++)
        if (!is_capable(&vtd_units[i], is_x2apic))
            return "a unit knows no x2APIC";
    for (unsigned i = 0; i < acpi->ioapic_count; i++)
        if (!vtd_find_ioapic(acpi->ioapics[i].id, &source_id))
            return "an IOAPIC is seen by no unit";
    return NULL;
}

static int start_unit(struct vtd_unit *unit, bool is_x2apic)
{
    hpa_t table;
    int error = page_alloc_zeroed(VTD_IRTE_ORDER, &table);

    if (error)
        return error;
    unit->irtes = phys_to_virt(table);
    unit->is_extended = is_x2apic;
    vtd_publish(unit, unit->irtes, VTD_IRTES * sizeof *unit->irtes);
    vtd_write64(unit, IRTA_REG, table.value | (is_x2apic ? IRTA_EIME : 0) | VTD_IRTE_SIZE_FIELD);
    error = vtd_command(unit, GCMD_SIRTP, true);
    if (!error)
        error = vtd_flush_interrupts(unit);
    /* The compatibility format (GCMD.CFI) is never switched on: firmware's tables are gone by now.
     */
    return error ? error : vtd_command(unit, GCMD_IRE, true);
}

/* A table that the unit may still read is not given back. */
static void stop_unit(struct vtd_unit *unit)
{
    if (unit->irtes && vtd_command(unit, GCMD_IRE, false) == 0)
        page_free(virt_to_phys(unit->irtes), VTD_IRTE_ORDER);
    unit->irtes = NULL;
}

void vtd_irq_init(void)
{
    memset(ioapic_inputs, 0, sizeof ioapic_inputs);
}

bool vtd_irq_start(const struct acpi_info *acpi, bool is_x2apic)
{
    const char *missing = what_is_missing(acpi, is_x2apic);

    for (unsigned i = 0; i < vtd_unit_count && !missing; i++)
        if (start_unit(&vtd_units[i], is_x2apic) != 0)
            missing = "a unit failed";
    if (!missing) {
        log_info("vtd", "interrupt remapping on, %s", is_x2apic ? "x2APIC ids" : "xAPIC ids");
        return true;
    }
    for (unsigned i = 0; i < vtd_unit_count; i++)
        stop_unit(&vtd_units[i]);
    log_warn("vtd", "no interrupt remapping: %s: devices can send any interrupt", missing);
    return false;
}

bool vtd_remaps_interrupts(void)
{
    return vtd_unit_count > 0 && vtd_units[0].irtes;
}

/* --- IOAPICs --- */

static int find_input(struct vtd_unit *unit, uint8_t ioapic_id, unsigned input, uint16_t *entry)
{
    for (unsigned i = 0; i < IOAPIC_INPUTS_MAX; i++) {
        struct ioapic_input *in = &ioapic_inputs[i];
        int error;

        if (in->is_taken && (in->ioapic_id != ioapic_id || in->input != input))
            continue;
        if (!in->is_taken) {
            error = take_entries(unit, 1, &in->entry);
            if (error)
                return error;
            *in = (struct ioapic_input){true, ioapic_id, (uint16_t)input, in->entry};
        }
        *entry = in->entry;
        return 0;
    }
    return -ENOSPC;
}

int vtd_route_ioapic(uint8_t ioapic_id, unsigned input, const struct iommu_route *route,
                     uint64_t *entry)
{
    uint16_t source_id, index;
    struct vtd_unit *unit = vtd_find_ioapic(ioapic_id, &source_id);
    int error;

    if (!unit || !unit->irtes)
        return -ENODEV;
    error = find_input(unit, ioapic_id, input, &index);
    if (!error)
        error = store_irte(unit, index, vtd_irte(route, source_id, unit->is_extended));
    if (!error)
        *entry = vtd_redirection_entry(index, route);
    return error;
}

/* --- devices' messages --- */

int vtd_interrupts_create(struct pci_address device, unsigned count,
                          struct iommu_interrupts **interrupts)
{
    struct vtd_unit *unit = vtd_find_unit(device);
    struct iommu_interrupts *i;
    int error;

    if (!unit || !unit->irtes)
        return -ENODEV;
    if (count == 0 || count > VTD_IRTES || (count & (count - 1)) != 0)
        return -EINVAL;
    i = heap_alloc(sizeof *i);
    if (!i)
        return -ENOMEM;
    *i = (struct iommu_interrupts){unit, pci_requester_id(device), 0, (uint16_t)count};
    error = take_entries(unit, count, &i->first);
    if (error) {
        heap_free(i);
        return error;
    }
    *interrupts = i;
    return 0;
}

int vtd_interrupts_route(struct iommu_interrupts *interrupts, unsigned index,
                         const struct iommu_route *route, struct iommu_message *message)
{
    struct vtd_unit *unit = interrupts->unit;
    struct vtd_entry irte = {IRTE_FPD, 0}; /* blocked, and no news: it may come a million times a second */

    if (index >= interrupts->count)
        return -EINVAL;
    if (route)
        irte = vtd_irte(route, interrupts->source_id, unit->is_extended);
    *message = vtd_message(interrupts->first, (uint16_t)index);
    return store_irte(unit, interrupts->first + index, irte);
}

/* Entries that the unit may still know are not given to anybody else. */
void vtd_interrupts_destroy(struct iommu_interrupts *interrupts)
{
    int error = 0;

    for (unsigned i = 0; i < interrupts->count; i++)
        if (store_irte(interrupts->unit, interrupts->first + i, (struct vtd_entry){0, 0}) != 0)
            error = -EIO;
    if (!error)
        give_entries_back(interrupts->unit, interrupts->first, interrupts->count);
    heap_free(interrupts);
}
