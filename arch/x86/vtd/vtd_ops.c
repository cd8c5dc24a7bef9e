/* SPDX-License-Identifier: BSD-2-Clause */
/* VT-d behind kernel/iommu.h, and its start. */
#include "arch/x86/vtd/vtd_ops.h"
#include "arch/x86/vtd/vtd_unit.h"
#include "kernel/lib/errno.h"
#include "kernel/log.h"

struct vtd_unit vtd_units[VTD_UNITS_MAX];
unsigned vtd_unit_count;

static const struct acpi_info *acpi;
static bool is_whole; /* every unit works: else they only deny */

static const struct iommu_ops ops = {
    .name = "VT-d",
    .confines = true,
    .domain_create = vtd_domain_create,
    .domain_destroy = vtd_domain_destroy,
    .map = vtd_map,
    .unmap = vtd_unmap,
    .attach = vtd_attach,
    .detach = vtd_detach,
    .audit = vtd_audit,
    .remaps_interrupts = vtd_remaps_interrupts,
    .route_ioapic = vtd_route_ioapic,
    .interrupts_create = vtd_interrupts_create,
    .interrupts_destroy = vtd_interrupts_destroy,
    .interrupts_route = vtd_interrupts_route,
    .poll = vtd_fault_poll,
};

static const char *error_text(int error)
{
    return error == -ENODEV   ? "no unit answers there"
           : error == -ENOMEM ? "out of memory"
                              : "it does not obey";
}

/* Units that cannot be mapped are left out; the count of those that were given up. */
static unsigned map_units(const struct acpi_dmar *dmar)
{
    unsigned failed = 0;

    for (unsigned i = 0; i < dmar->unit_count; i++) {
        int error = vtd_unit_map(&vtd_units[vtd_unit_count], &dmar->units[i]);

        if (!error) {
            vtd_unit_count++;
            continue;
        }
        log_error("vtd", "unit at %#llx: %s", (unsigned long long)dmar->units[i].base.value,
                  error_text(error));
        failed++;
    }
    return failed;
}

static void log_unit(const struct vtd_unit *u)
{
    log_info("vtd", "unit at %#llx: cap %#llx ecap %#llx, %s%s%s%s%s%s",
             (unsigned long long)u->table->base.value, (unsigned long long)u->cap,
             (unsigned long long)u->ecap, u->queue ? "queued" : "registers",
             u->cap & CAP_CM ? ", caching mode" : "", u->cap & CAP_RWBF ? ", write buffer" : "",
             u->ecap & ECAP_C ? "" : ", not coherent",
             u->ecap & ECAP_IR ? ", interrupt remapping" : "",
             u->cap & CAP_PI ? ", posted interrupts (not used)" : "");
}

static unsigned start_units(void)
{
    unsigned failed = 0;

    for (unsigned i = 0; i < vtd_unit_count; i++) {
        int error = vtd_unit_start(&vtd_units[i]);

        log_unit(&vtd_units[i]);
        if (!error)
            continue;
        log_error("vtd", "unit at %#llx: %s", (unsigned long long)vtd_units[i].table->base.value,
                  error_text(error));
        failed++;
    }
    return failed;
}

static void stop_units(void)
{
    for (unsigned i = 0; i < vtd_unit_count; i++)
        vtd_unit_stop(&vtd_units[i]);
    vtd_unit_count = 0;
    log_warn("vtd",
             "off by iommu=off: any device reaches all memory");
}

const struct iommu_ops *vtd_start(const struct vtd_boot *boot)
{
    unsigned failed;

    acpi = boot->acpi;
    is_whole = false;
    vtd_unit_count = 0;
    vtd_attach_init();
    vtd_irq_init();
    vtd_fault_init();
    if (!acpi->has_dmar)
        return NULL;
    failed = map_units(&acpi->dmar);
    if (!boot->is_allowed) {
        stop_units();
        return NULL;
    }
    vtd_common_init();
    vtd_scopes_resolve(boot);
    failed += start_units();
    if (failed > 0 || vtd_unit_count == 0) {
        log_error("vtd", "%u of %u units failed: no device is given to a guest", failed,
                  acpi->dmar.unit_count);
        return NULL;
    }
    is_whole = true;
    vtd_attach_firmware(boot);
    log_info("vtd",
             "DMA remapping on: %u unit%s, %u-level tables, %u-bit addresses, every device denied",
             vtd_unit_count, vtd_unit_count > 1 ? "s" : "", vtd_common.levels,
             vtd_common.address_bits);
    return &ops;
}

/* Without interrupt remapping it is as on a machine that has none. */
bool vtd_allows_x2apic(void)
{
    if (!is_whole)
        return true;
    if (acpi->dmar.flags & ACPI_DMAR_X2APIC_OPT_OUT)
        return false;
    for (unsigned i = 0; i < vtd_unit_count; i++)
        if ((vtd_units[i].ecap & ECAP_IR) && !(vtd_units[i].ecap & ECAP_EIM))
            return false;
    return true;
}

void vtd_start_interrupts(bool is_x2apic)
{
    if (!is_whole)
        return;
    (void)vtd_irq_start(acpi, is_x2apic);
    vtd_fault_start(is_x2apic);
}
