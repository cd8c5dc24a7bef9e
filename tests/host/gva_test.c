/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: for any tables and any mode the walk ends at the address where the guest's own MMU would have ended it, with the
 * accessed and dirty bits that it would have left, and whatever a guest writes into its tables, nothing else is read or written.
 */
#include "tests/host/fake/gva_rig.h"

/* --- addresses --- */

static void without_paging_linear_is_physical(void **state)
{
    (void)state;
    ctx.cr0 = CR0_PE;
    ctx.efer = 0;
    expect_gpa(0x12345678, ACCESS_WRITE, 0x12345678);
    expect_gpa(0x100000000 + 5, ACCESS_FETCH, 5);
}

static void four_levels(void **state)
{
    (void)state;
    expect_gpa(ADDRESS, ACCESS_READ, PAGE | 0xabc);
    *entry(PT, I1) = (BIT(40) - 4096) | ALL; /* pages need not be RAM: devices are not */
    expect_gpa(ADDRESS, ACCESS_WRITE, BIT(40) - 4096 + 0xabc);
    *entry(PD, I2) = 0x3ba00000 | PS | ALL;
    expect_gpa(ADDRESS, ACCESS_READ, 0x3ba00000 | (ADDRESS & 0x1fffff));
    *entry(PD, I2) |= BIT(12); /* PAT, no address */
    expect_gpa(ADDRESS, ACCESS_READ, 0x3ba00000 | (ADDRESS & 0x1fffff));
    *entry(PDPT, I3) = 0xc0000000 | PS | ALL;
    expect_gpa(ADDRESS, ACCESS_READ, 0xc0000000 | (ADDRESS & 0x3fffffff));
}

static void bits_that_are_ignored_are_ignored(void **state)
{
    uint64_t ignored = UINT64_C(0x7ff0000000000e00) | 0x118; /* 62:52, 11:9, G, PCD, PWT */

    (void)state;
    *entry(PML4, I4) |= ignored;
    *entry(PDPT, I3) |= ignored;
    *entry(PD, I2) |= ignored;
    *entry(PT, I1) |= ignored | PS;
    expect_gpa(ADDRESS, ACCESS_READ, PAGE | 0xabc);
}

static void five_levels(void **state)
{
    uint64_t gva = UINT64_C(0x00a2000000000000) | (ADDRESS & (BIT(48) - 1));

    (void)state;
    ctx.cpl = 3;
    ctx.cr4 |= CR4_LA57;
    ctx.cr3 = PML5;
    *entry(PML5, (gva >> 48) & 511) = PML4 | ALL;
    expect_gpa(gva, ACCESS_READ, PAGE | 0xabc);
    *entry(PML5, (gva >> 48) & 511) = PML4 | ALL | PS;
    expect_fault(gva, ACCESS_READ, PFEC_P | PFEC_RSVD | PFEC_US);
}

static void five_levels_are_not_taken_for_four(void **state)
{
    (void)state;
    ctx.cpl = 3;
    ctx.cr4 |= CR4_LA57;
    ctx.cr3 = PML5;
    *entry(PML5, 511) = PML4 | ALL;
    *entry(PML5, I4) = 0x4000 | ALL; /* where a walk of four levels would go */
    *entry(0x4000, I3) = 0x5000 | ALL;
    *entry(0x5000, I2) = 0x200000 | PS | ALL;
    expect_gpa(ADDRESS, ACCESS_READ, PAGE | 0xabc);
}

static void what_is_not_canonical_is_no_page_fault(void **state)
{
    static const uint64_t wrong[] = {BIT(47), ADDRESS & ~BIT(63), ADDRESS ^ BIT(47), BIT(63)};
    uint32_t code;
    gpa_t out;

    (void)state;
    ctx.cpl = 3;
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(gva_translate(&ctx, GVA(wrong[i]), ACCESS_READ, &out, &code), -EINVAL);
    ctx.cr4 |= CR4_LA57;
    assert_int_equal(gva_translate(&ctx, GVA(BIT(56)), ACCESS_READ, &out, &code), -EINVAL);
    expect_fault(BIT(47), ACCESS_READ, PFEC_US); /* fine with five levels */
}

static void pae_starts_from_the_cpus_own_entries(void **state)
{
    uint64_t gva = UINT64_C(0xc0624abc);

    (void)state;
    clear_memory();
    ctx.efer = EFER_NXE;
    ctx.pdpte[3] = PD | P;
    *entry(PD, (gva >> 21) & 511) = PT | ALL;
    *entry(PT, (gva >> 12) & 511) = PAGE | ALL;
    expect_gpa(gva, ACCESS_WRITE, PAGE | 0xabc);
    expect_gpa(gva | BIT(32), ACCESS_WRITE, PAGE | 0xabc); /* linear addresses have 32 bits */
    *entry(PD, (gva >> 21) & 511) = 0x12a00000 | PS | ALL;
    expect_gpa(gva, ACCESS_READ, 0x12a00000 | (gva & 0x1fffff));
    expect_fault(0x80000000, ACCESS_READ, 0);
}

static void pae_has_more_reserved_bits(void **state)
{
    uint64_t gva = UINT64_C(0xc0624abc), *pde = entry(PD, (gva >> 21) & 511),
             *pte = entry(PT, (gva >> 12) & 511);

    (void)state;
    clear_memory();
    ctx.efer = EFER_NXE;
    ctx.pdpte[3] = PD | P;
    for (unsigned bit = 52; bit <= 62; bit++) {
        *pde = PT | ALL;
        *pte = PAGE | ALL | BIT(bit);
        expect_fault(gva, ACCESS_READ, PFEC_P | PFEC_RSVD);
        *pde |= BIT(bit);
        *pte = PAGE | ALL;
        expect_fault(gva, ACCESS_READ, PFEC_P | PFEC_RSVD);
    }
}

static void two_levels(void **state)
{
    uint32_t gva = 0xc0624abc;

    (void)state;
    enter_32bit();
    *entry32(PD, gva >> 22) = PT | ALL;
    *entry32(PT, (gva >> 12) & 1023) = PAGE | ALL;
    expect_gpa(gva, ACCESS_WRITE, PAGE | 0xabc);
    expect_gpa(gva, ACCESS_FETCH, PAGE | 0xabc);
    expect_gpa(gva | BIT(40), ACCESS_READ, PAGE | 0xabc);
    *entry32(PT, (gva >> 12) & 1023) = 0xfffff000 | ALL;
    expect_gpa(gva, ACCESS_READ, 0xfffffabc);
    *entry32(PT, (gva >> 12) & 1023) = 0;
    expect_fault(gva, ACCESS_READ, 0);
    *entry32(PD, gva >> 22) = 0;
    expect_fault(gva, ACCESS_WRITE, PFEC_WR);
}

static void four_megabyte_pages(void **state)
{
    uint32_t gva = 0xc0624abc, *pde = entry32(PD, gva >> 22);

    (void)state;
    enter_32bit();
    *pde = 0x12400000 | PS | ALL;
    expect_gpa(gva, ACCESS_WRITE, 0x12400000 | (gva & 0x3fffff));
    *pde = 0x12400000 | 0x1000 | 0xa5u << 13 | PS | ALL; /* PSE-36, and PAT */
    expect_gpa(gva, ACCESS_WRITE, UINT64_C(0xa512400000) | (gva & 0x3fffff));
    ctx.physical_bits = 39;
    expect_fault(gva, ACCESS_READ, PFEC_P | PFEC_RSVD);
    ctx.physical_bits = 52;
    expect_gpa(gva, ACCESS_WRITE, UINT64_C(0xa512400000) | (gva & 0x3fffff));
    *pde |= BIT(21);
    expect_fault(gva, ACCESS_READ, PFEC_P | PFEC_RSVD);
    /* Without PSE the bit means nothing. */
    ctx.cr4 = 0;
    *pde = PT | PS | ALL;
    *entry32(PT, (gva >> 12) & 1023) = PAGE | ALL;
    expect_gpa(gva, ACCESS_READ, PAGE | 0xabc);
}

/* --- accessed and dirty --- */

static void clear_marks(void)
{
    for (unsigned i = 0; i < 4; i++)
        *path()[i] &= ~(A | D);
}

static void marks_what_was_used(void **state)
{
    (void)state;
    clear_marks();
    expect_gpa(ADDRESS, ACCESS_READ, PAGE | 0xabc);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(*path()[i] & (A | D), A);
    expect_gpa(ADDRESS, ACCESS_WRITE, PAGE | 0xabc);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(*path()[i] & (A | D), i == 3 ? A | D : A);
    clear_marks();
    expect_gpa(ADDRESS, ACCESS_WRITE, PAGE | 0xabc);
    assert_int_equal(*entry(PT, I1), (PAGE | ALL));
}

static void marks_large_pages(void **state)
{
    (void)state;
    *entry(PD, I2) = 0x200000 | PS | P | RW;
    expect_gpa(ADDRESS, ACCESS_WRITE, 0x200000 | (ADDRESS & 0x1fffff));
    assert_int_equal(*entry(PD, I2), 0x200000 | PS | P | RW | A | D);
}

static void marks_nothing_on_a_fault(void **state)
{
    (void)state;
    clear_marks();
    *entry(PT, I1) &= ~RW;
    expect_fault(ADDRESS, ACCESS_WRITE, PFEC_P | PFEC_WR);
    *entry(PT, I1) = 0;
    expect_fault(ADDRESS, ACCESS_WRITE, PFEC_WR);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(*path()[i] & (A | D), 0);
}

static void marks_32bit_entries_and_not_their_neighbours(void **state)
{
    uint32_t gva = 0xc0624abc;

    (void)state;
    enter_32bit();
    *entry32(PD, gva >> 22) = PT | P | RW;
    *entry32(PT, (gva >> 12) & 1023) = PAGE | P | RW;
    *entry32(PT, ((gva >> 12) & 1023) + 1) = 0x12345678;
    expect_gpa(gva, ACCESS_WRITE, PAGE | 0xabc);
    assert_int_equal(*entry32(PD, gva >> 22), (PT | P | RW | A));
    assert_int_equal(*entry32(PT, (gva >> 12) & 1023), (PAGE | P | RW | A | D));
    assert_int_equal(*entry32(PT, ((gva >> 12) & 1023) + 1), 0x12345678);
    expect_gpa(gva, ACCESS_WRITE, PAGE | 0xabc);
}

/* A table that maps itself is used, and so marked, more than once: the entry changes while it is
 * being marked. */
static void an_entry_that_changed_is_not_marked(void **state)
{
    uint64_t self = UINT64_C(0xffff000000000000) | I4 << 39 | I4 << 30 | I4 << 21 | I4 << 12;
    uint32_t code;
    gpa_t out;

    (void)state;
    *entry(PML4, I4) = PML4 | P | RW;
    expect_gpa(self, ACCESS_READ, PML4); /* marked by ourselves meanwhile: as good */
    assert_int_equal(*entry(PML4, I4), (PML4 | P | RW | A));
    *entry(PML4, I4) = PML4 | P | RW;
    assert_int_equal(gva_translate(&ctx, GVA(self), ACCESS_WRITE, &out, &code), -EAGAIN);
    expect_gpa(self, ACCESS_WRITE, PML4); /* and so the second attempt succeeds */
    assert_int_equal(*entry(PML4, I4), (PML4 | P | RW | A | D));
}

/* --- hostile tables --- */

static uint64_t random64(void)
{
    return (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
}

/* Mostly plausible entries, so that walks get deep. */
static uint64_t random_entry(void)
{
    uint64_t e = (random64() & 0x3f000) | (rand() % 2 ? HIGH_BASE : 0) | ALL;

    if (rand() % 3 == 0)
        e ^= BIT(rand() % 64);
    if (rand() % 8 == 0)
        e = random64();
    return e;
}

static void random_context(void)
{
    ctx.cr0 = CR0_PE | CR0_PG | (random64() & CR0_WP);
    ctx.cr4 = random64() & (CR4_PAE | CR4_PSE | CR4_LA57 | CR4_SMEP | CR4_SMAP | CR4_PKE);
    ctx.efer = random64() & (EFER_LMA | EFER_NXE);
    if (ctx.efer & EFER_LMA)
        ctx.cr4 |= CR4_PAE;
    ctx.cr3 = random_entry();
    ctx.rflags = random64() & RFLAGS_AC;
    ctx.cpl = rand() % 4;
    ctx.pkru = (uint32_t)random64();
    ctx.physical_bits = 32 + rand() % 21;
    for (unsigned i = 0; i < GVA_PDPTES; i++)
        ctx.pdpte[i] = random_entry();
}

static void fill_with_random_tables(void)
{
    for (unsigned i = 0; i < LOW_BYTES / 8; i++)
        ((uint64_t *)ram_low)[i] = random_entry();
    for (unsigned i = 0; i < HIGH_BYTES / 8; i++)
        ((uint64_t *)ram_high)[i] = random_entry();
}

static uint64_t random_address(void)
{
    return (uint64_t)((int64_t)(random64() << 16) >> 16);
}

static void only_marks_differ(const uint8_t *before, const uint8_t *after, size_t size)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(before[i] & ~(A | D), after[i] & ~(A | D));
}

static void random_tables_do_no_harm(void **state)
{
    static uint8_t low_before[LOW_BYTES], high_before[HIGH_BYTES];
    unsigned found = 0;

    (void)state;
    srand(4);
    fill_with_random_tables();
    memcpy(low_before, ram_low, sizeof ram_low);
    memcpy(high_before, ram_high, sizeof ram_high);
    for (unsigned round = 0; round < 200000; round++) {
        uint64_t gva = random_address();
        uint32_t code = 0;
        gpa_t out;
        int error;

        random_context();
        error = gva_translate(&ctx, GVA(gva), (enum access)(rand() % 8), &out, &code);
        assert_true(error == 0 || error == -EFAULT || error == -EAGAIN || error == -EINVAL);
        found += error == 0;
    }
    assert_true(found > 5000);
    only_marks_differ(low_before, ram_low, sizeof ram_low);
    only_marks_differ(high_before, ram_high, sizeof ram_high);
}

/* With protection keys on, but none that denies, the same walk is made the long way. */
static void the_short_cut_agrees_with_the_long_way(void **state)
{
    unsigned same = 0;

    (void)state;
    srand(5);
    fill_with_random_tables();
    for (unsigned round = 0; round < 200000; round++) {
        uint64_t gva = random_address();
        enum access access = (enum access)(rand() % 8);
        uint32_t code[2] = {0, 0};
        gpa_t out[2];
        int error[2];

        random_context();
        ctx.pkru = 0;
        for (unsigned i = 0; i < 2; i++) {
            ctx.cr4 = (ctx.cr4 & ~(CR4_PKE | CR4_LA57)) | (i ? 0 : CR4_PKE);
            error[i] = gva_translate(&ctx, GVA(gva), access, &out[i], &code[i]);
        }
        if (error[0] == -EAGAIN)
            continue;
        assert_int_equal(error[0], error[1]);
        assert_int_equal(code[0], code[1]);
        if (error[0] == 0)
            assert_int_equal(out[0].value, out[1].value);
        same += error[0] == 0 && (ctx.efer & EFER_LMA);
    }
    assert_true(same > 2000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, gva_rig_set_up)
    const struct CMUnitTest tests[] = {
        TEST(without_paging_linear_is_physical),
        TEST(four_levels),
        TEST(bits_that_are_ignored_are_ignored),
        TEST(five_levels),
        TEST(five_levels_are_not_taken_for_four),
        TEST(what_is_not_canonical_is_no_page_fault),
        TEST(pae_starts_from_the_cpus_own_entries),
        TEST(pae_has_more_reserved_bits),
        TEST(two_levels),
        TEST(four_megabyte_pages),
        TEST(marks_what_was_used),
        TEST(marks_large_pages),
        TEST(marks_nothing_on_a_fault),
        TEST(marks_32bit_entries_and_not_their_neighbours),
        TEST(an_entry_that_changed_is_not_marked),
        TEST(random_tables_do_no_harm),
        TEST(the_short_cut_agrees_with_the_long_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
