/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the DMAR, which tells where IOMMUs are and which devices lie behind each: VT-d
 * specification, "BIOS Considerations". A device that was overlooked would do DMA unconfined;
 * therefore a table that is not understood as a whole is not used at all.
 */
#include "arch/x86/acpi_table.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

#define DMAR_STRUCTURES_OFFSET 48u

/* One remapping structure, as long as its row in the table below asks for. */
struct structure {
    const uint8_t *bytes;
    uint16_t length;
};

/* "Device Scope Structure": 6 bytes, then a path of (device, function) pairs. */
static bool read_scope(const uint8_t *bytes, uint8_t length, struct acpi_dmar_scope *scope)
{
    unsigned hops = (length - 6u) / 2;

    if (length < 8 || length % 2 != 0 || hops > ACPI_DMAR_PATH_MAX)
        return false;
    *scope = (struct acpi_dmar_scope){.type = bytes[0],
                                      .enumeration_id = bytes[4],
                                      .start_bus = bytes[5],
                                      .path_length = (uint8_t)hops};
    for (unsigned i = 0; i < hops; i++) {
        scope->path[i].device = bytes[6 + 2 * i];
        scope->path[i].function = bytes[7 + 2 * i];
        if (scope->path[i].device > 31 || scope->path[i].function > 7)
            return false;
    }
    return true;
}

/* Appends the scopes that fill the structure's rest. */
static bool read_scopes(const struct structure *s, uint32_t at, struct acpi_dmar *dmar)
{
    while (at < s->length) {
        uint8_t length = range_fits(at, 2, s->length) ? s->bytes[at + 1] : 0;

        if (!range_fits(at, length, s->length) || dmar->scope_count == ACPI_DMAR_SCOPES_MAX ||
            !read_scope(s->bytes + at, length, &dmar->scopes[dmar->scope_count]))
            return false;
        dmar->scope_count++;
        at += length;
    }
    return true;
}

/* "DMA Remapping Hardware Unit Definition Structure" */
static bool read_drhd(const struct structure *s, struct acpi_dmar *dmar)
{
    struct acpi_dmar_unit unit = {
        .base = HPA(get_le64(s->bytes + 8)),
        .segment = get_le16(s->bytes + 6),
        .flags = s->bytes[4],
        .first_scope = (uint16_t)dmar->scope_count,
    };

    if (unit.base.value == 0 || !IS_ALIGNED(unit.base.value, PAGE_SIZE) ||
        dmar->unit_count == ACPI_DMAR_UNITS_MAX || !read_scopes(s, 16, dmar))
        return false;
    unit.scope_count = (uint16_t)(dmar->scope_count - unit.first_scope);
    dmar->units[dmar->unit_count++] = unit;
    return true;
}

/* "Reserved Memory Region Reporting Structure" */
static bool read_rmrr(const struct structure *s, struct acpi_dmar *dmar)
{
    uint64_t base = get_le64(s->bytes + 8), limit = get_le64(s->bytes + 16);
    struct acpi_dmar_rmrr rmrr = {
        .base = HPA(base),
        .size = limit - base + 1,
        .segment = get_le16(s->bytes + 6),
        .first_scope = (uint16_t)dmar->scope_count,
    };

    if (limit < base || limit == UINT64_MAX || !IS_ALIGNED(base | (limit + 1), PAGE_SIZE) ||
        dmar->rmrr_count == ACPI_DMAR_RMRRS_MAX || !read_scopes(s, 24, dmar))
        return false;
    rmrr.scope_count = (uint16_t)(dmar->scope_count - rmrr.first_scope);
    dmar->rmrrs[dmar->rmrr_count++] = rmrr;
    return true;
}

/*
 * Of these nothing is used, but one that is broken casts doubt on all: which root ports do address
 * translation services (ATSR; never switched on), which node a unit is close to (RHSA), what a
 * device is called in ACPI's namespace (ANDD; the scopes that refer to it have its source-id).
 * Later ones do not change who is confined by what.
 */
static bool read_nothing(const struct structure *s, struct acpi_dmar *dmar)
{
    (void)s;
    (void)dmar;
    return true;
}

static const struct {
    uint16_t min_bytes;
    bool (*read)(const struct structure *s, struct acpi_dmar *dmar);
} readers[] = {
    [0] = {16, read_drhd},    [1] = {24, read_rmrr}, [2] = {8, read_nothing}, /* ATSR */
    [3] = {20, read_nothing},                                                 /* RHSA */
    [4] = {8, read_nothing},                                                  /* ANDD */
};

static bool read_structure(const struct structure *s, struct acpi_dmar *dmar)
{
    uint16_t type = get_le16(s->bytes);

    if (type >= ARRAY_SIZE(readers))
        return true;
    return s->length >= readers[type].min_bytes && readers[type].read(s, dmar);
}

void acpi_read_dmar(const struct acpi_table *table, struct acpi_info *info)
{
    uint32_t at = DMAR_STRUCTURES_OFFSET;

    info->dmar.host_address_bits = (uint8_t)(acpi_table_u8(table, 36) + 1);
    info->dmar.flags = acpi_table_u8(table, 37);
    while (at < table->length) {
        struct structure s = {table->bytes + at, acpi_table_u16(table, at + 2)};

        if (s.length < 4 || !range_fits(at, s.length, table->length) ||
            !read_structure(&s, &info->dmar)) {
            log_error("acpi", "DMAR: not understood at offset %u: ignored as a whole", at);
            memset(&info->dmar, 0, sizeof info->dmar);
            return;
        }
        at += s.length;
    }
    info->has_dmar = info->dmar.unit_count > 0;
}
