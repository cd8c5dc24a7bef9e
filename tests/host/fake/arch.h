/* SPDX-License-Identifier: BSD-2-Clause */
/* Physical memory for hosted code: RAM from address 0 that costs only what is touched. */
#ifndef TESTS_HOST_FAKE_ARCH_H
#define TESTS_HOST_FAKE_ARCH_H

#include "arch/arch.h"

#define FAKE_RAM_BYTES GIB(16)

/* Makes all of it zero again, and gives what was touched back to the host. */
void fake_ram_reset(void);

#endif
