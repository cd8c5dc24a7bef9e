/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The nested format only: who maps what is decided elsewhere. It is that of the CPU's own paging (APM 2, "Nested
 * Paging"), walked as a user's access and by the host's CR4, EFER and PAT: every entry is a user's one, none is
 * global. RAM is write-back as far as the guest's PAT agrees. A and D are set from the start, so that the CPU
 * need not: nothing here looks at them.
 */
#include "arch/x86/svm/npt.h"
#include "arch/x86/paging_format.h"

#define IGNORED_SHIFT 52
#define ALWAYS        (PTE_P | PTE_US | PTE_A)
_Static_assert(IGNORED_SHIFT + PT_IGNORED_BITS <= PTE_PK_SHIFT, "protection keys are not ignored");
_Static_assert((PTE_ADDRESS >> IGNORED_SHIFT) == 0, "addresses end below the ignored bits");

static uint64_t encode_leaf(unsigned level, hpa_t page, unsigned attributes)
{
    uint64_t entry = page.value | ALWAYS | PTE_D;

    entry |= attributes & PT_WRITE ? PTE_RW : 0;
    entry |= attributes & PT_EXEC ? 0 : PTE_XD;
    entry |= attributes & PT_UNCACHED ? PTE_PCD | PTE_PWT : 0;
    return level > 1 ? entry | PTE_PS : entry;
}

static uint64_t encode_table(hpa_t table)
{
    return table.value | ALWAYS | PTE_RW;
}

static bool is_present(uint64_t entry)
{
    return (entry & PTE_P) != 0;
}

static bool is_leaf(unsigned level, uint64_t entry)
{
    return level == 1 || (entry & PTE_PS);
}

static hpa_t address(unsigned level, uint64_t entry)
{
    (void)level;
    return HPA(entry & PTE_ADDRESS);
}

static unsigned attributes_of(unsigned level, uint64_t entry)
{
    (void)level;
    return PT_READ | (entry & PTE_RW ? PT_WRITE : 0) | (entry & PTE_XD ? 0 : PT_EXEC) |
           (entry & PTE_PCD ? PT_UNCACHED : 0);
}

const struct pt_format npt_format = {
    .name = "NPT",
    .levels = 4,
    .leaf_levels = PT_LEAF_4K | PT_LEAF_2M | PT_LEAF_1G,
    .ignored_shift = IGNORED_SHIFT,
    .encode_leaf = encode_leaf,
    .encode_table = encode_table,
    .is_present = is_present,
    .is_leaf = is_leaf,
    .address = address,
    .attributes = attributes_of,
};
