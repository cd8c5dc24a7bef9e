/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: every page is given to one owner at a time, in blocks aligned to their size; what is
 * freed merges back to what it was; every misuse is caught where it happens.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/arch.h"
#include "kernel/page.h"
#include "kernel/lib/errno.h"

static int set_up(void **state)
{
    (void)state;
    fake_ram_reset();
    page_init();
    return 0;
}

static struct page_stats stats_now(void)
{
    struct page_stats s;

    page_get_stats(&s);
    return s;
}

static hpa_t alloc(unsigned order)
{
    hpa_t block;

    assert_int_equal(page_alloc(order, &block), 0);
    assert_true(IS_ALIGNED(block.value, PAGE_SIZE << order));
    return block;
}

static void add(uint64_t start, uint64_t size)
{
    assert_int_equal(page_add_range(HPA(start), size), 0);
}

static void has_nothing_at_first(void **state)
{
    hpa_t block;

    (void)state;
    assert_int_equal(page_alloc(0, &block), -ENOMEM);
    assert_int_equal(page_alloc_zeroed(0, &block), -ENOMEM);
    assert_int_equal(page_alloc_low(&block), -ENOMEM);
    assert_int_equal(stats_now().total_pages, 0);
}

static void gives_whole_gigabytes(void **state)
{
    hpa_t a, none;

    (void)state;
    add(GIB(4), GIB(3));
    a = alloc(PAGE_ORDER_1G);
    (void)alloc(PAGE_ORDER_1G);
    /* The notes cost a part of the third one, and no more than a byte a page. */
    assert_int_equal(page_alloc(PAGE_ORDER_1G, &none), -ENOMEM);
    assert_int_equal(stats_now().total_pages, (GIB(3) >> PAGE_SHIFT) - 192);
    page_free(a, PAGE_ORDER_1G);
    assert_int_equal(alloc(PAGE_ORDER_1G).value, a.value);
}

static void notes_take_the_less_aligned_end(void **state)
{
    (void)state;
    add(GIB(2) - MIB(5), GIB(1) + MIB(5));
    assert_int_equal(alloc(PAGE_ORDER_1G).value, GIB(2));
}

static void a_certain_page_is_given_once(void **state)
{
    struct page_stats before;
    hpa_t page = HPA(MIB(4) + 5 * PAGE_SIZE);

    (void)state;
    add(MIB(4), MIB(4));
    before = stats_now();
    assert_int_equal(page_take(page), 0);
    assert_int_equal(stats_now().free_pages, before.free_pages - 1);
    assert_int_equal(page_take(page), -EBUSY);
    assert_int_equal(page_take(HPA(MIB(1))), -EBUSY);
    assert_int_equal(page_take(HPA(MIB(64))), -EBUSY);
    for (hpa_t other; page_alloc(0, &other) == 0;)
        assert_int_not_equal(other.value, page.value);
    page_free(page, 0);
    assert_int_equal(alloc(0).value, page.value);
}

static void what_is_taken_merges_again(void **state)
{
    struct page_stats before, after;

    (void)state;
    add(GIB(1), GIB(2));
    before = stats_now();
    assert_int_equal(page_take(HPA(GIB(1) + MIB(5))), 0);
    page_free(HPA(GIB(1) + MIB(5)), 0);
    after = stats_now();
    assert_memory_equal(&before, &after, sizeof before);
}

static void a_block_is_split_and_freed_page_by_page(void **state)
{
    struct page_stats before, after;
    static hpa_t block;

    (void)state;
    add(MIB(16), MIB(16));
    before = stats_now();
    block = alloc(PAGE_ORDER_2M);
    page_split(block, PAGE_ORDER_2M);
    expect_panic(page_free(block, PAGE_ORDER_2M));
    page_init();
    add(MIB(16), MIB(16));
    block = alloc(PAGE_ORDER_2M);
    page_split(block, PAGE_ORDER_2M);
    for (unsigned i = 0; i < 512; i++)
        page_free(HPA(block.value + (i * 7 % 512) * PAGE_SIZE), 0);
    after = stats_now();
    assert_memory_equal(&before, &after, sizeof before);
}

static void only_a_whole_block_is_split(void **state)
{
    static hpa_t block;

    (void)state;
    add(MIB(16), MIB(16));
    block = alloc(3);
    expect_panic(page_split(block, 2));
    page_init();
    add(MIB(16), MIB(16));
    block = alloc(3);
    expect_panic(page_split(HPA(block.value + PAGE_SIZE), 0));
}

static void every_page_has_one_owner(void **state)
{
    struct page_stats before;
    uint64_t count = 0;
    hpa_t pages[2048];

    (void)state;
    add(MIB(16) + KIB(20), MIB(7) + KIB(4));
    before = stats_now();
    assert_int_equal(before.total_pages, (MIB(7) + KIB(4)) / PAGE_SIZE - 1);
    while (page_alloc(0, &pages[count]) == 0) {
        assert_true(pages[count].value >= MIB(16) + KIB(20));
        assert_true(pages[count].value < MIB(23) + KIB(24));
        memset(phys_to_virt(pages[count]), (int)(count % 251), PAGE_SIZE);
        count++;
    }
    assert_int_equal(count, before.total_pages);
    assert_int_equal(stats_now().free_pages, 0);
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *bytes = phys_to_virt(pages[i]);

        assert_int_equal(bytes[0], i % 251);
        assert_int_equal(bytes[PAGE_SIZE - 1], i % 251);
    }
    for (uint64_t i = 0; i < count; i++)
        page_free(pages[(i * 11) % count], 0); /* 11 does not divide the count */
    struct page_stats after = stats_now();
    assert_memory_equal(&before, &after, sizeof before);
}

static void survives_a_random_life(void **state)
{
    struct {
        hpa_t at;
        unsigned order;
    } held[200];
    unsigned count = 0;
    struct page_stats before, after;

    (void)state;
    srand(1);
    add(MIB(2), MIB(61));
    add(MIB(64), MIB(33));
    before = stats_now();
    for (unsigned round = 0; round < 20000; round++) {
        if (count < ARRAY_SIZE(held) && rand() % 2) {
            unsigned order = (unsigned)rand() % 12;

            if (page_alloc(order, &held[count].at))
                continue;
            for (unsigned i = 0; i < count; i++)
                assert_false(ranges_overlap(held[i].at.value, PAGE_SIZE << held[i].order,
                                            held[count].at.value, PAGE_SIZE << order));
            held[count++].order = order;
        } else if (count > 0) {
            unsigned i = (unsigned)rand() % count;

            page_free(held[i].at, held[i].order);
            held[i] = held[--count];
        }
    }
    while (count-- > 0)
        page_free(held[count].at, held[count].order);
    after = stats_now();
    assert_memory_equal(&before, &after, sizeof before);
}

static void zeroes_when_asked(void **state)
{
    static const uint8_t zeroes[PAGE_SIZE * 4];
    hpa_t block;

    (void)state;
    add(MIB(2), KIB(4 * 5));
    block = alloc(2);
    memset(phys_to_virt(block), 0xa5, PAGE_SIZE * 4);
    page_free(block, 2);
    assert_int_equal(page_alloc_zeroed(2, &block), 0);
    assert_memory_equal(phys_to_virt(block), zeroes, sizeof zeroes);
}

static void keeps_low_pages_apart(void **state)
{
    hpa_t low, high;
    unsigned count = 0;

    (void)state;
    add(0, MIB(2)); /* straddles 1 MiB */
    assert_int_equal(stats_now().low_total_pages, 255);
    assert_int_equal(stats_now().total_pages, 255);
    while (page_alloc(0, &high) == 0)
        assert_true(high.value >= MIB(1));
    for (; page_alloc_low(&low) == 0; count++)
        assert_true(low.value >= PAGE_SIZE && low.value < MIB(1));
    assert_int_equal(count, 255);
    assert_int_equal(stats_now().low_free_pages, 0);
    page_free(HPA(0x7000), 0);
    assert_int_equal(page_alloc_low(&low), 0);
    assert_int_equal(low.value, 0x7000);
}

static void shrinks_to_whole_pages(void **state)
{
    (void)state;
    add(MIB(2) + 1, 3 * PAGE_SIZE); /* two whole pages, one for the notes */
    assert_int_equal(stats_now().total_pages, 1);
    add(MIB(3) + 5, PAGE_SIZE);
    add(MIB(4), PAGE_SIZE); /* nothing is left beside the notes */
    add(MIB(5), 0);
    assert_int_equal(stats_now().total_pages, 1);
}

static void refuses_bad_ranges(void **state)
{
    (void)state;
    add(MIB(2), MIB(2));
    add(0x8000, 0x2000);
    assert_int_equal(page_add_range(HPA(~UINT64_C(0) - PAGE_SIZE), 2 * PAGE_SIZE), -EINVAL);
    assert_int_equal(page_add_range(HPA(MIB(1)), MIB(1) + PAGE_SIZE), -EEXIST);
    assert_int_equal(page_add_range(HPA(MIB(4) - PAGE_SIZE), PAGE_SIZE), -EEXIST);
    assert_int_equal(page_add_range(HPA(MIB(2)), PAGE_SIZE), -EEXIST);
    assert_int_equal(page_add_range(HPA(0x9000), PAGE_SIZE), -EEXIST);
    add(MIB(4), MIB(1));
}

static void says_when_there_are_too_many_ranges(void **state)
{
    uint64_t at = MIB(2);

    (void)state;
    while (page_add_range(HPA(at), 2 * PAGE_SIZE) == 0)
        at += MIB(1);
    assert_int_equal(at, MIB(2) + 64 * MIB(1));
    assert_int_equal(page_add_range(HPA(at), 2 * PAGE_SIZE), -ENOSPC);
    assert_int_equal(stats_now().total_pages, 64);
    add(0x1000, 0x1000); /* low ones need no range */
}

static void alloc_and_free_twice(unsigned order)
{
    hpa_t block = alloc(order);

    page_free(block, order);
    page_free(block, order);
}

static void catches_a_double_free(void **state)
{
    add(MIB(2), MIB(2));
    expect_panic(alloc_and_free_twice(0));
    set_up(state);
    add(MIB(2), 3 * PAGE_SIZE); /* the two pages have nothing to merge with */
    expect_panic(alloc_and_free_twice(1));
    assert_non_null(strstr(fake_panic_text, "freed twice"));
}

/* The two pages of a pair, in the given order, and then the upper one again. */
static void free_pair_and_upper_again(bool upper_first)
{
    hpa_t lower, upper;

    add(MIB(2), 3 * PAGE_SIZE);
    lower = alloc(0);
    upper = alloc(0);
    assert_int_equal(upper.value, lower.value + PAGE_SIZE);
    page_free(upper_first ? upper : lower, 0);
    page_free(upper_first ? lower : upper, 0);
    page_free(upper, 0);
}

static void catches_a_double_free_after_merging(void **state)
{
    expect_panic(free_pair_and_upper_again(true));
    assert_non_null(strstr(fake_panic_text, "no allocated block starts there"));
    set_up(state);
    expect_panic(free_pair_and_upper_again(false));
    assert_non_null(strstr(fake_panic_text, "no allocated block starts there"));
}

static void catches_a_wrong_order(void **state)
{
    hpa_t block;

    (void)state;
    add(MIB(2), MIB(2));
    block = alloc(3);
    expect_panic(page_free(block, 2));
    assert_non_null(strstr(fake_panic_text, "order 3"));
    set_up(state);
    expect_panic(assert_int_equal(page_alloc(PAGE_ORDER_MAX + 1, &block), 0));
}

static void catches_what_was_never_allocated(void **state)
{
    hpa_t block;

    (void)state;
    add(MIB(2), MIB(2));
    add(0x8000, 0x2000);
    block = alloc(3);
    expect_panic(page_free(HPA(block.value + PAGE_SIZE), 0));
    set_up(state);
    add(MIB(2), MIB(2));
    expect_panic(page_free(HPA(MIB(64)), 0));
    set_up(state);
    add(MIB(2), MIB(2)); /* its last page holds the notes */
    expect_panic(page_free(HPA(MIB(4) - PAGE_SIZE), 0));
    set_up(state);
    expect_panic(page_free(HPA(MIB(2) + 1), 0));
}

static void catches_misuse_of_low_pages(void **state)
{
    hpa_t low;

    (void)state;
    add(0x8000, 0x2000);
    assert_int_equal(page_alloc_low(&low), 0);
    page_free(low, 0);
    expect_panic(page_free(low, 0));
    set_up(state);
    expect_panic(page_free(HPA(0x8000), 0));
    set_up(state);
    add(0x8000, 0x2000);
    assert_int_equal(page_alloc_low(&low), 0);
    expect_panic(page_free(low, 1));
}

static void notices_a_write_after_free(void **state)
{
    (void)state;
    add(MIB(2), 3 * PAGE_SIZE); /* the third holds the notes, so the two are buddies */
    (void)alloc(0);
    (void)alloc(0);
    page_free(HPA(MIB(2)), 0);
    memset(phys_to_virt(HPA(MIB(2))), 0x5a, 16);
    expect_panic(page_free(HPA(MIB(2) + PAGE_SIZE), 0));
    assert_non_null(strstr(fake_panic_text, "was written to"));
}

static void knows_the_order_for_a_size(void **state)
{
    (void)state;
    assert_int_equal(page_order_for(0), 0);
    assert_int_equal(page_order_for(1), 0);
    assert_int_equal(page_order_for(PAGE_SIZE), 0);
    assert_int_equal(page_order_for(PAGE_SIZE + 1), 1);
    assert_int_equal(page_order_for(GIB(1)), PAGE_ORDER_1G);
    assert_true(page_order_for(GIB(1) + 1) > PAGE_ORDER_MAX);
    assert_true(page_order_for(~UINT64_C(0)) > PAGE_ORDER_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(has_nothing_at_first, set_up),
        cmocka_unit_test_setup(a_certain_page_is_given_once, set_up),
        cmocka_unit_test_setup(what_is_taken_merges_again, set_up),
        cmocka_unit_test_setup(a_block_is_split_and_freed_page_by_page, set_up),
        cmocka_unit_test_setup(only_a_whole_block_is_split, set_up),
        cmocka_unit_test_setup(gives_whole_gigabytes, set_up),
        cmocka_unit_test_setup(notes_take_the_less_aligned_end, set_up),
        cmocka_unit_test_setup(every_page_has_one_owner, set_up),
        cmocka_unit_test_setup(survives_a_random_life, set_up),
        cmocka_unit_test_setup(zeroes_when_asked, set_up),
        cmocka_unit_test_setup(keeps_low_pages_apart, set_up),
        cmocka_unit_test_setup(shrinks_to_whole_pages, set_up),
        cmocka_unit_test_setup(refuses_bad_ranges, set_up),
        cmocka_unit_test_setup(says_when_there_are_too_many_ranges, set_up),
        cmocka_unit_test_setup(catches_a_double_free, set_up),
        cmocka_unit_test_setup(catches_a_double_free_after_merging, set_up),
        cmocka_unit_test_setup(catches_a_wrong_order, set_up),
        cmocka_unit_test_setup(catches_what_was_never_allocated, set_up),
        cmocka_unit_test_setup(catches_misuse_of_low_pages, set_up),
        cmocka_unit_test_setup(notices_a_write_after_free, set_up),
        cmocka_unit_test_setup(knows_the_order_for_a_size, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
