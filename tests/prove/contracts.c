/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `make prove` proves, for every argument, of the arithmetic that all checks of bounds stand on: Frama-C reads the
 * kernel's own sources, below the contracts (ACSL) of some of their functions, and a prover shows that each keeps its own
 * and has no overflow, bad shift or index. Functions without loops only: a loop's invariant would have to stand in the source.
 */
#include <stdbool.h>
#include <stdint.h>

/* --- kernel/lib/types.h: numbers of ACSL have no end, so that a sum that wraps around is none --- */

/*@ assigns \nothing;
    ensures \result <==> start + length <= limit; */
static inline bool range_fits(uint64_t start, uint64_t length, uint64_t limit);

/*@ requires a + a_size <= UINT64_MAX && b + b_size <= UINT64_MAX;
    requires a_size > 0 && b_size > 0;
    assigns \nothing;
    ensures \result <==> \max(a, b) < \min(a + a_size, b + b_size); */
static inline bool ranges_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size);

#include "kernel/lib/types.h"

/* --- kernel/lib/bytes.h --- */

/*@ requires width == 1 || width == 2 || width == 4 || width == 8;
    assigns \nothing; */
static inline uint64_t bytes_mask(unsigned width);

/*@ requires \valid(map + index / 8);
    assigns map[index / 8];
    ensures (map[index / 8] >> (index % 8) & 1) == (value ? 1 : 0);
    ensures \forall integer i; 0 <= i < 8 && i != index % 8 ==>
        (map[index / 8] >> i & 1) == (\old(map[index / 8]) >> i & 1); */
static inline void bytes_put_bit(uint8_t *map, unsigned index, bool value);

#include "kernel/lib/bytes.h"

/* --- kernel/pt_table.h: tables of 512 entries, up to five levels --- */

/*@ requires 1 <= level <= 5;
    assigns \nothing;
    ensures \result == 12 + 9 * (level - 1);
    ensures \result <= 48; */
static inline unsigned pt_level_shift(unsigned level);

/*@ requires 1 <= level <= 5;
    assigns \nothing;
    ensures \result == 1 << (12 + 9 * (level - 1)); */
static inline uint64_t pt_level_size(unsigned level);

/*@ requires 1 <= level <= 5;
    assigns \nothing;
    ensures \result < 512; */
static inline unsigned pt_level_index(unsigned level, uint64_t virt);

#include "kernel/pt_table.h"

/* --- kernel/run_share.c --- */

/*@ requires b > 0;
    assigns \nothing;
    ensures \result * b <= a < \result * b + b; */
static int64_t floor_divide(int64_t a, int64_t b);

#include "kernel/run_share.c"
