/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains: address spaces of devices. Which device is in which is vtd_attach.c's.
 *
 * Invariant: what was unmapped is flushed out of the units' caches before anybody is told so, and
 * tables that it was in are not used again before that.
 */
#include "arch/arch.h"
#include "arch/x86/cpu.h"
#include "arch/x86/vtd/vtd_unit.h"
#include "kernel/heap.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"

#define DOMAINS_MAX 256u

struct vtd_common vtd_common;

static uint64_t domain_ids[DOMAINS_MAX / 64];

/* --- what all units can --- */

/* Tables for units that do not look into caches. */
static void store_and_flush(uint64_t *entry, uint64_t value)
{
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
    cpu_flush_range(entry, sizeof *entry);
}

static int alloc_and_flush(hpa_t *table)
{
    int error = pt_host_memory.alloc(table);

    if (!error)
        cpu_flush_range(phys_to_virt(*table), PAGE_SIZE);
    return error;
}

static void free_table(hpa_t table)
{
    pt_host_memory.free(table);
}

static const struct pt_memory incoherent_memory = {alloc_and_flush, free_table, phys_to_virt,
                                                   store_and_flush};

static unsigned unit_leaf_levels(uint64_t cap)
{
    return PT_LEAF_4K | (cap & CAP_SLLPS_2M ? PT_LEAF_2M : 0) |
           (cap & CAP_SLLPS_1G ? PT_LEAF_1G : 0);
}

unsigned vtd_best_levels(uint64_t sagaw)
{
    for (unsigned levels = VTD_LEVELS_MAX; levels >= VTD_LEVELS_MIN; levels--)
        if (sagaw & BIT(levels - 2))
            return levels;
    return 0;
}

void vtd_common_init(void)
{
    uint64_t sagaw = CAP_SAGAW_MASK;

    vtd_common = (struct vtd_common){
        .leaf_levels = ~0u, .address_bits = 64, .domains = DOMAINS_MAX, .memory = &pt_host_memory};
    for (unsigned i = 0; i < vtd_unit_count; i++) {
        const struct vtd_unit *u = &vtd_units[i];

        sagaw &= u->cap >> CAP_SAGAW_SHIFT;
        vtd_common.leaf_levels &= unit_leaf_levels(u->cap);
        vtd_common.address_bits = MIN(vtd_common.address_bits, CAP_MGAW(u->cap));
        vtd_common.domains = MIN(vtd_common.domains, 16u << 2 * CAP_ND(u->cap));
        if (!(u->ecap & ECAP_C))
            vtd_common.memory = &incoherent_memory;
    }
    vtd_common.levels = vtd_best_levels(sagaw);
    memset(domain_ids, 0, sizeof domain_ids);
    domain_ids[0] = 1; /* number 0 is for entries that are not present (CAP.CM) */
}

/* --- domains --- */

static int take_domain_id(uint16_t *id)
{
    for (unsigned i = 1; i < vtd_common.domains; i++) {
        if (domain_ids[i / 64] & BIT(i % 64))
            continue;
        domain_ids[i / 64] |= BIT(i % 64);
        *id = (uint16_t)i;
        return 0;
    }
    return -ENOSPC;
}

static void give_domain_id_back(uint16_t id)
{
    domain_ids[id / 64] &= ~BIT(id % 64);
}

static int create_tables(struct iommu_domain *domain)
{
    if (domain->kind == IOMMU_PASS_THROUGH)
        return 0;
    if (vtd_common.levels == 0)
        return -ENOTSUP;
    return pt_create(&domain->pt, vtd_format(vtd_common.levels), vtd_common.memory,
                     vtd_common.leaf_levels);
}

int vtd_domain_create(const char *owner, enum iommu_domain_kind kind, struct iommu_domain **domain)
{
    struct iommu_domain *d = heap_alloc(sizeof *d);
    int error;

    if (!d)
        return -ENOMEM;
    (void)format_text(d->owner, sizeof d->owner, "%s", owner);
    d->kind = kind;
    error = take_domain_id(&d->id);
    if (error)
        goto free_domain;
    error = create_tables(d);
    if (error)
        goto free_id;
    *domain = d;
    return 0;

free_id:
    give_domain_id_back(d->id);
free_domain:
    heap_free(d);
    return error;
}

void vtd_domain_destroy(struct iommu_domain *domain)
{
    for (unsigned i = 0; i < vtd_unit_count; i++)
        ASSERT(!vtd_is_used_on(domain, &vtd_units[i]));
    if (domain->kind == IOMMU_TRANSLATED)
        pt_destroy(&domain->pt);
    give_domain_id_back(domain->id);
    heap_free(domain);
}

/* --- mapping --- */

static int flush_everywhere(const struct iommu_domain *domain)
{
    int error = 0;

    for (unsigned i = 0; i < vtd_unit_count; i++)
        if (vtd_is_used_on(domain, &vtd_units[i]) &&
            vtd_flush_domain(&vtd_units[i], domain->id) != 0)
            error = -EIO;
    return error;
}

/* Tables that a unit may still walk are kept if it does not answer: a leak, but no hole. */
static int flush_stale(struct iommu_domain *domain)
{
    int error = flush_everywhere(domain);

    if (!error)
        pt_flushed(&domain->pt);
    return error;
}

/* What was absent and is now present must be made known where such is cached or stored late. */
static int announce(const struct iommu_domain *domain)
{
    int error = 0;

    for (unsigned i = 0; i < vtd_unit_count; i++) {
        struct vtd_unit *u = &vtd_units[i];

        if (!vtd_is_used_on(domain, u))
            continue;
        error = vtd_flush_writes(u) ? -EIO : error;
        if (u->cap & CAP_CM)
            error = vtd_flush_domain(u, domain->id) ? -EIO : error;
    }
    return error;
}

int vtd_map(struct iommu_domain *domain, uint64_t iova, hpa_t hpa, uint64_t size,
            unsigned attributes)
{
    uint64_t limit = vtd_common.address_bits < 64 ? BIT(vtd_common.address_bits) : UINT64_MAX;
    int error;

    if (domain->kind != IOMMU_TRANSLATED || !range_fits(iova, size, limit))
        return -EINVAL;
    error = pt_map(&domain->pt, iova, hpa, size, attributes);
    if (domain->pt.is_stale && flush_stale(domain) != 0)
        return -EIO;
    return error ? error : announce(domain);
}

int vtd_unmap(struct iommu_domain *domain, uint64_t iova, uint64_t size)
{
    int error;

    if (domain->kind != IOMMU_TRANSLATED)
        return -EINVAL;
    error = pt_unmap(&domain->pt, iova, size);
    if (domain->pt.is_stale && flush_stale(domain) != 0)
        return -EIO;
    return error;
}
