/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is seen by which unit: VT-d specification, "DMA Remapping Reporting Structure", "Device
 * Scope Structure". A scope names a device by the path to it; paths are followed once, while buses
 * have the numbers that they keep.
 */
#include "arch/x86/vtd/vtd_unit.h"
#include "arch/x86/vtd/vtd_ops.h"
#include "kernel/log.h"

struct resolved {
    bool is_valid;
    struct pci_address device;
    uint8_t secondary, subordinate; /* of a sub-hierarchy's bridge; else 1 and 0 */
};

static const struct acpi_dmar *dmar;
static struct resolved resolved[ACPI_DMAR_SCOPES_MAX]; /* as dmar->scopes */

static bool follow_path(const struct vtd_boot *boot, const struct acpi_dmar_scope *scope,
                        struct resolved *r)
{
    uint8_t secondary, subordinate;

    r->device.bus = scope->start_bus;
    for (unsigned i = 0;; i++) {
        r->device.devfn = pci_devfn(scope->path[i].device, scope->path[i].function);
        if (i + 1 == scope->path_length)
            return true;
        if (!boot->bridge_buses(r->device, &secondary, &subordinate))
            return false;
        r->device.bus = secondary;
    }
}

static void resolve(const struct vtd_boot *boot, uint16_t segment, unsigned scope)
{
    const struct acpi_dmar_scope *s = &dmar->scopes[scope];
    struct resolved *r = &resolved[scope];

    *r = (struct resolved){.device.segment = segment, .secondary = 1, .subordinate = 0};
    r->is_valid = follow_path(boot, s, r);
    if (r->is_valid && s->type == ACPI_SCOPE_PCI_SUB_HIERARCHY)
        r->is_valid = boot->bridge_buses(r->device, &r->secondary, &r->subordinate);
    if (!r->is_valid)
        log_warn("vtd", "scope %u names a device that is not there, at bus %02x", scope,
                 r->device.bus);
}

static void resolve_all(const struct vtd_boot *boot, uint16_t segment, unsigned first,
                        unsigned count)
{
    for (unsigned i = first; i < first + count; i++)
        resolve(boot, segment, i);
}

void vtd_scopes_resolve(const struct vtd_boot *boot)
{
    dmar = &boot->acpi->dmar;
    for (unsigned i = 0; i < dmar->unit_count; i++) {
        const struct acpi_dmar_unit *u = &dmar->units[i];

        resolve_all(boot, u->segment, u->first_scope, u->scope_count);
    }
    for (unsigned i = 0; i < dmar->rmrr_count; i++) {
        const struct acpi_dmar_rmrr *r = &dmar->rmrrs[i];

        resolve_all(boot, r->segment, r->first_scope, r->scope_count);
    }
}

static bool is_pci(const struct acpi_dmar_scope *scope)
{
    return scope->type == ACPI_SCOPE_PCI_ENDPOINT || scope->type == ACPI_SCOPE_PCI_SUB_HIERARCHY;
}

static bool names(unsigned scope, struct pci_address device)
{
    const struct resolved *r = &resolved[scope];

    if (!r->is_valid || !is_pci(&dmar->scopes[scope]) || r->device.segment != device.segment)
        return false;
    return pci_is_same(r->device, device) ||
           (device.bus >= r->secondary && device.bus <= r->subordinate);
}

static bool any_names(unsigned first, unsigned count, struct pci_address device)
{
    for (unsigned i = first; i < first + count; i++)
        if (names(i, device))
            return true;
    return false;
}

/* A unit that says INCLUDE_PCI_ALL sees what no other of its segment names. */
struct vtd_unit *vtd_find_unit(struct pci_address device)
{
    struct vtd_unit *rest = NULL;

    for (unsigned i = 0; i < vtd_unit_count; i++) {
        const struct acpi_dmar_unit *t = vtd_units[i].table;

        if (any_names(t->first_scope, t->scope_count, device))
            return &vtd_units[i];
        if (t->segment == device.segment && (t->flags & ACPI_DRHD_INCLUDE_PCI_ALL))
            rest = &vtd_units[i];
    }
    return rest;
}

struct vtd_unit *vtd_find_ioapic(uint8_t ioapic_id, uint16_t *source_id)
{
    for (unsigned i = 0; i < vtd_unit_count; i++) {
        const struct acpi_dmar_unit *t = vtd_units[i].table;

        for (unsigned s = t->first_scope; s < t->first_scope + t->scope_count; s++) {
            if (dmar->scopes[s].type != ACPI_SCOPE_IOAPIC || !resolved[s].is_valid ||
                dmar->scopes[s].enumeration_id != ioapic_id)
                continue;
            *source_id = pci_requester_id(resolved[s].device);
            return &vtd_units[i];
        }
    }
    return NULL;
}

bool vtd_is_reserved_for(const struct acpi_dmar_rmrr *rmrr, struct pci_address device)
{
    return any_names(rmrr->first_scope, rmrr->scope_count, device);
}

bool vtd_scope_endpoint(unsigned scope, struct pci_address *device)
{
    *device = resolved[scope].device;
    return resolved[scope].is_valid && dmar->scopes[scope].type == ACPI_SCOPE_PCI_ENDPOINT;
}
