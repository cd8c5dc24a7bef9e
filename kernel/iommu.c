/* SPDX-License-Identifier: BSD-2-Clause */
/* What is the same with every IOMMU. */
#include "kernel/iommu.h"
#include "arch/arch.h"
#include "kernel/guest_mem.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "kernel/log.h"
#include "kernel/pt.h"

#define LINE_BYTES 160u

const struct iommu_ops *iommu_ops;
void (*iommu_on_fault)(const struct iommu_fault *fault);

int iommu_map_guest(struct iommu_domain *domain, const struct guest_mem *mem)
{
    int error = 0;
    unsigned done = 0;

    for (; done < mem->count && !error; done++) {
        const struct guest_mem_slot *s = &mem->slots[done];

        error = iommu_ops->map(domain, s->base.value, virt_to_phys(s->host), s->size,
                               PT_READ | PT_WRITE);
    }
    if (!error)
        return 0;
    for (done--; done > 0; done--) {
        const struct guest_mem_slot *s = &mem->slots[done - 1];

        if (iommu_ops->unmap(domain, s->base.value, s->size) != 0)
            log_error("iommu", "cannot take back what was mapped at %#llx",
                      (unsigned long long)s->base.value);
    }
    return error;
}

struct listing {
    void (*put_line)(void *context, const char *text);
    void *context;
};

static int list_reach(void *context, const struct iommu_reach *r)
{
    const struct listing *listing = context;
    char line[LINE_BYTES];

    (void)format_text(
        line, sizeof line, PCI_ADDRESS_FORMAT " (%s) %c%c %#llx-%#llx is memory at %#llx",
        PCI_ADDRESS_ARGS(r->requester), r->owner[0] ? r->owner : "nobody", r->attributes & PT_READ ? 'r' : '-',
        r->attributes & PT_WRITE ? 'w' : '-', (unsigned long long)r->iova,
        (unsigned long long)(r->iova + r->size - 1), (unsigned long long)r->hpa.value);
    listing->put_line(listing->context, line);
    return 0;
}

int iommu_list(void (*put_line)(void *context, const char *text), void *context)
{
    struct listing listing = {put_line, context};

    return iommu_ops ? iommu_ops->audit(list_reach, &listing) : -ENODEV;
}
