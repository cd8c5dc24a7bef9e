/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Formats only; who maps what is decided elsewhere. What a device does is never executed and always
 * snooped as its bus says, so an entry has two rights and an address.
 */
#include "arch/x86/vtd/vtd_table.h"
#include "kernel/lib/assert.h"

#define IGNORED_SHIFT 52
#define RIGHTS        (SL_READ | SL_WRITE)
_Static_assert(IGNORED_SHIFT + PT_IGNORED_BITS <= 62, "bit 62 is transient mapping");
_Static_assert((SL_ADDRESS & (RIGHTS | SL_PAGE)) == 0, "fields do not overlap");

/* --- second level --- */

static uint64_t encode_leaf(unsigned level, hpa_t page, unsigned attributes)
{
    uint64_t entry = page.value | SL_READ | (attributes & PT_WRITE ? SL_WRITE : 0);

    return level > 1 ? entry | SL_PAGE : entry;
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
    return level == 1 || (entry & SL_PAGE);
}

static hpa_t address(unsigned level, uint64_t entry)
{
    (void)level;
    return HPA(entry & SL_ADDRESS);
}

static unsigned attributes_of(unsigned level, uint64_t entry)
{
    (void)level;
    return (entry & SL_READ ? PT_READ : 0) | (entry & SL_WRITE ? PT_WRITE : 0);
}

#define FORMAT(n)                                                                            \
    {                                                                                        \
        .name = "VT-d " #n "-level", .levels = (n),                                          \
        .leaf_levels = PT_LEAF_4K | PT_LEAF_2M | PT_LEAF_1G, .ignored_shift = IGNORED_SHIFT, \
        .encode_leaf = encode_leaf, .encode_table = encode_table, .is_present = is_present,  \
        .is_leaf = is_leaf, .address = address, .attributes = attributes_of                  \
    }

static const struct pt_format formats[] = {FORMAT(3), FORMAT(4)};

const struct pt_format *vtd_format(unsigned levels)
{
    ASSERT(levels >= VTD_LEVELS_MIN && levels <= VTD_LEVELS_MAX);
    return &formats[levels - VTD_LEVELS_MIN];
}

/* --- context entries --- */

struct vtd_entry vtd_context_entry(enum iommu_domain_kind kind, hpa_t root, unsigned levels,
                                   uint16_t domain_id)
{
    uint64_t low = CONTEXT_P | (kind == IOMMU_PASS_THROUGH ? CONTEXT_TT_PASS_THROUGH
                                                           : root.value & VTD_ADDRESS);

    return (struct vtd_entry){low, (levels - 2) | (uint64_t)domain_id << CONTEXT_DID_SHIFT};
}

/* --- interrupts --- */

#define XAPIC_DST_SHIFT 8 /* in the destination field, where APIC ids have 8 bits */

struct vtd_entry vtd_irte(const struct iommu_route *route, uint16_t source_id, bool is_extended)
{
    uint64_t destination =
        is_extended ? route->apic_id : (route->apic_id & 0xff) << XAPIC_DST_SHIFT;

    return (struct vtd_entry){IRTE_P | (route->is_level ? IRTE_TM_LEVEL : 0) |
                                  (uint64_t)route->vector << IRTE_VECTOR_SHIFT |
                                  destination << IRTE_DST_SHIFT,
                              IRTE_SVT_SID | source_id};
}

#define MESSAGE_ADDRESS      UINT64_C(0xfee00000)
#define MESSAGE_REMAPPABLE   BIT(4)
#define MESSAGE_SHV          BIT(3)
#define MESSAGE_HANDLE_SHIFT 5
#define MESSAGE_HANDLE_15    BIT(2)

struct iommu_message vtd_message(uint16_t handle, uint16_t subhandle)
{
    return (struct iommu_message){MESSAGE_ADDRESS | MESSAGE_REMAPPABLE | MESSAGE_SHV |
                                      (uint64_t)(handle & 0x7fff) << MESSAGE_HANDLE_SHIFT |
                                      (handle & 0x8000 ? MESSAGE_HANDLE_15 : 0),
                                  subhandle};
}

#define RTE_HANDLE_15    BIT(11)
#define RTE_LEVEL        BIT(15)
#define RTE_REMAPPABLE   BIT(48)
#define RTE_HANDLE_SHIFT 49

/* The vector is there for the EOI of a level-triggered interrupt, which is matched by it. */
uint64_t vtd_redirection_entry(uint16_t handle, const struct iommu_route *route)
{
    return RTE_REMAPPABLE | (uint64_t)(handle & 0x7fff) << RTE_HANDLE_SHIFT |
           (handle & 0x8000 ? RTE_HANDLE_15 : 0) | (route->is_level ? RTE_LEVEL : 0) |
           route->vector;
}
