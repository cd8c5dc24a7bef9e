/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a driver written for a real 16550A cannot tell: probes find a 16550A, each interrupt source comes and
 * goes as the data sheet says, its line has an edge whenever a new cause appears, and no byte is lost unseen.
 */
#include "tests/host/fake/fake.h"
#include "drivers/virt/uart.h"

static struct uart uart;
static struct fake_irq irq;
static uint8_t sent[64];
static size_t sent_count;

static void record(void *context, const uint8_t *bytes, size_t count)
{
    assert_ptr_equal(context, sent);
    for (size_t i = 0; i < count; i++)
        sent[sent_count++ % sizeof sent] = bytes[i];
}

static uint8_t in(unsigned offset)
{
    return (uint8_t)uart_ops.read(&uart, offset, 1);
}

static void out(unsigned offset, uint8_t value)
{
    uart_ops.write(&uart, offset, 1, value);
}

static size_t receive(const char *text)
{
    return uart_receive(&uart, (const uint8_t *)text, strlen(text));
}

static int set_up(void **state)
{
    (void)state;
    sent_count = 0;
    uart_init(&uart, fake_irq_line(&irq, UART_COM1_IRQ), (struct chardev){record, sent});
    return 0;
}

static void powers_on_as_the_data_sheet_says(void **state)
{
    (void)state;
    assert_int_equal(in(UART_IER), 0);
    assert_int_equal(in(UART_IIR), UART_IIR_NONE);
    assert_int_equal(in(UART_LCR), 0);
    assert_int_equal(in(UART_MCR), 0);
    assert_int_equal(in(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    assert_int_equal(in(UART_MSR), UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD);
    assert_int_equal(in(UART_RBR), 0);
    assert_false(irq.level);
}

static void a_probe_finds_a_16550a(void **state)
{
    (void)state;
    out(UART_IER, 0xff);
    assert_int_equal(in(UART_IER), 0x0f);
    out(UART_IER, 0);
    out(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
    assert_int_equal(in(UART_MSR) & UART_MSR_LINES, UART_MSR_DCD | UART_MSR_CTS);
    out(UART_MCR, 0xe0);
    assert_int_equal(in(UART_MCR), 0);
    out(UART_FCR, UART_FCR_ENABLE);
    assert_int_equal(in(UART_IIR), UART_IIR_FIFOS | UART_IIR_NONE);
    out(UART_FCR, 0xc6);
    assert_int_equal(in(UART_IIR), UART_IIR_NONE);
    out(UART_SCR, 0xa5);
    assert_int_equal(in(UART_SCR), 0xa5);
    out(UART_LSR, 0);
    out(UART_MSR, 0);
    assert_int_equal(in(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
}

static void dlab_swaps_in_the_divisor(void **state)
{
    (void)state;
    out(UART_IER, UART_IER_ERBFI);
    out(UART_LCR, UART_LCR_DLAB | UART_LCR_8N1);
    out(UART_DLL, 1);
    out(UART_DLM, 2);
    assert_int_equal(in(UART_DLL), 1);
    assert_int_equal(in(UART_DLM), 2);
    assert_int_equal(sent_count, 0);
    out(UART_LCR, UART_LCR_8N1);
    assert_int_equal(in(UART_LCR), UART_LCR_8N1);
    assert_int_equal(in(UART_IER), UART_IER_ERBFI);
    assert_int_equal(in(UART_RBR), 0);
}

static void what_is_written_leaves_at_once(void **state)
{
    (void)state;
    out(UART_THR, 'o');
    out(UART_THR, 'k');
    assert_int_equal(sent_count, 2);
    assert_memory_equal(sent, "ok", 2);
    assert_int_equal(in(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
}

/* What Linux's serial8250_do_startup() tries before it trusts a port. */
static void enabling_thre_interrupts_each_time(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 3; n++) {
        out(UART_IER, UART_IER_ETBEI);
        assert_true(irq.level);
        assert_int_equal(irq.rises, n);
        assert_int_equal(in(UART_IIR), UART_IIR_THRE);
        assert_false(irq.level);
        assert_int_equal(in(UART_IIR), UART_IIR_NONE);
        out(UART_IER, UART_IER_ETBEI); /* no change: no new interrupt */
        assert_false(irq.level);
        out(UART_IER, 0);
    }
}

static void each_byte_sent_gives_an_edge(void **state)
{
    (void)state;
    out(UART_IER, UART_IER_ETBEI);
    assert_int_equal(irq.rises, 1);
    out(UART_THR, 'a'); /* not acknowledged by reading the IIR, and still an edge */
    assert_int_equal(irq.rises, 2);
    assert_int_equal(in(UART_IIR), UART_IIR_THRE);
    out(UART_THR, 'b');
    assert_int_equal(irq.rises, 3);
    assert_int_equal(in(UART_IIR), UART_IIR_THRE);
    assert_false(irq.level);
}

static void a_holding_register_takes_one_byte(void **state)
{
    (void)state;
    out(UART_IER, UART_IER_ERBFI);
    assert_int_equal(receive("xy"), 1);
    assert_int_equal(receive("y"), 0);
    assert_true(irq.level);
    assert_int_equal(in(UART_IIR), UART_IIR_RDA);
    assert_true(in(UART_LSR) & UART_LSR_DR);
    assert_int_equal(in(UART_RBR), 'x');
    assert_false(irq.level);
    assert_false(in(UART_LSR) & UART_LSR_DR);
}

static void the_fifo_takes_sixteen_and_keeps_their_order(void **state)
{
    (void)state;
    out(UART_FCR, UART_FCR_ENABLE);
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(receive("abcdefghijklmnopqrs"), UART_FIFO_BYTES);
        assert_int_equal(receive("z"), 0);
        for (unsigned i = 0; i < 11; i++)
            assert_int_equal(in(UART_RBR), 'a' + i);
        assert_int_equal(receive("0123"), 4);
        for (unsigned i = 11; i < 16; i++)
            assert_int_equal(in(UART_RBR), 'a' + i);
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(in(UART_RBR), '0' + i);
        assert_false(in(UART_LSR) & UART_LSR_DR);
    }
}

static void the_trigger_level_divides_rda_from_timeout(void **state)
{
    static const unsigned levels[] = {1, 4, 8, 14};

    (void)state;
    out(UART_IER, UART_IER_ERBFI);
    for (unsigned t = 0; t < ARRAY_SIZE(levels); t++) {
        out(UART_FCR, (uint8_t)(t << UART_FCR_TRIGGER_SHIFT | UART_FCR_RESET_RX | UART_FCR_ENABLE));
        assert_false(irq.level);
        for (unsigned n = 1; n <= UART_FIFO_BYTES; n++) {
            receive("r");
            assert_int_equal(in(UART_IIR) & 0x0f, n < levels[t] ? UART_IIR_CTI : UART_IIR_RDA);
        }
    }
}

/* A guest that takes one byte an interrupt must be interrupted for each byte below the trigger level. */
static void reading_restarts_the_timeout(void **state)
{
    unsigned before;

    (void)state;
    out(UART_FCR, 0xc1);
    out(UART_IER, UART_IER_ERBFI);
    assert_int_equal(receive("abc"), 3);
    for (unsigned n = 1; n <= 3; n++) {
        before = irq.rises;
        assert_int_equal(in(UART_RBR), 'a' + n - 1);
        assert_int_equal(irq.rises - before, n < 3 ? 1 : 0);
    }
    assert_false(irq.level);
}

static void loopback_returns_what_is_sent_and_can_overrun(void **state)
{
    (void)state;
    out(UART_MCR, UART_MCR_LOOP);
    assert_int_equal(receive("no"), 0);
    out(UART_IER, UART_IER_ELSI);
    out(UART_THR, 'a');
    assert_int_equal(in(UART_LSR) & (UART_LSR_DR | UART_LSR_OE), UART_LSR_DR);
    out(UART_THR, 'b'); /* the holding register is overwritten */
    assert_true(irq.level);
    assert_int_equal(in(UART_IIR), UART_IIR_RLS);
    assert_int_equal(in(UART_LSR) & (UART_LSR_DR | UART_LSR_OE), UART_LSR_DR | UART_LSR_OE);
    assert_false(irq.level);
    assert_int_equal(in(UART_RBR), 'b');
    assert_int_equal(sent_count, 0);
}

static void a_full_fifo_keeps_what_it_has(void **state)
{
    (void)state;
    out(UART_FCR, UART_FCR_ENABLE);
    out(UART_MCR, UART_MCR_LOOP);
    for (unsigned i = 0; i < UART_FIFO_BYTES + 1; i++)
        out(UART_THR, (uint8_t)i);
    assert_true(in(UART_LSR) & UART_LSR_OE);
    assert_false(in(UART_LSR) & UART_LSR_OE);
    for (unsigned i = 0; i < UART_FIFO_BYTES; i++)
        assert_int_equal(in(UART_RBR), i);
    assert_false(in(UART_LSR) & UART_LSR_DR);
}

static void modem_lines_leave_deltas_until_read(void **state)
{
    (void)state;
    out(UART_IER, UART_IER_EDSSI);
    out(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1);
    assert_true(irq.level);
    assert_int_equal(in(UART_IIR), UART_IIR_MS);
    assert_int_equal(in(UART_MSR), UART_MSR_RI | UART_MSR_DCTS | UART_MSR_DDSR | UART_MSR_DDCD);
    assert_false(irq.level);
    assert_int_equal(in(UART_MSR), UART_MSR_RI);
    out(UART_MCR, UART_MCR_LOOP | UART_MCR_DTR);
    assert_int_equal(in(UART_MSR), UART_MSR_DSR | UART_MSR_DDSR | UART_MSR_TERI);
}

static void sources_show_by_priority(void **state)
{
    (void)state;
    out(UART_IER, UART_IER_MASK);
    out(UART_MCR, UART_MCR_LOOP);
    out(UART_THR, 1);
    out(UART_THR, 2);
    assert_int_equal(in(UART_IIR), UART_IIR_RLS);
    in(UART_LSR);
    assert_int_equal(in(UART_IIR), UART_IIR_RDA);
    in(UART_RBR);
    assert_int_equal(in(UART_IIR), UART_IIR_THRE);
    assert_int_equal(in(UART_IIR), UART_IIR_MS);
    in(UART_MSR);
    assert_int_equal(in(UART_IIR), UART_IIR_NONE);
    assert_false(irq.level);
}

static void fcr_empties_the_receiver(void **state)
{
    (void)state;
    receive("x");
    out(UART_FCR, UART_FCR_ENABLE); /* a change of mode */
    assert_false(in(UART_LSR) & UART_LSR_DR);
    receive("abc");
    out(UART_FCR, UART_FCR_ENABLE | UART_FCR_RESET_TX);
    assert_true(in(UART_LSR) & UART_LSR_DR);
    out(UART_FCR, UART_FCR_ENABLE | UART_FCR_RESET_RX);
    assert_false(in(UART_LSR) & UART_LSR_DR);
}

static const char *rest;

static void send_rest(void *context)
{
    assert_ptr_equal(context, &rest);
    rest += receive(rest);
}

static void a_waiting_sender_is_told_of_room(void **state)
{
    char got[32] = "";
    unsigned n = 0;

    (void)state;
    rest = "the quick brown fox jumps";
    uart_on_room(&uart, send_rest, &rest);
    out(UART_IER, UART_IER_ERBFI);
    rest += receive(rest);
    while (irq.level) {
        unsigned rises = irq.rises;

        got[n++] = (char)in(UART_RBR);
        assert_true(!irq.level || irq.rises > rises); /* the line fell before it rose again */
    }
    assert_string_equal(got, "the quick brown fox jumps");
    out(UART_MCR, UART_MCR_LOOP);
    rest = "!";
    out(UART_MCR, 0);
    assert_int_equal(in(UART_RBR), '!');
    receive("lost");
    rest = "?";
    out(UART_FCR, UART_FCR_ENABLE); /* empties the receiver */
    assert_int_equal(in(UART_RBR), '?');
    receive("lost");
    rest = ".";
    uart_reset(&uart);
    assert_int_equal(in(UART_RBR), '.');
}

static void reset_forgets_all_but_the_wiring(void **state)
{
    (void)state;
    out(UART_FCR, UART_FCR_ENABLE);
    out(UART_IER, UART_IER_MASK);
    out(UART_MCR, UART_MCR_LOOP);
    out(UART_THR, 'x');
    assert_true(irq.level);
    uart_reset(&uart);
    assert_false(irq.level);
    powers_on_as_the_data_sheet_says(state);
    out(UART_THR, 'y');
    assert_int_equal(sent_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(powers_on_as_the_data_sheet_says, set_up),
        cmocka_unit_test_setup(a_probe_finds_a_16550a, set_up),
        cmocka_unit_test_setup(dlab_swaps_in_the_divisor, set_up),
        cmocka_unit_test_setup(what_is_written_leaves_at_once, set_up),
        cmocka_unit_test_setup(enabling_thre_interrupts_each_time, set_up),
        cmocka_unit_test_setup(each_byte_sent_gives_an_edge, set_up),
        cmocka_unit_test_setup(a_holding_register_takes_one_byte, set_up),
        cmocka_unit_test_setup(the_fifo_takes_sixteen_and_keeps_their_order, set_up),
        cmocka_unit_test_setup(the_trigger_level_divides_rda_from_timeout, set_up),
        cmocka_unit_test_setup(reading_restarts_the_timeout, set_up),
        cmocka_unit_test_setup(loopback_returns_what_is_sent_and_can_overrun, set_up),
        cmocka_unit_test_setup(a_full_fifo_keeps_what_it_has, set_up),
        cmocka_unit_test_setup(modem_lines_leave_deltas_until_read, set_up),
        cmocka_unit_test_setup(sources_show_by_priority, set_up),
        cmocka_unit_test_setup(fcr_empties_the_receiver, set_up),
        cmocka_unit_test_setup(a_waiting_sender_is_told_of_room, set_up),
        cmocka_unit_test_setup(reset_forgets_all_but_the_wiring, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
