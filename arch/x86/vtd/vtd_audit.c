/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What devices reach, read back from where the hardware reads it: from the root table address
 * register down, believing nothing that is only in our notes.
 */
#include "arch/arch.h"
#include "arch/x86/vtd/vtd_ops.h"
#include "arch/x86/vtd/vtd_unit.h"
#include "kernel/lib/errno.h"
#include "kernel/log.h"

struct audit {
    const struct vtd_unit *unit;
    int (*visit)(void *context, const struct iommu_reach *reach);
    void *context;
    struct iommu_reach reach;
};

static int visit_page(const struct pt_mapping *page, void *context)
{
    struct audit *a = context;

    a->reach.iova = page->virt;
    a->reach.hpa = page->hpa;
    a->reach.size = page->size;
    a->reach.attributes = page->attributes;
    return a->visit(a->context, &a->reach);
}

static int visit_everything(struct audit *a)
{
    struct pt_mapping all = {0, HPA(0), BIT(CAP_MGAW(a->unit->cap) % 64), PT_READ | PT_WRITE};

    return visit_page(&all, a);
}

static int audit_context(struct audit *a, const struct vtd_entry *entry, struct pci_address device)
{
    unsigned levels = vtd_context_levels(entry);
    struct pt pt = {.memory = &pt_host_memory, .root = HPA(entry->low & VTD_ADDRESS)};

    a->reach.requester = device;
    vtd_copy_owner(device, a->reach.owner);
    a->reach.is_firmwares = vtd_is_firmware_device(device);
    if ((entry->low & CONTEXT_TT_MASK) == CONTEXT_TT_PASS_THROUGH)
        return visit_everything(a);
    if ((entry->low & CONTEXT_TT_MASK) != 0 || levels < VTD_LEVELS_MIN || levels > VTD_LEVELS_MAX)
        return -EIO;
    pt.format = vtd_format(levels);
    return pt_visit(&pt, visit_page, a);
}

static int audit_bus(struct audit *a, const struct vtd_entry *contexts, uint8_t bus)
{
    int result = 0;

    for (unsigned i = 0; i < VTD_TABLE_ENTRIES && result == 0; i++) {
        struct pci_address device = {a->unit->table->segment, bus, (uint8_t)i};

        if (contexts[i].low & CONTEXT_P)
            result = audit_context(a, &contexts[i], device);
    }
    return result;
}

static int audit_unit(struct audit *a)
{
    hpa_t root = HPA(vtd_read64(a->unit, RTADDR_REG));
    const struct vtd_entry *table;
    int result = 0;

    if (root.value != virt_to_phys(a->unit->root).value ||
        !(vtd_read32(a->unit, GSTS_REG) & GCMD_TE)) {
        log_error("vtd", "unit at %#llx: not as we set it up: root table at %#llx",
                  (unsigned long long)a->unit->table->base.value, (unsigned long long)root.value);
        return -EIO;
    }
    table = phys_to_virt(root);
    for (unsigned bus = 0; bus < VTD_TABLE_ENTRIES && result == 0; bus++)
        if (table[bus].low & ROOT_P)
            result = audit_bus(a, phys_to_virt(HPA(table[bus].low & VTD_ADDRESS)), (uint8_t)bus);
    return result;
}

int vtd_audit(int (*visit)(void *context, const struct iommu_reach *reach), void *context)
{
    int result = 0;

    for (unsigned i = 0; i < vtd_unit_count && result == 0; i++) {
        struct audit a = {.unit = &vtd_units[i], .visit = visit, .context = context};

        result = audit_unit(&a);
    }
    return result;
}
