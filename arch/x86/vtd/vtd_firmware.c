/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices whose memory firmware still uses: a USB controller that it plays a keyboard with, a
 * display whose picture lies in memory (VT-d specification, "Reserved Memory Region Reporting
 * Structure"). Each keeps exactly what firmware declared, as long as nobody owns it. A guest gets
 * such a device only if its kind is known to need that no longer, because else the guest would
 * reach firmware's memory, or firmware the guest's.
 */
#include "arch/x86/vtd/vtd_ops.h"
#include "arch/x86/vtd/vtd_unit.h"
#include "kernel/lib/errno.h"
#include "kernel/log.h"
#include "kernel/memmap.h"

static const struct acpi_dmar *dmar;

/* Firmware is believed only where it claims memory that nobody else has. */
static bool is_only_reserved(const struct memmap *memory, const struct acpi_dmar_rmrr *rmrr)
{
    for (unsigned i = 0; i < memory->count; i++) {
        const struct memmap_range *r = &memory->ranges[i];
        bool is_ours = r->type == MEMMAP_USABLE || r->type >= MEMMAP_MODULE;

        if (is_ours && ranges_overlap(r->start.value, r->size, rmrr->base.value, rmrr->size))
            return false;
    }
    return true;
}

static bool has_reserved(struct pci_address device)
{
    for (unsigned i = 0; i < dmar->rmrr_count; i++)
        if (vtd_is_reserved_for(&dmar->rmrrs[i], device))
            return true;
    return false;
}

static bool is_firmwares(const struct iommu_domain *domain)
{
    return domain && domain->is_firmwares;
}

bool vtd_is_firmware_device(struct pci_address device)
{
    return is_firmwares(vtd_domain_of(device));
}

static int map_regions(struct iommu_domain *domain, const struct vtd_boot *boot,
                       struct pci_address device)
{
    int error = 0;

    for (unsigned i = 0; i < dmar->rmrr_count && !error; i++) {
        const struct acpi_dmar_rmrr *r = &dmar->rmrrs[i];

        if (!vtd_is_reserved_for(r, device))
            continue;
        error = is_only_reserved(boot->memory, r)
                    ? vtd_map(domain, r->base.value, r->base, r->size, PT_READ | PT_WRITE)
                    : -EINVAL;
        log_info("vtd", PCI_ADDRESS_FORMAT ": firmware keeps %llu KiB at %#llx%s",
                 PCI_ADDRESS_ARGS(device), (unsigned long long)r->size >> 10,
                 (unsigned long long)r->base.value, error ? ": refused" : "");
    }
    return error;
}

static int give_to_firmware(const struct vtd_boot *boot, struct pci_address device)
{
    struct iommu_device d = {device, true};
    struct iommu_domain *domain;
    int error = vtd_domain_create("firmware", IOMMU_TRANSLATED, &domain);

    if (error)
        return error;
    domain->is_firmwares = true;
    error = map_regions(domain, boot, device);
    if (!error)
        error = vtd_attach(domain, &d);
    if (error)
        vtd_domain_destroy(domain);
    return error;
}

static void give_scopes(const struct vtd_boot *boot, const struct acpi_dmar_rmrr *r)
{
    struct pci_address device;

    for (unsigned s = r->first_scope; s < r->first_scope + r->scope_count; s++)
        if (vtd_scope_endpoint(s, &device) && !vtd_domain_of(device) &&
            give_to_firmware(boot, device) != 0)
            log_warn("vtd", PCI_ADDRESS_FORMAT ": reaches nothing, though firmware wants it to",
                     PCI_ADDRESS_ARGS(device));
}

void vtd_attach_firmware(const struct vtd_boot *boot)
{
    dmar = &boot->acpi->dmar;
    for (unsigned i = 0; i < dmar->rmrr_count; i++)
        give_scopes(boot, &dmar->rmrrs[i]);
}

int vtd_take_from_firmware(const struct iommu_device *device)
{
    struct iommu_domain *domain = vtd_domain_of(device->address);
    int error;

    if (has_reserved(device->address) && !device->firmware_lets_go)
        return -EBUSY;
    if (!is_firmwares(domain))
        return 0;
    error = vtd_detach(domain, device->address);
    if (!error)
        vtd_domain_destroy(domain);
    return error;
}
