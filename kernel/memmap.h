/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's physical memory as sorted ranges that do not overlap, each with one type. Ranges
 * may be described in any order, twice, or in contradiction: where descriptions overlap, the most
 * restrictive type wins. What the ranges are used for is the page allocator's business.
 */
#ifndef KERNEL_MEMMAP_H
#define KERNEL_MEMMAP_H

#include "kernel/lib/types.h"

#define MEMMAP_RANGES_MAX 512

/* SDM 3A, "Paging": a physical address has at most 52 bits; nothing lies above. */
#define MEMMAP_LIMIT BIT(52)

/*
 * By ascending restrictiveness. What the hypervisor itself occupies comes last: no word of the
 * firmware's makes it available to anybody.
 */
enum memmap_type {
    MEMMAP_USABLE,
    MEMMAP_ACPI_RECLAIMABLE,
    MEMMAP_ACPI_NVS,
    MEMMAP_RESERVED,
    MEMMAP_BAD,
    MEMMAP_MODULE,
    MEMMAP_GUEST, /* of the VM that sees it at this very address: kernel/identity.h */
    MEMMAP_KERNEL,
};

struct memmap_range {
    hpa_t start;
    uint64_t size;
    enum memmap_type type;
};

/* All zeroes is an empty map. */
struct memmap {
    struct memmap_range ranges[MEMMAP_RANGES_MAX]; /* neighbours that touch differ in type */
    unsigned count;
};

/*
 * Adds a range as the firmware tells it. What lies beyond MEMMAP_LIMIT (or wraps around) is cut
 * off; an empty range is ignored. -ENOSPC: the map is full and unchanged.
 */
MUST_CHECK int memmap_add(struct memmap *map, hpa_t start, uint64_t size, enum memmap_type type);

/* Takes a range away from what is usable; -EINVAL when the type is MEMMAP_USABLE, else as
 * memmap_add. */
MUST_CHECK int memmap_reserve(struct memmap *map, hpa_t start, uint64_t size,
                              enum memmap_type type);

/*
 * Visits memory of a type in ascending order, cut down to whole pages: *cursor starts at 0 and
 * belongs to the iteration. False when there is no more. The map must not change meanwhile.
 */
bool memmap_next(const struct memmap *map, enum memmap_type type, unsigned *cursor,
                 struct memmap_range *range);

static inline bool memmap_next_usable(const struct memmap *map, unsigned *cursor,
                                      struct memmap_range *range)
{
    return memmap_next(map, MEMMAP_USABLE, cursor, range);
}

/* The largest piece of usable memory between two addresses, cut down to whole pages; its size is 0 if there is none. */
struct memmap_range memmap_find_largest(const struct memmap *map, uint64_t low, uint64_t high);

/* The range that holds an address, or NULL. */
const struct memmap_range *memmap_find(const struct memmap *map, hpa_t address);

uint64_t memmap_total_bytes(const struct memmap *map, enum memmap_type type);

/* The first address above all ranges, and above all that is RAM (neither reserved nor bad); 0:
 * none. */
uint64_t memmap_end(const struct memmap *map);
uint64_t memmap_ram_end(const struct memmap *map);

const char *memmap_type_name(enum memmap_type type);

#endif
