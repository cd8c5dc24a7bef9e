/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever comes while an interrupt is served, nothing that is written stays in the queue and nothing that is typed
 * stays in the UART, although interrupts are edges, and a UART that has something at every look holds no CPU.
 */
#include "tests/host/fake/fake.h"
#include "drivers/host/host_uart.h"
#include "drivers/ns16550.h"
#include "tests/host/fake/include/arch/x86/io.h"

#define TEXT_MAX 4096u

/* --- a 16550 that sends at once, as emulators do --- */

static uint8_t ier, scratch;
static bool is_empty_pending; /* the interrupt of an empty transmitter */
static bool line, has_edge;
static uint8_t typed[TEXT_MAX];
static unsigned typed_head, typed_tail;
static char sent[TEXT_MAX];
static unsigned sent_count, looks, type_at_look; /* looks at IIR */
static bool types_at_each_look;

static bool is_typed(void)
{
    return typed_tail != typed_head;
}

static void update(void)
{
    bool now = ((ier & UART_IER_ERBFI) && is_typed()) || ((ier & UART_IER_ETBEI) && is_empty_pending);

    has_edge |= now && !line;
    line = now;
}

static void type(uint8_t byte)
{
    typed[typed_head++ % TEXT_MAX] = byte;
    update();
}

static uint8_t read_iir(void)
{
    looks++;
    if (types_at_each_look || looks == type_at_look)
        type('k');
    if ((ier & UART_IER_ERBFI) && is_typed())
        return 0x04;
    if (!(ier & UART_IER_ETBEI) || !is_empty_pending)
        return 0x01;
    is_empty_pending = false;
    update();
    return 0x02;
}

static uint8_t read_data(void)
{
    uint8_t byte = is_typed() ? typed[typed_tail++ % TEXT_MAX] : 0;

    update();
    return byte;
}

uint8_t io_in8(uint16_t port)
{
    switch (port - UART_COM1_PORT) {
    case UART_RBR:
        return read_data();
    case UART_IIR:
        return read_iir();
    case UART_LSR:
        return UART_LSR_THRE | UART_LSR_TEMT | (is_typed() ? UART_LSR_DR : 0);
    case UART_SCR:
        return scratch;
    default:
        return 0;
    }
}

static void send(uint8_t byte)
{
    is_empty_pending = false;
    update();
    if (sent_count < TEXT_MAX)
        sent[sent_count++] = (char)byte;
    is_empty_pending = true;
    update();
}

static void set_ier(uint8_t value)
{
    is_empty_pending |= (value & UART_IER_ETBEI) && !(ier & UART_IER_ETBEI);
    ier = value;
    update();
}

void io_out8(uint16_t port, uint8_t value)
{
    if (port == UART_COM1_PORT + UART_THR)
        send(value);
    else if (port == UART_COM1_PORT + UART_IER)
        set_ier(value);
    else if (port == UART_COM1_PORT + UART_SCR)
        scratch = value;
}

/* --- the machine --- */

static unsigned received;

static void receive(const uint8_t *bytes, size_t count)
{
    (void)bytes;
    received += (unsigned)count;
}

/* Returns how many interrupts it took until none came any more. */
static unsigned run(unsigned max)
{
    unsigned count = 0;

    for (; has_edge && count < max; count++) {
        has_edge = false;
        host_uart_interrupt();
    }
    return count;
}

static void write_bytes(unsigned count)
{
    static uint8_t text[TEXT_MAX];
    struct chardev uart = host_uart_chardev();

    for (unsigned i = 0; i < count; i++)
        text[i] = (uint8_t)('a' + i % 26);
    chardev_write(&uart, text, count);
}

static int set_up(void **state)
{
    (void)state;
    ier = 0;
    is_empty_pending = line = has_edge = types_at_each_look = false;
    typed_head = typed_tail = sent_count = received = type_at_look = 0;
    assert_true(host_uart_init());
    sent_count = 0; /* the divisor's bytes */
    host_uart_use_interrupts(receive);
    run(100);
    return 0;
}

static void what_is_written_comes_out(void **state)
{
    (void)state;
    write_bytes(1000);
    run(100);
    assert_int_equal(sent_count, 1000);
    for (unsigned i = 0; i < sent_count; i++)
        assert_int_equal(sent[i], 'a' + i % 26);
    assert_int_equal(host_uart_room(), HOST_UART_QUEUE_BYTES);
}

static void what_is_typed_comes_in(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++)
        type('k');
    run(100);
    assert_int_equal(received, 100);
}

/* At each of the looks of an interrupt that sends much: also at the last one that it takes, when nothing is left to send. */
static void a_key_at_any_moment_is_not_the_last_one(void **state)
{
    for (unsigned at = 1; at <= 40; at++)
        for (unsigned size = 1; size <= 1000; size += 7) {
            set_up(state);
            looks = 0;
            type_at_look = at;
            write_bytes(size);
            run(100);
            type('k');
            run(100);
            assert_int_equal(received, looks >= at ? 2 : 1);
            assert_int_equal(sent_count, size);
        }
}

/* A text is pasted while the transmitter's interrupt waits behind that of each key: the line is high all the time. */
static void one_that_never_settles_is_left_alone_in_between(void **state)
{
    unsigned before;

    (void)state;
    write_bytes(1);
    type('k');
    before = looks;
    types_at_each_look = true;
    assert_int_equal(run(10), 10); /* the others' interrupts come between these */
    assert_in_range(looks - before, 10, 10 * 16);
    types_at_each_look = false;
    run(100);
    assert_int_equal(received, typed_head);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_comes_out),
        TEST(what_is_typed_comes_in),
        TEST(a_key_at_any_moment_is_not_the_last_one),
        TEST(one_that_never_settles_is_left_alone_in_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
