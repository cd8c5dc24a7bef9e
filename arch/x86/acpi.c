/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the host's ACPI tables and has each read by its reader; see acpi.h. Lengths and checksums
 * are checked here, so that a reader may take a table's fixed part unchecked.
 */
#include "arch/x86/acpi.h"
#include "arch/x86/acpi_table.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

/* Far above the largest known (DSDTs of 1 MiB): a length beyond it is damage. */
#define TABLE_BYTES_MAX  MIB(16)
#define ROOT_ENTRIES_MAX 512u

static bool is_checksum_right(const uint8_t *bytes, size_t size)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return sum == 0;
}

/* --- "Root System Description Pointer (RSDP)" --- */

#define RSDP_BYTES_V1  20u
#define RSDP_BYTES_V2  36u
#define RSDP_ALIGNMENT 16u

struct rsdp {
    char oem_id[7];
    uint8_t revision;
    hpa_t rsdt, xsdt; /* 0: none */
};

static bool read_rsdp(const uint8_t *bytes, size_t available, struct rsdp *rsdp)
{
    if (available < RSDP_BYTES_V1 || memcmp(bytes, "RSD PTR ", 8) != 0 ||
        !is_checksum_right(bytes, RSDP_BYTES_V1))
        return false;
    *rsdp = (struct rsdp){.revision = bytes[15], .rsdt = HPA(get_le32(bytes + 16))};
    memcpy(rsdp->oem_id, bytes + 9, 6);
    if (rsdp->revision >= 2 && available >= RSDP_BYTES_V2 &&
        is_checksum_right(bytes, RSDP_BYTES_V2))
        rsdp->xsdt = HPA(get_le64(bytes + 24));
    return true;
}

static bool scan_window(const struct acpi_source *source, hpa_t start, uint64_t size,
                        struct rsdp *rsdp)
{
    const uint8_t *bytes = source->map(source->context, start, size);

    if (!bytes)
        return false;
    for (uint64_t at = 0; at < size; at += RSDP_ALIGNMENT)
        if (read_rsdp(bytes + at, size - at, rsdp))
            return true;
    return false;
}

/* "Finding the RSDP on IA-PC Systems": the first KiB of the EBDA, then the BIOS's read-only memory.
 */
static bool scan_for_rsdp(const struct acpi_source *source, struct rsdp *rsdp)
{
    const void *ebda_segment = source->map(source->context, HPA(0x40e), 2);
    uint64_t ebda = ebda_segment ? (uint64_t)get_le16(ebda_segment) << 4 : 0;

    if (ebda != 0 && scan_window(source, HPA(ebda), KIB(1), rsdp))
        return true;
    return scan_window(source, HPA(0xe0000), KIB(128), rsdp);
}

static bool find_rsdp(const struct acpi_source *source, struct rsdp *rsdp)
{
    if (source->rsdp) {
        if (read_rsdp(source->rsdp, source->rsdp_bytes, rsdp))
            return true;
        log_warn("acpi", "the boot loader's RSDP is damaged: searching for another");
    }
    return scan_for_rsdp(source, rsdp);
}

/* --- tables --- */

static const char *map_fault(const struct acpi_source *source, hpa_t address,
                             struct acpi_table *table)
{
    const uint8_t *header = source->map(source->context, address, ACPI_HEADER_BYTES);

    if (!header)
        return "cannot be mapped";
    table->length = get_le32(header + 4);
    if (table->length < ACPI_HEADER_BYTES || table->length > TABLE_BYTES_MAX)
        return "has an impossible length";
    table->bytes = source->map(source->context, address, table->length);
    if (!table->bytes)
        return "cannot be mapped";
    return is_checksum_right(table->bytes, table->length) ? NULL : "has a bad checksum";
}

static bool is_signature(const struct acpi_table *table, const char *signature)
{
    return memcmp(table->bytes, signature, 4) == 0;
}

/* Maps a table and checks it, or logs why it is ignored. */
static bool map_table(const struct acpi_source *source, hpa_t address, struct acpi_table *table)
{
    const char *fault = map_fault(source, address, table);

    if (fault)
        log_warn("acpi", "table at 0x%llx %s: ignored", (unsigned long long)address.value, fault);
    return !fault;
}

static bool map_signed_table(const struct acpi_source *source, hpa_t address, const char *signature,
                             struct acpi_table *table)
{
    if (address.value == 0 || !map_table(source, address, table))
        return false;
    if (is_signature(table, signature))
        return true;
    log_warn("acpi", "table at 0x%llx is no %s: ignored", (unsigned long long)address.value,
             signature);
    return false;
}

/* --- tables too small for files of their own --- */

/* PCI Firmware Specification, "MCFG Table Description": header, u64 reserved, entries of 16 bytes.
 */
static void read_mcfg(const struct acpi_table *table, struct acpi_info *info)
{
    for (uint32_t at = 44; range_fits(at, 16, table->length); at += 16) {
        const uint8_t *entry = table->bytes + at;
        struct acpi_ecam ecam = {HPA(get_le64(entry)), get_le16(entry + 8), entry[10], entry[11]};

        if (ecam.base.value == 0 || !IS_ALIGNED(ecam.base.value, MIB(1)) ||
            ecam.first_bus > ecam.last_bus) {
            log_warn("acpi", "MCFG: ECAM 0x%llx, buses %u to %u: ignored",
                     (unsigned long long)ecam.base.value, ecam.first_bus, ecam.last_bus);
            continue;
        }
        if (info->ecam_count == ACPI_ECAMS_MAX) {
            log_warn("acpi", "MCFG: more than %u segments: the rest ignored", ACPI_ECAMS_MAX);
            break;
        }
        info->ecams[info->ecam_count++] = ecam;
    }
    info->has_mcfg = info->ecam_count > 0;
}

/* IA-PC HPET Specification, "The HPET Description Table": the base address is a GAS at offset 40.
 */
static void read_hpet(const struct acpi_table *table, struct acpi_info *info)
{
    struct acpi_gas base = acpi_table_gas(table, 40);

    if (base.space_id != ACPI_GAS_SYSTEM_MEMORY || base.address == 0) {
        log_warn("acpi", "HPET: no memory address: ignored");
        return;
    }
    info->hpet = HPA(base.address);
    info->has_hpet = true;
}

static const struct reader {
    const char *signature;
    uint32_t min_bytes; /* the table's fixed part */
    void (*read)(const struct acpi_table *table, struct acpi_info *info);
} readers[] = {
    {"APIC", 44, acpi_read_madt}, {"FACP", 116, acpi_read_fadt}, {"MCFG", 44, read_mcfg},
    {"HPET", 52, read_hpet},      {"DMAR", 48, acpi_read_dmar},
};

/* --- "Root System Description Table", "Extended System Description Table" --- */

struct root {
    struct acpi_table table;
    uint32_t entry_bytes; /* 4 in an RSDT, 8 in an XSDT */
};

static bool find_root(const struct acpi_source *source, const struct rsdp *rsdp, struct root *root)
{
    root->entry_bytes = 8;
    if (map_signed_table(source, rsdp->xsdt, "XSDT", &root->table))
        return true;
    root->entry_bytes = 4;
    return map_signed_table(source, rsdp->rsdt, "RSDT", &root->table);
}

/* seen has a bit for each reader: of two tables of one kind the first counts. */
static void read_table(const struct acpi_table *table, uint32_t *seen, struct acpi_info *info)
{
    for (unsigned i = 0; i < ARRAY_SIZE(readers); i++) {
        if (!is_signature(table, readers[i].signature))
            continue;
        if (table->length < readers[i].min_bytes || *seen & 1u << i) {
            log_warn("acpi", "%s: too short, or a second one: ignored", readers[i].signature);
            return;
        }
        *seen |= 1u << i;
        readers[i].read(table, info);
    }
}

static void read_all_tables(const struct acpi_source *source, const struct root *root,
                            struct acpi_info *info)
{
    uint32_t entries = (root->table.length - ACPI_HEADER_BYTES) / root->entry_bytes;
    uint32_t seen = 0;

    if (entries > ROOT_ENTRIES_MAX)
        log_warn("acpi", "only the first %u of %u tables are read", ROOT_ENTRIES_MAX, entries);
    for (uint32_t i = 0; i < MIN(entries, ROOT_ENTRIES_MAX); i++) {
        const uint8_t *entry = root->table.bytes + ACPI_HEADER_BYTES + i * root->entry_bytes;
        hpa_t address = HPA(root->entry_bytes == 8 ? get_le64(entry) : get_le32(entry));
        struct acpi_table table;

        if (address.value != 0 && map_table(source, address, &table))
            read_table(&table, &seen, info);
    }
}

int acpi_parse(const struct acpi_source *source, struct acpi_info *info)
{
    struct rsdp rsdp;
    struct root root;
    struct acpi_table dsdt;

    memset(info, 0, sizeof *info);
    if (!find_rsdp(source, &rsdp))
        return -ENOENT;
    if (!find_root(source, &rsdp, &root))
        return -EINVAL;
    info->revision = rsdp.revision;
    memcpy(info->oem_id, rsdp.oem_id, sizeof info->oem_id);
    read_all_tables(source, &root, info);
    if (info->has_fadt && map_signed_table(source, info->fadt.dsdt, "DSDT", &dsdt))
        acpi_read_dsdt(&dsdt, info);
    return 0;
}
