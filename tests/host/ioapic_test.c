/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: an edge is sent once or never, a level until it is serviced and no more than once per
 * EOI, and whatever a guest writes into a redirection entry, the number of messages stays bounded
 * by its own doings.
 */
#include "tests/host/fake/lapic_rig.h"
#include "drivers/virt/ioapic.h"
#include <errno.h>

#define VECTOR 0x51
#define INPUT  9u

static struct apic_bus bus;
static struct ioapic ioapic;
static const struct lapic_wiring *rig_wiring;

static void broadcast_eoi(void *context, uint8_t vector)
{
    rig_wiring->broadcast_eoi(context, vector);
    apic_bus_broadcast_eoi(&bus, vector);
}

static int set_up(void **state)
{
    static struct lapic_wiring wiring;

    lapic_rig_set_up(state);
    rig_wiring = lapic.wiring;
    wiring = *rig_wiring;
    wiring.broadcast_eoi = broadcast_eoi;
    lapic.wiring = &wiring;
    apic_bus_init(&bus);
    assert_int_equal(apic_bus_attach(&bus, &lapic), 0);
    assert_int_equal(ioapic_init(&ioapic, &bus), 0);
    return 0;
}

static uint32_t get(unsigned index)
{
    ioapic_ops.write(&ioapic, IOAPIC_REGSEL, 4, index);
    return (uint32_t)ioapic_ops.read(&ioapic, IOAPIC_WIN, 4);
}

static void set(unsigned index, uint32_t value)
{
    ioapic_ops.write(&ioapic, IOAPIC_REGSEL, 4, index);
    ioapic_ops.write(&ioapic, IOAPIC_WIN, 4, value);
}

static unsigned low_half(unsigned input)
{
    return IOAPIC_REDTBL + 2 * input;
}

static void program(unsigned input, uint32_t low)
{
    set(low_half(input) + 1, 3u << 24);
    set(low_half(input), low);
}

static bool has_remote_irr(unsigned input)
{
    return get(low_half(input)) & IOAPIC_RTE_REMOTE_IRR;
}

static bool is_requested(void)
{
    lapic_take_posted(&lapic);
    return lapic_highest_irr(&lapic) == VECTOR;
}

static void serve(void)
{
    take(VECTOR);
    write32(APIC_EOI, 0);
}

static void pulse(unsigned input)
{
    ioapic_set_line(&ioapic, input, true);
    ioapic_set_line(&ioapic, input, false);
}

/* --- registers --- */

static void looks_like_an_82093aa(void **state)
{
    (void)state;
    assert_int_equal(get(IOAPIC_VER), IOAPIC_VERSION | (IOAPIC_INPUTS - 1) << IOAPIC_VER_ENTRIES_SHIFT);
    assert_int_equal(get(IOAPIC_ID), 0);
    set(IOAPIC_ID, 0xffffffff);
    assert_int_equal(get(IOAPIC_ID), 0x0f000000);
    assert_int_equal(get(IOAPIC_ARB), 0x0f000000);
    set(IOAPIC_VER, 0xffffffff);
    set(IOAPIC_ARB, 0);
    assert_int_equal(get(IOAPIC_VER), IOAPIC_VERSION | (IOAPIC_INPUTS - 1) << IOAPIC_VER_ENTRIES_SHIFT);
    assert_int_equal(get(IOAPIC_ARB), 0x0f000000);
    for (unsigned i = 0; i < IOAPIC_INPUTS; i++) {
        assert_int_equal(get(low_half(i)), IOAPIC_RTE_MASKED);
        assert_int_equal(get(low_half(i) + 1), 0);
    }
}

static void entries_keep_the_bits_that_exist(void **state)
{
    (void)state;
    for (unsigned i = 0; i < IOAPIC_INPUTS; i++) {
        set(low_half(i), 0xffffffff);
        set(low_half(i) + 1, 0xffffffff);
        assert_int_equal(get(low_half(i)), 0x0001afff);
        assert_int_equal(get(low_half(i) + 1), 0xff000000);
    }
}

static void other_registers_and_offsets_are_nothing(void **state)
{
    struct ioapic before;

    (void)state;
    for (unsigned index = 0; index < 256; index++) {
        if (index <= IOAPIC_ARB ||
            (index >= IOAPIC_REDTBL && index < IOAPIC_REDTBL + 2 * IOAPIC_INPUTS))
            continue;
        set(index, 0xffffffff);
        assert_int_equal(get(index), 0);
    }
    ioapic_ops.write(&ioapic, IOAPIC_REGSEL, 4, 0xffffff00u | low_half(0));
    assert_int_equal(ioapic_ops.read(&ioapic, IOAPIC_REGSEL, 4), low_half(0));
    before = ioapic;
    for (unsigned offset = 1; offset < PAGE_SIZE; offset++) {
        if (offset == IOAPIC_WIN || offset == IOAPIC_EOI)
            continue;
        ioapic_ops.write(&ioapic, offset, 4, 0x1234);
        assert_int_equal(ioapic_ops.read(&ioapic, offset, 4), 0);
    }
    ioapic_ops.write(&ioapic, IOAPIC_WIN, 1, 0x12); /* not the whole window */
    ioapic_ops.write(&ioapic, IOAPIC_WIN, 2, 0x1234);
    before.lock = ioapic.lock; /* it has been taken, and given back */
    assert_memory_equal(&before, &ioapic, sizeof before);
}

static void reset_keeps_the_lines(void **state)
{
    (void)state;
    program(INPUT, IOAPIC_RTE_LEVEL | VECTOR);
    ioapic_set_line(&ioapic, INPUT, true);
    serve();
    set(IOAPIC_ID, 0x05000000);
    ioapic_reset(&ioapic);
    assert_int_equal(get(low_half(INPUT)), IOAPIC_RTE_MASKED);
    assert_int_equal(get(IOAPIC_ID), 0);
    lapic_reset(&lapic, LAPIC_POWER_UP);
    write32(APIC_SVR, APIC_SVR_ENABLE | 0xff);
    program(INPUT, IOAPIC_RTE_LEVEL | VECTOR);
    assert_true(is_requested());
}

static void the_bus_has_room_for_few(void **state)
{
    struct ioapic others[APIC_BUS_IOAPICS_MAX];

    (void)state;
    for (unsigned i = 0; i + 1 < APIC_BUS_IOAPICS_MAX; i++)
        assert_int_equal(ioapic_init(&others[i], &bus), 0);
    assert_int_equal(ioapic_init(&others[APIC_BUS_IOAPICS_MAX - 1], &bus), -ENOSPC);
    expect_panic(ioapic_set_line(&ioapic, IOAPIC_INPUTS, true));
}

/* --- edges --- */

static void an_edge_is_sent_once(void **state)
{
    (void)state;
    program(INPUT, VECTOR);
    ioapic_set_line(&ioapic, INPUT, true);
    serve();
    ioapic_set_line(&ioapic, INPUT, true); /* still high: no edge */
    assert_false(is_requested());
    ioapic_set_line(&ioapic, INPUT, false);
    assert_false(is_requested());
    ioapic_set_line(&ioapic, INPUT, true);
    serve();
    assert_false(has_remote_irr(INPUT));
    assert_int_equal(rig.eois, 0);
}

static void an_edge_under_the_mask_is_lost(void **state)
{
    (void)state;
    program(INPUT, IOAPIC_RTE_MASKED | VECTOR);
    pulse(INPUT);
    ioapic_set_line(&ioapic, INPUT, true);
    program(INPUT, VECTOR);
    assert_false(is_requested());
    ioapic_set_line(&ioapic, INPUT, false);
    pulse(INPUT);
    assert_true(is_requested());
}

static void every_input_has_its_entry(void **state)
{
    (void)state;
    for (unsigned i = 0; i < IOAPIC_INPUTS; i++)
        program(i, 0x40 + i);
    for (unsigned i = 0; i < IOAPIC_INPUTS; i++) {
        pulse(i);
        take((uint8_t)(0x40 + i));
        write32(APIC_EOI, 0);
    }
}

static void polarity_is_not_our_business(void **state)
{
    (void)state;
    program(INPUT, IOAPIC_RTE_ACTIVE_LOW | VECTOR);
    assert_false(is_requested());
    pulse(INPUT);
    serve();
    program(INPUT, IOAPIC_RTE_ACTIVE_LOW | IOAPIC_RTE_LEVEL | VECTOR);
    assert_false(is_requested());
    ioapic_set_line(&ioapic, INPUT, true);
    assert_true(is_requested());
}

static void other_delivery_modes_are_edges(void **state)
{
    (void)state;
    program(0, (APIC_DELIVERY_EXTINT << APIC_DELIVERY_SHIFT) | IOAPIC_RTE_LEVEL);
    ioapic_set_line(&ioapic, 0, true);
    ioapic_set_line(&ioapic, 0, true);
    assert_int_equal(rig.deliveries, 1);
    assert_int_equal(rig.last_delivery, APIC_DELIVERY_EXTINT);
    assert_false(has_remote_irr(0));
    program(1, APIC_DELIVERY_NMI << APIC_DELIVERY_SHIFT);
    pulse(1);
    assert_int_equal(rig.last_delivery, APIC_DELIVERY_NMI);
}

/* --- levels --- */

static void a_level_is_sent_until_it_is_serviced(void **state)
{
    (void)state;
    program(INPUT, IOAPIC_RTE_LEVEL | VECTOR);
    ioapic_set_line(&ioapic, INPUT, true);
    assert_true(has_remote_irr(INPUT));
    take(VECTOR);
    ioapic_set_line(&ioapic, INPUT, true); /* in service: nothing new */
    assert_false(is_requested());
    ioapic_set_line(&ioapic, INPUT, false); /* the handler quiets the device */
    assert_true(has_remote_irr(INPUT));
    write32(APIC_EOI, 0);
    assert_false(has_remote_irr(INPUT));
    assert_false(is_requested());
    ioapic_set_line(&ioapic, INPUT, true);
    serve();
}

static void a_level_that_stays_costs_one_message_an_eoi(void **state)
{
    (void)state;
    program(INPUT, IOAPIC_RTE_LEVEL | VECTOR);
    ioapic_set_line(&ioapic, INPUT, true);
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(is_requested());
        serve();
        assert_int_equal(rig.eois, i + 1);
    }
    ioapic_set_line(&ioapic, INPUT, false);
    serve();
    assert_false(is_requested());
}

static void a_masked_level_waits_for_the_unmask(void **state)
{
    (void)state;
    program(INPUT, IOAPIC_RTE_MASKED | IOAPIC_RTE_LEVEL | VECTOR);
    ioapic_set_line(&ioapic, INPUT, true);
    assert_false(is_requested());
    program(INPUT, IOAPIC_RTE_LEVEL | VECTOR);
    take(VECTOR);
    program(INPUT, IOAPIC_RTE_MASKED | IOAPIC_RTE_LEVEL |
                       VECTOR); /* a threaded handler's way: mask, EOI, unmask */
    assert_true(has_remote_irr(INPUT));
    write32(APIC_EOI, 0);
    assert_false(is_requested());
    assert_false(has_remote_irr(INPUT));
    program(INPUT, IOAPIC_RTE_LEVEL | VECTOR);
    assert_true(is_requested());
}

static unsigned samples, sampled_input;
static bool is_still_there;

static void note_sample(void *context, unsigned input)
{
    samples++;
    sampled_input = input;
    if (is_still_there)
        ioapic_set_line(context, input, true); /* the lock is not held */
}

/* Whoever raised it is asked once an interrupt is over, however that is said, and not before. */
static void a_sampled_line_is_lowered_by_its_eoi(void **state)
{
    const struct ioapic_sampler sampler = {note_sample, &ioapic};

    (void)state;
    samples = 0;
    is_still_there = true;
    ioapic_sample(&ioapic, BIT(IOAPIC_INPUTS - 1), &sampler);
    program(INPUT, IOAPIC_RTE_LEVEL | VECTOR);
    program(IOAPIC_INPUTS - 1, IOAPIC_RTE_LEVEL | VECTOR);
    ioapic_set_line(&ioapic, INPUT, true);
    serve();
    assert_int_equal(samples, 0); /* the other one's */
    ioapic_set_line(&ioapic, INPUT, false);
    serve();
    ioapic_set_line(&ioapic, IOAPIC_INPUTS - 1, true);
    serve();
    assert_int_equal(samples, 1);
    assert_int_equal(sampled_input, IOAPIC_INPUTS - 1);
    assert_true(is_requested());
    is_still_there = false;
    serve();
    assert_int_equal(samples, 2);
    assert_false(is_requested());
}

static void a_sampled_line_is_lowered_by_hand(void **state)
{
    const struct ioapic_sampler sampler = {note_sample, &ioapic};

    (void)state;
    samples = 0;
    is_still_there = false;
    ioapic_sample(&ioapic, BIT(INPUT), &sampler);
    program(INPUT, IOAPIC_RTE_LEVEL | VECTOR);
    ioapic_set_line(&ioapic, INPUT, true);
    take(VECTOR);
    set(low_half(INPUT), IOAPIC_RTE_MASKED | VECTOR);
    assert_int_equal(samples, 1);
    set(low_half(INPUT), IOAPIC_RTE_LEVEL | VECTOR);
    write32(APIC_EOI, 0);
    assert_false(is_requested());
    ioapic_set_line(&ioapic, INPUT, true);
    ioapic_ops.write(&ioapic, IOAPIC_EOI, 4, VECTOR);
    assert_int_equal(samples, 2);
}

static void one_that_went_away_under_the_mask_is_gone(void **state)
{
    (void)state;
    program(INPUT, IOAPIC_RTE_MASKED | IOAPIC_RTE_LEVEL | VECTOR);
    ioapic_set_line(&ioapic, INPUT, true);
    ioapic_set_line(&ioapic, INPUT, false);
    program(INPUT, IOAPIC_RTE_LEVEL | VECTOR);
    assert_false(is_requested());
}

static void remote_irr_survives_writes_of_its_entry(void **state)
{
    (void)state;
    program(INPUT, IOAPIC_RTE_LEVEL | VECTOR);
    ioapic_set_line(&ioapic, INPUT, true);
    take(VECTOR);
    program(INPUT, IOAPIC_RTE_LEVEL | VECTOR); /* not a second message */
    assert_false(is_requested());
    assert_true(has_remote_irr(INPUT));
    set(low_half(INPUT), IOAPIC_RTE_MASKED | VECTOR); /* to edge and back ends it by hand */
    assert_false(has_remote_irr(INPUT));
    set(low_half(INPUT), IOAPIC_RTE_LEVEL | VECTOR);
    assert_true(is_requested());
}

static void the_eoi_register_ends_a_level(void **state)
{
    (void)state;
    write32(APIC_SVR, APIC_SVR_ENABLE | APIC_SVR_EOI_BROADCAST_DISABLED | 0xff);
    program(INPUT, IOAPIC_RTE_LEVEL | VECTOR);
    ioapic_set_line(&ioapic, INPUT, true);
    serve();
    assert_true(has_remote_irr(INPUT));
    ioapic_ops.write(&ioapic, IOAPIC_EOI, 4, VECTOR + 1);
    assert_true(has_remote_irr(INPUT));
    ioapic_set_line(&ioapic, INPUT, false);
    ioapic_ops.write(&ioapic, IOAPIC_EOI, 4, VECTOR);
    assert_false(has_remote_irr(INPUT));
}

static void a_shared_vector_ends_both(void **state)
{
    (void)state;
    program(10, IOAPIC_RTE_LEVEL | VECTOR);
    program(11, IOAPIC_RTE_LEVEL | VECTOR);
    ioapic_set_line(&ioapic, 10, true);
    ioapic_set_line(&ioapic, 11, true);
    take(VECTOR);
    ioapic_set_line(&ioapic, 10, false);
    write32(APIC_EOI, 0);
    assert_false(has_remote_irr(10));
    assert_true(has_remote_irr(11));
    assert_true(is_requested());
}

static void a_level_that_nobody_took_is_tried_again(void **state)
{
    (void)state;
    set(low_half(INPUT) + 1, 44u << 24); /* there is no such CPU */
    set(low_half(INPUT), IOAPIC_RTE_LEVEL | VECTOR);
    ioapic_set_line(&ioapic, INPUT, true);
    assert_false(has_remote_irr(INPUT));
    set(low_half(INPUT) + 1, 3u << 24);
    assert_true(has_remote_irr(INPUT));
    assert_true(is_requested());
}

static void destinations_reach_the_bus(void **state)
{
    (void)state;
    set(low_half(INPUT) + 1, 0xff000000);
    set(low_half(INPUT), VECTOR);
    pulse(INPUT);
    serve();
    write32(APIC_LDR, 0x10000000);
    set(low_half(INPUT) + 1, 0x30000000);
    set(low_half(INPUT), IOAPIC_RTE_LOGICAL | APIC_ICR_DELIVERY_LOWEST | IOAPIC_RTE_LEVEL | VECTOR);
    ioapic_set_line(&ioapic, INPUT, true);
    assert_true(is_requested());
    assert_true(has_remote_irr(INPUT));
}

static void an_illegal_vector_is_the_receivers_error(void **state)
{
    (void)state;
    program(INPUT, IOAPIC_RTE_LEVEL | 0x0f);
    ioapic_set_line(&ioapic, INPUT, true);
    assert_false(has_remote_irr(INPUT));
    write32(APIC_ESR, 0);
    assert_int_equal(read32(APIC_ESR), APIC_ESR_RECEIVE_ILLEGAL_VECTOR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(looks_like_an_82093aa, set_up),
        cmocka_unit_test_setup(entries_keep_the_bits_that_exist, set_up),
        cmocka_unit_test_setup(other_registers_and_offsets_are_nothing, set_up),
        cmocka_unit_test_setup(reset_keeps_the_lines, set_up),
        cmocka_unit_test_setup(the_bus_has_room_for_few, set_up),
        cmocka_unit_test_setup(an_edge_is_sent_once, set_up),
        cmocka_unit_test_setup(an_edge_under_the_mask_is_lost, set_up),
        cmocka_unit_test_setup(every_input_has_its_entry, set_up),
        cmocka_unit_test_setup(polarity_is_not_our_business, set_up),
        cmocka_unit_test_setup(other_delivery_modes_are_edges, set_up),
        cmocka_unit_test_setup(a_level_is_sent_until_it_is_serviced, set_up),
        cmocka_unit_test_setup(a_level_that_stays_costs_one_message_an_eoi, set_up),
        cmocka_unit_test_setup(a_masked_level_waits_for_the_unmask, set_up),
        cmocka_unit_test_setup(a_sampled_line_is_lowered_by_its_eoi, set_up),
        cmocka_unit_test_setup(a_sampled_line_is_lowered_by_hand, set_up),
        cmocka_unit_test_setup(one_that_went_away_under_the_mask_is_gone, set_up),
        cmocka_unit_test_setup(remote_irr_survives_writes_of_its_entry, set_up),
        cmocka_unit_test_setup(the_eoi_register_ends_a_level, set_up),
        cmocka_unit_test_setup(a_shared_vector_ends_both, set_up),
        cmocka_unit_test_setup(a_level_that_nobody_took_is_tried_again, set_up),
        cmocka_unit_test_setup(destinations_reach_the_bus, set_up),
        cmocka_unit_test_setup(an_illegal_vector_is_the_receivers_error, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
