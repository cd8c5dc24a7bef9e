/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel/iommu.h where there is no IOMMU: nothing is confined, nothing is remapped. A device finds its guest's memory
 * only if that lies at the machine's own addresses (kernel/identity.h), and a guest that has a device can read and
 * write all memory. What is left to keep here is who has which device, for the audit.
 *
 * Invariant: a domain holds only what its devices find there anyway.
 */
#include "arch/x86/unsafe_dma.h"
#include "kernel/heap.h"
#include "kernel/identity.h"
#include "kernel/iommu.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "kernel/log.h"
#include "kernel/pt.h"

#define ATTACHMENTS_MAX 64u
#define APIC_ID_MAX     0xffu /* "Message Address Register Format": the destination has 8 bits */

struct iommu_domain {
    char owner[IOMMU_OWNER_BYTES];
};

static struct attachment {
    struct pci_address device;
    const struct iommu_domain *domain; /* NULL: the slot is free */
} attachments[ATTACHMENTS_MAX];

/* Nothing is kept of a device's interrupts, but a pointer says that it may send them. */
struct iommu_interrupts {
    unsigned count;
};

static int domain_create(const char *owner, enum iommu_domain_kind kind, struct iommu_domain **domain)
{
    (void)kind;
    *domain = heap_alloc(sizeof **domain);
    if (!*domain)
        return -ENOMEM;
    (void)format_text((*domain)->owner, sizeof (*domain)->owner, "%s", owner);
    return 0;
}

static void domain_destroy(struct iommu_domain *domain)
{
    heap_free(domain);
}

/* The first MiB is the machine's own: what a guest has there is elsewhere, and DMA to it is lost. */
static int map(struct iommu_domain *domain, uint64_t iova, hpa_t hpa, uint64_t size, unsigned attributes)
{
    (void)domain;
    (void)attributes;
    return iova == hpa.value || range_fits(iova, size, IDENTITY_BASE) ? 0 : -EINVAL;
}

static int unmap(struct iommu_domain *domain, uint64_t iova, uint64_t size)
{
    (void)domain;
    (void)iova;
    (void)size;
    return 0;
}

static struct attachment *find(struct pci_address device)
{
    for (struct attachment *a = attachments; a < attachments + ATTACHMENTS_MAX; a++)
        if (a->domain && pci_is_same(a->device, device))
            return a;
    return NULL;
}

static int attach(struct iommu_domain *domain, const struct iommu_device *device)
{
    if (find(device->address))
        return -EBUSY;
    for (struct attachment *a = attachments; a < attachments + ATTACHMENTS_MAX; a++) {
        if (a->domain)
            continue;
        *a = (struct attachment){device->address, domain};
        return 0;
    }
    return -ENOSPC;
}

static int detach(struct iommu_domain *domain, struct pci_address device)
{
    struct attachment *a = find(device);

    if (!a || a->domain != domain)
        return -ENODEV;
    a->domain = NULL;
    return 0;
}

static int audit(int (*visit)(void *context, const struct iommu_reach *reach), void *context)
{
    int result = 0;

    for (unsigned i = 0; i < ATTACHMENTS_MAX && result == 0; i++) {
        struct iommu_reach all = {.requester = attachments[i].device, .hpa = HPA(0), .size = MEMMAP_LIMIT,
                                  .attributes = PT_READ | PT_WRITE};

        if (!attachments[i].domain)
            continue;
        (void)format_text(all.owner, sizeof all.owner, "%s", attachments[i].domain->owner);
        result = visit(context, &all);
    }
    return result;
}

/* --- interrupts --- */

static bool remaps_interrupts(void)
{
    return false;
}

static int route_ioapic(uint8_t ioapic_id, unsigned input, const struct iommu_route *route, uint64_t *entry)
{
    (void)ioapic_id;
    (void)input;
    (void)route;
    (void)entry;
    return -ENODEV;
}

static int interrupts_create(struct pci_address device, unsigned count, struct iommu_interrupts **interrupts)
{
    (void)device;
    *interrupts = heap_alloc(sizeof **interrupts);
    if (!*interrupts)
        return -ENOMEM;
    (*interrupts)->count = count;
    return 0;
}

static void interrupts_destroy(struct iommu_interrupts *interrupts)
{
    heap_free(interrupts);
}

/* SDM 3A, "Message Signalled Interrupts": fixed, edge, to one CPU. Blocking is beyond what can be done here. */
static int interrupts_route(struct iommu_interrupts *interrupts, unsigned index, const struct iommu_route *route,
                            struct iommu_message *message)
{
    if (index >= interrupts->count)
        return -EINVAL;
    if (!route || route->apic_id > APIC_ID_MAX)
        return -ENOTSUP;
    *message = (struct iommu_message){0xfee00000u | route->apic_id << 12, (uint32_t)(route->vector + index)};
    return 0;
}

static void poll(void)
{
}

static const struct iommu_ops ops = {
    .name = "none",
    .confines = false,
    .domain_create = domain_create,
    .domain_destroy = domain_destroy,
    .map = map,
    .unmap = unmap,
    .attach = attach,
    .detach = detach,
    .audit = audit,
    .remaps_interrupts = remaps_interrupts,
    .route_ioapic = route_ioapic,
    .interrupts_create = interrupts_create,
    .interrupts_destroy = interrupts_destroy,
    .interrupts_route = interrupts_route,
    .poll = poll,
};

const struct iommu_ops *unsafe_dma_start(void)
{
    log_warn("iommu", "UNSAFE: unsafe_dma=1, and no IOMMU confines devices: a guest that has one can read and write "
                      "all memory");
    return &ops;
}
