/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: of a DMAR all units, regions and scopes are found, or none: one that is not understood as a whole is not used.
 */
#include "tests/host/fake/acpi_rig.h"

static int dmar_parse(void)
{
    add_table("DMAR", 36 + dmar_used, dmar, dmar_used);
    return parse_built();
}

static void units_with_scopes_and_reserved_regions(void **state)
{
    uint8_t *s;

    (void)state;
    dmar_open();
    s = dmar_drhd(0xfed90000, sizeof ioapic_scope + sizeof bridge_scope);
    memcpy(s + 16, ioapic_scope, sizeof ioapic_scope);
    memcpy(s + 24, bridge_scope, sizeof bridge_scope);
    s = dmar_add(2, 8); /* ATSR: of no interest */
    s = dmar_add(1, 24 + 8);
    put_le16(s + 6, 1);
    put_le64(s + 8, 0xdf000000);
    put_le64(s + 16, 0xdf1fffff);
    memcpy(s + 24, ioapic_scope, 8);
    s = dmar_drhd(0xfed91000, 0);
    s[4] = ACPI_DRHD_INCLUDE_PCI_ALL;
    assert_int_equal(dmar_parse(), 0);
    assert_true(info.has_dmar);
    assert_int_equal(info.dmar.host_address_bits, 39);
    assert_int_equal(info.dmar.flags, ACPI_DMAR_INTR_REMAP);
    assert_int_equal(info.dmar.unit_count, 2);
    assert_int_equal(info.dmar.units[0].base.value, 0xfed90000);
    assert_int_equal(info.dmar.units[0].flags, 0);
    assert_int_equal(info.dmar.units[0].first_scope, 0);
    assert_int_equal(info.dmar.units[0].scope_count, 2);
    assert_int_equal(info.dmar.scopes[0].type, ACPI_SCOPE_IOAPIC);
    assert_int_equal(info.dmar.scopes[0].enumeration_id, 2);
    assert_int_equal(info.dmar.scopes[0].start_bus, 0xff);
    assert_int_equal(info.dmar.scopes[1].path_length, 2);
    assert_int_equal(info.dmar.scopes[1].path[0].device, 0x1c);
    assert_int_equal(info.dmar.scopes[1].path[0].function, 2);
    assert_int_equal(info.dmar.scopes[1].path[1].function, 1);
    assert_int_equal(info.dmar.units[1].flags, ACPI_DRHD_INCLUDE_PCI_ALL);
    assert_int_equal(info.dmar.units[1].scope_count, 0);
    assert_int_equal(info.dmar.rmrr_count, 1);
    assert_int_equal(info.dmar.rmrrs[0].segment, 1);
    assert_int_equal(info.dmar.rmrrs[0].size, 0x200000);
    assert_int_equal(info.dmar.rmrrs[0].first_scope, 2);
    assert_int_equal(info.dmar.rmrrs[0].scope_count, 1);
    assert_int_equal(info.dmar.scope_count, 3);
}

/* Each spoils a sound DMAR in one way. */
static void spoil_base_zero(void) { dmar_drhd(0, 0); }
static void spoil_base_misaligned(void) { dmar_drhd(0xfed90800, 0); }
static void spoil_length_zero(void) { dmar_add(0, 0); dmar_used += 16; }
static void spoil_length_three(void) { put_le16(dmar_drhd(0xfed92000, 0) + 2, 3); }
static void spoil_length_beyond(void) { put_le16(dmar_drhd(0xfed92000, 0) + 2, 17); }
static void spoil_drhd_short(void) { dmar_add(0, 15); }
static void spoil_atsr_short(void) { dmar_add(2, 7); }
static void spoil_rhsa_short(void) { dmar_add(3, 19); }
static void spoil_andd_short(void) { dmar_add(4, 7); }
static void spoil_rmrr_short(void) { dmar_add(1, 23); }
static void spoil_rmrr_backwards(void) { put_le64(sound_rmrr() + 16, 0xdeffffff); }
static void spoil_rmrr_misaligned(void) { put_le64(sound_rmrr() + 8, 0xdf000001); }
static void spoil_rmrr_whole(void)
{
    uint8_t *s = sound_rmrr();

    put_le64(s + 8, 0);
    put_le64(s + 16, ~0ull);
}
static void spoil_scope(unsigned offset, uint8_t value)
{
    uint8_t *s = dmar_drhd(0xfed92000, 8);

    memcpy(s + 16, ioapic_scope, 8);
    s[16 + offset] = value;
}
static void spoil_scope_length_zero(void) { spoil_scope(1, 0); }
static void spoil_scope_length_six(void) { spoil_scope(1, 6); }
static void spoil_scope_length_odd(void) { spoil_scope(1, 7); }
static void spoil_scope_length_beyond(void) { spoil_scope(1, 10); }
static void spoil_scope_device(void) { spoil_scope(6, 32); }
static void spoil_scope_function(void) { spoil_scope(7, 8); }
static void spoil_scope_header(void) { dmar_drhd(0xfed92000, 1); }
static void spoil_scope_path(void)
{
    dmar_drhd(0xfed92000, 6 + 2 * (ACPI_DMAR_PATH_MAX + 1))[17] = 6 + 2 * (ACPI_DMAR_PATH_MAX + 1);
}
static void spoil_too_many_units(void)
{
    for (unsigned i = 0; i < ACPI_DMAR_UNITS_MAX; i++)
        dmar_drhd(0xfed90000, 0);
}
static void spoil_too_many_rmrrs(void)
{
    for (unsigned i = 0; i <= ACPI_DMAR_RMRRS_MAX; i++)
        sound_rmrr();
}
static void spoil_too_many_scopes(void)
{
    uint8_t *s = dmar_drhd(0xfed92000, 8 * (ACPI_DMAR_SCOPES_MAX + 1));

    for (unsigned i = 0; i <= ACPI_DMAR_SCOPES_MAX; i++)
        memcpy(s + 16 + 8 * i, ioapic_scope, 8);
}
static void spoil_stray_bytes(void) { dmar_used += 3; }

static void a_dmar_that_is_not_understood_is_not_used(void **state)
{
    static void (*const spoils[])(void) = {
        spoil_base_zero,        spoil_base_misaligned,     spoil_length_zero,
        spoil_length_three,     spoil_length_beyond,       spoil_drhd_short,
        spoil_rmrr_short,       spoil_rmrr_backwards,      spoil_rmrr_misaligned,
        spoil_rmrr_whole,       spoil_scope_length_zero,   spoil_scope_length_six,
        spoil_scope_length_odd, spoil_scope_length_beyond, spoil_scope_device,
        spoil_scope_function,   spoil_scope_header,        spoil_scope_path,
        spoil_too_many_units,   spoil_too_many_rmrrs,      spoil_too_many_scopes,
        spoil_stray_bytes,      spoil_atsr_short,          spoil_rhsa_short,
        spoil_andd_short,
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(spoils); i++) {
        acpi_rig_set_up(NULL);
        dmar_open();
        dmar_drhd(0xfed90000, 0);
        spoils[i]();
        assert_int_equal(dmar_parse(), 0);
        if (info.has_dmar || info.dmar.unit_count || info.dmar.scope_count)
            fail_msg("case %u: used", i);
        assert_int_equal(fake_log_count, 1);
    }
}

static void a_dmar_without_units_is_none(void **state)
{
    (void)state;
    dmar_open();
    assert_int_equal(dmar_parse(), 0);
    assert_false(info.has_dmar);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, acpi_rig_set_up, acpi_rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(units_with_scopes_and_reserved_regions),
        TEST(a_dmar_that_is_not_understood_is_not_used),
        TEST(a_dmar_without_units_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
