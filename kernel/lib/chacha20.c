/* SPDX-License-Identifier: BSD-2-Clause */
/* ChaCha20 in general registers: no table that a cache could betray. */
#include "kernel/lib/chacha20.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

enum { CHACHA20_DOUBLE_ROUNDS = 10, CHACHA20_COUNTER = 12 };

static inline uint32_t rotate_left(uint32_t x, unsigned bits)
{
    return x << bits | x >> (32 - bits);
}

static inline void quarter_round(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *a += *b;
    *d = rotate_left(*d ^ *a, 16);
    *c += *d;
    *b = rotate_left(*b ^ *c, 12);
    *a += *b;
    *d = rotate_left(*d ^ *a, 8);
    *c += *d;
    *b = rotate_left(*b ^ *c, 7);
}

static void double_round(uint32_t x[16])
{
    for (unsigned column = 0; column < 4; column++)
        quarter_round(&x[column], &x[4 + column], &x[8 + column], &x[12 + column]);
    for (unsigned diagonal = 0; diagonal < 4; diagonal++)
        quarter_round(&x[diagonal], &x[4 + (diagonal + 1) % 4], &x[8 + (diagonal + 2) % 4],
                      &x[12 + (diagonal + 3) % 4]);
}

void chacha20_init(struct chacha20 *c, const uint8_t key[CHACHA20_KEY_BYTES], uint32_t counter,
                   const uint8_t nonce[CHACHA20_NONCE_BYTES])
{
    static const char constant[] = "expand 32-byte k";

    for (unsigned i = 0; i < 4; i++)
        c->words[i] = get_le32(constant + 4 * i);
    for (unsigned i = 0; i < 8; i++)
        c->words[4 + i] = get_le32(key + 4 * i);
    c->words[CHACHA20_COUNTER] = counter;
    for (unsigned i = 0; i < 3; i++)
        c->words[13 + i] = get_le32(nonce + 4 * i);
}

void chacha20_next_block(struct chacha20 *c, uint8_t out[CHACHA20_BLOCK_BYTES])
{
    uint32_t x[16];

    memcpy(x, c->words, sizeof x);
    for (unsigned i = 0; i < CHACHA20_DOUBLE_ROUNDS; i++)
        double_round(x);
    for (unsigned i = 0; i < ARRAY_SIZE(x); i++)
        put_le32(out + 4 * i, x[i] + c->words[i]);
    c->words[CHACHA20_COUNTER]++;
}
