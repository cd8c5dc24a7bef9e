/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever firmware says of its units, whatever is mapped, attached, routed, refused and reported in whatever
 * order, a device reaches exactly what its domain maps, and the interrupts that it may send are its own; what a unit that
 * hangs has not done is never taken for done. Input: a byte of features, then records of 8 bytes {what, who, where, value}.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/arch.h"
#include "tests/host/fake/vtd_unit.h"
#include "arch/x86/trap.h"
#include "arch/x86/vtd/vtd_ops.h"
#include "kernel/heap.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/errno.h"
#include "kernel/memmap.h"
#include "kernel/page.h"

#define RECORD_BYTES 8u
#define DEVICES      3u
#define DOMAINS      2u
#define PAGES        64u /* that are looked at: half of them from 0 on, half around 2 MiB */
#define MESSAGES     4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint16_t ids[DEVICES] = {0x0018, 0x0608, 0x00f8}; /* 0 and 1 are unit 0's */
static struct acpi_info acpi;
static struct memmap memory;
static const struct iommu_ops *iommu;

static struct model {
    struct iommu_domain *domain;
    uint64_t hpa[PAGES]; /* 0: not mapped */
    bool is_unsure[PAGES]; /* a unit that hung may still reach it, or not */
} models[DOMAINS];

static struct device {
    struct model *owner; /* NULL: nobody */
    struct iommu_interrupts *interrupts;
    struct iommu_message messages[MESSAGES];
    struct iommu_route routes[MESSAGES];
    bool is_routed[MESSAGES], is_unsure;
} devices[DEVICES];

static uint64_t iova_of(unsigned page)
{
    return ((uint64_t)page << PAGE_SHIFT) + (page < PAGES / 2 ? 0 : MIB(2) - 3 * PAGES / 4 * PAGE_SIZE);
}

static bool bridge_buses(struct pci_address bridge, uint8_t *secondary, uint8_t *subordinate)
{
    *secondary = 5;
    *subordinate = 7;
    return pci_requester_id(bridge) == 0x0020;
}

static void on_fault(const struct iommu_fault *fault)
{
    if (!fault->reason || strnlen(fault->owner, IOMMU_OWNER_BYTES) == IOMMU_OWNER_BYTES)
        abort();
}

static void add_scope(uint8_t type, uint8_t bus, uint8_t device)
{
    acpi.dmar.scopes[acpi.dmar.scope_count++] =
        (struct acpi_dmar_scope){.type = type, .start_bus = bus, .path_length = 1, .path = {{device, 0}}};
}

static void describe(uint8_t features)
{
    memset(&acpi, 0, sizeof acpi);
    acpi.has_dmar = true;
    acpi.dmar.flags = ACPI_DMAR_INTR_REMAP;
    acpi.dmar.unit_count = FAKE_UNITS;
    add_scope(ACPI_SCOPE_PCI_ENDPOINT, 0, 3);
    add_scope(ACPI_SCOPE_PCI_SUB_HIERARCHY, 0, 4);
    acpi.dmar.units[0] = (struct acpi_dmar_unit){HPA(FAKE_UNIT_BASE), 0, 0, 0, 2};
    acpi.dmar.units[1] = (struct acpi_dmar_unit){HPA(FAKE_UNIT_BASE + PAGE_SIZE), 0, ACPI_DRHD_INCLUDE_PCI_ALL, 2, 0};
    for (unsigned i = 0; i < FAKE_UNITS; i++) {
        fake_units[i].cap &= ~(features & 1 ? CAP_SLLPS_2M | CAP_SLLPS_1G : 0);
        fake_units[i].ecap &= ~(features & 2 && i == 1 ? ECAP_C : 0); /* what is in memory is to be written back */
        fake_units[i].status |= features & 4 ? GCMD_TE | GCMD_QIE : 0;
    }
}

static bool start(uint8_t features)
{
    static const struct vtd_boot boot = {&acpi, &memory, bridge_buses, true};

    fake_ram_reset();
    fake_clock_reset();
    page_init();
    heap_init();
    memset(&memory, 0, sizeof memory);
    if (page_add_range(HPA(GIB(1)), MIB(64)) || memmap_add(&memory, HPA(GIB(1)), GIB(1), MEMMAP_USABLE))
        abort();
    fake_units_reset();
    describe(features);
    iommu_on_fault = on_fault;
    memset(models, 0, sizeof models);
    memset(devices, 0, sizeof devices);
    iommu = vtd_start(&boot);
    vtd_start_interrupts(false);
    for (unsigned i = 0; iommu && i < DOMAINS; i++)
        if (iommu->domain_create(i ? "db" : "web", IOMMU_TRANSLATED, &models[i].domain) != 0)
            abort();
    return iommu;
}

static struct fake_unit *unit_of(const struct device *d)
{
    return &fake_units[d == &devices[2]];
}

/* --- memory --- */

/* Pages first to first+count of one run of addresses; false: they are of two. */
static bool choose(const uint8_t record[RECORD_BYTES], unsigned *first, unsigned *count)
{
    *first = record[2] % PAGES;
    *count = 1 + record[3] % 32;
    return *first + *count <= PAGES && (*first < PAGES / 2) == (*first + *count - 1 < PAGES / 2);
}

static void map(struct model *m, const uint8_t record[RECORD_BYTES])
{
    uint64_t hpa = GIB(2) + ((uint64_t)get_le16(record + 4) << PAGE_SHIFT);
    unsigned first, count;
    int error;

    if (!choose(record, &first, &count))
        return;
    error = iommu->map(m->domain, iova_of(first), HPA(hpa), count * PAGE_SIZE, PT_READ | PT_WRITE);
    for (unsigned i = first; i < first + count; i++) {
        if (error == 0 && m->hpa[i])
            abort();
        if (error == 0)
            m->hpa[i] = hpa + ((uint64_t)(i - first) << PAGE_SHIFT);
        else if (error == -EIO)
            m->is_unsure[i] = true;
    }
}

static void unmap(struct model *m, const uint8_t record[RECORD_BYTES])
{
    unsigned first, count;
    int error;

    if (!choose(record, &first, &count))
        return;
    error = iommu->unmap(m->domain, iova_of(first), count * PAGE_SIZE);
    for (unsigned i = first; i < first + count; i++) {
        if (error == 0)
            m->hpa[i] = 0;
        m->is_unsure[i] = error != 0;
    }
}

static void attach_or_detach(struct device *d, struct model *m)
{
    struct iommu_device device = {pci_requester(0, ids[d - devices]), false};

    if (d->owner) {
        if (iommu->detach(d->owner->domain, device.address) == 0)
            d->owner = NULL;
    } else if (iommu->attach(m->domain, &device) == 0) {
        d->owner = m;
    }
}

static void look(const struct device *d, unsigned page, bool is_write)
{
    const struct model *m = d->owner;
    uint64_t hpa = 0, offset = page * 8;
    bool reaches = fake_unit_translate(unit_of(d), ids[d - devices], iova_of(page) + offset, is_write, &hpa);

    if (m && m->is_unsure[page])
        return;
    if (reaches != (m && m->hpa[page]) || (reaches && hpa != m->hpa[page] + offset))
        abort();
}

/* --- interrupts --- */

static void route(struct device *d, const uint8_t record[RECORD_BYTES])
{
    unsigned i = record[2] % MESSAGES;
    struct iommu_route wanted = {record[3], (uint8_t)(record[4] | 0x20), record[5] & 1};
    int error;

    if (!d->interrupts && iommu->interrupts_create(pci_requester(0, ids[d - devices]), MESSAGES, &d->interrupts) != 0)
        return;
    error = iommu->interrupts_route(d->interrupts, i, record[5] & 2 ? NULL : &wanted, &d->messages[i]);
    d->is_unsure |= error != 0;
    d->is_routed[i] = error == 0 && !(record[5] & 2);
    d->routes[i] = wanted;
}

static void give_back(struct device *d)
{
    if (d->interrupts)
        iommu->interrupts_destroy(d->interrupts);
    d->interrupts = NULL;
    memset(d->is_routed, 0, sizeof d->is_routed);
}

/* What arrives is one of the device's own, whatever it wrote. */
static void send(const struct device *d, const uint8_t record[RECORD_BYTES])
{
    const struct device *other = &devices[record[2] % DEVICES];
    struct iommu_message message = other->messages[record[3] % MESSAGES];
    struct fake_interrupt got;

    if (!message.address)
        message.address = 0xfee00010; /* it was never told one */
    message.address ^= (uint64_t)record[4] << 2;
    message.data ^= record[5];
    if (!fake_unit_interrupt(unit_of(d), ids[d - devices], &message, &got) || d->is_unsure)
        return;
    for (unsigned i = 0; i < MESSAGES; i++)
        if (d->is_routed[i] && d->routes[i].vector == got.vector && d->routes[i].apic_id == got.destination)
            return;
    abort();
}

static void step(const uint8_t record[RECORD_BYTES])
{
    struct device *d = &devices[record[1] % DEVICES];
    struct model *m = &models[record[1] / 16 % DOMAINS];

    switch (record[0] % 12) {
    case 0:
    case 1:
        map(m, record);
        break;
    case 2:
    case 3:
        unmap(m, record);
        break;
    case 4:
        attach_or_detach(d, m);
        break;
    case 5:
        route(d, record);
        break;
    case 6:
        send(d, record);
        break;
    case 7:
        give_back(d);
        break;
    case 8:
        fake_unit_fault(unit_of(d), get_le16(record + 2), get_le32(record + 4), record[1], record[7] & 1);
        break;
    case 9:
        iommu->poll();
        break;
    case 10:
        unit_of(d)->queue_hangs = record[2] % 4 == 3;
        break;
    default:
        look(d, record[2] % PAGES, record[3] & 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || !start(data[0]))
        return 0;
    for (size_t at = 1; at + RECORD_BYTES <= size; at += RECORD_BYTES)
        step(data + at);
    for (unsigned page = 0; page < PAGES; page++)
        for (unsigned i = 0; i < DEVICES; i++)
            look(&devices[i], page, page & 1);
    return 0;
}
