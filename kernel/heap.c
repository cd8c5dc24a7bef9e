/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slabs: a page of objects of one size behind a header that knows which of them are free. Larger
 * objects have page blocks of their own behind the same header, zeroed when they are allocated.
 *
 * Invariants: a free object of a slab is all zeroes, so that an allocation has nothing to clear and every
 * write after free is noticed; the books lie in the header, never in a free object; a class's list
 * holds the slabs that have both used and free objects, because full ones cannot serve and empty
 * ones are given back.
 */
#include "kernel/heap.h"
#include "kernel/page.h"
#include "arch/arch.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"

#define HEADER_BYTES 64u /* a cache line, so that objects of such sizes stay aligned */
#define SLAB_BYTES   ((unsigned)PAGE_SIZE - HEADER_BYTES)
#define OBJECT_MIN   16u
#define BITMAP_WORDS 4
#define HEADER_MAGIC 0x70616568676e6972u
#define CLASS_LARGE  0xff /* one object in a block of pages */

/* Sizes that leave little of a slab unused. */
static const uint16_t class_bytes[] = {OBJECT_MIN, 32,  64,  128,  192,  256, 336,
                                       448,        576, 800, 1008, 1344, 2016};

struct header {
    uint64_t magic; /* HEADER_MAGIC ^ own address: a copied or stale page is no slab */
    struct header *next, *previous;
    uint8_t class; /* index into class_bytes, or CLASS_LARGE */
    uint8_t order; /* of the block of pages */
    uint16_t used;
    uint64_t free_map[BITMAP_WORDS]; /* bit set: that object is free */
};
_Static_assert(sizeof(struct header) <= HEADER_BYTES, "the header fits before the objects");
_Static_assert(SLAB_BYTES / OBJECT_MIN <= 64 * BITMAP_WORDS, "every object has its bit");

static struct lock heap_lock; /* guards everything below and every slab's header */
static struct header *partial[ARRAY_SIZE(class_bytes)];
static struct heap_stats totals;

void heap_init(void)
{
    heap_lock = (struct lock){0};
    memset(partial, 0, sizeof partial);
    totals = (struct heap_stats){0};
}

static uint64_t magic_of(const struct header *h)
{
    return HEADER_MAGIC ^ (uintptr_t)h;
}

static void *first_object(struct header *h)
{
    return (uint8_t *)h + HEADER_BYTES;
}

static void set_header(struct header *h, unsigned class, unsigned order)
{
    h->magic = magic_of(h);
    h->class = (uint8_t) class;
    h->order = (uint8_t)order;
}

static void give_back(struct header *h)
{
    unsigned order = h->order;

    h->magic = 0;
    totals.pages -= BIT(order);
    page_free(virt_to_phys(h), order);
}

/* --- slabs --- */

static void link_partial(struct header *h)
{
    h->previous = NULL;
    h->next = partial[h->class];
    if (h->next)
        h->next->previous = h;
    partial[h->class] = h;
}

static void unlink_partial(struct header *h)
{
    if (h->next)
        h->next->previous = h->previous;
    if (h->previous)
        h->previous->next = h->next;
    else
        partial[h->class] = h->next;
}

static unsigned slab_capacity(const struct header *h)
{
    return SLAB_BYTES / class_bytes[h->class];
}

static struct header *new_slab(unsigned class)
{
    struct header *h;
    hpa_t page;

    if (page_alloc_zeroed(PAGE_ORDER_4K, &page) != 0)
        return NULL;
    h = phys_to_virt(page);
    set_header(h, class, PAGE_ORDER_4K);
    totals.pages++;
    for (unsigned i = 0; i < slab_capacity(h); i++)
        h->free_map[i / 64] |= BIT(i % 64);
    link_partial(h);
    return h;
}

/* The slab has a free object. */
static unsigned take_free_bit(struct header *h)
{
    unsigned word = 0, bit;

    while (h->free_map[word] == 0)
        word++;
    bit = (unsigned)__builtin_ctzll(h->free_map[word]);
    h->free_map[word] &= ~BIT(bit);
    return 64 * word + bit;
}

static void check_is_wiped(const uint64_t *object, size_t size)
{
    uint64_t any = 0;

    for (size_t i = 0; i < size / sizeof *object; i++)
        any |= object[i];
    if (any != 0)
        panic("heap: object %p of %zu bytes was written to after it was freed",
              (const void *)object, size);
}

static void *alloc_small(unsigned class)
{
    struct header *h = partial[class] ? partial[class] : new_slab(class);
    uint8_t *object;

    if (!h)
        return NULL;
    object = (uint8_t *)first_object(h) + take_free_bit(h) * class_bytes[class];
    check_is_wiped((const uint64_t *)object, class_bytes[class]);
    if (++h->used == slab_capacity(h))
        unlink_partial(h);
    totals.objects++;
    totals.object_bytes += class_bytes[class];
    return object;
}

static void free_small(struct header *h, void *object)
{
    size_t size = class_bytes[h->class];
    size_t offset = (size_t)((uint8_t *)object - (uint8_t *)first_object(h));
    size_t index = offset / size;

    if (offset % size != 0 || index >= slab_capacity(h))
        panic("heap: %p is freed, but is not the start of an object", object);
    if (h->free_map[index / 64] & BIT(index % 64))
        panic("heap: %p is freed twice", object);
    memset(object, 0, size);
    h->free_map[index / 64] |= BIT(index % 64);
    totals.objects--;
    totals.object_bytes -= size;
    if (h->used-- == slab_capacity(h))
        link_partial(h);
    if (h->used == 0) {
        unlink_partial(h);
        give_back(h);
    }
}

/* --- objects with pages of their own --- */

static size_t large_bytes(const struct header *h)
{
    return (PAGE_SIZE << h->order) - HEADER_BYTES;
}

/* What takes long, zeroing, is done with no lock held. */
static void *alloc_large(size_t size_bytes)
{
    unsigned order = page_order_for(size_bytes + HEADER_BYTES);
    struct header *h;
    hpa_t block;

    if (size_bytes > (PAGE_SIZE << PAGE_ORDER_MAX) - HEADER_BYTES || page_alloc(order, &block) != 0)
        return NULL;
    h = phys_to_virt(block);
    memset(h, 0, HEADER_BYTES + size_bytes);
    set_header(h, CLASS_LARGE, order);
    lock_acquire(&heap_lock);
    totals.pages += BIT(order);
    totals.objects++;
    totals.object_bytes += large_bytes(h);
    lock_release(&heap_lock);
    return first_object(h);
}

static void free_large(struct header *h, void *object)
{
    if (object != first_object(h))
        panic("heap: %p is freed, but is not the start of an object", object);
    totals.objects--;
    totals.object_bytes -= large_bytes(h);
    give_back(h);
}

/* --- what callers see --- */

static unsigned class_for(size_t size_bytes)
{
    for (unsigned class = 0; class < ARRAY_SIZE(class_bytes); class ++)
        if (size_bytes <= class_bytes[class])
            return class;
    return CLASS_LARGE;
}

void *heap_alloc(size_t size_bytes)
{
    unsigned class = class_for(size_bytes);
    void *object;

    if (page_is_to_fail())
        return NULL;
    if (class == CLASS_LARGE)
        return alloc_large(size_bytes);
    lock_acquire(&heap_lock);
    object = alloc_small(class);
    lock_release(&heap_lock);
    return object;
}

void heap_free(void *object)
{
    struct header *h = (struct header *)ALIGN_DOWN((uintptr_t)object, PAGE_SIZE);

    if (!object)
        return;
    lock_acquire(&heap_lock);
    if (h->magic != magic_of(h))
        panic("heap: %p is freed, but is in no page of the heap", object);
    if (h->class == CLASS_LARGE)
        free_large(h, object);
    else
        free_small(h, object);
    lock_release(&heap_lock);
}

void heap_get_stats(struct heap_stats *stats)
{
    lock_acquire(&heap_lock);
    *stats = totals;
    lock_release(&heap_lock);
}
