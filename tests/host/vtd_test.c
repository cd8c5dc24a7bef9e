/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: against a unit that caches whatever it may cache and believes nothing else than the
 * specification, a device reaches exactly what its domain maps, at every moment, and interrupts
 * only as it was told to; whatever a unit fails to do is reported and never taken for done.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/arch.h"
#include "tests/host/fake/vtd_unit.h"
#include "arch/x86/trap.h"
#include "arch/x86/vtd/vtd_ops.h"
#include "kernel/guest_mem.h"
#include "kernel/heap.h"
#include "kernel/lib/errno.h"
#include "kernel/memmap.h"
#include "kernel/page.h"

#define RW (PT_READ | PT_WRITE)

/* Unit 0 names 00:03.0 and what is below the bridge 00:04.0 (buses 5 to 7), unit 1 has the rest. */
#define NIC       0x0018
#define BELOW     0x0608
#define OTHER     0x00f8
#define IOAPIC    0xf0f8
#define IOAPIC_ID 7

static struct acpi_info acpi;
static struct memmap memory;
static const struct iommu_ops *iommu;
static struct vtd_boot boot;
static struct iommu_fault faults[512];
static unsigned fault_count;

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

static void add_scope(uint8_t type, uint8_t id, uint8_t bus, uint8_t device, uint8_t function)
{
    acpi.dmar.scopes[acpi.dmar.scope_count++] =
        (struct acpi_dmar_scope){.type = type,
                                 .enumeration_id = id,
                                 .start_bus = bus,
                                 .path_length = 1,
                                 .path = {{device, function}}};
}

static int set_up(void **state)
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

static void start(void)
{
    iommu = vtd_start(&boot);
    assert_non_null(iommu);
}

static struct iommu_device device(uint16_t id)
{
    return (struct iommu_device){pci_requester(0, id), false};
}

static struct iommu_domain *create(void)
{
    struct iommu_domain *d;

    assert_int_equal(iommu->domain_create("web", IOMMU_TRANSLATED, &d), 0);
    return d;
}

static void attach(struct iommu_domain *d, uint16_t id)
{
    struct iommu_device dev = device(id);

    assert_int_equal(iommu->attach(d, &dev), 0);
}

static void detach(struct iommu_domain *d, uint16_t id)
{
    assert_int_equal(iommu->detach(d, pci_requester(0, id)), 0);
}

static void map(struct iommu_domain *d, uint64_t iova, uint64_t hpa, uint64_t size)
{
    assert_int_equal(iommu->map(d, iova, HPA(hpa), size, RW), 0);
}

static struct fake_unit *unit_of(uint16_t id)
{
    return &fake_units[id != NIC && id != BELOW];
}

static const char *owner_of(struct pci_address device)
{
    static char name[IOMMU_OWNER_BYTES];

    vtd_copy_owner(device, name);
    return name;
}

static void assert_reaches(uint16_t id, uint64_t iova, uint64_t want)
{
    uint64_t hpa;

    assert_true(fake_unit_translate(unit_of(id), id, iova, false, &hpa));
    assert_int_equal(hpa, want);
    assert_true(fake_unit_translate(unit_of(id), id, iova, true, &hpa));
    assert_int_equal(hpa, want);
}

static void assert_blocked(uint16_t id, uint64_t iova)
{
    uint64_t hpa;

    assert_false(fake_unit_translate(unit_of(id), id, iova, false, &hpa));
    assert_false(fake_unit_translate(unit_of(id), id, iova, true, &hpa));
}

/* --- start --- */

static void every_device_is_denied_at_first(void **state)
{
    (void)state;
    start();
    for (unsigned id = 0; id < 0x10000; id += 0x77)
        for (unsigned i = 0; i < FAKE_UNITS; i++) {
            uint64_t hpa;

            assert_false(fake_unit_translate(&fake_units[i], (uint16_t)id, id << 12, true, &hpa));
        }
    assert_true(fake_units[0].context_flushes > 0 && fake_units[0].iotlb_flushes > 0);
}

static void what_firmware_left_is_taken_over_with_no_gap(void **state)
{
    (void)state;
    fake_units[0].status = GCMD_TE | GCMD_QIE | GCMD_IRE | 1u << 23;
    fake_units[0].cap |= CAP_PLMR;
    fake_units[0].pmen = PMEN_EPM | PMEN_PRS;
    start();
    assert_true(fake_units[0].lowest_status & GCMD_TE);
    assert_false(fake_units[0].lowest_status & GCMD_IRE);
    assert_int_equal(fake_units[0].pmen, 0);
    assert_blocked(NIC, 0x1000);
}

static void another_mode_of_firmwares_is_left_first(void **state)
{
    (void)state;
    fake_units[0].status = GCMD_TE;
    fake_units[0].root_written = BIT(10);
    start();
    assert_false(fake_units[0].lowest_status & GCMD_TE);
    assert_true(fake_units[0].status & GCMD_TE);
}

static void off_by_command_line(void **state)
{
    (void)state;
    fake_units[1].status = GCMD_TE | GCMD_QIE | GCMD_IRE;
    fake_units[1].cap |= CAP_PHMR;
    fake_units[1].pmen = PMEN_EPM | PMEN_PRS;
    boot.is_allowed = false;
    assert_null(vtd_start(&boot));
    assert_int_equal(fake_units[1].status, 0);
    assert_int_equal(fake_units[1].pmen, 0);
    assert_int_equal(fake_units[0].commands, 0);
    vtd_start_interrupts(false);
    assert_int_equal(fake_units[0].commands, 0);
    assert_true(vtd_allows_x2apic());
}

static void no_dmar_no_iommu(void **state)
{
    (void)state;
    acpi.has_dmar = false;
    assert_null(vtd_start(&boot));
    assert_int_equal(fake_log_count, 0);
    assert_false(vtd_is_firmware_device(pci_requester(0, NIC)));
}

static void a_unit_that_fails_spoils_all_but_the_others_deny(void **state)
{
    uint64_t hpa;

    (void)state;
    fake_units[0].is_deaf = true;
    assert_null(vtd_start(&boot));
    assert_false(fake_unit_translate(&fake_units[1], OTHER, 0, true, &hpa));
    vtd_start_interrupts(false);
    assert_false(fake_units[1].status & GCMD_IRE);
}

static void a_unit_that_is_not_there(void **state)
{
    (void)state;
    fake_units[0].version = 0;
    assert_null(vtd_start(&boot));
    assert_true(fake_units[1].status & GCMD_TE);
}

static void without_a_queue_registers_do(void **state)
{
    struct iommu_domain *d;

    (void)state;
    fake_units[0].ecap &= ~ECAP_QI;
    start();
    d = create();
    attach(d, NIC);
    map(d, 0, GIB(1), MIB(2));
    assert_reaches(NIC, 0x1234, GIB(1) + 0x1234);
    assert_int_equal(iommu->unmap(d, 0, MIB(2)), 0);
    assert_blocked(NIC, 0x1234);
    assert_true(fake_units[0].domain_flushes > 0);
    vtd_start_interrupts(false);
    assert_false(iommu->remaps_interrupts());
}

/* --- domains --- */

static void a_device_reaches_what_its_domain_maps(void **state)
{
    struct iommu_domain *a, *b;

    (void)state;
    start();
    a = create();
    b = create();
    map(a, 0, GIB(1), MIB(4));
    attach(a, NIC);
    attach(a, OTHER); /* behind the other unit */
    attach(b, BELOW);
    map(b, 0x5000, GIB(1) + MIB(8), 0x3000);
    assert_reaches(NIC, 0x1fffff, GIB(1) + 0x1fffff);
    assert_reaches(OTHER, MIB(4) - 1, GIB(1) + MIB(4) - 1);
    assert_reaches(BELOW, 0x7000, GIB(1) + MIB(8) + 0x2000);
    assert_blocked(NIC, MIB(4));
    assert_blocked(BELOW, 0x8000);
    assert_blocked(BELOW, BIT(50));
    assert_blocked(NIC + 1, 0);
    detach(a, NIC);
    assert_blocked(NIC, 0);
    assert_reaches(OTHER, 0, GIB(1));
    attach(b, NIC);
    assert_reaches(NIC, 0x5000, GIB(1) + MIB(8));
    assert_blocked(NIC, 0);
    detach(a, OTHER);
    detach(b, NIC);
    detach(b, BELOW);
    iommu->domain_destroy(a);
    iommu->domain_destroy(b);
}

/* What is cached is gone when unmap returns, with large pages split on the way. */
static void what_was_unmapped_is_blocked_at_once(void **state)
{
    struct iommu_domain *d;

    (void)state;
    start();
    d = create();
    attach(d, NIC);
    attach(d, OTHER);
    map(d, 0, GIB(1), GIB(1));
    assert_reaches(NIC, 0x3000, GIB(1) + 0x3000);
    assert_reaches(OTHER, 0x3000, GIB(1) + 0x3000);
    assert_int_equal(iommu->unmap(d, 0x3000, 0x1000), 0);
    assert_blocked(NIC, 0x3000);
    assert_blocked(OTHER, 0x3fff);
    assert_reaches(NIC, 0x2000, GIB(1) + 0x2000);
    assert_reaches(NIC, 0x4000, GIB(1) + 0x4000);
    map(d, 0x3000, GIB(1) + 0x3000, 0x1000);
    assert_reaches(OTHER, 0x3000, GIB(1) + 0x3000);
}

static void caching_mode_and_write_buffers_are_told_of_new_mappings(void **state)
{
    struct iommu_domain *d;
    unsigned flushes, writes;

    (void)state;
    fake_units[0].cap |= CAP_CM | CAP_RWBF;
    start();
    d = create();
    attach(d, NIC);
    flushes = fake_units[0].domain_flushes;
    writes = fake_units[0].write_flushes;
    map(d, 0, GIB(1), 0x1000);
    assert_int_equal(fake_units[0].domain_flushes, flushes + 1);
    assert_int_equal(fake_units[0].write_flushes, writes + 1);
    flushes = fake_units[1].domain_flushes;
    assert_int_equal(fake_units[1].domain_flushes, flushes);
    assert_int_equal(fake_units[1].write_flushes, 0);
}

static void read_only_is_read_only(void **state)
{
    struct iommu_domain *d;
    uint64_t hpa;

    (void)state;
    start();
    d = create();
    attach(d, NIC);
    assert_int_equal(iommu->map(d, 0, HPA(GIB(1)), 0x1000, PT_READ), 0);
    assert_true(fake_unit_translate(&fake_units[0], NIC, 0, false, &hpa));
    assert_false(fake_unit_translate(&fake_units[0], NIC, 0, true, &hpa));
}

static void the_units_decide_about_tables(void **state)
{
    static const struct {
        uint64_t sagaw[2];
        unsigned levels;
    } cases[] = {{{6, 6}, 4}, {{2, 6}, 3}, {{4, 6}, 4}, {{4, 2}, 0}, {{0x14, 4}, 4}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct iommu_domain *d;

        set_up(NULL);
        for (unsigned u = 0; u < FAKE_UNITS; u++)
            fake_units[u].cap = (FAKE_UNIT_CAP & ~(UINT64_C(0x1f) << 8)) | cases[i].sagaw[u] << 8;
        fake_units[0].ecap &= ~(i % 2 ? ECAP_C : 0);
        fake_units[1].cap &= ~(i % 2 ? CAP_SLLPS_1G : 0);
        start();
        if (cases[i].levels == 0) {
            assert_int_equal(iommu->domain_create("web", IOMMU_TRANSLATED, &d), -ENOTSUP);
        } else {
            d = create();
            map(d, 0, GIB(1), GIB(1));
            attach(d, NIC);
            assert_int_equal(vtd_common.levels, cases[i].levels);
            assert_reaches(NIC, MIB(513), GIB(1) + MIB(513));
        }
    }
}

static void addresses_beyond_the_width_are_refused(void **state)
{
    struct iommu_domain *d;

    (void)state;
    fake_units[1].cap = (FAKE_UNIT_CAP & ~(UINT64_C(0x3f) << 16)) | UINT64_C(38) << 16;
    start();
    d = create();
    assert_int_equal(iommu->map(d, BIT(39) - 0x1000, HPA(0), 0x2000, RW), -EINVAL);
    map(d, BIT(39) - 0x1000, 0, 0x1000);
    assert_int_equal(iommu->map(d, BIT(39) - 0x1000, HPA(0), 0x1000, RW), -EEXIST);
}

static void domains_have_numbers_of_their_own(void **state)
{
    struct iommu_domain *d[15], *one_more;

    (void)state;
    fake_units[1].cap &= ~UINT64_C(7); /* 16 domains */
    start();
    for (unsigned i = 0; i < ARRAY_SIZE(d); i++) {
        d[i] = create();
        assert_int_not_equal(d[i]->id, 0);
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(d[i]->id, d[j]->id);
    }
    assert_int_equal(iommu->domain_create("x", IOMMU_TRANSLATED, &one_more), -ENOSPC);
    iommu->domain_destroy(d[3]);
    assert_int_equal(iommu->domain_create("x", IOMMU_TRANSLATED, &one_more), 0);
}

static void pass_through_only_where_asked(void **state)
{
    struct iommu_domain *d;
    struct iommu_device other = device(OTHER);

    (void)state;
    fake_units[1].ecap &= ~ECAP_PT;
    start();
    assert_int_equal(iommu->domain_create("host", IOMMU_PASS_THROUGH, &d), 0);
    attach(d, NIC);
    assert_reaches(NIC, GIB(7), GIB(7));
    assert_int_equal(iommu->attach(d, &other), -ENOTSUP);
    assert_int_equal(iommu->map(d, 0, HPA(0), 0x1000, RW), -EINVAL);
    assert_int_equal(iommu->unmap(d, 0, 0x1000), -EINVAL);
    detach(d, NIC);
    assert_blocked(NIC, GIB(7));
    iommu->domain_destroy(d);
}

static void a_device_has_one_domain(void **state)
{
    struct iommu_domain *a, *b;
    struct iommu_device nic = device(NIC), nowhere = {pci_requester(1, NIC), false};

    (void)state;
    start();
    a = create();
    b = create();
    attach(a, NIC);
    assert_int_equal(iommu->attach(b, &nic), -EBUSY);
    assert_int_equal(iommu->attach(b, &nowhere), -ENODEV); /* no unit in that segment */
    assert_int_equal(iommu->detach(b, nic.address), -ENODEV);
    expect_panic(iommu->domain_destroy(a));
}

static void a_guest_is_mapped_as_a_whole_or_not_at_all(void **state)
{
    struct guest_mem mem = {.count = 0};
    struct iommu_domain *d;

    (void)state;
    start();
    iommu_ops = iommu;
    assert_int_equal(guest_mem_add(&mem, GPA(0), MIB(2), phys_to_virt(HPA(GIB(1)))), 0);
    assert_int_equal(guest_mem_add(&mem, GPA(GIB(4)), MIB(4), phys_to_virt(HPA(GIB(1) + MIB(2)))),
                     0);
    d = create();
    attach(d, NIC);
    assert_int_equal(iommu_map_guest(d, &mem), 0);
    assert_reaches(NIC, GIB(4) + 5, GIB(1) + MIB(2) + 5);
    assert_int_equal(iommu->unmap(d, 0, MIB(2)), 0);
    assert_int_equal(iommu_map_guest(d, &mem), -EEXIST); /* the second slot is there */
    assert_blocked(NIC, 0);
    iommu_ops = NULL;
}

/* --- a unit that stops working --- */

static void a_unit_that_hangs_is_never_taken_for_done(void **state)
{
    struct iommu_domain *d;

    (void)state;
    start();
    d = create();
    attach(d, NIC);
    map(d, 0, GIB(1), MIB(2));
    assert_reaches(NIC, 0, GIB(1));
    fake_units[0].queue_hangs = true;
    assert_int_equal(iommu->unmap(d, 0, MIB(2)), -EIO);
    assert_int_equal(iommu->detach(d, pci_requester(0, NIC)), -EIO);
    assert_string_equal(owner_of(pci_requester(0, NIC)), "web");
    fake_units[0].queue_hangs = false;
    detach(d, NIC);
    assert_blocked(NIC, 0);
    iommu->domain_destroy(d);
}

static void a_refused_request_is_logged_and_the_queue_goes_on(void **state)
{
    struct iommu_domain *d;

    (void)state;
    start();
    d = create();
    attach(d, NIC);
    map(d, 0, GIB(1), MIB(2));
    fake_units[0].queue_refuses = true;
    assert_int_equal(iommu->unmap(d, 0, 0x1000), -EIO);
    fake_units[0].queue_refuses = false;
    assert_int_equal(iommu->unmap(d, 0x1000, 0x1000), 0);
    assert_blocked(NIC, 0);
    assert_blocked(NIC, 0x1000);
}

/* The queue's end is its beginning. */
static void the_queue_wraps(void **state)
{
    struct iommu_domain *d;

    (void)state;
    start();
    d = create();
    attach(d, NIC);
    for (unsigned i = 0; i < 3 * IQ_ENTRIES; i++) {
        map(d, 0, GIB(1) + i * PAGE_SIZE, 0x1000);
        assert_reaches(NIC, 0, GIB(1) + i * PAGE_SIZE);
        assert_int_equal(iommu->unmap(d, 0, 0x1000), 0);
    }
    assert_blocked(NIC, 0);
}

static void an_attachment_that_fails_leaves_nothing(void **state)
{
    struct iommu_domain *d;
    struct iommu_device nic = device(NIC);
    hpa_t page, next;

    (void)state;
    start();
    d = create();
    while (page_alloc(0, &next) == 0)
        page = next;
    assert_int_equal(iommu->attach(d, &nic), -ENOMEM);
    page_free(page, 0);
    assert_string_equal(owner_of(nic.address), "");
    attach(d, NIC);
}

/* --- firmware's memory --- */

static void add_rmrr(uint64_t base, uint64_t size, uint8_t devfn)
{
    acpi.dmar.rmrrs[acpi.dmar.rmrr_count++] =
        (struct acpi_dmar_rmrr){HPA(base), size, 0, (uint16_t)acpi.dmar.scope_count, 1};
    add_scope(ACPI_SCOPE_PCI_ENDPOINT, 0, 0, devfn >> 3, devfn & 7);
}

static void firmware_keeps_what_it_declared_until_somebody_owns_the_device(void **state)
{
    struct iommu_domain *d;
    struct iommu_device usb = device(OTHER);

    (void)state;
    add_rmrr(GIB(3), 0x4000, OTHER);
    add_rmrr(GIB(3) + MIB(1), 0x1000, OTHER);
    start();
    assert_true(vtd_is_firmware_device(usb.address));
    assert_reaches(OTHER, GIB(3) + 0x3fff, GIB(3) + 0x3fff);
    assert_reaches(OTHER, GIB(3) + MIB(1), GIB(3) + MIB(1));
    assert_blocked(OTHER, GIB(3) + 0x4000);
    d = create();
    assert_int_equal(iommu->attach(d, &usb), -EBUSY);
    usb.firmware_lets_go = true;
    assert_int_equal(iommu->attach(d, &usb), 0);
    assert_blocked(OTHER, GIB(3));
    assert_false(vtd_is_firmware_device(usb.address));
    detach(d, OTHER);
    assert_blocked(OTHER, GIB(3));
}

static void firmware_gets_no_memory_of_others(void **state)
{
    (void)state;
    add_rmrr(GIB(2) - 0x1000, 0x2000, OTHER); /* the last page of what is usable */
    start();
    assert_blocked(OTHER, GIB(2) - 0x1000);
    assert_blocked(OTHER, GIB(2));
    assert_false(vtd_is_firmware_device(pci_requester(0, OTHER)));
}

/* --- scopes --- */

/* The device is two bridges down: its bus is the last bridge's, not what the table starts at. */
static void paths_lead_across_bridges(void **state)
{
    struct acpi_dmar_scope *s = &acpi.dmar.scopes[0];

    (void)state;
    *s = (struct acpi_dmar_scope){ACPI_SCOPE_PCI_ENDPOINT, 0, 0, 3, {{4, 0}, {0, 0}, {9, 1}}};
    start();
    assert_ptr_equal(vtd_find_unit(pci_requester(0, 0x0649)), &vtd_units[0]);
    assert_ptr_equal(vtd_find_unit(pci_requester(0, NIC)), &vtd_units[1]);
    fake_log_count = 0;
    s->path[1].device = 1; /* no bridge */
    start();
    assert_ptr_equal(vtd_find_unit(pci_requester(0, NIC)), &vtd_units[1]);
    assert_true(fake_log_count > 0);
}

/* --- audit --- */

struct seen {
    unsigned count;
    uint64_t bytes;
    struct iommu_reach last;
};

static int note_reach(void *context, const struct iommu_reach *reach)
{
    struct seen *s = context;

    s->count++;
    s->bytes += reach->size;
    s->last = *reach;
    return 0;
}

static int stop_at_once(void *context, const struct iommu_reach *reach)
{
    (void)context;
    (void)reach;
    return 77;
}

static void note_line(void *context, const char *text)
{
    strcpy(context, text);
}

static void the_audit_sees_what_devices_reach(void **state)
{
    struct seen s = {0};
    struct iommu_domain *d, *all;
    char line[200];

    (void)state;
    start();
    assert_int_equal(iommu->audit(note_reach, &s), 0);
    assert_int_equal(s.count, 0);
    d = create();
    map(d, MIB(2), GIB(1) + MIB(2), MIB(2) + 0x1000);
    attach(d, BELOW);
    assert_int_equal(iommu->audit(note_reach, &s), 0);
    assert_int_equal(s.count, 2);
    assert_int_equal(s.bytes, MIB(2) + 0x1000);
    assert_int_equal(s.last.iova, MIB(4));
    assert_int_equal(s.last.hpa.value, GIB(1) + MIB(4));
    assert_int_equal(pci_requester_id(s.last.requester), BELOW);
    assert_string_equal(s.last.owner, "web");
    assert_int_equal(s.last.attributes, RW);
    iommu_ops = iommu;
    assert_int_equal(iommu_list(note_line, line), 0);
    iommu_ops = NULL;
    assert_string_equal(line, "0000:06:01.0 (web) rw 0x400000-0x400fff is memory at 0x40400000");
    assert_int_equal(iommu_list(note_line, line), -ENODEV);
    assert_int_equal(iommu->audit(stop_at_once, NULL), 77);
    assert_int_equal(iommu->domain_create("host", IOMMU_PASS_THROUGH, &all), 0);
    attach(all, OTHER);
    assert_int_equal(iommu->audit(note_reach, &s), 0);
    assert_int_equal(s.last.size, BIT(48));
}

static struct guest_mem checked_mem;

static const struct guest_mem *memory_of(struct pci_address requester)
{
    return pci_requester_id(requester) == NIC ? &checked_mem : NULL;
}

static struct iommu_domain *start_check(void)
{
    struct iommu_domain *d;

    start();
    iommu_ops = iommu;
    memset(&checked_mem, 0, sizeof checked_mem);
    assert_int_equal(guest_mem_add(&checked_mem, GPA(0), MIB(4), phys_to_virt(HPA(GIB(1)))), 0);
    assert_int_equal(guest_mem_add(&checked_mem, GPA(MIB(4)), MIB(2), phys_to_virt(HPA(GIB(2)))), 0);
    d = create();
    assert_int_equal(iommu_map_guest(d, &checked_mem), 0);
    attach(d, NIC);
    return d;
}

static void assert_check_says(const char *text)
{
    unsigned devices;

    assert_int_equal(iommu_check(memory_of, &devices), -EFAULT);
    assert_non_null(strstr(fake_log_last, text));
}

static void a_device_that_reaches_its_guests_memory_is_right(void **state)
{
    unsigned devices;

    (void)state;
    (void)start_check();
    assert_int_equal(iommu_check(memory_of, &devices), 0);
    assert_int_equal(devices, 1);
    iommu_ops = NULL;
    assert_int_equal(iommu_check(memory_of, &devices), -ENODEV);
}

static void a_device_that_reaches_more_or_less_is_found(void **state)
{
    struct iommu_domain *d = start_check();

    (void)state;
    assert_int_equal(iommu->unmap(d, MIB(4), PAGE_SIZE), 0);
    assert_check_says("misses 4 KiB");
    map(d, MIB(4), GIB(2) + PAGE_SIZE, PAGE_SIZE);
    assert_check_says("0000:00:03.0 reaches 0x80001000-0x80001fff at 0x400000, which is not its guest's memory");
    assert_int_equal(iommu->unmap(d, MIB(4), PAGE_SIZE), 0);
    map(d, MIB(4), GIB(2), PAGE_SIZE);
    map(d, MIB(8), GIB(1), PAGE_SIZE); /* its own, at another address */
    assert_check_says("which is not its guest's memory");
    assert_int_equal(iommu->unmap(d, MIB(8), PAGE_SIZE), 0);
    map(d, 0xfee00000, GIB(1), PAGE_SIZE);
    assert_check_says("lies where interrupts are");
    assert_int_equal(iommu->unmap(d, 0xfee00000, PAGE_SIZE), 0);
    attach(d, OTHER);
    assert_check_says("0000:00:1f.0 reaches");
    assert_check_says("is given to nobody");
    iommu_ops = NULL;
}

static void what_firmware_declared_is_no_mistake(void **state)
{
    unsigned devices;

    (void)state;
    add_rmrr(GIB(3), 0x4000, OTHER);
    start();
    iommu_ops = iommu;
    assert_int_equal(iommu_check(memory_of, &devices), 0);
    assert_int_equal(devices, 0);
    iommu_ops = NULL;
}

/* It reads hardware, not our notes. */
static void the_audit_sees_what_should_not_be(void **state)
{
    struct seen s = {0};
    struct iommu_domain *d;
    struct vtd_entry *e;

    (void)state;
    start();
    d = create();
    attach(d, NIC);
    e = vtd_context_find(&vtd_units[0], pci_requester(0, OTHER));
    *e = vtd_context_entry(IOMMU_TRANSLATED, d->pt.root, 4, d->id);
    map(d, 0, GIB(1), 0x1000);
    assert_int_equal(iommu->audit(note_reach, &s), 0);
    assert_int_equal(s.count, 2);
    assert_string_equal(s.last.owner, "");
    e->high |= 7;
    assert_int_equal(iommu->audit(note_reach, &s), -EIO);
    e->low = 0;
    fake_units[1].status &= ~GCMD_TE;
    assert_int_equal(iommu->audit(note_reach, &s), -EIO);
    fake_units[1].status |= GCMD_TE;
    fake_units[0].root_written += 0x1000;
    assert_int_equal(iommu->audit(note_reach, &s), -EIO);
}

/* --- interrupts --- */

static void messages_arrive_as_routed_and_from_their_device_alone(void **state)
{
    struct iommu_interrupts *i, *j;
    struct iommu_route route = {0x123, 0x41, false};
    struct iommu_message m, forged;
    struct fake_interrupt got;

    (void)state;
    start();
    vtd_start_interrupts(true);
    assert_true(iommu->remaps_interrupts());
    assert_int_equal(iommu->interrupts_create(pci_requester(0, NIC), 4, &i), 0);
    assert_int_equal(iommu->interrupts_create(pci_requester(0, BELOW), 1, &j), 0);
    assert_int_equal(iommu->interrupts_route(i, 2, &route, &m), 0);
    assert_true(fake_unit_interrupt(&fake_units[0], NIC, &m, &got));
    assert_int_equal(got.destination, 0x123);
    assert_int_equal(got.vector, 0x41);
    assert_false(fake_unit_interrupt(&fake_units[0], BELOW, &m, &got));
    forged = m;
    forged.data = 3; /* its own, but not routed */
    assert_false(fake_unit_interrupt(&fake_units[0], NIC, &forged, &got));
    forged.data = 0x7000;
    assert_false(fake_unit_interrupt(&fake_units[0], NIC, &forged, &got));
    forged = (struct iommu_message){0xfee00000, 0x41}; /* compatibility format */
    assert_false(fake_unit_interrupt(&fake_units[0], NIC, &forged, &got));
    route.vector = 0x42;
    assert_int_equal(iommu->interrupts_route(i, 2, &route, &m), 0);
    assert_true(fake_unit_interrupt(&fake_units[0], NIC, &m, &got));
    assert_int_equal(got.vector, 0x42);
    assert_int_equal(iommu->interrupts_route(i, 2, NULL, &m), 0);
    assert_false(fake_unit_interrupt(&fake_units[0], NIC, &m, &got));
    assert_int_equal(iommu->interrupts_route(i, 4, &route, &m), -EINVAL);
    iommu->interrupts_destroy(i);
    iommu->interrupts_destroy(j);
}

static void entries_are_given_once_and_come_back(void **state)
{
    struct iommu_interrupts *all, *more;
    struct iommu_message m;
    struct iommu_route route = {1, 0x50, false};
    struct fake_interrupt got;

    (void)state;
    start();
    vtd_start_interrupts(false);
    assert_int_equal(iommu->interrupts_create(pci_requester(0, NIC), VTD_IRTES, &all), 0);
    assert_int_equal(iommu->interrupts_create(pci_requester(0, NIC), 1, &more), -ENOSPC);
    assert_int_equal(iommu->interrupts_route(all, VTD_IRTES - 1, &route, &m), 0);
    assert_true(fake_unit_interrupt(&fake_units[0], NIC, &m, &got));
    assert_int_equal(got.destination, 1);
    iommu->interrupts_destroy(all);
    assert_false(fake_unit_interrupt(&fake_units[0], NIC, &m, &got));
    assert_int_equal(iommu->interrupts_create(pci_requester(0, NIC), 3, &more), -EINVAL);
    assert_int_equal(iommu->interrupts_create(pci_requester(0, NIC), 0, &more), -EINVAL);
    assert_int_equal(iommu->interrupts_create(pci_requester(9, NIC), 1, &more), -ENODEV);
    assert_int_equal(iommu->interrupts_create(pci_requester(0, NIC), 32, &more), 0);
    iommu->interrupts_destroy(more);
}

static void inputs_of_ioapics(void **state)
{
    struct iommu_route route = {3, 0x30, true};
    struct fake_interrupt got;
    uint64_t first, again;

    (void)state;
    start();
    vtd_start_interrupts(false);
    assert_int_equal(iommu->route_ioapic(IOAPIC_ID, 4, &route, &first), 0);
    assert_true(fake_unit_ioapic(&fake_units[1], IOAPIC, first, &got));
    assert_int_equal(got.vector, 0x30);
    assert_int_equal(got.destination, 3);
    assert_true(got.is_level);
    assert_false(fake_unit_ioapic(&fake_units[1], OTHER, first, &got));
    route.apic_id = 2;
    assert_int_equal(iommu->route_ioapic(IOAPIC_ID, 4, &route, &again), 0);
    assert_int_equal(again, first);
    assert_true(fake_unit_ioapic(&fake_units[1], IOAPIC, first, &got));
    assert_int_equal(got.destination, 2);
    assert_int_equal(iommu->route_ioapic(IOAPIC_ID, 5, &route, &again), 0);
    assert_int_not_equal(again, first);
    assert_int_equal(iommu->route_ioapic(IOAPIC_ID + 1, 4, &route, &again), -ENODEV);
}

static void remapping_is_for_all_or_for_none(void **state)
{
    static const struct {
        uint64_t ecap;
        uint8_t flags, ioapic;
        bool is_x2apic, is_on, allows_x2apic;
    } cases[] = {
        {FAKE_UNIT_ECAP, ACPI_DMAR_INTR_REMAP, IOAPIC_ID, true, true, true},
        {FAKE_UNIT_ECAP & ~ECAP_EIM, ACPI_DMAR_INTR_REMAP, IOAPIC_ID, false, true, false},
        {FAKE_UNIT_ECAP & ~ECAP_EIM, ACPI_DMAR_INTR_REMAP, IOAPIC_ID, true, false, false},
        {FAKE_UNIT_ECAP & ~ECAP_IR, ACPI_DMAR_INTR_REMAP, IOAPIC_ID, true, false, true},
        {FAKE_UNIT_ECAP, 0, IOAPIC_ID, false, false, true},
        {FAKE_UNIT_ECAP, ACPI_DMAR_INTR_REMAP | ACPI_DMAR_X2APIC_OPT_OUT, IOAPIC_ID, false, true,
         false},
        {FAKE_UNIT_ECAP, ACPI_DMAR_INTR_REMAP, IOAPIC_ID + 1, true, false, true},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        set_up(NULL);
        fake_units[1].ecap = cases[i].ecap;
        acpi.dmar.flags = cases[i].flags;
        acpi.ioapics[0].id = cases[i].ioapic;
        start();
        assert_int_equal(vtd_allows_x2apic(), cases[i].allows_x2apic);
        vtd_start_interrupts(cases[i].is_x2apic);
        assert_int_equal(iommu->remaps_interrupts(), cases[i].is_on);
        for (unsigned u = 0; u < FAKE_UNITS; u++)
            assert_int_equal((fake_units[u].status & GCMD_IRE) != 0, cases[i].is_on);
    }
}

static void a_unit_that_cannot_remap_after_all(void **state)
{
    (void)state;
    start();
    fake_units[1].is_deaf = true;
    vtd_start_interrupts(false);
    assert_false(iommu->remaps_interrupts());
    assert_false(fake_units[0].status & GCMD_IRE);
}

/* --- faults --- */

static void a_fault_is_one_line(void **state)
{
    struct iommu_domain *d;
    uint64_t hpa;

    (void)state;
    fake_apic_id = 0x102;
    start();
    d = create();
    attach(d, NIC);
    vtd_start_interrupts(true);
    assert_int_equal(fake_units[0].fedata, VECTOR_IOMMU);
    assert_int_equal(fake_units[0].feaddr, 0xfee02000);
    assert_int_equal(fake_units[0].feuaddr, 0x100);
    assert_false(fake_unit_translate(&fake_units[0], NIC, 0x12345678, true, &hpa));
    assert_string_equal(fake_log_last,
                        "0000:00:03.0 (web): write of 0x12345000 refused: not mapped for writing");
    assert_int_equal(fault_count, 1);
    assert_true(faults[0].is_write && !faults[0].is_final && !faults[0].is_interrupt);
    assert_string_equal(faults[0].owner, "web");
    assert_false(fake_unit_translate(&fake_units[1], OTHER, 0x1000, false, &hpa));
    assert_string_equal(
        fake_log_last, "0000:00:1f.0 (nobody's): read of 0x1000 refused: its bus is given nothing");
    fake_unit_fault(&fake_units[1], OTHER, UINT64_C(0x123) << 48, 0x22, false);
    assert_string_equal(fake_log_last,
                        "0000:00:1f.0 (nobody's): interrupt 0x123 refused: interrupt "
                        "not given to anybody");
    fake_unit_fault(&fake_units[1], OTHER, 0x5000, 0xfe, true);
    assert_string_equal(fake_log_last,
                        "0000:00:1f.0 (nobody's): read of 0x5000 refused: unknown reason");
}

static void faults_before_interrupts_are_found_by_polling(void **state)
{
    (void)state;
    start();
    fake_unit_fault(&fake_units[0], NIC, 0x1000, 6, true);
    assert_int_equal(fault_count, 0);
    iommu->poll();
    assert_int_equal(fault_count, 1);
    iommu->poll();
    assert_int_equal(fault_count, 1);
}

static void firmwares_faults_are_forgotten(void **state)
{
    (void)state;
    fake_unit_fault(&fake_units[0], NIC, 0x1000, 6, true);
    fake_units[0].fsts |= FSTS_PFO;
    start();
    iommu->poll();
    assert_int_equal(fault_count, 0);
    assert_false(fake_units[0].fsts & FSTS_PFO);
}

static void a_device_that_keeps_faulting_is_hopeless_once(void **state)
{
    struct iommu_domain *d;
    unsigned lines, finals = 0;

    (void)state;
    start();
    d = create();
    attach(d, NIC);
    vtd_start_interrupts(false);
    lines = fake_log_count;
    for (unsigned i = 0; i < 200; i++)
        fake_unit_fault(&fake_units[0], NIC, 0x1000, 5, false);
    for (unsigned i = 0; i < fault_count; i++)
        finals += faults[i].is_final;
    assert_int_equal(finals, 1);
    assert_int_equal(fault_count, 64);
    assert_int_equal(fake_log_count - lines, 9);
    fake_unit_fault(&fake_units[0], BELOW, 0x1000, 5, false); /* others are still heard */
    assert_int_equal(fault_count, 65);
    detach(d, NIC);
    attach(d, NIC); /* a new owner */
    fake_unit_fault(&fake_units[0], NIC, 0x1000, 5, false);
    assert_int_equal(fault_count, 66);
    assert_false(faults[65].is_final);
}

/* The VM of a unit that does not answer any more is gone, and its domain is still there. */
static void a_fault_names_an_owner_whose_name_is_gone(void **state)
{
    struct iommu_domain *d;
    char name[] = "gone";

    (void)state;
    start();
    assert_int_equal(iommu->domain_create(name, IOMMU_TRANSLATED, &d), 0);
    attach(d, NIC);
    memset(name, '?', sizeof name - 1);
    vtd_start_interrupts(false);
    fake_unit_fault(&fake_units[0], NIC, 0x1000, 5, false);
    assert_string_equal(faults[0].owner, "gone");
}

static void rare_faults_are_never_too_many(void **state)
{
    (void)state;
    start();
    vtd_start_interrupts(false);
    for (unsigned i = 0; i < 300; i++) {
        fake_unit_fault(&fake_units[0], NIC, 0x1000, 5, false);
        fake_clock += FAKE_HZ;
    }
    assert_int_equal(fault_count, 300);
    for (unsigned i = 0; i < fault_count; i++)
        assert_false(faults[i].is_final);
}

static void some_faults_for_long_are_too_many(void **state)
{
    (void)state;
    start();
    vtd_start_interrupts(false);
    for (unsigned i = 0; i < 300; i++) {
        fake_unit_fault(&fake_units[0], NIC, 0x1000, 5, false);
        fake_clock += FAKE_HZ / 10;
    }
    assert_in_range(fault_count, 65, 75);
    assert_true(faults[fault_count - 1].is_final);
}

static void a_storm_is_masked_until_the_next_poll(void **state)
{
    (void)state;
    start();
    vtd_start_interrupts(false);
    for (unsigned i = 0; i < 400; i++)
        fake_unit_fault(&fake_units[0], (uint16_t)(i * 8), 0x1000, 5, false);
    assert_true(fake_units[0].fectl & FECTL_IM);
    fault_count = 0;
    iommu->poll();
    assert_false(fake_units[0].fectl & FECTL_IM);
    /* Of more devices than are remembered, the rest is blocked without a word. */
    assert_int_equal(fault_count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(every_device_is_denied_at_first),
        TEST(what_firmware_left_is_taken_over_with_no_gap),
        TEST(another_mode_of_firmwares_is_left_first),
        TEST(off_by_command_line),
        TEST(no_dmar_no_iommu),
        TEST(a_unit_that_fails_spoils_all_but_the_others_deny),
        TEST(a_unit_that_is_not_there),
        TEST(without_a_queue_registers_do),
        TEST(a_device_reaches_what_its_domain_maps),
        TEST(what_was_unmapped_is_blocked_at_once),
        TEST(caching_mode_and_write_buffers_are_told_of_new_mappings),
        TEST(read_only_is_read_only),
        TEST(the_units_decide_about_tables),
        TEST(addresses_beyond_the_width_are_refused),
        TEST(domains_have_numbers_of_their_own),
        TEST(pass_through_only_where_asked),
        TEST(a_device_has_one_domain),
        TEST(a_guest_is_mapped_as_a_whole_or_not_at_all),
        TEST(a_unit_that_hangs_is_never_taken_for_done),
        TEST(a_refused_request_is_logged_and_the_queue_goes_on),
        TEST(the_queue_wraps),
        TEST(an_attachment_that_fails_leaves_nothing),
        TEST(firmware_keeps_what_it_declared_until_somebody_owns_the_device),
        TEST(firmware_gets_no_memory_of_others),
        TEST(paths_lead_across_bridges),
        TEST(the_audit_sees_what_devices_reach),
        TEST(the_audit_sees_what_should_not_be),
        TEST(a_device_that_reaches_its_guests_memory_is_right),
        TEST(a_device_that_reaches_more_or_less_is_found),
        TEST(what_firmware_declared_is_no_mistake),
        TEST(messages_arrive_as_routed_and_from_their_device_alone),
        TEST(entries_are_given_once_and_come_back),
        TEST(inputs_of_ioapics),
        TEST(remapping_is_for_all_or_for_none),
        TEST(a_unit_that_cannot_remap_after_all),
        TEST(a_fault_is_one_line),
        TEST(faults_before_interrupts_are_found_by_polling),
        TEST(firmwares_faults_are_forgotten),
        TEST(a_device_that_keeps_faulting_is_hopeless_once),
        TEST(a_fault_names_an_owner_whose_name_is_gone),
        TEST(rare_faults_are_never_too_many),
        TEST(some_faults_for_long_are_too_many),
        TEST(a_storm_is_masked_until_the_next_poll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
