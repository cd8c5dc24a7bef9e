/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: of a sound machine everything is found, wherever the RSDP lies; a table that is damaged is as
 * if it were not there, and the others still count; no table makes the parser read a byte outside what
 * was mapped. Each mapping is an exact heap copy, so that the sanitizer sees it.
 */
#include "tests/host/fake/fake.h"
#include "arch/x86/acpi.h"
#include "kernel/lib/bytes.h"
#include <errno.h>

/* --- a machine's memory: the first MiB, and a piece of RAM where tables are built --- */

#define TABLES_BASE  0x7fe0000u
#define TABLES_BYTES 0x20000u
static uint8_t low[0x100000], tables[TABLES_BYTES];
static uint32_t tables_used;

static void *mappings[4096];
static unsigned mapping_count;

static uint8_t *memory_at(uint64_t address, uint64_t size)
{
    if (range_fits(address, size, sizeof low))
        return low + address;
    if (address >= TABLES_BASE && range_fits(address - TABLES_BASE, size, sizeof tables))
        return tables + (address - TABLES_BASE);
    return NULL;
}

static const void *map(void *context, hpa_t address, uint64_t size)
{
    const uint8_t *memory = memory_at(address.value, size);
    void *copy;

    assert_ptr_equal(context, tables);
    if (!memory)
        return NULL;
    assert_true(mapping_count < ARRAY_SIZE(mappings));
    copy = malloc(size);
    memcpy(copy, memory, size);
    return mappings[mapping_count++] = copy;
}

static void unmap_all(void)
{
    while (mapping_count > 0)
        free(mappings[--mapping_count]);
}

/* --- builders --- */

#define ROOT_MAX 20
static uint32_t root_entries[ROOT_MAX];
static unsigned root_count;
static uint8_t rsdp[36];
static struct acpi_source source;
static struct acpi_info info;

static void seal(uint8_t *bytes, size_t size, size_t checksum_at)
{
    uint8_t sum = 0;

    bytes[checksum_at] = 0;
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + bytes[i]);
    bytes[checksum_at] = (uint8_t)-sum;
}

static uint32_t table_address(const uint8_t *table)
{
    return TABLES_BASE + (uint32_t)(table - tables);
}

static void seal_table(uint8_t *table)
{
    seal(table, get_le32(table + 4), 9);
}

/* A table in the root's list; a body shorter than the length is followed by zeroes. */
static uint8_t *add_table(const char *signature, uint32_t length, const void *body, size_t body_bytes)
{
    uint8_t *table = tables + tables_used;

    memcpy(table, signature, 4);
    put_le32(table + 4, length);
    if (body)
        memcpy(table + 36, body, body_bytes);
    seal_table(table);
    tables_used += (length + 15) & ~15u;
    assert_true(tables_used < sizeof tables);
    assert_true(root_count < ROOT_MAX);
    root_entries[root_count++] = table_address(table);
    return table;
}

static uint8_t *add_root(bool is_xsdt)
{
    uint32_t width = is_xsdt ? 8 : 4, entries = root_count;
    uint8_t *root = add_table(is_xsdt ? "XSDT" : "RSDT", 36 + entries * width, NULL, 0);

    root_count = entries;
    for (uint32_t i = 0; i < entries; i++)
        put_le32(root + 36 + i * width, root_entries[i]);
    seal_table(root);
    return root;
}

static void seal_rsdp(void)
{
    seal(rsdp, 20, 8);
    seal(rsdp, 36, 32);
}

static void make_rsdp(uint8_t revision)
{
    memcpy(rsdp, "RSD PTR \0BOCHS ", 15);
    rsdp[15] = revision;
    put_le32(rsdp + 20, 36);
    seal_rsdp();
}

static int parse(void)
{
    unmap_all();
    return acpi_parse(&source, &info);
}

/* Builds both roots over the tables so far, hands the RSDP to the parser and parses. */
static int parse_built(void)
{
    put_le32(rsdp + 16, table_address(add_root(false)));
    put_le64(rsdp + 24, table_address(add_root(true)));
    make_rsdp(2);
    source.rsdp = rsdp;
    source.rsdp_bytes = sizeof rsdp;
    return parse();
}

static int set_up(void **state)
{
    (void)state;
    memset(low, 0, sizeof low);
    memset(tables, 0, sizeof tables);
    memset(rsdp, 0, sizeof rsdp);
    memset(&info, 0xa5, sizeof info);
    tables_used = root_count = 0;
    source = (struct acpi_source){map, tables, NULL, 0};
    fake_log_count = 0;
    fake_log_last[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unmap_all();
    return 0;
}

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

/* --- MADT --- */

static uint8_t madt[0x2000];
static uint32_t madt_used;

static void madt_open(void)
{
    memset(madt, 0, sizeof madt);
    put_le32(madt, 0xfee00000);
    put_le32(madt + 4, 1);
    madt_used = 8;
}

static void madt_add(const uint8_t *entry, uint8_t length)
{
    memcpy(madt + madt_used, entry, length);
    madt_used += length;
}

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
        set_up(NULL);
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
    set_up(NULL);
    madt_open();
    MADT_ADD(0); /* half an entry's header */
    assert_int_equal(madt_parse(), 0);
    assert_int_equal(info.cpu_count, 0);
}

/* --- FADT and _S5 --- */

static uint8_t fadt[276 - 36];

static void fadt_u32(uint32_t offset, uint32_t value)
{
    put_le32(fadt + offset - 36, value);
}

static void fadt_u8(uint32_t offset, uint8_t value)
{
    fadt[offset - 36] = value;
}

static void fadt_gas(uint32_t offset, uint8_t space, uint32_t address)
{
    fadt_u8(offset, space);
    fadt_u32(offset + 4, address);
}

static void fadt_open(void)
{
    memset(fadt, 0, sizeof fadt);
    fadt_u8(46, 9);
    fadt_u32(48, 0xb2);
    fadt_u8(52, 2);
    fadt_u8(53, 3);
    fadt_u32(56, 0x600);
    fadt_u32(64, 0x604);
    fadt_u32(76, 0x608);
    fadt_u8(88, 4);
    fadt_u8(89, 2);
    fadt_u8(91, 4);
    fadt_u8(108, 0x32);
    fadt_u8(109, 3);
    fadt_u32(112, 1u << 8 | 1u << 10);
    fadt_gas(116, ACPI_GAS_SYSTEM_IO, 0xcf9);
    fadt_u8(128, 0x0f);
}

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

static void parse_dsdt(const void *aml, size_t size)
{
    uint8_t *dsdt;

    set_up(NULL);
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

/* --- DMAR --- */

static uint8_t dmar[0x4000];
static uint32_t dmar_used;

static void dmar_open(void)
{
    memset(dmar, 0, sizeof dmar);
    dmar[0] = 38; /* 39 bits */
    dmar[1] = ACPI_DMAR_INTR_REMAP;
    dmar_used = 12;
}

static uint8_t *dmar_add(uint16_t type, uint16_t length)
{
    uint8_t *s = dmar + dmar_used;

    put_le16(s, type);
    put_le16(s + 2, length);
    dmar_used += length;
    return s;
}

static uint8_t *dmar_drhd(uint64_t base, uint16_t scope_bytes)
{
    uint8_t *s = dmar_add(0, (uint16_t)(16 + scope_bytes));

    put_le64(s + 8, base);
    return s;
}

static int dmar_parse(void)
{
    add_table("DMAR", 36 + dmar_used, dmar, dmar_used);
    return parse_built();
}

static const uint8_t ioapic_scope[8] = {ACPI_SCOPE_IOAPIC, 8, 0, 0, 2, 0xff, 0, 0};
static const uint8_t bridge_scope[10] = {ACPI_SCOPE_PCI_SUB_HIERARCHY, 10, 0, 0, 0, 3, 0x1c, 2, 0, 1};

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

static uint8_t *sound_rmrr(void)
{
    uint8_t *s = dmar_add(1, 24);

    put_le64(s + 8, 0xdf000000);
    put_le64(s + 16, 0xdf000fff);
    return s;
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
        set_up(NULL);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
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
        TEST(a_madt_with_everything),
        TEST(too_many_of_anything_is_counted_and_logged),
        TEST(damaged_madt_entries_end_the_list),
        TEST(an_old_fadt),
        TEST(a_new_fadt_prefers_its_x_fields),
        TEST(a_hardware_reduced_machine_has_no_pm_registers),
        TEST(impossible_ports_are_none),
        TEST(the_forms_of_s5),
        TEST(what_only_looks_like_s5),
        TEST(ecam_segments),
        TEST(too_many_ecams),
        TEST(units_with_scopes_and_reserved_regions),
        TEST(a_dmar_that_is_not_understood_is_not_used),
        TEST(a_dmar_without_units_is_none),
        TEST(damaged_tables_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
