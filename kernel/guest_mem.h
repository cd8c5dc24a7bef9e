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

struct guest_pages;

struct guest_mem_slot {
    gpa_t base;
    uint64_t size; /* bytes, page-aligned like base */
    uint8_t *host; /* where the hypervisor sees it */
    /* The guest has given some of it back: where a page is, and whether there is one, is guest_pages.h's to say. */
    bool is_scattered;
};

/*
 * A pointer into guest memory is good until the CPU comes through its loop the next time (sched_synchronize): then
 * the guest may have given the page back. What stays longer, as a ring does, is kept by the guest: see virtio_device_uses().
 */
struct guest_mem {
    struct guest_mem_slot slots[GUEST_MEM_SLOTS_MAX]; /* by ascending base; they do not overlap */
    unsigned count;
    bool is_scattered;         /* some slot is */
    struct guest_pages *pages; /* for scattered slots; NULL: the guest gives nothing back */
};

/* -EEXIST: overlaps a slot; -ENOSPC: full; -EINVAL: misaligned, empty or wrapping. */
MUST_CHECK int guest_mem_add(struct guest_mem *mem, gpa_t base, uint64_t size, void *host);

/* Of guest_mem_in_slot() alone. */
uint8_t *guest_mem_scattered(const struct guest_mem *mem, gpa_t address);

/* The slot that address lies in, or NULL: for who follows many addresses in a row. */
static inline const struct guest_mem_slot *guest_mem_find_slot(const struct guest_mem *mem,
                                                               gpa_t address)
{
    for (const struct guest_mem_slot *s = mem->slots; s < mem->slots + mem->count; s++)
        if (address.value - s->base.value < s->size)
            return s;
    return NULL;
}

/* The host's view of the byte at address, which lies in that slot. NULL: it was given back, and there is no page for it. */
static inline uint8_t *guest_mem_in_slot(const struct guest_mem *mem, const struct guest_mem_slot *slot, gpa_t address)
{
    if (unlikely(READ_ONCE(slot->is_scattered)))
        return guest_mem_scattered(mem, address);
    return slot->host + (address.value - slot->base.value);
}

/* The host's view of [address, address+size), or NULL unless the whole range is in one piece there. */
void *guest_mem_at(const struct guest_mem *mem, gpa_t address, uint64_t size);

/* The same for the beginning of the range: *size becomes how much of it is in one piece. NULL, and 0: address is not RAM. */
void *guest_mem_piece(const struct guest_mem *mem, gpa_t address, uint64_t *size);

/*
 * Copies; the range may cross slots. -EFAULT, and nothing copied, unless every byte is RAM; a part of it if the guest
 * gives the other part back meanwhile.
 */
MUST_CHECK int guest_mem_read(const struct guest_mem *mem, gpa_t address, void *to, uint64_t size);
MUST_CHECK int guest_mem_write(const struct guest_mem *mem, gpa_t address, const void *from,
                               uint64_t size);

#endif
