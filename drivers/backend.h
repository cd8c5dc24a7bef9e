/* SPDX-License-Identifier: BSD-2-Clause */
/* What the devices that guests see and the hardware that we drive share, and nothing else. */
#ifndef DRIVERS_BACKEND_H
#define DRIVERS_BACKEND_H

#include "kernel/lib/types.h"

/* A sink of bytes: a console, a recorder in a test. Never blocks; what does not fit is dropped by the sink. */
struct chardev {
    void (*write)(void *context, const uint8_t *bytes, size_t count);
    void *context;
};

static inline void chardev_write(const struct chardev *c, const uint8_t *bytes, size_t count)
{
    if (c->write)
        c->write(c->context, bytes, count);
}

#define BLOCKDEV_SECTOR_BYTES 512u
#define BLOCKDEV_ID_BYTES     20u

/*
 * A disk. Offsets and sizes are in bytes, multiples of BLOCKDEV_SECTOR_BYTES; the caller has checked
 * that the range is inside capacity_bytes. Each returns 0 or a negative errno.
 */
struct blockdev_ops {
    int (*read)(void *context, uint64_t offset, void *to, size_t size);
    int (*write)(void *context, uint64_t offset, const void *from, size_t size);
    int (*flush)(void *context);
    int (*discard)(void *context, uint64_t offset, uint64_t size);
    int (*write_zeroes)(void *context, uint64_t offset, uint64_t size);
};

struct blockdev {
    const struct blockdev_ops *ops;
    void *context;
    uint64_t capacity_bytes;
    bool read_only;
    char id[BLOCKDEV_ID_BYTES + 1]; /* what GET_ID tells, NUL-padded */
};

/* A source of random bytes; never fails. */
struct entropy_source {
    void (*fill)(void *context, void *to, size_t size);
    void *context;
};

#endif
