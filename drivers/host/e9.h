/* SPDX-License-Identifier: BSD-2-Clause */
/* Port 0xE9: the debug console of Bochs and QEMU, which takes a byte at once. */
#ifndef DRIVERS_HOST_E9_H
#define DRIVERS_HOST_E9_H

#include "drivers/backend.h"

/* Reading the port gives 0xe9 where somebody listens. */
bool e9_is_present(void);
struct chardev e9_chardev(void);

#endif
