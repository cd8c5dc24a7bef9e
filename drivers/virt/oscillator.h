/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A crystal: the number of whole periods since it started. Each answer is computed from the TSC and
 * the start alone, never from the answer before, so that rounding cannot add up to drift.
 */
#ifndef DRIVERS_VIRT_OSCILLATOR_H
#define DRIVERS_VIRT_OSCILLATOR_H

#include "kernel/timer.h"

struct oscillator {
    uint64_t epoch; /* host TSC */
    uint32_t hz;    /* below clock_hz(), or mul_div could overflow */
};

static inline void oscillator_start(struct oscillator *o, uint32_t hz)
{
    *o = (struct oscillator){.epoch = clock_now(), .hz = hz};
}

static inline uint64_t oscillator_ticks(const struct oscillator *o)
{
    return mul_div(clock_now() - o->epoch, o->hz, clock_hz());
}

/* A TSC at which oscillator_ticks() has reached tick: the first one, or one later. */
static inline uint64_t oscillator_deadline(const struct oscillator *o, uint64_t tick)
{
    return o->epoch + mul_div(tick, clock_hz(), o->hz) + 1;
}

#endif
