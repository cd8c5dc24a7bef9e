/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: of a sound machine everything is found, wherever the RSDP lies; a table that is damaged is as
 * if it were not there, and the others still count; no table makes the parser read a byte outside what
 * was mapped.
 */
#include "tests/host/fake/acpi_rig.h"
#include <errno.h>

/* --- RSDP and roots --- */

static const uint8_t hpet_body[20] = {
    0x01, 0xa2, 0x86, 0x80, 0, 64, 0, 0, 0x00, 0x00, 0xd0, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0};

static uint8_t *add_hpet(void)
{
    return add_table("HPET", 56, hpet_body, sizeof hpet_body);
}

static void the_loaders_rsdp_is_used(void **state)
{
    (void)state;
    add_hpet();
    assert_int_equal(parse_built(), 0);
    assert_true(info.has_hpet);
    assert_int_equal(info.hpet.value, 0xfed00000);
    assert_int_equal(info.revision, 2);
    assert_string_equal(info.oem_id, "BOCHS ");
    assert_false(info.has_madt || info.has_fadt || info.has_s5 || info.has_mcfg || info.has_dmar);
    assert_int_equal(fake_log_count, 0);
}

static void put_rsdp_at(uint32_t address)
{
    memcpy(low + address, rsdp, sizeof rsdp);
    source.rsdp = NULL;
    memset(&info, 0, sizeof info);
}

static void an_rsdp_is_found_by_search(void **state)
{
    (void)state;
    add_hpet();
    assert_int_equal(parse_built(), 0);
    put_rsdp_at(0xf6a80);
    assert_int_equal(parse(), 0);
    assert_true(info.has_hpet);

    memset(low, 0, sizeof low);
    put_le16(low + 0x40e, 0x9fc0);
    put_rsdp_at(0x9fc10);
    assert_int_equal(parse(), 0);
    assert_true(info.has_hpet);

    memset(low, 0, sizeof low);
    put_rsdp_at(0xf6a88); /* not on a 16-byte boundary */
    assert_int_equal(parse(), -ENOENT);
    assert_false(info.has_hpet);
}

static void a_short_rsdp_at_the_very_end_of_memory_is_of_revision_0(void **state)
{
    (void)state;
    add_hpet();
    assert_int_equal(parse_built(), 0);
    make_rsdp(0);
    memcpy(low + 0xfffe0, rsdp, 20);
    source.rsdp = NULL;
    assert_int_equal(parse(), 0);
    assert_true(info.has_hpet);
    assert_int_equal(info.revision, 0);
    memset(low, 0, sizeof low);
    memcpy(low + 0xffff0, "RSD PTR ", 8);
    assert_int_equal(parse(), -ENOENT);
}

static void no_rsdp_at_all(void **state)
{
    (void)state;
    assert_int_equal(parse(), -ENOENT);
    put_le16(low + 0x40e, 0xffff);
    assert_int_equal(parse(), -ENOENT);
    source.rsdp = "RSD PTR ";
    source.rsdp_bytes = 8;
    assert_int_equal(parse(), -ENOENT);
    assert_non_null(strstr(fake_log_last, "searching"));
}

static void a_damaged_copy_leads_to_a_search(void **state)
{
    (void)state;
    add_hpet();
    assert_int_equal(parse_built(), 0);
    memcpy(low + 0xe0000, rsdp, sizeof rsdp);
    rsdp[17] ^= 1;
    assert_int_equal(parse(), 0);
    assert_true(info.has_hpet);
}

static void a_broken_xsdt_falls_back_to_the_rsdt(void **state)
{
    (void)state;
    add_hpet();
    assert_int_equal(parse_built(), 0);
    memory_at(get_le64(rsdp + 24), 36)[35] ^= 1;
    assert_int_equal(parse(), 0);
    assert_true(info.has_hpet);
    memory_at(get_le32(rsdp + 16), 36)[35] ^= 1;
    assert_int_equal(parse(), -EINVAL);
    /* Only the extended part is wrong: what ACPI 1.0 knows still counts. */
    memory_at(get_le32(rsdp + 16), 36)[35] ^= 1;
    rsdp[33] ^= 1;
    assert_int_equal(parse(), 0);
    assert_true(info.has_hpet);
    /* Each other's signature. */
    put_le64(rsdp + 24, get_le32(rsdp + 16));
    rsdp[33] ^= 1;
    seal_rsdp();
    assert_int_equal(parse(), 0);
    assert_non_null(strstr(fake_log_last, "is no XSDT"));
}

static void damaged_tables_are_ignored(void **state)
{
    uint8_t *table;

    (void)state;
    add_hpet()[9] ^= 1; /* checksum */
    put_le32(add_hpet() + 4, 35);
    put_le32(add_hpet() + 4, 0xffffffff);
    table = add_hpet();
    put_le32(table + 4, TABLES_BYTES); /* reaches beyond what can be mapped */
    root_entries[root_count++] = 0;
    root_entries[root_count++] = 0x40000000; /* nothing there */
    add_table("HPET", 40, NULL, 0);          /* too short for its kind */
    table = add_table("HPET", 56, hpet_body, sizeof hpet_body);
    table[40] = ACPI_GAS_SYSTEM_IO;
    seal_table(table);
    assert_int_equal(parse_built(), 0);
    assert_false(info.has_hpet);
    assert_int_equal(fake_log_count, 7);
}

static void of_two_tables_the_first_counts(void **state)
{
    uint8_t *second;

    (void)state;
    add_hpet();
    second = add_hpet();
    second[44 + 1] = 0x99;
    seal_table(second);
    assert_int_equal(parse_built(), 0);
    assert_int_equal(info.hpet.value, 0xfed00000);
    assert_int_equal(fake_log_count, 1);
}

static void a_root_of_absurd_size_is_bounded(void **state)
{
    uint8_t *root;

    (void)state;
    add_hpet();
    root = add_table("XSDT", 36 + 8 * 1000, NULL, 0);
    for (unsigned i = 0; i < 1000; i++)
        put_le32(root + 36 + 8 * i, root_entries[0]);
    seal_table(root);
    put_le64(rsdp + 24, table_address(root));
    make_rsdp(2);
    source.rsdp = rsdp;
    source.rsdp_bytes = sizeof rsdp;
    assert_int_equal(parse(), 0);
    assert_true(info.has_hpet);
}

/* --- MCFG --- */

static void ecam_segments(void **state)
{
    uint8_t body[8 + 16 * 4] = {0};

    (void)state;
    put_le64(body + 8, 0xb0000000);
    body[8 + 11] = 255;
    put_le64(body + 24, 0x4000000000);
    put_le16(body + 24 + 8, 1);
    body[24 + 10] = 16;
    body[24 + 11] = 31;
    put_le64(body + 40, 0xb0000800); /* misaligned */
    put_le64(body + 56, 0xc0000000);
    body[56 + 10] = 2;
    body[56 + 11] = 1; /* backwards */
    add_table("MCFG", 36 + sizeof body, body, sizeof body);
    assert_int_equal(parse_built(), 0);
    assert_true(info.has_mcfg);
    assert_int_equal(info.ecam_count, 2);
    assert_int_equal(info.ecams[0].base.value, 0xb0000000);
    assert_int_equal(info.ecams[0].last_bus, 255);
    assert_int_equal(info.ecams[1].segment, 1);
    assert_int_equal(info.ecams[1].first_bus, 16);
    assert_int_equal(fake_log_count, 2);
}

static void too_many_ecams(void **state)
{
    uint8_t body[8 + 16 * (ACPI_ECAMS_MAX + 1) + 15] = {0}; /* and a part of one */

    (void)state;
    for (unsigned i = 0; i <= ACPI_ECAMS_MAX; i++)
        put_le64(body + 8 + 16 * i, 0xb0000000);
    add_table("MCFG", 36 + sizeof body, body, sizeof body);
    assert_int_equal(parse_built(), 0);
    assert_int_equal(info.ecam_count, ACPI_ECAMS_MAX);
    assert_int_equal(fake_log_count, 1);
}

/* --- all of them --- */

/* Any bytes changed, with the checksum made right again: the sanitizers are the judge. */
static void damaged_tables_are_survived(void **state)
{
    static const char s5[] = "\x08_S5_\x12\x08\x04\x0a\x05\x0a\x06\x00\x00";
    uint32_t used;
    uint8_t *s, *dsdt;

    (void)state;
    dsdt = add_table("DSDT", 36 + sizeof s5, s5, sizeof s5);
    fadt_open();
    fadt_u32(40, table_address(dsdt));
    add_table("FACP", 244, fadt, 244 - 36);
    madt_open();
    MADT_ADD(0, 8, 0, 0, 1, 0, 0, 0);
    MADT_ADD(9, 16, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0);
    MADT_ADD(4, 6, 0xff, 0, 0, 1);
    add_table("APIC", 36 + madt_used, madt, madt_used);
    dmar_open();
    s = dmar_drhd(0xfed90000, sizeof ioapic_scope + sizeof bridge_scope);
    memcpy(s + 16, ioapic_scope, sizeof ioapic_scope);
    memcpy(s + 24, bridge_scope, sizeof bridge_scope);
    sound_rmrr();
    add_table("DMAR", 36 + dmar_used, dmar, dmar_used);
    add_hpet();
    used = tables_used;
    assert_int_equal(parse_built(), 0);
    assert_true(info.has_s5 && info.has_madt && info.has_dmar && info.has_hpet);
    srand(4);
    for (unsigned round = 0; round < 20000; round++) {
        unsigned which = (unsigned)rand() % root_count;
        uint8_t *table = memory_at(root_entries[which], 36);
        uint32_t length = get_le32(table + 4);
        uint8_t *at = table + (unsigned)rand() % length, saved = *at;

        *at = (uint8_t)rand();
        if (get_le32(table + 4) <= used)
            seal_table(table);
        assert_int_equal(parse(), 0);
        *at = saved;
        seal_table(table);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, acpi_rig_set_up, acpi_rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_loaders_rsdp_is_used),
        TEST(an_rsdp_is_found_by_search),
        TEST(a_short_rsdp_at_the_very_end_of_memory_is_of_revision_0),
        TEST(no_rsdp_at_all),
        TEST(a_damaged_copy_leads_to_a_search),
        TEST(a_broken_xsdt_falls_back_to_the_rsdt),
        TEST(damaged_tables_are_ignored),
        TEST(of_two_tables_the_first_counts),
        TEST(a_root_of_absurd_size_is_bounded),
        TEST(ecam_segments),
        TEST(too_many_ecams),
        TEST(damaged_tables_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
