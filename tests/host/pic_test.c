/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever a guest programs, INTR is up exactly when an acknowledge would give a vector, that vector is the
 * one of the highest priority, and no request is lost or invented on its way through the cascade.
 */
#include "tests/host/fake/fake.h"
#include "drivers/virt/pic.h"

#define MASTER_BASE 0x20
#define SLAVE_BASE  0x28
#define EOI         PIC_OCW2_EOI
#define EOI_LEVEL   (PIC_OCW2_EOI | PIC_OCW2_SL)

static struct pic pic;
static struct fake_irq intr;

static uint8_t in(struct pic_chip *chip, unsigned offset)
{
    return (uint8_t)pic_ops.read(chip, offset, 1);
}

static void out(struct pic_chip *chip, unsigned offset, unsigned value)
{
    pic_ops.write(chip, offset, 1, value);
}

static void set_elcr(unsigned levels)
{
    pic_elcr_ops.write(&pic, 0, 1, levels & 0xff);
    pic_elcr_ops.write(&pic, 1, 1, levels >> 8);
}

static void initialize(struct pic_chip *chip, unsigned base, unsigned icw4)
{
    out(chip, 0, PIC_ICW1_SELECT | PIC_ICW1_IC4);
    out(chip, 1, base);
    out(chip, 1, chip == &pic.master ? 1 << 2 : 2);
    out(chip, 1, icw4 | PIC_ICW4_UPM);
}

static void pulse(unsigned input)
{
    pic_set_line(&pic, input, true);
    pic_set_line(&pic, input, false);
}

static int acknowledge(void)
{
    assert_true(pic_is_pending(&pic));
    assert_true(intr.level);
    return pic_acknowledge(&pic);
}

static uint8_t isr(struct pic_chip *chip)
{
    out(chip, 0, PIC_OCW3_SELECT | PIC_OCW3_RR | PIC_OCW3_RIS);
    return in(chip, 0);
}

static uint8_t irr(struct pic_chip *chip)
{
    out(chip, 0, PIC_OCW3_SELECT | PIC_OCW3_RR);
    return in(chip, 0);
}

static int set_up(void **state)
{
    (void)state;
    pic_init(&pic, fake_irq_line(&intr, 0));
    initialize(&pic.master, MASTER_BASE, 0);
    initialize(&pic.slave, SLAVE_BASE, 0);
    return 0;
}

static void asks_for_nothing_before_it_is_initialized(void **state)
{
    (void)state;
    pic_init(&pic, fake_irq_line(&intr, 0));
    pulse(0);
    pulse(8);
    assert_false(pic_is_pending(&pic));
    out(&pic.master, 1, 0xfb); /* a probe: the mask reads back */
    assert_int_equal(in(&pic.master, 1), 0xfb);
    initialize(&pic.master, MASTER_BASE, 0);
    assert_false(pic_is_pending(&pic)); /* ICW1 forgets edges */
    assert_int_equal(in(&pic.master, 1), 0);
    pulse(0);
    assert_int_equal(acknowledge(), MASTER_BASE);
}

static void each_input_has_its_vector(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PIC_INPUTS; i++) {
        if (i == 2)
            continue;
        pulse(i);
        assert_int_equal(acknowledge(), i < 8 ? MASTER_BASE + i : SLAVE_BASE + i - 8);
        assert_false(pic_is_pending(&pic));
        if (i >= 8)
            out(&pic.slave, 0, EOI);
        out(&pic.master, 0, EOI);
        assert_int_equal(isr(&pic.master) | isr(&pic.slave), 0);
    }
}

static void the_cascade_input_takes_nothing(void **state)
{
    (void)state;
    pulse(2);
    assert_false(pic_is_pending(&pic));
    assert_int_equal(irr(&pic.master), 0);
    expect_panic(pic_set_line(&pic, PIC_INPUTS, true));
}

static void lower_priorities_wait_for_eoi(void **state)
{
    (void)state;
    pulse(4);
    assert_int_equal(acknowledge(), MASTER_BASE + 4);
    pulse(5);
    pulse(4);
    pulse(7);
    assert_false(pic_is_pending(&pic));
    pulse(1);
    assert_int_equal(acknowledge(), MASTER_BASE + 1);
    assert_int_equal(isr(&pic.master), 0x12);
    assert_int_equal(irr(&pic.master), 0xb0);
    out(&pic.master, 0, EOI);
    assert_int_equal(isr(&pic.master), 0x10);
    assert_false(pic_is_pending(&pic));
    out(&pic.master, 0, EOI_LEVEL | 4);
    assert_int_equal(acknowledge(), MASTER_BASE + 4);
    out(&pic.master, 0, EOI);
    assert_int_equal(acknowledge(), MASTER_BASE + 5);
    out(&pic.master, 0, EOI);
    assert_int_equal(acknowledge(), MASTER_BASE + 7);
    out(&pic.master, 0, EOI);
    out(&pic.master, 0, EOI); /* one too many is harmless */
    assert_false(pic_is_pending(&pic));
}

static void the_slave_stands_at_input_two(void **state)
{
    (void)state;
    pulse(3);
    pulse(15);
    pulse(8);
    assert_int_equal(acknowledge(), SLAVE_BASE);
    assert_int_equal(isr(&pic.master), 1 << 2);
    assert_false(pic_is_pending(&pic));
    out(&pic.slave, 0, EOI);
    assert_false(pic_is_pending(&pic)); /* the master still serves input 2 */
    out(&pic.master, 0, EOI);
    assert_int_equal(acknowledge(), SLAVE_BASE + 7);
    out(&pic.master, 0, EOI);
    assert_int_equal(acknowledge(), MASTER_BASE + 3);
}

static void masks_hold_back_but_do_not_forget(void **state)
{
    (void)state;
    out(&pic.master, 1, 0xff);
    pulse(0);
    assert_false(pic_is_pending(&pic));
    assert_int_equal(irr(&pic.master), 1);
    out(&pic.master, 1, 0xfe);
    assert_int_equal(acknowledge(), MASTER_BASE);
    out(&pic.master, 0, EOI);
    pulse(9);
    assert_false(pic_is_pending(&pic)); /* input 2 is masked */
    out(&pic.master, 1, 0xfb);
    assert_int_equal(acknowledge(), SLAVE_BASE + 1);
}

static void an_edge_counts_once(void **state)
{
    (void)state;
    pic_set_line(&pic, 4, true);
    assert_int_equal(acknowledge(), MASTER_BASE + 4);
    out(&pic.master, 0, EOI);
    pic_set_line(&pic, 4, true);
    assert_false(pic_is_pending(&pic));
    pulse(4);
    assert_false(pic_is_pending(&pic)); /* it was up all the time */
    pulse(4);
    assert_true(pic_is_pending(&pic));
}

static void a_level_asks_for_as_long_as_it_is_up(void **state)
{
    (void)state;
    set_elcr(0xffff);
    assert_int_equal(pic_elcr_ops.read(&pic, 0, 1), 0xf8); /* 0, 1, 2, 8, 13 stay edges */
    assert_int_equal(pic_elcr_ops.read(&pic, 1, 1), 0xde);
    pic_set_line(&pic, 9, true);
    assert_int_equal(acknowledge(), SLAVE_BASE + 1);
    out(&pic.slave, 0, EOI);
    out(&pic.master, 0, EOI);
    assert_int_equal(acknowledge(), SLAVE_BASE + 1);
    out(&pic.slave, 0, EOI);
    pic_set_line(&pic, 9, false);
    out(&pic.master, 0, EOI);
    assert_int_equal(irr(&pic.slave), 0);
    pic_set_line(&pic, 5, true);
    assert_true(pic_is_pending(&pic));
    pic_set_line(&pic, 5, false);
    assert_false(pic_is_pending(&pic));
}

static void elcr_acts_on_a_line_that_is_up(void **state)
{
    (void)state;
    pic_set_line(&pic, 10, true);
    initialize(&pic.slave, SLAVE_BASE, 0); /* the edge is forgotten */
    assert_int_equal(irr(&pic.slave), 0);
    set_elcr(1 << 10);
    assert_int_equal(acknowledge(), SLAVE_BASE + 2);
    initialize(&pic.slave, SLAVE_BASE, 0); /* a level survives ICW1 */
    assert_int_equal(irr(&pic.slave), 1 << 2);
}

static void a_request_that_has_gone_is_spurious(void **state)
{
    (void)state;
    set_elcr(1 << 5 | 1 << 10);
    pic_set_line(&pic, 5, true);
    pic_set_line(&pic, 5, false);
    assert_int_equal(pic_acknowledge(&pic), MASTER_BASE + 7);
    assert_int_equal(isr(&pic.master), 0); /* no EOI is due */
    pic_set_line(&pic, 10, true);
    pic_set_line(&pic, 10, false);
    assert_false(pic_is_pending(&pic)); /* the slave has withdrawn it */
    assert_int_equal(pic_acknowledge(&pic), MASTER_BASE + 7);
    pulse(11);
    assert_int_equal(irr(&pic.master), 1 << 2);
    out(&pic.slave, 1, 1 << 3);
    assert_int_equal(irr(&pic.master), 0);
}

static void a_poll_of_the_slave_takes_its_request_away(void **state)
{
    (void)state;
    pulse(8);
    out(&pic.slave, 0, PIC_OCW3_SELECT | PIC_OCW3_P);
    assert_int_equal(in(&pic.slave, 0), PIC_POLL_I);
    assert_false(pic_is_pending(&pic));
}

static void auto_eoi_leaves_nothing_in_service(void **state)
{
    (void)state;
    initialize(&pic.master, MASTER_BASE, PIC_ICW4_AEOI);
    initialize(&pic.slave, SLAVE_BASE, PIC_ICW4_AEOI);
    pulse(8);
    pulse(9);
    pulse(6);
    assert_int_equal(acknowledge(), SLAVE_BASE);
    assert_int_equal(acknowledge(), SLAVE_BASE + 1); /* the slave asks again: the master needs its edge */
    assert_int_equal(acknowledge(), MASTER_BASE + 6);
    assert_int_equal(isr(&pic.master), 0);
    assert_false(pic_is_pending(&pic));
}

static void auto_eoi_rotates_when_told(void **state)
{
    (void)state;
    initialize(&pic.master, MASTER_BASE, PIC_ICW4_AEOI);
    out(&pic.master, 0, PIC_OCW2_R);
    pulse(3);
    assert_int_equal(acknowledge(), MASTER_BASE + 3);
    pulse(3);
    pulse(1);
    pulse(4);
    assert_int_equal(acknowledge(), MASTER_BASE + 4);
    out(&pic.master, 0, 0); /* R, SL, EOI clear: rotate no more */
    assert_int_equal(acknowledge(), MASTER_BASE + 1);
    pulse(4);
    assert_int_equal(acknowledge(), MASTER_BASE + 3); /* 4 is the lowest still */
}

static void priorities_rotate(void **state)
{
    (void)state;
    pulse(1);
    acknowledge();
    out(&pic.master, 0, PIC_OCW2_R | PIC_OCW2_EOI); /* 1 becomes the lowest */
    pulse(0);
    pulse(1);
    pulse(7);
    assert_int_equal(acknowledge(), MASTER_BASE + 7);
    out(&pic.master, 0, PIC_OCW2_R | EOI_LEVEL | 7); /* 7 the lowest: as at first */
    assert_int_equal(acknowledge(), MASTER_BASE + 0);
    out(&pic.master, 0, EOI);
    pulse(0);
    out(&pic.master, 0, PIC_OCW2_R | PIC_OCW2_SL | 0); /* set priority */
    assert_int_equal(acknowledge(), MASTER_BASE + 1);
    pulse(3);
    assert_false(pic_is_pending(&pic));
    out(&pic.master, 0, PIC_OCW2_SL | 1); /* no operation */
    out(&pic.master, 0, PIC_OCW2_R | PIC_OCW2_SL | 1); /* sets priority, ends nothing */
    assert_int_equal(isr(&pic.master), 1 << 1);
}

static void special_mask_lets_lower_priorities_through(void **state)
{
    (void)state;
    pulse(1);
    acknowledge();
    pulse(6);
    out(&pic.master, 1, 1 << 1);
    assert_false(pic_is_pending(&pic));
    out(&pic.master, 0, PIC_OCW3_SELECT | PIC_OCW3_ESMM | PIC_OCW3_SMM);
    assert_int_equal(acknowledge(), MASTER_BASE + 6);
    out(&pic.master, 0, EOI); /* does not touch what is masked */
    assert_int_equal(isr(&pic.master), 1 << 1);
    out(&pic.master, 0, EOI);
    assert_int_equal(isr(&pic.master), 1 << 1);
    out(&pic.master, 0, PIC_OCW3_SELECT | PIC_OCW3_SMM); /* without ESMM: nothing changes */
    out(&pic.master, 0, PIC_OCW3_SELECT | PIC_OCW3_ESMM);
    pulse(6);
    assert_false(pic_is_pending(&pic));
    out(&pic.master, 0, EOI_LEVEL | 1);
    assert_true(pic_is_pending(&pic));
}

static void special_fully_nested_lets_the_slave_nest(void **state)
{
    (void)state;
    initialize(&pic.master, MASTER_BASE, PIC_ICW4_SFNM);
    pulse(12);
    assert_int_equal(acknowledge(), SLAVE_BASE + 4);
    pulse(3);
    assert_false(pic_is_pending(&pic));
    pulse(8);
    assert_int_equal(acknowledge(), SLAVE_BASE);
}

static void a_poll_acknowledges(void **state)
{
    (void)state;
    out(&pic.master, 0, PIC_OCW3_SELECT | PIC_OCW3_P);
    assert_int_equal(in(&pic.master, 0), 0);
    pulse(8);
    out(&pic.master, 0, PIC_OCW3_SELECT | PIC_OCW3_P);
    assert_int_equal(in(&pic.master, 1), PIC_POLL_I | 2);
    assert_false(pic_is_pending(&pic));
    assert_int_equal(isr(&pic.master), 1 << 2);
    out(&pic.slave, 0, PIC_OCW3_SELECT | PIC_OCW3_P);
    assert_int_equal(in(&pic.slave, 0), PIC_POLL_I | 0);
    assert_int_equal(isr(&pic.slave), 1);
    out(&pic.slave, 1, 0x5a);
    out(&pic.slave, 0, PIC_OCW3_SELECT | PIC_OCW3_P);
    assert_int_equal(in(&pic.slave, 1), 0);
    assert_int_equal(in(&pic.slave, 1), 0x5a); /* the next read is one again */
}

static void a_single_chip_has_no_icw3(void **state)
{
    (void)state;
    out(&pic.master, 0, PIC_ICW1_SELECT | PIC_ICW1_SNGL);
    pulse(3);
    assert_false(pic_is_pending(&pic)); /* in the middle of the sequence */
    out(&pic.master, 1, 0x47);
    assert_int_equal(acknowledge(), 0x43);
    out(&pic.master, 1, 0xf0);
    assert_int_equal(in(&pic.master, 1), 0xf0);
}

static uint16_t told;

static void remember_masks(void *context, uint16_t masked)
{
    assert_ptr_equal(context, &told);
    told = masked;
}

static void tells_who_is_masked(void **state)
{
    (void)state;
    pic_on_masks_changed(&pic, remember_masks, &told);
    out(&pic.master, 1, 0xfe);
    assert_int_equal(told, 0x00fe);
    out(&pic.slave, 1, 0xbf);
    assert_int_equal(told, 0xbffe);
    out(&pic.slave, 0, PIC_ICW1_SELECT);
    assert_int_equal(told, 0xfffe);
    out(&pic.slave, 1, SLAVE_BASE);
    out(&pic.slave, 1, 2);
    assert_int_equal(told, 0x00fe);
    pic_reset(&pic);
    assert_int_equal(told, 0xffff);
}

static void reset_forgets_requests_and_programming(void **state)
{
    (void)state;
    set_elcr(0xffff);
    pulse(4);
    pic_set_line(&pic, 8, true);
    pic_reset(&pic);
    assert_false(intr.level);
    assert_int_equal(pic_elcr_ops.read(&pic, 0, 1), 0);
    initialize(&pic.master, MASTER_BASE, 0);
    initialize(&pic.slave, SLAVE_BASE, 0);
    assert_false(pic_is_pending(&pic));
    pulse(12);
    assert_int_equal(acknowledge(), SLAVE_BASE + 4);
}

/* After any sequence of writes and line changes INTR says the truth, and the chips can be set up again. */
static void no_programming_confuses_intr(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        seed = seed * 1664525 + 1013904223;
        unsigned what = seed >> 29, value = seed >> 8 & 0xff;
        struct pic_chip *chip = seed >> 28 & 1 ? &pic.master : &pic.slave;

        if (what < 3)
            out(chip, what & 1, value);
        else if (what < 6)
            pic_set_line(&pic, value & 15, value >> 7);
        else if (what == 6)
            pic_elcr_ops.write(&pic, value & 1, 1, value);
        else if (pic_is_pending(&pic))
            assert_in_range(pic_acknowledge(&pic), 0, 255);
        else
            in(chip, value & 1);
        assert_int_equal(intr.level, pic_is_pending(&pic));
    }
    set_elcr(0);
    initialize(&pic.master, MASTER_BASE, 0);
    initialize(&pic.slave, SLAVE_BASE, 0);
    pic_set_line(&pic, 8, false);
    pulse(8);
    assert_int_equal(acknowledge(), SLAVE_BASE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(asks_for_nothing_before_it_is_initialized, set_up),
        cmocka_unit_test_setup(each_input_has_its_vector, set_up),
        cmocka_unit_test_setup(the_cascade_input_takes_nothing, set_up),
        cmocka_unit_test_setup(lower_priorities_wait_for_eoi, set_up),
        cmocka_unit_test_setup(the_slave_stands_at_input_two, set_up),
        cmocka_unit_test_setup(masks_hold_back_but_do_not_forget, set_up),
        cmocka_unit_test_setup(an_edge_counts_once, set_up),
        cmocka_unit_test_setup(a_level_asks_for_as_long_as_it_is_up, set_up),
        cmocka_unit_test_setup(elcr_acts_on_a_line_that_is_up, set_up),
        cmocka_unit_test_setup(a_request_that_has_gone_is_spurious, set_up),
        cmocka_unit_test_setup(a_poll_of_the_slave_takes_its_request_away, set_up),
        cmocka_unit_test_setup(auto_eoi_leaves_nothing_in_service, set_up),
        cmocka_unit_test_setup(auto_eoi_rotates_when_told, set_up),
        cmocka_unit_test_setup(priorities_rotate, set_up),
        cmocka_unit_test_setup(special_mask_lets_lower_priorities_through, set_up),
        cmocka_unit_test_setup(special_fully_nested_lets_the_slave_nest, set_up),
        cmocka_unit_test_setup(a_poll_acknowledges, set_up),
        cmocka_unit_test_setup(a_single_chip_has_no_icw3, set_up),
        cmocka_unit_test_setup(tells_who_is_masked, set_up),
        cmocka_unit_test_setup(reset_forgets_requests_and_programming, set_up),
        cmocka_unit_test_setup(no_programming_confuses_intr, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
