/* SPDX-License-Identifier: BSD-2-Clause */
/* Little-endian loads and stores at any alignment: for file formats, tables and guest memory. */
#ifndef KERNEL_LIB_BYTES_H
#define KERNEL_LIB_BYTES_H

#include "kernel/lib/types.h"

#define BYTES_DEFINE(bits)                                                                         \
    static inline uint##bits##_t get_le##bits(const void *p)                                       \
    {                                                                                              \
        uint##bits##_t v;                                                                          \
        __builtin_memcpy(&v, p, sizeof v);                                                         \
        return v;                                                                                  \
    }                                                                                              \
    static inline void put_le##bits(void *p, uint##bits##_t v)                                     \
    {                                                                                              \
        __builtin_memcpy(p, &v, sizeof v);                                                         \
    }
BYTES_DEFINE(16)
BYTES_DEFINE(32)
BYTES_DEFINE(64)
#undef BYTES_DEFINE

/* In a map of a bit each, the lowest one of the first byte first. */
static inline void bytes_put_bit(uint8_t *map, unsigned index, bool value)
{
    uint8_t bit = (uint8_t)(1u << index % 8);

    map[index / 8] = (uint8_t)(value ? map[index / 8] | bit : map[index / 8] & ~bit);
}

/* The low width bytes set; width is 1, 2, 4 or 8. */
static inline uint64_t bytes_mask(unsigned width)
{
    static const uint64_t masks[9] = {[1] = UINT8_MAX, [2] = UINT16_MAX, [4] = UINT32_MAX, [8] = UINT64_MAX};

    return masks[width];
}

#endif
