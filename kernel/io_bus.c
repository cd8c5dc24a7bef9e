/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports and MMIO as one sorted table of regions; see io_bus.h for what the bus owns. */
#include "kernel/io_bus.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/lock.h"

/* Those of the widths that fit into so many bytes: takes() relies on it that a region has no other. */
static unsigned widths_up_to(uint64_t size)
{
    return size >= 8 ? IO_WIDTH_ANY : size >= 4 ? 7u : size >= 2 ? 3u : 1u;
}

COLD int io_bus_add(struct io_bus *bus, const struct io_region *region)
{
    if (bus->frozen)
        return -EBUSY;
    if (region->size == 0 || region->base + (region->size - 1) < region->base ||
        (region->widths & IO_WIDTH_ANY) == 0 || !region->ops->read || !region->ops->write)
        return -EINVAL;
    for (unsigned i = 0; i < bus->count; i++)
        if (ranges_overlap(region->base, region->size, bus->regions[i].base, bus->regions[i].size))
            return -EEXIST;
    if (bus->count == IO_BUS_REGIONS_MAX)
        return -ENOSPC;
    bus->regions[bus->count] = *region;
    bus->regions[bus->count++].widths &= widths_up_to(region->size);
    return 0;
}

COLD void io_bus_freeze(struct io_bus *bus)
{
    for (unsigned i = 1; i < bus->count; i++) {
        struct io_region moving = bus->regions[i];
        unsigned hole = i;

        for (; hole > 0 && bus->regions[hole - 1].base > moving.base; hole--)
            bus->regions[hole] = bus->regions[hole - 1];
        bus->regions[hole] = moving;
    }
    bus->hint = &bus->regions[0]; /* of an empty bus that is a region of size 0 */
    bus->frozen = true;
}

const struct io_region *io_bus_find(struct io_bus *bus, uint64_t address)
{
    unsigned low = 0, high = bus->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (address < bus->regions[middle].base) {
            high = middle;
        } else if (address - bus->regions[middle].base >= bus->regions[middle].size) {
            low = middle + 1;
        } else {
            WRITE_ONCE(bus->hint, &bus->regions[middle]);
            return &bus->regions[middle];
        }
    }
    return NULL;
}

/* --- one access that a region takes as it is --- */

static inline bool takes(const struct io_region *region, uint64_t offset, unsigned width)
{
    return (region->widths & width) && offset <= region->size - width;
}

static inline uint64_t read_region(const struct io_region *region, uint64_t offset, unsigned width)
{
    uint64_t value;

    if (region->lock)
        lock_acquire(region->lock);
    value = region->ops->read(region->device, offset, width);
    if (region->lock)
        lock_release(region->lock);
    return value & bytes_mask(width);
}

static inline void write_region(const struct io_region *region, uint64_t offset, unsigned width, uint64_t value)
{
    if (region->lock)
        lock_acquire(region->lock);
    region->ops->write(region->device, offset, width, value & bytes_mask(width));
    if (region->lock)
        lock_release(region->lock);
}

/* --- any access --- */

/* The largest power of two that is at most n (1 to 8). */
static unsigned largest_width(unsigned n)
{
    return n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1;
}

/* The widest access at address, of at most width bytes, that the region takes; 0: none, for the first byte is nobody's. */
static unsigned piece_width(const struct io_region *region, uint64_t address, unsigned width)
{
    unsigned piece = region ? largest_width(width) : 0;

    while (piece > 0 && !takes(region, address - region->base, piece))
        piece /= 2;
    return piece;
}

static COLD uint64_t read_in_pieces(struct io_bus *bus, uint64_t address, unsigned width)
{
    uint64_t result = 0;

    for (unsigned done = 0; done < width;) {
        uint64_t at = address + done, value = bytes_mask(1);
        const struct io_region *region = io_bus_find(bus, at);
        unsigned piece = piece_width(region, at, width - done);

        if (piece > 0)
            value = read_region(region, at - region->base, piece);
        result |= value << (8 * done);
        done += MAX(piece, 1u);
    }
    return result;
}

static COLD void write_in_pieces(struct io_bus *bus, uint64_t address, unsigned width, uint64_t value)
{
    for (unsigned done = 0; done < width;) {
        uint64_t at = address + done;
        const struct io_region *region = io_bus_find(bus, at);
        unsigned piece = piece_width(region, at, width - done);

        if (piece > 0)
            write_region(region, at - region->base, piece, value >> (8 * done));
        done += MAX(piece, 1u);
    }
}

/* The way of nearly every access: the region of the last one takes this one, too. */
uint64_t io_bus_read(struct io_bus *bus, uint64_t address, unsigned width)
{
    const struct io_region *region = READ_ONCE(bus->hint);

    if (likely(takes(region, address - region->base, width)))
        return read_region(region, address - region->base, width);
    return read_in_pieces(bus, address, width);
}

void io_bus_write(struct io_bus *bus, uint64_t address, unsigned width, uint64_t value)
{
    const struct io_region *region = READ_ONCE(bus->hint);

    if (likely(takes(region, address - region->base, width)))
        write_region(region, address - region->base, width, value);
    else
        write_in_pieces(bus, address, width, value);
}
