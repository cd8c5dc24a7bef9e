/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A 16550A serial port. What the guest sends leaves at once through a chardev; what it is to
 * receive is offered by uart_receive(). Everything runs on the CPU that runs the VM.
 */
#ifndef DRIVERS_VIRT_UART_H
#define DRIVERS_VIRT_UART_H

#include "drivers/backend.h"
#include "drivers/ns16550.h"
#include "kernel/io_bus.h"
#include "kernel/irq.h"

struct uart {
    struct irq_line irq;
    struct chardev output;
    void (*room)(void *context); /* NULL: nobody wants to know */
    void *room_context;

    uint8_t ier, fcr, lcr, mcr, msr, scr;
    uint8_t dll, dlm;
    uint8_t fifo[UART_FIFO_BYTES];
    unsigned head, count; /* the oldest byte, and how many there are */
    bool overrun;         /* LSR.OE */
    bool thre_pending;    /* the transmitter's interrupt: raised, and not yet seen in the IIR */
    bool irq_level;
};

void uart_init(struct uart *u, struct irq_line irq, struct chardev output);
void uart_reset(struct uart *u);

/*
 * Takes as many of the bytes as the receiver holds and returns how many; none in loopback mode.
 * What was refused may be offered again when room(context) is called: the guest has emptied the
 * receiver.
 */
size_t uart_receive(struct uart *u, const uint8_t *bytes, size_t count);
void uart_on_room(struct uart *u, void (*room)(void *context), void *context);

/* Region: UART_PORTS ports, IO_WIDTH_1; the device is the struct uart. */
extern const struct io_region_ops uart_ops;

#endif
