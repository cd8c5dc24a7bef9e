/* SPDX-License-Identifier: BSD-2-Clause */
/* The console's port reads as its own number: that is how guests find out that it is there. */
#include "drivers/virt/debug_port.h"

static uint64_t console_read(void *device UNUSED, uint64_t offset UNUSED, unsigned width UNUSED)
{
    return DEBUG_PORT_CONSOLE;
}

static void console_write(void *device, uint64_t offset UNUSED, unsigned width UNUSED,
                          uint64_t value)
{
    struct debug_port *d = device;
    uint8_t byte = (uint8_t)value;

    chardev_write(&d->output, &byte, 1);
}

const struct io_region_ops debug_port_console_ops = {console_read, console_write};

static uint64_t post_read(void *device, uint64_t offset UNUSED, unsigned width UNUSED)
{
    struct debug_port *d = device;

    return d->post_code;
}

static void post_write(void *device, uint64_t offset UNUSED, unsigned width UNUSED, uint64_t value)
{
    struct debug_port *d = device;

    d->post_code = (uint8_t)value;
}

const struct io_region_ops debug_port_post_ops = {post_read, post_write};

void debug_port_reset(struct debug_port *d)
{
    d->post_code = 0;
}

void debug_port_init(struct debug_port *d, struct chardev output)
{
    *d = (struct debug_port){.output = output};
}
