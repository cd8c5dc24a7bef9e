/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports and MMIO as one sorted table of regions; see io_bus.h for what the bus owns. */
#include "kernel/io_bus.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/errno.h"

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

const struct io_region *io_bus_find(const struct io_bus *bus, uint64_t address)
{
    unsigned low = 0, high = bus->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (address < bus->regions[middle].base)
            high = middle;
        else if (address - bus->regions[middle].base >= bus->regions[middle].size)
            low = middle + 1;
        else
            return &bus->regions[middle];
    }
    return NULL;
}

/* The widest access at offset that the region takes and that does not pass its end or width bytes; 0: none. */
static unsigned piece_width(const struct io_region *region, uint64_t offset, unsigned width)
{
    while (width > 0 && !((region->widths & width) && range_fits(offset, width, region->size)))
        width /= 2;
    return width;
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
    *value = region->ops->read(region->device, offset, piece) & bytes_mask(piece);
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
    region->ops->write(region->device, offset, piece, value & bytes_mask(piece));
    return piece;
}

/* The largest power of two that is at most n (1 to 8). */
static unsigned largest_width(unsigned n)
{
    return n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1;
}

bool io_bus_read(const struct io_bus *bus, uint64_t address, unsigned width, uint64_t *value)
{
    const struct io_region *first = io_bus_find(bus, address);
    const struct io_region *region = first;
    uint64_t piece_value, result = 0;
    unsigned done = 0;

    for (;;) {
        unsigned piece = read_piece(region, address + done, largest_width(width - done), &piece_value);

        result |= piece_value << (8 * done);
        done += piece;
        if (done >= width)
            break;
        region = io_bus_find(bus, address + done);
    }
    *value = result;
    return first != NULL;
}

bool io_bus_write(const struct io_bus *bus, uint64_t address, unsigned width, uint64_t value)
{
    const struct io_region *first = io_bus_find(bus, address);
    const struct io_region *region = first;
    unsigned done = 0;

    for (;;) {
        done += write_piece(region, address + done, largest_width(width - done), value >> (8 * done));
        if (done >= width)
            break;
        region = io_bus_find(bus, address + done);
    }
    return first != NULL;
}
