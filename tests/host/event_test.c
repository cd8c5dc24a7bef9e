/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: one event an entry, in the manual's order: what an exit interrupted, NMI, PIC, local
 * APIC. What must wait asks for a window, and for nothing else. An exception on top of another
 * gives what the manual's table of double faults says, for every pair of vectors, in every mode.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/pcpu.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/event.h"
#include "arch/x86/regs.h"

#define PIC_BASE   0x20
#define PIC_INPUT  3
#define PIC_VECTOR (PIC_BASE + PIC_INPUT)
#define VECTOR     0x51

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
    fake_vcpu_free(&f);
    return 0;
}

/* --- what can be pending --- */

static void write_pic(struct pic_chip *chip, uint64_t offset, uint8_t value)
{
    pic_ops.write(chip, offset, 1, value);
}

static void raise_pic(void)
{
    struct pic_chip *master = &f.platform.pic.master;

    write_pic(master, 0, PIC_ICW1_SELECT | PIC_ICW1_IC4 | PIC_ICW1_SNGL);
    write_pic(master, 1, PIC_BASE);
    write_pic(master, 1, PIC_ICW4_UPM);
    write_pic(master, 1, 0);
    pic_set_line(&f.platform.pic, PIC_INPUT, true);
    assert_true(pic_is_pending(&f.platform.pic));
}

static void raise_apic(uint8_t vector)
{
    const struct apic_message message = {.vector = vector, .delivery = APIC_DELIVERY_FIXED};

    lapic_mmio_ops.write(vcpu->lapic, APIC_SVR, 4, APIC_SVR_ENABLE | 0xff);
    assert_true(lapic_receive(vcpu->lapic, &message));
}

static void prepare(uint32_t requests)
{
    vcpu->requests |= requests;
    f.injected_count = 0;
    f.is_wanted[WINDOW_INTERRUPT] = f.is_wanted[WINDOW_NMI] = false;
    event_prepare(vcpu);
    assert_int_equal(vcpu->requests & (REQUEST_EVENT | REQUEST_NMI), 0);
}

static void assert_windows(bool interrupt, bool nmi)
{
    assert_int_equal(f.is_wanted[WINDOW_INTERRUPT], interrupt);
    assert_int_equal(f.is_wanted[WINDOW_NMI], nmi);
}

/* --- the order --- */

static void test_nothing_to_do(void **state)
{
    (void)state;
    prepare(REQUEST_EVENT);
    assert_int_equal(f.injected_count, 0);
    assert_windows(false, false);
}

static void test_everything_at_once_comes_in_order(void **state)
{
    (void)state;
    vcpu->event = (struct event){
        .type = EVENT_EXCEPTION, .vector = X86_PF, .has_error_code = true, .error_code = 2};
    raise_pic();
    raise_apic(VECTOR);

    prepare(REQUEST_EVENT | REQUEST_NMI);
    assert_int_equal(f.injected_count, 1);
    fake_vcpu_assert_injected(&f, 0, EVENT_EXCEPTION, X86_PF);
    assert_int_equal(f.injected[0].error_code, 2);
    assert_windows(true, true);

    prepare(REQUEST_EVENT);
    assert_int_equal(f.injected_count, 1);
    fake_vcpu_assert_injected(&f, 0, EVENT_NMI, X86_NMI);
    assert_windows(true, false);

    prepare(REQUEST_EVENT);
    assert_int_equal(f.injected_count, 1);
    fake_vcpu_assert_injected(&f, 0, EVENT_INTERRUPT, PIC_VECTOR);
    assert_windows(true, false);

    prepare(REQUEST_EVENT);
    assert_int_equal(f.injected_count, 1);
    fake_vcpu_assert_injected(&f, 0, EVENT_INTERRUPT, VECTOR);
    assert_windows(false, false);

    prepare(REQUEST_EVENT);
    assert_int_equal(f.injected_count, 0);
}

static void test_an_interrupted_event_comes_before_a_new_interrupt(void **state)
{
    (void)state;
    vcpu->event = (struct event){.type = EVENT_SOFTWARE_INTERRUPT, .vector = 0x80, .length = 2};
    raise_apic(VECTOR);
    prepare(REQUEST_EVENT);
    fake_vcpu_assert_injected(&f, 0, EVENT_SOFTWARE_INTERRUPT, 0x80);
    assert_int_equal(f.injected[0].length, 2);
    assert_int_equal(f.injected_count, 1);
    assert_windows(true, false);
    fake_vcpu_assert_nothing_raised(&f);
}

static void test_two_vectors_of_the_apic_need_two_entries(void **state)
{
    (void)state;
    raise_apic(VECTOR);
    raise_apic(VECTOR + 0x20);
    prepare(REQUEST_EVENT);
    fake_vcpu_assert_injected(&f, 0, EVENT_INTERRUPT, VECTOR + 0x20);
    assert_int_equal(f.injected_count, 1);
    assert_windows(false, false); /* the lower one waits for the EOI, not for a window */
    lapic_mmio_ops.write(vcpu->lapic, APIC_EOI, 4, 0);
    prepare(REQUEST_EVENT);
    fake_vcpu_assert_injected(&f, 0, EVENT_INTERRUPT, VECTOR);
}

static void test_a_higher_vector_behind_the_first_asks_for_a_window(void **state)
{
    (void)state;
    raise_pic();
    raise_apic(VECTOR);
    prepare(REQUEST_EVENT);
    fake_vcpu_assert_injected(&f, 0, EVENT_INTERRUPT, PIC_VECTOR);
    assert_windows(true, false);
}

/* --- windows --- */

static void test_a_closed_window_is_asked_for(void **state)
{
    (void)state;
    f.is_open[WINDOW_INTERRUPT] = false;
    raise_apic(VECTOR);
    prepare(REQUEST_EVENT);
    assert_int_equal(f.injected_count, 0);
    assert_windows(true, false);
    f.is_open[WINDOW_INTERRUPT] = true;
    prepare(REQUEST_EVENT);
    fake_vcpu_assert_injected(&f, 0, EVENT_INTERRUPT, VECTOR);
    assert_windows(false, false);
}

static void test_the_pic_is_not_acknowledged_before_the_window_opens(void **state)
{
    (void)state;
    f.is_open[WINDOW_INTERRUPT] = false;
    raise_pic();
    prepare(REQUEST_EVENT);
    assert_true(pic_is_pending(&f.platform.pic));
    assert_windows(true, false);
}

static void test_a_blocked_nmi_is_kept_and_does_not_block_interrupts(void **state)
{
    (void)state;
    f.is_open[WINDOW_NMI] = false;
    raise_apic(VECTOR);
    prepare(REQUEST_NMI);
    assert_int_equal(f.injected_count, 1);
    fake_vcpu_assert_injected(&f, 0, EVENT_INTERRUPT, VECTOR);
    assert_windows(false, true);
    f.is_open[WINDOW_NMI] = true;
    prepare(REQUEST_EVENT);
    fake_vcpu_assert_injected(&f, 0, EVENT_NMI, X86_NMI);
    prepare(REQUEST_EVENT);
    assert_int_equal(f.injected_count, 0);
}

static void test_what_the_cpu_delivers_by_itself_is_not_injected(void **state)
{
    (void)state;
    f.delivers_itself = true;
    raise_apic(VECTOR);
    prepare(REQUEST_EVENT);
    assert_int_equal(f.injected_count, 0);
    assert_windows(false, false);
    assert_int_equal(f.syncs, 1);
    raise_pic();
    prepare(REQUEST_EVENT);
    fake_vcpu_assert_injected(&f, 0, EVENT_INTERRUPT, PIC_VECTOR);
}

static void test_a_pic_that_the_apic_masks_is_not_heard(void **state)
{
    (void)state;
    raise_pic();
    lapic_mmio_ops.write(vcpu->lapic, APIC_LVT_LINT0, 4, APIC_LVT_MASKED);
    prepare(REQUEST_EVENT);
    assert_int_equal(f.injected_count, 0);
    assert_windows(false, false);
}

/* What the engine keeps for the local APIC, its TPR's threshold among it, must not wait for the PICs. */
static void test_the_engine_is_told_behind_the_pics_interrupt(void **state)
{
    (void)state;
    raise_apic(VECTOR);
    raise_pic();
    f.is_open[WINDOW_INTERRUPT] = false;
    f.syncs = 0;
    prepare(REQUEST_EVENT);
    assert_int_equal(f.syncs, 1);
}

/* --- HLT --- */

static void test_what_ends_a_hlt(void **state)
{
    (void)state;
    assert_false(event_wakes(vcpu));
    vcpu->requests = REQUEST_NMI;
    assert_true(event_wakes(vcpu));
    vcpu->requests = 0;
    vcpu->nmi_pending = true;
    assert_true(event_wakes(vcpu));
    f.is_open[WINDOW_NMI] = false; /* it halts in the handler of another */
    assert_false(event_wakes(vcpu));
    f.is_open[WINDOW_NMI] = true;
    vcpu->nmi_pending = false;
    raise_apic(VECTOR);
    assert_true(event_wakes(vcpu));
    f.registers[VCPU_RFLAGS] &= ~RFLAGS_IF;
    assert_false(event_wakes(vcpu));
    vcpu->event.type = EVENT_EXCEPTION;
    assert_true(event_wakes(vcpu));
}

static void test_an_interrupt_below_the_task_priority_ends_no_hlt(void **state)
{
    (void)state;
    raise_apic(VECTOR);
    lapic_set_tpr(vcpu->lapic, 0x60);
    assert_false(event_wakes(vcpu));
    raise_pic();
    assert_true(event_wakes(vcpu));
}

static void test_what_does_not_wake_is_taken_all_the_same(void **state)
{
    (void)state;
    f.registers[VCPU_RFLAGS] &= ~RFLAGS_IF;
    raise_apic(VECTOR);
    assert_true(vcpu->requests & REQUEST_EVENT);
    assert_false(event_wakes(vcpu));
    assert_int_equal(vcpu->requests, 0); /* it may sleep until something else comes */
    f.registers[VCPU_RFLAGS] |= RFLAGS_IF;
    assert_true(event_wakes(vcpu));
}

/* --- from other CPUs --- */

static void test_messages_become_requests(void **state)
{
    (void)state;
    event_deliver(vcpu, APIC_DELIVERY_NMI, 0);
    assert_int_equal(vcpu->requests, REQUEST_NMI);
    event_deliver(vcpu, APIC_DELIVERY_EXTINT, 0);
    assert_int_equal(vcpu->requests, REQUEST_NMI | REQUEST_EVENT);
    vcpu->requests = 0;
    event_deliver(vcpu, APIC_DELIVERY_INIT, 0);
    assert_int_equal(vcpu->requests, REQUEST_INIT);
    event_deliver(vcpu, APIC_DELIVERY_STARTUP, 0x12);
    assert_int_equal(vcpu->requests, REQUEST_INIT | REQUEST_SIPI);
    assert_int_equal(vcpu->sipi_vector, 0x12);
}

static void test_what_comes_after_the_look_asks_again(void **state)
{
    (void)state;
    raise_apic(VECTOR);
    prepare(0);
    fake_vcpu_assert_injected(&f, 0, EVENT_INTERRUPT, VECTOR);
    raise_apic(VECTOR + 0x20);
    assert_true(vcpu->requests & REQUEST_EVENT);
    assert_true(lapic_has_posted(vcpu->lapic));
    prepare(0);
    fake_vcpu_assert_injected(&f, 0, EVENT_INTERRUPT, VECTOR + 0x20);
}

static void arm_timer(uint64_t deadline)
{
    lapic_mmio_ops.write(vcpu->lapic, APIC_SVR, 4, APIC_SVR_ENABLE | 0xff);
    lapic_mmio_ops.write(vcpu->lapic, APIC_LVT_TIMER, 4, APIC_LVT_TIMER_TSC_DEADLINE | VECTOR);
    lapic_set_tsc_deadline(vcpu->lapic, deadline);
    vcpu->requests = 0;
}

static void test_a_timer_that_fires_here_interrupts_at_once(void **state)
{
    (void)state;
    arm_timer(1000);
    fake_clock_advance(1000);
    assert_int_equal(lapic_highest_irr(vcpu->lapic), VECTOR);
    assert_int_equal(vcpu->requests, REQUEST_EVENT);
}

static void test_a_timer_that_fires_elsewhere_only_asks(void **state)
{
    (void)state;
    arm_timer(1000);
    fake_pcpu_become(1);
    fake_clock_advance(1000);
    assert_int_equal(lapic_highest_irr(vcpu->lapic), -1);
    assert_int_equal(lapic_tsc_deadline(vcpu->lapic), 1000);
    assert_int_equal(vcpu->requests, REQUEST_TIMER | REQUEST_EVENT);
    fake_pcpu_become(0);
    prepare(0);
    assert_int_equal(vcpu->requests, 0);
    fake_vcpu_assert_injected(&f, 0, EVENT_INTERRUPT, VECTOR);
    assert_int_equal(lapic_tsc_deadline(vcpu->lapic), 0);
}

static void test_a_timer_wakes_a_halted_cpu_from_elsewhere(void **state)
{
    (void)state;
    arm_timer(1000);
    fake_pcpu_become(1);
    fake_clock_advance(1000);
    fake_pcpu_become(0);
    assert_true(event_wakes(vcpu));
    assert_int_equal(vcpu->requests, 0);
}

/* --- exceptions on exceptions --- */

static bool is_contributory(uint8_t vector)
{
    return vector == 0 || vector == 10 || vector == 11 || vector == 12 || vector == 13;
}

static bool becomes_double(uint8_t first, uint8_t second)
{
    if (first == 14)
        return second == 14 || is_contributory(second);
    return is_contributory(first) && is_contributory(second);
}

static void test_every_pair_of_exceptions(void **state)
{
    (void)state;
    for (uint8_t first = 0; first < 32; first++)
        for (uint8_t second = 0; second < 32; second++) {
            if (first == X86_DF)
                continue;
            vcpu->event = (struct event){.type = EVENT_EXCEPTION, .vector = first};
            vcpu->requests = 0;
            vcpu_raise_with_code(vcpu, second, 0x18);
            if (becomes_double(first, second))
                fake_vcpu_assert_raised_with_code(&f, X86_DF, 0);
            else
                fake_vcpu_assert_raised_with_code(&f, second, 0x18);
            assert_int_equal(f.vm.stop_reason, STOP_NONE);
        }
}

static void test_a_fault_of_the_double_fault_is_the_end(void **state)
{
    (void)state;
    vcpu_raise_with_code(vcpu, X86_PF, 0);
    vcpu_raise_with_code(vcpu, X86_PF, 0);
    fake_vcpu_assert_raised_with_code(&f, X86_DF, 0);
    assert_int_equal(f.vm.stop_reason, STOP_NONE);
    vcpu_raise_with_code(vcpu, X86_GP, 0);
    assert_int_equal(f.vm.stop_reason, STOP_TRIPLE_FAULT);
    assert_true(vcpu->requests & REQUEST_STOP);
    assert_int_equal(f.crashes, 1);
}

/* INT n, INT3 and external interrupts are benign: what comes on top is delivered as it is. */
static void test_benign_events_make_no_double_fault(void **state)
{
    static const enum event_type types[] = {EVENT_INTERRUPT, EVENT_NMI, EVENT_SOFTWARE_INTERRUPT,
                                            EVENT_SOFTWARE_EXCEPTION};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        vcpu->event = (struct event){.type = types[i], .vector = X86_GP};
        vcpu_raise_with_code(vcpu, X86_GP, 0x10);
        fake_vcpu_assert_raised_with_code(&f, X86_GP, 0x10);
    }
    vcpu->event = (struct event){.type = EVENT_SOFTWARE_INTERRUPT, .vector = X86_DF};
    vcpu_raise(vcpu, X86_UD);
    fake_vcpu_assert_raised(&f, X86_UD);
    assert_int_equal(f.vm.stop_reason, STOP_NONE);
}

/* An entry with an error code fails in real mode: the engine would stop the VM. */
static void test_real_mode_has_no_error_codes(void **state)
{
    (void)state;
    f.registers[VCPU_CR0] &= ~CR0_PE;
    vcpu_raise_with_code(vcpu, X86_GP, 0x18);
    fake_vcpu_assert_raised(&f, X86_GP);
    vcpu_raise_with_code(vcpu, X86_GP, 0x18);
    fake_vcpu_assert_raised(&f, X86_DF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_to_do, setup, teardown),
        cmocka_unit_test_setup_teardown(test_everything_at_once_comes_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_interrupted_event_comes_before_a_new_interrupt,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_vectors_of_the_apic_need_two_entries, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_higher_vector_behind_the_first_asks_for_a_window,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_closed_window_is_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_pic_is_not_acknowledged_before_the_window_opens,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_blocked_nmi_is_kept_and_does_not_block_interrupts,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_the_cpu_delivers_by_itself_is_not_injected, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_pic_that_the_apic_masks_is_not_heard, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_engine_is_told_behind_the_pics_interrupt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_ends_a_hlt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_interrupt_below_the_task_priority_ends_no_hlt,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_does_not_wake_is_taken_all_the_same, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_messages_become_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_comes_after_the_look_asks_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_timer_that_fires_here_interrupts_at_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_timer_that_fires_elsewhere_only_asks, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_timer_wakes_a_halted_cpu_from_elsewhere, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_every_pair_of_exceptions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_fault_of_the_double_fault_is_the_end, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_benign_events_make_no_double_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(test_real_mode_has_no_error_codes, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
