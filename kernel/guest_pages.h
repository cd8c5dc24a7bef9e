/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that a running guest gives back, and takes again. The second-level tables are the one record of what the guest
 * has: a page of its RAM that they do not map is missing, and is made, zeroed, when the guest or a device of it asks.
 *
 * What is given back is still in TLBs, and in the hands of devices, until every CPU has come through its loop and
 * flushed. Until then it is in limbo; then it is the page allocator's, and so another VM's.
 *
 * Any CPU may call, under any lock but the allocators'. Looking up takes no lock: tables are freed after such a flush, too.
 */
#ifndef KERNEL_GUEST_PAGES_H
#define KERNEL_GUEST_PAGES_H

#include "kernel/guest_mem.h"
#include "kernel/lib/lock.h"

/* Extents that may wait for a flush at a time. */
#define GUEST_PAGES_LIMBO_MAX 256u
/* Pieces of memory that are looked at between two flushes, so that naming what is not there costs no more than what is. */
#define GUEST_PAGES_LOOKS_MAX 256u

struct pt;

struct guest_pages {
    struct guest_mem *mem;
    struct pt *pt;
    struct lock lock; /* guards what follows, and changes of the tables */
    /* The pool is empty and the guest needs a page that it had given back. Any CPU, more than once. */
    void (*exhausted)(void *context);
    void *context;
    uint64_t missing;       /* pages of its RAM that the guest does not have now */
    unsigned looks;         /* since the last flush */
    unsigned limbo_count;
    bool is_flushing;       /* limbo does not grow meanwhile */
    struct guest_pages_extent {
        hpa_t start;
        uint64_t pages;
    } limbo[GUEST_PAGES_LIMBO_MAX];
};

/* mem has all its slots, each one block of the page allocator's, and pt maps them. */
void guest_pages_init(struct guest_pages *gp, struct guest_mem *mem, struct pt *pt);

/* False: nothing can be released before the next flush is over; begin() is one even if it says that there is nothing to do. */
bool guest_pages_has_room(const struct guest_pages *gp);

/* Takes from the guest what it has of [address, +size), page by page, as far as there is room; says how many pages, and in
 * *done how many bytes it has seen to. */
uint64_t guest_pages_release(struct guest_pages *gp, gpa_t address, uint64_t size, uint64_t *done);

/* Makes sure that the guest has that page. -EFAULT: it is no RAM; -ENOMEM: none is free. */
MUST_CHECK int guest_pages_restore(struct guest_pages *gp, gpa_t address);

/* Where the byte is; NULL: the page is missing, or no RAM. */
uint8_t *guest_pages_find(const struct guest_pages *gp, gpa_t address);
/* The same, but a missing page is made. NULL: no RAM, or none is free, and exhausted() was called. */
uint8_t *guest_pages_at(struct guest_pages *gp, gpa_t address);

/*
 * A flush, by one caller at a time: begin; make every vCPU flush before it runs again; wait until every CPU has come
 * through its loop; end; free until nothing is left. begin: is there anything to do? end: false if the tables have
 * changed meanwhile: begin anew.
 */
bool guest_pages_begin_flush(struct guest_pages *gp);
MUST_CHECK bool guest_pages_end_flush(struct guest_pages *gp);
/* Frees some of what was in limbo; returns whether there is more. */
bool guest_pages_free_flushed(struct guest_pages *gp);

/* The VM is gone. Frees some of its memory, from *next on, which starts at 0; returns whether there is more. */
bool guest_pages_free_all(struct guest_pages *gp, uint64_t *next);

#endif
