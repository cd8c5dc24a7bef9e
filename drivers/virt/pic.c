/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two 8259As that know nothing of each other: the slave's INT is a line into the master's input 2.
 * After every change update() shows on INT whether pending() finds an interrupt; nothing else sets
 * it.
 *
 * Unlike the real chip, a device's edge is latched: the request stays although its line falls
 * before it was acknowledged, so that a short pulse suffices. The slave withdraws its request by
 * letting INT fall, as on the real chip, or a guest would meet a spurious interrupt whenever one
 * goes away. A chip that no ICW1 has initialized asks for nothing.
 */
#include "drivers/virt/pic.h"
#include "kernel/lib/assert.h"

#define CHIP_INPUTS    8u
#define CASCADE        2u
#define SPURIOUS_INPUT 7u
#define NONE           (-1)
#define PIC_READY      0

/* 82371AB, "Edge/Level Control Registers": IRQ 0, 1, 2, 8 and 13 are always edge-triggered. */
#define MASTER_LEVEL_CAPABLE 0xf8u
#define SLAVE_LEVEL_CAPABLE  0xdeu

static uint8_t bit(unsigned input)
{
    return (uint8_t)(1u << input);
}

/* --- one chip: priorities --- */

/* 0 is the highest priority. */
static unsigned rank(const struct pic_chip *c, unsigned input)
{
    return (input - c->lowest - 1) % CHIP_INPUTS;
}

static int highest(const struct pic_chip *c, uint8_t inputs)
{
    for (unsigned i = 1; i <= CHIP_INPUTS; i++) {
        unsigned input = (c->lowest + i) % CHIP_INPUTS;

        if (inputs & bit(input))
            return (int)input;
    }
    return NONE;
}

/* The inputs in service that hold back others: in special mask mode, not those that are masked. */
static uint8_t blocking(const struct pic_chip *c)
{
    return c->special_mask ? c->isr & ~c->imr : c->isr;
}

/*
 * The input that would be acknowledged now. In special fully nested mode a slave may ask again
 * while in service.
 */
static int pending(const struct pic_chip *c)
{
    int request = highest(c, c->irr & ~c->imr);
    int holder = highest(c, blocking(c));

    if (request == NONE || c->next_icw != PIC_READY)
        return NONE;
    if (holder == NONE || rank(c, (unsigned)request) < rank(c, (unsigned)holder))
        return request;
    return c->special_fully_nested && request == holder ? request : NONE;
}

/* --- one chip: lines --- */

static void set_output(struct pic_chip *c, bool level)
{
    if (level == c->output_level)
        return;
    __atomic_store_n(&c->output_level, level, __ATOMIC_RELAXED);
    irq_line_set(&c->output, level);
}

static void update(struct pic_chip *c)
{
    set_output(c, pending(c) != NONE);
}

/* A level-triggered input requests for as long as its line is up. */
static void follow_levels(struct pic_chip *c)
{
    c->irr = (uint8_t)((c->irr & ~c->elcr) | (c->lines & c->elcr));
}

static void chip_set_line(void *chip, unsigned input, bool level)
{
    struct pic_chip *c = chip;
    uint8_t was = c->lines;

    c->lines = (uint8_t)(level ? was | bit(input) : was & ~bit(input));
    c->irr |= c->lines & ~was;
    c->irr &= (uint8_t)~(was & ~c->lines & c->withdrawable);
    follow_levels(c);
    update(c);
}

/*
 * INT falls with every acknowledge, even if another request raises it at once: the master's input 2
 * is edge-triggered. Returns NONE when the request has gone.
 */
static int chip_acknowledge(struct pic_chip *c)
{
    int input = pending(c);

    set_output(c, false);
    if (input != NONE) {
        c->irr &= ~bit((unsigned)input);
        follow_levels(c);
        if (!c->auto_eoi)
            c->isr |= bit((unsigned)input);
        else if (c->rotates_on_auto_eoi)
            c->lowest = (uint8_t)input;
    }
    update(c);
    return input;
}

/* --- one chip: commands --- */

static uint8_t masked_inputs(const struct pic_chip *c)
{
    return c->next_icw == PIC_READY ? c->imr : 0xff;
}

static void tell_masks(const struct pic *pic)
{
    unsigned masked = masked_inputs(&pic->slave) << CHIP_INPUTS | masked_inputs(&pic->master);

    if (pic->masks_changed)
        pic->masks_changed(pic->masks_context, (uint16_t)masked);
}

/* Intel 8259A, "Initialization Command Word 1": edges must come anew, levels stay. */
static void write_icw1(struct pic_chip *c, uint8_t value)
{
    c->irr = c->lines & c->elcr;
    c->isr = c->imr = 0;
    c->lowest = CHIP_INPUTS - 1;
    c->special_mask = c->reads_isr = c->polled = false;
    c->auto_eoi = c->special_fully_nested = c->rotates_on_auto_eoi = false;
    c->needs_icw3 = !(value & PIC_ICW1_SNGL);
    c->needs_icw4 = value & PIC_ICW1_IC4;
    c->next_icw = 2;
    tell_masks(c->pair);
}

/* ICW3 says how the chips are wired, which is as it is. */
static void write_later_icw(struct pic_chip *c, uint8_t value)
{
    uint8_t icw = c->next_icw;

    if (icw == 2)
        c->vector_base = value & PIC_ICW2_MASK;
    if (icw == 4) {
        c->auto_eoi = value & PIC_ICW4_AEOI;
        c->special_fully_nested = value & PIC_ICW4_SFNM;
    }
    if (icw == 2 && c->needs_icw3)
        c->next_icw = 3;
    else if (icw < 4 && c->needs_icw4)
        c->next_icw = 4;
    else
        c->next_icw = PIC_READY;
}

/*
 * Intel 8259A, "Operation Control Word 2": EOI ends, R makes lowest, SL names the input; R alone is
 * the switch for rotation in automatic EOI mode, SL alone does nothing.
 */
static void write_ocw2(struct pic_chip *c, uint8_t value)
{
    bool rotates = value & PIC_OCW2_R, ends = value & PIC_OCW2_EOI;
    bool is_specific = value & PIC_OCW2_SL;
    int input = is_specific ? (int)(value & PIC_OCW2_LEVEL) : highest(c, blocking(c));

    if (ends && input != NONE)
        c->isr &= ~bit((unsigned)input);
    if (rotates && (ends || is_specific) && input != NONE)
        c->lowest = (uint8_t)input;
    if (!ends && !is_specific)
        c->rotates_on_auto_eoi = rotates;
}

static void write_ocw3(struct pic_chip *c, uint8_t value)
{
    c->polled = value & PIC_OCW3_P;
    if (value & PIC_OCW3_RR)
        c->reads_isr = value & PIC_OCW3_RIS;
    if (value & PIC_OCW3_ESMM)
        c->special_mask = value & PIC_OCW3_SMM;
}

static void write_even(struct pic_chip *c, uint8_t value)
{
    if (value & PIC_ICW1_SELECT)
        write_icw1(c, value);
    else if (value & PIC_OCW3_SELECT)
        write_ocw3(c, value);
    else
        write_ocw2(c, value);
}

static void write_odd(struct pic_chip *c, uint8_t value)
{
    if (c->next_icw > 1)
        write_later_icw(c, value);
    else
        c->imr = value;
    tell_masks(c->pair);
}

static void pic_write(void *device, uint64_t offset, unsigned width UNUSED, uint64_t value)
{
    struct pic_chip *c = device;

    lock_acquire(&c->pair->lock);
    if (offset == 0)
        write_even(c, (uint8_t)value);
    else
        write_odd(c, (uint8_t)value);
    update(c);
    lock_release(&c->pair->lock);
}

/* Intel 8259A, "Poll Command": the next read, of either port, acknowledges. */
static uint8_t poll(struct pic_chip *c)
{
    int input = chip_acknowledge(c);

    c->polled = false;
    return input == NONE ? 0 : (uint8_t)(PIC_POLL_I | input);
}

static uint8_t read_port(struct pic_chip *c, uint64_t offset)
{
    if (c->polled)
        return poll(c);
    if (offset != 0)
        return c->imr;
    return c->reads_isr ? c->isr : c->irr;
}

static uint64_t pic_read(void *device, uint64_t offset, unsigned width UNUSED)
{
    struct pic_chip *c = device;
    uint8_t value;

    lock_acquire(&c->pair->lock);
    value = read_port(c, offset);
    lock_release(&c->pair->lock);
    return value;
}

const struct io_region_ops pic_ops = {pic_read, pic_write};

static void chip_reset(struct pic_chip *c)
{
    set_output(c, false);
    *c = (struct pic_chip){
        .output = c->output,
        .pair = c->pair,
        .level_capable = c->level_capable,
        .withdrawable = c->withdrawable,
        .lines = c->lines,
        .lowest = CHIP_INPUTS - 1,
        .next_icw = 1,
    };
}

/* --- the pair --- */

static struct pic_chip *elcr_chip(struct pic *pic, uint64_t offset)
{
    return offset == 0 ? &pic->master : &pic->slave;
}

static uint64_t pic_elcr_read(void *device, uint64_t offset, unsigned width UNUSED)
{
    return elcr_chip(device, offset)->elcr;
}

static void pic_elcr_write(void *device, uint64_t offset, unsigned width UNUSED, uint64_t value)
{
    struct pic_chip *c = elcr_chip(device, offset);

    lock_acquire(&c->pair->lock);
    c->elcr = (uint8_t)value & c->level_capable;
    follow_levels(c);
    update(c);
    lock_release(&c->pair->lock);
}

const struct io_region_ops pic_elcr_ops = {pic_elcr_read, pic_elcr_write};

void pic_set_line(void *pic, unsigned input, bool level)
{
    struct pic *p = pic;

    ASSERT(input < PIC_INPUTS);
    lock_acquire(&p->lock);
    if (input >= CHIP_INPUTS)
        chip_set_line(&p->slave, input - CHIP_INPUTS, level);
    else if (input != CASCADE)
        chip_set_line(&p->master, input, level);
    lock_release(&p->lock);
}

bool pic_is_pending(const struct pic *pic)
{
    return __atomic_load_n(&pic->master.output_level, __ATOMIC_RELAXED);
}

static int vector(const struct pic_chip *c, int input)
{
    return c->vector_base + (input == NONE ? (int)SPURIOUS_INPUT : input);
}

/* The master first, so that it sees an edge if the slave asks again. */
static int acknowledge(struct pic *pic)
{
    int input = chip_acknowledge(&pic->master);

    if (input == CASCADE)
        return vector(&pic->slave, chip_acknowledge(&pic->slave));
    return vector(&pic->master, input);
}

int pic_acknowledge(struct pic *pic)
{
    int result;

    lock_acquire(&pic->lock);
    result = acknowledge(pic);
    lock_release(&pic->lock);
    return result;
}

void pic_on_masks_changed(struct pic *pic, void (*changed)(void *context, uint16_t masked),
                          void *context)
{
    pic->masks_changed = changed;
    pic->masks_context = context;
}

void pic_reset(struct pic *pic)
{
    lock_acquire(&pic->lock);
    chip_reset(&pic->slave);
    chip_reset(&pic->master);
    tell_masks(pic);
    lock_release(&pic->lock);
}

void pic_init(struct pic *pic, struct irq_line intr)
{
    *pic = (struct pic){
        .master = {.output = intr,
                   .pair = pic,
                   .level_capable = MASTER_LEVEL_CAPABLE,
                   .withdrawable = bit(CASCADE)},
        .slave = {.output = {chip_set_line, &pic->master, CASCADE},
                  .pair = pic,
                  .level_capable = SLAVE_LEVEL_CAPABLE},
    };
    pic_reset(pic);
}
