/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The only door to guest memory: every guest-physical address that the hypervisor follows is
 * checked here, once. A guest changes its memory while we read it, so callers copy out first and
 * decide on the copy.
 */
#ifndef KERNEL_GUEST_MEM_H
#define KERNEL_GUEST_MEM_H

#include "kernel/lib/types.h"

#define GUEST_MEM_SLOTS_MAX 16

struct guest_mem_slot {
    gpa_t base;
    uint64_t size; /* bytes, page-aligned like base */
    uint8_t *host; /* where the hypervisor sees it */
};

struct guest_mem {
    struct guest_mem_slot slots[GUEST_MEM_SLOTS_MAX]; /* by ascending base; they do not overlap */
    unsigned count;
};

/* -EEXIST: overlaps a slot; -ENOSPC: full; -EINVAL: misaligned, empty or wrapping. */
MUST_CHECK int guest_mem_add(struct guest_mem *mem, gpa_t base, uint64_t size, void *host);

/* The slot that address lies in, or NULL: for who follows many addresses in a row. */
static inline const struct guest_mem_slot *guest_mem_find_slot(const struct guest_mem *mem,
                                                               gpa_t address)
{
    for (const struct guest_mem_slot *s = mem->slots; s < mem->slots + mem->count; s++)
        if (address.value - s->base.value < s->size)
            return s;
    return NULL;
}

/* The host's view of [address, address+size), or NULL unless the whole range lies in one slot. */
void *guest_mem_at(const struct guest_mem *mem, gpa_t address, uint64_t size);

/* How many bytes from address on are in one slot (0: not RAM). */
uint64_t guest_mem_contiguous(const struct guest_mem *mem, gpa_t address);

/* Copies; the range may cross slots. -EFAULT, and nothing copied, unless every byte is RAM. */
MUST_CHECK int guest_mem_read(const struct guest_mem *mem, gpa_t address, void *to, uint64_t size);
MUST_CHECK int guest_mem_write(const struct guest_mem *mem, gpa_t address, const void *from,
                               uint64_t size);

#endif
