/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever address and width a guest uses, a device sees only accesses inside its region, of widths that it
 * takes.
 */
#include "tests/host/fake/fake.h"
#include "kernel/lib/lock.h"
#include "kernel/io_bus.h"
#include "kernel/lib/bytes.h"
#include <errno.h>

static uint8_t cells[8];
static unsigned accesses;

static uint64_t cells_read(void *device, uint64_t offset, unsigned width)
{
    uint64_t v = 0;

    assert_ptr_equal(device, cells);
    assert_true(offset + width <= sizeof cells);
    memcpy(&v, cells + offset, width);
    accesses++;
    return v;
}

static void cells_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    assert_ptr_equal(device, cells);
    assert_true(offset + width <= sizeof cells);
    assert_int_equal(value & ~bytes_mask(width), 0);
    memcpy(cells + offset, &value, width);
    accesses++;
}

static const struct io_region_ops cells_ops = {cells_read, cells_write};

static struct io_region region(uint64_t base, uint64_t size, unsigned widths)
{
    return (struct io_region){"cells", base, size, widths, &cells_ops, cells, NULL};
}

static struct io_bus bus;

static int set_up(void **state)
{
    struct io_region bytes = region(0x3f8, 8, IO_WIDTH_1), any = region(0x100, 8, IO_WIDTH_ANY);

    (void)state;
    memset(&bus, 0, sizeof bus);
    memcpy(cells, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
    assert_int_equal(io_bus_add(&bus, &bytes), 0);
    assert_int_equal(io_bus_add(&bus, &any), 0);
    accesses = 0;
    return 0;
}

static void refuses_bad_regions(void **state)
{
    struct io_region overlap = region(0x3ff, 2, 1), empty = region(0, 0, 1), wraps = region(~0ull, 2, 1),
                     widthless = region(0, 1, 0), fine = region(0, 1, 1);
    (void)state;

    assert_int_equal(io_bus_add(&bus, &overlap), -EEXIST);
    assert_int_equal(io_bus_add(&bus, &empty), -EINVAL);
    assert_int_equal(io_bus_add(&bus, &wraps), -EINVAL);
    assert_int_equal(io_bus_add(&bus, &widthless), -EINVAL);
    io_bus_freeze(&bus);
    assert_int_equal(io_bus_add(&bus, &fine), -EBUSY);
}

static void says_when_it_is_full(void **state)
{
    (void)state;
    for (unsigned i = bus.count; i < IO_BUS_REGIONS_MAX; i++) {
        struct io_region r = region(0x10000 + 16 * i, 8, 1);
        assert_int_equal(io_bus_add(&bus, &r), 0);
    }
    struct io_region last = region(0x90000, 8, 1);
    assert_int_equal(io_bus_add(&bus, &last), -ENOSPC);
}

static void a_wide_access_becomes_pieces(void **state)
{
    (void)state;
    io_bus_freeze(&bus);
    assert_int_equal(io_bus_read(&bus, 0x3f8, 4), 0x44332211);
    assert_int_equal(accesses, 4);
    assert_int_equal(io_bus_read(&bus, 0x100, 8), 0x8877665544332211);
    assert_int_equal(accesses, 5);
}

static void what_straddles_an_end_reads_as_ones(void **state)
{
    (void)state;
    io_bus_freeze(&bus);
    assert_int_equal(io_bus_read(&bus, 0x3fe, 4), 0xffff8877);
    assert_int_equal(io_bus_read(&bus, 0x3f6, 4), 0x2211ffff);
    io_bus_write(&bus, 0x106, 4, 0xaabbccdd);
    assert_int_equal(cells[6], 0xdd);
    assert_int_equal(cells[7], 0xcc);
}

static void nobody_answers_with_ones(void **state)
{
    (void)state;
    io_bus_freeze(&bus);
    assert_int_equal(io_bus_read(&bus, 0x80, 1), 0xff);
    assert_int_equal(io_bus_read(&bus, 0xfffffffffffffff8, 8), ~0ull);
    io_bus_write(&bus, 0x80, 1, 0);
    assert_int_equal(accesses, 0);
}

static struct lock guard;
static unsigned held; /* accesses that came with the lock held */

static uint64_t guarded_read(void *device, uint64_t offset, unsigned width)
{
    held += guard.next != guard.owner;
    return cells_read(device, offset, width);
}

static void guarded_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    held += guard.next != guard.owner;
    cells_write(device, offset, width, value);
}

/* Whole or in pieces, every access finds the lock held, and none leaves it so. */
static void test_a_regions_lock_is_held_around_each_access(void **state)
{
    static const struct io_region_ops guarded_ops = {guarded_read, guarded_write};
    struct io_region r = {"guarded", 0x900, 8, IO_WIDTH_1 | IO_WIDTH_4, &guarded_ops, cells, &guard};

    (void)state;
    assert_int_equal(io_bus_add(&bus, &r), 0);
    io_bus_freeze(&bus);
    (void)io_bus_read(&bus, 0x900, 4);
    io_bus_write(&bus, 0x904, 1, 1);
    assert_int_equal(held, 2);
    (void)io_bus_read(&bus, 0x900, 8);
    io_bus_write(&bus, 0x906, 2, 1);
    assert_int_equal(held, 6);
    assert_int_equal(guard.next, guard.owner);
}

/* What was found last is only a guess: each access goes where it belongs, in whatever order they come. */
static void the_last_region_is_only_a_guess(void **state)
{
    (void)state;
    io_bus_freeze(&bus);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(io_bus_read(&bus, 0x100, 8), 0x8877665544332211);
        assert_int_equal(io_bus_read(&bus, 0x3f8, 1), 0x11);
        assert_int_equal(io_bus_read(&bus, 0x3f7, 1), 0xff);
        assert_int_equal(io_bus_read(&bus, 0xff, 1), 0xff); /* just below the last one */
        assert_int_equal(io_bus_read(&bus, 0x108, 1), 0xff);
        assert_int_equal(accesses, 2 * (i + 1));
    }
}

static void an_empty_bus_is_all_ones(void **state)
{
    static struct io_bus empty;

    (void)state;
    io_bus_freeze(&empty);
    for (unsigned width = 1; width <= 8; width *= 2) {
        assert_int_equal(io_bus_read(&empty, 0, width), UINT64_MAX >> (64 - 8 * width));
        assert_int_equal(io_bus_read(&empty, -(uint64_t)width, width), UINT64_MAX >> (64 - 8 * width));
        io_bus_write(&empty, 0, width, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(refuses_bad_regions, set_up),
        cmocka_unit_test_setup(says_when_it_is_full, set_up),
        cmocka_unit_test_setup(a_wide_access_becomes_pieces, set_up),
        cmocka_unit_test_setup(what_straddles_an_end_reads_as_ones, set_up),
        cmocka_unit_test_setup(nobody_answers_with_ones, set_up),
        cmocka_unit_test_setup(test_a_regions_lock_is_held_around_each_access, set_up),
        cmocka_unit_test_setup(the_last_region_is_only_a_guess, set_up),
        cmocka_unit_test(an_empty_bus_is_all_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
