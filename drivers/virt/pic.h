/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PC's pair of 8259A interrupt controllers, the second at input 2 of the first, with the
 * edge/level control registers that PCI chipsets added.
 *
 * CPUs: any, at any time. Lines, ports and acknowledge cycles take the pair's own lock, inside the
 * lock of whatever device they come from. INTR and masks_changed are told with it held, so that what
 * they cause must not come back here.
 */
#ifndef DRIVERS_VIRT_PIC_H
#define DRIVERS_VIRT_PIC_H

#include "kernel/io_bus.h"
#include "kernel/irq.h"
#include "kernel/lib/lock.h"

#define PIC_INPUTS 16u

struct pic_chip {
    struct irq_line output; /* INT */
    struct pic *pair;
    uint8_t level_capable; /* the inputs that ELCR may make level-triggered */
    uint8_t withdrawable;  /* the edge-triggered inputs whose request ends when the line falls */

    uint8_t lines; /* the inputs as they are */
    uint8_t irr, isr, imr, elcr;
    uint8_t vector_base;
    uint8_t lowest;   /* the input of the lowest priority; the one after it has the highest */
    uint8_t next_icw; /* what the odd port takes: 2 to 4, or PIC_READY; 1: not initialized yet */
    bool needs_icw3, needs_icw4;
    bool auto_eoi, rotates_on_auto_eoi;
    bool special_mask, special_fully_nested;
    bool polled, reads_isr; /* what the next read gives */
    bool output_level;
};

struct pic {
    struct lock lock; /* guards both chips */
    struct pic_chip master, slave;
    void (*masks_changed)(void *context, uint16_t masked); /* NULL: nobody wants to know */
    void *masks_context;
};

void pic_init(struct pic *pic, struct irq_line intr);
void pic_reset(struct pic *pic);

/* A sink for irq_line: inputs 0 to 15. Input 2 is the cascade's own and takes nothing. */
void pic_set_line(void *pic, unsigned input, bool level);

/* The level of INTR. */
bool pic_is_pending(const struct pic *pic);

/*
 * One interrupt acknowledge cycle: returns the vector, that of a spurious interrupt if the request
 * has gone.
 */
int pic_acknowledge(struct pic *pic);

/*
 * Tells changed(context, inputs) which inputs can interrupt nobody, each time that this may have
 * changed: a timer wired to one of them need not run.
 */
void pic_on_masks_changed(struct pic *pic, void (*changed)(void *context, uint16_t masked),
                          void *context);

/*
 * Regions, all IO_WIDTH_1. The device of the first is &pic->master or &pic->slave, of the second
 * the pic.
 */
#define PIC_MASTER_PORT 0x20u
#define PIC_SLAVE_PORT  0xa0u
#define PIC_PORTS       2u
extern const struct io_region_ops pic_ops;

#define PIC_ELCR_PORT  0x4d0u
#define PIC_ELCR_PORTS 2u
extern const struct io_region_ops pic_elcr_ops;

/* Intel 8259A, "Initialization Command Words" and "Operation Command Words". */
#define PIC_ICW1_SELECT 0x10u
#define PIC_ICW1_IC4    0x01u
#define PIC_ICW1_SNGL   0x02u
#define PIC_ICW2_MASK   0xf8u
#define PIC_ICW4_UPM    0x01u /* 8086 mode: taken for granted */
#define PIC_ICW4_AEOI   0x02u
#define PIC_ICW4_SFNM   0x10u
#define PIC_OCW2_EOI    0x20u
#define PIC_OCW2_SL     0x40u
#define PIC_OCW2_R      0x80u
#define PIC_OCW2_LEVEL  0x07u
#define PIC_OCW3_SELECT 0x08u
#define PIC_OCW3_RIS    0x01u
#define PIC_OCW3_RR     0x02u
#define PIC_OCW3_P      0x04u
#define PIC_OCW3_SMM    0x20u
#define PIC_OCW3_ESMM   0x40u
#define PIC_POLL_I      0x80u /* a poll found an interrupt */

#endif
