/* SPDX-License-Identifier: BSD-2-Clause */
/* See identity.h. The memory map is the record of what was set aside; here is only who has it. */
#include "kernel/identity.h"
#include "arch/arch.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/multiboot2.h"
#include "kernel/page.h"

static struct memmap *memory; /* NULL: nothing was set aside */
static uint64_t limit;
static const void *taken_by;

/* The first usable piece of [start, end); false: there is none. */
static bool find_usable(const struct memmap *map, uint64_t start, uint64_t end, struct memmap_range *piece)
{
    for (unsigned i = 0; i < map->count; i++) {
        const struct memmap_range *r = &map->ranges[i];
        uint64_t first = MAX(r->start.value, start), behind = MIN(r->start.value + r->size, end);

        if (r->type != MEMMAP_USABLE || first >= behind)
            continue;
        *piece = (struct memmap_range){HPA(first), behind - first, MEMMAP_GUEST};
        return true;
    }
    return false;
}

static bool is_enough_left(const struct memmap *map, uint64_t end)
{
    struct memmap_range r;

    for (unsigned cursor = 0; memmap_next_usable(map, &cursor, &r);) {
        uint64_t first = MAX(r.start.value, end), behind = MIN(r.start.value + r.size, GIB(4));

        if (first < behind && behind - first >= IDENTITY_REST_BYTES)
            return true;
    }
    return false;
}

int identity_reserve(struct memmap *map, uint64_t end)
{
    struct memmap_range piece;

    if (!is_enough_left(map, end))
        return -ENOMEM;
    memory = map;
    limit = end;
    taken_by = NULL;
    while (find_usable(map, IDENTITY_BASE, end, &piece))
        if (memmap_reserve(map, piece.start, piece.size, MEMMAP_GUEST) != 0)
            return -ENOSPC;
    return 0;
}

static bool is_in_the_way(const struct boot_module *m)
{
    return memory && m->size > 0 && ranges_overlap(m->start.value, m->size, IDENTITY_BASE, limit - IDENTITY_BASE);
}

/* The rest of a module's last page is nobody else's: each starts on a page of its own. */
static int move(struct boot_module *m)
{
    hpa_t from = m->start, to;

    if (page_order_for(m->size) > PAGE_ORDER_MAX || page_alloc(page_order_for(m->size), &to) != 0)
        return -ENOMEM;
    memcpy(phys_to_virt(to), phys_to_virt(from), m->size);
    m->start = to;
    return memmap_reserve(memory, from, ALIGN_UP(m->size, PAGE_SIZE), MEMMAP_GUEST);
}

void identity_move_modules(struct boot_info *boot)
{
    for (unsigned i = 0; i < boot->module_count; i++)
        if (is_in_the_way(&boot->modules[i]) && move(&boot->modules[i]) != 0)
            log_warn("memory", "module %u stays where the guest with the machine's low memory wants RAM", i);
}

int identity_take(const void *owner, uint64_t end)
{
    if (!memory || end > limit)
        return -ENOMEM;
    if (taken_by)
        return -EBUSY;
    taken_by = owner;
    return 0;
}

void identity_give_back(const void *owner)
{
    if (taken_by == owner)
        taken_by = NULL;
}

bool identity_next(unsigned *cursor, struct memmap_range *range)
{
    return memory && memmap_next(memory, MEMMAP_GUEST, cursor, range);
}
