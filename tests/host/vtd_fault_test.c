/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a fault is one line that names the device, its owner and the reason; a device that keeps faulting is hopeless once,
 * and neither hides the others' faults nor holds the machine up.
 */
#include "tests/host/fake/vtd_rig.h"
#include "arch/x86/trap.h"

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
#define TEST(name) cmocka_unit_test_setup(name, vtd_rig_set_up)
    const struct CMUnitTest tests[] = {
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
