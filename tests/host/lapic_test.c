/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever mixture of MMIO, MSRs and writes of the CPU itself a guest uses, priorities
 * decide what is delivered, nothing is delivered twice or lost, and an EOI is told to those who
 * wait for it.
 */
#include "tests/host/fake/lapic_rig.h"

/* --- reset --- */

static void powers_up_as_the_manual_says(void **state)
{
    (void)state;
    power_up(5, false);
    assert_int_equal(lapic.base, APIC_DEFAULT_BASE | APIC_BASE_EN);
    assert_int_equal(read32(APIC_ID), 5u << 24);
    assert_int_equal(read32(APIC_VERSION), 0x01050014);
    assert_int_equal(read32(APIC_SVR), 0xff);
    assert_int_equal(read32(APIC_DFR), 0xffffffff);
    for (unsigned offset = APIC_LVT_TIMER; offset <= APIC_LVT_ERROR; offset += 16)
        assert_int_equal(read32(offset), APIC_LVT_MASKED);
    for (unsigned offset = APIC_ISR; offset < APIC_ESR; offset += 16)
        assert_int_equal(read32(offset), 0);
    assert_int_equal(read32(APIC_TPR), 0);
    assert_false(lapic_has_irr(&lapic));
    assert_false(lapic_accepts_extint(&lapic));
}

static void the_boot_cpu_starts_with_the_pic_wired(void **state)
{
    (void)state;
    power_up(0, true);
    assert_int_equal(read32(APIC_LVT_LINT0), APIC_LVT_DELIVERY_EXTINT);
    assert_true(lapic_accepts_extint(&lapic));
    write32(APIC_LVT_LINT0, APIC_LVT_MASKED | APIC_LVT_DELIVERY_EXTINT);
    assert_false(lapic_accepts_extint(&lapic));
    lapic_reset(&lapic, LAPIC_INIT);
    assert_true(lapic_accepts_extint(&lapic));
}

static void init_keeps_the_mode_and_power_up_does_not(void **state)
{
    (void)state;
    enter_x2apic();
    assert_true(request(0x41));
    assert_true(wrmsr(APIC_LVT_TIMER, APIC_LVT_TIMER_TSC_DEADLINE));
    lapic_set_tsc_deadline(&lapic, 5000);
    lapic_reset(&lapic, LAPIC_INIT);
    assert_true(lapic_is_x2apic(&lapic));
    assert_int_equal(rdmsr(APIC_ID), 3);
    assert_int_equal(rdmsr(APIC_LDR), 8);
    assert_int_equal(lapic_highest_irr(&lapic), -1);
    assert_int_equal(lapic_tsc_deadline(&lapic), 0);
    assert_false(lapic.timer.armed);
    lapic_reset(&lapic, LAPIC_POWER_UP);
    assert_false(lapic_is_x2apic(&lapic));
    assert_int_equal(lapic.base, APIC_DEFAULT_BASE | APIC_BASE_EN | APIC_BASE_BSP);
    assert_int_equal(read32(APIC_ID), 3u << 24);
}

/* --- priorities --- */

static void the_highest_vector_goes_first_and_classes_nest(void **state)
{
    (void)state;
    assert_true(request(0x31));
    assert_true(request(0x52));
    assert_true(request(0xfe));
    take(0xfe);
    assert_int_equal(lapic_pending_vector(&lapic), -1);
    assert_int_equal(read32(APIC_PPR), 0xf0);
    write32(APIC_EOI, 0);
    take(0x52);
    assert_true(request(0x5f)); /* higher, but of the same class */
    assert_int_equal(lapic_pending_vector(&lapic), -1);
    assert_true(request(0x60));
    take(0x60);
    assert_int_equal(lapic_highest_isr(&lapic), 0x60);
    write32(APIC_EOI, 0);
    assert_int_equal(lapic_highest_isr(&lapic), 0x52);
    assert_int_equal(lapic_pending_vector(&lapic), -1);
    write32(APIC_EOI, 0);
    take(0x5f);
    write32(APIC_EOI, 0);
    take(0x31);
    write32(APIC_EOI, 0);
    assert_int_equal(lapic_highest_isr(&lapic), -1);
    assert_int_equal(lapic_highest_irr(&lapic), -1);
    assert_int_equal(rig.eois, 0);
}

static void every_vector_finds_its_bit(void **state)
{
    (void)state;
    for (unsigned vector = APIC_VECTOR_MIN; vector < 256; vector++) {
        unsigned word = vector / 32 * 16;

        assert_true(request((uint8_t)vector));
        assert_int_equal(lapic_highest_irr(&lapic), vector);
        assert_int_equal(read32(APIC_IRR + word), 1u << vector % 32);
        take((uint8_t)vector);
        assert_int_equal(read32(APIC_IRR + word), 0);
        assert_int_equal(read32(APIC_ISR + word), 1u << vector % 32);
        write32(APIC_EOI, 0);
        assert_int_equal(read32(APIC_ISR + word), 0);
    }
}

static void the_tpr_holds_back_its_class_and_below(void **state)
{
    (void)state;
    assert_true(request(0x5f));
    write32(APIC_TPR, 0x50);
    assert_int_equal(lapic_pending_vector(&lapic), -1);
    assert_int_equal(lapic_tpr_threshold(&lapic), 5);
    write32(APIC_TPR, 0x4f);
    assert_int_equal(lapic_pending_vector(&lapic), 0x5f);
    assert_int_equal(lapic_tpr_threshold(&lapic), 0);
    lapic_set_tpr(&lapic, 0xf0);
    assert_int_equal(lapic_tpr(&lapic), 0xf0);
    assert_int_equal(lapic_pending_vector(&lapic), -1);
}

static void the_ppr_is_the_higher_of_tpr_and_service(void **state)
{
    (void)state;
    assert_true(request(0x45));
    take(0x45);
    assert_int_equal(lapic_ppr(&lapic), 0x40);
    write32(APIC_TPR, 0x47); /* same class: the TPR with its subclass */
    assert_int_equal(read32(APIC_PPR), 0x47);
    write32(APIC_TPR, 0x3f);
    assert_int_equal(read32(APIC_PPR), 0x40);
    write32(APIC_TPR, 0x81);
    assert_int_equal(read32(APIC_PPR), 0x81);
    assert_int_equal(peek(APIC_PPR), 0x81);
}

static void no_threshold_where_the_tpr_is_not_what_blocks(void **state)
{
    (void)state;
    assert_int_equal(lapic_tpr_threshold(&lapic), 0);
    assert_true(request(0x61));
    take(0x61);
    assert_true(request(0x55));
    write32(APIC_TPR, 0x80);
    assert_int_equal(lapic_tpr_threshold(&lapic), 0);
    write32(APIC_EOI, 0);
    assert_int_equal(lapic_tpr_threshold(&lapic), 5);
}

static void a_tpr_that_the_cpu_changed_counts(void **state)
{
    (void)state;
    assert_true(request(0x55));
    poke(APIC_TPR, 0x70);
    assert_int_equal(lapic_pending_vector(&lapic), -1);
    poke(APIC_TPR, 0x10);
    assert_int_equal(lapic_pending_vector(&lapic), 0x55);
}

static void lowering_the_tpr_notifies(void **state)
{
    (void)state;
    write32(APIC_TPR, 0xff);
    assert_int_equal(rig.notifications, 0);
    assert_true(request(0x55));
    reset_counters();
    write32(APIC_TPR, 0);
    assert_int_equal(rig.notifications, 1);
}

static void the_hint_is_never_wrongly_false(void **state)
{
    (void)state;
    assert_false(lapic_has_irr(&lapic));
    assert_true(request(0x30));
    assert_true(lapic_has_irr(&lapic));
    take(0x30);
    assert_true(lapic_has_irr(&lapic)); /* stale */
    assert_int_equal(lapic_highest_irr(&lapic), -1);
    assert_false(lapic_has_irr(&lapic));
    lapic_use_virtual_delivery(&lapic);
    assert_int_equal(lapic_highest_irr(&lapic), -1);
    poke(APIC_IRR + 0x20, 1u << 1); /* a self-IPI by the CPU alone */
    assert_true(lapic_has_irr(&lapic));
    assert_int_equal(lapic_pending_vector(&lapic), 0x41);
    lapic_reset(&lapic, LAPIC_INIT);
    assert_true(lapic_has_irr(&lapic));
}

static void an_empty_service_takes_an_eoi(void **state)
{
    (void)state;
    write32(APIC_EOI, 0x1234);
    assert_int_equal(rig.eois, 0);
    assert_int_equal(read32(APIC_EOI), 0);
    assert_int_equal(lapic_highest_isr(&lapic), -1);
}

/* --- accepting --- */

static void one_vector_twice_is_one(void **state)
{
    (void)state;
    assert_true(request(0x44));
    assert_true(request(0x44));
    assert_int_equal(rig.notifications, 2); /* the owner looks again: the trigger mode may be another */
    take(0x44);
    assert_int_equal(lapic_highest_irr(&lapic), -1);
    assert_true(request(0x44)); /* one in service, one waiting */
    assert_int_equal(rig.notifications, 3);
    assert_int_equal(lapic_pending_vector(&lapic), -1);
    write32(APIC_EOI, 0);
    assert_int_equal(rig.notifications, 4);
    take(0x44);
}

static void level_vectors_broadcast_their_eoi(void **state)
{
    uint64_t bitmap[4];

    (void)state;
    lapic_take_level_vectors_change(&lapic);
    assert_true(receive(APIC_DELIVERY_LOWEST, 0x7f, true));
    assert_true(receive(APIC_DELIVERY_FIXED, 0xa0, true));
    assert_true(lapic_take_level_vectors_change(&lapic));
    assert_false(lapic_take_level_vectors_change(&lapic));
    lapic_level_vectors(&lapic, bitmap);
    assert_int_equal(bitmap[0], 0);
    assert_int_equal(bitmap[1], 1ull << 63);
    assert_int_equal(bitmap[2], 1ull << 32);
    assert_int_equal(bitmap[3], 0);
    take(0xa0);
    write32(APIC_EOI, 0);
    assert_int_equal(rig.eois, 1);
    assert_int_equal(rig.last_eoi, 0xa0);
    assert_true(request(0x7f)); /* now by an edge */
    assert_true(lapic_take_level_vectors_change(&lapic));
    take(0x7f);
    write32(APIC_EOI, 0);
    assert_int_equal(rig.eois, 1);
}

static void directed_eoi_suppresses_the_broadcast(void **state)
{
    (void)state;
    write32(APIC_SVR, APIC_SVR_ENABLE | APIC_SVR_EOI_BROADCAST_DISABLED | 0xff);
    assert_true(receive(APIC_DELIVERY_FIXED, 0x50, true));
    take(0x50);
    write32(APIC_EOI, 0);
    lapic_eoi_induced(&lapic, 0x50);
    assert_int_equal(rig.eois, 0);
    assert_int_equal(lapic_highest_isr(&lapic), -1);
}

static void an_induced_eoi_only_broadcasts(void **state)
{
    (void)state;
    assert_true(receive(APIC_DELIVERY_FIXED, 0x50, true));
    take(0x50);
    assert_true(request(0x60));
    take(0x60);
    lapic_eoi_induced(&lapic, 0x50);
    assert_int_equal(rig.eois, 1);
    lapic_eoi_induced(&lapic, 0x60); /* not a level vector */
    assert_int_equal(rig.eois, 1);
    assert_int_equal(lapic_highest_isr(&lapic), 0x60);
}

static void a_disabled_apic_takes_only_what_it_must(void **state)
{
    (void)state;
    assert_true(request(0x33));
    write32(APIC_SVR, 0xff);
    assert_false(request(0x44));
    assert_int_equal(lapic_pending_vector(&lapic), -1); /* held */
    assert_true(receive(APIC_DELIVERY_NMI, 2, false));
    assert_int_equal(rig.last_delivery, APIC_DELIVERY_NMI);
    assert_true(receive(APIC_DELIVERY_INIT, 0, false));
    assert_true(receive(APIC_DELIVERY_STARTUP, 0x9a, false));
    assert_int_equal(rig.last_delivery, APIC_DELIVERY_STARTUP);
    assert_int_equal(rig.last_delivered_vector, 0x9a);
    write32(APIC_SVR, APIC_SVR_ENABLE | 0xff);
    assert_int_equal(lapic_pending_vector(&lapic), 0x33);
    assert_true(set_mode(0));
    assert_int_equal(rig.deliveries, 3);
    assert_false(receive(APIC_DELIVERY_NMI, 2, false));
    assert_int_equal(rig.deliveries, 3);
}

static void smi_and_reserved_modes_go_nowhere(void **state)
{
    (void)state;
    assert_false(receive(APIC_DELIVERY_SMI, 0x40, false));
    assert_false(receive(3, 0x40, false));
    assert_true(receive(APIC_DELIVERY_EXTINT, 0, false));
    assert_int_equal(rig.deliveries, 1);
    assert_int_equal(lapic_highest_irr(&lapic), -1);
}

/* --- interprocessor interrupts --- */

static void the_icr_sends_what_it_says(void **state)
{
    (void)state;
    write32(APIC_ICR_HIGH, 5u << 24);
    write32(APIC_ICR_LOW,
            APIC_ICR_LOGICAL | APIC_ICR_ASSERT | APIC_ICR_LEVEL | APIC_ICR_PENDING | 0x77);
    assert_int_equal(rig.sends, 1);
    assert_int_equal(rig.sent.destination, 5);
    assert_int_equal(rig.sent.vector, 0x77);
    assert_int_equal(rig.sent.delivery, APIC_DELIVERY_FIXED);
    assert_int_equal(rig.sent.shorthand, 0);
    assert_true(rig.sent.is_logical);
    assert_false(rig.sent.is_level);
    assert_ptr_equal(rig.sent.sender, &lapic);
    assert_false(read32(APIC_ICR_LOW) & APIC_ICR_PENDING);
    write32(APIC_ICR_HIGH, 0xff000000);
    write32(APIC_ICR_LOW, APIC_ICR_DELIVERY_NMI | APIC_ICR_ASSERT);
    assert_int_equal(rig.sent.destination, X2APIC_BROADCAST);
    assert_int_equal(rig.sent.delivery, APIC_DELIVERY_NMI);
    write32(APIC_ICR_LOW, APIC_ICR_DELIVERY_STARTUP | 0x9f | APIC_ICR_ALL_BUT_SELF);
    assert_int_equal(rig.sent.shorthand, APIC_ICR_ALL_BUT_SELF);
    assert_int_equal(rig.sends, 3);
}

static void the_icr_of_x2apic_is_one_write(void **state)
{
    (void)state;
    enter_x2apic();
    assert_true(wrmsr(APIC_ICR_LOW, 0xffull << 32 | 0x66));
    assert_int_equal(rig.sent.destination, 0xff); /* an ID like any other here */
    assert_true(wrmsr(APIC_ICR_LOW, 0xffffffffull << 32 | 0x66));
    assert_int_equal(rig.sent.destination, X2APIC_BROADCAST);
    assert_int_equal(peek(APIC_ICR_LOW + 4), 0xffffffff); /* where the CPU's RDMSR looks */
    assert_int_equal(rig.sends, 2);
}

static void an_init_deassert_is_nothing(void **state)
{
    (void)state;
    write32(APIC_ICR_LOW, APIC_ICR_DELIVERY_INIT | APIC_ICR_LEVEL | APIC_ICR_ALL);
    assert_int_equal(rig.sends, 0);
    write32(APIC_ICR_LOW, APIC_ICR_DELIVERY_INIT | APIC_ICR_LEVEL | APIC_ICR_ASSERT);
    assert_int_equal(rig.sends, 1);
    write32(APIC_ICR_LOW, APIC_DELIVERY_EXTINT << APIC_DELIVERY_SHIFT);
    assert_int_equal(rig.sends, 1);
}

static void a_self_ipi_needs_no_bus(void **state)
{
    (void)state;
    write32(APIC_ICR_LOW, APIC_ICR_SELF | 0x41);
    take(0x41);
    poke(APIC_ICR_LOW, APIC_ICR_SELF | 0x91); /* the CPU wrote it, and left it to us */
    lapic_write_trapped(&lapic, APIC_ICR_LOW);
    take(0x91);
    enter_x2apic();
    assert_true(wrmsr(APIC_SELF_IPI, 0xa2));
    take(0xa2);
    poke(APIC_SELF_IPI, 0x05);
    lapic_write_trapped(&lapic, APIC_SELF_IPI);
    assert_int_equal(peek(APIC_SELF_IPI), 0);
    assert_true(wrmsr(APIC_ESR, 0));
    assert_int_equal(rdmsr(APIC_ESR), APIC_ESR_SEND_ILLEGAL_VECTOR);
    assert_int_equal(rig.sends, 0);
}

/* --- pins --- */

static void pins_follow_their_lvt(void **state)
{
    (void)state;
    write32(APIC_LVT_LINT0, APIC_LVT_MASKED | APIC_LVT_DELIVERY_EXTINT);
    lapic_set_lint(&lapic, 0, true);
    assert_int_equal(rig.deliveries, 0);
    lapic_set_lint(&lapic, 0, false);
    reset_counters();
    write32(APIC_LVT_LINT0, APIC_LVT_DELIVERY_EXTINT);
    assert_int_equal(rig.notifications, 1);
    lapic_set_lint(&lapic, 0, true);
    lapic_set_lint(&lapic, 0, true);
    assert_int_equal(rig.deliveries, 1);
    assert_int_equal(rig.last_delivery, APIC_DELIVERY_EXTINT);
    write32(APIC_LVT_LINT1, APIC_LVT_DELIVERY_NMI);
    lapic_set_lint(&lapic, 1, true);
    assert_int_equal(rig.last_delivery, APIC_DELIVERY_NMI);
    lapic_set_lint(&lapic, 0, false);
    write32(APIC_LVT_LINT0, 0x31);
    assert_false(lapic_accepts_extint(&lapic));
    lapic_set_lint(&lapic, 0, true);
    take(0x31);
    lapic_set_lint(&lapic, 1, false);
    write32(APIC_LVT_LINT1, APIC_DELIVERY_SMI << 8);
    lapic_set_lint(&lapic, 1, true);
    assert_int_equal(rig.deliveries, 2);
    expect_panic(lapic_set_lint(&lapic, 2, true));
}

static void pins_of_a_disabled_apic_are_the_cpus(void **state)
{
    (void)state;
    assert_true(set_mode(0));
    lapic_set_lint(&lapic, 0, true);
    assert_int_equal(rig.last_delivery, APIC_DELIVERY_EXTINT);
    lapic_set_lint(&lapic, 1, true);
    assert_int_equal(rig.last_delivery, APIC_DELIVERY_NMI);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(powers_up_as_the_manual_says, lapic_rig_set_up),
        cmocka_unit_test_setup(the_boot_cpu_starts_with_the_pic_wired, lapic_rig_set_up),
        cmocka_unit_test_setup(init_keeps_the_mode_and_power_up_does_not, lapic_rig_set_up),
        cmocka_unit_test_setup(the_highest_vector_goes_first_and_classes_nest, lapic_rig_set_up),
        cmocka_unit_test_setup(every_vector_finds_its_bit, lapic_rig_set_up),
        cmocka_unit_test_setup(the_tpr_holds_back_its_class_and_below, lapic_rig_set_up),
        cmocka_unit_test_setup(the_ppr_is_the_higher_of_tpr_and_service, lapic_rig_set_up),
        cmocka_unit_test_setup(no_threshold_where_the_tpr_is_not_what_blocks, lapic_rig_set_up),
        cmocka_unit_test_setup(a_tpr_that_the_cpu_changed_counts, lapic_rig_set_up),
        cmocka_unit_test_setup(lowering_the_tpr_notifies, lapic_rig_set_up),
        cmocka_unit_test_setup(the_hint_is_never_wrongly_false, lapic_rig_set_up),
        cmocka_unit_test_setup(an_empty_service_takes_an_eoi, lapic_rig_set_up),
        cmocka_unit_test_setup(one_vector_twice_is_one, lapic_rig_set_up),
        cmocka_unit_test_setup(level_vectors_broadcast_their_eoi, lapic_rig_set_up),
        cmocka_unit_test_setup(directed_eoi_suppresses_the_broadcast, lapic_rig_set_up),
        cmocka_unit_test_setup(an_induced_eoi_only_broadcasts, lapic_rig_set_up),
        cmocka_unit_test_setup(a_disabled_apic_takes_only_what_it_must, lapic_rig_set_up),
        cmocka_unit_test_setup(smi_and_reserved_modes_go_nowhere, lapic_rig_set_up),
        cmocka_unit_test_setup(the_icr_sends_what_it_says, lapic_rig_set_up),
        cmocka_unit_test_setup(the_icr_of_x2apic_is_one_write, lapic_rig_set_up),
        cmocka_unit_test_setup(an_init_deassert_is_nothing, lapic_rig_set_up),
        cmocka_unit_test_setup(a_self_ipi_needs_no_bus, lapic_rig_set_up),
        cmocka_unit_test_setup(pins_follow_their_lvt, lapic_rig_set_up),
        cmocka_unit_test_setup(pins_of_a_disabled_apic_are_the_cpus, lapic_rig_set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
