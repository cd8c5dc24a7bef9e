/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: numbers, arguments and errors are KVM's, in each mode of the CPU; nothing but a guest's kernel is heard;
 * and no argument reaches beyond the VM's own vCPUs.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/event.h"
#include "arch/x86/guest/hypercall.h"
#include "arch/x86/regs.h"

enum { CLOCK_PAIRING = 9, KICK_CPU = 5, SEND_IPI = 10, SCHED_YIELD = 11 };

#define CPUS   40u /* whose local APICs are there; the first one is the caller */
#define VECTOR 0x41

static struct fake_vcpu f;
static struct vcpu *const vcpu = &f.vcpu;
static struct vcpu others[CPUS];
static struct lapic lapics[CPUS];
static uint8_t pages[CPUS][PAGE_SIZE] __attribute__((aligned(4096)));

static void enable(struct lapic *l)
{
    lapic_mmio_ops.write(l, APIC_SVR, 4, APIC_SVR_ENABLE | 0xff);
}

static int setup(void **state)
{
    (void)state;
    fake_vcpu_init(&f);
    enable(vcpu->lapic);
    for (unsigned i = 1; i < CPUS; i++) {
        others[i] = (struct vcpu){.vm = &f.vm, .lapic = &lapics[i]};
        lapic_init(&lapics[i], pages[i], i, false, vcpu->lapic->wiring, &others[i]);
        enable(&lapics[i]);
        others[i].requests = 0;
        assert_int_equal(apic_bus_attach(&f.platform.apic_bus, &lapics[i]), 0);
    }
    f.registers[VCPU_EFER] = EFER_LME | EFER_LMA;
    f.segments[SEG_CS].attributes |= SEG_ATTR_L;
    vcpu->requests = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_vcpu_free(&f);
    return 0;
}

static int64_t call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    vcpu->gpr[GPR_RAX] = number;
    vcpu->gpr[GPR_RBX] = a;
    vcpu->gpr[GPR_RCX] = b;
    vcpu->gpr[GPR_RDX] = c;
    vcpu->gpr[GPR_RSI] = d;
    assert_int_equal(hypercall_handle(vcpu, &vcpu->exit), VERDICT_NEXT);
    return (int64_t)vcpu->gpr[GPR_RAX];
}

/* Who has got it since the last call; takes it away. */
static uint64_t receivers(uint8_t vector)
{
    uint64_t set = 0;

    for (unsigned i = 0; i < CPUS; i++) {
        struct lapic *l = i ? &lapics[i] : vcpu->lapic;

        lapic_take_posted(l);
        if (lapic_highest_irr(l) != vector)
            continue;
        set |= BIT(i);
        lapic_acknowledge(l, vector);
        lapic_mmio_ops.write(l, APIC_EOI, 4, 0);
    }
    return set;
}

static void test_what_is_unknown_says_so(void **state)
{
    static const uint64_t unknown[] = {0, 1, 4, 6, CLOCK_PAIRING, 12, 100, UINT32_MAX, UINT64_MAX, BIT(32) | SEND_IPI};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++)
        assert_int_equal(call(unknown[i], 1, 0, 0, VECTOR), -1000);
    assert_int_equal(receivers(VECTOR), 0);
}

static void test_only_the_kernel_is_heard(void **state)
{
    (void)state;
    for (unsigned cpl = 1; cpl <= 3; cpl++) {
        f.segments[SEG_SS].attributes =
            (uint16_t)((f.segments[SEG_SS].attributes & ~SEG_ATTR_DPL_MASK) | cpl << SEG_ATTR_DPL_SHIFT);
        assert_int_equal(call(SEND_IPI, 1, 0, 0, VECTOR), -1);
        assert_int_equal(call(KICK_CPU, 0, 1, 0, 0), -1);
        assert_int_equal(call(CLOCK_PAIRING, 0, 0, 0, 0), -1000);
    }
    assert_int_equal(receivers(VECTOR), 0);
    assert_int_equal(others[1].requests, 0);
}

static void test_ipis_reach_those_of_two_words(void **state)
{
    (void)state;
    assert_int_equal(call(SEND_IPI, 0x0e, 0, 0, VECTOR), 3);
    assert_int_equal(receivers(VECTOR), 0x0e);
    assert_int_equal(call(SEND_IPI, 0x03, 0, 20, VECTOR), 2);
    assert_int_equal(receivers(VECTOR), 3ull << 20);
    assert_int_equal(call(SEND_IPI, 1, 0, 0, VECTOR), 1); /* the caller itself */
    assert_int_equal(receivers(VECTOR), 1);
    assert_int_equal(call(SEND_IPI, UINT64_MAX, UINT64_MAX, 0, VECTOR), CPUS);
    assert_int_equal(receivers(VECTOR), BIT(CPUS) - 1);
}

static void test_targets_that_are_not_there_are_none(void **state)
{
    static const uint64_t firsts[] = {CPUS, 63, 64, UINT32_MAX, BIT(32), UINT64_MAX};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(firsts); i++)
        assert_int_equal(call(SEND_IPI, UINT64_MAX, UINT64_MAX, firsts[i], VECTOR), 0);
    assert_int_equal(receivers(VECTOR), 0);
}

static void test_an_nmi_by_ipi(void **state)
{
    (void)state;
    assert_int_equal(call(SEND_IPI, 0x04, 0, 0, APIC_ICR_DELIVERY_NMI), 1);
    assert_true(others[2].requests & REQUEST_NMI);
    assert_int_equal(others[1].requests, 0);
}

static void test_other_ipis_are_refused(void **state)
{
    static const uint64_t icrs[] = {
        APIC_ICR_DELIVERY_INIT,    APIC_ICR_DELIVERY_STARTUP, APIC_ICR_DELIVERY_LOWEST | VECTOR,
        APIC_ICR_LOGICAL | VECTOR, APIC_ICR_ALL | VECTOR,     APIC_ICR_SELF | VECTOR};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(icrs); i++)
        assert_int_equal(call(SEND_IPI, 2, 0, 0, icrs[i]), -22);
    assert_int_equal(others[1].requests, 0);
    assert_int_equal(receivers(VECTOR), 0);
}

static void test_a_word_of_a_32_bit_kernel_has_32_bits(void **state)
{
    (void)state;
    f.registers[VCPU_EFER] = 0;
    assert_int_equal(call(SEND_IPI, BIT(32) | 2, 1, BIT(32), VECTOR), 2);
    assert_int_equal(receivers(VECTOR), BIT(32) | 2);
    assert_int_equal(call(BIT(40) | SEND_IPI, 0, 0, 0, APIC_ICR_SELF), (uint32_t)-22);
    f.registers[VCPU_EFER] = EFER_LME | EFER_LMA;
    f.segments[SEG_CS].attributes &= (uint16_t)~SEG_ATTR_L; /* compatibility mode */
    assert_int_equal(call(SEND_IPI, 0, 1, 0, VECTOR), 1);
    assert_int_equal(receivers(VECTOR), BIT(32));
}

static void test_a_kick_ends_this_halt_or_the_next(void **state)
{
    struct vcpu *target = &others[7];

    (void)state;
    f.registers[VCPU_RFLAGS] = RFLAGS_ONE;
    vcpu->is_halted = true;
    assert_int_equal(call(KICK_CPU, 0, 0, 0, 0), 0);
    assert_true(event_wakes(vcpu));
    assert_false(event_wakes(vcpu));
    vcpu->is_halted = false;
    assert_int_equal(call(KICK_CPU, 0, 0, 0, 0), 0);
    event_prepare(vcpu); /* it runs on, and halts later */
    assert_int_equal(vcpu->requests, 0);
    assert_false(event_wakes(vcpu)); /* a VM that is paused asks, too */
    vcpu->is_halted = true;
    assert_true(event_wakes(vcpu));
    assert_false(event_wakes(vcpu));
    assert_int_equal(call(KICK_CPU, 0, 7, 0, 0), 0);
    assert_int_equal(target->requests, REQUEST_KICK | REQUEST_EVENT);
    assert_int_equal(call(KICK_CPU, 0, CPUS, 0, 0), 0);
    assert_int_equal(call(KICK_CPU, 0, UINT64_MAX, 0, 0), 0);
}

static void test_a_yield_asks_the_scheduler(void **state)
{
    (void)state;
    assert_int_equal(call(SCHED_YIELD, UINT64_MAX, 0, 0, 0), 0);
    assert_int_equal(vcpu->requests, REQUEST_YIELD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_unknown_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_the_kernel_is_heard, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ipis_reach_those_of_two_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_targets_that_are_not_there_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_nmi_by_ipi, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_ipis_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_word_of_a_32_bit_kernel_has_32_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_kick_ends_this_halt_or_the_next, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_yield_asks_the_scheduler, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
