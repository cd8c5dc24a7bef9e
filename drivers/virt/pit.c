/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The three counters, their ports, and the interrupt of channel 0. A host timer is armed only for
 * the next rise of OUT 0: the line is pulsed there, because nobody can see when it fell. Rises that
 * passed while the guest did not run become one interrupt, and the next one comes on the grid of
 * the original period.
 */
#include "drivers/virt/pit.h"

#define CONTROL_PORT 3u

/*
 * The PC refreshes its memory every 18 ticks; bit 4 of port 0x61 toggles with it, and old code
 * times loops by it.
 */
#define REFRESH_TICKS 18u

static void schedule(struct pit *pit, uint64_t after)
{
    pit->due = pit->irq_wanted ? pit_channel_next_rise(&pit->channels[0], after) : PIT_NEVER;
    if (pit->due == PIT_NEVER)
        timer_cancel(&pit->timer);
    else
        timer_arm(&pit->timer, oscillator_deadline(&pit->oscillator, pit->due));
}

static void pulse(struct pit *pit)
{
    irq_line_set(&pit->irq, true);
    irq_line_set(&pit->irq, false);
}

static void channel0_rises(void *context)
{
    struct pit *pit = context;

    pulse(pit);
    schedule(pit, oscillator_ticks(&pit->oscillator) + PIT_IRQ_TICKS_MIN - 1);
}

/* The guest may act after a rise and before our timer has fired. */
static void deliver_what_is_due(struct pit *pit, uint64_t now)
{
    if (pit->due <= now)
        pulse(pit);
}

void pit_set_irq_wanted(struct pit *pit, bool wanted)
{
    uint64_t now = oscillator_ticks(&pit->oscillator);

    if (wanted == pit->irq_wanted)
        return;
    deliver_what_is_due(pit, now);
    pit->irq_wanted = wanted;
    if (!wanted)
        pit->unwanted_since = now;
    else if (pit_channel_next_rise(&pit->channels[0], pit->unwanted_since) <= now)
        pulse(pit);
    schedule(pit, now);
}

/* --- ports 0x40 to 0x43 --- */

static void read_back(struct pit *pit, uint8_t command, uint64_t now)
{
    for (unsigned i = 0; i < PIT_CHANNELS; i++) {
        if (!(command >> 1 & BIT(i)))
            continue;
        if (!(command & PIT_READBACK_NO_COUNT))
            pit_channel_latch_count(&pit->channels[i], now);
        if (!(command & PIT_READBACK_NO_STATUS))
            pit_channel_latch_status(&pit->channels[i], now);
    }
}

static void write_control(struct pit *pit, uint8_t word, uint64_t now)
{
    unsigned selected = word >> PIT_CW_SELECT_SHIFT;

    if (selected == PIT_SELECT_READBACK)
        read_back(pit, word, now);
    else if ((word >> PIT_CW_RW_SHIFT & PIT_CW_RW_MASK) == PIT_RW_LATCH)
        pit_channel_latch_count(&pit->channels[selected], now);
    else
        pit_channel_set_mode(&pit->channels[selected], word);
}

/* Does the write change what channel 0 does? Everything else leaves its timer alone. */
static bool is_for_channel0(uint64_t offset, uint64_t value)
{
    if (offset != CONTROL_PORT)
        return offset == 0;
    return value >> PIT_CW_SELECT_SHIFT == 0 &&
           (value >> PIT_CW_RW_SHIFT & PIT_CW_RW_MASK) != PIT_RW_LATCH;
}

static uint64_t pit_read(void *device, uint64_t offset, unsigned width UNUSED)
{
    struct pit *pit = device;

    if (offset == CONTROL_PORT)
        return 0xff;
    return pit_channel_read(&pit->channels[offset], oscillator_ticks(&pit->oscillator));
}

static void pit_write(void *device, uint64_t offset, unsigned width UNUSED, uint64_t value)
{
    struct pit *pit = device;
    uint64_t now = oscillator_ticks(&pit->oscillator);
    bool reprograms = is_for_channel0(offset, value);

    if (reprograms)
        deliver_what_is_due(pit, now);
    if (offset == CONTROL_PORT)
        write_control(pit, (uint8_t)value, now);
    else
        pit_channel_write(&pit->channels[offset], (uint8_t)value, now);
    if (reprograms)
        schedule(pit, now);
}

const struct io_region_ops pit_ops = {pit_read, pit_write};

/* --- port 0x61 --- */

static uint64_t pit_port61_read(void *device, uint64_t offset UNUSED, unsigned width UNUSED)
{
    struct pit *pit = device;
    uint64_t now = oscillator_ticks(&pit->oscillator);
    bool out2 = pit_channel_output(&pit->channels[2], now);

    return pit->port61 | (now / REFRESH_TICKS % 2 ? PIT_PORT61_REFRESH : 0) |
           (out2 ? PIT_PORT61_OUT2 : 0);
}

static void pit_port61_write(void *device, uint64_t offset UNUSED, unsigned width UNUSED,
                             uint64_t value)
{
    struct pit *pit = device;

    pit->port61 = value & PIT_PORT61_WRITABLE;
    pit_channel_set_gate(&pit->channels[2], value & PIT_PORT61_GATE2,
                         oscillator_ticks(&pit->oscillator));
}

const struct io_region_ops pit_port61_ops = {pit_port61_read, pit_port61_write};

/* Nothing counts until it is programmed: without firmware there is no tick of 18.2 Hz. */
void pit_reset(struct pit *pit)
{
    timer_cancel(&pit->timer);
    pit->due = PIT_NEVER;
    for (unsigned i = 0; i < PIT_CHANNELS; i++)
        pit_channel_reset(&pit->channels[i], i != 2);
    pit->port61 = 0;
}

void pit_init(struct pit *pit, struct irq_line irq)
{
    *pit = (struct pit){.irq = irq, .irq_wanted = true};
    oscillator_start(&pit->oscillator, PIT_HZ);
    timer_init(&pit->timer, channel0_rises, pit);
    pit_reset(pit);
}
