/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RAM for the one VM that sees it at the machine's own addresses (memory_map=identity), so that a
 * device finds there what the guest tells it, with no IOMMU in between. It is what the machine has
 * free in its low memory, set aside before anybody takes some; what is missing there (the
 * hypervisor's image, what firmware keeps) is a hole in the guest's RAM.
 *
 * Not the first MiB: the machine needs it itself, and the guest has other memory there, which its
 * devices do not find.
 *
 * Boot CPU at boot, the control thread from then on.
 */
#ifndef KERNEL_IDENTITY_H
#define KERNEL_IDENTITY_H

#include "kernel/memmap.h"

#define IDENTITY_BASE       MIB(1)
#define IDENTITY_REST_BYTES MIB(32) /* what everything else has at least, in one piece */

struct boot_info;

/*
 * Before the page allocator has anything: what is usable of the map from IDENTITY_BASE to end is
 * MEMMAP_GUEST from now on. The map stays where it is. -ENOMEM: too little is left for the rest, below 4 GiB, where a
 * boot begins; -ENOSPC: the map is full
 */
MUST_CHECK int identity_reserve(struct memmap *map, uint64_t end);

/* Behind page_init(): boot modules that lie there move out, and leave their place to the guest. */
void identity_move_modules(struct boot_info *boot);

/* For the one whose RAM ends there. -EBUSY: another one has it; -ENOMEM: so much was not set aside. */
MUST_CHECK int identity_take(const void *owner, uint64_t end);
/* Nothing happens if owner has not got it. */
void identity_give_back(const void *owner);

/* The pieces of it, as memmap_next(). */
bool identity_next(unsigned *cursor, struct memmap_range *range);

#endif
