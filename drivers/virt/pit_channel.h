/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One counter of an 8254. It owns no clock: now is the number of its input's ticks, never less than
 * in the call before, and all that the counter shows is computed from the tick at which it was
 * loaded.
 */
#ifndef DRIVERS_VIRT_PIT_CHANNEL_H
#define DRIVERS_VIRT_PIT_CHANNEL_H

#include "kernel/lib/types.h"

#define PIT_NEVER UINT64_MAX

struct pit_channel {
    uint8_t mode;   /* 0 to 5 */
    uint8_t access; /* RW1 and RW0 of the control word */
    bool bcd;
    bool gate;

    bool counting;       /* loaded and, in modes 1 and 5, triggered */
    uint32_t count;      /* N; 0: none was written since the control word */
    uint64_t start;      /* the tick at which the counter held N */
    uint64_t held;       /* ticks counted so far, while the gate holds the counter */
    uint32_t next_count; /* replaces count at next_start; 0: none waits */
    uint64_t next_start; /* PIT_NEVER: the next trigger */

    bool write_high_next, read_high_next; /* the second half of a two-byte access is due */
    uint8_t low_byte;
    bool count_latched, status_latched;
    uint16_t latched_count;
    uint8_t latched_status;
};

void pit_channel_reset(struct pit_channel *c, bool gate);

/* A control word that neither latches nor reads back. */
void pit_channel_set_mode(struct pit_channel *c, uint8_t control_word);
void pit_channel_set_gate(struct pit_channel *c, bool level, uint64_t now);
void pit_channel_latch_count(struct pit_channel *c, uint64_t now);
void pit_channel_latch_status(struct pit_channel *c, uint64_t now);
void pit_channel_write(struct pit_channel *c, uint8_t value, uint64_t now);
uint8_t pit_channel_read(struct pit_channel *c, uint64_t now);

bool pit_channel_output(struct pit_channel *c, uint64_t now);

/* The first tick after the given one at which OUT rises; PIT_NEVER: not without the guest's doing. */
uint64_t pit_channel_next_rise(const struct pit_channel *c, uint64_t after);

/* Intel 8254, "Control Word Format" and "Read-Back Command". */
#define PIT_CW_BCD             0x01u
#define PIT_CW_MODE_SHIFT      1
#define PIT_CW_MODE_MASK       7u
#define PIT_CW_RW_SHIFT        4
#define PIT_CW_RW_MASK         3u
#define PIT_CW_SELECT_SHIFT    6
#define PIT_RW_LATCH           0u
#define PIT_RW_LSB             1u
#define PIT_RW_MSB             2u
#define PIT_RW_WORD            3u
#define PIT_SELECT_READBACK    3u
#define PIT_READBACK_NO_COUNT  0x20u
#define PIT_READBACK_NO_STATUS 0x10u
#define PIT_STATUS_OUTPUT      0x80u
#define PIT_STATUS_NULL_COUNT  0x40u

#endif
