/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Do devices reach exactly what they should? What the IOMMU's audit reads back from the hardware is compared with the
 * memory of the guest that has the device: nothing else may be there, and nothing may be missing.
 */
#include "arch/arch.h"
#include "kernel/guest_mem.h"
#include "kernel/iommu.h"
#include "kernel/lib/errno.h"
#include "kernel/log.h"
#include "kernel/pt.h"

/* SDM 3A, "Message Signalled Interrupts": what a device writes here is an interrupt, and never memory. */
#define MESSAGES_BASE  UINT64_C(0xfee00000)
#define MESSAGES_BYTES MIB(1)

struct check {
    const struct guest_mem *(*memory_of)(struct pci_address requester);
    struct pci_address device; /* that the last ranges were of */
    const struct guest_mem *mem;
    uint64_t missing; /* bytes of its guest's memory */
    unsigned devices; /* of guests */
    bool has_begun;
};

static uint64_t total_bytes(const struct guest_mem *mem)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < mem->count; i++)
        total += mem->slots[i].size;
    return total;
}

/* Is it the memory that the guest has there? It may lie in several slots, which are apart for the host. */
static bool is_guests(const struct guest_mem *mem, const struct iommu_reach *r)
{
    for (uint64_t done = 0, piece; done < r->size; done += piece) {
        const void *at;

        piece = r->size - done;
        at = guest_mem_piece(mem, GPA(r->iova + done), &piece);
        if (!at || virt_to_phys(at).value != r->hpa.value + done)
            return false;
    }
    return true;
}

static const char *what_is_wrong(const struct check *c, const struct iommu_reach *r)
{
    if (ranges_overlap(r->iova, r->size, MESSAGES_BASE, MESSAGES_BYTES))
        return "lies where interrupts are";
    if (r->is_firmwares)
        return NULL;
    if (!c->mem)
        return "is given to nobody";
    return is_guests(c->mem, r) ? NULL : "is not its guest's memory";
}

static int end_device(const struct check *c)
{
    if (c->missing == 0)
        return 0;
    log_error("iommu", "audit: " PCI_ADDRESS_FORMAT " misses %llu KiB of its guest's memory",
              PCI_ADDRESS_ARGS(c->device), (unsigned long long)c->missing >> 10);
    return -EFAULT;
}

static void begin_device(struct check *c, struct pci_address device)
{
    c->device = device;
    c->mem = c->memory_of(device);
    c->missing = c->mem ? total_bytes(c->mem) : 0;
    c->devices += c->mem != NULL;
    c->has_begun = true;
}

static int check_reach(void *context, const struct iommu_reach *r)
{
    struct check *c = context;
    const char *wrong;

    if (!c->has_begun || !pci_is_same(c->device, r->requester)) {
        if (end_device(c) != 0)
            return -EFAULT;
        begin_device(c, r->requester);
    }
    wrong = what_is_wrong(c, r);
    if (!wrong) {
        c->missing -= c->mem ? r->size : 0;
        return 0;
    }
    log_error("iommu", "audit: " PCI_ADDRESS_FORMAT " reaches %#llx-%#llx at %#llx, which %s",
              PCI_ADDRESS_ARGS(r->requester), (unsigned long long)r->hpa.value,
              (unsigned long long)(r->hpa.value + r->size - 1), (unsigned long long)r->iova, wrong);
    return -EFAULT;
}

int iommu_check(const struct guest_mem *(*memory_of)(struct pci_address requester), unsigned *devices)
{
    struct check c = {.memory_of = memory_of};
    int error;

    if (!iommu_ops || !iommu_ops->confines)
        return -ENODEV;
    error = iommu_ops->audit(check_reach, &c);
    if (!error)
        error = end_device(&c);
    *devices = c.devices;
    return error;
}
