/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever firmware has left and declares, from the first moment on a unit denies what nobody was given, and
 * firmware's devices reach what it declared for them and nothing else; a unit that does not start is not taken for one.
 */
#include "tests/host/fake/vtd_rig.h"
#include "kernel/lib/errno.h"

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

/* --- firmware's memory --- */

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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, vtd_rig_set_up)
    const struct CMUnitTest tests[] = {
        TEST(every_device_is_denied_at_first),
        TEST(what_firmware_left_is_taken_over_with_no_gap),
        TEST(another_mode_of_firmwares_is_left_first),
        TEST(off_by_command_line),
        TEST(no_dmar_no_iommu),
        TEST(a_unit_that_fails_spoils_all_but_the_others_deny),
        TEST(a_unit_that_is_not_there),
        TEST(without_a_queue_registers_do),
        TEST(firmware_keeps_what_it_declared_until_somebody_owns_the_device),
        TEST(firmware_gets_no_memory_of_others),
        TEST(paths_lead_across_bridges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
