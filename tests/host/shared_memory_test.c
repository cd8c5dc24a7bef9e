/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: all who name a region have the same memory, which is zero when the first one comes and free when the last one
 * has gone; a doorbell reaches whom it is for and nobody else, whatever the numbers are.
 */
#include "kernel/heap.h"
#include "kernel/lib/errno.h"
#include "kernel/page.h"
#include "kernel/shared_memory.h"
#include "tests/host/fake/arch.h"
#include "tests/host/fake/fake.h"

#define SIZE MIB(1)

static unsigned heard_by, heard_vector, heard_count;

static void hear(void *context, unsigned vector)
{
    heard_by = (unsigned)(uintptr_t)context;
    heard_vector = vector;
    heard_count++;
}

static int set_up(void **state)
{
    (void)state;
    fake_ram_reset();
    page_init();
    heap_init();
    assert_int_equal(page_add_range(HPA(GIB(1)), MIB(64)), 0);
    heard_count = 0;
    return 0;
}

static uint64_t free_pages(void)
{
    struct page_stats s;

    page_get_stats(&s);
    return s.free_pages;
}

static struct shared_region *take(const char *name, uint64_t size)
{
    struct shared_region *region;

    assert_int_equal(shared_memory_take(name, size, &region), 0);
    return region;
}

static uint8_t *bytes(const struct shared_region *region)
{
    return phys_to_virt(region->memory);
}

static unsigned users(void)
{
    const struct shared_region *region;
    unsigned count = 0;

    for (unsigned i = 0; (region = shared_memory_at(i)); i++)
        count += region->users;
    return count;
}

static void a_region_is_the_same_for_all(void **state)
{
    uint64_t before = free_pages();
    struct shared_region *one = take("ring", SIZE), *other = take("rung", SIZE), *two;

    (void)state;
    assert_int_equal(before - free_pages(), 2 * SIZE / PAGE_SIZE + 1); /* a page of the heap says what they are */
    bytes(one)[SIZE - 1] = 7;
    two = take("ring", SIZE);
    assert_ptr_equal(one, two);
    assert_ptr_not_equal(bytes(one), bytes(other));
    assert_int_equal(bytes(other)[SIZE - 1], 0);
    assert_int_equal(users(), 3);
    shared_memory_give_back(one);
    assert_int_equal(bytes(two)[SIZE - 1], 7); /* kept: there is one left */
    shared_memory_give_back(two);
    shared_memory_give_back(other);
    assert_int_equal(free_pages(), before);
    assert_int_equal(users(), 0);
    one = take("ring", SIZE);
    assert_int_equal(bytes(one)[SIZE - 1], 0);
    shared_memory_give_back(one);
}

static void sizes_must_agree(void **state)
{
    struct shared_region *one = take("ring", SIZE), *other;

    (void)state;
    assert_int_equal(shared_memory_take("ring", 2 * SIZE, &other), -EINVAL);
    assert_int_equal(users(), 1);
    shared_memory_give_back(one);
    other = take("ring", 2 * SIZE);
    shared_memory_give_back(other);
}

static void there_is_an_end(void **state)
{
    struct shared_region *regions[SHARED_REGIONS_MAX], *none;
    uint64_t before = free_pages();
    char name[8];

    (void)state;
    assert_int_equal(shared_memory_take("large", MIB(64), &none), -ENOMEM);
    assert_int_equal(users(), 0);
    assert_int_equal(free_pages(), before);
    for (unsigned i = 0; i < SHARED_REGIONS_MAX; i++) {
        snprintf(name, sizeof name, "r%u", i);
        regions[i] = take(name, PAGE_SIZE);
    }
    assert_int_equal(shared_memory_take("more", PAGE_SIZE, &none), -ENOSPC);
    assert_ptr_equal(take("r5", PAGE_SIZE), regions[5]);
    shared_memory_give_back(regions[5]);
    for (unsigned i = 0; i < SHARED_REGIONS_MAX; i++)
        shared_memory_give_back(regions[i]);
    assert_int_equal(free_pages(), before);
}

static void a_doorbell_reaches_whom_it_is_for(void **state)
{
    struct shared_region *one = take("ring", SIZE), *other = take("rung", SIZE);
    struct shared_peer a = {hear, (void *)1}, b = {hear, (void *)2}, c = {hear, (void *)3};
    unsigned number;

    (void)state;
    assert_int_equal(shared_memory_add_peer(one, &a, &number), 0);
    assert_int_equal(number, 0);
    assert_int_equal(shared_memory_add_peer(one, &b, &number), 0);
    assert_int_equal(number, 1);
    assert_int_equal(shared_memory_add_peer(other, &c, &number), 0);
    assert_int_equal(number, 0);
    shared_memory_ring(one, 1, 0xffff);
    assert_int_equal(heard_by, 2);
    assert_int_equal(heard_vector, 0xffff);
    shared_memory_ring(one, 0, 3);
    assert_int_equal(heard_by, 1);
    shared_memory_ring(other, 0, 0);
    assert_int_equal(heard_by, 3);
    assert_int_equal(heard_count, 3);
    for (unsigned peer = 2; peer < 0x20000; peer++)
        shared_memory_ring(one, peer, 0);
    shared_memory_ring(one, UINT32_MAX, 0);
    assert_int_equal(heard_count, 3);
    shared_memory_give_back(one);
    shared_memory_give_back(other);
}

static void who_is_gone_hears_nothing(void **state)
{
    struct shared_region *region = take("ring", SIZE);
    struct shared_peer a = {hear, (void *)1};
    unsigned number;

    (void)state;
    for (unsigned i = 0; i < SHARED_PEERS_MAX; i++)
        assert_int_equal(shared_memory_add_peer(region, &a, &number), 0);
    assert_int_equal(number, SHARED_PEERS_MAX - 1);
    assert_int_equal(shared_memory_add_peer(region, &a, &number), -ENOSPC);
    shared_memory_remove_peer(region, 3);
    shared_memory_ring(region, 3, 0);
    assert_int_equal(heard_count, 0);
    assert_int_equal(shared_memory_add_peer(region, &a, &number), 0);
    assert_int_equal(number, 3); /* who comes back has the number that it had */
    shared_memory_ring(region, 3, 0);
    assert_int_equal(heard_count, 1);
    expect_panic(shared_memory_remove_peer(region, SHARED_PEERS_MAX));
    shared_memory_give_back(region);
    region = take("ring", SIZE);
    shared_memory_ring(region, 3, 0); /* a new region has no old peers */
    assert_int_equal(heard_count, 1);
    shared_memory_give_back(region);
    expect_panic(shared_memory_give_back(region));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_region_is_the_same_for_all, set_up),
        cmocka_unit_test_setup(sizes_must_agree, set_up),
        cmocka_unit_test_setup(there_is_an_end, set_up),
        cmocka_unit_test_setup(a_doorbell_reaches_whom_it_is_for, set_up),
        cmocka_unit_test_setup(who_is_gone_hears_nothing, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
