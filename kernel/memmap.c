/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The physical memory map; see memmap.h. A new range is laid over the map in steps that each keep
 * it sorted and free of overlaps: ranges are split at both ends, gaps are filled, types are raised,
 * and what has become equal is merged. The room is counted beforehand, so that a full map stays as
 * it was.
 */
#include "kernel/memmap.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"

struct span {
    uint64_t start;
    uint64_t end; /* exclusive */
};

static uint64_t range_end(const struct memmap_range *range)
{
    return range->start.value + range->size;
}

/* The index of the first range that ends above an address; count when there is none. */
static unsigned first_above(const struct memmap *map, uint64_t address)
{
    unsigned low = 0, high = map->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (range_end(&map->ranges[middle]) > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool is_inside(const struct memmap *map, uint64_t address)
{
    unsigned at = first_above(map, address);

    return at < map->count && map->ranges[at].start.value < address;
}

static unsigned count_gaps(const struct memmap *map, struct span span)
{
    unsigned gaps = 0;
    uint64_t known = span.start;

    for (unsigned i = first_above(map, span.start); i < map->count && known < span.end; i++) {
        gaps += map->ranges[i].start.value > known;
        known = range_end(&map->ranges[i]);
    }
    return gaps + (known < span.end);
}

/* How many entries the map grows by before anything merges. */
static unsigned count_growth(const struct memmap *map, struct span span)
{
    return is_inside(map, span.start) + is_inside(map, span.end) + count_gaps(map, span);
}

static void insert(struct memmap *map, unsigned at, struct span span, enum memmap_type type)
{
    memmove(&map->ranges[at + 1], &map->ranges[at], (map->count - at) * sizeof map->ranges[0]);
    map->ranges[at] = (struct memmap_range){HPA(span.start), span.end - span.start, type};
    map->count++;
}

static void split(struct memmap *map, uint64_t address)
{
    unsigned at = first_above(map, address);
    struct memmap_range *range = &map->ranges[at];

    if (at == map->count || range->start.value >= address)
        return;
    insert(map, at, (struct span){range->start.value, address}, range->type);
    range[1].size = range_end(&range[1]) - address;
    range[1].start = HPA(address);
}

static void fill_gaps(struct memmap *map, struct span span, enum memmap_type type)
{
    uint64_t known = span.start;

    for (unsigned i = first_above(map, span.start); known < span.end; i++) {
        uint64_t next = i < map->count ? map->ranges[i].start.value : span.end;

        if (next > known)
            insert(map, i, (struct span){known, MIN(next, span.end)}, type);
        known = range_end(&map->ranges[i]);
    }
}

static void raise_types(struct memmap *map, struct span span, enum memmap_type type)
{
    for (unsigned i = first_above(map, span.start);
         i < map->count && map->ranges[i].start.value < span.end; i++)
        map->ranges[i].type = MAX(map->ranges[i].type, type);
}

static void merge_neighbours(struct memmap *map)
{
    unsigned kept = 0;

    for (unsigned i = 1; i < map->count; i++) {
        struct memmap_range *last = &map->ranges[kept], *next = &map->ranges[i];

        if (last->type == next->type && range_end(last) == next->start.value)
            last->size += next->size;
        else
            map->ranges[++kept] = *next;
    }
    if (map->count > 0)
        map->count = kept + 1;
}

int memmap_add(struct memmap *map, hpa_t start, uint64_t size, enum memmap_type type)
{
    struct span span = {start.value, start.value};

    if (start.value >= MEMMAP_LIMIT || size == 0)
        return 0;
    span.end += MIN(size, MEMMAP_LIMIT - start.value);
    if (map->count + count_growth(map, span) > MEMMAP_RANGES_MAX)
        return -ENOSPC;
    split(map, span.start);
    split(map, span.end);
    raise_types(map, span, type);
    fill_gaps(map, span, type);
    merge_neighbours(map);
    return 0;
}

int memmap_reserve(struct memmap *map, hpa_t start, uint64_t size, enum memmap_type type)
{
    if (type == MEMMAP_USABLE)
        return -EINVAL;
    return memmap_add(map, start, size, type);
}

bool memmap_next(const struct memmap *map, enum memmap_type type, unsigned *cursor,
                 struct memmap_range *range)
{
    while (*cursor < map->count) {
        const struct memmap_range *next = &map->ranges[(*cursor)++];
        uint64_t start = ALIGN_UP(next->start.value, PAGE_SIZE);
        uint64_t end = ALIGN_DOWN(range_end(next), PAGE_SIZE);

        if (next->type != type || start >= end)
            continue;
        *range = (struct memmap_range){HPA(start), end - start, type};
        return true;
    }
    return false;
}

struct memmap_range memmap_find_largest(const struct memmap *map, uint64_t low, uint64_t high)
{
    struct memmap_range r, best = {.size = 0};

    for (unsigned cursor = 0; memmap_next_usable(map, &cursor, &r);) {
        uint64_t start = MAX(r.start.value, ALIGN_UP(low, PAGE_SIZE));
        uint64_t end = MIN(range_end(&r), ALIGN_DOWN(high, PAGE_SIZE));

        if (start < end && end - start > best.size)
            best = (struct memmap_range){HPA(start), end - start, MEMMAP_USABLE};
    }
    return best;
}

const struct memmap_range *memmap_find(const struct memmap *map, hpa_t address)
{
    unsigned at = first_above(map, address.value);

    if (at == map->count || map->ranges[at].start.value > address.value)
        return NULL;
    return &map->ranges[at];
}

uint64_t memmap_total_bytes(const struct memmap *map, enum memmap_type type)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < map->count; i++)
        if (map->ranges[i].type == type)
            total += map->ranges[i].size;
    return total;
}

uint64_t memmap_end(const struct memmap *map)
{
    return map->count > 0 ? range_end(&map->ranges[map->count - 1]) : 0;
}

uint64_t memmap_ram_end(const struct memmap *map)
{
    for (unsigned i = map->count; i-- > 0;)
        if (map->ranges[i].type != MEMMAP_RESERVED && map->ranges[i].type != MEMMAP_BAD)
            return range_end(&map->ranges[i]);
    return 0;
}

const char *memmap_type_name(enum memmap_type type)
{
    static const char *const names[] = {
        [MEMMAP_USABLE] = "usable",     [MEMMAP_ACPI_RECLAIMABLE] = "ACPI reclaimable",
        [MEMMAP_ACPI_NVS] = "ACPI NVS", [MEMMAP_RESERVED] = "reserved",
        [MEMMAP_BAD] = "bad",           [MEMMAP_MODULE] = "module",
        [MEMMAP_GUEST] = "guest",       [MEMMAP_KERNEL] = "kernel",
    };

    return type < ARRAY_SIZE(names) ? names[type] : "unknown";
}
