/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: no contents of physical memory make the parser read outside what was mapped. The input is
 * one table, that the RSDT points to, and a FADT besides as its DSDT; its length and checksum are
 * made right, since a fuzzer would not get past them.
 */
#include "arch/x86/acpi.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RSDT_ADDRESS  0x1000u
#define FADT_ADDRESS  0x1800u
#define TABLE_ADDRESS 0x2000u
#define TABLE_MAX     0x4000u
#define MEMORY_BYTES  (TABLE_ADDRESS + TABLE_MAX)

static uint8_t memory[MEMORY_BYTES];
static uint32_t table_bytes;
static struct acpi_info info;

static const void *map(void *context, hpa_t address, uint64_t size)
{
    /* The table ends where memory ends, so that the sanitizer sees what reads on. */
    uint64_t shift = TABLE_MAX - table_bytes;
    uint64_t at = address.value >= TABLE_ADDRESS ? address.value + shift : address.value;

    (void)context;
    return range_fits(at, size, sizeof memory) ? memory + at : NULL;
}

static void seal(uint8_t *bytes, uint32_t size, uint32_t checksum_at)
{
    uint8_t sum = 0;

    bytes[checksum_at] = 0;
    for (uint32_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + bytes[i]);
    bytes[checksum_at] = (uint8_t)-sum;
}

static void put_table(uint8_t *table, uint32_t length)
{
    put_le32(table + 4, length);
    seal(table, length, 9);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t rsdp[20] = "RSD PTR ";
    struct acpi_source source = {map, NULL, rsdp, sizeof rsdp};
    uint8_t *table;

    if (size < 36 || size > TABLE_MAX)
        return 0;
    table_bytes = (uint32_t)size;
    table = memory + MEMORY_BYTES - size;
    memcpy(table, data, size);
    put_table(table, table_bytes);
    memcpy(memory + FADT_ADDRESS, "FACP", 4);
    put_le32(memory + FADT_ADDRESS + 40, TABLE_ADDRESS);
    put_table(memory + FADT_ADDRESS, 116);
    memcpy(memory + RSDT_ADDRESS, "RSDT", 4);
    put_le32(memory + RSDT_ADDRESS + 36, TABLE_ADDRESS);
    put_le32(memory + RSDT_ADDRESS + 40, FADT_ADDRESS);
    put_table(memory + RSDT_ADDRESS, 44);
    put_le32(rsdp + 16, RSDT_ADDRESS);
    seal(rsdp, sizeof rsdp, 8);
    (void)!acpi_parse(&source, &info);
    return 0;
}
