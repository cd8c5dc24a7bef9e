/* SPDX-License-Identifier: BSD-2-Clause */
/* COM1 as the hypervisor's own console: polled at first, by interrupt once there are any. */
#ifndef DRIVERS_HOST_HOST_UART_H
#define DRIVERS_HOST_HOST_UART_H

#include "drivers/backend.h"

/* Sets 115200 8N1. False: nothing answers there. */
bool host_uart_init(void);
struct chardev host_uart_chardev(void);

/* From now on output is queued and typed bytes go to receive, in interrupt context. */
void host_uart_use_interrupts(void (*receive)(const uint8_t *bytes, size_t count));
void host_uart_interrupt(void);

/* The queue: a power of two. What it has no room for is lost. */
#define HOST_UART_QUEUE_BYTES KIB(128)
size_t host_uart_room(void);
/* Moves what the transmitter takes now. For who waits for room: with interrupts off nobody else may do it. */
void host_uart_pump(void);

/* Waits until everything queued is out; for panic and power-off. */
void host_uart_flush(void);

/* For a panic: no lock is waited for from now on. */
void host_uart_break_lock(void);

#endif
