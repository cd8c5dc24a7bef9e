/* SPDX-License-Identifier: BSD-2-Clause */
/* Theory: code that knows Bochs' or QEMU's port 0xe9 finds it and prints with it; port 0x80 takes anything quietly. */
#include "tests/host/fake/fake.h"
#include "drivers/virt/debug_port.h"

static struct debug_port d;
static char text[16];
static size_t length;

static void record(void *context, const uint8_t *bytes, size_t count)
{
    assert_ptr_equal(context, text);
    assert_true(length + count < sizeof text);
    memcpy(text + length, bytes, count);
    length += count;
}

static int set_up(void **state)
{
    (void)state;
    length = 0;
    memset(text, 0, sizeof text);
    debug_port_init(&d, (struct chardev){record, text});
    return 0;
}

static void the_console_says_that_it_is_there(void **state)
{
    (void)state;
    assert_int_equal(debug_port_console_ops.read(&d, 0, 1), 0xe9);
    for (const char *c = "hello"; *c; c++)
        debug_port_console_ops.write(&d, 0, 1, (uint8_t)*c);
    assert_string_equal(text, "hello");
}

static void without_a_sink_the_console_is_silent(void **state)
{
    (void)state;
    debug_port_init(&d, (struct chardev){0});
    debug_port_console_ops.write(&d, 0, 1, 'x');
    assert_int_equal(length, 0);
}

static void the_last_post_code_is_kept(void **state)
{
    (void)state;
    assert_int_equal(debug_port_post_ops.read(&d, 0, 1), 0);
    debug_port_post_ops.write(&d, 0, 1, 0x55);
    debug_port_post_ops.write(&d, 0, 1, 0xaa);
    assert_int_equal(debug_port_post_ops.read(&d, 0, 1), 0xaa);
    debug_port_reset(&d);
    assert_int_equal(d.post_code, 0);
    assert_int_equal(length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_console_says_that_it_is_there, set_up),
        cmocka_unit_test_setup(without_a_sink_the_console_is_silent, set_up),
        cmocka_unit_test_setup(the_last_post_code_is_kept, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
