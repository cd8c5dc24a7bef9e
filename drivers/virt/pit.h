/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PC's 8254: channel 0 on an interrupt line, channel 2 with its gate and output at port 0x61,
 * by which kernels calibrate their clocks. Everything runs on the CPU that runs the VM.
 */
#ifndef DRIVERS_VIRT_PIT_H
#define DRIVERS_VIRT_PIT_H

#include "drivers/virt/oscillator.h"
#include "drivers/virt/pit_channel.h"
#include "kernel/io_bus.h"
#include "kernel/irq.h"
#include "kernel/timer.h"

#define PIT_HZ       1193182u
#define PIT_CHANNELS 3u
#define PIT_IRQ      0u

/* Shorter periods of channel 0 are coalesced, or a guest could keep a CPU busy with ticks alone. */
#define PIT_IRQ_TICKS_MIN 50u

struct pit {
    struct oscillator oscillator;
    struct irq_line irq;
    struct timer timer;
    struct pit_channel channels[PIT_CHANNELS];
    uint8_t port61; /* the bits that are written */
    uint64_t due;   /* the tick for which the timer is armed; PIT_NEVER: it is not */
    bool irq_wanted;
    uint64_t unwanted_since; /* tick */
};

/* The line is pulsed: it must end in an input that latches edges. */
void pit_init(struct pit *pit, struct irq_line irq);
void pit_reset(struct pit *pit);

/*
 * Says whether channel 0's interrupt can reach anybody (it can at first). While it cannot, no timer
 * runs; when it can again, what was missed arrives as one interrupt, as a masked input of a PIC
 * would keep it.
 */
void pit_set_irq_wanted(struct pit *pit, bool wanted);

/* Regions, both IO_WIDTH_1, both with the struct pit as device. */
#define PIT_PORT  0x40u
#define PIT_PORTS 4u
extern const struct io_region_ops pit_ops;

#define PIT_PORT61       0x61u
#define PIT_PORT61_PORTS 1u
extern const struct io_region_ops pit_port61_ops;

/* 82371AB, "NMI Status and Control Register"; the NMI sources that it reports do not exist here. */
#define PIT_PORT61_GATE2    0x01u
#define PIT_PORT61_SPEAKER  0x02u
#define PIT_PORT61_WRITABLE 0x0fu
#define PIT_PORT61_REFRESH  0x10u
#define PIT_PORT61_OUT2     0x20u

#endif
