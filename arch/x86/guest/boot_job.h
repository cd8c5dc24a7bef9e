/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the loaders share: one load in progress, with its guest's memory map, the pieces of RAM that
 * are taken already, and the reason once it is refused. All functions that can refuse return bool,
 * so that a loader is a chain of steps; false always means that the reason is set.
 *
 * Invariant: every claimed range is RAM in the guest's memory map, and no two of them overlap.
 */
#ifndef ARCH_X86_GUEST_BOOT_JOB_H
#define ARCH_X86_GUEST_BOOT_JOB_H

#include "arch/x86/guest/boot.h"

/* As in the BIOS's INT 15h, E820h; Multiboot and PVH use the same numbers. */
enum guest_memory_type { GUEST_MEMORY_RAM = 1, GUEST_MEMORY_RESERVED = 2 };

/* Below 1 MiB there are three; from there on it is the slots of RAM. */
#define GUEST_MEMORY_RANGES_MAX (3 + GUEST_MEM_SLOTS_MAX)

struct guest_memory_map {
    struct guest_memory_range {
        uint64_t base, size;
        enum guest_memory_type type;
    } ranges[GUEST_MEMORY_RANGES_MAX]; /* by ascending base */
    unsigned count;
};

#define BOOT_RANGES_MAX 96

struct boot_job {
    const struct boot_request *request;
    struct guest_memory_map map;
    struct boot_range {
        uint64_t base, size;
    } taken[BOOT_RANGES_MAX];
    unsigned taken_count;
    const char *why;
};

/* How much of RAM is wanted, and where. */
struct boot_need {
    uint64_t bytes, align; /* align is a power of two, at most a page */
    uint64_t floor, limit; /* in [floor, limit); floor is page-aligned, like all RAM's start */
};

void guest_memory_map_make(struct guest_memory_map *map, const struct guest_mem *mem);
/* How much RAM there is in one piece from 1 MiB on. */
uint64_t guest_memory_map_extended_bytes(const struct guest_memory_map *map);
void boot_job_init(struct boot_job *job, const struct boot_request *request);

/* Sets the reason; always false. */
static inline bool boot_refuse(struct boot_job *job, const char *why)
{
    job->why = why;
    return false;
}

/* Takes exactly this range; refused with why unless it is free RAM. */
bool boot_claim(struct boot_job *job, uint64_t base, uint64_t bytes, const char *why);

/* Copies into RAM that was claimed. */
bool boot_write(struct boot_job *job, uint64_t base, const void *from, uint64_t bytes);

/* Claims the highest, or the lowest, place that fits, and copies the image there. */
bool boot_place_high(struct boot_job *job, const struct guest_image *image, uint64_t limit,
                     uint64_t *base);
bool boot_place_low(struct boot_job *job, const struct guest_image *image, uint64_t align,
                    uint64_t *base);

/*
 * Conventional memory for a protocol's structures: zeroed, contiguous for the host too. NULL:
 * refused. It is taken downwards from 0x90000: what is above belongs to Linux's decompressor (its
 * trampoline), and guests like the bottom for the start code of their further CPUs.
 */
void *boot_claim_low(struct boot_job *job, uint64_t bytes, uint64_t align, uint32_t *address);

/* Puts the string in conventional memory; no string, no address (0). */
bool boot_place_string(struct boot_job *job, const char *string, uint32_t *address);

/* For protocols that know only modules, an initrd is the first of them. */
unsigned boot_module_count(const struct boot_request *request);
struct guest_module boot_module_get(const struct boot_request *request, unsigned index);

/* The image's bytes [offset, offset + bytes), or NULL when they are not all there. */
static inline const uint8_t *image_at(const struct guest_image *image, uint64_t offset,
                                      uint64_t bytes)
{
    return range_fits(offset, bytes, image->size) ? (const uint8_t *)image->data + offset : NULL;
}

/* The loaders, for boot.c's table. */
bool boot_linux_probe(const struct guest_image *image);
bool boot_linux_load(struct boot_job *job);
bool boot_multiboot_probe(const struct guest_image *image);
bool boot_multiboot_load(struct boot_job *job);
bool boot_pvh_probe(const struct guest_image *image);
bool boot_pvh_load(struct boot_job *job);
bool boot_flat_load(struct boot_job *job);

#endif
