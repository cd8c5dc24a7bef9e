/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time and timers. The unit is the host's TSC tick: it is what the hardware compares with, so that the
 * path from a guest's timer to ours converts nothing.
 */
#ifndef KERNEL_TIMER_H
#define KERNEL_TIMER_H

#include "kernel/lib/types.h"

struct lock;

struct timer {
    uint64_t deadline; /* host TSC */
    void (*fire)(void *context);
    void *context;
    struct lock *lock; /* held around fire(), and by who arms or cancels; NULL: only one CPU ever does */
    /* Owned by timer.c: the pairing heap of the CPU that the timer was armed on. */
    struct timer *child, *sibling, *parent;
    unsigned cpu;
    bool armed;
    bool is_due; /* off the heap, and about to fire */
};

static inline void timer_init(struct timer *t, void (*fire)(void *context), void *context)
{
    *t = (struct timer){.fire = fire, .context = context};
}

/*
 * fire(context) is called once, on this CPU, in its run loop (never from an interrupt handler), when
 * clock_now() >= deadline; it may arm the timer again. Arming an armed timer moves it, and with it the CPU where
 * it fires. Whoever calls these holds the timer's lock; without one a timer that fires on another CPU meanwhile
 * may do so once more after it was cancelled.
 */
void timer_arm(struct timer *t, uint64_t deadline);
void timer_cancel(struct timer *t);

/* Host TSC, and its measured ticks per second. */
uint64_t clock_now(void);
uint64_t clock_hz(void);

/* Nanoseconds since 1970-01-01 UTC, as the machine's RTC said at boot, advanced by the TSC. */
uint64_t clock_wall_ns(void);

/* a * b / c without overflow in between; c is not 0 and the result fits. */
static inline uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t high, low, quotient, remainder;

    __asm__("mulq %3" : "=a"(low), "=d"(high) : "a"(a), "rm"(b) : "cc");
    __asm__("divq %4" : "=a"(quotient), "=d"(remainder) : "a"(low), "d"(high), "rm"(c) : "cc");
    return quotient;
}

static inline uint64_t clock_ticks_from_ns(uint64_t ns)
{
    return mul_div(ns, clock_hz(), 1000000000);
}

static inline uint64_t clock_ns_from_ticks(uint64_t ticks)
{
    return mul_div(ticks, 1000000000, clock_hz());
}

#endif
