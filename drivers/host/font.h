/* SPDX-License-Identifier: BSD-2-Clause */
/* The characters of code page 437, which VGA text has too. scripts/font makes them in the build. */
#ifndef DRIVERS_HOST_FONT_H
#define DRIVERS_HOST_FONT_H

#include "kernel/lib/types.h"

#define FONT_WIDTH  8u
#define FONT_HEIGHT 16u

/* A byte a line; its top bit is the leftmost pixel. */
extern const uint8_t font[256][FONT_HEIGHT];

#endif
