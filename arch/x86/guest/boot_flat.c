/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flat images: bytes at an address, entered in real mode (a boot sector, a program of the BIOS's
 * age) or in 32-bit protected mode. There is no BIOS behind them: interrupt vectors are all zero.
 */
#include "arch/x86/guest/boot_job.h"
#include "arch/x86/guest/boot_start.h"
#include "arch/x86/guest/layout.h"

#define BOOT_SECTOR_BASE 0x7c00u
#define STACK_BYTES      0x1000u
#define BIOS_HARD_DISK   0x80u /* the drive number that a BIOS leaves in DL */

/* Below a boot sector's place, where programs expect it, or else anywhere in conventional memory. */
static bool place_stack(struct boot_job *job, uint32_t *base)
{
    *base = BOOT_SECTOR_BASE - STACK_BYTES;
    if (boot_claim(job, *base, STACK_BYTES, NULL))
        return true;
    return boot_claim_low(job, STACK_BYTES, 16, base) != NULL;
}

static void start_real(struct vcpu_start *start, uint32_t entry, uint32_t stack)
{
    struct segment *ss = &start->segment[SEG_SS];

    boot_start_real(start, entry);
    start->gpr[GPR_RDX] = BIOS_HARD_DISK;
    start->gpr[GPR_RSP] = stack + STACK_BYTES;
    if (stack + STACK_BYTES <= UINT16_MAX)
        return;
    ss->selector = (uint16_t)(stack >> 4);
    ss->base = stack;
    start->gpr[GPR_RSP] = STACK_BYTES;
}

bool boot_flat_load(struct boot_job *job)
{
    const struct boot_request *r = job->request;
    uint64_t load = r->load_address.value, entry = r->entry.value;
    bool is_real = r->entry_mode == BOOT_ENTRY_REAL;
    uint32_t stack;

    if (entry < load || entry - load >= r->image.size)
        return boot_refuse(job, "flat image's entry is outside of the image");
    if (entry >= (is_real ? GUEST_EXTENDED_BASE : UINT32_MAX))
        return boot_refuse(job, "flat image's entry is out of its entry mode's reach");
    if (!boot_claim(job, load, r->image.size, "flat image does not lie in guest RAM") ||
        !boot_write(job, load, r->image.data, r->image.size) || !place_stack(job, &stack))
        return false;
    if (is_real) {
        start_real(r->start, (uint32_t)entry, stack);
    } else {
        boot_start_protected(r->start, (uint32_t)entry);
        r->start->gpr[GPR_RSP] = stack + STACK_BYTES;
    }
    return true;
}
