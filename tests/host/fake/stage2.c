/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/vmx/ept.h"
#include "kernel/pt.h"
#include "kernel/stage2.h"

static unsigned leaf_levels(void)
{
    return PT_LEAF_4K | PT_LEAF_2M;
}

static const struct stage2_ops fake_stage2_ops = {&ept_format, leaf_levels};
const struct stage2_ops *stage2_ops = &fake_stage2_ops;
