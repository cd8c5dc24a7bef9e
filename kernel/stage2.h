/* SPDX-License-Identifier: BSD-2-Clause */
/* The seam to second-level translation: guest-physical to host-physical, in the engine's format. */
#ifndef KERNEL_STAGE2_H
#define KERNEL_STAGE2_H

#include "kernel/lib/types.h"

struct pt;
struct pt_format;

/* Chosen once at boot, with the engine. */
struct stage2_ops {
    const struct pt_format *format;
    unsigned (*leaf_levels)(void); /* PT_LEAF_* that this machine has, and the command line allows */
};

extern const struct stage2_ops *stage2_ops;

/* -ENOMEM */
MUST_CHECK int stage2_create(struct pt *pt);
void stage2_destroy(struct pt *pt);

/* Gives the guest [hpa, +size) at gpa: read, write, execute. Nothing to flush. -ENOMEM */
MUST_CHECK int stage2_map(struct pt *pt, gpa_t gpa, hpa_t hpa, uint64_t size);

/* Gives the guest memory that is not its own: read and write, no code. Also while the VM runs. */
MUST_CHECK int stage2_map_shared(struct pt *pt, gpa_t gpa, hpa_t hpa, uint64_t size);

/*
 * Gives the guest a device's registers: read and write, uncached. Also while the VM runs; a guest whose device moved
 * may reach it where it was until its translations are flushed.
 */
MUST_CHECK int stage2_map_device(struct pt *pt, gpa_t gpa, hpa_t hpa, uint64_t size);

/* Takes it away. The memory may be used for something else when every CPU that ran the VM has been flushed. -ENOMEM */
MUST_CHECK int stage2_unmap(struct pt *pt, gpa_t gpa, uint64_t size);

#endif
