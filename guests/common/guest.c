/* SPDX-License-Identifier: BSD-2-Clause */
/* Text and the end, for every tiny guest; see guest.h. COM1 is polled: a guest has no interrupts
 * unless it sets them up. */
#include "guests/common/guest.h"
#include <stdarg.h>

#define COM1       0x3f8u
#define UART_DATA  (COM1 + 0)
#define UART_FCR   (COM1 + 2)
#define UART_LSR   (COM1 + 5)
#define LSR_DR     0x01u /* a character has come */
#define LSR_THRE   0x20u /* a character may be written */
#define LSR_TEMT   0x40u /* all characters have left */
#define FCR_ENABLE 0x01u
#define UART_FIFO_BYTES 16u
#define PIC_MASTER_MASK 0x21u
#define PIC_SLAVE_MASK  0xa1u
#define DIGITS_MAX 20
#define LINE_MAX   1024

static void put_raw(char c)
{
    while (!(inb(UART_LSR) & LSR_THRE))
        ;
    outb(UART_DATA, (uint8_t)c);
}

static struct {
    bool is_held;
    unsigned used;
    char text[LINE_MAX];
} line;

/* The FIFO takes so many at once: two exits in a VM instead of one or two a character. */
static void flush_line(void)
{
    const char *at = line.text;

    while (line.used > 0) {
        unsigned count = line.used < UART_FIFO_BYTES ? line.used : UART_FIFO_BYTES;

        line.used -= count;
        while (!(inb(UART_LSR) & LSR_THRE))
            ;
        __asm__ volatile("rep outsb" : "+S"(at), "+c"(count) : "d"(UART_DATA) : "memory");
    }
}

static void put(char c)
{
    if (c == '\n')
        put('\r');
    if (!line.is_held) {
        put_raw(c);
        return;
    }
    line.text[line.used++] = c;
    if (c == '\n' || line.used == LINE_MAX)
        flush_line();
}

void print_whole_lines(void)
{
    line.is_held = true;
    outb(UART_FCR, FCR_ENABLE);
}

static void put_text(const char *text)
{
    while (*text)
        put(*text++);
}

/* Division by shift and subtract: 32-bit code has no library to divide 64-bit numbers. */
static uint64_t divide(uint64_t value, unsigned base, unsigned *remainder)
{
    uint64_t quotient = 0, rest = 0;

    for (int bit = 63; bit >= 0; bit--) {
        rest = rest << 1 | (value >> bit & 1);
        if (rest >= base) {
            rest -= base;
            quotient |= BIT(bit);
        }
    }
    *remainder = (unsigned)rest;
    return quotient;
}

static void put_number(uint64_t value, unsigned base)
{
    char digits[DIGITS_MAX];
    unsigned count = 0, digit;

    do {
        value = divide(value, base, &digit);
        digits[count++] = "0123456789abcdef"[digit];
    } while (value != 0);
    while (count > 0)
        put(digits[--count]);
}

void print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    for (const char *at = format; *at; at++) {
        bool is_wide = at[0] == '%' && at[1] == 'l';

        if (*at != '%') {
            put(*at);
            continue;
        }
        at += is_wide ? 2 : 1;
        if (*at == 's')
            put_text(va_arg(args, const char *));
        else if (*at == 'c')
            put((char)va_arg(args, int));
        else
            put_number(is_wide ? va_arg(args, uint64_t) : va_arg(args, unsigned),
                       *at == 'x' ? 16 : 10);
    }
    va_end(args);
}

void poll_preemptibly(void)
{
    outb(PIC_MASTER_MASK, 0xff);
    outb(PIC_SLAVE_MASK, 0xff);
    __asm__ volatile("sti");
}

int get_char(void)
{
    return inb(UART_LSR) & LSR_DR ? inb(UART_DATA) : -1;
}

void guest_exit(int status)
{
    while (!(inb(UART_LSR) & LSR_TEMT))
        ;
    outl(DEBUG_EXIT_PORT, (uint32_t)status);
    for (;;)
        __asm__ volatile("cli; hlt");
}
