/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical pages, in blocks of 2^order pages that are aligned to their size: guests get their
 * memory in extents that the largest pages can map. Pages below 1 MiB are kept apart, for what must
 * lie there (the start-up code of application processors).
 *
 * Freeing what is not allocated, or by another order, is a bug of ours and panics. Any CPU may
 * call, but not from an interrupt handler: one lock, the innermost of all, is held without masking
 * interrupts.
 */
#ifndef KERNEL_PAGE_H
#define KERNEL_PAGE_H

#include "kernel/lib/types.h"

#define PAGE_ORDER_4K  0u
#define PAGE_ORDER_2M  9u
#define PAGE_ORDER_1G  18u
#define PAGE_ORDER_MAX PAGE_ORDER_1G

struct page_stats {
    uint64_t total_pages; /* that can be allocated, without the low ones */
    uint64_t free_pages;
    uint64_t free_blocks[PAGE_ORDER_MAX + 1]; /* by order */
    uint64_t low_total_pages, low_free_pages; /* below 1 MiB */
};

/* Forgets everything: no memory at all until ranges are added. */
void page_init(void);

/*
 * Gives away [start, start+size), shrunk to whole pages; it must be in the direct map already. The
 * allocator's notes, a byte a page, are carved from the range. Blocks never span two ranges, so
 * neighbouring memory is best added in one piece.
 * -EINVAL: wraps around; -EEXIST: overlaps an earlier range; -ENOSPC: too many ranges.
 */
MUST_CHECK int page_add_range(hpa_t start, uint64_t size_bytes);

/* -ENOMEM: no block that large is left. The content is what the last owner left, or zeroes. */
MUST_CHECK int page_alloc(unsigned order, hpa_t *block);
MUST_CHECK int page_alloc_zeroed(unsigned order, hpa_t *block);

/* One page below 1 MiB, never page 0; freed by page_free() with order 0. */
MUST_CHECK int page_alloc_low(hpa_t *page);

/* That very page, as if page_alloc(0) had given it. -EBUSY: it is not free, or no page of ours above 1 MiB. */
MUST_CHECK int page_take(hpa_t page);

void page_free(hpa_t block, unsigned order);

/* What was allocated as one block is from now on blocks of one page each, to be freed one by one. */
void page_split(hpa_t block, unsigned order);

/* An allocated block is a guest's from now on, until it is freed: what no mark is on is the hypervisor's own. */
void page_mark_guests(hpa_t block, unsigned order);
/* Is every page of it in an allocated block with that mark? For audits. */
bool page_is_guests(hpa_t start, uint64_t size_bytes);

/* No page that can be allocated lies here or above. */
hpa_t page_end(void);

void page_get_stats(struct page_stats *stats);

/*
 * For tests: of all allocations from now on, here and on the heap, the number-th (from 1) finds no memory, and so do those
 * behind it until `times` have failed. 0: none, whatever was asked for before.
 */
void page_fail(unsigned number, unsigned times);
/* How many allocations are still to come before the first that fails; 0: it has failed, or none is to. */
unsigned page_fails_in(void);
/* Is this one of those? The heap's part of it. */
bool page_is_to_fail(void);

/* The smallest order whose block holds size_bytes; more than PAGE_ORDER_MAX if there is none. */
static inline unsigned page_order_for(uint64_t size_bytes)
{
    unsigned order = 0;

    while (order <= PAGE_ORDER_MAX && (PAGE_SIZE << order) < size_bytes)
        order++;
    return order;
}

#endif
