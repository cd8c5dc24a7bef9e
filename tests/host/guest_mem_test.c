/* SPDX-License-Identifier: BSD-2-Clause */
/* Theory: no guest-physical address, however chosen, leads outside of the guest's own memory;
 * copies are whole or not at all. */
#include "tests/host/fake/fake.h"
#include "kernel/guest_mem.h"
#include "kernel/lib/errno.h"

/* Two neighbouring slots that are apart in the host, and one beyond a hole. */
static uint8_t first[2 * 4096], second[4096], third[4096];
static struct guest_mem mem;

static int set_up(void **state)
{
    (void)state;
    memset(&mem, 0, sizeof mem);
    memset(first, 0x11, sizeof first);
    memset(second, 0x22, sizeof second);
    memset(third, 0x33, sizeof third);
    assert_int_equal(guest_mem_add(&mem, GPA(0x100000), sizeof third, third), 0);
    assert_int_equal(guest_mem_add(&mem, GPA(0x1000), sizeof first, first), 0);
    assert_int_equal(guest_mem_add(&mem, GPA(0x3000), sizeof second, second), 0);
    return 0;
}

static uint64_t piece_bytes(gpa_t address)
{
    uint64_t size = UINT64_MAX;

    (void)guest_mem_piece(&mem, address, &size);
    return size;
}

static void slots_are_in_order(void **state)
{
    (void)state;
    assert_int_equal(mem.count, 3);
    assert_int_equal(mem.slots[0].base.value, 0x1000);
    assert_int_equal(mem.slots[1].base.value, 0x3000);
    assert_int_equal(mem.slots[2].base.value, 0x100000);
}

static void refuses_bad_slots(void **state)
{
    (void)state;
    assert_int_equal(guest_mem_add(&mem, GPA(0x10000), 0, first), -EINVAL);
    assert_int_equal(guest_mem_add(&mem, GPA(0x10001), 4096, first), -EINVAL);
    assert_int_equal(guest_mem_add(&mem, GPA(0x10000), 4095, first), -EINVAL);
    assert_int_equal(guest_mem_add(&mem, GPA(~UINT64_C(0) << 12), 8192, first), -EINVAL);
    assert_int_equal(guest_mem_add(&mem, GPA(0x2000), 4096, first), -EEXIST);
    assert_int_equal(guest_mem_add(&mem, GPA(0), 0x200000, first), -EEXIST);
    assert_int_equal(mem.count, 3);
}

static void says_when_it_is_full(void **state)
{
    (void)state;
    for (unsigned i = mem.count; i < GUEST_MEM_SLOTS_MAX; i++)
        assert_int_equal(guest_mem_add(&mem, GPA(0x200000 + i * 0x1000), 4096, first), 0);
    assert_int_equal(guest_mem_add(&mem, GPA(0x300000), 4096, first), -ENOSPC);
}

static void a_pointer_covers_its_whole_range(void **state)
{
    (void)state;
    assert_ptr_equal(guest_mem_at(&mem, GPA(0x1000), 1), first);
    assert_ptr_equal(guest_mem_at(&mem, GPA(0x1234), 0x2000 - 0x234), first + 0x234);
    assert_null(guest_mem_at(&mem, GPA(0x1234), 0x2000 - 0x233)); /* goes on in another slot */
    assert_null(guest_mem_at(&mem, GPA(0xfff), 2));
    assert_null(guest_mem_at(&mem, GPA(0x100ff8), 9));
    assert_null(guest_mem_at(&mem, GPA(0x100ff8), ~UINT64_C(0)));
    assert_null(guest_mem_at(&mem, GPA(~UINT64_C(0)), 1));
    assert_null(guest_mem_at(&mem, GPA(0x101000), 0));
}

static void tells_slots_and_what_is_left_of_them(void **state)
{
    (void)state;
    assert_ptr_equal(guest_mem_find_slot(&mem, GPA(0x3fff)), &mem.slots[1]);
    assert_null(guest_mem_find_slot(&mem, GPA(0x4000)));
    assert_int_equal(piece_bytes(GPA(0x1001)), 0x1fff);
    assert_int_equal(piece_bytes(GPA(0x3fff)), 1);
    assert_int_equal(piece_bytes(GPA(0)), 0);
    assert_int_equal(piece_bytes(GPA(0x4000)), 0);
}

static void copies_cross_slots(void **state)
{
    uint8_t bytes[4];

    (void)state;
    assert_int_equal(guest_mem_read(&mem, GPA(0x2ffe), bytes, 4), 0);
    assert_memory_equal(bytes, "\x11\x11\x22\x22", 4);
    assert_int_equal(guest_mem_write(&mem, GPA(0x2ffd), "abcd", 4), 0);
    assert_memory_equal(first + sizeof first - 3, "abc", 3);
    assert_int_equal(second[0], 'd');
    assert_int_equal(guest_mem_read(&mem, GPA(0x50000), bytes, 0), 0);
}

static void copies_all_or_nothing(void **state)
{
    uint8_t bytes[4] = {9, 9, 9, 9};

    (void)state;
    assert_int_equal(guest_mem_read(&mem, GPA(0x3ffe), bytes, 4), -EFAULT);
    assert_memory_equal(bytes, "\x09\x09\x09\x09", 4);
    assert_int_equal(guest_mem_write(&mem, GPA(0x3ffe), bytes, 4), -EFAULT);
    assert_int_equal(second[4095], 0x22);
    assert_int_equal(guest_mem_write(&mem, GPA(0xfff), bytes, 2), -EFAULT);
    assert_int_equal(first[0], 0x11);
    assert_int_equal(guest_mem_read(&mem, GPA(0x100000), bytes, ~UINT64_C(0)), -EFAULT);
    assert_int_equal(guest_mem_read(&mem, GPA(~UINT64_C(0)), bytes, 2), -EFAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(slots_are_in_order, set_up),
        cmocka_unit_test_setup(refuses_bad_slots, set_up),
        cmocka_unit_test_setup(says_when_it_is_full, set_up),
        cmocka_unit_test_setup(a_pointer_covers_its_whole_range, set_up),
        cmocka_unit_test_setup(tells_slots_and_what_is_left_of_them, set_up),
        cmocka_unit_test_setup(copies_cross_slots, set_up),
        cmocka_unit_test_setup(copies_all_or_nothing, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
