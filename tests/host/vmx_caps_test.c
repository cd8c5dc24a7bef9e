/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever a CPU lacks that we must have is named, all of it at once, with where to turn it on, and
 * the machine is refused; what we only want is left out, together with what is illegal without it. A CPU
 * here is complete, and each test takes something away.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/features.h"
#include "arch/x86/msr.h"
#include "arch/x86/regs.h"
#include "arch/x86/vmx/vmx.h"
#include "arch/x86/vmx/vmx_caps.h"
#include "kernel/host_config.h"
#include "kernel/pt.h"

#define REVISION       0x12u
#define TIMER_SHIFT    5u
#define FIRMWARE_SETUP "turn on \"Intel Virtualization Technology\" in the firmware's set-up"

/* Some of the default1 bits (SDM 3D, "VM-Execution Control Fields"): they may not be 0. */
#define PIN_DEFAULT1 0x16u

static struct host_config config;

static uint64_t *controls(enum vmx_control field)
{
    static const uint32_t msrs[CONTROLS] = {
        [CONTROL_PIN] = MSR_IA32_VMX_TRUE_PINBASED_CTLS, [CONTROL_PROC] = MSR_IA32_VMX_TRUE_PROCBASED_CTLS,
        [CONTROL_PROC2] = MSR_IA32_VMX_PROCBASED_CTLS2,  [CONTROL_EXIT] = MSR_IA32_VMX_TRUE_EXIT_CTLS,
        [CONTROL_ENTRY] = MSR_IA32_VMX_TRUE_ENTRY_CTLS,
    };

    return fake_features_msr(msrs[field]);
}

/* The upper half of a capability MSR says what may be 1. */
static void take_away(enum vmx_control field, uint32_t bit)
{
    *controls(field) &= ~((uint64_t)bit << 32);
}

static int complete_cpu(void **state)
{
    (void)state;
    fake_features_reset();
    fake_features_leaf(1)->ecx = CPUID_1_ECX_VMX;
    *fake_features_msr(MSR_IA32_FEATURE_CONTROL) = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX;
    *fake_features_msr(MSR_IA32_VMX_BASIC) = REVISION | VMX_BASIC_TRUE_CTLS;
    *fake_features_msr(MSR_IA32_VMX_MISC) = TIMER_SHIFT;
    *fake_features_msr(MSR_IA32_VMX_CR0_FIXED0) = 1;
    *fake_features_msr(MSR_IA32_VMX_CR0_FIXED1) = 2;
    *fake_features_msr(MSR_IA32_VMX_CR4_FIXED0) = 3;
    *fake_features_msr(MSR_IA32_VMX_CR4_FIXED1) = 4;
    *fake_features_msr(MSR_IA32_VMX_EPT_VPID_CAP) = UINT64_MAX;
    for (unsigned field = 0; field < CONTROLS; field++)
        *controls(field) = 0xffffffffull << 32;
    *controls(CONTROL_PIN) |= PIN_DEFAULT1;
    host_config_parse("", &config);
    memset(&vmx_caps, 0xa5, sizeof vmx_caps);
    fake_log_reset();
    return 0;
}

static bool was_logged(const char *text)
{
    return strstr(fake_log_text, text) != NULL;
}

static void assert_refused(const char *why)
{
    assert_false(vmx_probe(&config));
    if (!was_logged(why))
        fail_msg("'%s' is not in:\n%s", why, fake_log_text);
}

static void assert_used(enum vmx_control field, uint32_t bits)
{
    assert_int_equal(vmx_caps.controls[field] & bits, bits);
}

static void assert_not_used(enum vmx_control field, uint32_t bits)
{
    assert_int_equal(vmx_caps.controls[field] & bits, 0);
}

/* --- is there VT-x --- */

static void a_complete_cpu_is_used_wholly(void **state)
{
    (void)state;
    assert_true(vmx_probe(&config));
    assert_int_equal(vmx_caps.revision, REVISION);
    assert_int_equal(vmx_caps.preemption_timer_shift, TIMER_SHIFT);
    assert_int_equal(vmx_caps.cr0_fixed0, 1);
    assert_int_equal(vmx_caps.cr0_fixed1, 2);
    assert_int_equal(vmx_caps.cr4_fixed0, 3);
    assert_int_equal(vmx_caps.cr4_fixed1, 4);
    assert_int_equal(vmx_caps.leaf_levels, PT_LEAF_4K | PT_LEAF_2M | PT_LEAF_1G);
    assert_used(CONTROL_PIN, PIN_DEFAULT1 | PIN_PREEMPTION_TIMER);
    assert_used(CONTROL_PROC, PROC_USE_TPR_SHADOW);
    assert_used(CONTROL_PROC2, PROC2_ENABLE_EPT | PROC2_UNRESTRICTED_GUEST | PROC2_ENABLE_VPID |
                                   PROC2_APIC_REGISTER_VIRT | PROC2_VIRTUAL_INTERRUPTS);
    assert_used(CONTROL_PROC, PROC_MWAIT_EXITING | PROC_MONITOR_EXITING | PROC_RDPMC_EXITING); /* what is the machine's */
    assert_used(CONTROL_PROC2, PROC2_WBINVD_EXITING | PROC2_ENCLS_EXITING);
    assert_not_used(CONTROL_PROC, PROC_RDTSC_EXITING | PROC_CR8_LOAD_EXITING); /* what nobody asked for */
    assert_true(was_logged("VT-x: yes, EPT: yes (1G, 2M, 4K pages)"));
    assert_false(was_logged("lacks"));
}

static void without_vtx_one_line_says_where_to_turn_it_on(void **state)
{
    (void)state;
    fake_features_reset(); /* no VMX MSR may be read */
    assert_refused("VT-x is missing");
    assert_true(was_logged(FIRMWARE_SETUP));
    assert_int_equal(fake_log_count, 1);
}

static void locked_off_by_firmware_is_told_apart(void **state)
{
    static const uint64_t locked_off[] = {FEATURE_CONTROL_LOCK, FEATURE_CONTROL_LOCK | BIT(1) /* in SMX only */};

    for (unsigned i = 0; i < ARRAY_SIZE(locked_off); i++) {
        complete_cpu(state);
        *fake_features_msr(MSR_IA32_FEATURE_CONTROL) = locked_off[i];
        assert_refused("VT-x is locked off by the firmware (IA32_FEATURE_CONTROL)");
        assert_true(was_logged(FIRMWARE_SETUP));
        assert_int_equal(fake_log_count, 1);
    }
}

static void an_open_lock_or_none_is_no_obstacle(void **state)
{
    (void)state;
    *fake_features_msr(MSR_IA32_FEATURE_CONTROL) = 0;
    assert_true(vmx_probe(&config));
    fake_features_remove_msr(MSR_IA32_FEATURE_CONTROL);
    assert_true(vmx_probe(&config));
}

static void a_cpu_without_true_controls_is_too_old(void **state)
{
    (void)state;
    *fake_features_msr(MSR_IA32_VMX_BASIC) = REVISION;
    assert_refused("VT-x is too old");
}

/* --- what we must have --- */

static const struct {
    enum vmx_control field;
    uint32_t bit;
    const char *message;
} musts[] = {
    {CONTROL_PIN, PIN_EXTERNAL_INTERRUPT_EXITING, "VT-x lacks external-interrupt exiting\n"},
    {CONTROL_PIN, PIN_NMI_EXITING, "VT-x lacks NMI exiting\n"},
    {CONTROL_PIN, PIN_VIRTUAL_NMIS, "VT-x lacks virtual NMIs\n"},
    {CONTROL_PROC, PROC_USE_TSC_OFFSETTING, "VT-x lacks TSC offsetting\n"},
    {CONTROL_PROC, PROC_HLT_EXITING, "VT-x lacks HLT exiting\n"},
    {CONTROL_PROC, PROC_USE_IO_BITMAPS, "VT-x lacks I/O bitmaps\n"},
    {CONTROL_PROC, PROC_USE_MSR_BITMAPS, "VT-x lacks MSR bitmaps\n"},
    {CONTROL_PROC2, PROC2_ENABLE_EPT, "VT-x lacks EPT\n"},
    {CONTROL_PROC2, PROC2_UNRESTRICTED_GUEST, "VT-x lacks unrestricted guest\n"},
    {CONTROL_EXIT, EXIT_HOST_ADDRESS_SPACE_SIZE, "VT-x lacks 64-bit host\n"},
    {CONTROL_EXIT, EXIT_LOAD_EFER, "VT-x lacks EFER on exit\n"}, /* one of the two bits of its row */
    {CONTROL_ENTRY, ENTRY_LOAD_PAT, "VT-x lacks PAT and EFER on entry\n"},
};

static void whatever_we_must_have_is_named_when_it_is_missing(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(musts); i++) {
        complete_cpu(state);
        take_away(musts[i].field, musts[i].bit);
        assert_refused(musts[i].message);
        assert_int_equal(fake_log_count, 2); /* and where to get it */
    }
}

static void all_that_is_missing_is_told_at_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(musts); i++)
        take_away(musts[i].field, musts[i].bit);
    assert_false(vmx_probe(&config));
    for (unsigned i = 0; i < ARRAY_SIZE(musts); i++)
        assert_true(was_logged(musts[i].message));
    assert_int_equal(fake_log_count, ARRAY_SIZE(musts) + 1);
}

static void without_secondary_controls_their_msr_is_not_there(void **state)
{
    (void)state;
    take_away(CONTROL_PROC, PROC_SECONDARY_CONTROLS);
    fake_features_remove_msr(MSR_IA32_VMX_PROCBASED_CTLS2);
    assert_refused("VT-x lacks secondary controls\n");
    assert_true(was_logged("VT-x lacks EPT\n"));
    assert_true(was_logged("VT-x lacks unrestricted guest\n"));
}

static void a_bare_cpu_is_told_that_no_switch_helps(void **state)
{
    (void)state;
    take_away(CONTROL_PROC2, PROC2_ENABLE_EPT);
    assert_refused("no setting of the firmware adds it");
}

static void under_a_hypervisor_its_own_switch_is_named(void **state)
{
    (void)state;
    fake_features_leaf(1)->ecx |= CPUID_1_ECX_HYPERVISOR;
    take_away(CONTROL_PROC2, PROC2_UNRESTRICTED_GUEST);
    assert_refused("the hypervisor below");
}

static void ept_without_what_we_use_of_it_is_refused(void **state)
{
    static const uint64_t needed[] = {EPT_CAP_WALK_4, EPT_CAP_WB, EPT_CAP_INVEPT, EPT_CAP_INVEPT_SINGLE};

    for (unsigned i = 0; i < ARRAY_SIZE(needed); i++) {
        complete_cpu(state);
        *fake_features_msr(MSR_IA32_VMX_EPT_VPID_CAP) &= ~needed[i];
        assert_refused("EPT lacks");
    }
}

/* --- what we want --- */

static void without_a_tpr_shadow_cr8_exits(void **state)
{
    (void)state;
    take_away(CONTROL_PROC, PROC_USE_TPR_SHADOW);
    assert_true(vmx_probe(&config));
    assert_used(CONTROL_PROC, PROC_CR8_LOAD_EXITING | PROC_CR8_STORE_EXITING);
    assert_not_used(CONTROL_PROC2, PROC2_VIRTUALIZE_X2APIC | PROC2_APIC_REGISTER_VIRT | PROC2_VIRTUAL_INTERRUPTS |
                                       PROC2_VIRTUALIZE_APIC_ACCESSES);
    assert_true(was_logged("TPR shadow: not used"));
}

static void delivery_needs_register_virtualization(void **state)
{
    (void)state;
    take_away(CONTROL_PROC2, PROC2_APIC_REGISTER_VIRT);
    assert_true(vmx_probe(&config));
    assert_not_used(CONTROL_PROC2, PROC2_VIRTUAL_INTERRUPTS | PROC2_VIRTUALIZE_APIC_ACCESSES);
    assert_used(CONTROL_PROC2, PROC2_VIRTUALIZE_X2APIC);
}

static void the_timer_is_used_only_if_it_can_be_saved(void **state)
{
    take_away(CONTROL_EXIT, EXIT_SAVE_PREEMPTION_TIMER);
    assert_true(vmx_probe(&config));
    assert_not_used(CONTROL_PIN, PIN_PREEMPTION_TIMER);

    complete_cpu(state);
    take_away(CONTROL_PIN, PIN_PREEMPTION_TIMER);
    assert_true(vmx_probe(&config));
    assert_not_used(CONTROL_EXIT, EXIT_SAVE_PREEMPTION_TIMER);
}

static void vpid_needs_single_context_invvpid(void **state)
{
    (void)state;
    *fake_features_msr(MSR_IA32_VMX_EPT_VPID_CAP) &= ~VPID_CAP_INVVPID_SINGLE;
    assert_true(vmx_probe(&config));
    assert_not_used(CONTROL_PROC2, PROC2_ENABLE_VPID);
}

/* Bochs, and KVM on a CPU without posted interrupts, err in the former. */
static void virtual_interrupts_need_posted_ones_unless_asked_for(void **state)
{
    (void)state;
    assert_true(vmx_probe(&config));
    assert_used(CONTROL_PROC2, PROC2_VIRTUAL_INTERRUPTS);
    take_away(CONTROL_PIN, PIN_POSTED_INTERRUPTS);
    assert_true(vmx_probe(&config));
    assert_not_used(CONTROL_PROC2, PROC2_VIRTUAL_INTERRUPTS);
    assert_used(CONTROL_PROC2, PROC2_APIC_REGISTER_VIRT);
    host_config_parse("virtual_interrupt_delivery=1", &config);
    assert_true(vmx_probe(&config));
    assert_used(CONTROL_PROC2, PROC2_VIRTUAL_INTERRUPTS);
}

static void the_command_line_switches_off_what_is_there(void **state)
{
    static const struct {
        const char *line;
        enum vmx_control field;
        uint32_t off;
    } switches[] = {
        {"vpid=0", CONTROL_PROC2, PROC2_ENABLE_VPID},
        {"preemption_timer=0", CONTROL_PIN, PIN_PREEMPTION_TIMER},
        {"tpr_shadow=0", CONTROL_PROC, PROC_USE_TPR_SHADOW},
        {"apicv=0", CONTROL_PROC2, PROC2_APIC_REGISTER_VIRT | PROC2_VIRTUAL_INTERRUPTS},
        {"apic_register_virtualization=0", CONTROL_PROC2, PROC2_APIC_REGISTER_VIRT | PROC2_VIRTUAL_INTERRUPTS},
        {"virtual_interrupt_delivery=0", CONTROL_PROC2, PROC2_VIRTUAL_INTERRUPTS},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(switches); i++) {
        complete_cpu(state);
        assert_int_equal(host_config_parse(switches[i].line, &config), 0);
        assert_true(vmx_probe(&config));
        assert_not_used(switches[i].field, switches[i].off);
    }
}

static void large_pages_are_those_that_the_cpu_has(void **state)
{
    *fake_features_msr(MSR_IA32_VMX_EPT_VPID_CAP) &= ~EPT_CAP_1G;
    assert_true(vmx_probe(&config));
    assert_int_equal(vmx_caps.leaf_levels, PT_LEAF_4K | PT_LEAF_2M);

    complete_cpu(state);
    host_config_parse("ept_large_pages=0", &config);
    assert_true(vmx_probe(&config));
    assert_int_equal(vmx_caps.leaf_levels, PT_LEAF_4K);
}

#define TEST(name) cmocka_unit_test_setup(name, complete_cpu)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_complete_cpu_is_used_wholly),
        TEST(without_vtx_one_line_says_where_to_turn_it_on),
        TEST(locked_off_by_firmware_is_told_apart),
        TEST(an_open_lock_or_none_is_no_obstacle),
        TEST(a_cpu_without_true_controls_is_too_old),
        TEST(whatever_we_must_have_is_named_when_it_is_missing),
        TEST(all_that_is_missing_is_told_at_once),
        TEST(without_secondary_controls_their_msr_is_not_there),
        TEST(a_bare_cpu_is_told_that_no_switch_helps),
        TEST(under_a_hypervisor_its_own_switch_is_named),
        TEST(ept_without_what_we_use_of_it_is_refused),
        TEST(without_a_tpr_shadow_cr8_exits),
        TEST(delivery_needs_register_virtualization),
        TEST(the_timer_is_used_only_if_it_can_be_saved),
        TEST(vpid_needs_single_context_invvpid),
        TEST(virtual_interrupts_need_posted_ones_unless_asked_for),
        TEST(the_command_line_switches_off_what_is_there),
        TEST(large_pages_are_those_that_the_cpu_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
