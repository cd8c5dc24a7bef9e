/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports and MMIO as one sorted table of regions; see io_bus.h for what the bus owns. */
#include "kernel/io_bus.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/lock.h"

int io_bus_add(struct io_bus *bus, const struct io_region *region)
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
    bus->regions[bus->count++] = *region;
    return 0;
}

void io_bus_freeze(struct io_bus *bus)
{
    for (unsigned i = 1; i < bus->count; i++) {
        struct io_region moving = bus->regions[i];
        unsigned hole = i;

        for (; hole > 0 && bus->regions[hole - 1].base > moving.base; hole--)
            bus->regions[hole] = bus->regions[hole - 1];
        bus->regions[hole] = moving;
    }
    bus->frozen = true;
}

static const struct io_region *search(struct io_bus *bus, uint64_t address)
{
    unsigned low = 0, high = bus->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (address < bus->regions[middle].base) {
            high = middle;
        } else if (address - bus->regions[middle].base >= bus->regions[middle].size) {
            low = middle + 1;
        } else {
            WRITE_ONCE(bus->hint, middle);
            return &bus->regions[middle];
        }
    }
    return NULL;
}

/* The hint is below count always, and of an empty bus it is a region of size 0. */
const struct io_region *io_bus_find(struct io_bus *bus, uint64_t address)
{
    const struct io_region *last = &bus->regions[READ_ONCE(bus->hint)];

    if (likely(address - last->base < last->size))
        return last;
    return search(bus, address);
}

/* The widest access at offset that the region takes and that does not pass its end or width bytes; 0: none. */
static unsigned piece_width(const struct io_region *region, uint64_t offset, unsigned width)
{
    while (width > 0 && !((region->widths & width) && range_fits(offset, width, region->size)))
        width /= 2;
    return width;
}

static uint64_t read_region(const struct io_region *region, uint64_t offset, unsigned width)
{
    uint64_t value;

    if (region->lock)
        lock_acquire(region->lock);
    value = region->ops->read(region->device, offset, width);
    if (region->lock)
        lock_release(region->lock);
    return value & bytes_mask(width);
}

static void write_region(const struct io_region *region, uint64_t offset, unsigned width, uint64_t value)
{
    if (region->lock)
        lock_acquire(region->lock);
    region->ops->write(region->device, offset, width, value & bytes_mask(width));
    if (region->lock)
        lock_release(region->lock);
}

static unsigned read_piece(const struct io_region *region, uint64_t address, unsigned width, uint64_t *value)
{
    uint64_t offset;
    unsigned piece;

    *value = bytes_mask(1);
    if (!region)
        return 1;
    offset = address - region->base;
    piece = piece_width(region, offset, width);
    if (piece == 0)
        return 1;
    *value = read_region(region, offset, piece);
    return piece;
}

static unsigned write_piece(const struct io_region *region, uint64_t address, unsigned width, uint64_t value)
{
    uint64_t offset;
    unsigned piece;

    if (!region)
        return 1;
    offset = address - region->base;
    piece = piece_width(region, offset, width);
    if (piece == 0)
        return 1;
    write_region(region, offset, piece, value);
    return piece;
}

/* The largest power of two that is at most n (1 to 8). */
static unsigned largest_width(unsigned n)
{
    return n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1;
}

static uint64_t read_in_pieces(struct io_bus *bus, uint64_t address, unsigned width)
{
    uint64_t piece_value, result = 0;

    for (unsigned done = 0; done < width;) {
        const struct io_region *region = io_bus_find(bus, address + done);
        unsigned piece = read_piece(region, address + done, largest_width(width - done), &piece_value);

        result |= piece_value << (8 * done);
        done += piece;
    }
    return result;
}

static void write_in_pieces(struct io_bus *bus, uint64_t address, unsigned width, uint64_t value)
{
    for (unsigned done = 0; done < width;) {
        const struct io_region *region = io_bus_find(bus, address + done);

        done += write_piece(region, address + done, largest_width(width - done), value >> (8 * done));
    }
}

/* The way of nearly every access: one region takes it as it is. */
static bool takes_whole(const struct io_region *region, uint64_t offset, unsigned width)
{
    return (region->widths & width) && offset + width <= region->size;
}

bool io_bus_read(struct io_bus *bus, uint64_t address, unsigned width, uint64_t *value)
{
    const struct io_region *region = io_bus_find(bus, address);

    if (likely(region && takes_whole(region, address - region->base, width)))
        *value = read_region(region, address - region->base, width);
    else
        *value = read_in_pieces(bus, address, width);
    return region;
}

bool io_bus_write(struct io_bus *bus, uint64_t address, unsigned width, uint64_t value)
{
    const struct io_region *region = io_bus_find(bus, address);

    if (likely(region && takes_whole(region, address - region->base, width)))
        write_region(region, address - region->base, width, value);
    else
        write_in_pieces(bus, address, width, value);
    return region;
}
