/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever vCPUs a CPU holds in whatever order, each finds what it wrote last, and no WRMSR goes to the CPU but
 * for a value that it does not hold. What the CPU refuses changes nothing.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/features.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/descriptors.h"
#include "arch/x86/guest/world_msr.h"
#include "arch/x86/msr.h"

#define VCPUS 3u

static const uint32_t indexes[WORLD_MSRS] = {MSR_IA32_STAR,  MSR_IA32_LSTAR,          MSR_IA32_CSTAR,
                                             MSR_IA32_FMASK, MSR_IA32_KERNEL_GS_BASE, MSR_IA32_TSC_AUX};
static struct fake_vcpu fakes[VCPUS];
static uint64_t expected[VCPUS][WORLD_MSRS];
static const struct vcpu_ops *fake_ops;
static struct vcpu_ops switching;

static int setup(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VCPUS; i++)
        fake_vcpu_init(&fakes[i]);
    fake_features_reset();
    for (unsigned i = 0; i < WORLD_MSRS; i++)
        *fake_features_msr(indexes[i]) = 0xf1f0 + i; /* firmware's */
    world_msr_init_cpu();
    memset(expected, 0, sizeof expected);
    fake_ops = vcpu_ops;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vcpu_ops = fake_ops;
    for (unsigned i = 0; i < VCPUS; i++)
        fake_vcpu_free(&fakes[i]);
    return 0;
}

static void expect(unsigned vcpu)
{
    for (unsigned i = 0; i < WORLD_MSRS; i++)
        assert_int_equal(*fake_features_msr(indexes[i]), expected[vcpu][i]);
}

static void write(unsigned vcpu, unsigned i, uint64_t value)
{
    expected[vcpu][i] = value;
    if (indexes[i] == MSR_IA32_KERNEL_GS_BASE)
        *fake_features_msr(indexes[i]) = value; /* by SWAPGS: no exit */
    else
        assert_true(world_msr_write(&fakes[vcpu].vcpu, indexes[i], value));
}

static void test_each_finds_its_own(void **state)
{
    (void)state;
    srand(1);
    for (unsigned turn = 0; turn < 20000; turn++) {
        unsigned vcpu = (unsigned)rand() % VCPUS;

        world_msr_load(&fakes[vcpu].vcpu);
        expect(vcpu);
        for (unsigned writes = (unsigned)rand() % 3; writes; writes--)
            write(vcpu, (unsigned)rand() % WORLD_MSRS, (uint64_t)(rand() % 4)); /* often the same as another's */
        expect(vcpu);
        world_msr_save(&fakes[vcpu].vcpu);
    }
}

/* What it holds is not written again: an MSR that is not there would fail the test. */
static void test_what_it_holds_is_not_written(void **state)
{
    (void)state;
    world_msr_load(&fakes[0].vcpu);
    world_msr_save(&fakes[0].vcpu);
    for (unsigned i = 0; i < WORLD_MSRS; i++)
        if (indexes[i] != MSR_IA32_KERNEL_GS_BASE)
            fake_features_remove_msr(indexes[i]);
    world_msr_load(&fakes[1].vcpu);
}

static void test_what_the_cpu_refuses_is_refused(void **state)
{
    (void)state;
    world_msr_load(&fakes[0].vcpu);
    write(0, 0, 0x55);
    fake_features_remove_msr(indexes[0]);
    assert_false(world_msr_write(&fakes[0].vcpu, indexes[0], 0x66));
    *fake_features_msr(indexes[0]) = 0x55;
    world_msr_save(&fakes[0].vcpu);
    world_msr_load(&fakes[1].vcpu);
    world_msr_load(&fakes[0].vcpu);
    expect(0);
}

/* Where run() switches those of SYSCALL, they are not ours: TSC_AUX alone is. */
static void test_what_the_engine_switches_is_left_alone(void **state)
{
    (void)state;
    switching = *fake_ops;
    switching.switches_syscall_msrs = true;
    vcpu_ops = &switching;
    world_msr_load(&fakes[0].vcpu);
    assert_true(world_msr_write(&fakes[0].vcpu, MSR_IA32_TSC_AUX, 7));
    world_msr_save(&fakes[0].vcpu);
    world_msr_load(&fakes[1].vcpu);
    for (unsigned i = 0; i < WORLD_MSRS; i++)
        assert_int_equal(*fake_features_msr(indexes[i]), indexes[i] == MSR_IA32_TSC_AUX ? 0 : 0xf1f0 + i);
    world_msr_load(&fakes[0].vcpu);
    assert_int_equal(*fake_features_msr(MSR_IA32_TSC_AUX), 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_finds_its_own),
        TEST(test_what_it_holds_is_not_written),
        TEST(test_what_the_cpu_refuses_is_refused),
        TEST(test_what_the_engine_switches_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
