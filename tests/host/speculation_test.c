/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: between two VMs on a CPU lies every barrier that the CPU has a use for and no other; between two vCPUs
 * of one VM, and for a CPU that is immune, lies none; each CPU remembers for itself.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/features.h"
#include "tests/host/fake/pcpu.h"
#include "arch/x86/guest/speculation.h"
#include "arch/x86/msr.h"
#include "arch/x86/regs.h"
#include "kernel/vm.h"

static struct vm vms[2] = {{.id = 1}, {.id = 2}};
static struct vcpu first = {.vm = &vms[0]}, sibling = {.vm = &vms[0]}, stranger = {.vm = &vms[1]};

static int vulnerable_cpu(void **state)
{
    (void)state;
    fake_pcpus_reset(2);
    fake_features_reset();
    fake_features_leaf(0)->eax = 7;
    fake_features_leaf(0x80000000)->eax = 0x80000008;
    fake_features_leaf(7)->edx = CPUID_7_EDX_IBPB | CPUID_7_EDX_L1D_FLUSH;
    *fake_features_msr(MSR_IA32_PRED_CMD) = 0;
    *fake_features_msr(MSR_IA32_FLUSH_CMD) = 0;
    return 0;
}

/* Writes to the command registers since this was last asked. */
static bool were_put_up(void)
{
    bool branches = *fake_features_msr(MSR_IA32_PRED_CMD) == PRED_CMD_IBPB;
    bool cache = *fake_features_msr(MSR_IA32_FLUSH_CMD) == FLUSH_CMD_L1D;

    assert_int_equal(branches, cache);
    *fake_features_msr(MSR_IA32_PRED_CMD) = *fake_features_msr(MSR_IA32_FLUSH_CMD) = 0;
    return branches;
}

static void only_another_vm_meets_barriers(void **state)
{
    (void)state;
    speculation_init();
    speculation_barrier(&first);
    assert_true(were_put_up());
    speculation_barrier(&sibling);
    assert_false(were_put_up());
    speculation_barrier(&stranger);
    assert_true(were_put_up());
    speculation_barrier(&first);
    assert_true(were_put_up());
}

static void each_cpu_has_its_own_last_vm(void **state)
{
    (void)state;
    speculation_init();
    speculation_barrier(&first);
    fake_pcpu_become(1);
    speculation_barrier(&stranger);
    fake_pcpu_become(0);
    were_put_up();
    speculation_barrier(&first);
    assert_false(were_put_up());
}

static void an_immune_cpu_keeps_its_cache(void **state)
{
    (void)state;
    fake_features_leaf(7)->edx |= CPUID_7_EDX_ARCH_CAPABILITIES;
    *fake_features_msr(MSR_IA32_ARCH_CAPABILITIES) = ARCH_CAP_RDCL_NO;
    speculation_init();
    speculation_barrier(&first);
    assert_int_equal(*fake_features_msr(MSR_IA32_PRED_CMD), PRED_CMD_IBPB);
    assert_int_equal(*fake_features_msr(MSR_IA32_FLUSH_CMD), 0);
}

/* Its MSRs are not there: a write would fail the test. */
static void a_cpu_without_them_is_not_asked(void **state)
{
    (void)state;
    fake_features_reset();
    speculation_init();
    speculation_barrier(&first);
}

/* AMD says it elsewhere. */
static void the_leaf_of_amd_counts_too(void **state)
{
    (void)state;
    fake_features_leaf(7)->edx = 0;
    fake_features_leaf(0x80000008)->ebx = CPUID_88_EBX_IBPB;
    speculation_init();
    speculation_barrier(&first);
    assert_int_equal(*fake_features_msr(MSR_IA32_PRED_CMD), PRED_CMD_IBPB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(only_another_vm_meets_barriers, vulnerable_cpu),
        cmocka_unit_test_setup(each_cpu_has_its_own_last_vm, vulnerable_cpu),
        cmocka_unit_test_setup(an_immune_cpu_keeps_its_cache, vulnerable_cpu),
        cmocka_unit_test_setup(a_cpu_without_them_is_not_asked, vulnerable_cpu),
        cmocka_unit_test_setup(the_leaf_of_amd_counts_too, vulnerable_cpu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
