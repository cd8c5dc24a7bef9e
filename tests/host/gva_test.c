/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: for any tables and any mode the walk ends as the guest's own MMU would have ended it
 * (address, fault, accessed and dirty bits), and whatever a guest writes into its tables, nothing
 * else is read or written.
 */
#include "tests/host/fake/fake.h"
#include "arch/x86/guest/gva.h"
#include "arch/x86/regs.h"
#include "kernel/lib/errno.h"

#define P   UINT64_C(0x01)
#define RW  UINT64_C(0x02)
#define US  UINT64_C(0x04)
#define A   UINT64_C(0x20)
#define D   UINT64_C(0x40)
#define PS  UINT64_C(0x80)
#define XD  UINT64_C(0x8000000000000000)
#define ALL (P | RW | US | A | D)

/* Two slots of guest RAM with a hole between; tables in either. */
#define LOW_BYTES  0x10000u
#define HIGH_BASE  UINT64_C(0x100000)
#define HIGH_BYTES 0x40000u
#define PML4       UINT64_C(0x1000)
#define PDPT       UINT64_C(0x101000)
#define PD         UINT64_C(0x2000)
#define PT         UINT64_C(0x102000)
#define PML5       UINT64_C(0x3000)
#define PAGE       UINT64_C(0x110000)
#define HOLE       UINT64_C(0x50000)

static uint8_t low[LOW_BYTES] __attribute__((aligned(4096)));
static uint8_t high[HIGH_BYTES] __attribute__((aligned(4096)));
static struct guest_mem mem;
static struct gva_context ctx;

/* Indices 0x101, 0x82, 0x43, 0x24: all different, kernel half. */
#define ADDRESS UINT64_C(0xffff80a088624abc)
#define I4      ((ADDRESS >> 39) & 511)
#define I3      ((ADDRESS >> 30) & 511)
#define I2      ((ADDRESS >> 21) & 511)
#define I1      ((ADDRESS >> 12) & 511)

static uint64_t *entry(uint64_t table, uint64_t index)
{
    return guest_mem_at(&mem, GPA(table + 8 * index), 8);
}

static uint32_t *entry32(uint64_t table, uint64_t index)
{
    return guest_mem_at(&mem, GPA(table + 4 * index), 4);
}

static void clear_memory(void)
{
    memset(low, 0, sizeof low);
    memset(high, 0, sizeof high);
}

static void enter_4_level(void)
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

static int set_up(void **state)
{
    (void)state;
    mem = (struct guest_mem){0};
    clear_memory();
    assert_int_equal(guest_mem_add(&mem, GPA(0), LOW_BYTES, low), 0);
    assert_int_equal(guest_mem_add(&mem, GPA(HIGH_BASE), HIGH_BYTES, high), 0);
    ctx = (struct gva_context){.physical_bits = 40, .has_1g_pages = true, .mem = &mem};
    enter_4_level();
    return 0;
}

static void expect_gpa(uint64_t gva, enum access access, uint64_t gpa)
{
    uint32_t code = 0xdead;
    gpa_t out;

    assert_int_equal(gva_translate(&ctx, GVA(gva), access, &out, &code), 0);
    assert_int_equal(out.value, gpa);
}

static void expect_fault(uint64_t gva, enum access access, uint32_t error_code)
{
    uint32_t code = 0xdead;
    gpa_t out;

    assert_int_equal(gva_translate(&ctx, GVA(gva), access, &out, &code), -EFAULT);
    assert_int_equal(code, error_code);
}

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

static void enter_32bit(void)
{
    clear_memory();
    ctx.efer = 0;
    ctx.cr4 = CR4_PSE;
    ctx.cr3 = PD;
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

/* --- faults --- */

static uint64_t *const *path(void)
{
    static uint64_t *entries[4];

    entries[0] = entry(PML4, I4);
    entries[1] = entry(PDPT, I3);
    entries[2] = entry(PD, I2);
    entries[3] = entry(PT, I1);
    return entries;
}

static void each_level_must_be_present(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        *path()[i] ^= P;
        *path()[i] |= XD | BIT(50); /* of what is not present, nothing else counts */
        ctx.cpl = 0;
        expect_fault(ADDRESS, ACCESS_READ, 0);
        expect_fault(ADDRESS, ACCESS_WRITE, PFEC_WR);
        ctx.cpl = 3;
        expect_fault(ADDRESS, ACCESS_FETCH, PFEC_US | PFEC_ID);
        expect_fault(ADDRESS, (enum access)(ACCESS_WRITE | ACCESS_IMPLICIT), PFEC_WR);
        enter_4_level();
    }
}

static void the_fetch_bit_needs_nx_or_smep(void **state)
{
    (void)state;
    *entry(PT, I1) = 0;
    expect_fault(ADDRESS, ACCESS_FETCH, PFEC_ID);
    ctx.efer &= ~EFER_NXE;
    expect_fault(ADDRESS, ACCESS_FETCH, 0);
    ctx.cr4 |= CR4_SMEP;
    expect_fault(ADDRESS, ACCESS_FETCH, PFEC_ID);
    enter_32bit();
    ctx.efer = EFER_NXE; /* of no use without PAE */
    expect_fault(0, ACCESS_FETCH, 0);
    ctx.cr4 |= CR4_SMEP;
    expect_fault(0, ACCESS_FETCH, PFEC_ID);
}

static void reserved_bits_fault_at_each_level(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned bit = 40; bit < 52; bit++) {
            *path()[i] |= BIT(bit);
            expect_fault(ADDRESS, ACCESS_READ, PFEC_P | PFEC_RSVD);
            *path()[i] &= ~BIT(bit);
        }
        *path()[i] |= XD;
        ctx.efer &= ~EFER_NXE;
        expect_fault(ADDRESS, ACCESS_READ, PFEC_P | PFEC_RSVD);
        enter_4_level();
    }
    ctx.physical_bits = 52;
    *entry(PT, I1) |= BIT(51);
    expect_gpa(ADDRESS, ACCESS_READ, BIT(51) | PAGE | 0xabc);
}

static void large_pages_have_reserved_bits(void **state)
{
    (void)state;
    *entry(PML4, I4) |= PS;
    expect_fault(ADDRESS, ACCESS_WRITE, PFEC_P | PFEC_RSVD | PFEC_WR);
    enter_4_level();
    for (unsigned bit = 13; bit < 30; bit++) {
        *entry(PDPT, I3) = BIT(bit) | PS | ALL;
        expect_fault(ADDRESS, ACCESS_READ, PFEC_P | PFEC_RSVD);
    }
    *entry(PDPT, I3) = PS | ALL;
    ctx.has_1g_pages = false;
    expect_fault(ADDRESS, ACCESS_READ, PFEC_P | PFEC_RSVD);
    enter_4_level();
    for (unsigned bit = 13; bit < 21; bit++) {
        *entry(PD, I2) = BIT(bit) | PS | ALL;
        expect_fault(ADDRESS, ACCESS_READ, PFEC_P | PFEC_RSVD);
    }
}

static void tables_outside_of_ram_are_all_ones(void **state)
{
    (void)state;
    ctx.cr3 = HOLE;
    expect_fault(ADDRESS, ACCESS_READ, PFEC_P | PFEC_RSVD);
    ctx.cr3 = PML4;
    *entry(PD, I2) = 0x7000000000 | ALL;
    expect_fault(ADDRESS, ACCESS_READ, PFEC_P | PFEC_RSVD);
    enter_32bit();
    ctx.cr3 = HOLE;
    expect_fault(0, ACCESS_READ, PFEC_P | PFEC_RSVD);
    ctx.cr4 = 0;
    expect_gpa(5, ACCESS_WRITE, 0xfffff005);
}

/* The manual's lists, one by one; the first that fits says no. */
static bool manual_allows(enum access access, uint64_t rights, bool xd)
{
    bool supervisor = ctx.cpl < 3 || (access & ACCESS_IMPLICIT), user_page = rights & US,
         write = rights & RW;

    if (access & ACCESS_FETCH) {
        if (xd)
            return false;
        if (supervisor)
            return !user_page || !(ctx.cr4 & CR4_SMEP);
        return user_page;
    }
    if (!supervisor)
        return user_page && (write || !(access & ACCESS_WRITE));
    if (user_page && (ctx.cr4 & CR4_SMAP)) {
        if (access & ACCESS_IMPLICIT)
            return false;
        if (!(ctx.rflags & RFLAGS_AC))
            return false;
    }
    return !(access & ACCESS_WRITE) || write || !(ctx.cr0 & CR0_WP);
}

static void check_rights(enum access access, uint64_t upper, uint64_t lower)
{
    bool user = ctx.cpl == 3 && !(access & ACCESS_IMPLICIT);
    uint32_t code = PFEC_P | (access & ACCESS_WRITE ? PFEC_WR : 0) |
                    (access & ACCESS_FETCH ? PFEC_ID : 0) | (user ? PFEC_US : 0);

    *entry(PDPT, I3) = PD | P | A | upper;
    *entry(PT, I1) = PAGE | P | A | D | lower;
    if (manual_allows(access, upper & lower, (upper | lower) & XD))
        expect_gpa(ADDRESS, access, PAGE | 0xabc);
    else
        expect_fault(ADDRESS, access, code);
}

static uint64_t pick(unsigned bits, unsigned bit, uint64_t value)
{
    return bits & BIT(bit) ? value : 0;
}

static void rights_are_as_in_the_manual(void **state)
{
    static const int kinds[] = {ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH,
                                ACCESS_READ | ACCESS_IMPLICIT, ACCESS_WRITE | ACCESS_IMPLICIT};

    (void)state;
    for (unsigned bits = 0; bits < BIT(12); bits++) {
        ctx.cr0 = CR0_PG | CR0_PE | pick(bits, 0, CR0_WP);
        ctx.cr4 = CR4_PAE | pick(bits, 1, CR4_SMEP) | pick(bits, 2, CR4_SMAP);
        ctx.rflags = pick(bits, 3, RFLAGS_AC);
        ctx.cpl = (bits >> 4) & 3;
        for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++)
            check_rights((enum access)kinds[k],
                         pick(bits, 6, RW) | pick(bits, 7, US) | pick(bits, 8, XD),
                         pick(bits, 9, RW) | pick(bits, 10, US) | pick(bits, 11, XD));
    }
}

static void protection_keys_guard_user_data(void **state)
{
    uint64_t key5 = UINT64_C(5) << 59;

    (void)state;
    ctx.cpl = 3;
    ctx.pkru = 1u << 10; /* access disable of key 5 */
    *entry(PT, I1) |= key5;
    expect_gpa(ADDRESS, ACCESS_READ, PAGE | 0xabc); /* not switched on */
    ctx.cr4 |= CR4_PKE;
    expect_fault(ADDRESS, ACCESS_READ, PFEC_P | PFEC_US | PFEC_PK);
    expect_gpa(ADDRESS, ACCESS_FETCH, PAGE | 0xabc);
    ctx.pkru = 2u << 10; /* write disable */
    expect_gpa(ADDRESS, ACCESS_READ, PAGE | 0xabc);
    expect_fault(ADDRESS, ACCESS_WRITE, PFEC_P | PFEC_US | PFEC_PK | PFEC_WR);
    ctx.cpl = 0;
    expect_fault(ADDRESS, ACCESS_WRITE, PFEC_P | PFEC_PK | PFEC_WR);
    ctx.cr0 &= ~CR0_WP;
    expect_gpa(ADDRESS, ACCESS_WRITE, PAGE | 0xabc);
    ctx.pkru = 3u << 10;
    *entry(PML4, I4) &= ~US; /* a supervisor page has no key */
    expect_gpa(ADDRESS, ACCESS_WRITE, PAGE | 0xabc);
    *entry(PML4, I4) |= US;
    *entry(PT, I1) ^= key5; /* key 0 */
    expect_gpa(ADDRESS, ACCESS_WRITE, PAGE | 0xabc);
}

static void protection_keys_are_of_ia32e_mode(void **state)
{
    (void)state;
    ctx.efer = 0;
    ctx.cr4 |= CR4_PKE;
    ctx.pkru = 3;
    ctx.pdpte[0] = PD | P;
    *entry(PD, 0) = PT | ALL;
    *entry(PT, 0) = PAGE | ALL;
    expect_gpa(5, ACCESS_WRITE, PAGE | 5);
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

/* --- fetching --- */

static void fetches_across_pages(void **state)
{
    struct gva_fault fault;
    uint8_t bytes[15];

    (void)state;
    *entry(PT, I1 + 1) = 0x5000 | ALL; /* in the other slot */
    memcpy(guest_mem_at(&mem, GPA(PAGE + 0xff8), 8), "01234567", 8);
    memcpy(guest_mem_at(&mem, GPA(0x5000), 7), "89abcde", 7);
    assert_int_equal(gva_fetch(&ctx, GVA((ADDRESS & ~0xfffull) + 0xff8), bytes, 15, &fault), 15);
    assert_int_equal(fault.error, 0);
    assert_memory_equal(bytes, "0123456789abcde", 15);
    assert_int_equal(gva_fetch(&ctx, GVA((ADDRESS & ~0xfffull) + 0xff8), bytes, 8, &fault), 8);
    assert_int_equal(gva_fetch(&ctx, GVA(0), bytes, 0, &fault), 0);
    assert_int_equal(fault.error, 0);
}

static void fetches_what_can_be_had(void **state)
{
    uint64_t page = ADDRESS & ~0xfffull;
    struct gva_fault fault;
    uint8_t bytes[15];

    (void)state;
    ctx.cpl = 3;
    assert_int_equal(gva_fetch(&ctx, GVA(page + 0xffe), bytes, 15, &fault), 2);
    assert_int_equal(fault.error, -EFAULT);
    assert_int_equal(fault.address.value, page + 0x1000);
    assert_int_equal(fault.error_code, PFEC_US | PFEC_ID);
    *entry(PT, I1) |= XD;
    assert_int_equal(gva_fetch(&ctx, GVA(page + 0xffe), bytes, 15, &fault), 0);
    assert_int_equal(fault.error, -EFAULT);
    assert_int_equal(fault.address.value, page + 0xffe);
    assert_int_equal(fault.error_code, PFEC_P | PFEC_US | PFEC_ID);
    *entry(PT, I1) = HOLE | ALL;
    assert_int_equal(gva_fetch(&ctx, GVA(page), bytes, 15, &fault), 0);
    assert_int_equal(fault.error, -EIO);
}

/* Its short cut may say nothing but what the long way says, whatever the page and its neighbour are like. */
static void expect_same_fetch(uint64_t at, uint64_t value, uint64_t neighbour)
{
    uint8_t bytes[INSTRUCTION_BYTES_MAX] = {0}, expected[INSTRUCTION_BYTES_MAX] = {0};
    struct gva_fault fault = {0}, expected_fault;
    size_t count;

    *entry(PT, I1) = value;
    *entry(PT, I1 + 1) = neighbour;
    count = gva_fetch(&ctx, GVA(at), expected, sizeof expected, &expected_fault);
    *entry(PT, I1) = value; /* it may have been marked */
    *entry(PT, I1 + 1) = neighbour;
    assert_int_equal(gva_fetch_instruction(&ctx, GVA(at), bytes, &fault), count);
    assert_memory_equal(bytes, expected, sizeof bytes);
    if (count == sizeof bytes)
        return;
    assert_int_equal(fault.error, expected_fault.error);
    assert_int_equal(fault.address.value, expected_fault.address.value);
    assert_int_equal(fault.error_code, expected_fault.error_code);
}

static void an_instruction_is_fetched_as_any_bytes_are(void **state)
{
    const uint64_t values[] = {PAGE | ALL,        PAGE | (ALL & ~A), PAGE | (ALL & ~US), PAGE | ALL | XD,
                               PAGE | ALL | BIT(45), HOLE | ALL,     0x5000 | ALL,       0};

    (void)state;
    for (unsigned i = 0; i < PAGE_SIZE; i++)
        *(uint8_t *)guest_mem_at(&mem, GPA(PAGE + i), 1) = (uint8_t)(i * 7 + i / 256);
    for (unsigned i = 0; i < ARRAY_SIZE(values) * ARRAY_SIZE(values) * 2; i++) {
        ctx.cpl = i % 2 ? 3 : 0;
        for (unsigned offset = 0; offset < PAGE_SIZE; offset += offset < 0xfe0 ? 0x3f8 : 1)
            expect_same_fetch((ADDRESS & ~0xfffull) + offset, values[i / 2 % ARRAY_SIZE(values)],
                              values[i / 2 / ARRAY_SIZE(values)]);
    }
}

static void a_fetch_ends_where_canonical_addresses_end(void **state)
{
    struct gva_fault fault;
    uint8_t bytes[15];

    (void)state;
    *entry(PML4, 255) = PDPT | ALL;
    *entry(PDPT, 511) = PD | ALL;
    *entry(PD, 511) = PT | ALL;
    *entry(PT, 511) = PAGE | ALL;
    assert_int_equal(gva_fetch(&ctx, GVA(BIT(47) - 3), bytes, 15, &fault), 3);
    assert_int_equal(fault.error, -EINVAL);
    assert_int_equal(fault.address.value, BIT(47));
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
        ((uint64_t *)low)[i] = random_entry();
    for (unsigned i = 0; i < HIGH_BYTES / 8; i++)
        ((uint64_t *)high)[i] = random_entry();
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
    memcpy(low_before, low, sizeof low);
    memcpy(high_before, high, sizeof high);
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
    only_marks_differ(low_before, low, sizeof low);
    only_marks_differ(high_before, high, sizeof high);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_paging_linear_is_physical, set_up),
        cmocka_unit_test_setup(four_levels, set_up),
        cmocka_unit_test_setup(bits_that_are_ignored_are_ignored, set_up),
        cmocka_unit_test_setup(five_levels, set_up),
        cmocka_unit_test_setup(five_levels_are_not_taken_for_four, set_up),
        cmocka_unit_test_setup(what_is_not_canonical_is_no_page_fault, set_up),
        cmocka_unit_test_setup(pae_starts_from_the_cpus_own_entries, set_up),
        cmocka_unit_test_setup(pae_has_more_reserved_bits, set_up),
        cmocka_unit_test_setup(two_levels, set_up),
        cmocka_unit_test_setup(four_megabyte_pages, set_up),
        cmocka_unit_test_setup(each_level_must_be_present, set_up),
        cmocka_unit_test_setup(the_fetch_bit_needs_nx_or_smep, set_up),
        cmocka_unit_test_setup(reserved_bits_fault_at_each_level, set_up),
        cmocka_unit_test_setup(large_pages_have_reserved_bits, set_up),
        cmocka_unit_test_setup(tables_outside_of_ram_are_all_ones, set_up),
        cmocka_unit_test_setup(rights_are_as_in_the_manual, set_up),
        cmocka_unit_test_setup(protection_keys_guard_user_data, set_up),
        cmocka_unit_test_setup(protection_keys_are_of_ia32e_mode, set_up),
        cmocka_unit_test_setup(marks_what_was_used, set_up),
        cmocka_unit_test_setup(marks_large_pages, set_up),
        cmocka_unit_test_setup(marks_nothing_on_a_fault, set_up),
        cmocka_unit_test_setup(marks_32bit_entries_and_not_their_neighbours, set_up),
        cmocka_unit_test_setup(an_entry_that_changed_is_not_marked, set_up),
        cmocka_unit_test_setup(fetches_across_pages, set_up),
        cmocka_unit_test_setup(fetches_what_can_be_had, set_up),
        cmocka_unit_test_setup(an_instruction_is_fetched_as_any_bytes_are, set_up),
        cmocka_unit_test_setup(a_fetch_ends_where_canonical_addresses_end, set_up),
        cmocka_unit_test_setup(random_tables_do_no_harm, set_up),
        cmocka_unit_test_setup(the_short_cut_agrees_with_the_long_way, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
