/* SPDX-License-Identifier: BSD-2-Clause */
/* The ChaCha20 key stream: RFC 8439, "The ChaCha20 Block Function". Its time tells nothing of the key. */
#ifndef KERNEL_LIB_CHACHA20_H
#define KERNEL_LIB_CHACHA20_H

#include "kernel/lib/types.h"

#define CHACHA20_KEY_BYTES   32u
#define CHACHA20_NONCE_BYTES 12u
#define CHACHA20_BLOCK_BYTES 64u

/* Holds the key: whoever is done with one wipes it. */
struct chacha20 {
    uint32_t words[16];
};

void chacha20_init(struct chacha20 *c, const uint8_t key[CHACHA20_KEY_BYTES], uint32_t counter,
                   const uint8_t nonce[CHACHA20_NONCE_BYTES]);

/* The stream's next block; the counter moves on. */
void chacha20_next_block(struct chacha20 *c, uint8_t out[CHACHA20_BLOCK_BYTES]);

#endif
