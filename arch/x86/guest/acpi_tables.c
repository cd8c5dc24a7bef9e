/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RSDP, RSDT, XSDT, FADT, FACS, MADT and DSDT of one guest, one after the other in the firmware
 * area. ACPI Specification, "ACPI Software Programming Model"; field names are the specification's.
 *
 * The FADT describes legacy hardware, not the hardware-reduced kind: Linux then uses PIT and PICs,
 * and calibrates its clocks by them.
 */
#include "arch/x86/guest/acpi_tables.h"
#include "arch/x86/guest/aml.h"
#include "arch/x86/guest/layout.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"

struct acpi_rsdp {
    char signature[8];
    uint8_t checksum;
    char oem_id[6];
    uint8_t revision;
    uint32_t rsdt_address, length;
    uint64_t xsdt_address;
    uint8_t extended_checksum, reserved[3];
} PACKED;

#define RSDP_V1_BYTES offsetof(struct acpi_rsdp, length)

struct acpi_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem_id[6], oem_table_id[8];
    uint32_t oem_revision;
    char creator_id[4];
    uint32_t creator_revision;
} PACKED;

/* "Generic Address Structure" */
struct acpi_gas {
    uint8_t address_space_id, register_bit_width, register_bit_offset, access_size;
    uint64_t address;
} PACKED;

enum { GAS_SYSTEM_IO = 1 };
enum { GAS_BYTE = 1, GAS_WORD, GAS_DWORD };

struct acpi_fadt { /* revision 5 */
    struct acpi_header header;
    uint32_t firmware_ctrl, dsdt;
    uint8_t reserved, preferred_pm_profile;
    uint16_t sci_int;
    uint32_t smi_cmd;
    uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
    uint32_t pm1a_evt_blk, pm1b_evt_blk, pm1a_cnt_blk, pm1b_cnt_blk;
    uint32_t pm2_cnt_blk, pm_tmr_blk, gpe0_blk, gpe1_blk;
    uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
    uint8_t gpe0_blk_len, gpe1_blk_len, gpe1_base, cst_cnt;
    uint16_t p_lvl2_lat, p_lvl3_lat, flush_size, flush_stride;
    uint8_t duty_offset, duty_width, day_alrm, mon_alrm, century;
    uint16_t iapc_boot_arch;
    uint8_t reserved2;
    uint32_t flags;
    struct acpi_gas reset_reg;
    uint8_t reset_value;
    uint16_t arm_boot_arch;
    uint8_t fadt_minor_version;
    uint64_t x_firmware_ctrl, x_dsdt;
    struct acpi_gas x_pm1a_evt_blk, x_pm1b_evt_blk, x_pm1a_cnt_blk, x_pm1b_cnt_blk;
    struct acpi_gas x_pm2_cnt_blk, x_pm_tmr_blk, x_gpe0_blk, x_gpe1_blk;
    struct acpi_gas sleep_control_reg, sleep_status_reg;
} PACKED;

_Static_assert(sizeof(struct acpi_rsdp) == 36, "ACPI, Root System Description Pointer");
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI, System Description Table Header");
_Static_assert(sizeof(struct acpi_fadt) == 268, "ACPI 5.1, Fixed ACPI Description Table");

/* "FADT Fixed Feature Flags": the power button is a fixed feature, for its bit is 0. */
#define FADT_WBINVD        BIT(0)
#define FADT_PROC_C1       BIT(2)
#define FADT_SLP_BUTTON    BIT(5) /* there is none among the fixed features */
#define FADT_FIX_RTC       BIT(6) /* the RTC has no wake bit there either */
#define FADT_RESET_REG_SUP BIT(10)

/* "IA-PC Boot Architecture Flags": no 8042, of which a guest has no more than the reset line. */
#define BOOT_ARCH_LEGACY_DEVICES BIT(0)
#define BOOT_ARCH_NO_VGA         BIT(2)

/* "_CST" and C-states beyond C1: latencies above 100 and 1000 mean that there is none. */
#define P_LVL2_LAT_NONE 0xfff
#define P_LVL3_LAT_NONE 0xfff

struct acpi_facs {
    char signature[4];
    uint32_t length, hardware_signature, firmware_waking_vector, global_lock, flags;
    uint64_t x_firmware_waking_vector;
    uint8_t version, reserved[31];
} PACKED;

_Static_assert(sizeof(struct acpi_facs) == 64, "ACPI, Firmware ACPI Control Structure");

struct madt_header {
    struct acpi_header header;
    uint32_t local_apic_address, flags;
} PACKED;

struct madt_local_apic {
    uint8_t type, length, acpi_processor_uid, apic_id;
    uint32_t flags;
} PACKED;

struct madt_ioapic {
    uint8_t type, length, id, reserved;
    uint32_t address, gsi_base;
} PACKED;

struct madt_source_override {
    uint8_t type, length, bus, source;
    uint32_t gsi;
    uint16_t flags;
} PACKED;

struct madt_local_apic_nmi {
    uint8_t type, length, acpi_processor_uid;
    uint16_t flags;
    uint8_t lint;
} PACKED;

enum { MADT_LOCAL_APIC = 0, MADT_IOAPIC = 1, MADT_SOURCE_OVERRIDE = 2, MADT_LOCAL_APIC_NMI = 4 };
#define MADT_PCAT_COMPAT     1u /* there are 8259s too */
#define MADT_ENABLED         1u
#define MADT_ALL_PROCESSORS  0xffu
#define MPS_INTI_BUS_DEFAULT 0x0u /* ISA: edge, active high */
#define MPS_INTI_LEVEL_HIGH  0xdu

/* --- the area --- */

struct table_area {
    struct aml space; /* the whole area, filled from its start */
    uint32_t address; /* guest-physical, of its start */
};

#define TABLE_ALIGN 64u /* what the FACS wants; the others want less */

static uint8_t checksum(const void *bytes, size_t count)
{
    const uint8_t *p = bytes;
    uint8_t sum = 0;

    while (count-- > 0)
        sum = (uint8_t)(sum + *p++);
    return (uint8_t)-sum;
}

/* Room for so many zero bytes, aligned. */
static void *area_take(struct table_area *area, uint32_t bytes)
{
    uint32_t at = ALIGN_UP(area->space.used, TABLE_ALIGN);

    ASSERT(range_fits(at, bytes, area->space.capacity));
    area->space.used = at + bytes;
    return memset(area->space.bytes + at, 0, bytes);
}

static uint32_t area_address(const struct table_area *area, const void *table)
{
    return area->address + (uint32_t)((const uint8_t *)table - area->space.bytes);
}

static void *table_begin(struct table_area *area, const char *signature, uint8_t revision,
                         uint32_t bytes)
{
    struct acpi_header *header = area_take(area, bytes);

    *header = (struct acpi_header){.revision = revision, .oem_revision = 1, .creator_revision = 1};
    memcpy(header->signature, signature, sizeof header->signature);
    memcpy(header->oem_id, "RINGMR", sizeof header->oem_id);
    memcpy(header->oem_table_id, "RINGMSTR", sizeof header->oem_table_id);
    memcpy(header->creator_id, "RGMR", sizeof header->creator_id);
    return header;
}

/* The table is all that was put into the area since its begin. */
static uint32_t table_end(struct table_area *area, void *table)
{
    struct acpi_header *header = table;

    header->length = (uint32_t)(area->space.bytes + area->space.used - (uint8_t *)table);
    header->checksum = checksum(table, header->length);
    return area_address(area, table);
}

/* --- DSDT --- */

#define RESOURCES_BYTES 160

#define PRT_ALL_FUNCTIONS 0xffffu
#define PRT_INTA          0u
#define PRT_NO_LINK       0u

/* What is at its ISA address on every PC and still wants a name. */
static const struct isa_device {
    const char *name, *hid;
    uint16_t port;
    uint8_t ports;
    unsigned irq;
} isa_devices[] = {
    {"COM1", "PNP0501", 0x3f8, 8, 4},
    {"RTC0", "PNP0B00", 0x70, 2, 8},
}, com2 = {"COM2", "PNP0501", 0x2f8, 8, 3};

static void put_isa_device(struct aml *a, const struct isa_device *device)
{
    uint8_t bytes[RESOURCES_BYTES];
    struct aml resources = {bytes, 0, sizeof bytes};
    uint32_t begin = aml_device_begin(a, device->name);

    aml_resource_io(&resources, device->port, device->ports);
    aml_resource_irq(&resources, device->irq);
    aml_resource_end(&resources);
    aml_name(a, "_HID");
    aml_eisa_id(a, device->hid);
    aml_name(a, "_UID"); /* there may be two of a kind */
    aml_integer(a, device->port);
    aml_name(a, "_CRS");
    aml_buffer(a, &resources);
    aml_end(a, begin);
}

/* "LNRO0005" is Linux's name of a virtio-mmio transport; _CCA: its DMA is cache coherent. */
static void put_virtio_device(struct aml *a, unsigned n)
{
    char name[] = {'V', 'R', (char)('0' + n / 10), (char)('0' + n % 10), 0};
    uint8_t bytes[RESOURCES_BYTES];
    struct aml resources = {bytes, 0, sizeof bytes};
    uint32_t begin = aml_device_begin(a, name);

    aml_resource_memory32(&resources, guest_virtio_base(n), GUEST_VIRTIO_BYTES);
    aml_resource_interrupt(&resources, guest_virtio_gsi(n));
    aml_resource_end(&resources);
    aml_name(a, "_HID");
    aml_string(a, "LNRO0005");
    aml_name(a, "_UID");
    aml_integer(a, n);
    aml_name(a, "_CCA");
    aml_integer(a, 1);
    aml_name(a, "_CRS");
    aml_buffer(a, &resources);
    aml_end(a, begin);
}

/* "_PRT (PCI Routing Table)": INTA of all functions of a device has an input of its own, as no link device changes. */
static void put_pci_route(struct aml *a, unsigned device)
{
    uint32_t begin = aml_package_begin(a, 4);

    aml_integer(a, device << 16 | PRT_ALL_FUNCTIONS);
    aml_integer(a, PRT_INTA);
    aml_integer(a, PRT_NO_LINK);
    aml_integer(a, GUEST_PCI_GSI + device - 1);
    aml_end(a, begin);
}

static void put_pci_bridge(struct aml *a, const struct acpi_request *request)
{
    uint8_t bytes[RESOURCES_BYTES];
    struct aml resources = {bytes, 0, sizeof bytes};
    uint32_t begin = aml_device_begin(a, "PCI0"), routes;

    aml_resource_bus_window(&resources, 0, 0);
    aml_resource_io(&resources, GUEST_PCI_CONFIG_PORT, GUEST_PCI_CONFIG_PORTS);
    aml_resource_port_window(&resources, GUEST_PCI_PORTS_BASE, GUEST_PCI_PORTS_BASE + GUEST_PCI_PORTS - 1);
    aml_resource_memory_window(&resources, GUEST_PCI_BASE, GUEST_PCI_BYTES);
    if (request->has_high_pci)
        aml_resource_memory_window(&resources, GUEST_PCI_HIGH_BASE, GUEST_PCI_HIGH_BYTES);
    aml_resource_end(&resources);
    aml_name(a, "_HID");
    aml_eisa_id(a, "PNP0A03");
    aml_name(a, "_UID");
    aml_integer(a, 0);
    aml_name(a, "_BBN");
    aml_integer(a, 0);
    aml_name(a, "_CCA");
    aml_integer(a, 1);
    aml_name(a, "_CRS");
    aml_buffer(a, &resources);
    aml_name(a, "_PRT");
    routes = aml_package_begin(a, (uint8_t)request->pci_pins);
    for (unsigned device = 1; device <= request->pci_pins; device++)
        put_pci_route(a, device);
    aml_end(a, routes);
    aml_end(a, begin);
}

/* Its elements: SLP_TYPa, SLP_TYPb, and two that are reserved. */
static void put_s5(struct aml *a)
{
    uint32_t begin;

    aml_name(a, "\\_S5_");
    begin = aml_package_begin(a, 4);
    aml_integer(a, GUEST_S5_SLP_TYP);
    for (unsigned i = 0; i < 3; i++)
        aml_integer(a, 0);
    aml_end(a, begin);
}

static uint32_t build_dsdt(struct table_area *area, const struct acpi_request *request)
{
    void *table = table_begin(area, "DSDT", 2, sizeof(struct acpi_header));
    struct aml *a = &area->space;
    uint32_t scope;

    put_s5(a);
    scope = aml_scope_begin(a, "\\_SB_");
    for (unsigned i = 0; i < ARRAY_SIZE(isa_devices); i++)
        put_isa_device(a, &isa_devices[i]);
    if (request->has_com2)
        put_isa_device(a, &com2);
    for (unsigned n = 0; n < request->virtio_count; n++)
        put_virtio_device(a, n);
    if (request->has_pci)
        put_pci_bridge(a, request);
    aml_end(a, scope);
    return table_end(area, table);
}

/* --- the fixed tables --- */

static uint32_t build_facs(struct table_area *area)
{
    struct acpi_facs *facs = area_take(area, sizeof *facs);

    memcpy(facs->signature, "FACS", sizeof facs->signature);
    facs->length = sizeof *facs;
    facs->version = 2;
    return area_address(area, facs);
}

static struct acpi_gas io_register(uint16_t port, uint8_t bytes, uint8_t access)
{
    return (struct acpi_gas){GAS_SYSTEM_IO, (uint8_t)(8 * bytes), 0, access, port};
}

/* No SMI command port: the guest is in ACPI mode from the start, and has no other. */
static uint32_t build_fadt(struct table_area *area, uint32_t facs, uint32_t dsdt, bool has_vga)
{
    struct acpi_fadt *f = table_begin(area, "FACP", 5, sizeof *f);

    f->firmware_ctrl = facs;
    f->dsdt = dsdt;
    f->x_dsdt = dsdt;
    f->sci_int = GUEST_SCI_GSI;
    f->pm1a_evt_blk = GUEST_PM1A_EVT_PORT;
    f->pm1_evt_len = GUEST_PM1A_EVT_BYTES;
    f->x_pm1a_evt_blk = io_register(GUEST_PM1A_EVT_PORT, GUEST_PM1A_EVT_BYTES, GAS_WORD);
    f->pm1a_cnt_blk = GUEST_PM1A_CNT_PORT;
    f->pm1_cnt_len = GUEST_PM1A_CNT_BYTES;
    f->x_pm1a_cnt_blk = io_register(GUEST_PM1A_CNT_PORT, GUEST_PM1A_CNT_BYTES, GAS_WORD);
    f->pm_tmr_blk = GUEST_PM_TMR_PORT;
    f->pm_tmr_len = GUEST_PM_TMR_BYTES;
    f->x_pm_tmr_blk = io_register(GUEST_PM_TMR_PORT, GUEST_PM_TMR_BYTES, GAS_DWORD);
    f->p_lvl2_lat = P_LVL2_LAT_NONE;
    f->p_lvl3_lat = P_LVL3_LAT_NONE;
    f->century = GUEST_RTC_CENTURY;
    f->iapc_boot_arch = BOOT_ARCH_LEGACY_DEVICES | (has_vga ? 0 : BOOT_ARCH_NO_VGA);
    f->flags = FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_FIX_RTC | FADT_RESET_REG_SUP;
    f->reset_reg = io_register(GUEST_RESET_PORT, 1, GAS_BYTE);
    f->reset_value = GUEST_RESET_VALUE;
    return table_end(area, f);
}

/* The PIT is not at the input of its number; the SCI is level-triggered, unlike ISA's others. */
static const struct madt_source_override source_overrides[] = {
    {MADT_SOURCE_OVERRIDE, sizeof source_overrides[0], 0, 0, GUEST_PIT_GSI, MPS_INTI_BUS_DEFAULT},
    {MADT_SOURCE_OVERRIDE, sizeof source_overrides[0], 0, GUEST_SCI_GSI, GUEST_SCI_GSI, MPS_INTI_LEVEL_HIGH},
};

static const struct madt_ioapic ioapic = {
    .type = MADT_IOAPIC, .length = sizeof ioapic, .id = GUEST_IOAPIC_ID, .address = GUEST_IOAPIC_BASE};

static const struct madt_local_apic_nmi local_apic_nmi = {
    .type = MADT_LOCAL_APIC_NMI,
    .length = sizeof local_apic_nmi,
    .acpi_processor_uid = MADT_ALL_PROCESSORS,
    .flags = MPS_INTI_BUS_DEFAULT,
    .lint = 1,
};

static uint32_t build_madt(struct table_area *area, unsigned vcpu_count)
{
    struct madt_header *madt = table_begin(area, "APIC", 4, sizeof *madt);

    madt->local_apic_address = GUEST_LAPIC_BASE;
    madt->flags = MADT_PCAT_COMPAT;
    for (unsigned i = 0; i < vcpu_count; i++) {
        struct madt_local_apic local = {MADT_LOCAL_APIC, sizeof local, (uint8_t)i, (uint8_t)i,
                                        MADT_ENABLED};

        aml_put(&area->space, &local, sizeof local);
    }
    aml_put(&area->space, &ioapic, sizeof ioapic);
    aml_put(&area->space, source_overrides, sizeof source_overrides);
    aml_put(&area->space, &local_apic_nmi, sizeof local_apic_nmi);
    return table_end(area, madt);
}

/* --- the roots --- */

static uint32_t build_rsdt(struct table_area *area, const uint32_t *tables, unsigned count)
{
    void *table = table_begin(area, "RSDT", 1, sizeof(struct acpi_header));

    for (unsigned i = 0; i < count; i++)
        aml_put(&area->space, &tables[i], sizeof tables[i]);
    return table_end(area, table);
}

static uint32_t build_xsdt(struct table_area *area, const uint32_t *tables, unsigned count)
{
    void *table = table_begin(area, "XSDT", 1, sizeof(struct acpi_header));

    for (unsigned i = 0; i < count; i++)
        aml_put(&area->space, &(uint64_t){tables[i]}, sizeof(uint64_t));
    return table_end(area, table);
}

static void fill_rsdp(struct acpi_rsdp *rsdp, uint32_t rsdt, uint32_t xsdt)
{
    *rsdp = (struct acpi_rsdp){
        .revision = 2, .length = sizeof *rsdp, .rsdt_address = rsdt, .xsdt_address = xsdt};
    memcpy(rsdp->signature, "RSD PTR ", sizeof rsdp->signature);
    memcpy(rsdp->oem_id, "RINGMR", sizeof rsdp->oem_id);
    rsdp->checksum = checksum(rsdp, RSDP_V1_BYTES);
    rsdp->extended_checksum = checksum(rsdp, sizeof *rsdp);
}

int acpi_tables_build(const struct acpi_request *request, const struct guest_mem *mem, gpa_t *rsdp)
{
    void *host = guest_mem_at(mem, GPA(GUEST_BIOS_BASE), GUEST_BIOS_BYTES);
    struct table_area area = {{host, 0, GUEST_BIOS_BYTES}, GUEST_BIOS_BASE};
    uint32_t facs, dsdt, rsdt, xsdt, tables[2];
    struct acpi_rsdp *root;

    if (request->vcpu_count < 1 || request->vcpu_count > GUEST_VCPUS_MAX ||
        request->virtio_count > GUEST_VIRTIO_MAX || request->pci_pins > GUEST_PCI_PINS)
        return -EINVAL;
    if (!host)
        return -EFAULT;
    root = area_take(&area, sizeof *root);
    facs = build_facs(&area);
    dsdt = build_dsdt(&area, request);
    tables[0] = build_fadt(&area, facs, dsdt, request->has_vga);
    tables[1] = build_madt(&area, request->vcpu_count);
    rsdt = build_rsdt(&area, tables, ARRAY_SIZE(tables));
    xsdt = build_xsdt(&area, tables, ARRAY_SIZE(tables));
    fill_rsdp(root, rsdt, xsdt);
    *rsdp = GPA(area_address(&area, root));
    return 0;
}
