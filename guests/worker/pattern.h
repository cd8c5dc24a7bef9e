/* SPDX-License-Identifier: BSD-2-Clause */
/* Words that say whose they are and where they stand: tests/boot/test_many.py makes the same. */
#ifndef GUESTS_WORKER_PATTERN_H
#define GUESTS_WORKER_PATTERN_H

#include "kernel/lib/types.h"

static inline uint32_t pattern_word(uint32_t seed, unsigned index)
{
    return seed * 0x9e3779b1u + index * 0x85ebca6bu;
}

static inline void pattern_fill(uint32_t *words, unsigned count, uint32_t seed)
{
    for (unsigned i = 0; i < count; i++)
        words[i] = pattern_word(seed, i);
}

static inline bool pattern_matches(const uint32_t *words, unsigned count, uint32_t seed)
{
    for (unsigned i = 0; i < count; i++)
        if (words[i] != pattern_word(seed, i))
            return false;
    return true;
}

#endif
