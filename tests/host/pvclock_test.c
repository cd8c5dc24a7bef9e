/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a guest that computes with the clock page as Linux does gets our time, whatever the TSC's
 * rate; the page is written only into RAM; and no TSC that a guest may have set (it may set any)
 * can make the hypervisor divide out of range, which would be an exception of its own.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/msr.h"
#include "arch/x86/guest/pvclock.h"
#include "arch/x86/msr.h"
#include "kernel/lib/bytes.h"

#define PAGE_AT UINT64_C(0x2040)
#define ENABLE  1u
#define NS      UINT64_C(1000000000)

static struct fake_vcpu f;
static struct vcpu *const vcpu = &f.vcpu;

static int setup(void **state)
{
    (void)state;
    fake_vcpu_init(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_clock_hz = FAKE_HZ;
    fake_vcpu_free(&f);
    return 0;
}

/* Linux, arch/x86/include/asm/pvclock.h: what each guest computes. */
static uint64_t guest_ns(uint64_t tsc)
{
    const uint8_t *page = f.ram + PAGE_AT;
    uint64_t delta = tsc - get_le64(page + 8);
    int8_t shift = (int8_t)page[28];

    delta = shift < 0 ? delta >> -shift : delta << shift;
    return get_le64(page + 16) + (uint64_t)(((unsigned __int128)delta * get_le32(page + 24)) >> 32);
}

static void enable(void)
{
    assert_true(msr_write(vcpu, MSR_KVM_SYSTEM_TIME_NEW, PAGE_AT | ENABLE));
    assert_int_equal(get_le32(f.ram + PAGE_AT) & 1, 0);
    assert_int_equal(f.ram[PAGE_AT + 29], 1); /* stable */
}

static const uint64_t rates[] = {1000000,    50000000,         999999999, NS,
                                 NS + 1,     1193182 * 1000ul, 2 * NS,    2 * NS + 1,
                                 2099999999, 3600000000,       4 * NS,    10 * NS};

static void test_a_guest_reads_our_time_at_every_rate(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
        uint64_t hz = rates[i];

        fake_clock_hz = hz;
        fake_clock = 5 * hz;
        enable();
        for (uint64_t seconds = 0; seconds < 100; seconds += 9) {
            uint64_t exact = (5 + seconds) * NS, read = guest_ns(fake_clock + seconds * hz);

            assert_true(MAX(read, exact) - MIN(read, exact) <=
                        6 + seconds); /* less than a ns a second */
        }
    }
}

static void test_the_multiplier_is_normalized(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
        fake_clock_hz = rates[i];
        enable();
        assert_true(get_le32(f.ram + PAGE_AT + 24) >= 1u << 31);
    }
}

static void test_time_starts_where_the_guests_tsc_does(void **state)
{
    (void)state;
    fake_clock = 700 * NS;
    vcpu->tsc_offset = -(uint64_t)(600 * NS);
    enable();
    assert_int_equal(guest_ns(fake_clock + vcpu->tsc_offset), 100 * NS);
}

static void test_wall_clock_is_the_time_of_the_guests_start(void **state)
{
    (void)state;
    fake_wall_ns = 1700000000 * NS + 250;
    fake_clock = 700 * NS;
    vcpu->tsc_offset = -(uint64_t)(600 * NS);
    assert_true(msr_write(vcpu, MSR_KVM_WALL_CLOCK_NEW, PAGE_AT));
    assert_int_equal(get_le32(f.ram + PAGE_AT) & 1, 0);
    assert_int_equal(get_le32(f.ram + PAGE_AT + 4), 1700000000 + 600);
    assert_int_equal(get_le32(f.ram + PAGE_AT + 8), 250);
}

static void test_the_old_numbers_work_too(void **state)
{
    (void)state;
    assert_true(msr_write(vcpu, MSR_KVM_SYSTEM_TIME, PAGE_AT | ENABLE));
    assert_int_not_equal(get_le32(f.ram + PAGE_AT + 24), 0);
    assert_true(msr_write(vcpu, MSR_KVM_WALL_CLOCK, PAGE_AT + 64));
    assert_int_equal(get_le32(f.ram + PAGE_AT + 64), 2);
}

static void test_without_the_bit_nothing_is_written(void **state)
{
    (void)state;
    assert_true(msr_write(vcpu, MSR_KVM_SYSTEM_TIME_NEW, PAGE_AT));
    assert_true(msr_write(vcpu, MSR_KVM_SYSTEM_TIME_NEW, 0));
    assert_true(msr_write(vcpu, MSR_KVM_SYSTEM_TIME_NEW, UINT64_MAX - 1));
    for (unsigned i = 0; i < FAKE_VCPU_RAM_BYTES; i++)
        assert_int_equal(f.ram[i], 0);
}

static void test_what_is_not_ram_is_refused(void **state)
{
    static const uint64_t addresses[] = {
        FAKE_VCPU_RAM_BYTES,       FAKE_VCPU_RAM_BYTES - 8, 0xfee00000, BIT(52), BIT(63),
        UINT64_MAX & ~UINT64_C(3), UINT64_MAX - 15};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++) {
        assert_false(msr_write(vcpu, MSR_KVM_SYSTEM_TIME_NEW, addresses[i] | ENABLE));
        assert_false(msr_write(vcpu, MSR_KVM_WALL_CLOCK_NEW, addresses[i]));
    }
}

static void test_neither_can_be_read(void **state)
{
    uint64_t value;

    (void)state;
    assert_false(msr_read(vcpu, MSR_KVM_SYSTEM_TIME_NEW, &value));
    assert_false(msr_read(vcpu, MSR_KVM_WALL_CLOCK, &value));
}

/* Below 1 GHz, ns are more than ticks: a TSC near 2^64 has no time that fits. */
static void test_no_tsc_of_a_guest_traps_the_hypervisor(void **state)
{
    static const uint64_t counts[] = {0, 1, INT64_MAX, BIT(63), UINT64_MAX - 1, UINT64_MAX};

    (void)state;
    for (unsigned rate = 0; rate < ARRAY_SIZE(rates); rate++)
        for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
            fake_clock_hz = rates[rate];
            fake_clock = 12345;
            assert_true(msr_write(vcpu, MSR_IA32_TIME_STAMP_COUNTER, counts[i]));
            enable();
            assert_true(msr_write(vcpu, MSR_KVM_WALL_CLOCK_NEW, PAGE_AT + 64));
        }
}

/* A guest may set its TSC; the time goes on. */
static void test_a_jump_of_the_tsc_is_none_of_the_clock(void **state)
{
    (void)state;
    fake_clock = 700 * NS;
    vcpu->tsc_offset = -(uint64_t)(600 * NS);
    enable();
    assert_true(msr_write(vcpu, MSR_IA32_TIME_STAMP_COUNTER, 5));
    assert_int_equal(guest_ns(fake_clock + vcpu->tsc_offset), 100 * NS);
    fake_clock += 3 * NS;
    assert_int_equal(guest_ns(fake_clock + vcpu->tsc_offset), 103 * NS);
    assert_true(msr_write(vcpu, MSR_IA32_TSC_ADJUST, 1234567));
    assert_int_equal(guest_ns(fake_clock + vcpu->tsc_offset), 103 * NS);
    enable();
    assert_int_equal(guest_ns(fake_clock + vcpu->tsc_offset), 103 * NS);
    assert_true(msr_write(vcpu, MSR_KVM_SYSTEM_TIME_NEW, 0));
    memset(f.ram, 0, FAKE_VCPU_RAM_BYTES);
    assert_true(msr_write(vcpu, MSR_IA32_TIME_STAMP_COUNTER, 5));
    assert_int_equal(get_le64(f.ram + PAGE_AT), 0);
}

static void test_each_version_is_new_and_even(void **state)
{
    uint32_t last = 0;

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        enable();
        assert_int_equal(get_le32(f.ram + PAGE_AT), last + 2);
        last += 2;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_guest_reads_our_time_at_every_rate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_multiplier_is_normalized, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_starts_where_the_guests_tsc_does, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_wall_clock_is_the_time_of_the_guests_start, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_old_numbers_work_too, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_the_bit_nothing_is_written, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_ram_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_neither_can_be_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_jump_of_the_tsc_is_none_of_the_clock, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_each_version_is_new_and_even, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_tsc_of_a_guest_traps_the_hypervisor, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
