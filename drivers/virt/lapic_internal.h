/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the local APIC share with each other. */
#ifndef DRIVERS_VIRT_LAPIC_INTERNAL_H
#define DRIVERS_VIRT_LAPIC_INTERNAL_H

#include "drivers/virt/lapic.h"

#define LAPIC_WORD_BYTES 16u /* from one register to the next of ISR, TMR and IRR */

static inline uint32_t lapic_get(const struct lapic *l, unsigned offset)
{
    return *(const volatile uint32_t *)(l->page + offset);
}

static inline void lapic_put(struct lapic *l, unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)(l->page + offset) = value;
}

static inline bool lapic_is_software_enabled(const struct lapic *l)
{
    return lapic_get(l, APIC_SVR) & APIC_SVR_ENABLE;
}

/* lapic.c: for the register effects. */
void lapic_end_of_interrupt(struct lapic *l);
/* Is the APIC enabled and the vector legal? Any CPU. */
bool lapic_accepts_vector(struct lapic *l, uint8_t vector);
/* Sets bits of one word of the IRR, and their trigger mode. */
void lapic_request(struct lapic *l, unsigned word, uint32_t vectors, enum lapic_trigger trigger);
/* Into the page. Returns whether the vector was accepted. */
bool lapic_accept(struct lapic *l, uint8_t vector, enum lapic_trigger trigger);
void lapic_notify_if_irr(struct lapic *l);

/* lapic_posted.c: as lapic_accept, on any CPU. */
bool lapic_post(struct lapic *l, uint8_t vector, enum lapic_trigger trigger);
void lapic_drop_posted(struct lapic *l);
/* Records ESR bits and raises the error interrupt for those that are new. Any CPU. */
void lapic_report_error(struct lapic *l, uint32_t esr_bits);

/* lapic_regs.c: the registers that depend on the mode, and all of them as after power-up. */
void lapic_registers_enter_mode(struct lapic *l);
void lapic_registers_reset(struct lapic *l);

/* lapic_timer.c: the effects of the timer's registers. */
void lapic_timer_init(struct lapic *l);
void lapic_timer_reset(struct lapic *l);
void lapic_timer_lvt_written(struct lapic *l);
void lapic_timer_initial_written(struct lapic *l);
void lapic_timer_divide_written(struct lapic *l);
uint32_t lapic_timer_current(const struct lapic *l);

#endif
