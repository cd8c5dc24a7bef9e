/* SPDX-License-Identifier: BSD-2-Clause */
/* Theory: what a guest writes is the status that arrives, in each width; no access does anything else. */
#include "tests/host/fake/fake.h"
#include "drivers/virt/debug_exit.h"

static struct debug_exit d;
static struct {
    unsigned count;
    uint32_t value;
} seen;

static void remember(void *context, uint32_t value)
{
    assert_ptr_equal(context, &seen);
    seen.count++;
    seen.value = value;
}

static int set_up(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    debug_exit_init(&d, remember, &seen);
    return 0;
}

static void a_write_gives_its_value(void **state)
{
    (void)state;
    debug_exit_ops.write(&d, 0, 1, 0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.value, 0);
    debug_exit_ops.write(&d, 0, 1, 0x2a);
    assert_int_equal(seen.value, 0x2a);
    debug_exit_ops.write(&d, 0, 2, 0x1234);
    assert_int_equal(seen.value, 0x1234);
    debug_exit_ops.write(&d, 0, 4, 0xdeadbeef);
    assert_int_equal(seen.value, 0xdeadbeef);
    debug_exit_ops.write(&d, 3, 1, 7);
    assert_int_equal(seen.value, 7);
    assert_int_equal(seen.count, 5);
}

static void a_read_is_nothing(void **state)
{
    (void)state;
    assert_int_equal(debug_exit_ops.read(&d, 0, 4), 0);
    assert_int_equal(seen.count, 0);
}

/* As a guest meets it: one OUT of each width is one status, none is split. */
static void the_bus_passes_each_width_whole(void **state)
{
    struct io_region region = {"debug-exit", DEBUG_EXIT_PORT, DEBUG_EXIT_PORTS, IO_WIDTH_1 | IO_WIDTH_2 | IO_WIDTH_4,
                               &debug_exit_ops, &d, NULL};
    static struct io_bus bus;

    (void)state;
    assert_int_equal(io_bus_add(&bus, &region), 0);
    io_bus_freeze(&bus);
    for (unsigned width = 1; width <= 4; width *= 2) {
        io_bus_write(&bus, DEBUG_EXIT_PORT, width, 0x11);
        assert_int_equal(seen.value, 0x11);
    }
    assert_int_equal(seen.count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_write_gives_its_value, set_up),
        cmocka_unit_test_setup(a_read_is_nothing, set_up),
        cmocka_unit_test_setup(the_bus_passes_each_width_whole, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
