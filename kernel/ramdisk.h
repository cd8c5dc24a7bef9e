/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk in memory, over the bytes of an image (a boot module) that it never changes. Read-only
 * disks serve them as they are; a scratch disk copies a page on the first write to it, so that a
 * restarted VM finds the image as it was. What lies past the image's last byte reads as zeroes.
 *
 * A ramdisk belongs to one device; that device's lock guards it.
 */
#ifndef KERNEL_RAMDISK_H
#define KERNEL_RAMDISK_H

#include "drivers/backend.h"
#include "kernel/lib/types.h"

/* Where a scratch disk gets its pages: page-aligned, of any content; NULL when there are no more. */
struct ramdisk_pages {
    void *(*alloc)(void *context);
    void (*free)(void *context, void *page);
    void *context;
};

/* Three levels of tables, each a page of pointers, reach this far. */
#define RAMDISK_CAPACITY_MAX_BYTES GIB(512)

struct ramdisk {
    struct blockdev disk; /* what a device is given; .id is the owner's to fill in */
    const uint8_t *image;
    uint64_t image_bytes;
    struct ramdisk_pages pages;
    void *root; /* the table of copied pages, or NULL: nothing was written yet */
};

/* Capacity is the image's size, rounded up to a sector. */
void ramdisk_init_read_only(struct ramdisk *ramdisk, const void *image, uint64_t image_bytes);

/*
 * capacity_bytes is rounded up to a sector and at least image_bytes; image_bytes may be 0 (an empty
 * disk). -EINVAL: over RAMDISK_CAPACITY_MAX_BYTES. When pages run out, a write says -ENOSPC and all
 * that was written before stays readable.
 */
MUST_CHECK int ramdisk_init_scratch(struct ramdisk *ramdisk, const void *image,
                                    uint64_t image_bytes, uint64_t capacity_bytes,
                                    const struct ramdisk_pages *pages);

/*
 * Forgets some 500 writes and gives their pages back; returns whether there are more. When there are none, the disk
 * is the image again; until then it is not to be read.
 */
bool ramdisk_revert_some(struct ramdisk *ramdisk);

#endif
