/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * COM1, a 16550. A slow line must not slow a guest's exit: once interrupts work, bytes go into a ring
 * that the transmit interrupt empties; what does not fit is lost, so the writer asks for room first. Only a
 * panic, or the time before interrupts, waits. The console's lock (interrupts off) serialises all writers;
 * the ring's own lock is held for a FIFO's worth at most.
 */
#include "drivers/host/host_uart.h"
#include "arch/x86/io.h"
#include "kernel/lib/lock.h"

#define COM1 0x3f8
#define UART_THR 0
#define UART_RBR 0
#define UART_DLL 0
#define UART_DLM 1
#define UART_IER 1
#define UART_IIR 2
#define UART_FCR 2
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define UART_SCR 7

#define IER_ERBFI 0x01
#define IER_ETBEI 0x02
#define IIR_NONE_PENDING 0x01
#define FCR_ENABLE_AND_CLEAR 0x07
#define LCR_8N1   0x03
#define LCR_DLAB  0x80
#define MCR_DTR_RTS_OUT2 0x0b
#define LSR_DR    0x01
#define LSR_THRE  0x20
#define LSR_TEMT  0x40
#define FIFO_BYTES 16
#define BAUD_DIVISOR_115200 1

#define CAUSES_MAX 16u /* at one interrupt: a UART that never settles must not hold the CPU */

#define RING_BYTES HOST_UART_QUEUE_BYTES

static uint8_t ring[RING_BYTES];
static unsigned head, tail; /* free running */
static struct lock ring_lock; /* guards ring, head, tail, and the THR */
static bool is_present, use_interrupts, lock_is_broken;
static void (*on_receive)(const uint8_t *bytes, size_t count);

bool host_uart_init(void)
{
    io_out8(COM1 + UART_SCR, 0x5a);
    if (io_in8(COM1 + UART_SCR) != 0x5a)
        return false;
    io_out8(COM1 + UART_IER, 0);
    io_out8(COM1 + UART_LCR, LCR_DLAB);
    io_out8(COM1 + UART_DLL, BAUD_DIVISOR_115200);
    io_out8(COM1 + UART_DLM, 0);
    io_out8(COM1 + UART_LCR, LCR_8N1);
    io_out8(COM1 + UART_FCR, FCR_ENABLE_AND_CLEAR);
    io_out8(COM1 + UART_MCR, MCR_DTR_RTS_OUT2);
    is_present = true;
    return true;
}

/* Moves up to a FIFO's worth when the transmitter is empty; says whether it was. */
static bool fill_fifo(void)
{
    if (!(io_in8(COM1 + UART_LSR) & LSR_THRE))
        return false;
    for (unsigned i = 0; i < FIFO_BYTES && tail != head; i++)
        io_out8(COM1 + UART_THR, ring[tail++ % RING_BYTES]);
    return true;
}

static void drain(unsigned until_queued)
{
    while (head - tail > until_queued)
        if (!fill_fifo())
            __builtin_ia32_pause();
}

static void uart_write(void *context, const uint8_t *bytes, size_t count)
{
    bool takes_lock = !lock_is_broken;

    (void)context;
    if (takes_lock)
        lock_acquire(&ring_lock);
    for (size_t i = 0; i < count; i++) {
        if (head - tail == RING_BYTES && (!use_interrupts || lock_is_broken))
            drain(RING_BYTES - FIFO_BYTES);
        if (head - tail < RING_BYTES)
            ring[head++ % RING_BYTES] = bytes[i];
    }
    if (!use_interrupts)
        drain(0);
    else
        fill_fifo();
    if (takes_lock)
        lock_release(&ring_lock);
}

size_t host_uart_room(void)
{
    return RING_BYTES - (__atomic_load_n(&head, __ATOMIC_RELAXED) - __atomic_load_n(&tail, __ATOMIC_RELAXED));
}

void host_uart_pump(void)
{
    lock_acquire(&ring_lock);
    fill_fifo();
    lock_release(&ring_lock);
}

void host_uart_break_lock(void)
{
    lock_is_broken = true;
}

struct chardev host_uart_chardev(void)
{
    return (struct chardev){uart_write, NULL};
}

void host_uart_use_interrupts(void (*receive)(const uint8_t *bytes, size_t count))
{
    if (!is_present)
        return;
    on_receive = receive;
    use_interrupts = true;
    io_out8(COM1 + UART_IER, IER_ERBFI | IER_ETBEI);
}

/* False: there was nothing to move. */
static bool serve_interrupt(void)
{
    uint8_t bytes[64];
    unsigned tail_before = tail;
    size_t count = 0;

    while (count < sizeof bytes && (io_in8(COM1 + UART_LSR) & LSR_DR))
        bytes[count++] = io_in8(COM1 + UART_RBR);
    host_uart_pump();
    if (count > 0)
        on_receive(bytes, count);
    return count > 0 || tail != tail_before;
}

/* Reading IIR acknowledges a transmit interrupt. False: there may be more. */
static bool serve_causes(void)
{
    bool has_moved = false;

    for (unsigned i = 0; i < CAUSES_MAX; i++) {
        if (io_in8(COM1 + UART_IIR) & IIR_NONE_PENDING)
            return true;
        has_moved = serve_interrupt();
    }
    return !has_moved;
}

/*
 * ISA interrupts are edges: while one cause is left the line stays high, and no further interrupt ever comes. So what is
 * left makes a new edge, behind whatever else this CPU has to do.
 */
void host_uart_interrupt(void)
{
    if (serve_causes())
        return;
    io_out8(COM1 + UART_IER, 0);
    io_out8(COM1 + UART_IER, IER_ERBFI | IER_ETBEI);
}

/* Takes no lock: the machine may be stopping with the lock held by a CPU that no longer runs. */
void host_uart_flush(void)
{
    if (!is_present)
        return;
    use_interrupts = false;
    io_out8(COM1 + UART_IER, 0);
    drain(0);
    while (!(io_in8(COM1 + UART_LSR) & LSR_TEMT)) /* the last byte is on the wire, not in the FIFO */
        __builtin_ia32_pause();
}
