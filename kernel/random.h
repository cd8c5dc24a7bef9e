/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random bytes for guests and for the hypervisor's own secrets: ChaCha20 with fast key erasure
 * (each refill replaces its own key first, so that what was given out cannot be computed back from
 * the state), reseeded from hardware after RANDOM_RESEED_BYTES and stirred with the time of day and
 * the TSC.
 */
#ifndef KERNEL_RANDOM_H
#define KERNEL_RANDOM_H

#include "drivers/backend.h"
#include "kernel/lib/chacha20.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/types.h"

#define RANDOM_RESEED_BYTES MIB(1)
#define RANDOM_POOL_BYTES   (8 * CHACHA20_BLOCK_BYTES)

/* Fills `to` from hardware; false when it cannot (then nothing of `to` is used). */
typedef bool random_seed_fn(void *to, size_t size_bytes);

struct random {
    struct lock lock; /* guards all the rest; a leaf: nothing else is taken under it */
    random_seed_fn *seed;
    uint8_t key[CHACHA20_KEY_BYTES]; /* of the next refill */
    uint8_t pool[RANDOM_POOL_BYTES]; /* its last available_bytes are fresh, the rest is wiped */
    size_t available_bytes;
    uint64_t until_reseed_bytes;
    bool is_hardware_seeded;
};

/* seed may be NULL. False: no seed from hardware, and the output is only as good as the timing. */
bool random_init(struct random *r, random_seed_fn *seed);

/* Any CPU, any number at once; never fails. */
void random_fill(struct random *r, void *to, size_t size_bytes);

struct entropy_source random_entropy_source(struct random *r);

#endif
