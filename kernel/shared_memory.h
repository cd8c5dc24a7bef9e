/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions of memory that several VMs have, by name, and who rings whom. A region comes, zeroed, with the first VM that
 * names it and goes with the last one: what is in it outlives a VM that restarts while another one is there.
 *
 * A region is no VM's RAM (struct guest_mem): nothing that the hypervisor follows – rings, page tables, images – may
 * lie where another guest writes, no device reaches it by DMA, and whoever takes a VM apart does not free it.
 *
 * Regions come and go by the control thread. Ringing is for any CPU: under the region's lock, so that nobody rings for
 * a peer that has been removed. Below that lock is only what a peer's ring() takes.
 */
#ifndef KERNEL_SHARED_MEMORY_H
#define KERNEL_SHARED_MEMORY_H

#include "kernel/lib/lock.h"
#include "kernel/lib/types.h"

#define SHARED_NAME_BYTES  32u
#define SHARED_REGIONS_MAX 64u
#define SHARED_PEERS_MAX   64u

struct shared_peer {
    void (*ring)(void *context, unsigned vector); /* NULL: nobody */
    void *context;
};

struct shared_region {
    char name[SHARED_NAME_BYTES];
    uint64_t size; /* a power of two, whole pages */
    hpa_t memory;  /* one block of the page allocator's */
    unsigned users; /* at least 1 */
    struct lock lock; /* guards the peers */
    struct shared_peer peers[SHARED_PEERS_MAX];
};

/*
 * The region of that name, made if nobody has it. -EINVAL: it has another size; -ENOMEM; -ENOSPC: too many regions.
 * Long steps let guests run.
 */
MUST_CHECK int shared_memory_take(const char *name, uint64_t size, struct shared_region **region);
void shared_memory_give_back(struct shared_region *region);

/* The lowest free number becomes the peer's. -ENOSPC: too many. */
MUST_CHECK int shared_memory_add_peer(struct shared_region *region, const struct shared_peer *peer, unsigned *number);
/* When this returns, nobody rings for it any more. */
void shared_memory_remove_peer(struct shared_region *region, unsigned number);

/* A peer that is not there hears nothing. The numbers may be anything. */
void shared_memory_ring(struct shared_region *region, unsigned number, unsigned vector);

/* By number from 0, for lists; NULL past the end. Valid until the control thread does something else. */
const struct shared_region *shared_memory_at(unsigned index);

#endif
