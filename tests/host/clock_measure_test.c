/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: the rate of the clock is right wherever a pause falls, between any two reads: in an emulator on a busy host, or
 * in a VM, one of some 10 ms is nothing special. A reference that stands still is said to.
 */
#include "tests/host/fake/fake.h"
#include "arch/x86/clock_measure.h"

#define HZ           1000000000ull
#define REFERENCE_HZ 1000000u
#define TICKS        (HZ / REFERENCE_HZ)
#define READ_TICKS   700u

static unsigned reads, pause_at;
static uint64_t pause_before, pause_after; /* the count is taken */
static uint64_t origin;

static uint32_t counter(void)
{
    uint32_t count;

    reads++;
    fake_clock_advance(READ_TICKS / 2 + (reads == pause_at ? pause_before : 0));
    count = (uint32_t)((fake_clock + origin) / TICKS);
    fake_clock_advance(READ_TICKS / 2 + (reads == pause_at ? pause_after : 0));
    return count & 0xffffff;
}

static uint32_t still(void)
{
    return 5;
}

static const struct clock_reference reference = {counter, 0xffffff, REFERENCE_HZ};

static uint64_t measure(void)
{
    fake_clock_reset();
    reads = 0;
    return clock_measure(&reference);
}

static void test_it_is_right(void **state)
{
    (void)state;
    pause_at = 0;
    origin = 0;
    assert_in_range(measure(), HZ - HZ / 5000, HZ + HZ / 5000);
    origin = 0xffffffull * TICKS; /* it goes round */
    assert_in_range(measure(), HZ - HZ / 5000, HZ + HZ / 5000);
}

static void test_a_pause_changes_nothing(void **state)
{
    static const uint64_t pauses[][2] = {{HZ / 50, 0}, {0, HZ / 50}, {HZ, 0}, {0, HZ}, {HZ, HZ}};
    unsigned all;

    (void)state;
    origin = 0;
    pause_at = 0;
    measure();
    all = reads;
    for (unsigned i = 0; i < ARRAY_SIZE(pauses); i++)
        for (pause_at = 1; pause_at <= all; pause_at += pause_at < 20 || pause_at > all - 20 ? 1 : 97) {
            pause_before = pauses[i][0];
            pause_after = pauses[i][1];
            assert_in_range(measure(), HZ - HZ / 5000, HZ + HZ / 5000);
        }
}

static void test_one_that_stands_still(void **state)
{
    static const struct clock_reference broken = {still, UINT32_MAX, REFERENCE_HZ};

    (void)state;
    assert_int_equal(clock_measure(&broken), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_right),
        cmocka_unit_test(test_a_pause_changes_nothing),
        cmocka_unit_test(test_one_that_stands_still),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
