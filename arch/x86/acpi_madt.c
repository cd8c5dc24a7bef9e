/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the MADT: CPUs, IOAPICs and how interrupts are wired. ACPI, "Multiple APIC Description
 * Table (MADT)"; the section of each structure is named at its reader.
 */
#include "arch/x86/acpi_table.h"
#include "kernel/log.h"

#define MADT_ENTRIES_OFFSET 44u
#define MADT_PCAT_COMPAT    1u /* the machine also has two 8259s */
#define LOCAL_APIC_ENABLED  1u

/* The entry's bytes, at least as many as its row in the table below asks for. */
typedef void read_entry(const uint8_t *entry, struct acpi_info *info);

static bool is_known(const struct acpi_info *info, uint32_t apic_id)
{
    for (unsigned i = 0; i < info->cpu_count; i++)
        if (info->cpus[i].apic_id == apic_id)
            return true;
    return false;
}

/* A CPU may be listed both as a local APIC and as a local x2APIC. */
static void add_cpu(struct acpi_info *info, struct acpi_cpu cpu, uint32_t flags)
{
    if (!(flags & LOCAL_APIC_ENABLED) || is_known(info, cpu.apic_id))
        return;
    if (info->cpu_count == ACPI_CPUS_MAX)
        info->cpus_left_out++;
    else
        info->cpus[info->cpu_count++] = cpu;
}

/* "Processor Local APIC Structure"; id 0xff is xAPIC's broadcast and no CPU. */
static void read_local_apic(const uint8_t *entry, struct acpi_info *info)
{
    if (entry[3] != 0xff)
        add_cpu(info, (struct acpi_cpu){entry[3], entry[2]}, get_le32(entry + 4));
}

/* "Processor Local x2APIC Structure" */
static void read_local_x2apic(const uint8_t *entry, struct acpi_info *info)
{
    uint32_t apic_id = get_le32(entry + 4);

    if (apic_id != UINT32_MAX)
        add_cpu(info, (struct acpi_cpu){apic_id, get_le32(entry + 12)}, get_le32(entry + 8));
}

static bool has_room(unsigned count, unsigned max, const char *what)
{
    if (count == max)
        log_warn("acpi", "MADT: more than %u %s: the rest ignored", max, what);
    return count < max;
}

/* "I/O APIC Structure" */
static void read_ioapic(const uint8_t *entry, struct acpi_info *info)
{
    if (has_room(info->ioapic_count, ACPI_IOAPICS_MAX, "IOAPICs"))
        info->ioapics[info->ioapic_count++] =
            (struct acpi_ioapic){entry[2], HPA(get_le32(entry + 4)), get_le32(entry + 8)};
}

/* "Interrupt Source Override Structure": only the ISA bus (0) exists. */
static void read_override(const uint8_t *entry, struct acpi_info *info)
{
    if (entry[2] != 0 || entry[3] > 15) {
        log_warn("acpi", "MADT: override of bus %u interrupt %u ignored", entry[2], entry[3]);
        return;
    }
    if (has_room(info->override_count, ACPI_OVERRIDES_MAX, "overrides"))
        info->overrides[info->override_count++] =
            (struct acpi_override){entry[3], get_le32(entry + 4), get_le16(entry + 8)};
}

/* "Non-Maskable Interrupt (NMI) Source Structure" */
static void read_nmi_source(const uint8_t *entry, struct acpi_info *info)
{
    if (has_room(info->nmi_source_count, ACPI_NMIS_MAX, "NMI sources"))
        info->nmi_sources[info->nmi_source_count++] =
            (struct acpi_nmi_source){get_le32(entry + 4), get_le16(entry + 2)};
}

static void add_local_nmi(struct acpi_info *info, struct acpi_local_nmi nmi)
{
    if (has_room(info->local_nmi_count, ACPI_NMIS_MAX, "local NMIs"))
        info->local_nmis[info->local_nmi_count++] = nmi;
}

/* "Local APIC NMI Structure" */
static void read_local_nmi(const uint8_t *entry, struct acpi_info *info)
{
    uint32_t uid = entry[2] == 0xff ? ACPI_ALL_PROCESSORS : entry[2];

    add_local_nmi(info, (struct acpi_local_nmi){uid, entry[5], get_le16(entry + 3)});
}

/* "Local x2APIC NMI Structure" */
static void read_local_x2apic_nmi(const uint8_t *entry, struct acpi_info *info)
{
    add_local_nmi(info,
                  (struct acpi_local_nmi){get_le32(entry + 4), entry[8], get_le16(entry + 2)});
}

/* "Local APIC Address Override Structure" */
static void read_local_apic_address(const uint8_t *entry, struct acpi_info *info)
{
    info->local_apic = HPA(get_le64(entry + 4));
}

static const struct {
    uint8_t min_bytes;
    read_entry *read;
} readers[] = {
    [0] = {8, read_local_apic},    [1] = {12, read_ioapic},
    [2] = {10, read_override},     [3] = {8, read_nmi_source},
    [4] = {6, read_local_nmi},     [5] = {12, read_local_apic_address},
    [9] = {16, read_local_x2apic}, [10] = {12, read_local_x2apic_nmi},
};

static void read_one(const uint8_t *entry, uint8_t length, struct acpi_info *info)
{
    uint8_t type = entry[0];

    if (type >= ARRAY_SIZE(readers) || !readers[type].read)
        return;
    if (length < readers[type].min_bytes)
        log_warn("acpi", "MADT: entry of type %u has %u bytes: ignored", type, length);
    else
        readers[type].read(entry, info);
}

void acpi_read_madt(const struct acpi_table *table, struct acpi_info *info)
{
    uint32_t at = MADT_ENTRIES_OFFSET;

    info->local_apic = HPA(acpi_table_u32(table, 36));
    info->has_8259 = acpi_table_u32(table, 40) & MADT_PCAT_COMPAT;
    while (range_fits(at, 2, table->length)) {
        uint8_t length = table->bytes[at + 1];

        if (length < 2 || !range_fits(at, length, table->length)) {
            log_warn("acpi", "MADT: damaged at offset %u: the rest ignored", at);
            break;
        }
        read_one(table->bytes + at, length, info);
        at += length;
    }
    if (info->cpus_left_out > 0)
        log_warn("acpi", "MADT: %u CPUs beyond the first %u left out", info->cpus_left_out,
                 ACPI_CPUS_MAX);
    info->has_madt = true;
}
