/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/gva_rig.h"

uint8_t ram_low[LOW_BYTES] __attribute__((aligned(4096)));
uint8_t ram_high[HIGH_BYTES] __attribute__((aligned(4096)));
struct guest_mem mem;
struct gva_context ctx;

uint64_t *entry(uint64_t table, uint64_t index)
{
    return guest_mem_at(&mem, GPA(table + 8 * index), 8);
}

uint32_t *entry32(uint64_t table, uint64_t index)
{
    return guest_mem_at(&mem, GPA(table + 4 * index), 4);
}

uint64_t *const *path(void)
{
    static uint64_t *entries[4];

    entries[0] = entry(PML4, I4);
    entries[1] = entry(PDPT, I3);
    entries[2] = entry(PD, I2);
    entries[3] = entry(PT, I1);
    return entries;
}

void clear_memory(void)
{
    memset(ram_low, 0, sizeof ram_low);
    memset(ram_high, 0, sizeof ram_high);
}

void enter_4_level(void)
{
    ctx.cr0 = CR0_PE | CR0_PG | CR0_WP;
    ctx.cr3 = PML4 | 0x018; /* PCD, PWT, or a PCID: no address */
    ctx.cr4 = CR4_PAE | CR4_PSE;
    ctx.efer = EFER_LME | EFER_LMA | EFER_NXE;
    *entry(PML4, I4) = PDPT | ALL;
    *entry(PDPT, I3) = PD | ALL;
    *entry(PD, I2) = PT | ALL;
    *entry(PT, I1) = PAGE | ALL;
}

void enter_32bit(void)
{
    clear_memory();
    ctx.efer = 0;
    ctx.cr4 = CR4_PSE;
    ctx.cr3 = PD;
}

int gva_rig_set_up(void **state)
{
    (void)state;
    mem = (struct guest_mem){0};
    clear_memory();
    assert_int_equal(guest_mem_add(&mem, GPA(0), LOW_BYTES, ram_low), 0);
    assert_int_equal(guest_mem_add(&mem, GPA(HIGH_BASE), HIGH_BYTES, ram_high), 0);
    ctx = (struct gva_context){.physical_bits = 40, .has_1g_pages = true, .mem = &mem};
    enter_4_level();
    return 0;
}

void expect_gpa(uint64_t gva, enum access access, uint64_t gpa)
{
    uint32_t code = 0xdead;
    gpa_t out;

    assert_int_equal(gva_translate(&ctx, GVA(gva), access, &out, &code), 0);
    assert_int_equal(out.value, gpa);
}

void expect_fault(uint64_t gva, enum access access, uint32_t error_code)
{
    uint32_t code = 0xdead;
    gpa_t out;

    assert_int_equal(gva_translate(&ctx, GVA(gva), access, &out, &code), -EFAULT);
    assert_int_equal(code, error_code);
}
