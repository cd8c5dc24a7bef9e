/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The EPT format only: who maps what is decided elsewhere. RAM is write-back whatever the guest's
 * PAT says, so that a guest cannot make us and itself see one page through different caches; of
 * device memory the guest's PAT may still make write-combining (a frame buffer). Accessed and dirty
 * bits are ignored.
 */
#include "arch/x86/vmx/ept.h"

#define LEVELS        4
#define IGNORED_SHIFT 52
#define RIGHTS        (EPT_READ | EPT_WRITE | EPT_EXECUTE)
_Static_assert((RIGHTS & (EPT_TYPE_MASK | EPT_IGNORE_PAT | EPT_PAGE)) == 0,
               "fields do not overlap");
_Static_assert(EPT_TYPE_MASK >> EPT_TYPE_SHIFT >= MEMORY_TYPE_WB,
               "every memory type fits its field");
_Static_assert(IGNORED_SHIFT + PT_IGNORED_BITS <= 57, "bit 57 is verify guest paging");

static uint64_t encode_leaf(unsigned level, hpa_t page, unsigned attributes)
{
    uint64_t entry = page.value | EPT_READ;

    entry |= attributes & PT_WRITE ? EPT_WRITE : 0;
    entry |= attributes & PT_EXEC ? EPT_EXECUTE : 0;
    if (attributes & PT_UNCACHED)
        entry |= MEMORY_TYPE_UC << EPT_TYPE_SHIFT;
    else
        entry |= MEMORY_TYPE_WB << EPT_TYPE_SHIFT | EPT_IGNORE_PAT;
    return level > 1 ? entry | EPT_PAGE : entry;
}

static uint64_t encode_table(hpa_t table)
{
    return table.value | RIGHTS;
}

static bool is_present(uint64_t entry)
{
    return (entry & RIGHTS) != 0;
}

static bool is_leaf(unsigned level, uint64_t entry)
{
    return level == 1 || (entry & EPT_PAGE);
}

static hpa_t address(unsigned level, uint64_t entry)
{
    (void)level;
    return HPA(entry & EPT_ADDRESS);
}

static unsigned attributes_of(unsigned level, uint64_t entry)
{
    bool is_uncached = (entry & EPT_TYPE_MASK) == MEMORY_TYPE_UC << EPT_TYPE_SHIFT;

    (void)level;
    return PT_READ | (entry & EPT_WRITE ? PT_WRITE : 0) | (entry & EPT_EXECUTE ? PT_EXEC : 0) |
           (is_uncached ? PT_UNCACHED : 0);
}

const struct pt_format ept_format = {
    .name = "EPT",
    .levels = LEVELS,
    .leaf_levels = PT_LEAF_4K | PT_LEAF_2M | PT_LEAF_1G,
    .ignored_shift = IGNORED_SHIFT,
    .encode_leaf = encode_leaf,
    .encode_table = encode_table,
    .is_present = is_present,
    .is_leaf = is_leaf,
    .address = address,
    .attributes = attributes_of,
};

uint64_t ept_pointer(hpa_t root, bool accessed_dirty)
{
    return root.value | MEMORY_TYPE_WB | (LEVELS - 1) << EPTP_WALK_LENGTH_SHIFT |
           (accessed_dirty ? EPTP_ACCESSED_DIRTY : 0);
}
