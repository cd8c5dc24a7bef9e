/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a device's registers live: port I/O and MMIO are two buses of the same kind. The bus owns
 * what every device would otherwise repeat: access widths, accesses that straddle a region's end,
 * and all-ones where nobody answers. Regions are added while the VM is built; io_bus_freeze() ends
 * that, and from then on a look-up takes no lock.
 */
#ifndef KERNEL_IO_BUS_H
#define KERNEL_IO_BUS_H

#include "kernel/lib/types.h"

#define IO_BUS_REGIONS_MAX 64

/* Widths that a region takes as they are, or'ed: the bus splits a wider access into narrower ones. */
#define IO_WIDTH_1   1u
#define IO_WIDTH_2   2u
#define IO_WIDTH_4   4u
#define IO_WIDTH_8   8u
#define IO_WIDTH_ANY 15u

/*
 * offset is relative to the region's base and offset+width never passes its end; value holds width
 * bytes, the rest is 0 (and is ignored on reads). Runs on the CPU of the vCPU that made the access.
 */
struct io_region_ops {
    uint64_t (*read)(void *device, uint64_t offset, unsigned width);
    void (*write)(void *device, uint64_t offset, unsigned width, uint64_t value);
};

struct lock;

struct io_region {
    const char *name;
    uint64_t base;
    uint64_t size; /* bytes, not 0; base+size does not wrap */
    unsigned widths;
    const struct io_region_ops *ops;
    void *device;
    struct lock *lock; /* held around read and write; NULL: the device sees to it, or only one CPU gets here */
};

struct io_bus {
    struct io_region regions[IO_BUS_REGIONS_MAX]; /* by ascending base once frozen */
    unsigned count;
    bool frozen;
    /* The region of the last search: guests use one device many times in a row. Any CPU writes it, any region will do. */
    const struct io_region *hint;
};

/* Copies *region. -EEXIST: overlaps a region; -ENOSPC: full; -EBUSY: frozen; -EINVAL: malformed. */
MUST_CHECK int io_bus_add(struct io_bus *bus, const struct io_region *region);
void io_bus_freeze(struct io_bus *bus);

/* The region that holds address, or NULL. Only on a frozen bus. */
const struct io_region *io_bus_find(struct io_bus *bus, uint64_t address);

/*
 * One access of 1, 2, 4 or 8 bytes, on a frozen bus. Bytes that no region claims read as 0xff and swallow writes.
 */
uint64_t io_bus_read(struct io_bus *bus, uint64_t address, unsigned width);
void io_bus_write(struct io_bus *bus, uint64_t address, unsigned width, uint64_t value);

#endif
