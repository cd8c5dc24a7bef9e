/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which device is in which domain.
 *
 * Invariants: a device is in at most one domain; its context entry is present only while it is in
 * one; who detached a device is told so when the units' caches no longer know it.
 */
#include "arch/arch.h"
#include "arch/x86/vtd/vtd_unit.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/page.h"

#define ATTACHMENTS_MAX 256u

static struct attachment {
    struct pci_address device;
    struct iommu_domain *domain; /* NULL: the slot is free */
    struct vtd_unit *unit;
} attachments[ATTACHMENTS_MAX];
static struct lock lock; /* guards their changes: faults are decoded on any CPU */

void vtd_attach_init(void)
{
    memset(attachments, 0, sizeof attachments);
}

static struct attachment *find_attachment(struct pci_address device)
{
    for (unsigned i = 0; i < ATTACHMENTS_MAX; i++)
        if (attachments[i].domain && pci_is_same(attachments[i].device, device))
            return &attachments[i];
    return NULL;
}

static struct attachment *find_free_slot(void)
{
    for (unsigned i = 0; i < ATTACHMENTS_MAX; i++)
        if (!attachments[i].domain)
            return &attachments[i];
    return NULL;
}

static void set_attachment(struct attachment *a, struct attachment value)
{
    uint64_t flags = arch_irq_save();

    lock_acquire(&lock);
    *a = value;
    lock_release(&lock);
    arch_irq_restore(flags);
}

struct iommu_domain *vtd_domain_of(struct pci_address device)
{
    const struct attachment *a = find_attachment(device);

    return a ? a->domain : NULL;
}

/* A copy: the domain may end as soon as its devices are off the table. */
void vtd_copy_owner(struct pci_address requester, char name[IOMMU_OWNER_BYTES])
{
    const struct attachment *a;
    uint64_t flags = arch_irq_save();

    lock_acquire(&lock);
    a = find_attachment(requester);
    (void)format_text(name, IOMMU_OWNER_BYTES, "%s", a ? a->domain->owner : "");
    lock_release(&lock);
    arch_irq_restore(flags);
}

bool vtd_is_used_on(const struct iommu_domain *domain, const struct vtd_unit *unit)
{
    for (unsigned i = 0; i < ATTACHMENTS_MAX; i++)
        if (attachments[i].domain == domain && attachments[i].unit == unit)
            return true;
    return false;
}

/* --- context entries --- */

struct vtd_entry *vtd_context_find(const struct vtd_unit *unit, struct pci_address device)
{
    uint64_t root = unit->root[device.bus].low;
    struct vtd_entry *table;

    if (!(root & ROOT_P))
        return NULL;
    table = phys_to_virt(HPA(root & VTD_ADDRESS));
    return &table[device.devfn];
}

/* Tables of contexts stay: there are as many as buses. */
static int make_context(struct vtd_unit *unit, struct pci_address device, struct vtd_entry **entry)
{
    struct vtd_entry *root = &unit->root[device.bus];
    hpa_t table;
    int error;

    *entry = vtd_context_find(unit, device);
    if (*entry)
        return 0;
    error = page_alloc_zeroed(PAGE_ORDER_4K, &table);
    if (error)
        return error;
    vtd_publish(unit, phys_to_virt(table), PAGE_SIZE);
    __atomic_store_n(&root->low, vtd_root_entry(table).low, __ATOMIC_RELEASE);
    vtd_publish(unit, root, sizeof *root);
    *entry = vtd_context_find(unit, device);
    return 0;
}

/* A unit may read the entry meanwhile: it becomes present last, and absent first. */
static int store_context(struct vtd_unit *unit, struct vtd_entry *entry, struct vtd_entry value,
                         uint16_t domain_id)
{
    int error;

    if (value.low & CONTEXT_P)
        WRITE_ONCE(entry->high, value.high);
    __atomic_store_n(&entry->low, value.low, __ATOMIC_RELEASE);
    vtd_publish(unit, entry, sizeof *entry);
    error = vtd_flush_writes(unit);
    if (!error)
        error = vtd_flush_contexts(unit);
    if (!error)
        error = vtd_flush_domain(unit, domain_id);
    return error;
}

static bool can_walk(const struct vtd_unit *unit, const struct iommu_domain *domain)
{
    return domain->kind == IOMMU_TRANSLATED || (unit->ecap & ECAP_PT);
}

static int enter_context(struct iommu_domain *domain, struct vtd_unit *unit,
                         struct pci_address device)
{
    unsigned levels = domain->kind == IOMMU_TRANSLATED
                          ? domain->pt.format->levels
                          : vtd_best_levels(unit->cap >> CAP_SAGAW_SHIFT);
    struct vtd_entry *entry;
    int error = make_context(unit, device, &entry);

    if (error)
        return error;
    return store_context(unit, entry,
                         vtd_context_entry(domain->kind, domain->pt.root, levels, domain->id),
                         domain->id);
}

static int leave_context(const struct attachment *a)
{
    return store_context(a->unit, vtd_context_find(a->unit, a->device), (struct vtd_entry){0, 0},
                         a->domain->id);
}

/* --- what callers see --- */

static int enter(struct iommu_domain *domain, struct vtd_unit *unit, struct pci_address device)
{
    struct attachment *a = find_free_slot();
    int error;

    if (!a)
        return -ENOSPC;
    set_attachment(a, (struct attachment){device, domain, unit});
    error = enter_context(domain, unit, device);
    if (error && (!vtd_context_find(unit, device) || leave_context(a) == 0))
        set_attachment(a, (struct attachment){.domain = NULL});
    return error;
}

int vtd_attach(struct iommu_domain *domain, const struct iommu_device *device)
{
    struct vtd_unit *unit = vtd_find_unit(device->address);
    int error;

    if (!unit)
        return -ENODEV;
    if (!can_walk(unit, domain))
        return -ENOTSUP;
    error = vtd_take_from_firmware(device);
    if (error)
        return error;
    if (find_attachment(device->address))
        return -EBUSY;
    vtd_fault_forget(device->address);
    return enter(domain, unit, device->address);
}

int vtd_detach(struct iommu_domain *domain, struct pci_address device)
{
    struct attachment *a = find_attachment(device);
    int error;

    if (!a || a->domain != domain)
        return -ENODEV;
    error = leave_context(a);
    if (!error)
        set_attachment(a, (struct attachment){.domain = NULL});
    return error;
}
