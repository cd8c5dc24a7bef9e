/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/vtd_rig.h"
#include "kernel/heap.h"
#include "kernel/memmap.h"
#include "kernel/page.h"

struct acpi_info acpi;
struct vtd_boot boot;
const struct iommu_ops *iommu;
struct iommu_fault faults[512];
unsigned fault_count;

static struct memmap memory;

static bool bridge_buses(struct pci_address bridge, uint8_t *secondary, uint8_t *subordinate)
{
    static const struct {
        uint16_t id;
        uint8_t secondary, subordinate;
    } bridges[] = {{0x0020, 5, 7}, {0x0500, 6, 6}};

    for (unsigned i = 0; i < ARRAY_SIZE(bridges); i++) {
        if (bridges[i].id != pci_requester_id(bridge))
            continue;
        *secondary = bridges[i].secondary;
        *subordinate = bridges[i].subordinate;
        return true;
    }
    return false;
}

static void on_fault(const struct iommu_fault *fault)
{
    assert_true(fault_count < ARRAY_SIZE(faults));
    faults[fault_count++] = *fault;
}

void add_scope(uint8_t type, uint8_t id, uint8_t bus, uint8_t device, uint8_t function)
{
    acpi.dmar.scopes[acpi.dmar.scope_count++] =
        (struct acpi_dmar_scope){.type = type,
                                 .enumeration_id = id,
                                 .start_bus = bus,
                                 .path_length = 1,
                                 .path = {{device, function}}};
}

void add_rmrr(uint64_t base, uint64_t size, uint8_t devfn)
{
    acpi.dmar.rmrrs[acpi.dmar.rmrr_count++] =
        (struct acpi_dmar_rmrr){HPA(base), size, 0, (uint16_t)acpi.dmar.scope_count, 1};
    add_scope(ACPI_SCOPE_PCI_ENDPOINT, 0, 0, devfn >> 3, devfn & 7);
}

int vtd_rig_set_up(void **state)
{
    static const struct vtd_boot usual = {&acpi, &memory, bridge_buses, true};

    (void)state;
    fake_ram_reset();
    fake_clock_reset();
    page_init();
    heap_init();
    assert_int_equal(page_add_range(HPA(GIB(1)), GIB(1)), 0);
    fake_units_reset();
    memset(&acpi, 0, sizeof acpi);
    memset(&memory, 0, sizeof memory);
    assert_int_equal(memmap_add(&memory, HPA(GIB(1)), GIB(1), MEMMAP_USABLE), 0);
    assert_int_equal(memmap_add(&memory, HPA(GIB(3)), MIB(16), MEMMAP_RESERVED), 0);
    boot = usual;
    acpi.has_dmar = true;
    acpi.dmar.flags = ACPI_DMAR_INTR_REMAP;
    acpi.dmar.unit_count = 2;
    add_scope(ACPI_SCOPE_PCI_ENDPOINT, 0, 0, 3, 0);
    add_scope(ACPI_SCOPE_PCI_SUB_HIERARCHY, 0, 0, 4, 0);
    acpi.dmar.units[0] = (struct acpi_dmar_unit){HPA(FAKE_UNIT_BASE), 0, 0, 0, 2};
    add_scope(ACPI_SCOPE_IOAPIC, IOAPIC_ID, 0xf0, 0x1f, 0);
    acpi.dmar.units[1] = (struct acpi_dmar_unit){HPA(FAKE_UNIT_BASE + PAGE_SIZE), 0,
                                                 ACPI_DRHD_INCLUDE_PCI_ALL, 2, 1};
    acpi.ioapic_count = 1;
    acpi.ioapics[0].id = IOAPIC_ID;
    fault_count = 0;
    fake_log_count = 0;
    iommu_on_fault = on_fault;
    return 0;
}

void start(void)
{
    iommu = vtd_start(&boot);
    assert_non_null(iommu);
}

struct iommu_device device(uint16_t id)
{
    return (struct iommu_device){pci_requester(0, id), false};
}

struct iommu_domain *create(void)
{
    struct iommu_domain *d;

    assert_int_equal(iommu->domain_create("web", IOMMU_TRANSLATED, &d), 0);
    return d;
}

void attach(struct iommu_domain *d, uint16_t id)
{
    struct iommu_device dev = device(id);

    assert_int_equal(iommu->attach(d, &dev), 0);
}

void detach(struct iommu_domain *d, uint16_t id)
{
    assert_int_equal(iommu->detach(d, pci_requester(0, id)), 0);
}

void map(struct iommu_domain *d, uint64_t iova, uint64_t hpa, uint64_t size)
{
    assert_int_equal(iommu->map(d, iova, HPA(hpa), size, RW), 0);
}

static struct fake_unit *unit_of(uint16_t id)
{
    return &fake_units[id != NIC && id != BELOW];
}

void assert_reaches(uint16_t id, uint64_t iova, uint64_t want)
{
    uint64_t hpa;

    assert_true(fake_unit_translate(unit_of(id), id, iova, false, &hpa));
    assert_int_equal(hpa, want);
    assert_true(fake_unit_translate(unit_of(id), id, iova, true, &hpa));
    assert_int_equal(hpa, want);
}

void assert_blocked(uint16_t id, uint64_t iova)
{
    uint64_t hpa;

    assert_false(fake_unit_translate(unit_of(id), id, iova, false, &hpa));
    assert_false(fake_unit_translate(unit_of(id), id, iova, true, &hpa));
}
