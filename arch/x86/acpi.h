/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the host's ACPI tables say about the machine: pure parsing, by the ACPI Specification 6.5
 * (whose section titles are cited), into one struct of plain fields. There is no AML interpreter;
 * the one thing that is needed of the DSDT, how to power off, is found by its bytes. All memory is
 * reached through an injected function, and no table is believed before its length and checksum
 * are.
 */
#ifndef ARCH_X86_ACPI_H
#define ARCH_X86_ACPI_H

#include "kernel/lib/types.h"

#define ACPI_CPUS_MAX        64
#define ACPI_IOAPICS_MAX     16
#define ACPI_OVERRIDES_MAX   24
#define ACPI_NMIS_MAX        16
#define ACPI_ECAMS_MAX       16
#define ACPI_DMAR_UNITS_MAX  32
#define ACPI_DMAR_RMRRS_MAX  32
#define ACPI_DMAR_SCOPES_MAX 256
#define ACPI_DMAR_PATH_MAX   8

/* "Generic Address Structure" */
#define ACPI_GAS_SYSTEM_MEMORY 0
#define ACPI_GAS_SYSTEM_IO     1
#define ACPI_GAS_PCI_CONFIG    2
struct acpi_gas {
    uint8_t space_id;
    uint8_t bit_width, bit_offset, access_size;
    uint64_t address; /* 0: there is no such register */
};

struct acpi_cpu {
    uint32_t apic_id;
    uint32_t processor_uid;
};

struct acpi_ioapic {
    uint8_t id;
    hpa_t address;
    uint32_t gsi_base;
};

/* "MPS INTI Flags": zero in a field means what is usual for the bus, on ISA high and edge. */
#define ACPI_INTI_POLARITY_MASK 0x3u
#define ACPI_INTI_POLARITY_LOW  0x3u
#define ACPI_INTI_TRIGGER_MASK  0xcu
#define ACPI_INTI_TRIGGER_LEVEL 0xcu

struct acpi_override {
    uint8_t irq; /* ISA */
    uint32_t gsi;
    uint16_t flags;
};

/* An IOAPIC input that is an NMI. */
struct acpi_nmi_source {
    uint32_t gsi;
    uint16_t flags;
};

#define ACPI_ALL_PROCESSORS UINT32_MAX
/* A local APIC's LINT pin that is an NMI. */
struct acpi_local_nmi {
    uint32_t processor_uid; /* or ACPI_ALL_PROCESSORS */
    uint8_t lint;
    uint16_t flags;
};

/* "Fixed ACPI Description Table", "IA-PC Boot Architecture Flags" */
#define ACPI_FADT_BOOT_LEGACY_DEVICES    BIT(0)
#define ACPI_FADT_BOOT_8042              BIT(1)
#define ACPI_FADT_BOOT_VGA_NOT_PRESENT   BIT(2)
#define ACPI_FADT_BOOT_MSI_NOT_SUPPORTED BIT(3)
#define ACPI_FADT_BOOT_NO_CMOS_RTC       BIT(5)

struct acpi_fadt {
    hpa_t dsdt;
    uint16_t sci_irq;
    uint16_t boot_flags;       /* ACPI_FADT_BOOT_* */
    uint16_t smi_command_port; /* 0: ACPI mode is always on */
    uint8_t acpi_enable, acpi_disable;
    uint8_t century; /* CMOS index, 0: none */
    bool is_hardware_reduced;
    bool has_pm_timer, is_pm_timer_32_bit; /* else it has 24 bits */
    bool has_reset;
    uint8_t reset_value;
    struct acpi_gas reset, pm_timer;
    struct acpi_gas pm1a_event, pm1b_event, pm1a_control, pm1b_control;
};

/* "MCFG" of the PCI Firmware Specification; base is where bus 0 would be. */
struct acpi_ecam {
    hpa_t base;
    uint16_t segment;
    uint8_t first_bus, last_bus;
};

/* "Device Scope Structure" of the VT-d specification, whose "BIOS Considerations" define the DMAR.
 */
enum acpi_scope_type {
    ACPI_SCOPE_PCI_ENDPOINT = 1,
    ACPI_SCOPE_PCI_SUB_HIERARCHY,
    ACPI_SCOPE_IOAPIC,
    ACPI_SCOPE_HPET,
    ACPI_SCOPE_ACPI_NAMESPACE,
};

struct acpi_dmar_scope {
    uint8_t type;           /* enum acpi_scope_type; later ones may come */
    uint8_t enumeration_id; /* of an IOAPIC, HPET or namespace device */
    uint8_t start_bus;
    uint8_t path_length; /* 1 to ACPI_DMAR_PATH_MAX */
    struct {
        uint8_t device, function;
    } path[ACPI_DMAR_PATH_MAX];
};

#define ACPI_DRHD_INCLUDE_PCI_ALL BIT(0)
struct acpi_dmar_unit {
    hpa_t base;
    uint16_t segment;
    uint8_t flags;
    uint16_t first_scope, scope_count; /* in acpi_dmar.scopes */
};

struct acpi_dmar_rmrr {
    hpa_t base;
    uint64_t size;
    uint16_t segment;
    uint16_t first_scope, scope_count;
};

#define ACPI_DMAR_INTR_REMAP     BIT(0)
#define ACPI_DMAR_X2APIC_OPT_OUT BIT(1)
struct acpi_dmar {
    uint8_t host_address_bits;
    uint8_t flags;
    struct acpi_dmar_unit
        units[ACPI_DMAR_UNITS_MAX]; /* in the table's order: INCLUDE_PCI_ALL is last */
    unsigned unit_count;
    struct acpi_dmar_rmrr rmrrs[ACPI_DMAR_RMRRS_MAX];
    unsigned rmrr_count;
    struct acpi_dmar_scope scopes[ACPI_DMAR_SCOPES_MAX];
    unsigned scope_count;
};

/* What lies behind a has_x is meaningful only if that is true. Some 8 KiB: not for a stack. */
struct acpi_info {
    uint8_t revision; /* of the RSDP: 0 is ACPI 1.0 */
    char oem_id[7];

    bool has_madt;
    bool has_8259;
    hpa_t local_apic;
    struct acpi_cpu cpus[ACPI_CPUS_MAX]; /* enabled ones; no APIC id twice */
    unsigned cpu_count;
    unsigned cpus_left_out; /* enabled, but beyond ACPI_CPUS_MAX */
    struct acpi_ioapic ioapics[ACPI_IOAPICS_MAX];
    unsigned ioapic_count;
    struct acpi_override overrides[ACPI_OVERRIDES_MAX];
    unsigned override_count;
    struct acpi_nmi_source nmi_sources[ACPI_NMIS_MAX];
    unsigned nmi_source_count;
    struct acpi_local_nmi local_nmis[ACPI_NMIS_MAX];
    unsigned local_nmi_count;

    bool has_fadt;
    struct acpi_fadt fadt;
    bool has_s5; /* how to power off: SLP_TYP values for PM1a and PM1b */
    uint8_t s5_slp_typ_a, s5_slp_typ_b;

    bool has_mcfg;
    struct acpi_ecam ecams[ACPI_ECAMS_MAX];
    unsigned ecam_count;

    bool has_hpet;
    hpa_t hpet;

    bool has_dmar; /* false also when it could not be understood as a whole */
    struct acpi_dmar dmar;
};

struct acpi_source {
    /*
     * Makes size bytes of physical memory readable, or returns NULL. What it returns stays valid
     * until acpi_parse returns.
     */
    const void *(*map)(void *context, hpa_t address, uint64_t size);
    void *context;
    const void *rsdp; /* the boot loader's copy, or NULL: search where a PC's BIOS puts it */
    size_t rsdp_bytes;
};

/*
 * A table that is broken is logged and ignored, as if it were not there. -ENOENT: there is no RSDP;
 * -EINVAL: neither XSDT nor RSDT can be read. info is all zeroes then.
 */
MUST_CHECK int acpi_parse(const struct acpi_source *source, struct acpi_info *info);

#endif
