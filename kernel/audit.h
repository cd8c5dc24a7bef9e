/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks whether every VM has what is its own and nothing else, from what hardware reads: second-level tables, permission
 * bitmaps, the IOMMU's tables. It believes the page allocator's marks, the VMs' descriptions and the policy's rows.
 *
 * Control thread. VMs may run: their tables are read as hardware reads them. Bitmaps are looked at where the VM holds still.
 */
#ifndef KERNEL_AUDIT_H
#define KERNEL_AUDIT_H

#include "kernel/pt.h"

struct vm;

/* Is that a device's memory which the VM was given, or a region that it shares? From its description, not from its tables. */
typedef bool audit_given_fn(const struct vm *vm, const struct pt_mapping *page);

struct audit {
    audit_given_fn *is_given; /* NULL: nobody has any */
    bool (*is_port_given)(const struct vm *vm, uint16_t port); /* likewise */
    void (*report)(void *context, const char *text); /* of a violation, the first few */
    void *context;

    unsigned vms;
    uint64_t pages, bits; /* 4 KiB pages that are mapped, bits of bitmaps */
    unsigned violations;

    /* A bit for each page of the machine that some VM has; for audit.c. */
    uint64_t *claims;
    uint64_t claimable;
    unsigned order;
    const struct vm *vm;
};

/* -ENOMEM */
MUST_CHECK int audit_begin(struct audit *a);
void audit_vm(struct audit *a, const struct vm *vm, bool is_still);
/* What devices reach; find says which VM has that name, or NULL. -EIO: the IOMMU does not hold what was written. */
MUST_CHECK int audit_iommu(struct audit *a, const struct vm *(*find)(const char *name));
void audit_end(struct audit *a);

/* "N VMs, P pages, B bitmap bits: ok", or the number of violations. */
void audit_format(const struct audit *a, char *text, size_t size);

#endif
