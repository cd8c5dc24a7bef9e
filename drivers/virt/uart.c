/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 16550A's registers and interrupts. The line has no speed: the transmitter is empty as soon as
 * it was filled, and the four character times of silence that the receiver's timeout waits for have
 * always passed, because who feeds it offers all that there is. So no timer is needed, and the
 * interrupt is a function of the state: interrupt_id() alone decides, set_irq() shows it on the
 * line.
 */
#include "drivers/virt/uart.h"
#include "kernel/lib/string.h"

#define DIVISOR_9600 12u

static bool has_fifos(const struct uart *u)
{
    return u->fcr & UART_FCR_ENABLE;
}

static unsigned capacity(const struct uart *u)
{
    return has_fifos(u) ? UART_FIFO_BYTES : 1;
}

static unsigned trigger_level(const struct uart *u)
{
    static const uint8_t levels[] = {1, 4, 8, 14};

    return has_fifos(u) ? levels[u->fcr >> UART_FCR_TRIGGER_SHIFT] : 1;
}

static bool is_looped(const struct uart *u)
{
    return u->mcr & UART_MCR_LOOP;
}

/* PC16550D, "Interrupt Identification Register": the source of the highest priority. */
static uint8_t interrupt_id(const struct uart *u)
{
    if ((u->ier & UART_IER_ELSI) && u->overrun)
        return UART_IIR_RLS;
    if ((u->ier & UART_IER_ERBFI) && u->count >= trigger_level(u))
        return UART_IIR_RDA;
    if ((u->ier & UART_IER_ERBFI) && u->count > 0)
        return UART_IIR_CTI;
    if ((u->ier & UART_IER_ETBEI) && u->thre_pending)
        return UART_IIR_THRE;
    if ((u->ier & UART_IER_EDSSI) && (u->msr & UART_MSR_DELTAS))
        return UART_IIR_MS;
    return UART_IIR_NONE;
}

static void set_irq(struct uart *u, bool level)
{
    if (level == u->irq_level)
        return;
    u->irq_level = level;
    irq_line_set(&u->irq, level);
}

/* On a PC, MCR.OUT2 gates the line; emulators ignore that, and enough small kernels rely on it. */
static void update_irq(struct uart *u)
{
    set_irq(u, interrupt_id(u) != UART_IIR_NONE);
}

static void offer_room(struct uart *u)
{
    if (u->room && u->count == 0 && !is_looped(u))
        u->room(u->room_context);
}

static void push(struct uart *u, uint8_t byte)
{
    u->fifo[(u->head + u->count) % UART_FIFO_BYTES] = byte;
    u->count++;
}

/* PC16550D, "Line Status Register": a full FIFO keeps what it has, a holding register does not. */
static void receive_looped(struct uart *u, uint8_t byte)
{
    if (u->count == capacity(u)) {
        u->overrun = true;
        if (has_fifos(u))
            return;
        u->count = 0;
    }
    push(u, byte);
}

/* --- modem lines --- */

/* Outside loopback a terminal that is switched on is at the other end. */
static uint8_t modem_lines(const struct uart *u)
{
    if (!is_looped(u))
        return UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD;
    return (uint8_t)((u->mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) |
                     (u->mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) |
                     (u->mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) |
                     (u->mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0));
}

/* A delta bit stands four below its line; RI has only its trailing edge, TERI. */
static void update_modem(struct uart *u)
{
    uint8_t lines = modem_lines(u);
    uint8_t changed = (u->msr ^ lines) & UART_MSR_LINES;

    if (lines & UART_MSR_RI)
        changed &= (uint8_t)~UART_MSR_RI;
    u->msr = (uint8_t)(lines | (u->msr & UART_MSR_DELTAS) | changed >> 4);
}

/* --- reads --- */

static uint8_t read_rbr(struct uart *u)
{
    bool timed_out = interrupt_id(u) == UART_IIR_CTI;
    uint8_t byte = u->fifo[u->head];

    if (u->lcr & UART_LCR_DLAB)
        return u->dll;
    if (u->count == 0)
        return 0;
    u->head = (u->head + 1) % UART_FIFO_BYTES;
    u->count--;
    /*
     * Reading restarts the timeout, so a guest that takes one byte an interrupt gets an edge for
     * each of the rest; and the line must be seen low before a sender fills the receiver again.
     */
    if (timed_out)
        set_irq(u, false);
    update_irq(u);
    offer_room(u);
    return byte;
}

static uint8_t read_ier(struct uart *u)
{
    return u->lcr & UART_LCR_DLAB ? u->dlm : u->ier;
}

static uint8_t read_iir(struct uart *u)
{
    uint8_t id = interrupt_id(u);

    if (id == UART_IIR_THRE) {
        u->thre_pending = false;
        update_irq(u);
    }
    return (uint8_t)(id | (has_fifos(u) ? UART_IIR_FIFOS : 0));
}

static uint8_t read_lcr(struct uart *u)
{
    return u->lcr;
}

static uint8_t read_mcr(struct uart *u)
{
    return u->mcr;
}

static uint8_t read_lsr(struct uart *u)
{
    uint8_t lsr = (uint8_t)(UART_LSR_THRE | UART_LSR_TEMT | (u->count > 0 ? UART_LSR_DR : 0) |
                            (u->overrun ? UART_LSR_OE : 0));

    u->overrun = false;
    update_irq(u);
    return lsr;
}

static uint8_t read_msr(struct uart *u)
{
    uint8_t msr = u->msr;

    u->msr &= UART_MSR_LINES;
    update_irq(u);
    return msr;
}

static uint8_t read_scr(struct uart *u)
{
    return u->scr;
}

/* --- writes --- */

static void write_thr(struct uart *u, uint8_t value)
{
    if (u->lcr & UART_LCR_DLAB) {
        u->dll = value;
        return;
    }
    /* Full for an instant: the interrupt goes and comes back, an edge for who waits for one. */
    u->thre_pending = false;
    update_irq(u);
    if (is_looped(u))
        receive_looped(u, value);
    else
        chardev_write(&u->output, &value, 1);
    u->thre_pending = true;
    update_irq(u);
}

static void write_ier(struct uart *u, uint8_t value)
{
    if (u->lcr & UART_LCR_DLAB) {
        u->dlm = value;
        return;
    }
    if ((value & ~u->ier) & UART_IER_ETBEI)
        u->thre_pending = true;
    u->ier = value & UART_IER_MASK;
    update_irq(u);
}

/* PC16550D, "FIFO Control Register": without bit 0 no other is taken; its change empties both. */
static void write_fcr(struct uart *u, uint8_t value)
{
    uint8_t fcr = value & UART_FCR_ENABLE ? value : 0;

    if (((fcr ^ u->fcr) & UART_FCR_ENABLE) || (fcr & UART_FCR_RESET_RX))
        u->count = 0;
    u->fcr = (uint8_t)(fcr & ~(UART_FCR_RESET_RX | UART_FCR_RESET_TX));
    update_irq(u);
    offer_room(u);
}

static void write_lcr(struct uart *u, uint8_t value)
{
    u->lcr = value;
}

static void write_mcr(struct uart *u, uint8_t value)
{
    u->mcr = value & UART_MCR_MASK;
    update_modem(u);
    update_irq(u);
    offer_room(u);
}

static void write_nothing(struct uart *u UNUSED, uint8_t value UNUSED)
{
}

static void write_scr(struct uart *u, uint8_t value)
{
    u->scr = value;
}

/* --- the device --- */

static uint8_t (*const readers[UART_PORTS])(struct uart *u) = {
    [UART_RBR] = read_rbr, [UART_IER] = read_ier, [UART_IIR] = read_iir, [UART_LCR] = read_lcr,
    [UART_MCR] = read_mcr, [UART_LSR] = read_lsr, [UART_MSR] = read_msr, [UART_SCR] = read_scr,
};

static void (*const writers[UART_PORTS])(struct uart *u, uint8_t value) = {
    [UART_THR] = write_thr,     [UART_IER] = write_ier, [UART_FCR] = write_fcr,
    [UART_LCR] = write_lcr,     [UART_MCR] = write_mcr, [UART_LSR] = write_nothing,
    [UART_MSR] = write_nothing, [UART_SCR] = write_scr,
};

static uint64_t uart_read(void *device, uint64_t offset, unsigned width UNUSED)
{
    return readers[offset](device);
}

static void uart_write(void *device, uint64_t offset, unsigned width UNUSED, uint64_t value)
{
    writers[offset](device, (uint8_t)value);
}

const struct io_region_ops uart_ops = {uart_read, uart_write};

size_t uart_receive(struct uart *u, const uint8_t *bytes, size_t count)
{
    size_t taken = 0;

    if (is_looped(u))
        return 0;
    while (taken < count && u->count < capacity(u))
        push(u, bytes[taken++]);
    update_irq(u);
    return taken;
}

void uart_on_room(struct uart *u, void (*room)(void *context), void *context)
{
    u->room = room;
    u->room_context = context;
}

void uart_reset(struct uart *u)
{
    set_irq(u, false);
    u->ier = u->fcr = u->lcr = u->mcr = u->scr = 0;
    u->msr = modem_lines(u);
    u->dll = DIVISOR_9600;
    u->dlm = 0;
    u->head = u->count = 0;
    u->overrun = u->thre_pending = false;
    offer_room(u);
}

void uart_init(struct uart *u, struct irq_line irq, struct chardev output)
{
    *u = (struct uart){.irq = irq, .output = output};
    uart_reset(u);
}
