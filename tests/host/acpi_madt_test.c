/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: of a MADT every CPU that can run, every IOAPIC and every wire is found; what is too much or damaged is left out, and
 * the rest counts.
 */
#include "tests/host/fake/acpi_rig.h"

#define MADT_ADD(...)                                                                              \
    do {                                                                                           \
        const uint8_t entry[] = {__VA_ARGS__};                                                     \
        madt_add(entry, sizeof entry);                                                             \
    } while (0)

static int madt_parse(void)
{
    add_table("APIC", 36 + madt_used, madt, madt_used);
    return parse_built();
}

static void a_madt_with_everything(void **state)
{
    (void)state;
    madt_open();
    MADT_ADD(0, 8, 0, 0, 1, 0, 0, 0);
    MADT_ADD(0, 8, 1, 2, 1, 0, 0, 0);
    MADT_ADD(0, 8, 2, 4, 0, 0, 0, 0);    /* disabled */
    MADT_ADD(0, 8, 3, 6, 2, 0, 0, 0);    /* online capable */
    MADT_ADD(0, 8, 4, 0xff, 1, 0, 0, 0); /* the broadcast id */
    MADT_ADD(9, 16, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0); /* known already */
    MADT_ADD(9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0);
    MADT_ADD(9, 16, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 9, 0, 0, 0);
    MADT_ADD(1, 12, 7, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0);
    MADT_ADD(2, 10, 0, 0, 2, 0, 0, 0, 0, 0);
    MADT_ADD(2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0);
    MADT_ADD(2, 10, 1, 9, 9, 0, 0, 0, 0, 0);  /* no ISA */
    MADT_ADD(2, 10, 0, 16, 9, 0, 0, 0, 0, 0); /* no ISA interrupt */
    MADT_ADD(3, 8, 5, 0, 23, 0, 0, 0);
    MADT_ADD(4, 6, 0xff, 0, 0, 1);
    MADT_ADD(4, 6, 1, 5, 0, 0);
    MADT_ADD(10, 12, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0);
    MADT_ADD(5, 12, 0, 0, 0, 0, 0xe0, 0xfe, 1, 0, 0, 0);
    MADT_ADD(0x7f, 4, 0, 0);
    assert_int_equal(madt_parse(), 0);
    assert_true(info.has_madt && info.has_8259);
    assert_int_equal(info.local_apic.value, 0x1fee00000);
    assert_int_equal(info.cpu_count, 3);
    assert_int_equal(info.cpus[1].apic_id, 2);
    assert_int_equal(info.cpus[1].processor_uid, 1);
    assert_int_equal(info.cpus[2].apic_id, 256);
    assert_int_equal(info.cpus[2].processor_uid, 9);
    assert_int_equal(info.ioapic_count, 1);
    assert_int_equal(info.ioapics[0].id, 7);
    assert_int_equal(info.ioapics[0].address.value, 0xfec00000);
    assert_int_equal(info.ioapics[0].gsi_base, 24);
    assert_int_equal(info.override_count, 2);
    assert_int_equal(info.overrides[0].irq, 0);
    assert_int_equal(info.overrides[0].gsi, 2);
    assert_int_equal(info.overrides[1].flags & ACPI_INTI_TRIGGER_MASK, ACPI_INTI_TRIGGER_LEVEL);
    assert_int_not_equal(info.overrides[1].flags & ACPI_INTI_POLARITY_MASK, ACPI_INTI_POLARITY_LOW);
    assert_int_equal(info.nmi_source_count, 1);
    assert_int_equal(info.nmi_sources[0].gsi, 23);
    assert_int_equal(info.local_nmi_count, 3);
    assert_int_equal(info.local_nmis[0].processor_uid, ACPI_ALL_PROCESSORS);
    assert_int_equal(info.local_nmis[0].lint, 1);
    assert_int_equal(info.local_nmis[1].processor_uid, 1);
    assert_int_equal(info.local_nmis[1].flags, 5);
    assert_int_equal(info.local_nmis[2].processor_uid, 9);
    assert_int_equal(fake_log_count, 2);
}

static void too_many_of_anything_is_counted_and_logged(void **state)
{
    (void)state;
    madt_open();
    for (unsigned i = 0; i < ACPI_CPUS_MAX + 3; i++)
        MADT_ADD(0, 8, (uint8_t)i, (uint8_t)i, 1, 0, 0, 0);
    for (unsigned i = 0; i <= ACPI_IOAPICS_MAX; i++)
        MADT_ADD(1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0);
    for (unsigned i = 0; i <= ACPI_OVERRIDES_MAX; i++)
        MADT_ADD(2, 10, 0, 0, 2, 0, 0, 0, 0, 0);
    for (unsigned i = 0; i <= ACPI_NMIS_MAX; i++) {
        MADT_ADD(3, 8, 0, 0, 0, 0, 0, 0);
        MADT_ADD(4, 6, 0, 0, 0, 1);
    }
    assert_int_equal(madt_parse(), 0);
    assert_int_equal(info.cpu_count, ACPI_CPUS_MAX);
    assert_int_equal(info.cpus_left_out, 3);
    assert_int_equal(info.ioapic_count, ACPI_IOAPICS_MAX);
    assert_int_equal(info.override_count, ACPI_OVERRIDES_MAX);
    assert_int_equal(info.nmi_source_count, ACPI_NMIS_MAX);
    assert_int_equal(info.local_nmi_count, ACPI_NMIS_MAX);
    assert_int_equal(fake_log_count, 5);
    assert_string_equal(fake_log_last, "MADT: 3 CPUs beyond the first 64 left out");
}

static void damaged_madt_entries_end_the_list(void **state)
{
    static const uint8_t lengths[] = {0, 1, 200};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
        acpi_rig_set_up(NULL);
        madt_open();
        MADT_ADD(0, 8, 0, 0, 1, 0, 0, 0);
        MADT_ADD(0, 7, 1, 1, 1, 0, 0); /* too short for its type: this one only */
        MADT_ADD(0, 8, 2, 2, 1, 0, 0, 0);
        MADT_ADD(0, lengths[i], 3, 3, 1, 0, 0, 0);
        MADT_ADD(0, 8, 4, 4, 1, 0, 0, 0);
        assert_int_equal(madt_parse(), 0);
        assert_true(info.has_madt);
        assert_int_equal(info.cpu_count, 2);
        assert_int_equal(fake_log_count, 2);
    }
    acpi_rig_set_up(NULL);
    madt_open();
    MADT_ADD(0); /* half an entry's header */
    assert_int_equal(madt_parse(), 0);
    assert_int_equal(info.cpu_count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, acpi_rig_set_up, acpi_rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_madt_with_everything),
        TEST(too_many_of_anything_is_counted_and_logged),
        TEST(damaged_madt_entries_end_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
