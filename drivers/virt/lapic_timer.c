/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC's timer (SDM 3A, "APIC Timer"): one-shot, periodic and TSC deadline. The input
 * clock is the TSC itself, so nothing is ever rounded: one count is 1 << timer_shift ticks, as the
 * divide configuration says, and the guest is told that the timer's clock is the TSC's.
 *
 * The current count is computed when it is read. Periods are counted from the one start, so they do
 * not drift; periods that passed while nobody looked give one interrupt, and a guest cannot make
 * the timer fire more often than each MIN_INTERVAL_NS, however short its period.
 *
 * Our timer fires on the CPU where it was armed. If the vCPU has moved on, its new CPU is told, and looks at the
 * registers, which may have changed meanwhile: they alone say what is due.
 */
#include "drivers/virt/lapic_internal.h"

#define MIN_INTERVAL_NS 10000u

static uint64_t period_ticks(const struct lapic *l)
{
    return (uint64_t)l->timer_count << l->timer_shift;
}

static uint64_t host_deadline(const struct lapic *l)
{
    uint64_t host;

    if (!__builtin_sub_overflow(l->tsc_deadline, l->tsc_offset, &host))
        return host;
    return l->tsc_offset > 0 ? 0 : UINT64_MAX;
}

static void stop(struct lapic *l)
{
    l->timer_count = 0;
    l->tsc_deadline = 0;
    timer_cancel(&l->timer);
}

static void interrupt(struct lapic *l)
{
    uint32_t entry = lapic_get(l, APIC_LVT_TIMER);

    if (!(entry & APIC_LVT_MASKED))
        lapic_accept(l, entry & APIC_VECTOR, LAPIC_EDGE);
}

static void expire_deadline(struct lapic *l)
{
    l->tsc_deadline = 0;
    interrupt(l);
}

/* Goes on from the last period that has ended: the ones before it are not made up for. */
static void next_period(struct lapic *l)
{
    uint64_t now = clock_now(), period = period_ticks(l);
    uint64_t earliest = now + clock_ticks_from_ns(MIN_INTERVAL_NS);

    l->timer_start += (now - l->timer_start) / period * period;
    timer_arm(&l->timer, MAX(l->timer_start + period, earliest));
}

static bool is_due(const struct lapic *l)
{
    if (l->timer_mode == APIC_LVT_TIMER_TSC_DEADLINE)
        return l->tsc_deadline != 0 && host_deadline(l) <= clock_now();
    return l->timer_count != 0 && l->timer_start + period_ticks(l) <= clock_now();
}

void lapic_timer_expired(struct lapic *l)
{
    if (!is_due(l))
        return;
    if (l->timer_mode == APIC_LVT_TIMER_TSC_DEADLINE) {
        expire_deadline(l);
        return;
    }
    if (l->timer_mode == APIC_LVT_TIMER_PERIODIC)
        next_period(l);
    else
        l->timer_count = 0;
    interrupt(l);
}

static void fire(void *context)
{
    struct lapic *l = context;

    if (l->wiring->timer_is_here(l->context))
        lapic_timer_expired(l);
}

uint32_t lapic_timer_current(const struct lapic *l)
{
    uint64_t counted;

    if (l->timer_count == 0)
        return 0;
    counted = (clock_now() - l->timer_start) >> l->timer_shift;
    if (l->timer_mode == APIC_LVT_TIMER_PERIODIC)
        counted %= l->timer_count;
    return counted < l->timer_count ? l->timer_count - (uint32_t)counted : 0;
}

void lapic_timer_initial_written(struct lapic *l)
{
    if (l->timer_mode & APIC_LVT_TIMER_TSC_DEADLINE) { /* ignored there, and in the reserved mode */
        lapic_put(l, APIC_TIMER_INITIAL, 0);
        return;
    }
    stop(l);
    l->timer_count = lapic_get(l, APIC_TIMER_INITIAL);
    if (l->timer_count == 0)
        return;
    l->timer_start = clock_now();
    timer_arm(&l->timer, l->timer_start + period_ticks(l));
}

/* Bits 3, 1 and 0 give 2, 4, ... 128, and 1 for all ones. */
static unsigned divide_shift(uint32_t divide)
{
    return (((divide >> 1 & 4) | (divide & 3)) + 1) & 7;
}

/* A running timer keeps the count that it has reached and goes on at the new pace. */
void lapic_timer_divide_written(struct lapic *l)
{
    uint32_t current = lapic_timer_current(l);
    uint64_t now = clock_now();

    l->timer_shift = divide_shift(lapic_get(l, APIC_TIMER_DIVIDE));
    if (l->timer_count == 0)
        return;
    l->timer_start = now + ((uint64_t)current << l->timer_shift) - period_ticks(l);
    timer_arm(&l->timer, l->timer_start + period_ticks(l));
}

/* Only a change to or from TSC-deadline mode disarms; the others take over the running count. */
void lapic_timer_lvt_written(struct lapic *l)
{
    uint32_t mode = lapic_get(l, APIC_LVT_TIMER) & APIC_LVT_TIMER_MODE;

    if (mode == l->timer_mode)
        return;
    if ((mode | l->timer_mode) & APIC_LVT_TIMER_TSC_DEADLINE) {
        stop(l);
        lapic_put(l, APIC_TIMER_INITIAL, 0);
    }
    l->timer_mode = mode;
}

/* The guest's most frequent MSR write. A deadline that has passed costs no timer of ours. */
void lapic_set_tsc_deadline(struct lapic *l, uint64_t guest_tsc)
{
    uint64_t deadline;

    if (l->timer_mode != APIC_LVT_TIMER_TSC_DEADLINE)
        return;
    l->tsc_deadline = guest_tsc;
    deadline = host_deadline(l);
    if (guest_tsc != 0 && deadline > clock_now()) {
        timer_arm(&l->timer, deadline);
        return;
    }
    timer_cancel(&l->timer);
    if (guest_tsc != 0)
        expire_deadline(l);
}

void lapic_set_tsc_offset(struct lapic *l, int64_t offset)
{
    l->tsc_offset = offset;
    if (l->tsc_deadline != 0)
        lapic_set_tsc_deadline(l, l->tsc_deadline);
}

void lapic_timer_init(struct lapic *l)
{
    timer_init(&l->timer, fire, l);
}

void lapic_timer_reset(struct lapic *l)
{
    stop(l);
    l->timer_mode = APIC_LVT_TIMER_ONESHOT;
    l->timer_shift = divide_shift(0);
}
