/* SPDX-License-Identifier: BSD-2-Clause */
/* Who gets which piece of guest RAM while a guest is being loaded; see boot_job.h. */
#include "arch/x86/guest/boot_job.h"
#include "arch/x86/guest/layout.h"
#include "kernel/lib/string.h"

#define BOOT_STRUCTURES_LIMIT 0x90000u
#define COPY_STEP_BYTES       KIB(64)

static void map_add(struct guest_memory_map *map, uint64_t base, uint64_t size,
                    enum guest_memory_type type)
{
    if (size > 0)
        map->ranges[map->count++] = (struct guest_memory_range){base, size, type};
}

/* What of the slot lies above the first MiB; it may go on where the last one ended. */
static void map_add_slot(struct guest_memory_map *map, const struct guest_mem_slot *slot)
{
    struct guest_memory_range *last = &map->ranges[map->count - 1];
    uint64_t base = MAX(slot->base.value, (uint64_t)GUEST_EXTENDED_BASE), end = slot->base.value + slot->size;

    if (end <= base)
        return;
    if (last->type == GUEST_MEMORY_RAM && last->base + last->size == base)
        last->size += end - base;
    else
        map_add(map, base, end - base, GUEST_MEMORY_RAM);
}

void guest_memory_map_make(struct guest_memory_map *map, const struct guest_mem *mem)
{
    map->count = 0;
    map_add(map, 0, GUEST_CONVENTIONAL_BYTES, GUEST_MEMORY_RAM);
    map_add(map, GUEST_EBDA_BASE, GUEST_EBDA_BYTES, GUEST_MEMORY_RESERVED);
    map_add(map, GUEST_BIOS_BASE, GUEST_BIOS_BYTES, GUEST_MEMORY_RESERVED);
    for (unsigned i = 0; i < mem->count; i++)
        map_add_slot(map, &mem->slots[i]);
}

uint64_t guest_memory_map_extended_bytes(const struct guest_memory_map *map)
{
    for (unsigned i = 0; i < map->count; i++)
        if (map->ranges[i].base == GUEST_EXTENDED_BASE)
            return map->ranges[i].size;
    return 0;
}

void boot_job_init(struct boot_job *job, const struct boot_request *request)
{
    job->request = request;
    job->taken_count = 0;
    job->why = NULL;
    guest_memory_map_make(&job->map, request->mem);
}

static const struct boot_range *find_taken(const struct boot_job *job, uint64_t base,
                                           uint64_t bytes)
{
    for (unsigned i = 0; i < job->taken_count; i++)
        if (ranges_overlap(base, bytes, job->taken[i].base, job->taken[i].size))
            return &job->taken[i];
    return NULL;
}

static bool is_ram(const struct guest_memory_map *map, uint64_t base, uint64_t bytes)
{
    for (unsigned i = 0; i < map->count; i++) {
        const struct guest_memory_range *r = &map->ranges[i];

        if (r->type == GUEST_MEMORY_RAM && base >= r->base &&
            range_fits(base - r->base, bytes, r->size))
            return true;
    }
    return false;
}

bool boot_claim(struct boot_job *job, uint64_t base, uint64_t bytes, const char *why)
{
    if (!is_ram(&job->map, base, bytes) || find_taken(job, base, bytes))
        return boot_refuse(job, why);
    if (job->taken_count == BOOT_RANGES_MAX)
        return boot_refuse(job, "image and modules have too many pieces");
    job->taken[job->taken_count++] = (struct boot_range){base, bytes};
    return true;
}

/* A taken range that is in the way is jumped over, never met again: at most taken_count steps. */
static bool fit_below(const struct boot_job *job, const struct boot_need *need, uint64_t *base)
{
    uint64_t top = need->limit;

    while (top >= need->floor && top - need->floor >= need->bytes) {
        uint64_t at = ALIGN_DOWN(top - need->bytes, need->align);
        const struct boot_range *taken = find_taken(job, at, need->bytes);

        if (!taken) {
            *base = at;
            return true;
        }
        top = taken->base;
    }
    return false;
}

static bool fit_above(const struct boot_job *job, const struct boot_need *need, uint64_t *base)
{
    uint64_t at = need->floor;

    while (range_fits(at, need->bytes, need->limit)) {
        const struct boot_range *taken = find_taken(job, at, need->bytes);

        if (!taken) {
            *base = at;
            return true;
        }
        at = ALIGN_UP(taken->base + taken->size, need->align);
    }
    return false;
}

/* What is left of the need's window in one range of the memory map. */
static struct boot_need clip(const struct boot_need *need, const struct guest_memory_range *range)
{
    struct boot_need clipped = *need;

    clipped.floor = MAX(need->floor, range->base);
    clipped.limit = MIN(need->limit, range->base + range->size);
    return clipped;
}

static bool find_high(const struct boot_job *job, const struct boot_need *need, uint64_t *base)
{
    for (unsigned i = job->map.count; i-- > 0;) {
        struct boot_need here = clip(need, &job->map.ranges[i]);

        if (job->map.ranges[i].type == GUEST_MEMORY_RAM && fit_below(job, &here, base))
            return true;
    }
    return false;
}

static bool find_low(const struct boot_job *job, const struct boot_need *need, uint64_t *base)
{
    for (unsigned i = 0; i < job->map.count; i++) {
        struct boot_need here = clip(need, &job->map.ranges[i]);

        if (job->map.ranges[i].type == GUEST_MEMORY_RAM && fit_above(job, &here, base))
            return true;
    }
    return false;
}

bool boot_write(struct boot_job *job, uint64_t base, const void *from, uint64_t bytes)
{
    const uint8_t *next = from;

    while (bytes > 0) {
        uint64_t piece = MIN(bytes, COPY_STEP_BYTES);

        if (guest_mem_write(job->request->mem, GPA(base), next, piece) != 0)
            return boot_refuse(job, "guest RAM has a gap");
        next += piece;
        base += piece;
        bytes -= piece;
        if (job->request->pause)
            job->request->pause();
    }
    return true;
}

static const char no_room[] = "too little guest RAM for the initrd or the modules";

bool boot_place_high(struct boot_job *job, const struct guest_image *image, uint64_t limit,
                     uint64_t *base)
{
    struct boot_need need = {image->size, PAGE_SIZE, GUEST_EXTENDED_BASE, limit};

    if (!find_high(job, &need, base))
        return boot_refuse(job, no_room);
    return boot_claim(job, *base, image->size, no_room) &&
           boot_write(job, *base, image->data, image->size);
}

bool boot_place_low(struct boot_job *job, const struct guest_image *image, uint64_t align,
                    uint64_t *base)
{
    struct boot_need need = {image->size, align, GUEST_EXTENDED_BASE, GUEST_HOLE_BASE};

    if (!find_low(job, &need, base))
        return boot_refuse(job, no_room);
    return boot_claim(job, *base, image->size, no_room) &&
           boot_write(job, *base, image->data, image->size);
}

void *boot_claim_low(struct boot_job *job, uint64_t bytes, uint64_t align, uint32_t *address)
{
    static const char why[] = "no room for the boot protocol's structures in conventional memory";
    struct boot_need need = {bytes, align, PAGE_SIZE, BOOT_STRUCTURES_LIMIT};
    uint64_t base;
    void *host;

    if (!find_high(job, &need, &base)) {
        boot_refuse(job, why);
        return NULL;
    }
    host = guest_mem_at(job->request->mem, GPA(base), bytes);
    if (!boot_claim(job, base, bytes, why) || !host) {
        boot_refuse(job, why);
        return NULL;
    }
    *address = (uint32_t)base;
    return host;
}

bool boot_place_string(struct boot_job *job, const char *string, uint32_t *address)
{
    size_t bytes;
    char *host;

    *address = 0;
    if (!string || !*string)
        return true;
    bytes = strlen(string) + 1;
    host = boot_claim_low(job, bytes, 1, address);
    if (!host)
        return false;
    memcpy(host, string, bytes);
    return true;
}

unsigned boot_module_count(const struct boot_request *request)
{
    return request->module_count + (request->initrd.size > 0);
}

struct guest_module boot_module_get(const struct boot_request *request, unsigned index)
{
    if (request->initrd.size == 0)
        return request->modules[index];
    return index == 0 ? (struct guest_module){request->initrd, NULL} : request->modules[index - 1];
}
