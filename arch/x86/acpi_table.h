/* SPDX-License-Identifier: BSD-2-Clause */
/* Between acpi.c, which finds tables, and the files that each read some of them. */
#ifndef ARCH_X86_ACPI_TABLE_H
#define ARCH_X86_ACPI_TABLE_H

#include "arch/x86/acpi.h"
#include "kernel/lib/bytes.h"

/* "System Description Table Header" */
#define ACPI_HEADER_BYTES 36u

/* A whole table whose checksum is right; length is at least ACPI_HEADER_BYTES. */
struct acpi_table {
    const uint8_t *bytes;
    uint32_t length;
};

/* Fields that an older, shorter table does not have read as zero. */
static inline uint8_t acpi_table_u8(const struct acpi_table *t, uint32_t offset)
{
    return range_fits(offset, 1, t->length) ? t->bytes[offset] : 0;
}

static inline uint16_t acpi_table_u16(const struct acpi_table *t, uint32_t offset)
{
    return range_fits(offset, 2, t->length) ? get_le16(t->bytes + offset) : 0;
}

static inline uint32_t acpi_table_u32(const struct acpi_table *t, uint32_t offset)
{
    return range_fits(offset, 4, t->length) ? get_le32(t->bytes + offset) : 0;
}

static inline uint64_t acpi_table_u64(const struct acpi_table *t, uint32_t offset)
{
    return range_fits(offset, 8, t->length) ? get_le64(t->bytes + offset) : 0;
}

/* All zeroes unless the table holds all of it. */
static inline struct acpi_gas acpi_table_gas(const struct acpi_table *t, uint32_t offset)
{
    if (!range_fits(offset, 12, t->length))
        return (struct acpi_gas){0};
    return (struct acpi_gas){
        .space_id = t->bytes[offset],
        .bit_width = t->bytes[offset + 1],
        .bit_offset = t->bytes[offset + 2],
        .access_size = t->bytes[offset + 3],
        .address = get_le64(t->bytes + offset + 4),
    };
}

/* Each sets its has_x in info, or logs why not. */
void acpi_read_madt(const struct acpi_table *table, struct acpi_info *info);
void acpi_read_fadt(const struct acpi_table *table, struct acpi_info *info);
void acpi_read_dsdt(const struct acpi_table *table, struct acpi_info *info);
void acpi_read_dmar(const struct acpi_table *table, struct acpi_info *info);

#endif
