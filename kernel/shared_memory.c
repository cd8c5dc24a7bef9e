/* SPDX-License-Identifier: BSD-2-Clause */
/* See shared_memory.h. A region is one block, so that guests get it in the largest pages. */
#include "kernel/shared_memory.h"
#include "arch/arch.h"
#include "kernel/control.h"
#include "kernel/heap.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/page.h"

static struct shared_region *regions[SHARED_REGIONS_MAX]; /* in no order */
static unsigned region_count;

const struct shared_region *shared_memory_at(unsigned index)
{
    return index < region_count ? regions[index] : NULL;
}

static struct shared_region *find(const char *name)
{
    for (unsigned i = 0; i < region_count; i++)
        if (strcmp(regions[i]->name, name) == 0)
            return regions[i];
    return NULL;
}

static int make(const char *name, uint64_t size, struct shared_region **region)
{
    struct shared_region *made;

    ASSERT(size >= PAGE_SIZE && (size & (size - 1)) == 0 && strlen(name) < SHARED_NAME_BYTES);
    if (region_count == SHARED_REGIONS_MAX)
        return -ENOSPC;
    made = heap_alloc(sizeof *made);
    if (!made)
        return -ENOMEM;
    if (page_alloc(page_order_for(size), &made->memory) != 0) {
        heap_free(made);
        return -ENOMEM;
    }
    made->size = size;
    memcpy(made->name, name, strlen(name) + 1);
    made->users = 1;
    control_zero(phys_to_virt(made->memory), size);
    regions[region_count++] = made;
    *region = made;
    return 0;
}

int shared_memory_take(const char *name, uint64_t size, struct shared_region **region)
{
    struct shared_region *found = find(name);

    if (!found)
        return make(name, size, region);
    if (found->size != size)
        return -EINVAL;
    found->users++;
    *region = found;
    return 0;
}

void shared_memory_give_back(struct shared_region *region)
{
    unsigned i = 0;

    while (i < region_count && regions[i] != region)
        i++;
    ASSERT(i < region_count);
    if (--region->users > 0)
        return;
    regions[i] = regions[--region_count];
    page_free(region->memory, page_order_for(region->size));
    heap_free(region);
}

/* --- peers --- */

int shared_memory_add_peer(struct shared_region *region, const struct shared_peer *peer, unsigned *number)
{
    unsigned i = 0;

    lock_acquire(&region->lock);
    while (i < SHARED_PEERS_MAX && region->peers[i].ring)
        i++;
    if (i < SHARED_PEERS_MAX)
        region->peers[i] = *peer;
    lock_release(&region->lock);
    *number = i;
    return i < SHARED_PEERS_MAX ? 0 : -ENOSPC;
}

void shared_memory_remove_peer(struct shared_region *region, unsigned number)
{
    ASSERT(number < SHARED_PEERS_MAX);
    lock_acquire(&region->lock);
    region->peers[number] = (struct shared_peer){NULL, NULL};
    lock_release(&region->lock);
}

void shared_memory_ring(struct shared_region *region, unsigned number, unsigned vector)
{
    const struct shared_peer *peer;

    if (number >= SHARED_PEERS_MAX)
        return;
    peer = &region->peers[number];
    lock_acquire(&region->lock);
    if (peer->ring)
        peer->ring(peer->context, vector);
    lock_release(&region->lock);
}
