/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copy on write over an image. The table is a radix tree made of the same pages as the data; a leaf
 * entry is NULL (the image's bytes), zero_page (zeroes, no memory spent), or the disk's own copy.
 */
#include "kernel/ramdisk.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"

enum { TABLE_LEVELS = 3, TABLE_SHIFT = 9, TABLE_ENTRIES = 1 << TABLE_SHIFT };

_Static_assert(TABLE_ENTRIES * sizeof(void *) == PAGE_SIZE, "a table is a page");
_Static_assert((uint64_t)PAGE_SIZE << (TABLE_LEVELS * TABLE_SHIFT) == RAMDISK_CAPACITY_MAX_BYTES,
               "the levels reach the whole disk");

static uint8_t zero_page[PAGE_SIZE]; /* never written; not const: the image need not hold it */

/* A part of a request that lies in one page; of to and from only what the request needs is set. */
struct piece {
    uint64_t offset;
    size_t size;
    uint8_t *to;
    const uint8_t *from;
};

static void *alloc_zeroed_page(const struct ramdisk *r)
{
    void *page = r->pages.alloc(r->pages.context);

    if (page)
        memset(page, 0, PAGE_SIZE);
    return page;
}

/* The leaf entry of the page that holds offset; NULL: no table reaches it, nor could one be made. */
static void **find_entry(struct ramdisk *r, uint64_t offset, bool make_tables)
{
    uint64_t page = offset >> PAGE_SHIFT;
    void **entry = &r->root;

    for (unsigned shift = TABLE_LEVELS * TABLE_SHIFT; shift > 0;) {
        if (!*entry && make_tables)
            *entry = alloc_zeroed_page(r);
        if (!*entry)
            return NULL;
        shift -= TABLE_SHIFT;
        entry = (void **)*entry + (page >> shift) % TABLE_ENTRIES;
    }
    return entry;
}

static void read_image(const struct ramdisk *r, uint64_t offset, uint8_t *to, size_t size)
{
    size_t here = offset < r->image_bytes ? MIN(size, r->image_bytes - offset) : 0;

    if (here > 0)
        memcpy(to, r->image + offset, here);
    memset(to + here, 0, size - here);
}

static int read_piece(struct ramdisk *r, const struct piece *p)
{
    void **entry = find_entry(r, p->offset, false);

    if (entry && *entry)
        memcpy(p->to, (uint8_t *)*entry + p->offset % PAGE_SIZE, p->size);
    else
        read_image(r, p->offset, p->to, p->size);
    return 0;
}

/* Makes the page at offset the disk's own; it holds what it held. NULL: out of pages. */
static uint8_t *own_page(struct ramdisk *r, uint64_t offset)
{
    void **entry = find_entry(r, offset, true);
    uint8_t *copy;

    if (!entry)
        return NULL;
    if (*entry && *entry != zero_page)
        return *entry;
    copy = r->pages.alloc(r->pages.context);
    if (!copy)
        return NULL;
    if (*entry)
        memset(copy, 0, PAGE_SIZE);
    else
        read_image(r, ALIGN_DOWN(offset, PAGE_SIZE), copy, PAGE_SIZE);
    *entry = copy;
    return copy;
}

static int write_piece(struct ramdisk *r, const struct piece *p)
{
    uint8_t *page = own_page(r, p->offset);

    if (!page)
        return -ENOSPC;
    memcpy(page + p->offset % PAGE_SIZE, p->from, p->size);
    return 0;
}

static bool is_whole_page(const struct piece *p)
{
    return p->size == PAGE_SIZE;
}

static bool reads_as_zeroes(struct ramdisk *r, uint64_t offset)
{
    void **entry = find_entry(r, offset, false);

    return entry && *entry ? *entry == zero_page : offset >= r->image_bytes;
}

static int zero_whole_page(struct ramdisk *r, uint64_t offset)
{
    void **entry = find_entry(r, offset, true);

    if (!entry)
        return -ENOSPC;
    if (*entry)
        r->pages.free(r->pages.context, *entry);
    *entry = zero_page;
    return 0;
}

static int zero_piece(struct ramdisk *r, const struct piece *p)
{
    uint8_t *page;

    if (reads_as_zeroes(r, p->offset))
        return 0;
    if (is_whole_page(p))
        return zero_whole_page(r, p->offset);
    page = own_page(r, p->offset);
    if (!page)
        return -ENOSPC;
    memset(page + p->offset % PAGE_SIZE, 0, p->size);
    return 0;
}

/* A hint: parts of pages, and pages that there is no memory to mark, keep their bytes. */
static int discard_piece(struct ramdisk *r, const struct piece *p)
{
    if (is_whole_page(p))
        (void)!zero_piece(r, p);
    return 0;
}

/* Cuts a request at page boundaries. */
static int for_each_piece(struct ramdisk *r, struct piece request,
                          int (*act)(struct ramdisk *, const struct piece *))
{
    uint64_t left = request.size;
    int error = 0;

    while (left > 0 && !error) {
        request.size = MIN(left, PAGE_SIZE - request.offset % PAGE_SIZE);
        error = act(r, &request);
        request.offset += request.size;
        request.to = request.to ? request.to + request.size : NULL;
        request.from = request.from ? request.from + request.size : NULL;
        left -= request.size;
    }
    return error;
}

static int ramdisk_read(void *context, uint64_t offset, void *to, size_t size)
{
    struct ramdisk *r = context;

    if (r->root)
        return for_each_piece(r, (struct piece){.offset = offset, .size = size, .to = to},
                              read_piece);
    read_image(r, offset, to, size);
    return 0;
}

static int ramdisk_write(void *context, uint64_t offset, const void *from, size_t size)
{
    struct ramdisk *r = context;

    if (r->disk.read_only)
        return -EROFS;
    return for_each_piece(r, (struct piece){.offset = offset, .size = size, .from = from},
                          write_piece);
}

/* Memory has no cache to write back from. */
static int ramdisk_flush(void *context)
{
    (void)context;
    return 0;
}

static int ramdisk_discard(void *context, uint64_t offset, uint64_t size)
{
    struct ramdisk *r = context;

    if (r->disk.read_only)
        return -EROFS;
    return for_each_piece(r, (struct piece){.offset = offset, .size = size}, discard_piece);
}

static int ramdisk_write_zeroes(void *context, uint64_t offset, uint64_t size)
{
    struct ramdisk *r = context;

    if (r->disk.read_only)
        return -EROFS;
    return for_each_piece(r, (struct piece){.offset = offset, .size = size}, zero_piece);
}

static const struct blockdev_ops ramdisk_ops = {
    .read = ramdisk_read,
    .write = ramdisk_write,
    .flush = ramdisk_flush,
    .discard = ramdisk_discard,
    .write_zeroes = ramdisk_write_zeroes,
};

static void init(struct ramdisk *r, const void *image, uint64_t image_bytes,
                 uint64_t capacity_bytes)
{
    *r = (struct ramdisk){.image = image, .image_bytes = image_bytes};
    r->disk.ops = &ramdisk_ops;
    r->disk.context = r;
    r->disk.capacity_bytes = ALIGN_UP(capacity_bytes, BLOCKDEV_SECTOR_BYTES);
}

void ramdisk_init_read_only(struct ramdisk *ramdisk, const void *image, uint64_t image_bytes)
{
    init(ramdisk, image, image_bytes, image_bytes);
    ramdisk->disk.read_only = true;
}

int ramdisk_init_scratch(struct ramdisk *ramdisk, const void *image, uint64_t image_bytes,
                         uint64_t capacity_bytes, const struct ramdisk_pages *pages)
{
    capacity_bytes = MAX(capacity_bytes, image_bytes);
    if (capacity_bytes > RAMDISK_CAPACITY_MAX_BYTES)
        return -EINVAL;
    init(ramdisk, image, image_bytes, capacity_bytes);
    ramdisk->pages = *pages;
    return 0;
}

static void free_page(struct ramdisk *r, void **entry)
{
    if (*entry && *entry != zero_page)
        r->pages.free(r->pages.context, *entry);
    *entry = NULL;
}

static void **first_table(void **table)
{
    for (unsigned i = 0; i < TABLE_ENTRIES; i++)
        if (table[i])
            return &table[i];
    return NULL;
}

/* The first table that has none below it goes, with its pages if it is a leaf. */
bool ramdisk_revert_some(struct ramdisk *ramdisk)
{
    void **entry = &ramdisk->root, **below;
    unsigned level = TABLE_LEVELS;

    if (!ramdisk->root)
        return false;
    for (; level > 1 && (below = first_table(*entry)); level--)
        entry = below;
    for (unsigned i = 0; i < TABLE_ENTRIES && level == 1; i++)
        free_page(ramdisk, (void **)*entry + i);
    free_page(ramdisk, entry);
    return ramdisk->root;
}
