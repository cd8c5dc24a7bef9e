/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: probes of the controller succeed without a wait and find nothing plugged in, and each of the ways in which
 * code of forty years resets a PC through it resets the machine once.
 */
#include "tests/host/fake/fake.h"
#include "drivers/virt/i8042.h"

static struct i8042 k;
static struct fake_irq irq;
static unsigned resets;

static void count_reset(void *context)
{
    assert_ptr_equal(context, &resets);
    resets++;
}

static uint8_t status(void)
{
    return (uint8_t)i8042_command_ops.read(&k, 0, 1);
}

static void command(unsigned value)
{
    i8042_command_ops.write(&k, 0, 1, value);
}

static void data(unsigned value)
{
    i8042_data_ops.write(&k, 0, 1, value);
}

static uint8_t port92(void)
{
    return (uint8_t)i8042_port92_ops.read(&k, 0, 1);
}

/* The byte that waits; there must be one. */
static uint8_t fetch(void)
{
    assert_true(status() & I8042_STATUS_OBF);
    return (uint8_t)i8042_data_ops.read(&k, 0, 1);
}

static int set_up(void **state)
{
    (void)state;
    resets = 0;
    i8042_init(&k, fake_irq_line(&irq, I8042_KEYBOARD_IRQ), (struct power_sink){NULL, count_reset, &resets});
    return 0;
}

/* The order of Linux's i8042_init() and i8042_probe(). */
static void linux_finds_a_controller_without_a_mouse(void **state)
{
    uint8_t mode;

    (void)state;
    assert_int_equal(status(), I8042_STATUS_KEYLOCK | I8042_STATUS_SYS); /* empty: nothing to flush */
    command(I8042_CMD_SELF_TEST);
    assert_int_equal(fetch(), I8042_SELF_TEST_OK);
    assert_false(status() & I8042_STATUS_OBF);
    command(I8042_CMD_READ_MODE);
    mode = fetch();
    assert_int_equal(mode & I8042_MODE_XLATE, I8042_MODE_XLATE);
    mode = (uint8_t)((mode | I8042_MODE_KBD_OFF) & ~I8042_MODE_KBD_INT);
    command(I8042_CMD_WRITE_MODE);
    data(mode);
    command(I8042_CMD_READ_MODE);
    assert_int_equal(fetch(), mode);
    command(I8042_CMD_AUX_LOOP);
    data(0x5a);
    assert_false(status() & 0x20); /* not from a mouse port */
    assert_int_equal(fetch(), 0x5a);
    command(I8042_CMD_AUX_TEST);
    assert_int_equal(fetch(), I8042_AUX_CLOCK_STUCK);
    assert_false(irq.level);
    assert_int_equal(resets, 0);
}

static void a_byte_for_the_keyboard_is_not_answered(void **state)
{
    (void)state;
    command(I8042_CMD_KBD_DISABLE);
    data(0xf2);
    assert_true(irq.level);
    assert_true(status() & I8042_STATUS_TIMEOUT);
    assert_int_equal(fetch(), I8042_NO_ANSWER);
    assert_false(irq.level);
    assert_false(status() & I8042_STATUS_TIMEOUT);
    command(I8042_CMD_READ_MODE);
    assert_false(fetch() & I8042_MODE_KBD_OFF);
    command(I8042_CMD_KBD_DISABLE);
    command(I8042_CMD_AUX_WRITE);
    data(0xf4);
    assert_int_equal(fetch(), I8042_NO_ANSWER);
    command(I8042_CMD_READ_MODE);
    assert_true(fetch() & I8042_MODE_KBD_OFF);
}

static void the_keyboard_interrupt_follows_the_mode(void **state)
{
    (void)state;
    command(I8042_CMD_WRITE_MODE);
    data(0);
    assert_false(status() & I8042_STATUS_SYS);
    command(I8042_CMD_KBD_LOOP);
    data(0x1c);
    assert_int_equal(irq.rises, 0);
    command(I8042_CMD_WRITE_MODE);
    data(I8042_MODE_KBD_INT);
    assert_true(irq.level);
    assert_int_equal(irq.rises, 1);
    command(I8042_CMD_KBD_TEST); /* overtakes: a new edge */
    assert_int_equal(irq.rises, 2);
    assert_int_equal(fetch(), I8042_KBD_TEST_OK);
    assert_false(irq.level);
}

static void status_tells_command_from_data(void **state)
{
    (void)state;
    command(I8042_CMD_WRITE_MODE);
    assert_true(status() & I8042_STATUS_COMMAND);
    data(0);
    assert_false(status() & I8042_STATUS_COMMAND);
}

static void modes_change_by_command(void **state)
{
    (void)state;
    command(I8042_CMD_AUX_DISABLE);
    command(I8042_CMD_KBD_DISABLE);
    command(I8042_CMD_READ_MODE);
    assert_int_equal(fetch() & 0x30, 0x30);
    command(I8042_CMD_AUX_ENABLE);
    command(I8042_CMD_KBD_ENABLE);
    command(I8042_CMD_READ_MODE);
    assert_int_equal(fetch() & 0x30, 0);
    command(I8042_CMD_READ_INPUT);
    assert_int_equal(fetch(), 0x80);
    command(0x00); /* unknown ones are ignored */
    assert_false(status() & I8042_STATUS_OBF);
}

static void resets_in_every_way(void **state)
{
    (void)state;
    command(I8042_CMD_RESET);
    assert_int_equal(resets, 1);
    command(0xf0);
    assert_int_equal(resets, 2);
    command(0xff);
    assert_int_equal(resets, 2);
    command(I8042_CMD_WRITE_OUTPUT);
    data(0xfe);
    assert_int_equal(resets, 3);
    command(I8042_CMD_WRITE_OUTPUT);
    data(0x01);
    assert_int_equal(resets, 3);
    i8042_port92_ops.write(&k, 0, 1, I8042_PORT92_INIT | I8042_PORT92_A20);
    assert_int_equal(resets, 4);
    i8042_port92_ops.write(&k, 0, 1, I8042_PORT92_A20);
    assert_int_equal(resets, 4);
    i8042_init(&k, fake_irq_line(&irq, 1), (struct power_sink){0});
    command(I8042_CMD_RESET); /* nobody listens */
}

static void a20_is_one_bit_seen_from_two_ports(void **state)
{
    (void)state;
    assert_int_equal(port92(), I8042_PORT92_A20);
    i8042_port92_ops.write(&k, 0, 1, 0);
    command(I8042_CMD_READ_OUTPUT);
    assert_int_equal(fetch(), I8042_OUTPUT_RESET);
    command(I8042_CMD_WRITE_OUTPUT);
    data(0xdf);
    assert_int_equal(port92(), I8042_PORT92_A20);
    command(I8042_CMD_A20_OFF);
    assert_int_equal(port92(), 0);
    command(I8042_CMD_A20_ON);
    assert_int_equal(port92(), I8042_PORT92_A20);
    assert_int_equal(resets, 0);
}

static void a_command_forgets_the_one_before(void **state)
{
    (void)state;
    command(I8042_CMD_WRITE_OUTPUT);
    command(I8042_CMD_KBD_ENABLE);
    data(0); /* goes to the keyboard, not to the output port */
    assert_int_equal(resets, 0);
    assert_int_equal(fetch(), I8042_NO_ANSWER);
}

static void reset_empties_the_controller(void **state)
{
    (void)state;
    command(I8042_CMD_SELF_TEST);
    assert_true(irq.level);
    i8042_reset(&k);
    assert_false(irq.level);
    assert_int_equal(status(), I8042_STATUS_KEYLOCK | I8042_STATUS_SYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(linux_finds_a_controller_without_a_mouse, set_up),
        cmocka_unit_test_setup(a_byte_for_the_keyboard_is_not_answered, set_up),
        cmocka_unit_test_setup(the_keyboard_interrupt_follows_the_mode, set_up),
        cmocka_unit_test_setup(status_tells_command_from_data, set_up),
        cmocka_unit_test_setup(modes_change_by_command, set_up),
        cmocka_unit_test_setup(resets_in_every_way, set_up),
        cmocka_unit_test_setup(a20_is_one_bit_seen_from_two_ports, set_up),
        cmocka_unit_test_setup(a_command_forgets_the_one_before, set_up),
        cmocka_unit_test_setup(reset_empties_the_controller, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
