/* SPDX-License-Identifier: BSD-2-Clause */
/* The 80x25 VGA text screen. */
#ifndef DRIVERS_HOST_VGA_TEXT_H
#define DRIVERS_HOST_VGA_TEXT_H

#include "drivers/host/screen.h"

void vga_text_init(struct screen *screen);

#endif
