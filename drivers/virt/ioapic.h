/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The I/O APIC that a guest sees: an 82093AA with 40 inputs, and the EOI register of version 0x20.
 * A line's level says whether it is asserted; the polarity bit of a redirection entry is kept for
 * the guest and means nothing, as devices and the guest's ACPI tables agree by construction. What
 * this causes on the bus is bounded: a line's change, a write, and an EOI per input send one message
 * at most, so that a line which nobody lowers costs one message an EOI.
 *
 * CPUs: any, at any time. Lines, MMIO and EOIs take the chip's own lock, inside the lock of whatever
 * device they come from; nothing that the bus does with a message comes back here. The lock is held
 * until remote IRR is set, so that the EOI of a message on another CPU finds it.
 */
#ifndef DRIVERS_VIRT_IOAPIC_H
#define DRIVERS_VIRT_IOAPIC_H

#include "drivers/virt/apic_bus.h"
#include "kernel/io_bus.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/types.h"

#define IOAPIC_DEFAULT_BASE 0xfec00000ul
#define IOAPIC_INPUTS       40u

#define IOAPIC_REGSEL 0x00
#define IOAPIC_WIN    0x10
#define IOAPIC_EOI    0x40

#define IOAPIC_ID                0x00 /* behind the window */
#define IOAPIC_VER               0x01
#define IOAPIC_ARB               0x02
#define IOAPIC_REDTBL            0x10 /* two registers an input, the low half first */
#define IOAPIC_ID_BITS           0x0f000000u
#define IOAPIC_VERSION           0x20u
#define IOAPIC_VER_ENTRIES_SHIFT 16

#define IOAPIC_RTE_LOGICAL    BIT(11)
#define IOAPIC_RTE_PENDING    BIT(12) /* delivery status; our bus is never busy */
#define IOAPIC_RTE_ACTIVE_LOW BIT(13)
#define IOAPIC_RTE_REMOTE_IRR BIT(14)
#define IOAPIC_RTE_LEVEL      BIT(15)
#define IOAPIC_RTE_MASKED     BIT(16)
#define IOAPIC_RTE_DEST_SHIFT 56

/* Who is asked, after the EOI of an input, whether its line is to be raised again. */
struct ioapic_sampler {
    void (*sample)(void *context, unsigned input);
    void *context;
};

struct ioapic {
    struct lock lock; /* guards all of it */
    uint64_t redirection[IOAPIC_INPUTS]; /* bits as the guest reads them, remote IRR included */
    uint64_t asserted;                   /* the lines, as bits */
    uint64_t sampled;                    /* those that an EOI lowers */
    struct ioapic_sampler sampler;       /* theirs */
    uint32_t id;
    uint8_t selected;
    struct apic_bus *bus;
};

/* Listens for EOIs on the bus. -ENOSPC: the bus has too many IOAPICs. */
MUST_CHECK int ioapic_init(struct ioapic *io, struct apic_bus *bus);
/* Every input masked; the lines keep the levels that devices drive. */
void ioapic_reset(struct ioapic *io);

/* An irq_line's sink; input is below IOAPIC_INPUTS. */
void ioapic_set_line(void *ioapic, unsigned input, bool level);

/*
 * From now on the lines of these inputs (bits) stay raised until the guest's EOI, which lowers them; the sampler is
 * called then, without the chip's lock. Before the guest runs.
 */
void ioapic_sample(struct ioapic *io, uint64_t inputs, const struct ioapic_sampler *sampler);

/* 4 KiB at IOAPIC_DEFAULT_BASE, widths 1, 2 and 4. */
extern const struct io_region_ops ioapic_ops;

#endif
