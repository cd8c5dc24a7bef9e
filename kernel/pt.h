/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables: one walker and editor for every format that hardware walks (the host's own paging,
 * the second level of guests, I/O). A format says how an entry looks; this says how tables are
 * changed.
 *
 * Hardware may walk the tables while they change: every entry is written by one 64-bit store, and
 * after each store every address translates as before or as asked for. Changes to one struct pt are
 * serialised by its owner.
 */
#ifndef KERNEL_PT_H
#define KERNEL_PT_H

#include "kernel/lib/types.h"

#define PT_INDEX_BITS   9u /* of an address, at each level of every format */
#define PT_ENTRIES      512u
#define PT_HPA_LIMIT    BIT(52) /* no format has room for more */
#define PT_LEVELS_MAX   5u
#define PT_IGNORED_BITS 5u

/* What a mapping allows and how it is cached, or'ed. A format leaves out what it cannot express. */
#define PT_READ     0x01u /* always: what cannot be read is not mapped */
#define PT_WRITE    0x02u
#define PT_EXEC     0x04u
#define PT_USER     0x08u
#define PT_GLOBAL   0x10u
#define PT_UNCACHED 0x20u /* for devices; else write-back */

/* Levels whose entries may map a page, or'ed. Level 1 is the lowest. */
#define PT_LEAF(level) (1u << (level))
#define PT_LEAF_4K     PT_LEAF(1)
#define PT_LEAF_2M     PT_LEAF(2)
#define PT_LEAF_1G     PT_LEAF(3)

struct pt_format {
    const char *name;
    unsigned levels;       /* the root's level */
    unsigned leaf_levels;  /* PT_LEAF_…: all that the format knows */
    bool is_sign_extended; /* addresses are canonical, with a hole in the middle */
    /* Hardware ignores PT_IGNORED_BITS bits from this one on, in an entry of any kind. */
    unsigned ignored_shift;
    uint64_t (*encode_leaf)(unsigned level, hpa_t page, unsigned attributes);
    uint64_t (*encode_table)(hpa_t table);
    bool (*is_present)(uint64_t entry);
    bool (*is_leaf)(unsigned level, uint64_t entry);  /* of a present one */
    hpa_t (*address)(unsigned level, uint64_t entry); /* of a present one: the page or the table */
    unsigned (*attributes)(unsigned level, uint64_t entry); /* of a leaf */
};

/* Where tables live. store() makes an entry visible to the hardware that walks, as one 64-bit
 * write. */
struct pt_memory {
    int (*alloc)(hpa_t *table); /* a zeroed page, or -ENOMEM */
    void (*free)(hpa_t table);
    void *(*to_virtual)(hpa_t table);
    void (*store)(uint64_t *entry, uint64_t value);
};

/* Tables in the page allocator's memory, walked by hardware that is coherent with our caches. */
extern const struct pt_memory pt_host_memory;

struct pt {
    const struct pt_format *format;
    const struct pt_memory *memory;
    unsigned leaf_levels;
    hpa_t root;
    uint64_t table_pages; /* with the root and the retired ones */
    /*
     * Hardware may hold translations that the tables no longer give. Who changes tables that are in
     * use flushes every CPU concerned then, and calls pt_flushed().
     */
    bool is_stale;
    hpa_t retired; /* unhooked tables, linked: hardware may still walk them until it is flushed */
};

struct pt_mapping {
    uint64_t virt;
    hpa_t hpa;
    uint64_t size; /* of the page */
    unsigned attributes;
};

/* leaf_levels: those that this CPU has; PT_LEAF_4K is one of them. -ENOMEM */
MUST_CHECK int pt_create(struct pt *pt, const struct pt_format *format,
                         const struct pt_memory *memory, unsigned leaf_levels);

/* No hardware uses the tables any more. */
void pt_destroy(struct pt *pt);

/*
 * The three editors take whole 4 KiB pages, do all or nothing, and split and merge large pages as
 * needed. -EINVAL: the range is empty or misaligned, or the format cannot express it; -ENOMEM.
 */

/*
 * In the largest pages that fit; -EEXIST: something is mapped there. Nothing becomes stale, unless
 * it fails or makes small pages one large page.
 */
MUST_CHECK int pt_map(struct pt *pt, uint64_t virt, hpa_t hpa, uint64_t size, unsigned attributes);
/* Of what is not mapped, nothing changes. */
MUST_CHECK int pt_unmap(struct pt *pt, uint64_t virt, uint64_t size);
MUST_CHECK int pt_protect(struct pt *pt, uint64_t virt, uint64_t size, unsigned attributes);

/* Hardware has been flushed since the last change: frees the tables that it might have walked. */
void pt_flushed(struct pt *pt);

/* The page that virt lies in; whether there is one. */
bool pt_lookup(const struct pt *pt, uint64_t virt, struct pt_mapping *page);

/*
 * Calls visit for each page that is mapped, by ascending table index, until it returns non-zero;
 * returns that, or 0. For audits: visit changes nothing.
 */
int pt_visit(struct pt *pt, int (*visit)(const struct pt_mapping *page, void *context),
             void *context);

#endif
