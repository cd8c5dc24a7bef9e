/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: what is lost by a machine check is what the banks say, and the worst of them counts; every bank that has
 * something is told, whatever it is; afterwards the next machine check finds all clear, but for a CPU that is lost.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/features.h"
#include "arch/x86/machine_check.h"
#include "arch/x86/msr.h"
#include "arch/x86/regs.h"

#define BANKS     3u
#define CORRECTED MC_STATUS_VAL
#define FATAL     (MC_STATUS_VAL | MC_STATUS_UC | MC_STATUS_PCC)
#define UNTIMELY  (MC_STATUS_VAL | MC_STATUS_UC)

static int set_up(void **state)
{
    (void)state;
    fake_log_reset();
    fake_features_reset();
    fake_features_leaf(1)->edx = CPUID_1_EDX_MCA;
    *fake_features_msr(MSR_IA32_MCG_CAP) = BANKS | MCG_CAP_SER_P;
    *fake_features_msr(MSR_IA32_MCG_STATUS) = MCG_STATUS_MCIP | MCG_STATUS_RIPV;
    for (unsigned bank = 0; bank < BANKS; bank++)
        *fake_features_msr(MSR_IA32_MC_STATUS(bank)) = 0;
    return 0;
}

static void expect_clear(bool is_clear)
{
    assert_int_equal(*fake_features_msr(MSR_IA32_MCG_STATUS) == 0, is_clear);
    for (unsigned bank = 0; bank < BANKS && is_clear; bank++)
        assert_int_equal(*fake_features_msr(MSR_IA32_MC_STATUS(bank)), 0);
}

static void what_is_lost_is_what_the_banks_say(void **state)
{
    static const struct {
        uint64_t capabilities, global, status;
        enum machine_check_loss loss;
    } checks[] = {
        {MCG_CAP_SER_P, MCG_STATUS_RIPV, CORRECTED, MACHINE_CHECK_NOTHING},
        {MCG_CAP_SER_P, MCG_STATUS_RIPV, CORRECTED | MC_STATUS_OVER, MACHINE_CHECK_NOTHING},
        {MCG_CAP_SER_P, MCG_STATUS_RIPV, UNTIMELY, MACHINE_CHECK_NOTHING},
        {0, MCG_STATUS_RIPV, UNTIMELY, MACHINE_CHECK_WORK},
        {MCG_CAP_SER_P, 0, CORRECTED, MACHINE_CHECK_WORK},
        {MCG_CAP_SER_P, MCG_STATUS_EIPV, UNTIMELY | MC_STATUS_AR, MACHINE_CHECK_WORK},
        {MCG_CAP_SER_P, MCG_STATUS_RIPV, UNTIMELY | MC_STATUS_AR, MACHINE_CHECK_NOTHING}, /* another CPU's */
        {MCG_CAP_SER_P, MCG_STATUS_RIPV | MCG_STATUS_EIPV, UNTIMELY | MC_STATUS_OVER, MACHINE_CHECK_CPU},
        {MCG_CAP_SER_P, MCG_STATUS_RIPV | MCG_STATUS_EIPV, FATAL, MACHINE_CHECK_CPU},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(checks); i++) {
        set_up(state);
        *fake_features_msr(MSR_IA32_MCG_CAP) = BANKS | checks[i].capabilities;
        *fake_features_msr(MSR_IA32_MCG_STATUS) = MCG_STATUS_MCIP | checks[i].global;
        *fake_features_msr(MSR_IA32_MC_STATUS(1)) = checks[i].status;
        assert_int_equal(machine_check_take(), checks[i].loss);
        assert_int_equal(fake_log_count, 1);
        expect_clear(checks[i].loss != MACHINE_CHECK_CPU);
    }
}

/* Registers that the status does not say are there are not read: that would be a #GP. */
static void every_bank_is_told_and_the_worst_counts(void **state)
{
    (void)state;
    *fake_features_msr(MSR_IA32_MC_STATUS(0)) = FATAL;
    *fake_features_msr(MSR_IA32_MC_STATUS(2)) = CORRECTED | MC_STATUS_ADDRV | MC_STATUS_MISCV;
    *fake_features_msr(MSR_IA32_MC_ADDR(2)) = 0x1000;
    *fake_features_msr(MSR_IA32_MC_MISC(2)) = 0x86;
    assert_int_equal(machine_check_take(), MACHINE_CHECK_CPU);
    assert_string_equal(fake_log_text, "bank 0: status a200000000000000 address 0 misc 0\n"
                                       "bank 2: status 8c00000000000000 address 1000 misc 86\n");
}

static void no_banks_no_hope(void **state)
{
    (void)state;
    fake_features_reset();
    assert_int_equal(machine_check_take(), MACHINE_CHECK_CPU);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_lost_is_what_the_banks_say, set_up),
        cmocka_unit_test_setup(every_bank_is_told_and_the_worst_counts, set_up),
        cmocka_unit_test_setup(no_banks_no_hope, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
