/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/control.h"
#include <string.h>

void control_zero(void *memory, uint64_t size)
{
    memset(memory, 0, size);
}
