/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the FADT (ACPI, "Fixed ACPI Description Table (FADT)") and, out of the DSDT, what must be
 * written to power off.
 */
#include "arch/x86/acpi_table.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

#define FADT_FLAG_TMR_VAL_EXT     BIT(8)
#define FADT_FLAG_RESET_REG_SUP   BIT(10)
#define FADT_FLAG_HW_REDUCED_ACPI BIT(20)

/* A register block is described twice: as an I/O port with a length, and, from ACPI 2.0 on, as a
 * GAS. */
struct block {
    uint32_t x_offset, port_offset, length_offset;
};

static struct acpi_gas read_block(const struct acpi_table *table, struct block block)
{
    struct acpi_gas gas = acpi_table_gas(table, block.x_offset);
    uint32_t port = acpi_table_u32(table, block.port_offset);

    if (gas.address != 0)
        return gas;
    return (struct acpi_gas){
        .space_id = ACPI_GAS_SYSTEM_IO,
        .bit_width = (uint8_t)(8 * acpi_table_u8(table, block.length_offset)),
        .address = port <= UINT16_MAX ? port : 0,
    };
}

static void read_blocks(const struct acpi_table *table, struct acpi_fadt *fadt)
{
    fadt->pm1a_event = read_block(table, (struct block){148, 56, 88});
    fadt->pm1b_event = read_block(table, (struct block){160, 60, 88});
    fadt->pm1a_control = read_block(table, (struct block){172, 64, 89});
    fadt->pm1b_control = read_block(table, (struct block){184, 68, 89});
    fadt->pm_timer = read_block(table, (struct block){208, 76, 91});
    fadt->has_pm_timer = fadt->pm_timer.address != 0;
}

void acpi_read_fadt(const struct acpi_table *table, struct acpi_info *info)
{
    struct acpi_fadt *fadt = &info->fadt;
    uint32_t flags = acpi_table_u32(table, 112);
    uint64_t x_dsdt = acpi_table_u64(table, 140);
    uint32_t smi_command = acpi_table_u32(table, 48);

    fadt->dsdt = HPA(x_dsdt ? x_dsdt : acpi_table_u32(table, 40));
    fadt->sci_irq = acpi_table_u16(table, 46);
    fadt->smi_command_port = smi_command <= UINT16_MAX ? (uint16_t)smi_command : 0;
    fadt->acpi_enable = acpi_table_u8(table, 52);
    fadt->acpi_disable = acpi_table_u8(table, 53);
    fadt->century = acpi_table_u8(table, 108);
    fadt->boot_flags = acpi_table_u16(table, 109);
    fadt->is_hardware_reduced = flags & FADT_FLAG_HW_REDUCED_ACPI;
    fadt->is_pm_timer_32_bit = flags & FADT_FLAG_TMR_VAL_EXT;
    fadt->reset = acpi_table_gas(table, 116);
    fadt->reset_value = acpi_table_u8(table, 128);
    fadt->has_reset = (flags & FADT_FLAG_RESET_REG_SUP) && fadt->reset.address != 0;
    if (!fadt->is_hardware_reduced)
        read_blocks(table, fadt);
    info->has_fadt = true;
}

/* --- \_S5 --- */

/* ACPI, "AML Byte Stream Byte Values" */
#define AML_ZERO_OP      0x00
#define AML_ONE_OP       0x01
#define AML_NAME_OP      0x08
#define AML_BYTE_PREFIX  0x0a
#define AML_WORD_PREFIX  0x0b
#define AML_DWORD_PREFIX 0x0c
#define AML_PACKAGE_OP   0x12
#define AML_ROOT_CHAR    '\\'

/* PM1_CNT has three bits for it. */
#define SLP_TYP_MAX 7u

/* Reads forward; what is asked for beyond the end marks it as failed and reads as zero. */
struct aml {
    const uint8_t *at;
    const uint8_t *end;
    bool has_failed;
};

static uint32_t aml_number(struct aml *aml, unsigned width)
{
    uint32_t value = 0;

    if ((size_t)(aml->end - aml->at) < width) {
        aml->has_failed = true;
        return 0;
    }
    memcpy(&value, aml->at, width);
    aml->at += width;
    return value;
}

static uint8_t aml_byte(struct aml *aml)
{
    return (uint8_t)aml_number(aml, 1);
}

/* ACPI, "Package Length Encoding": narrows aml to the package, whose length counts from its own
 * start. */
static void aml_enter_package(struct aml *aml)
{
    const uint8_t *start = aml->at;
    uint8_t lead = aml_byte(aml);
    unsigned more = lead >> 6;
    uint32_t length = more ? lead & 0xf : lead & 0x3f;

    for (unsigned i = 0; i < more; i++)
        length |= (uint32_t)aml_byte(aml) << (4 + 8 * i);
    if (aml->has_failed || length < (size_t)(aml->at - start) ||
        length > (size_t)(aml->end - start))
        aml->has_failed = true;
    else
        aml->end = start + length;
}

static uint32_t aml_integer(struct aml *aml)
{
    switch (aml_byte(aml)) {
    case AML_ZERO_OP:
        return 0;
    case AML_ONE_OP:
        return 1;
    case AML_BYTE_PREFIX:
        return aml_number(aml, 1);
    case AML_WORD_PREFIX:
        return aml_number(aml, 2);
    case AML_DWORD_PREFIX:
        return aml_number(aml, 4);
    default:
        aml->has_failed = true;
        return 0;
    }
}

/*
 * ACPI, "\_Sx (System States)": Package { PM1a_CNT.SLP_TYP, PM1b_CNT.SLP_TYP, … }. Some firmware
 * packs both into one integer, a byte each.
 */
static bool read_s5_package(struct aml aml, struct acpi_info *info)
{
    uint32_t a, b;
    uint8_t elements;

    if (aml_byte(&aml) != AML_PACKAGE_OP)
        return false;
    aml_enter_package(&aml);
    elements = aml_byte(&aml);
    a = aml_integer(&aml);
    b = elements > 1 ? aml_integer(&aml) : a >> 8;
    if (elements == 1)
        a &= 0xff;
    if (aml.has_failed || elements == 0 || a > SLP_TYP_MAX || b > SLP_TYP_MAX)
        return false;
    info->s5_slp_typ_a = (uint8_t)a;
    info->s5_slp_typ_b = (uint8_t)b;
    return true;
}

/* Is the name at offset being defined, as Name(_S5_, …) or Name(\_S5_, …)? */
static bool is_name_definition(const struct acpi_table *table, uint32_t offset)
{
    const uint8_t *name = table->bytes + offset;

    if (memcmp(name, "_S5_", 4) != 0)
        return false;
    return name[-1] == AML_NAME_OP || (name[-1] == AML_ROOT_CHAR && name[-2] == AML_NAME_OP);
}

void acpi_read_dsdt(const struct acpi_table *table, struct acpi_info *info)
{
    for (uint32_t at = ACPI_HEADER_BYTES + 1; range_fits(at, 4, table->length); at++) {
        struct aml aml = {table->bytes + at + 4, table->bytes + table->length, false};

        if (is_name_definition(table, at) && read_s5_package(aml, info)) {
            info->has_s5 = true;
            return;
        }
    }
    log_warn("acpi", "DSDT: no \\_S5 found: the machine cannot be powered off");
}
