/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The seam to the IOMMU: which memory a device reaches, and which interrupts it may send. A device
 * that is attached to no domain reaches nothing. Chosen once at boot; iommu_ops is NULL where there
 * is none that can be trusted.
 *
 * Boot CPU only, but for poll() and what is marked otherwise: VMs are built and destroyed there.
 */
#ifndef KERNEL_IOMMU_H
#define KERNEL_IOMMU_H

#include "kernel/pci_address.h"

struct guest_mem;
struct iommu_domain;     /* the driver's: an address space for devices */
struct iommu_interrupts; /* the driver's: interrupts that one device may send */

#define IOMMU_OWNER_BYTES 32u /* what is kept of an owner's name */

enum iommu_domain_kind {
    IOMMU_TRANSLATED,   /* reaches what is mapped, at first nothing */
    IOMMU_PASS_THROUGH, /* reaches all memory: for a device that the hypervisor itself trusts */
};

struct iommu_device {
    struct pci_address address;
    /*
     * Firmware needs its reserved memory only until somebody drives the device (USB controllers,
     * displays). Else a device with such memory is in nobody's gift.
     */
    bool firmware_lets_go;
};

/* A device may write, and read, [hpa, +size) at iova. */
struct iommu_reach {
    struct pci_address requester;
    char owner[IOMMU_OWNER_BYTES]; /* "": nobody's */
    bool is_firmwares; /* what firmware declared that it needs; the driver has looked at it */
    uint64_t iova;
    hpa_t hpa;
    uint64_t size;
    unsigned attributes; /* PT_READ, PT_WRITE */
};

/* What was refused, in one place for the log and for who decides about the device. */
struct iommu_fault {
    struct pci_address requester;
    char owner[IOMMU_OWNER_BYTES]; /* the domain's, which may end at any moment; "": nobody's */
    uint64_t address;  /* of the memory access; the index of an interrupt */
    bool is_interrupt, is_write;
    const char *reason;
    bool is_final; /* the device has done it too often: it is to be silenced */
};

struct iommu_route {
    uint32_t apic_id;
    uint8_t vector;
    bool is_level;
};

/* What a device writes to memory to interrupt. */
struct iommu_message {
    uint64_t address;
    uint32_t data;
};

struct iommu_ops {
    const char *name;
    /*
     * False: it only plays one (unsafe_dma=1). A device reaches all memory at its own addresses, whatever is mapped;
     * map() takes only what lies there anyway.
     */
    bool confines;

    /* owner: for log lines. -ENOMEM, -ENOSPC, -ENOTSUP */
    int (*domain_create)(const char *owner, enum iommu_domain_kind kind,
                         struct iommu_domain **domain);
    /* No device is attached. */
    void (*domain_destroy)(struct iommu_domain *domain);

    /* Whole pages; attributes: PT_READ, PT_WRITE. -EEXIST, -EINVAL, -ENOMEM */
    int (*map)(struct iommu_domain *domain, uint64_t iova, hpa_t hpa, uint64_t size,
               unsigned attributes);
    /* When it returns, no device reaches it any more; -EIO: the IOMMU does not answer, and some
     * may. */
    int (*unmap)(struct iommu_domain *domain, uint64_t iova, uint64_t size);

    /*
     * -ENODEV: no IOMMU sees the device; -EBUSY: it is attached, or firmware does not let go of it;
     * -ENOTSUP: its IOMMU cannot walk the domain's tables; -ENOMEM, -EIO.
     */
    int (*attach)(struct iommu_domain *domain, const struct iommu_device *device);
    /*
     * When it returns 0, the device reaches nothing. -EIO: the IOMMU does not answer; the device
     * stays attached, and what it reached must not be used for anything else.
     */
    int (*detach)(struct iommu_domain *domain, struct pci_address device);

    /*
     * Reads registers and tables back: calls visit for each range that any device reaches, until it
     * returns non-zero; returns that, or 0. -EIO: a register does not hold what we wrote.
     */
    int (*audit)(int (*visit)(void *context, const struct iommu_reach *reach), void *context);

    /* False: a device can send any interrupt to any CPU. The next four are for who asked. */
    bool (*remaps_interrupts)(void);
    /* The entry of an IOAPIC's input. -ENODEV: no IOMMU sees the IOAPIC; -ENOSPC, -EIO */
    int (*route_ioapic)(uint8_t ioapic_id, unsigned input, const struct iommu_route *route,
                        uint64_t *entry);
    /* count is a power of two, up to 32 for MSI; -ENODEV, -ENOMEM, -ENOSPC */
    int (*interrupts_create)(struct pci_address device, unsigned count,
                             struct iommu_interrupts **interrupts);
    void (*interrupts_destroy)(struct iommu_interrupts *interrupts);
    /* Routes one of them (NULL: blocks it) and says what the device is to write. Any CPU. -EIO */
    int (*interrupts_route)(struct iommu_interrupts *interrupts, unsigned index,
                            const struct iommu_route *route, struct iommu_message *message);

    /* Looks for faults that no interrupt told of; any CPU, ten times a second or so. */
    void (*poll)(void);
};

extern const struct iommu_ops *iommu_ops;

/* Called for each fault that is worth it, interrupts off, on any CPU; the driver has logged it. */
extern void (*iommu_on_fault)(const struct iommu_fault *fault);

/* Maps all of a guest's memory where the guest sees it, or nothing. As map(). */
MUST_CHECK int iommu_map_guest(struct iommu_domain *domain, const struct guest_mem *mem);

/*
 * Reads back what devices reach and compares: *devices of guests reach all memory of theirs and nothing else. memory_of()
 * says what that is, or NULL. -EFAULT: one reaches more, or less, and a line says which; -ENODEV: nothing confines them;
 * -EIO as audit().
 */
MUST_CHECK int iommu_check(const struct guest_mem *(*memory_of)(struct pci_address requester), unsigned *devices);

/* A line for each range that a device reaches; for the shell. As audit(). */
int iommu_list(void (*put_line)(void *context, const char *text), void *context);

#endif
