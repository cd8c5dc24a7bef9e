/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/fake.h"

static void fake_irq_set(void *chip, unsigned input, bool level)
{
    struct fake_irq *f = chip;

    f->rises += level && !f->level;
    f->falls += !level && f->level;
    f->level = level;
    f->input = input;
}

struct irq_line fake_irq_line(struct fake_irq *recorder, unsigned input)
{
    *recorder = (struct fake_irq){0};
    return (struct irq_line){fake_irq_set, recorder, input};
}
