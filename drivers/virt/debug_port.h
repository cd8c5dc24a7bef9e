/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two ports for code that has nothing else yet: Bochs' and QEMU's debug console at 0xe9, and the
 * POST code at 0x80, which kernels write for the delay alone.
 */
#ifndef DRIVERS_VIRT_DEBUG_PORT_H
#define DRIVERS_VIRT_DEBUG_PORT_H

#include "drivers/backend.h"
#include "kernel/io_bus.h"

struct debug_port {
    struct chardev output;
    uint8_t post_code; /* the last one, for a dump */
};

void debug_port_init(struct debug_port *d, struct chardev output);
void debug_port_reset(struct debug_port *d);

/* Regions of one port each, IO_WIDTH_1; the device is the struct debug_port. */
#define DEBUG_PORT_CONSOLE 0xe9u
#define DEBUG_PORT_POST    0x80u
extern const struct io_region_ops debug_port_console_ops;
extern const struct io_region_ops debug_port_post_ops;

#endif
