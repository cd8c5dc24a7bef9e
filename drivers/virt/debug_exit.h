/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's isa-debug-exit: a test that runs as a guest writes its status to a port, and that ends the
 * machine.
 */
#ifndef DRIVERS_VIRT_DEBUG_EXIT_H
#define DRIVERS_VIRT_DEBUG_EXIT_H

#include "kernel/io_bus.h"

/*
 * exited is called in the middle of the write, on the CPU of the vCPU that made it, and again for
 * every further write: who wants the VM to end notes it and acts once the access has ended.
 */
struct debug_exit {
    void (*exited)(void *context, uint32_t value);
    void *context;
};

void debug_exit_init(struct debug_exit *d, void (*exited)(void *context, uint32_t value),
                     void *context);

/* Region: IO_WIDTH_1 | IO_WIDTH_2 | IO_WIDTH_4; the device is the struct debug_exit. */
#define DEBUG_EXIT_PORT  0xf4u
#define DEBUG_EXIT_PORTS 4u
extern const struct io_region_ops debug_exit_ops;

#endif
