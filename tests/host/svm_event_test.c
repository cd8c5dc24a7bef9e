/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: an event that an exit interrupted comes again; an NMI is not delivered before the last one's IRET is over, and the
 * step that waits for it is nothing that the guest sees.
 */
#include "tests/host/fake/svm_rig.h"

static void test_injection_is_as_in_the_manual(void **state)
{
    (void)state;
    begin();
    svm_ops.inject(vcpu, &(struct event){.type = EVENT_INTERRUPT, .vector = 0x30});
    assert_int_equal(vmcb->control.event_inj, 0x80000030);
    svm_ops.inject(vcpu, &(struct event){.type = EVENT_EXCEPTION, .vector = X86_PF, .has_error_code = true, .error_code = 7});
    assert_int_equal(vmcb->control.event_inj, 0x780000b0e);
    svm_ops.inject(vcpu, &(struct event){.type = EVENT_NMI, .vector = X86_NMI});
    assert_int_equal(vmcb->control.event_inj, 0x80000202);
}

static void interrupt_event(uint64_t info)
{
    vcpu->event.type = EVENT_NONE;
    vmcb->control.exit_int_info = info;
    verdict_of_handler = VERDICT_RESUME;
    (void)leave(VMEXIT_NPF, 0, 0);
    vmcb->control.exit_int_info = 0;
}

static void test_an_interrupted_event_comes_again(void **state)
{
    (void)state;
    begin();
    interrupt_event(0x80000031);
    assert_int_equal(vcpu->event.type, EVENT_INTERRUPT);
    assert_int_equal(vcpu->event.vector, 0x31);
    assert_true(vcpu->requests & REQUEST_EVENT);
    interrupt_event(0x1280000b0d);
    assert_int_equal(vcpu->event.type, EVENT_EXCEPTION);
    assert_true(vcpu->event.has_error_code);
    assert_int_equal(vcpu->event.error_code, 0x12);
    interrupt_event(0x80000202);
    assert_int_equal(vcpu->event.type, EVENT_NMI);
    interrupt_event(0x80000480); /* INT 80h is executed again */
    assert_int_equal(vcpu->event.type, EVENT_NONE);
    interrupt_event(0x80000303); /* and so is INT3 */
    assert_int_equal(vcpu->event.type, EVENT_NONE);
}

static void test_the_interrupt_window(void **state)
{
    (void)state;
    begin();
    assert_false(svm_ops.is_open(vcpu, WINDOW_INTERRUPT));
    vmcb->state.rflags |= RFLAGS_IF;
    assert_true(svm_ops.is_open(vcpu, WINDOW_INTERRUPT));
    vmcb->control.interrupt_shadow = INTERRUPT_SHADOW;
    assert_false(svm_ops.is_open(vcpu, WINDOW_INTERRUPT));
    svm_ops.want_window(vcpu, WINDOW_INTERRUPT, true);
    assert_true(is_intercepted(INTERCEPT_MISC1, MISC1_VINTR));
    assert_int_equal(vmcb->control.v_intr & (V_IRQ | V_IGN_TPR), V_IRQ | V_IGN_TPR);
    verdict_of_handler = VERDICT_LEAVE;
    assert_kind(VMEXIT_VINTR, EXIT_WINDOW);
    assert_false(is_intercepted(INTERCEPT_MISC1, MISC1_VINTR));
    assert_int_equal(vmcb->control.v_intr & V_IRQ, 0);
}

static void end_step(uint64_t flags_after)
{
    vmcb->state.rflags = flags_after;
    vmcb->state.dr6 = DR6_INIT | DR6_BS;
    (void)leave(VMEXIT_EXCP_DB, 0, 0);
}

static void test_nmis_wait_for_the_iret(void **state)
{
    (void)state;
    begin();
    verdict_of_handler = VERDICT_LEAVE;
    svm_ops.inject(vcpu, &(struct event){.type = EVENT_NMI, .vector = X86_NMI});
    assert_false(svm_ops.is_open(vcpu, WINDOW_NMI));
    assert_true(is_intercepted(INTERCEPT_MISC1, MISC1_IRET));
    assert_kind(VMEXIT_IRET, EXIT_WINDOW);
    assert_false(is_intercepted(INTERCEPT_MISC1, MISC1_IRET));
    assert_false(svm_ops.is_open(vcpu, WINDOW_NMI)); /* it is only about to be executed */
    assert_true(vmcb->state.rflags & RFLAGS_TF);
    end_step(RFLAGS_ONE | RFLAGS_TF); /* what it popped is the guest's */
    assert_int_equal(vcpu->exit.kind, EXIT_WINDOW);
    assert_true(svm_ops.is_open(vcpu, WINDOW_NMI));
    assert_true(vmcb->state.rflags & RFLAGS_TF);
    assert_int_equal(vmcb->state.dr6, DR6_INIT);
}

/* The fault's frame shows the flags: they are the guest's, and the NMI waits for the next IRET. */
static void test_an_iret_that_faults_shows_no_trap_flag(void **state)
{
    (void)state;
    begin();
    svm_ops.inject(vcpu, &(struct event){.type = EVENT_NMI, .vector = X86_NMI});
    verdict_of_handler = VERDICT_LEAVE;
    assert_kind(VMEXIT_IRET, EXIT_WINDOW);
    assert_true(is_intercepted(INTERCEPT_EXCEPTION, 1u << X86_GP | 1u << X86_PF | 1u << X86_SS | 1u << X86_NP));
    (void)leave(VMEXIT_EXCP0 + X86_PF, 2, 0x123456789000);
    assert_int_equal(vcpu->exit.kind, EXIT_EXCEPTION);
    assert_int_equal(vcpu->exit.exception.vector, X86_PF);
    assert_int_equal(vcpu->exit.exception.error_code, 2);
    assert_int_equal(vmcb->state.cr2, 0x123456789000);
    svm_ops.inject(vcpu, &(struct event){.type = EVENT_EXCEPTION, .vector = X86_PF, .has_error_code = true});
    assert_false(vmcb->state.rflags & RFLAGS_TF);
    assert_false(is_intercepted(INTERCEPT_EXCEPTION, 1u << X86_PF));
    assert_true(is_intercepted(INTERCEPT_EXCEPTION, EXCEPTIONS_TAKEN));
    assert_true(is_intercepted(INTERCEPT_MISC1, MISC1_IRET));
    assert_false(svm_ops.is_open(vcpu, WINDOW_NMI));
    (void)leave(VMEXIT_IRET, 0, 0);
    end_step(RFLAGS_ONE);
    assert_true(svm_ops.is_open(vcpu, WINDOW_NMI));
    assert_false(is_intercepted(INTERCEPT_EXCEPTION, 1u << X86_PF));
}

/* A guest that steps itself keeps its flag. */
static void test_what_comes_before_a_step_leaves_the_guests_trap_flag(void **state)
{
    (void)state;
    begin();
    vmcb->control.interrupt_shadow = INTERRUPT_SHADOW;
    vmcb->state.rflags |= RFLAGS_TF;
    svm_ops.want_window(vcpu, WINDOW_NMI, true);
    svm_ops.inject(vcpu, &(struct event){.type = EVENT_EXCEPTION, .vector = X86_UD});
    assert_true(vmcb->state.rflags & RFLAGS_TF);
    end_step(RFLAGS_ONE | RFLAGS_TF);
    assert_int_equal(vcpu->exit.kind, EXIT_EXCEPTION); /* not ours */
}

static void test_an_nmi_waits_for_the_end_of_a_shadow(void **state)
{
    (void)state;
    begin();
    verdict_of_handler = VERDICT_LEAVE;
    vmcb->control.interrupt_shadow = INTERRUPT_SHADOW;
    assert_false(svm_ops.is_open(vcpu, WINDOW_NMI));
    svm_ops.want_window(vcpu, WINDOW_NMI, true);
    assert_true(vmcb->state.rflags & RFLAGS_TF);
    vmcb->control.interrupt_shadow = 0;
    end_step(RFLAGS_ONE | RFLAGS_TF);
    assert_int_equal(vcpu->exit.kind, EXIT_WINDOW);
    assert_int_equal(vmcb->state.rflags, RFLAGS_ONE);
}

/* The guest steps itself: the trap is its own, too. */
static void test_a_guest_that_steps_gets_its_trap(void **state)
{
    (void)state;
    begin();
    verdict_of_handler = VERDICT_LEAVE;
    vmcb->state.rflags |= RFLAGS_TF;
    svm_ops.want_window(vcpu, WINDOW_NMI, true);
    end_step(RFLAGS_ONE | RFLAGS_TF);
    assert_int_equal(vcpu->exit.kind, EXIT_EXCEPTION);
    assert_int_equal(vcpu->exit.exception.vector, X86_DB);
    assert_true(vcpu->exit.exception.detail & DR6_BS);
    assert_true(vmcb->state.rflags & RFLAGS_TF);
}

static void test_an_nmi_behind_another_event_kicks(void **state)
{
    (void)state;
    begin();
    svm_ops.inject(vcpu, &(struct event){.type = EVENT_INTERRUPT, .vector = 0x30});
    svm_ops.want_window(vcpu, WINDOW_NMI, true);
    assert_int_equal(kicks, 1);
    assert_false(vmcb->state.rflags & RFLAGS_TF);
    assert_false(svm_ops.is_open(vcpu, WINDOW_NMI)); /* the entry is taken */
    verdict_of_handler = VERDICT_LEAVE;
    (void)leave(VMEXIT_NMI, 0, 0);
    assert_true(vcpu->requests & REQUEST_EVENT);
    assert_true(svm_ops.is_open(vcpu, WINDOW_NMI));
}

static void test_an_emulated_instruction_is_a_step_as_well(void **state)
{
    (void)state;
    begin();
    vmcb->state.rflags |= RFLAGS_TF;
    CODE("\x0f\xa2");
    assert_int_equal(leave(VMEXIT_CPUID, 0, 0), VERDICT_LEAVE);
    fake_vcpu_assert_raised(&f, X86_DB);
    assert_true(vmcb->state.dr6 & DR6_BS);
}

static void test_int1_is_a_trap(void **state)
{
    (void)state;
    begin();
    verdict_of_handler = VERDICT_RESUME;
    CODE("\xf1");
    (void)leave(VMEXIT_ICEBP, 0, 0);
    assert_int_equal(vcpu->exit.kind, EXIT_EXCEPTION);
    assert_int_equal(vcpu->exit.exception.vector, X86_DB);
    assert_int_equal(vcpu->exit.exception.detail, 0);
    assert_int_equal(vmcb->state.rip, CODE_AT + 1);
}

/* --- the task priority --- */

static void test_the_tpr_is_one_register(void **state)
{
    (void)state;
    begin();
    verdict_of_handler = VERDICT_RESUME;
    vmcb->control.v_intr |= 9; /* the guest wrote CR8 */
    (void)leave(VMEXIT_NPF, 0, 0);
    assert_int_equal(lapic_tpr(vcpu->lapic), 0x90);
    lapic_set_tpr(vcpu->lapic, 0x35); /* and now the memory-mapped register */
    svm_ops.run(vcpu);
    assert_int_equal(vmcb->control.v_intr & V_TPR_MASK, 3);
    (void)leave(VMEXIT_NPF, 0, 0);
    assert_int_equal(lapic_tpr(vcpu->lapic), 0x35); /* its low bits are not CR8's */
}

static bool is_cr8_intercepted(void)
{
    return is_intercepted(INTERCEPT_CR, CR_WRITE(8));
}

/* QEMU's own assertion fails when CR8 is written while a virtual interrupt is pending. */
static void test_cr8_is_not_written_under_a_window(void **state)
{
    (void)state;
    begin();
    svm_caps.uses_virtual_tpr = true;
    vmcb_change_intercepts(vmcb, INTERCEPT_CR, CR_WRITE(8), false);
    svm_ops.want_window(vcpu, WINDOW_INTERRUPT, true);
    assert_true(is_cr8_intercepted());
    svm_ops.want_window(vcpu, WINDOW_INTERRUPT, false);
    assert_false(is_cr8_intercepted());
    svm_caps.uses_virtual_tpr = false; /* each write has to be seen anyway */
    svm_ops.want_window(vcpu, WINDOW_INTERRUPT, true);
    svm_ops.want_window(vcpu, WINDOW_INTERRUPT, false);
    assert_true(is_cr8_intercepted());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, svm_rig_set_up, svm_rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_injection_is_as_in_the_manual),
        TEST(test_an_interrupted_event_comes_again),
        TEST(test_the_interrupt_window),
        TEST(test_nmis_wait_for_the_iret),
        TEST(test_an_iret_that_faults_shows_no_trap_flag),
        TEST(test_what_comes_before_a_step_leaves_the_guests_trap_flag),
        TEST(test_an_nmi_waits_for_the_end_of_a_shadow),
        TEST(test_a_guest_that_steps_gets_its_trap),
        TEST(test_an_nmi_behind_another_event_kicks),
        TEST(test_an_emulated_instruction_is_a_step_as_well),
        TEST(test_int1_is_a_trap),
        TEST(test_the_tpr_is_one_register),
        TEST(test_cr8_is_not_written_under_a_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
