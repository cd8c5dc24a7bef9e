/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a CPU without AMD-V, without nested paging, or with AMD-V locked off is refused, each with its own reason;
 * everything else is taken where it is there, but for what the command line does not want. AVIC is not wanted unless
 * the command line says so.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/arch.h"
#include "tests/host/fake/features.h"
#include "arch/x86/svm/svm.h"
#include "arch/x86/svm/svm_caps.h"
#include "kernel/host_config.h"
#include "kernel/page.h"

#define ALL_FEATURES UINT32_MAX

static struct host_config config;

/* vmcb.c's permission maps are pages. */
static int complete_cpu(void **state)
{
    (void)state;
    fake_ram_reset();
    page_init();
    assert_int_equal(page_add_range(HPA(MIB(1)), MIB(1)), 0);
    fake_features_reset();
    fake_features_leaf(0x80000000)->eax = CPUID_SVM_LEAF;
    fake_features_leaf(0x80000001)->ecx = CPUID_81_ECX_SVM;
    fake_features_leaf(CPUID_SVM_LEAF)->ebx = 64;
    fake_features_leaf(CPUID_SVM_LEAF)->edx = ALL_FEATURES;
    *fake_features_msr(MSR_VM_CR) = 0;
    host_config_parse("", &config);
    memset(&svm_caps, 0xa5, sizeof svm_caps);
    fake_log_reset();
    return 0;
}

static bool was_logged(const char *text)
{
    return strstr(fake_log_text, text) != NULL;
}

static void assert_refused(const char *why)
{
    assert_false(svm_probe(&config));
    if (!was_logged(why))
        fail_msg("'%s' is not in:\n%s", why, fake_log_text);
}

static void probe_with(const char *line)
{
    assert_int_equal(host_config_parse(line, &config), 0);
    fake_log_reset();
    assert_true(svm_probe(&config));
}

static void what_is_there_is_used(void **state)
{
    (void)state;
    assert_true(svm_probe(&config));
    assert_true(svm_has(SVM_FEATURE_NP) && svm_has(SVM_FEATURE_NRIPS) && svm_has(SVM_FEATURE_DECODE_ASSISTS));
    assert_true(svm_has(SVM_FEATURE_FLUSH_BY_ASID) && svm_has(SVM_FEATURE_VMCB_CLEAN));
    assert_int_equal(svm_caps.asids, 64);
    assert_true(svm_caps.uses_asids && svm_caps.uses_virtual_tpr);
    assert_true(was_logged("AMD-V: yes (revision 0, 64 ASIDs)"));
    assert_true(was_logged("decode assists: used"));
}

static void without_the_rest_it_works_as_well(void **state)
{
    (void)state;
    fake_features_leaf(CPUID_SVM_LEAF)->edx = SVM_FEATURE_NP;
    fake_features_leaf(CPUID_SVM_LEAF)->ebx = 2;
    assert_true(svm_probe(&config));
    assert_int_equal(svm_caps.features, SVM_FEATURE_NP);
    assert_false(svm_caps.uses_asids);
    assert_true(was_logged("next RIP: not used"));
}

static void avic_is_used_only_if_asked_for(void **state)
{
    (void)state;
    assert_true(svm_probe(&config));
    assert_false(svm_has(SVM_FEATURE_AVIC));
    assert_true(was_logged("AVIC: not used"));
    probe_with("avic=1");
    assert_true(svm_has(SVM_FEATURE_AVIC));
    probe_with("avic=1 apicv=0");
    assert_false(svm_has(SVM_FEATURE_AVIC));
    probe_with("avic=1 tpr_shadow=0");
    assert_false(svm_has(SVM_FEATURE_AVIC));
    fake_features_leaf(CPUID_SVM_LEAF)->edx &= ~SVM_FEATURE_AVIC;
    probe_with("avic=1");
    assert_false(svm_has(SVM_FEATURE_AVIC));
}

static void each_reason_is_told_apart(void **state)
{
    (void)state;
    fake_features_leaf(CPUID_SVM_LEAF)->edx = ALL_FEATURES & ~SVM_FEATURE_NP;
    assert_refused("AMD-V lacks nested paging");
    *fake_features_msr(MSR_VM_CR) = VM_CR_LOCK | VM_CR_SVMDIS;
    assert_refused("locked off by the firmware");
    fake_features_leaf(0x80000001)->ecx = 0;
    assert_refused("AMD-V is missing");
}

static void what_is_not_locked_is_unlocked(void **state)
{
    (void)state;
    *fake_features_msr(MSR_VM_CR) = VM_CR_SVMDIS;
    assert_true(svm_probe(&config));
    assert_int_equal(*fake_features_msr(MSR_VM_CR), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, complete_cpu)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_there_is_used),
        TEST(without_the_rest_it_works_as_well),
        TEST(avic_is_used_only_if_asked_for),
        TEST(each_reason_is_told_apart),
        TEST(what_is_not_locked_is_unlocked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
