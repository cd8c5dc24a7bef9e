/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: of a FADT of any age the registers are found that are there, and none that is not; _S5 is found in each of its forms,
 * and in nothing that only looks like it.
 */
#include "tests/host/fake/acpi_rig.h"

/* --- FADT --- */

static void an_old_fadt(void **state)
{
    (void)state;
    fadt_open();
    add_table("FACP", 116, fadt, 116 - 36);
    assert_int_equal(parse_built(), 0);
    assert_true(info.has_fadt);
    assert_int_equal(info.fadt.sci_irq, 9);
    assert_int_equal(info.fadt.smi_command_port, 0xb2);
    assert_int_equal(info.fadt.acpi_enable, 2);
    assert_int_equal(info.fadt.acpi_disable, 3);
    assert_int_equal(info.fadt.century, 0x32);
    assert_int_equal(info.fadt.boot_flags, ACPI_FADT_BOOT_LEGACY_DEVICES | ACPI_FADT_BOOT_8042);
    assert_true(info.fadt.has_pm_timer && info.fadt.is_pm_timer_32_bit);
    assert_int_equal(info.fadt.pm_timer.space_id, ACPI_GAS_SYSTEM_IO);
    assert_int_equal(info.fadt.pm_timer.address, 0x608);
    assert_int_equal(info.fadt.pm_timer.bit_width, 32);
    assert_int_equal(info.fadt.pm1a_event.address, 0x600);
    assert_int_equal(info.fadt.pm1a_control.address, 0x604);
    assert_int_equal(info.fadt.pm1a_control.bit_width, 16);
    assert_int_equal(info.fadt.pm1b_control.address, 0);
    assert_false(info.fadt.has_reset); /* the flag says so, but the table ends before the register */
    assert_false(info.has_s5);
}

static void a_new_fadt_prefers_its_x_fields(void **state)
{
    uint8_t *dsdt = add_table("DSDT", 36, NULL, 0);

    (void)state;
    root_count = 0;
    fadt_open();
    fadt_u32(40, 0x1000);
    fadt_u32(140, table_address(dsdt));
    fadt_gas(172, ACPI_GAS_SYSTEM_MEMORY, 0xfed80000);
    fadt_gas(208, ACPI_GAS_SYSTEM_IO, 0x808);
    add_table("FACP", 276, fadt, sizeof fadt);
    assert_int_equal(parse_built(), 0);
    assert_int_equal(info.fadt.dsdt.value, table_address(dsdt));
    assert_int_equal(info.fadt.pm1a_control.space_id, ACPI_GAS_SYSTEM_MEMORY);
    assert_int_equal(info.fadt.pm1a_control.address, 0xfed80000);
    assert_int_equal(info.fadt.pm_timer.address, 0x808);
    assert_int_equal(info.fadt.pm1a_event.address, 0x600);
    assert_true(info.fadt.has_reset);
    assert_int_equal(info.fadt.reset.address, 0xcf9);
    assert_int_equal(info.fadt.reset_value, 0x0f);
    assert_non_null(strstr(fake_log_last, "no \\_S5"));
}

static void a_hardware_reduced_machine_has_no_pm_registers(void **state)
{
    (void)state;
    fadt_open();
    fadt_u32(112, 1u << 20);
    add_table("FACP", 276, fadt, sizeof fadt);
    assert_int_equal(parse_built(), 0);
    assert_true(info.fadt.is_hardware_reduced);
    assert_false(info.fadt.has_pm_timer || info.fadt.has_reset);
    assert_int_equal(info.fadt.pm1a_control.address, 0);
}

static void impossible_ports_are_none(void **state)
{
    (void)state;
    fadt_open();
    fadt_u32(76, 0x10608);
    fadt_u32(48, 0x10000);
    add_table("FACP", 116, fadt, 116 - 36);
    assert_int_equal(parse_built(), 0);
    assert_false(info.fadt.has_pm_timer);
    assert_int_equal(info.fadt.smi_command_port, 0);
}

/* --- _S5 --- */

static void parse_dsdt(const void *aml, size_t size)
{
    uint8_t *dsdt;

    acpi_rig_set_up(NULL);
    dsdt = add_table("DSDT", 36 + (uint32_t)size, aml, size);
    root_count = 0;
    fadt_open();
    fadt_u32(40, table_address(dsdt));
    add_table("FACP", 244, fadt, 244 - 36);
    assert_int_equal(parse_built(), 0);
}

static void the_forms_of_s5(void **state)
{
    static const struct {
        const char *aml;
        size_t size;
        uint8_t a, b;
    } cases[] = {
#define AML(text, a, b) {text, sizeof(text) - 1, a, b}
        AML("\x08_S5_\x12\x06\x04\x00\x00\x00\x00", 0, 0),
        AML("\x10\x20\x08\\_S5_\x12\x08\x04\x0a\x05\x0a\x06\x00\x00", 5, 6),
        AML("\x08_S5_\x12\x07\x02\x0b\x07\x00\x01\xff", 7, 1),
        AML("\x08_S5_\x12\x09\x02\x0c\x03\x00\x00\x00\x01\x00", 3, 1),
        AML("\x08_S5_\x12\x45\x00\x02\x01\x01", 1, 1), /* a length of two bytes */
        AML("\x08_S5_\x12\x04\x01\x0a\x05", 5, 0),     /* one element */
        AML("\x08_S5_\x12\x05\x01\x0b\x05\x06", 5, 6), /* one element that holds both */
        /* Mentions of it come first: in a string, as a call, and as a package that ends too early. */
        AML("\x0d_S5_\0" "_S5_\x12\x06\x04\x01\x01\x00\x00" "\x08_S5_\x12\x02\x02"
            "\x08_S5_\x12\x06\x04\x0a\x02\x01\x00", 2, 1),
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        parse_dsdt(cases[i].aml, cases[i].size);
        if (!info.has_s5)
            fail_msg("case %u: not found", i);
        assert_int_equal(info.s5_slp_typ_a, cases[i].a);
        assert_int_equal(info.s5_slp_typ_b, cases[i].b);
    }
}

static void what_only_looks_like_s5(void **state)
{
    static const struct {
        const char *aml;
        size_t size;
    } cases[] = {
#define NO(text) {text, sizeof(text) - 1}
        NO(""),
        NO("\x08_S5"),
        NO("\x08_S5_"),
        NO("\x08_S5_\x12"),
        NO("\x08_S5_\x12\x06"),
        NO("\x08_S5_\x12\x06\x04\x00"),                 /* reaches beyond the table */
        NO("\x08_S5_\x12\x06\x00\x00\x00\x00\x00"),     /* no elements */
        NO("\x08_S5_\x12\x00\x04\x00\x00\x00\x00"),     /* shorter than its own length */
        NO("\x08_S5_\x12\xc6\xff\xff\xff\x02\x00\x00"), /* very long */
        NO("\x08_S5_\x12\x03\x02\x01\x01"),             /* the second element lies outside */
        NO("\x08_S5_\x12\x06\x02\x0a\x08\x00\x00"),     /* no value of three bits */
        NO("\x08_S5_\x12\x06\x02\x0e\x01\x00\x00"),     /* no integer of 32 bits */
        NO("\x08_S5_\x11\x06\x04\x00\x00\x00\x00"),     /* a buffer */
        NO("\x07_S5_\x12\x06\x04\x00\x00\x00\x00"),     /* no definition */
        NO("\x07\\_S5_\x12\x06\x04\x00\x00\x00\x00"),
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        parse_dsdt(cases[i].aml, cases[i].size);
        if (info.has_s5)
            fail_msg("case %u: found", i);
        assert_non_null(strstr(fake_log_last, "cannot be powered off"));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, acpi_rig_set_up, acpi_rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_old_fadt),
        TEST(a_new_fadt_prefers_its_x_fields),
        TEST(a_hardware_reduced_machine_has_no_pm_registers),
        TEST(impossible_ports_are_none),
        TEST(the_forms_of_s5),
        TEST(what_only_looks_like_s5),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
