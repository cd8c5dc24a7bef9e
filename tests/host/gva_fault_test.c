/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: what the guest's own MMU would have refused is refused, at each level and for each right, with the error code that
 * it would have pushed.
 */
#include "tests/host/fake/gva_rig.h"

/* --- entries --- */

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

/* --- rights --- */

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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, gva_rig_set_up)
    const struct CMUnitTest tests[] = {
        TEST(each_level_must_be_present),
        TEST(the_fetch_bit_needs_nx_or_smep),
        TEST(reserved_bits_fault_at_each_level),
        TEST(large_pages_have_reserved_bits),
        TEST(tables_outside_of_ram_are_all_ones),
        TEST(rights_are_as_in_the_manual),
        TEST(protection_keys_guard_user_data),
        TEST(protection_keys_are_of_ia32e_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
