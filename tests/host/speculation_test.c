/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: what a CPU says that it has, and can do something about, is done where it is due and nowhere else: branches are
 * forgotten between two VMs, the cache is flushed before the run loop goes back to a guest, buffers are cleared by the engine.
 * A CPU that is immune pays for nothing, and mitigations=off switches off all of them and says so.
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
    pcpus[1].apic_id = 1;
    fake_features_reset();
    fake_features_leaf(0)->eax = 7;
    fake_features_leaf(0x80000000)->eax = 0x80000008;
    fake_features_leaf(7)->edx = CPUID_7_EDX_IBPB | CPUID_7_EDX_L1D_FLUSH;
    *fake_features_msr(MSR_IA32_PRED_CMD) = 0;
    *fake_features_msr(MSR_IA32_FLUSH_CMD) = 0;
    return 0;
}

/* Writes to the command register since this was last asked. */
static bool were_branches_forgotten(void)
{
    bool forgotten = *fake_features_msr(MSR_IA32_PRED_CMD) == PRED_CMD_IBPB;

    *fake_features_msr(MSR_IA32_PRED_CMD) = 0;
    return forgotten;
}

static bool was_cache_flushed(void)
{
    bool flushed = *fake_features_msr(MSR_IA32_FLUSH_CMD) == FLUSH_CMD_L1D;

    *fake_features_msr(MSR_IA32_FLUSH_CMD) = 0;
    return flushed;
}

static void only_another_vm_meets_a_barrier(void **state)
{
    (void)state;
    speculation_init(true);
    speculation_barrier(&first);
    assert_true(were_branches_forgotten());
    speculation_barrier(&sibling);
    assert_false(were_branches_forgotten());
    speculation_barrier(&stranger);
    assert_true(were_branches_forgotten());
    speculation_barrier(&first);
    assert_true(were_branches_forgotten());
    assert_false(was_cache_flushed());
}

static void every_run_begins_with_an_empty_cache(void **state)
{
    (void)state;
    speculation_init(true);
    for (unsigned i = 0; i < 2; i++) {
        speculation_before_run();
        assert_true(was_cache_flushed());
    }
}

static void each_cpu_has_its_own_last_vm(void **state)
{
    (void)state;
    speculation_init(true);
    speculation_barrier(&first);
    fake_pcpu_become(1);
    speculation_barrier(&stranger);
    fake_pcpu_become(0);
    were_branches_forgotten();
    speculation_barrier(&first);
    assert_false(were_branches_forgotten());
}

static void set_capabilities(uint64_t capabilities)
{
    fake_features_leaf(7)->edx |= CPUID_7_EDX_ARCH_CAPABILITIES;
    *fake_features_msr(MSR_IA32_ARCH_CAPABILITIES) = capabilities;
    speculation_init(true);
}

static void an_immune_cpu_keeps_its_cache(void **state)
{
    static const uint64_t immune[] = {ARCH_CAP_RDCL_NO, ARCH_CAP_SKIP_L1DFL_VMENTRY};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(immune); i++) {
        set_capabilities(immune[i]);
        speculation_before_run();
        assert_false(was_cache_flushed());
    }
}

/* There are several reasons for a VERW, each with its own way to say that there is none. */
static void buffers_are_cleared_where_verw_does_that(void **state)
{
    static const struct {
        uint32_t ebx, edx;
        uint64_t capabilities;
        bool clears;
    } cpus[] = {
        {0, 0, 0, false}, /* it may be vulnerable, but can do nothing */
        {0, CPUID_7_EDX_MD_CLEAR, 0, true},
        {0, CPUID_7_EDX_MD_CLEAR, ARCH_CAP_MDS_NO, false},
        {CPUID_7_EBX_RTM, CPUID_7_EDX_MD_CLEAR, ARCH_CAP_MDS_NO, true},
        {CPUID_7_EBX_RTM, CPUID_7_EDX_MD_CLEAR, ARCH_CAP_MDS_NO | ARCH_CAP_TAA_NO, false},
        {0, 0, ARCH_CAP_FB_CLEAR, true},
        {0, 0, ARCH_CAP_FB_CLEAR | (ARCH_CAP_MMIO_NO & ~BIT(13)), true},
        {0, 0, ARCH_CAP_FB_CLEAR | ARCH_CAP_MMIO_NO, false},
        {0, 0, ARCH_CAP_RFDS_CLEAR, true},
        {0, 0, ARCH_CAP_RFDS_CLEAR | ARCH_CAP_RFDS_NO, false},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cpus); i++) {
        fake_features_leaf(7)->ebx = cpus[i].ebx;
        fake_features_leaf(7)->edx = cpus[i].edx;
        set_capabilities(cpus[i].capabilities);
        assert_int_equal(speculation_clears_buffers, cpus[i].clears);
    }
}

static void off_is_off_and_said_so(void **state)
{
    (void)state;
    fake_features_leaf(7)->edx |= CPUID_7_EDX_MD_CLEAR;
    fake_log_reset();
    speculation_init(false);
    assert_int_equal(fake_log_count, 3);
    assert_non_null(strstr(fake_log_text, "mitigations=off: not before each entry: buffers cleared\n"));
    speculation_barrier(&first);
    speculation_before_run();
    assert_false(were_branches_forgotten());
    assert_false(was_cache_flushed());
    assert_false(speculation_clears_buffers);
}

static void threads_of_one_core_are_said_so(void **state)
{
    (void)state;
    fake_features_reset();
    fake_features_leaf(0)->eax = 0x0b;
    *fake_features_leaf(0x0b) = (struct cpuid_result){.eax = 1, .ebx = 2};
    fake_pcpus_reset(3);
    for (unsigned i = 0; i < 3; i++)
        pcpus[i].apic_id = i;
    fake_log_reset();
    speculation_init(true);
    assert_non_null(strstr(fake_log_last, "CPUs: 3, cores: 2"));
    pcpus[1].apic_id = 4;
    fake_log_reset();
    speculation_init(true);
    assert_int_equal(fake_log_count, 0);
}

/* Its MSRs are not there: a write would fail the test. */
static void a_cpu_without_them_is_not_asked(void **state)
{
    (void)state;
    fake_features_reset();
    speculation_init(true);
    speculation_barrier(&first);
}

/* AMD says it elsewhere. */
static void the_leaf_of_amd_counts_too(void **state)
{
    (void)state;
    fake_features_leaf(7)->edx = 0;
    fake_features_leaf(0x80000008)->ebx = CPUID_88_EBX_IBPB;
    speculation_init(true);
    speculation_barrier(&first);
    assert_int_equal(*fake_features_msr(MSR_IA32_PRED_CMD), PRED_CMD_IBPB);
}

/* By SPEC_CTRL, with what else the CPU has against histories; AMD's by EFER. */
static void the_hypervisors_branches_are_its_own(void **state)
{
    (void)state;
    *fake_features_msr(MSR_IA32_SPEC_CTRL) = BIT(2);
    *fake_features_msr(MSR_IA32_EFER) = EFER_LMA;
    set_capabilities(0);
    speculation_start_cpu();
    assert_int_equal(*fake_features_msr(MSR_IA32_SPEC_CTRL), BIT(2));
    fake_features_leaf(7)->edx &= ~CPUID_7_EDX_IBPB;
    set_capabilities(ARCH_CAP_IBRS_ALL); /* a hypervisor below us may hide the register */
    speculation_start_cpu();
    assert_int_equal(*fake_features_msr(MSR_IA32_SPEC_CTRL), BIT(2));
    fake_features_leaf(7)->edx |= CPUID_7_EDX_IBPB;
    set_capabilities(ARCH_CAP_IBRS_ALL);
    speculation_start_cpu();
    assert_int_equal(*fake_features_msr(MSR_IA32_SPEC_CTRL), BIT(2) | SPEC_CTRL_IBRS);
    fake_features_leaf(7)->eax = 2; /* the same in all subleaves */
    fake_features_leaf(7)->edx |= CPUID_72_EDX_BHI_CTRL;
    speculation_init(true);
    speculation_start_cpu();
    assert_int_equal(*fake_features_msr(MSR_IA32_SPEC_CTRL), BIT(2) | SPEC_CTRL_IBRS | SPEC_CTRL_BHI_DIS_S);
}

static void amds_are_too(void **state)
{
    (void)state;
    *fake_features_msr(MSR_IA32_EFER) = EFER_LMA;
    fake_features_leaf(0x80000000)->eax = 0x80000021;
    fake_features_leaf(0x80000021)->eax = CPUID_821_EAX_AUTO_IBRS;
    speculation_init(false);
    speculation_start_cpu();
    assert_int_equal(*fake_features_msr(MSR_IA32_EFER), EFER_LMA);
    speculation_init(true);
    speculation_start_cpu();
    assert_int_equal(*fake_features_msr(MSR_IA32_EFER), EFER_LMA | EFER_AIBRSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(only_another_vm_meets_a_barrier, vulnerable_cpu),
        cmocka_unit_test_setup(every_run_begins_with_an_empty_cache, vulnerable_cpu),
        cmocka_unit_test_setup(buffers_are_cleared_where_verw_does_that, vulnerable_cpu),
        cmocka_unit_test_setup(off_is_off_and_said_so, vulnerable_cpu),
        cmocka_unit_test_setup(threads_of_one_core_are_said_so, vulnerable_cpu),
        cmocka_unit_test_setup(each_cpu_has_its_own_last_vm, vulnerable_cpu),
        cmocka_unit_test_setup(an_immune_cpu_keeps_its_cache, vulnerable_cpu),
        cmocka_unit_test_setup(a_cpu_without_them_is_not_asked, vulnerable_cpu),
        cmocka_unit_test_setup(the_leaf_of_amd_counts_too, vulnerable_cpu),
        cmocka_unit_test_setup(the_hypervisors_branches_are_its_own, vulnerable_cpu),
        cmocka_unit_test_setup(amds_are_too, vulnerable_cpu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
