/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: objects of any size are zeroed, aligned and apart; all memory comes back; out of memory
 * is an answer; every misuse of a pointer is caught.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/arch.h"
#include "kernel/heap.h"
#include "kernel/page.h"

static uint64_t pages_at_start;

static uint64_t free_pages(void)
{
    struct page_stats s;

    page_get_stats(&s);
    return s.free_pages;
}

static int set_up_with(uint64_t bytes)
{
    fake_ram_reset();
    page_init();
    heap_init();
    assert_int_equal(page_add_range(HPA(MIB(2)), bytes), 0);
    pages_at_start = free_pages();
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(MIB(8));
}

static struct heap_stats stats_now(void)
{
    struct heap_stats s;

    heap_get_stats(&s);
    return s;
}

static bool is_filled(const uint8_t *object, size_t size, uint8_t value)
{
    for (size_t i = 0; i < size; i++)
        if (object[i] != value)
            return false;
    return true;
}

static void objects_of_every_size_are_zeroed_and_apart(void **state)
{
    static uint8_t *objects[3][400];
    size_t size;

    (void)state;
    for (unsigned n = 0; n < 3; n++) {
        for (unsigned i = 0; i < 400; i++) {
            size = 1 + i * 13;
            objects[n][i] = heap_alloc(size);
            assert_non_null(objects[n][i]);
            assert_true(IS_ALIGNED((uintptr_t)objects[n][i], 16));
            assert_true(is_filled(objects[n][i], size, 0));
            memset(objects[n][i], (int)(i + n), size);
        }
    }
    for (unsigned n = 0; n < 3; n++)
        for (unsigned i = 0; i < 400; i++)
            assert_true(is_filled(objects[n][i], 1 + i * 13, (uint8_t)(i + n)));
    for (unsigned i = 0; i < 400; i++)
        for (unsigned n = 0; n < 3; n++)
            heap_free(objects[n][i]);
    assert_int_equal(free_pages(), pages_at_start);
    assert_int_equal(stats_now().objects, 0);
    assert_int_equal(stats_now().object_bytes, 0);
    assert_int_equal(stats_now().pages, 0);
}

static void what_was_freed_comes_back_zeroed(void **state)
{
    uint8_t *keeps_the_page = heap_alloc(100), *object = heap_alloc(100), *again;

    (void)state;
    memset(object, 0xee, 100);
    heap_free(object);
    again = heap_alloc(100);
    assert_ptr_equal(again, object);
    assert_true(is_filled(again, 100, 0));
    heap_free(again);
    heap_free(keeps_the_page);
}

static void a_slab_is_used_up_before_the_next(void **state)
{
    void *objects[253];

    (void)state;
    for (unsigned i = 0; i < 252; i++) /* (4096 - 64) / 16 */
        objects[i] = heap_alloc(16);
    assert_int_equal(stats_now().pages, 1);
    objects[252] = heap_alloc(1);
    assert_int_equal(stats_now().pages, 2);
    assert_int_equal(stats_now().objects, 253);
    assert_int_equal(stats_now().object_bytes, 253 * 16);
    heap_free(objects[100]); /* a full slab has room again */
    assert_non_null(heap_alloc(16));
    assert_non_null(heap_alloc(16));
    assert_int_equal(stats_now().pages, 2);
}

static void says_when_it_is_out_of_memory(void **state)
{
    unsigned count = 0;
    void *last = NULL;

    (void)state;
    set_up_with(PAGE_SIZE * 4); /* one for the allocator's notes */
    assert_null(heap_alloc(PAGE_SIZE * 3));
    assert_null(heap_alloc(SIZE_MAX));
    assert_null(heap_alloc(GIB(1)));
    for (void *object; (object = heap_alloc(2016)) != NULL; count++)
        last = object;
    assert_int_equal(count, 6);
    assert_null(heap_alloc(1));
    heap_free(last);
    assert_non_null(heap_alloc(2000));
    assert_int_equal(stats_now().pages, 3);
}

static void an_empty_object_is_an_object(void **state)
{
    void *a = heap_alloc(0), *b = heap_alloc(0);

    (void)state;
    assert_non_null(a);
    assert_ptr_not_equal(a, b);
    heap_free(a);
    heap_free(b);
    heap_free(NULL);
    assert_int_equal(free_pages(), pages_at_start);
}

static void large_objects_have_pages_of_their_own(void **state)
{
    uint8_t *a = heap_alloc(4032), *b = heap_alloc(4033);

    (void)state;
    assert_int_equal(stats_now().pages, 1 + 2);
    memset(a, 1, 4032);
    memset(b, 2, 2 * PAGE_SIZE - 64);
    assert_true(is_filled(a, 4032, 1));
    heap_free(a);
    heap_free(b);
    assert_int_equal(free_pages(), pages_at_start);
}

static void survives_a_random_life(void **state)
{
    static struct {
        uint8_t *object;
        size_t size;
        uint8_t fill;
    } held[300];
    unsigned count = 0;

    (void)state;
    srand(2);
    for (unsigned round = 0; round < 50000; round++) {
        unsigned i = (unsigned)rand() % ARRAY_SIZE(held);

        if (held[i].object) {
            assert_true(is_filled(held[i].object, held[i].size, held[i].fill));
            heap_free(held[i].object);
            held[i].object = NULL;
            count--;
            continue;
        }
        held[i].size = (size_t)rand() % (rand() % 8 ? 300 : 9000);
        held[i].fill = (uint8_t)rand();
        held[i].object = heap_alloc(held[i].size);
        assert_non_null(held[i].object);
        assert_true(is_filled(held[i].object, held[i].size, 0));
        memset(held[i].object, held[i].fill, held[i].size);
        count++;
    }
    assert_int_equal(stats_now().objects, count);
    for (unsigned i = 0; i < ARRAY_SIZE(held); i++)
        heap_free(held[i].object);
    assert_int_equal(free_pages(), pages_at_start);
}

static void catches_a_double_free(void **state)
{
    void *other = heap_alloc(40), *object = heap_alloc(40);

    heap_free(object);
    expect_panic(heap_free(object));
    assert_non_null(strstr(fake_panic_text, "freed twice"));
    set_up(state);
    object = heap_alloc(40); /* alone in its slab, which is given back with it */
    heap_free(object);
    expect_panic(heap_free(object));
    set_up(state);
    object = heap_alloc(5000);
    heap_free(object);
    expect_panic(heap_free(object));
    (void)other;
}

static void catches_a_double_free_after_the_pages_merged(void **state)
{
    void *first = heap_alloc(3000), *left = heap_alloc(3000), *right = heap_alloc(3000);

    (void)state;
    (void)first;
    heap_free(left);
    heap_free(right); /* the page allocator writes nothing into the right one of two free pages */
    expect_panic(heap_free(right));
    assert_non_null(strstr(fake_panic_text, "no page of the heap"));
}

static void catches_what_is_no_object(void **state)
{
    uint8_t *small = heap_alloc(64), *large;
    hpa_t page;

    expect_panic(heap_free(small + 16));
    set_up(state);
    small = heap_alloc(64);
    expect_panic(heap_free(small - 64)); /* the header */
    set_up(state);
    small = heap_alloc(1000);
    expect_panic(heap_free(small + 4 * 1008)); /* behind the last one */
    set_up(state);
    large = heap_alloc(10000);
    expect_panic(heap_free(large + 16));
    set_up(state);
    large = heap_alloc(10000);
    expect_panic(heap_free(large + PAGE_SIZE));
    set_up(state);
    assert_int_equal(page_alloc_zeroed(0, &page), 0);
    expect_panic(heap_free((uint8_t *)phys_to_virt(page) + 64));
    assert_non_null(strstr(fake_panic_text, "no page of the heap"));
}

static void notices_a_write_after_free(void **state)
{
    uint8_t *other = heap_alloc(128), *object = heap_alloc(128);

    (void)state;
    (void)other;
    heap_free(object);
    object[127] = 1;
    expect_panic(assert_null(heap_alloc(128)));
    assert_non_null(strstr(fake_panic_text, "after it was freed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(objects_of_every_size_are_zeroed_and_apart, set_up),
        cmocka_unit_test_setup(what_was_freed_comes_back_zeroed, set_up),
        cmocka_unit_test_setup(a_slab_is_used_up_before_the_next, set_up),
        cmocka_unit_test_setup(says_when_it_is_out_of_memory, set_up),
        cmocka_unit_test_setup(an_empty_object_is_an_object, set_up),
        cmocka_unit_test_setup(large_objects_have_pages_of_their_own, set_up),
        cmocka_unit_test_setup(survives_a_random_life, set_up),
        cmocka_unit_test_setup(catches_a_double_free, set_up),
        cmocka_unit_test_setup(catches_a_double_free_after_the_pages_merged, set_up),
        cmocka_unit_test_setup(catches_what_is_no_object, set_up),
        cmocka_unit_test_setup(notices_a_write_after_free, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
