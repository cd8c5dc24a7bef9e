/* SPDX-License-Identifier: BSD-2-Clause */
/* The 80x25 VGA text screen. */
#ifndef DRIVERS_HOST_VGA_TEXT_H
#define DRIVERS_HOST_VGA_TEXT_H

#include "drivers/backend.h"

#define VGA_TEXT_BASE  0xb8000u
#define VGA_TEXT_BYTES 4000u

/* cells: where the hypervisor sees VGA_TEXT_BASE. Clears the screen. Call again when it moves. */
void vga_text_init(volatile uint16_t *cells);
void vga_text_move(volatile uint16_t *cells);
struct chardev vga_text_chardev(void);

#endif
