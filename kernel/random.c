/* SPDX-License-Identifier: BSD-2-Clause */
/* Fast key erasure over ChaCha20; see random.h. */
#include "kernel/random.h"
#include "kernel/timer.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

static const uint8_t no_nonce[CHACHA20_NONCE_BYTES];

/* A memset that the compiler may not drop because nobody reads the memory again. */
static void wipe(void *secret, size_t size)
{
    memset(secret, 0, size);
    __asm__ volatile("" : : "r"(secret) : "memory");
}

/* Old key, time and seed all go into the new key: none can take away what the others bring. */
static void reseed(struct random *r)
{
    uint8_t nonce[CHACHA20_NONCE_BYTES], block[CHACHA20_BLOCK_BYTES], seed[CHACHA20_KEY_BYTES];
    struct chacha20 stir;

    put_le64(nonce, clock_now());
    put_le32(nonce + 8, (uint32_t)(clock_wall_ns() / 1000));
    chacha20_init(&stir, r->key, 0, nonce);
    chacha20_next_block(&stir, block);
    memcpy(r->key, block, sizeof r->key);
    r->is_hardware_seeded = r->seed && r->seed(seed, sizeof seed);
    if (r->is_hardware_seeded) {
        for (unsigned i = 0; i < sizeof seed; i++)
            r->key[i] ^= seed[i];
        r->until_reseed_bytes = RANDOM_RESEED_BYTES;
    }
    wipe(&stir, sizeof stir);
    wipe(block, sizeof block);
    wipe(seed, sizeof seed);
}

/* The first bytes of the new pool are the next key and are never given out. */
static void refill(struct random *r)
{
    struct chacha20 stream;

    if (r->until_reseed_bytes == 0)
        reseed(r);
    chacha20_init(&stream, r->key, 0, no_nonce);
    for (size_t at = 0; at < sizeof r->pool; at += CHACHA20_BLOCK_BYTES)
        chacha20_next_block(&stream, r->pool + at);
    memcpy(r->key, r->pool, sizeof r->key);
    memset(r->pool, 0, sizeof r->key);
    r->available_bytes = sizeof r->pool - sizeof r->key;
    r->until_reseed_bytes -= MIN(r->until_reseed_bytes, r->available_bytes);
    wipe(&stream, sizeof stream);
}

/* Gives out at most what one refill makes, so that nobody waits long for the lock. */
static size_t take(struct random *r, uint8_t *to, size_t size)
{
    uint8_t *from;

    if (r->available_bytes == 0)
        refill(r);
    size = MIN(size, r->available_bytes);
    from = r->pool + sizeof r->pool - r->available_bytes;
    memcpy(to, from, size);
    memset(from, 0, size);
    r->available_bytes -= size;
    return size;
}

bool random_init(struct random *r, random_seed_fn *seed)
{
    *r = (struct random){.seed = seed};
    reseed(r);
    return r->is_hardware_seeded;
}

void random_fill(struct random *r, void *to, size_t size_bytes)
{
    uint8_t *out = to;

    while (size_bytes > 0) {
        size_t taken;

        lock_acquire(&r->lock);
        taken = take(r, out, size_bytes);
        lock_release(&r->lock);
        out += taken;
        size_bytes -= taken;
    }
}

static void fill_entropy(void *context, void *to, size_t size)
{
    random_fill(context, to, size);
}

struct entropy_source random_entropy_source(struct random *r)
{
    return (struct entropy_source){fill_entropy, r};
}
