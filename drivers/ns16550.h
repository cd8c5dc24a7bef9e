/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers of a 16550A, as the data sheet (National PC16550D, "Registers") spells them: for
 * the UART that guests see, the one that we drive, and guests of ours.
 */
#ifndef DRIVERS_NS16550_H
#define DRIVERS_NS16550_H

#define UART_PORTS      8u /* how many ports one takes */
#define UART_FIFO_BYTES 16u

#define UART_COM1_PORT 0x3f8u
#define UART_COM1_IRQ  4u

/* Offsets from the base. The first two are the divisor latch while LCR.DLAB is set. */
#define UART_RBR 0u /* read */
#define UART_THR 0u /* write */
#define UART_DLL 0u
#define UART_IER 1u
#define UART_DLM 1u
#define UART_IIR 2u /* read */
#define UART_FCR 2u /* write */
#define UART_LCR 3u
#define UART_MCR 4u
#define UART_LSR 5u
#define UART_MSR 6u
#define UART_SCR 7u

#define UART_IER_ERBFI 0x01u /* received data available */
#define UART_IER_ETBEI 0x02u /* transmitter holding register empty */
#define UART_IER_ELSI  0x04u /* line status */
#define UART_IER_EDSSI 0x08u /* modem status */
#define UART_IER_MASK  0x0fu

/* What interrupts, by falling priority. */
#define UART_IIR_RLS   0x06u /* receiver line status */
#define UART_IIR_RDA   0x04u /* received data available: the FIFO's trigger level was reached */
#define UART_IIR_CTI   0x0cu /* character timeout: less than that waits, and nothing follows it */
#define UART_IIR_THRE  0x02u
#define UART_IIR_MS    0x00u
#define UART_IIR_NONE  0x01u
#define UART_IIR_FIFOS 0xc0u /* the FIFOs are enabled */

#define UART_FCR_ENABLE        0x01u
#define UART_FCR_RESET_RX      0x02u
#define UART_FCR_RESET_TX      0x04u
#define UART_FCR_TRIGGER_SHIFT 6

#define UART_LCR_8N1  0x03u
#define UART_LCR_DLAB 0x80u

#define UART_MCR_DTR  0x01u
#define UART_MCR_RTS  0x02u
#define UART_MCR_OUT1 0x04u
#define UART_MCR_OUT2 0x08u
#define UART_MCR_LOOP 0x10u
#define UART_MCR_MASK 0x1fu

#define UART_LSR_DR   0x01u
#define UART_LSR_OE   0x02u
#define UART_LSR_THRE 0x20u
#define UART_LSR_TEMT 0x40u

#define UART_MSR_DCTS   0x01u
#define UART_MSR_DDSR   0x02u
#define UART_MSR_TERI   0x04u
#define UART_MSR_DDCD   0x08u
#define UART_MSR_DELTAS 0x0fu
#define UART_MSR_CTS    0x10u
#define UART_MSR_DSR    0x20u
#define UART_MSR_RI     0x40u
#define UART_MSR_DCD    0x80u
#define UART_MSR_LINES  0xf0u

#endif
