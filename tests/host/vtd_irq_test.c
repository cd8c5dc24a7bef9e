/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a device interrupts only as it was told to, and nobody else by its entries; interrupts are remapped by all units or
 * by none.
 */
#include "tests/host/fake/vtd_rig.h"
#include "kernel/lib/errno.h"

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
        vtd_rig_set_up(NULL);
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, vtd_rig_set_up)
    const struct CMUnitTest tests[] = {
        TEST(messages_arrive_as_routed_and_from_their_device_alone),
        TEST(entries_are_given_once_and_come_back),
        TEST(inputs_of_ioapics),
        TEST(remapping_is_for_all_or_for_none),
        TEST(a_unit_that_cannot_remap_after_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
