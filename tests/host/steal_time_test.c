/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a guest reads how long it did not run, in ns, and never a torn value; it may leave its note only while the
 * vCPU does not run, and then the flush has been done when it runs; nothing that it writes there, or takes away,
 * harms the hypervisor.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/msr.h"
#include "arch/x86/guest/steal_time.h"
#include "kernel/lib/bytes.h"

#define PLACE UINT64_C(0x2040)

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

static uint8_t *preempted(void)
{
    return f.ram + PLACE + 16;
}

static void enable(void)
{
    assert_true(msr_write(vcpu, MSR_KVM_STEAL_TIME, PLACE | 1));
}

static void test_ticks_become_ns(void **state)
{
    (void)state;
    enable();
    fake_clock_hz = 2 * FAKE_HZ;
    for (uint64_t ticks = 0; ticks < 1000; ticks += 250) {
        steal_time_publish(vcpu, ticks);
        assert_int_equal(get_le64(f.ram + PLACE), ticks / 2);
    }
}

static void test_each_version_is_new_and_even(void **state)
{
    uint32_t last = 0;

    (void)state;
    enable();
    for (unsigned i = 0; i < 5; i++) {
        put_le32(f.ram + PLACE + 8, 0xdeadbeef); /* what the guest makes of it does not count */
        steal_time_publish(vcpu, i);
        assert_int_equal(get_le32(f.ram + PLACE + 8), last + 2);
        last += 2;
    }
}

static void test_whether_it_runs_is_seen(void **state)
{
    (void)state;
    enable();
    steal_time_publish(vcpu, 0);
    assert_int_equal(*preempted(), 0);
    steal_time_preempt(vcpu);
    assert_int_equal(*preempted(), 1);
    steal_time_publish(vcpu, 5);
    assert_int_equal(*preempted(), 0);
    assert_int_equal(f.flushes, 0);
}

static void test_the_note_is_obeyed_once(void **state)
{
    (void)state;
    enable();
    steal_time_preempt(vcpu);
    *preempted() |= 2;
    steal_time_publish(vcpu, 0);
    assert_int_equal(f.flushes, 1);
    assert_int_equal(*preempted(), 0);
    steal_time_preempt(vcpu);
    steal_time_publish(vcpu, 0);
    assert_int_equal(f.flushes, 1);
    *preempted() = 0xff;
    steal_time_publish(vcpu, 0);
    assert_int_equal(f.flushes, 2);
}

static void test_off_nothing_is_written(void **state)
{
    (void)state;
    steal_time_publish(vcpu, 100);
    steal_time_preempt(vcpu);
    assert_true(msr_write(vcpu, MSR_KVM_STEAL_TIME, PLACE)); /* an address alone */
    steal_time_publish(vcpu, 100);
    steal_time_preempt(vcpu);
    enable();
    assert_true(msr_write(vcpu, MSR_KVM_STEAL_TIME, 0));
    steal_time_publish(vcpu, 100);
    for (unsigned i = 0; i < FAKE_VCPU_RAM_BYTES; i++)
        assert_int_equal(f.ram[i], 0);
}

static void test_what_the_guest_wrote_is_read_back(void **state)
{
    uint64_t value;

    (void)state;
    assert_true(msr_read(vcpu, MSR_KVM_STEAL_TIME, &value));
    assert_int_equal(value, 0);
    enable();
    assert_true(msr_read(vcpu, MSR_KVM_STEAL_TIME, &value));
    assert_int_equal(value, PLACE | 1);
}

static void test_what_is_not_a_place_is_refused(void **state)
{
    static const uint64_t values[] = {PLACE | 3,       PLACE | 0x21,    PLACE | 0x3e, FAKE_VCPU_RAM_BYTES | 1,
                                      0xfee00000 | 1u, BIT(63) | 1,     (UINT64_MAX & ~63ull) | 1};
    uint64_t value;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
        assert_false(msr_write(vcpu, MSR_KVM_STEAL_TIME, values[i]));
    assert_true(msr_read(vcpu, MSR_KVM_STEAL_TIME, &value));
    assert_int_equal(value, 0);
}

static void test_a_place_that_is_gone_is_left_alone(void **state)
{
    (void)state;
    enable();
    f.vm.mem.count = 0;
    steal_time_publish(vcpu, 100);
    steal_time_preempt(vcpu);
    assert_int_equal(*preempted(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ticks_become_ns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_version_is_new_and_even, setup, teardown),
        cmocka_unit_test_setup_teardown(test_whether_it_runs_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_note_is_obeyed_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_off_nothing_is_written, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_the_guest_wrote_is_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_a_place_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_place_that_is_gone_is_left_alone, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
