/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/acpi_rig.h"

#define TABLES_BASE 0x7fe0000u

uint8_t low[0x100000];
uint32_t tables_used;
uint32_t root_entries[ROOT_MAX];
unsigned root_count;
uint8_t rsdp[36];
struct acpi_source source;
struct acpi_info info;

static uint8_t tables[TABLES_BYTES];
static void *mappings[4096];
static unsigned mapping_count;

uint8_t *memory_at(uint64_t address, uint64_t size)
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

static void seal(uint8_t *bytes, size_t size, size_t checksum_at)
{
    uint8_t sum = 0;

    bytes[checksum_at] = 0;
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + bytes[i]);
    bytes[checksum_at] = (uint8_t)-sum;
}

uint32_t table_address(const uint8_t *table)
{
    return TABLES_BASE + (uint32_t)(table - tables);
}

void seal_table(uint8_t *table)
{
    seal(table, get_le32(table + 4), 9);
}

uint8_t *add_table(const char *signature, uint32_t length, const void *body, size_t body_bytes)
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

void seal_rsdp(void)
{
    seal(rsdp, 20, 8);
    seal(rsdp, 36, 32);
}

void make_rsdp(uint8_t revision)
{
    memcpy(rsdp, "RSD PTR \0BOCHS ", 15);
    rsdp[15] = revision;
    put_le32(rsdp + 20, 36);
    seal_rsdp();
}

int parse(void)
{
    unmap_all();
    return acpi_parse(&source, &info);
}

int parse_built(void)
{
    put_le32(rsdp + 16, table_address(add_root(false)));
    put_le64(rsdp + 24, table_address(add_root(true)));
    make_rsdp(2);
    source.rsdp = rsdp;
    source.rsdp_bytes = sizeof rsdp;
    return parse();
}

int acpi_rig_set_up(void **state)
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

int acpi_rig_tear_down(void **state)
{
    (void)state;
    unmap_all();
    return 0;
}

/* --- MADT --- */

uint8_t madt[0x2000];
uint32_t madt_used;

void madt_open(void)
{
    memset(madt, 0, sizeof madt);
    put_le32(madt, 0xfee00000);
    put_le32(madt + 4, 1);
    madt_used = 8;
}

void madt_add(const uint8_t *entry, uint8_t length)
{
    memcpy(madt + madt_used, entry, length);
    madt_used += length;
}

/* --- FADT --- */

uint8_t fadt[276 - 36];

void fadt_u32(uint32_t offset, uint32_t value)
{
    put_le32(fadt + offset - 36, value);
}

static void fadt_u8(uint32_t offset, uint8_t value)
{
    fadt[offset - 36] = value;
}

void fadt_gas(uint32_t offset, uint8_t space, uint32_t address)
{
    fadt_u8(offset, space);
    fadt_u32(offset + 4, address);
}

void fadt_open(void)
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

/* --- DMAR --- */

uint8_t dmar[0x4000];
uint32_t dmar_used;

const uint8_t ioapic_scope[8] = {ACPI_SCOPE_IOAPIC, 8, 0, 0, 2, 0xff, 0, 0};
const uint8_t bridge_scope[10] = {ACPI_SCOPE_PCI_SUB_HIERARCHY, 10, 0, 0, 0, 3, 0x1c, 2, 0, 1};

void dmar_open(void)
{
    memset(dmar, 0, sizeof dmar);
    dmar[0] = 38; /* 39 bits */
    dmar[1] = ACPI_DMAR_INTR_REMAP;
    dmar_used = 12;
}

uint8_t *dmar_add(uint16_t type, uint16_t length)
{
    uint8_t *s = dmar + dmar_used;

    put_le16(s, type);
    put_le16(s + 2, length);
    dmar_used += length;
    return s;
}

uint8_t *dmar_drhd(uint64_t base, uint16_t scope_bytes)
{
    uint8_t *s = dmar_add(0, (uint16_t)(16 + scope_bytes));

    put_le64(s + 8, base);
    return s;
}

uint8_t *sound_rmrr(void)
{
    uint8_t *s = dmar_add(1, 24);

    put_le64(s + 8, 0xdf000000);
    put_le64(s + 16, 0xdf000fff);
    return s;
}
