/* SPDX-License-Identifier: BSD-2-Clause */
/* A text screen on a linear framebuffer with RGB pixels of 15 to 32 bits. */
#ifndef DRIVERS_HOST_FRAMEBUFFER_H
#define DRIVERS_HOST_FRAMEBUFFER_H

#include "drivers/host/screen.h"

/* -ENOTSUP: not that kind of framebuffer, or no room for text on it. */
MUST_CHECK int framebuffer_init(const struct boot_framebuffer *mode, struct screen *screen);

#endif
