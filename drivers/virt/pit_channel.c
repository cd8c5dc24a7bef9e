/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The six modes of an 8254 counter as a table of pure functions of N and the ticks since N was
 * loaded. A count that is written takes effect at the next tick (Intel 8254, "Write Operations");
 * while a periodic mode runs, at the end of the period. Mode 3 may take it after half a period on
 * the real chip.
 */
#include "drivers/virt/pit_channel.h"

/* --- modes: n is the count, e the ticks since it was loaded or since its last period began --- */

static bool output_from_end(uint32_t n, uint64_t e)
{
    return e >= n;
}

static bool output_but_last(uint32_t n, uint64_t e)
{
    return e != n - 1;
}

static bool output_first_half(uint32_t n, uint64_t e)
{
    return e < (n + 1) / 2;
}

static bool output_but_end(uint32_t n, uint64_t e)
{
    return e != n;
}

/* Counts on through zero. */
static uint32_t value_wrapping(uint32_t n, uint64_t e, uint32_t modulus)
{
    return n + modulus - (uint32_t)(e % modulus);
}

static uint32_t value_periodic(uint32_t n, uint64_t e, uint32_t modulus UNUSED)
{
    return n - (uint32_t)e;
}

/* By twos, through all of N in each half; an odd N loses its lowest bit (Intel 8254, "Mode 3"). */
static uint32_t value_square(uint32_t n, uint64_t e, uint32_t modulus UNUSED)
{
    uint32_t high_ticks = (n + 1) / 2;

    return (n & ~1u) - 2 * (uint32_t)(e < high_ticks ? e : e - high_ticks);
}

static const struct pit_mode {
    bool (*output)(uint32_t n, uint64_t e);
    uint32_t (*value)(uint32_t n, uint64_t e, uint32_t modulus);
    bool is_periodic;
    bool is_triggered;  /* waits for the gate to rise */
    bool idles_high;    /* OUT before it counts */
    uint8_t rise_delay; /* unless periodic, OUT rises once, this many ticks after the end */
} modes[] = {
    {output_from_end, value_wrapping, false, false, false, 0},
    {output_from_end, value_wrapping, false, true, true, 0},
    {output_but_last, value_periodic, true, false, true, 0},
    {output_first_half, value_square, true, false, true, 0},
    {output_but_end, value_wrapping, false, false, true, 1},
    {output_but_end, value_wrapping, false, true, true, 1},
};

static const struct pit_mode *mode_of(const struct pit_channel *c)
{
    return &modes[c->mode];
}

/* --- counting --- */

static uint32_t modulus(const struct pit_channel *c)
{
    return c->bcd ? 10000 : 0x10000;
}

static uint32_t from_bcd(uint32_t bcd)
{
    return (bcd >> 12) * 1000 + (bcd >> 8 & 15) * 100 + (bcd >> 4 & 15) * 10 + (bcd & 15);
}

static uint32_t to_bcd(uint32_t n)
{
    return n / 1000 << 12 | n / 100 % 10 << 8 | n / 10 % 10 << 4 | n % 10;
}

static bool is_held(const struct pit_channel *c)
{
    return !c->gate && !mode_of(c)->is_triggered;
}

static uint64_t elapsed(const struct pit_channel *c, uint64_t now)
{
    if (is_held(c))
        return c->held;
    return now > c->start ? now - c->start : 0;
}

/* Lets a count that waited for the end of a period take over. */
static void settle(struct pit_channel *c, uint64_t now)
{
    if (c->next_count == 0 || now < c->next_start || is_held(c))
        return;
    c->count = c->next_count;
    c->start = c->next_start;
    c->next_count = 0;
}

static uint64_t phase(const struct pit_channel *c, uint64_t now)
{
    uint64_t e = elapsed(c, now);

    return mode_of(c)->is_periodic ? e % c->count : e;
}

static uint16_t counter_value(const struct pit_channel *c, uint64_t now)
{
    uint32_t value;

    if (!c->counting)
        value = c->count;
    else
        value = mode_of(c)->value(c->count, phase(c, now), modulus(c));
    value %= modulus(c);
    return (uint16_t)(c->bcd ? to_bcd(value) : value);
}

static uint64_t period_end(const struct pit_channel *c, uint64_t now)
{
    return c->start + (elapsed(c, now) / c->count + 1) * c->count;
}

static void load(struct pit_channel *c, uint16_t written, uint64_t now)
{
    uint32_t n = c->bcd ? MIN(from_bcd(written), modulus(c)) : written;

    if (n == 0)
        n = modulus(c);
    if (c->counting && (mode_of(c)->is_periodic || mode_of(c)->is_triggered)) {
        c->next_count = n;
        c->next_start = mode_of(c)->is_periodic ? period_end(c, now) : PIT_NEVER;
        return;
    }
    c->count = n;
    c->start = now + 1;
    c->held = 0;
    c->counting = !mode_of(c)->is_triggered;
}

static void restart(struct pit_channel *c, uint64_t now)
{
    if (c->next_count != 0)
        c->count = c->next_count;
    c->next_count = 0;
    c->start = now + 1;
    c->counting = c->count != 0;
}

/* Intel 8254, "Gate Pin Operations Summary". */
void pit_channel_set_gate(struct pit_channel *c, bool level, uint64_t now)
{
    bool rises = level && !c->gate;

    settle(c, now);
    c->held = elapsed(c, now);
    c->gate = level;
    if (!rises)
        return;
    if (mode_of(c)->is_periodic || mode_of(c)->is_triggered)
        restart(c, now);
    else
        c->start = now - c->held;
}

bool pit_channel_output(struct pit_channel *c, uint64_t now)
{
    settle(c, now);
    if (!c->counting)
        return mode_of(c)->idles_high;
    if (mode_of(c)->is_periodic && !c->gate)
        return true;
    return mode_of(c)->output(c->count, phase(c, now));
}

uint64_t pit_channel_next_rise(const struct pit_channel *c, uint64_t after)
{
    struct pit_channel then = *c;
    uint64_t rise;

    if (!c->counting || is_held(c))
        return PIT_NEVER;
    settle(&then, after);
    if (mode_of(c)->is_periodic)
        return period_end(&then, after);
    rise = c->start + c->count + mode_of(c)->rise_delay;
    return after < rise ? rise : PIT_NEVER;
}

/* --- what the ports reach --- */

void pit_channel_set_mode(struct pit_channel *c, uint8_t control_word)
{
    uint8_t mode = control_word >> PIT_CW_MODE_SHIFT & PIT_CW_MODE_MASK;

    *c = (struct pit_channel){
        .mode = mode & 2 ? mode & 3 : mode, /* modes 2 and 3 ignore the top bit */
        .access = control_word >> PIT_CW_RW_SHIFT & PIT_CW_RW_MASK,
        .bcd = control_word & PIT_CW_BCD,
        .gate = c->gate,
    };
}

void pit_channel_latch_count(struct pit_channel *c, uint64_t now)
{
    if (c->count_latched)
        return;
    settle(c, now);
    c->latched_count = counter_value(c, now);
    c->count_latched = true;
}

void pit_channel_latch_status(struct pit_channel *c, uint64_t now)
{
    bool output = pit_channel_output(c, now);
    bool null_count = !c->counting || c->next_count != 0 || now < c->start;

    if (c->status_latched)
        return;
    c->latched_status =
        (uint8_t)((output ? PIT_STATUS_OUTPUT : 0) | (null_count ? PIT_STATUS_NULL_COUNT : 0) |
                  c->access << PIT_CW_RW_SHIFT | c->mode << PIT_CW_MODE_SHIFT |
                  (c->bcd ? PIT_CW_BCD : 0));
    c->status_latched = true;
}

void pit_channel_write(struct pit_channel *c, uint8_t value, uint64_t now)
{
    settle(c, now);
    if (c->access == PIT_RW_LSB) {
        load(c, value, now);
    } else if (c->access == PIT_RW_MSB) {
        load(c, (uint16_t)(value << 8), now);
    } else if (c->write_high_next) {
        load(c, (uint16_t)(value << 8 | c->low_byte), now);
        c->write_high_next = false;
    } else {
        c->low_byte = value;
        c->write_high_next = true;
        if (c->mode == 0) /* Intel 8254, "Mode 0": the first byte stops the counter */
            c->counting = false;
    }
}

uint8_t pit_channel_read(struct pit_channel *c, uint64_t now)
{
    bool high = c->access == PIT_RW_MSB || (c->access == PIT_RW_WORD && c->read_high_next);
    uint16_t value;

    if (c->status_latched) {
        c->status_latched = false;
        return c->latched_status;
    }
    settle(c, now);
    value = c->count_latched ? c->latched_count : counter_value(c, now);
    if (c->access == PIT_RW_WORD)
        c->read_high_next = !high;
    if (c->access != PIT_RW_WORD || high)
        c->count_latched = false;
    return (uint8_t)(high ? value >> 8 : value);
}

void pit_channel_reset(struct pit_channel *c, bool gate)
{
    *c = (struct pit_channel){.access = PIT_RW_WORD, .gate = gate};
}
