/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: in whatever order, overlap or nonsense ranges arrive, the map says of every byte the most
 * restrictive thing that was ever said of it, and stays sorted, merged and free of overlaps.
 */
#include "tests/host/fake/fake.h"
#include "kernel/memmap.h"
#include <errno.h>

static struct memmap map;

static int set_up(void **state)
{
    (void)state;
    memset(&map, 0, sizeof map);
    return 0;
}

static void add(uint64_t start, uint64_t end, enum memmap_type type)
{
    assert_int_equal(memmap_add(&map, HPA(start), end - start, type), 0);
}

static void check_sound(void)
{
    for (unsigned i = 0; i < map.count; i++) {
        const struct memmap_range *r = &map.ranges[i];

        assert_true(r->size > 0);
        assert_true(r->start.value + r->size <= MEMMAP_LIMIT);
        if (i + 1 == map.count)
            continue;
        assert_true(r->start.value + r->size <= r[1].start.value);
        assert_false(r->type == r[1].type && r->start.value + r->size == r[1].start.value);
    }
}

static void check_range(unsigned at, uint64_t start, uint64_t end, enum memmap_type type)
{
    assert_true(at < map.count);
    assert_int_equal(map.ranges[at].start.value, start);
    assert_int_equal(map.ranges[at].start.value + map.ranges[at].size, end);
    assert_int_equal(map.ranges[at].type, type);
}

static void an_ordinary_map_comes_out_sorted(void **state)
{
    (void)state;
    add(0x100000, 0x7fe0000, MEMMAP_USABLE);
    add(0xfffc0000, 0x100000000, MEMMAP_RESERVED);
    add(0x9fc00, 0xa0000, MEMMAP_RESERVED);
    add(0, 0x9fc00, MEMMAP_USABLE);
    assert_int_equal(map.count, 4);
    check_range(0, 0, 0x9fc00, MEMMAP_USABLE);
    check_range(1, 0x9fc00, 0xa0000, MEMMAP_RESERVED);
    check_range(2, 0x100000, 0x7fe0000, MEMMAP_USABLE);
    check_range(3, 0xfffc0000, 0x100000000, MEMMAP_RESERVED);
    assert_int_equal(memmap_end(&map), 0x100000000);
    assert_int_equal(memmap_ram_end(&map), 0x7fe0000);
    assert_int_equal(memmap_total_bytes(&map, MEMMAP_USABLE), 0x9fc00 + 0x7ee0000);
    assert_int_equal(memmap_total_bytes(&map, MEMMAP_BAD), 0);
}

static void touching_equals_merge_and_zero_length_vanishes(void **state)
{
    (void)state;
    add(0x1000, 0x2000, MEMMAP_USABLE);
    add(0x3000, 0x4000, MEMMAP_USABLE);
    add(0x2800, 0x2800, MEMMAP_BAD);
    assert_int_equal(map.count, 2);
    add(0x2000, 0x3000, MEMMAP_USABLE);
    assert_int_equal(map.count, 1);
    check_range(0, 0x1000, 0x4000, MEMMAP_USABLE);
}

static void the_most_restrictive_wins_in_either_order(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        set_up(NULL);
        if (order)
            add(0x2000, 0x5000, MEMMAP_ACPI_NVS);
        add(0x1000, 0x4000, MEMMAP_USABLE);
        if (!order)
            add(0x2000, 0x5000, MEMMAP_ACPI_NVS);
        assert_int_equal(map.count, 2);
        check_range(0, 0x1000, 0x2000, MEMMAP_USABLE);
        check_range(1, 0x2000, 0x5000, MEMMAP_ACPI_NVS);
    }
}

static void a_reservation_splits_what_it_lies_in(void **state)
{
    (void)state;
    add(0x100000, 0x800000, MEMMAP_USABLE);
    assert_int_equal(memmap_reserve(&map, HPA(0x200000), 0x12345, MEMMAP_KERNEL), 0);
    assert_int_equal(map.count, 3);
    check_range(0, 0x100000, 0x200000, MEMMAP_USABLE);
    check_range(1, 0x200000, 0x212345, MEMMAP_KERNEL);
    check_range(2, 0x212345, 0x800000, MEMMAP_USABLE);
    assert_int_equal(memmap_reserve(&map, HPA(0), 1, MEMMAP_USABLE), -EINVAL);
    /* No later word of the firmware frees it. */
    add(0x100000, 0x800000, MEMMAP_RESERVED);
    assert_int_equal(memmap_find(&map, HPA(0x200000))->type, MEMMAP_KERNEL);
}

static void usable_memory_comes_in_whole_pages(void **state)
{
    struct memmap_range r;
    unsigned cursor = 0;

    (void)state;
    add(0x0001, 0x9fc00, MEMMAP_USABLE);
    add(0x100800, 0x101800, MEMMAP_USABLE); /* not one whole page */
    add(0x103000, 0x104000, MEMMAP_ACPI_RECLAIMABLE);
    add(0x200000, 0x201000, MEMMAP_USABLE);
    assert_true(memmap_next_usable(&map, &cursor, &r));
    assert_int_equal(r.start.value, 0x1000);
    assert_int_equal(r.size, 0x9e000);
    assert_true(memmap_next_usable(&map, &cursor, &r));
    assert_int_equal(r.start.value, 0x200000);
    assert_int_equal(r.size, 0x1000);
    assert_false(memmap_next_usable(&map, &cursor, &r));
    assert_false(memmap_next_usable(&map, &cursor, &r));
}

static void assert_largest(uint64_t low, uint64_t high, uint64_t start, uint64_t end)
{
    struct memmap_range r = memmap_find_largest(&map, low, high);

    assert_int_equal(r.size, end - start);
    if (r.size > 0)
        assert_int_equal(r.start.value, start);
}

/* Some maps have no hole below 1 MiB, or none below 4 GiB. */
static void the_largest_piece_may_be_a_part_of_a_range(void **state)
{
    (void)state;
    assert_largest(MIB(1), GIB(4), 0, 0);
    add(0, GIB(6), MEMMAP_USABLE);
    assert_largest(MIB(1), GIB(4), MIB(1), GIB(4));
    add(MIB(16), MIB(32), MEMMAP_RESERVED);
    add(GIB(3), GIB(4) + 1, MEMMAP_BAD);
    assert_largest(MIB(1), GIB(4), MIB(32), GIB(3));
    assert_largest(MIB(1) + 1, MIB(24), MIB(1) + PAGE_SIZE, MIB(16));
    assert_largest(MIB(16), MIB(32) + PAGE_SIZE - 1, 0, 0);
    assert_largest(GIB(5), GIB(5), 0, 0);
}

/* What the image and the modules lie in is theirs, whatever the firmware says of it, or if it says nothing. */
static void an_image_in_a_hole_or_in_what_is_reserved(void **state)
{
    (void)state;
    add(0, MIB(1), MEMMAP_USABLE);
    add(MIB(3), MIB(8), MEMMAP_USABLE);
    add(MIB(6), MIB(9), MEMMAP_RESERVED);
    add(MIB(2), MIB(4), MEMMAP_KERNEL);
    add(MIB(5), MIB(7), MEMMAP_MODULE);
    add(MIB(3), MIB(8), MEMMAP_USABLE); /* told again */
    check_sound();
    assert_largest(MIB(1), GIB(4), MIB(4), MIB(5));
    assert_int_equal(memmap_find(&map, HPA(MIB(2)))->type, MEMMAP_KERNEL);
    assert_int_equal(memmap_find(&map, HPA(MIB(4) - 1))->type, MEMMAP_KERNEL);
    assert_int_equal(memmap_find(&map, HPA(MIB(6)))->type, MEMMAP_MODULE);
    assert_int_equal(memmap_find(&map, HPA(MIB(7)))->type, MEMMAP_RESERVED);
}

static void there_may_be_no_memory_above_1m(void **state)
{
    (void)state;
    add(PAGE_SIZE, 0x9fc00, MEMMAP_USABLE);
    add(0xf0000, MIB(1), MEMMAP_RESERVED);
    assert_largest(MIB(1), GIB(4), 0, 0);
    assert_int_equal(memmap_ram_end(&map), 0x9fc00);
}

static void what_wraps_or_lies_too_high_is_cut(void **state)
{
    (void)state;
    assert_int_equal(memmap_add(&map, HPA(~0ull - 5), 100, MEMMAP_USABLE), 0);
    assert_int_equal(memmap_add(&map, HPA(MEMMAP_LIMIT), 1, MEMMAP_USABLE), 0);
    assert_int_equal(map.count, 0);
    assert_int_equal(memmap_add(&map, HPA(0x1000), ~0ull, MEMMAP_RESERVED), 0);
    check_range(0, 0x1000, MEMMAP_LIMIT, MEMMAP_RESERVED);
    check_sound();
}

static void an_empty_map_answers(void **state)
{
    struct memmap_range r;
    unsigned cursor = 0;

    (void)state;
    assert_int_equal(memmap_end(&map), 0);
    assert_int_equal(memmap_ram_end(&map), 0);
    assert_null(memmap_find(&map, HPA(0)));
    assert_false(memmap_next_usable(&map, &cursor, &r));
    add(0x1000, 0x2000, MEMMAP_RESERVED);
    assert_int_equal(memmap_ram_end(&map), 0);
    assert_null(memmap_find(&map, HPA(0xfff)));
    assert_non_null(memmap_find(&map, HPA(0x1fff)));
    assert_null(memmap_find(&map, HPA(0x2000)));
}

static void a_full_map_refuses_and_does_not_change(void **state)
{
    static struct memmap before;

    (void)state;
    for (uint64_t i = 0; i < MEMMAP_RANGES_MAX; i++)
        add(i * 0x2000, i * 0x2000 + 0x1000, MEMMAP_USABLE);
    assert_int_equal(map.count, MEMMAP_RANGES_MAX);
    before = map;
    assert_int_equal(memmap_add(&map, HPA(0x800), 0x100, MEMMAP_RESERVED), -ENOSPC);
    assert_int_equal(memmap_add(&map, HPA(0), 0x4000, MEMMAP_RESERVED), -ENOSPC);
    assert_int_equal(memmap_add(&map, HPA(1ull << 40), 1, MEMMAP_RESERVED), -ENOSPC);
    assert_memory_equal(&before, &map, sizeof map);
    /* What needs no room still works. */
    add(0, 0x1000, MEMMAP_RESERVED);
    assert_int_equal(map.ranges[0].type, MEMMAP_RESERVED);
}

static void a_hole_in_a_range_needs_room_for_two(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < MEMMAP_RANGES_MAX - 1; i++)
        add(i * 0x2000, i * 0x2000 + 0x1000, MEMMAP_USABLE);
    assert_int_equal(memmap_add(&map, HPA(0x800), 0x100, MEMMAP_RESERVED), -ENOSPC);
    map.count--;
    assert_int_equal(memmap_add(&map, HPA(0x800), 0x100, MEMMAP_RESERVED), 0);
    assert_int_equal(map.count, MEMMAP_RANGES_MAX);
    check_sound();
}

/* The same ranges laid over an array of bytes must give the same answer. */
#define MODEL_BYTES 256
static void random_ranges_agree_with_a_model(void **state)
{
    (void)state;
    srand(1);
    for (unsigned round = 0; round < 500; round++) {
        int model[MODEL_BYTES];

        memset(model, -1, sizeof model);
        set_up(NULL);
        for (unsigned n = 0; n < 40; n++) {
            unsigned start = (unsigned)rand() % MODEL_BYTES;
            unsigned end = start + (unsigned)rand() % (MODEL_BYTES - start + 1);
            int type = rand() % (MEMMAP_KERNEL + 1);

            end = rand() % 2 ? end : MIN(end, start + 5);
            add(start, end, (enum memmap_type)type);
            for (unsigned i = start; i < end; i++)
                model[i] = MAX(model[i], type);
            check_sound();
        }
        for (unsigned i = 0; i < MODEL_BYTES; i++) {
            const struct memmap_range *r = memmap_find(&map, HPA(i));

            assert_int_equal(r ? (int)r->type : -1, model[i]);
        }
    }
}

static void every_type_has_a_name(void **state)
{
    (void)state;
    for (int type = MEMMAP_USABLE; type <= MEMMAP_KERNEL; type++)
        assert_string_not_equal(memmap_type_name((enum memmap_type)type), "unknown");
    assert_string_equal(memmap_type_name((enum memmap_type)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_ordinary_map_comes_out_sorted, set_up),
        cmocka_unit_test_setup(touching_equals_merge_and_zero_length_vanishes, set_up),
        cmocka_unit_test_setup(the_most_restrictive_wins_in_either_order, set_up),
        cmocka_unit_test_setup(a_reservation_splits_what_it_lies_in, set_up),
        cmocka_unit_test_setup(usable_memory_comes_in_whole_pages, set_up),
        cmocka_unit_test_setup(what_wraps_or_lies_too_high_is_cut, set_up),
        cmocka_unit_test_setup(the_largest_piece_may_be_a_part_of_a_range, set_up),
        cmocka_unit_test_setup(an_image_in_a_hole_or_in_what_is_reserved, set_up),
        cmocka_unit_test_setup(there_may_be_no_memory_above_1m, set_up),
        cmocka_unit_test_setup(an_empty_map_answers, set_up),
        cmocka_unit_test_setup(a_full_map_refuses_and_does_not_change, set_up),
        cmocka_unit_test_setup(a_hole_in_a_range_needs_room_for_two, set_up),
        cmocka_unit_test_setup(random_ranges_agree_with_a_model, set_up),
        cmocka_unit_test(every_type_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
