/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a page that a guest gives back has one owner at a time: the guest's until it is unmapped, nobody's until every
 * CPU has flushed, then the allocator's. The guest gets zeroes when it takes a page again, the hypervisor's devices see
 * the same page as the guest, and at the end nothing is lost and nothing is freed twice.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/arch.h"
#include "kernel/guest_pages.h"
#include "kernel/lib/errno.h"
#include "kernel/page.h"
#include "kernel/pt.h"
#include "kernel/stage2.h"

#define RAM_PAGES  (MIB(8) >> PAGE_SHIFT)
#define LOW_BYTES  MIB(2)   /* the guest's first slot */
#define HIGH_BYTES MIB(1)   /* its second one, which follows in guest-physical space */

static struct pt pt;
static struct guest_mem mem;
static struct guest_pages pages;
static uint64_t free_at_start;
static unsigned exhausted_calls;

static uint64_t free_pages(void)
{
    struct page_stats stats;

    page_get_stats(&stats);
    return stats.free_pages;
}

static void exhausted(void *context)
{
    assert_ptr_equal(context, &mem);
    exhausted_calls++;
}

static void add_slot(uint64_t base, uint64_t size)
{
    hpa_t block;

    assert_int_equal(page_alloc_zeroed(page_order_for(size), &block), 0);
    assert_int_equal(stage2_map(&pt, GPA(base), block, size), 0);
    assert_int_equal(guest_mem_add(&mem, GPA(base), size, phys_to_virt(block)), 0);
}

static int set_up(void **state)
{
    (void)state;
    fake_ram_reset();
    page_init();
    assert_int_equal(page_add_range(HPA(MIB(16)), MIB(8)), 0);
    free_at_start = free_pages();
    mem = (struct guest_mem){0};
    exhausted_calls = 0;
    assert_int_equal(stage2_create(&pt), 0);
    add_slot(0, LOW_BYTES);
    add_slot(LOW_BYTES, HIGH_BYTES);
    guest_pages_init(&pages, &mem, &pt);
    pages.exhausted = exhausted;
    pages.context = &mem;
    return 0;
}

/* All of it comes back. */
static int tear_down(void **state)
{
    uint64_t next = 0;

    (void)state;
    while (guest_pages_free_all(&pages, &next))
        ;
    stage2_destroy(&pt);
    assert_int_equal(free_pages(), free_at_start);
    return 0;
}

static bool flush(void)
{
    if (!guest_pages_begin_flush(&pages))
        return false;
    assert_true(guest_pages_end_flush(&pages));
    while (guest_pages_free_flushed(&pages))
        ;
    return true;
}

static uint64_t release(uint64_t address, uint64_t size)
{
    uint64_t done;

    return guest_pages_release(&pages, GPA(address), size, &done);
}

/* In as many rounds as it takes; says how many pages. */
static uint64_t release_in_rounds(uint64_t address, uint64_t size)
{
    uint64_t pages_released = 0, done;

    for (; size > 0; address += done, size -= done) {
        pages_released += guest_pages_release(&pages, GPA(address), size, &done);
        assert_true(done > 0);
        assert_true(flush() || done == size);
    }
    return pages_released;
}

static bool is_mapped(uint64_t address)
{
    struct pt_mapping m;

    return pt_lookup(&pt, address, &m);
}

static void take_all_free(hpa_t *taken, unsigned *count)
{
    for (*count = 0; *count < RAM_PAGES && page_alloc(0, &taken[*count]) == 0; ++*count)
        ;
}

static void give_back(const hpa_t *taken, unsigned count)
{
    while (count > 0)
        page_free(taken[--count], 0);
}

static void a_page_is_free_only_after_the_flush(void **state)
{
    uint64_t before = free_pages();

    (void)state;
    assert_int_equal(release(0x5000, PAGE_SIZE), 1);
    assert_false(is_mapped(0x5000));
    assert_true(is_mapped(0x4000));
    assert_true(is_mapped(0x6000));
    assert_int_equal(pages.missing, 1);
    assert_int_equal(free_pages(), before - 1); /* a table for what was one large page */
    assert_true(flush());
    assert_int_equal(free_pages(), before);
    assert_false(flush()); /* there is nothing to do any more */
}

static void what_was_given_back_is_not_given_back_twice(void **state)
{
    (void)state;
    assert_int_equal(release(0x5000, PAGE_SIZE), 1);
    assert_int_equal(release(0x5000, PAGE_SIZE), 0);
    assert_int_equal(release(0x4000, 3 * PAGE_SIZE), 2);
    assert_int_equal(pages.missing, 3);
}

static void only_ram_is_taken(void **state)
{
    (void)state;
    assert_int_equal(release(LOW_BYTES + HIGH_BYTES, PAGE_SIZE), 0);
    assert_int_equal(release(~UINT64_C(0) << 20, PAGE_SIZE), 0);
    assert_int_equal(release(LOW_BYTES + HIGH_BYTES - PAGE_SIZE, 4 * PAGE_SIZE), 1);
    assert_int_equal(guest_pages_restore(&pages, GPA(LOW_BYTES + HIGH_BYTES)), -EFAULT);
    assert_null(guest_pages_at(&pages, GPA(~UINT64_C(0))));
    assert_int_equal(exhausted_calls, 0);
}

static void a_range_crosses_slots(void **state)
{
    (void)state;
    assert_int_equal(release(LOW_BYTES - PAGE_SIZE, 2 * PAGE_SIZE), 2);
    assert_true(mem.slots[0].is_scattered && mem.slots[1].is_scattered && mem.is_scattered);
    assert_true(flush());
    assert_int_equal(release_in_rounds(0, LOW_BYTES + HIGH_BYTES), RAM_PAGES * 3 / 8 - 2);
    assert_int_equal(pages.missing, RAM_PAGES * 3 / 8);
}

static void what_comes_back_is_the_same_page_but_zeroed(void **state)
{
    uint8_t *host = guest_mem_at(&mem, GPA(0x5000), 1);

    (void)state;
    memset(host, 0xaa, PAGE_SIZE);
    assert_int_equal(release(0x5000, PAGE_SIZE), 1);
    assert_true(flush());
    assert_int_equal(guest_pages_restore(&pages, GPA(0x5123)), 0);
    assert_ptr_equal(guest_mem_at(&mem, GPA(0x5000), PAGE_SIZE), host);
    assert_int_equal(host[0] | host[PAGE_SIZE - 1], 0);
    assert_int_equal(pages.missing, 0);
    /* The large page is there again, in one piece for devices. */
    assert_ptr_equal(guest_mem_at(&mem, GPA(0), LOW_BYTES), mem.slots[0].host);
    assert_int_equal(pt.table_pages, 3 + 1 + 1); /* one for each level, the second slot's, the retired one */
    assert_true(flush());
    assert_int_equal(pt.table_pages, 3 + 1);
}

static void a_page_in_limbo_is_not_the_guests(void **state)
{
    uint8_t *host = guest_mem_at(&mem, GPA(0x5000), 1);

    (void)state;
    assert_int_equal(release(0x5000, PAGE_SIZE), 1);
    assert_int_equal(guest_pages_restore(&pages, GPA(0x5000)), 0);
    assert_ptr_not_equal(guest_mem_at(&mem, GPA(0x5000), 1), host);
    assert_true(flush());
    assert_ptr_not_equal(guest_mem_at(&mem, GPA(0x5000), 1), host);
}

static void devices_follow_the_page(void **state)
{
    static hpa_t taken[RAM_PAGES];
    uint8_t *host = guest_mem_at(&mem, GPA(0x5000), 1), bytes[4];
    unsigned count;

    (void)state;
    assert_int_equal(release(0x5000, PAGE_SIZE), 1);
    assert_true(flush());
    take_all_free(taken, &count); /* somebody else has it */
    memset(host, 0xbb, PAGE_SIZE);
    page_free(taken[--count], 0);
    assert_int_equal(guest_mem_write(&mem, GPA(0x4ffe), "abcd", 4), 0); /* makes the page that it needs */
    assert_int_equal(host[0], 0xbb);
    assert_int_equal(guest_mem_read(&mem, GPA(0x4ffe), bytes, 4), 0);
    assert_memory_equal(bytes, "abcd", 4);
    assert_null(guest_mem_at(&mem, GPA(0x4ffe), 4)); /* not in one piece any more */
    assert_memory_equal(guest_mem_at(&mem, GPA(0x5000), 2), "cd", 2);
    give_back(taken, count);
}

static void no_page_is_left(void **state)
{
    static hpa_t taken[RAM_PAGES];
    uint8_t byte;
    unsigned count;

    (void)state;
    assert_int_equal(release(0x5000, PAGE_SIZE), 1);
    assert_true(flush());
    take_all_free(taken, &count);
    assert_int_equal(guest_pages_restore(&pages, GPA(0x5000)), -ENOMEM);
    assert_int_equal(exhausted_calls, 0); /* who asks so can wait */
    assert_null(guest_mem_at(&mem, GPA(0x5000), 1));
    assert_int_equal(guest_mem_read(&mem, GPA(0x5000), &byte, 1), -EFAULT);
    assert_int_equal(exhausted_calls, 2);
    assert_int_equal(pages.missing, 1);
    give_back(taken, count);
}

/* Naming a range makes its first page only: the others are made one by one, by who uses them. */
static void a_range_is_not_made_by_naming_it(void **state)
{
    uint64_t size = MIB(1);

    (void)state;
    assert_int_equal(release(0, MIB(1)), 256);
    assert_true(flush());
    assert_non_null(guest_mem_piece(&mem, GPA(8), &size));
    assert_int_equal(size, PAGE_SIZE - 8);
    assert_int_equal(pages.missing, 255);
    assert_null(guest_mem_at(&mem, GPA(0), MIB(1)));
    assert_int_equal(pages.missing, 255);
}

static void there_is_a_bound_between_two_flushes(void **state)
{
    uint64_t next = 0, count = 0;

    (void)state;
    for (; guest_pages_has_room(&pages); next += 2 * PAGE_SIZE)
        count += release(next, PAGE_SIZE);
    assert_int_equal(count, GUEST_PAGES_LIMBO_MAX);
    assert_int_equal(release(PAGE_SIZE, PAGE_SIZE), 0);
    assert_true(is_mapped(PAGE_SIZE));
    assert_true(guest_pages_begin_flush(&pages));
    assert_false(guest_pages_has_room(&pages)); /* what came now would not be flushed */
    assert_true(guest_pages_end_flush(&pages));
    while (guest_pages_free_flushed(&pages))
        assert_false(guest_pages_has_room(&pages));
    assert_true(guest_pages_has_room(&pages));
    assert_int_equal(release(PAGE_SIZE, PAGE_SIZE), 1);
}

/* Naming what is not there, or has been given back already, is work as well. */
static void what_is_not_there_has_a_bound_too(void **state)
{
    uint64_t done;

    (void)state;
    assert_int_equal(guest_pages_release(&pages, GPA(GIB(1)), MIB(64), &done), 0);
    assert_int_equal(done, GUEST_PAGES_LOOKS_MAX * PAGE_SIZE);
    assert_false(guest_pages_has_room(&pages));
    assert_int_equal(release(PAGE_SIZE, PAGE_SIZE), 0);
    assert_false(flush()); /* there is nothing to flush, and there is room again */
    assert_true(guest_pages_has_room(&pages));
    assert_int_equal(release(PAGE_SIZE, PAGE_SIZE), 1);
}

/* Some CPU may have passed its flush before the table was retired. */
static void a_table_retired_during_the_flush_waits_for_the_next_one(void **state)
{
    (void)state;
    assert_int_equal(release(0x5000, PAGE_SIZE), 1);
    assert_true(flush());
    assert_int_equal(release(LOW_BYTES, PAGE_SIZE), 1);
    assert_true(guest_pages_begin_flush(&pages));
    assert_int_equal(guest_pages_restore(&pages, GPA(0x5000)), 0); /* and merges */
    assert_false(guest_pages_end_flush(&pages));
    assert_int_equal(pages.limbo_count, 1);
    assert_true(flush());
    assert_int_equal(pages.limbo_count, 0);
}

static void a_guest_may_end_with_pages_in_limbo(void **state)
{
    (void)state;
    assert_int_equal(release(0, MIB(1)), 256);
    assert_int_equal(release(LOW_BYTES, PAGE_SIZE), 1);
}

static void random_life(void **state)
{
    uint64_t seed = 88172645463325252u, n = (LOW_BYTES + HIGH_BYTES) >> PAGE_SHIFT;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        switch (seed % 4) {
        case 0:
            release((seed >> 8) % n * PAGE_SIZE, ((seed >> 32) % 16 + 1) * PAGE_SIZE);
            break;
        case 1:
            assert_int_equal(guest_pages_restore(&pages, GPA((seed >> 8) % n * PAGE_SIZE)), 0);
            break;
        case 2:
            *guest_pages_at(&pages, GPA((seed >> 8) % n * PAGE_SIZE)) = 1;
            break;
        default:
            (void)flush();
        }
    }
    (void)flush();
    for (uint64_t page = 0; page < n; page++)
        pages.missing -= !is_mapped(page * PAGE_SIZE);
    assert_int_equal(pages.missing, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_page_is_free_only_after_the_flush),
        TEST(what_was_given_back_is_not_given_back_twice),
        TEST(only_ram_is_taken),
        TEST(a_range_crosses_slots),
        TEST(what_comes_back_is_the_same_page_but_zeroed),
        TEST(a_page_in_limbo_is_not_the_guests),
        TEST(devices_follow_the_page),
        TEST(no_page_is_left),
        TEST(a_range_is_not_made_by_naming_it),
        TEST(there_is_a_bound_between_two_flushes),
        TEST(what_is_not_there_has_a_bound_too),
        TEST(a_table_retired_during_the_flush_waits_for_the_next_one),
        TEST(a_guest_may_end_with_pages_in_limbo),
        TEST(random_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
