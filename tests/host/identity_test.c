/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: the guest that sees the machine's addresses gets all that is free in the low memory, nothing that is not, and
 * nobody else gets it; boot modules that lie there move out whole; one VM has it at a time.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/arch.h"
#include "kernel/identity.h"
#include "kernel/lib/errno.h"
#include "kernel/multiboot2.h"
#include "kernel/page.h"

#define END MIB(64)

static struct memmap map;
static struct boot_info boot;
static const int one, two; /* owners */

static int set_up(void **state)
{
    (void)state;
    fake_ram_reset();
    page_init();
    memset(&map, 0, sizeof map);
    memset(&boot, 0, sizeof boot);
    assert_int_equal(memmap_add(&map, HPA(0x1000), 0x9e000, MEMMAP_USABLE), 0);
    assert_int_equal(memmap_add(&map, HPA(MIB(1)), MIB(255), MEMMAP_USABLE), 0);
    assert_int_equal(memmap_reserve(&map, HPA(MIB(2)), MIB(1) + 0x800, MEMMAP_KERNEL), 0);
    return 0;
}

static void add_module(uint64_t start, uint64_t size)
{
    boot.modules[boot.module_count++] = (struct boot_module){HPA(start), size, "m"};
    assert_int_equal(memmap_reserve(&map, HPA(start), size, MEMMAP_MODULE), 0);
    memset(phys_to_virt(HPA(start)), (int)boot.module_count, size);
}

static void add_pages(void)
{
    struct memmap_range r;

    for (unsigned cursor = 0; memmap_next_usable(&map, &cursor, &r);)
        assert_int_equal(page_add_range(r.start, r.size), 0);
}

static void expect_piece(unsigned *cursor, uint64_t start, uint64_t end)
{
    struct memmap_range r;

    assert_true(identity_next(cursor, &r));
    assert_int_equal(r.start.value, start);
    assert_int_equal(r.start.value + r.size, end);
}

static void expect_end(unsigned cursor)
{
    struct memmap_range r;

    assert_false(identity_next(&cursor, &r));
}

static void it_is_what_is_free_above_the_first_mib(void **state)
{
    unsigned cursor = 0, usable = 0;
    struct memmap_range r;

    (void)state;
    assert_int_equal(memmap_reserve(&map, HPA(MIB(8)), MIB(1), MEMMAP_RESERVED), 0);
    assert_int_equal(memmap_reserve(&map, HPA(MIB(32)), PAGE_SIZE, MEMMAP_ACPI_NVS), 0);
    assert_int_equal(identity_reserve(&map, END), 0);
    expect_piece(&cursor, MIB(1), MIB(2));
    expect_piece(&cursor, MIB(3) + PAGE_SIZE, MIB(8)); /* the kernel's last page is shared with nobody */
    expect_piece(&cursor, MIB(9), MIB(32));
    expect_piece(&cursor, MIB(32) + PAGE_SIZE, END);
    expect_end(cursor);
    while (memmap_next_usable(&map, &usable, &r))
        assert_true(r.start.value < MIB(1) || r.start.value >= END);
}

static void modules_move_out(void **state)
{
    unsigned cursor = 0;

    (void)state;
    add_module(MIB(4), MIB(3) + 5);
    add_module(MIB(7) + PAGE_SIZE, 3); /* in the page behind */
    add_module(END + MIB(1), MIB(1));  /* not in the way */
    assert_int_equal(identity_reserve(&map, END), 0);
    add_pages();
    identity_move_modules(&boot);
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *at = phys_to_virt(boot.modules[i].start);

        assert_true(boot.modules[i].start.value >= END);
        assert_int_equal(at[0], i + 1);
        assert_int_equal(at[boot.modules[i].size - 1], i + 1);
    }
    assert_int_equal(boot.modules[2].start.value, END + MIB(1));
    expect_piece(&cursor, MIB(1), MIB(2));
    expect_piece(&cursor, MIB(3) + PAGE_SIZE, END);
    expect_end(cursor);
}

static void a_module_that_cannot_move_is_a_hole(void **state)
{
    unsigned cursor = 0;

    (void)state;
    add_module(MIB(4), MIB(1));
    assert_int_equal(identity_reserve(&map, END), 0);
    identity_move_modules(&boot); /* no page was added */
    assert_int_equal(boot.modules[0].start.value, MIB(4));
    expect_piece(&cursor, MIB(1), MIB(2));
    expect_piece(&cursor, MIB(3) + PAGE_SIZE, MIB(4));
    expect_piece(&cursor, MIB(5), END);
    expect_end(cursor);
}

static void one_has_it_at_a_time(void **state)
{
    (void)state;
    assert_int_equal(identity_reserve(&map, END), 0);
    assert_int_equal(identity_take(&one, END + 1), -ENOMEM);
    assert_int_equal(identity_take(&one, END), 0);
    assert_int_equal(identity_take(&two, MIB(2)), -EBUSY);
    identity_give_back(&two);
    assert_int_equal(identity_take(&two, MIB(2)), -EBUSY);
    identity_give_back(&one);
    assert_int_equal(identity_take(&two, MIB(2)), 0);
}

static void something_is_left_for_the_rest(void **state)
{
    uint64_t all = MIB(256);

    (void)state;
    assert_int_equal(identity_reserve(&map, all - IDENTITY_REST_BYTES + 1), -ENOMEM);
    assert_int_equal(identity_reserve(&map, all), -ENOMEM);
    assert_int_equal(identity_reserve(&map, GIB(3)), -ENOMEM);
    assert_int_equal(memmap_add(&map, HPA(GIB(4)), GIB(4), MEMMAP_USABLE), 0); /* where the boot's tables do not reach */
    assert_int_equal(identity_reserve(&map, all), -ENOMEM);
    assert_int_equal(identity_reserve(&map, all - IDENTITY_REST_BYTES), 0);
}

/* Memory that firmware described in too many pieces. */
static void a_full_map_is_said_so(void **state)
{
    (void)state;
    while (map.count + 2 <= MEMMAP_RANGES_MAX)
        assert_int_equal(memmap_reserve(&map, HPA(MIB(64) + map.count * 4 * PAGE_SIZE), PAGE_SIZE, MEMMAP_BAD), 0);
    assert_int_equal(identity_reserve(&map, MIB(64) + 2 * PAGE_SIZE), -ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(it_is_what_is_free_above_the_first_mib, set_up),
        cmocka_unit_test_setup(modules_move_out, set_up),
        cmocka_unit_test_setup(a_module_that_cannot_move_is_a_hole, set_up),
        cmocka_unit_test_setup(one_has_it_at_a_time, set_up),
        cmocka_unit_test_setup(something_is_left_for_the_rest, set_up),
        cmocka_unit_test_setup(a_full_map_is_said_so, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
