/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/fake.h"
#include "arch/arch.h"

unsigned fake_irqs_off;

uint64_t arch_irq_save(void)
{
    return fake_irqs_off++;
}

void arch_irq_restore(uint64_t flags)
{
    assert_int_equal(flags, --fake_irqs_off);
}
