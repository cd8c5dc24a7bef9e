/* SPDX-License-Identifier: BSD-2-Clause */
/* The CPU states that boot protocols ask for; see boot_start.h. */
#include "arch/x86/guest/boot_start.h"

/* SDM 3A, "Control Registers" and "Extended Feature Enable Register". */
#define CR0_PE   BIT(0)
#define CR0_ET   BIT(4)
#define CR0_PG   BIT(31)
#define CR4_PAE  BIT(5)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define RFLAGS_1 BIT(1) /* the bit that is always set */

#define CODE_ATTRIBUTES     (SEG_TYPE_CODE_RX_A | SEG_ATTR_S | SEG_ATTR_P)
#define DATA_ATTRIBUTES     (SEG_TYPE_DATA_RW_A | SEG_ATTR_S | SEG_ATTR_P)
#define TSS_BYTES           0x68u
#define REAL_MODE_IVT_BYTES 0x400u

static void set_data_segments(struct vcpu_start *start, struct segment data)
{
    static const enum segment_register registers[] = {SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS};

    for (unsigned i = 0; i < ARRAY_SIZE(registers); i++)
        start->segment[registers[i]] = data;
}

/* VM entry wants a busy TSS in every mode; LDTR stays not present. */
static void set_common(struct vcpu_start *start, uint64_t entry)
{
    start->rip = entry;
    start->rflags = RFLAGS_1;
    start->cr0 = CR0_ET;
    start->segment[SEG_TR] =
        (struct segment){.attributes = SEG_TYPE_TSS_BUSY | SEG_ATTR_P, .limit = TSS_BYTES - 1};
}

/* Below 64 KiB the segment is 0, as for a boot sector; above, the offset is as small as can be. */
void boot_start_real(struct vcpu_start *start, uint32_t entry)
{
    uint32_t cs = entry < 0x10000 ? 0 : entry >> 4;

    set_common(start, entry - (cs << 4));
    set_data_segments(start, (struct segment){0, DATA_ATTRIBUTES, 0xffff, 0});
    start->segment[SEG_CS] =
        (struct segment){(uint16_t)cs, CODE_ATTRIBUTES, 0xffff, (uint64_t)cs << 4};
    start->idtr.limit = REAL_MODE_IVT_BYTES - 1;
}

void boot_start_protected(struct vcpu_start *start, uint32_t entry)
{
    const uint16_t flat = SEG_ATTR_DB | SEG_ATTR_G;

    set_common(start, entry);
    start->cr0 |= CR0_PE;
    set_data_segments(start, (struct segment){BOOT_DS, DATA_ATTRIBUTES | flat, UINT32_MAX, 0});
    start->segment[SEG_CS] = (struct segment){BOOT_CS, CODE_ATTRIBUTES | flat, UINT32_MAX, 0};
}

void boot_start_long(struct vcpu_start *start, uint64_t entry, uint64_t cr3)
{
    boot_start_protected(start, 0);
    start->rip = entry;
    start->cr0 |= CR0_PG;
    start->cr3 = cr3;
    start->cr4 = CR4_PAE;
    start->efer = EFER_LME | EFER_LMA;
    start->segment[SEG_CS].attributes = CODE_ATTRIBUTES | SEG_ATTR_L | SEG_ATTR_G;
}
