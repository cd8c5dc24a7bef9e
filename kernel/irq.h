/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A wire from a device to whatever listens: a chip's input, or a recorder in a test. A device sets
 * the level; what a level means (edge, shared, inverted) lives in the chip.
 */
#ifndef KERNEL_IRQ_H
#define KERNEL_IRQ_H

#include "kernel/lib/types.h"

struct irq_line {
    void (*set)(void *chip, unsigned input, bool level);
    void *chip;
    unsigned input;
};

/* A line that is not wired swallows what is set. */
static inline void irq_line_set(const struct irq_line *line, bool level)
{
    if (line->set)
        line->set(line->chip, line->input, level);
}

#endif
