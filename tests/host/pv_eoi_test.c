/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whether a guest ends an interrupt by the bit or by its local APIC, and whatever comes in between, each
 * interrupt is ended once, in order, and what waits for an EOI gets it. A guest that lies about the bit harms
 * itself only.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/event.h"
#include "arch/x86/guest/msr.h"
#include "arch/x86/guest/pv_eoi.h"

#define PLACE  UINT64_C(0x2044)
#define VECTOR 0x51

static struct fake_vcpu f;
static struct vcpu *const vcpu = &f.vcpu;

static int setup(void **state)
{
    (void)state;
    fake_vcpu_init(&f);
    lapic_mmio_ops.write(vcpu->lapic, APIC_SVR, 4, APIC_SVR_ENABLE | 0xff);
    assert_true(msr_write(vcpu, MSR_KVM_PV_EOI, PLACE | 1));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_vcpu_free(&f);
    return 0;
}

static void raise(uint8_t vector, bool is_level)
{
    const struct apic_message message = {.vector = vector, .is_level = is_level};

    assert_true(lapic_receive(vcpu->lapic, &message));
}

static void assert_gets(uint8_t vector)
{
    f.injected_count = 0;
    event_prepare(vcpu);
    fake_vcpu_assert_injected(&f, 0, EVENT_INTERRUPT, vector);
}

static void assert_gets_nothing(void)
{
    f.injected_count = 0;
    event_prepare(vcpu);
    assert_int_equal(f.injected_count, 0);
}

/* As Linux does it; returns whether it took an exit. */
static bool end(void)
{
    if (f.ram[PLACE] & 1) {
        f.ram[PLACE] &= (uint8_t)~1;
        return false;
    }
    lapic_mmio_ops.write(vcpu->lapic, APIC_EOI, 4, 0);
    return true;
}

static void test_a_lonely_interrupt_ends_without_an_exit(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        raise(VECTOR, false);
        assert_gets(VECTOR);
        assert_false(end());
    }
    assert_gets_nothing();
    assert_int_equal(lapic_highest_isr(vcpu->lapic), -1);
}

static void test_one_that_others_wait_for_takes_the_exit(void **state)
{
    (void)state;
    raise(VECTOR, false);
    raise(VECTOR + 1, false); /* of the same class */
    assert_gets(VECTOR + 1);
    assert_true(end());
    assert_gets(VECTOR);
    assert_false(end());
}

static void test_a_level_takes_the_exit(void **state)
{
    (void)state;
    raise(VECTOR, true);
    assert_gets(VECTOR);
    assert_true(end());
    assert_int_equal(lapic_highest_isr(vcpu->lapic), -1);
}

static void test_what_comes_before_the_end_takes_the_offer_back(void **state)
{
    (void)state;
    raise(VECTOR, false);
    assert_gets(VECTOR);
    raise(VECTOR + 1, false);
    assert_gets_nothing();
    assert_true(end());
    assert_gets(VECTOR + 1);
    assert_false(end());
}

static void test_what_comes_after_the_end_is_delivered(void **state)
{
    (void)state;
    raise(VECTOR, false);
    assert_gets(VECTOR);
    assert_false(end());
    raise(VECTOR, false);
    assert_gets(VECTOR);
    assert_int_equal(lapic_highest_isr(vcpu->lapic), VECTOR);
}

static void test_a_higher_one_nests(void **state)
{
    (void)state;
    raise(VECTOR, false);
    assert_gets(VECTOR);
    raise(0xe1, false);
    assert_gets(0xe1);
    assert_true(end()); /* the inner one: else the next EOI would be taken for its */
    assert_int_equal(lapic_highest_isr(vcpu->lapic), VECTOR);
    assert_true(end());
    assert_int_equal(lapic_highest_isr(vcpu->lapic), -1);
}

static void test_a_halted_cpu_is_woken_by_the_next(void **state)
{
    (void)state;
    raise(VECTOR, false);
    assert_gets(VECTOR);
    assert_false(end());
    assert_false(event_wakes(vcpu));
    raise(VECTOR, false);
    assert_true(event_wakes(vcpu));
}

static void test_off_there_is_no_offer(void **state)
{
    (void)state;
    assert_true(msr_write(vcpu, MSR_KVM_PV_EOI, PLACE));
    raise(VECTOR, false);
    assert_gets(VECTOR);
    assert_true(end());
}

static void test_turning_it_off_settles(void **state)
{
    (void)state;
    for (unsigned taken = 0; taken < 2; taken++) {
        assert_true(msr_write(vcpu, MSR_KVM_PV_EOI, PLACE | 1));
        raise(VECTOR, false);
        assert_gets(VECTOR);
        if (taken)
            end();
        assert_true(msr_write(vcpu, MSR_KVM_PV_EOI, 0));
        assert_int_equal(f.ram[PLACE], 0);
        assert_int_equal(lapic_highest_isr(vcpu->lapic), taken ? -1 : VECTOR);
        lapic_mmio_ops.write(vcpu->lapic, APIC_EOI, 4, 0);
    }
}

static void test_what_is_not_a_place_is_refused(void **state)
{
    static const uint64_t values[] = {PLACE | 3,  PLACE | 2,   FAKE_VCPU_RAM_BYTES | 1,
                                      0xfee00001, BIT(63) | 1, UINT64_MAX & ~2ull};
    uint64_t value;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
        assert_false(msr_write(vcpu, MSR_KVM_PV_EOI, values[i]));
    assert_true(msr_read(vcpu, MSR_KVM_PV_EOI, &value));
    assert_int_equal(value, PLACE | 1);
}

static void test_a_place_that_is_gone_ends_the_offer(void **state)
{
    (void)state;
    raise(VECTOR, false);
    assert_gets(VECTOR);
    f.vm.mem.count = 0;
    assert_gets_nothing();
    assert_int_equal(lapic_highest_isr(vcpu->lapic), VECTOR);
    lapic_mmio_ops.write(vcpu->lapic, APIC_EOI, 4, 0);
    raise(VECTOR, false);
    assert_gets(VECTOR);
    assert_false(vcpu->has_eoi_offer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_lonely_interrupt_ends_without_an_exit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_others_wait_for_takes_the_exit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_level_takes_the_exit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_comes_before_the_end_takes_the_offer_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_comes_after_the_end_is_delivered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_higher_one_nests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_halted_cpu_is_woken_by_the_next, setup, teardown),
        cmocka_unit_test_setup_teardown(test_off_there_is_no_offer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_turning_it_off_settles, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_a_place_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_place_that_is_gone_ends_the_offer, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
