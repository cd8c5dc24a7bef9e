/* SPDX-License-Identifier: BSD-2-Clause */
/* What is written is the status, whatever its width and wherever in the region; what is read is 0. */
#include "drivers/virt/debug_exit.h"

static uint64_t debug_exit_read(void *device UNUSED, uint64_t offset UNUSED, unsigned width UNUSED)
{
    return 0;
}

static void debug_exit_write(void *device, uint64_t offset UNUSED, unsigned width UNUSED,
                             uint64_t value)
{
    struct debug_exit *d = device;

    d->exited(d->context, (uint32_t)value);
}

const struct io_region_ops debug_exit_ops = {debug_exit_read, debug_exit_write};

void debug_exit_init(struct debug_exit *d, void (*exited)(void *context, uint32_t value),
                     void *context)
{
    *d = (struct debug_exit){exited, context};
}
