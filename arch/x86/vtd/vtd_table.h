/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries that a remapping unit reads from memory, and the two messages that it knows an interrupt
 * by: VT-d specification, "Translation Structure Formats", "Interrupt Remapping". Only formats.
 */
#ifndef ARCH_X86_VTD_VTD_TABLE_H
#define ARCH_X86_VTD_VTD_TABLE_H

#include "kernel/iommu.h"
#include "kernel/pt.h"

/* "Second-Stage Paging Entries" */
#define SL_READ    BIT(0)
#define SL_WRITE   BIT(1)
#define SL_PAGE    BIT(7) /* PS, of levels 2 and 3: maps a page */
#define SL_ADDRESS (BIT(52) - PAGE_SIZE)

#define VTD_LEVELS_MIN 3u
#define VTD_LEVELS_MAX 4u

/* The format of tables with so many levels. */
const struct pt_format *vtd_format(unsigned levels);

/* Root and context entries are two words each; both tables have 256 entries, a page. */
#define VTD_TABLE_ENTRIES 256u
struct vtd_entry {
    uint64_t low, high;
};

#define ROOT_P                  BIT(0)
#define CONTEXT_P               BIT(0)
#define CONTEXT_FPD             BIT(1)
#define CONTEXT_TT_MASK         (BIT(2) | BIT(3))
#define CONTEXT_TT_PASS_THROUGH BIT(3)
#define CONTEXT_AW_MASK         UINT64_C(7)
#define CONTEXT_DID_SHIFT       8
#define VTD_ADDRESS             (BIT(52) - PAGE_SIZE)

static inline struct vtd_entry vtd_root_entry(hpa_t context_table)
{
    return (struct vtd_entry){context_table.value | ROOT_P, 0};
}

/* levels: of the tables, or for pass-through the most that the unit knows. */
struct vtd_entry vtd_context_entry(enum iommu_domain_kind kind, hpa_t root, unsigned levels,
                                   uint16_t domain_id);

static inline unsigned vtd_context_levels(const struct vtd_entry *e)
{
    return (unsigned)(e->high & CONTEXT_AW_MASK) + 2;
}

static inline uint16_t vtd_context_domain_id(const struct vtd_entry *e)
{
    return (uint16_t)(e->high >> CONTEXT_DID_SHIFT);
}

/* "Interrupt Remapping Table Entry (IRTE) for Remapped Interrupts" */
#define IRTE_P            BIT(0)
#define IRTE_FPD          BIT(1)
#define IRTE_TM_LEVEL     BIT(4)
#define IRTE_VECTOR_SHIFT 16
#define IRTE_DST_SHIFT    32
#define IRTE_SVT_SID                                                             \
    (UINT64_C(1) << 18) /* of the upper word: all 16 bits of the source-id count \
                         */

/* Physical, fixed, from that source alone. is_extended: 32-bit APIC ids (IRTA.EIME). */
struct vtd_entry vtd_irte(const struct iommu_route *route, uint16_t source_id, bool is_extended);

/* "Interrupt Requests in Remappable Format": an MSI that stands for handle + its data. */
struct iommu_message vtd_message(uint16_t handle, uint16_t subhandle);

/* "I/OxAPIC Programming": a redirection entry, masked by nobody, that stands for handle. */
uint64_t vtd_redirection_entry(uint16_t handle, const struct iommu_route *route);

#endif
