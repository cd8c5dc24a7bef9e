/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings that no driver makes: loops, lengths, indirect tables in indirect tables, addresses at the edges of RAM and of
 * 2^64, registers out of order; and a second CPU that changes them while the device reads.
 */
#include "guests/chaos/chaos.h"

#define DEVICES       6u /* places that are tried; the VM has two at least */
#define RING_ENTRIES  16u
#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u
#define SHORT_TEXT    8u /* of what a console is given to print */

enum { CONSOLE_ID = 3 };

/* VIRTIO 1.2, "MMIO Device Register Layout". */
enum {
    DEVICE_ID = 0x08, FEATURES = 0x20, FEATURES_SEL = 0x24, QUEUE_SEL = 0x30, QUEUE_NUM = 0x38, QUEUE_READY = 0x44,
    QUEUE_NOTIFY = 0x50, INTERRUPT_ACK = 0x64, STATUS = 0x70, QUEUE_DESC = 0x80, QUEUE_DRIVER = 0x90, QUEUE_DEVICE = 0xa0,
};
#define STATUS_READY 15u

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

/* In the arena's last pages but one: physical addresses are what devices are told. */
struct rings {
    struct descriptor table[2][RING_ENTRIES]; /* the second one is for indirect ones */
    struct {
        uint16_t flags, index, ring[RING_ENTRIES], used_event;
    } available;
    struct {
        uint16_t flags, index;
        uint64_t ring[RING_ENTRIES];
        uint16_t available_event;
    } used __attribute__((aligned(8)));
};

#define RINGS_PHYSICAL (ARENA_PHYSICAL + (ARENA_PAGES - 1) * PAGE_SIZE)

static volatile struct rings *rings(void)
{
    return (volatile struct rings *)RINGS_PHYSICAL;
}

static volatile uint32_t *reg(unsigned device, unsigned offset)
{
    return (volatile uint32_t *)(uintptr_t)(guest_virtio_base(device) + offset);
}

static void write_register(struct chaos *c, unsigned device, unsigned offset, uint64_t value)
{
    *reg(device, offset) = (uint32_t)value;
    c->operations++;
}

static void write_address(struct chaos *c, unsigned device, unsigned offset, uint64_t address)
{
    write_register(c, device, offset, address);
    write_register(c, device, offset + 4, address >> 32);
}

/* What a console prints is short: the test reads it. Other devices write at most into RAM that is free. */
static void make_descriptor(struct chaos *c, volatile struct descriptor *d, bool is_console)
{
    static const uint32_t lengths[] = {0, 1, 12, 16, 512, 513, 4096, 65535, 0x7fffffff, 0x80000000, UINT32_MAX};
    uint16_t flags = (uint16_t)(one_in(c, 8) ? chance(c) : chance(c) & (DESC_NEXT | DESC_WRITE));

    d->address = odd_address(c);
    d->length = lengths[below(c, ARRAY_SIZE(lengths))];
    d->next = (uint16_t)(one_in(c, 8) ? chance(c) : below(c, RING_ENTRIES));
    if (one_in(c, 4)) {
        flags |= DESC_INDIRECT;
        d->address = RINGS_PHYSICAL + offsetof(struct rings, table[1]) + (one_in(c, 8) ? below(c, 64) : 0);
        d->length = one_in(c, 4) ? below(c, 600) : sizeof rings()->table[1];
    } else if (is_console && !(flags & DESC_WRITE)) {
        d->length = below(c, SHORT_TEXT);
    }
    d->flags = flags;
}

static void make_tables(struct chaos *c, bool is_console)
{
    for (unsigned t = 0; t < 2; t++)
        for (unsigned i = 0; i < RING_ENTRIES; i++)
            make_descriptor(c, &rings()->table[t][i], is_console);
    for (unsigned i = 0; i < RING_ENTRIES; i++)
        rings()->available.ring[i] = (uint16_t)(one_in(c, 8) ? chance(c) : below(c, RING_ENTRIES));
}

/* Rings where they should be, overlapping, at a border, or nowhere. */
static uint64_t ring_address(struct chaos *c, uint64_t offset)
{
    if (one_in(c, 6))
        return odd_address(c);
    return RINGS_PHYSICAL + (one_in(c, 8) ? below(c, 512) : offset);
}

static void set_up_queue(struct chaos *c, unsigned device, unsigned queue)
{
    static const uint32_t sizes[] = {0, 1, 2, 3, 256, 257, 32768, 65535, UINT32_MAX};

    write_register(c, device, QUEUE_SEL, queue);
    write_register(c, device, QUEUE_NUM, one_in(c, 6) ? sizes[below(c, ARRAY_SIZE(sizes))] : RING_ENTRIES);
    write_address(c, device, QUEUE_DESC, ring_address(c, 0));
    write_address(c, device, QUEUE_DRIVER, ring_address(c, offsetof(struct rings, available)));
    write_address(c, device, QUEUE_DEVICE, ring_address(c, offsetof(struct rings, used)));
    write_register(c, device, QUEUE_READY, one_in(c, 16) ? (uint32_t)chance(c) : 1);
}

static void set_up(struct chaos *c, unsigned device, unsigned queues)
{
    write_register(c, device, STATUS, 0);
    write_register(c, device, STATUS, 3);
    write_register(c, device, FEATURES_SEL, 0);
    write_register(c, device, FEATURES, one_in(c, 2) ? chance(c) : 1u << 28 | 1u << 29);
    write_register(c, device, FEATURES_SEL, 1);
    write_register(c, device, FEATURES, one_in(c, 8) ? chance(c) : 1);
    write_register(c, device, STATUS, 11);
    for (unsigned i = 0; i < queues; i++)
        set_up_queue(c, device, i);
    write_register(c, device, STATUS, one_in(c, 8) ? chance(c) & 0xff : STATUS_READY);
}

static void poke(struct chaos *c, unsigned device, unsigned queues)
{
    static const uint16_t jumps[] = {1, 1, 1, 2, RING_ENTRIES, RING_ENTRIES + 1, 255, 0x8000, 0xffff};

    switch (below(c, 8)) {
    case 0:
        write_register(c, device, (unsigned)(chance(c) & 0x1fc), odd_value(c));
        break;
    case 1:
        write_register(c, device, STATUS, one_in(c, 2) ? 0 : chance(c) & 0xff);
        break;
    case 2:
        write_register(c, device, INTERRUPT_ACK, chance(c));
        break;
    default:
        rings()->available.index = (uint16_t)(rings()->available.index + jumps[below(c, ARRAY_SIZE(jumps))]);
        rings()->available.flags = (uint16_t)chance(c);
        write_register(c, device, QUEUE_NOTIFY, one_in(c, 8) ? chance(c) : below(c, queues));
    }
}

void attack_virtqueue(struct chaos *c)
{
    unsigned device = below(c, DEVICES), queues = 1 + below(c, 4);

    make_tables(c, *reg(device, DEVICE_ID) == CONSOLE_ID);
    set_up(c, device, queues);
    for (unsigned i = below(c, 12); i > 0; i--)
        poke(c, device, queues);
    write_register(c, device, STATUS, 0);
}

/* One field of one descriptor, or of the available ring, again and again. A console's text does not become longer. */
void race_virtqueue(struct chaos *c)
{
    volatile struct descriptor *d = &rings()->table[below(c, 2)][below(c, RING_ENTRIES)];

    switch (below(c, 5)) {
    case 0:
        d->address = odd_address(c);
        break;
    case 1:
        d->length = below(c, SHORT_TEXT);
        break;
    case 2:
        d->next = (uint16_t)chance(c);
        break;
    case 3:
        rings()->available.ring[below(c, RING_ENTRIES)] = (uint16_t)chance(c);
        break;
    default:
        rings()->available.index = (uint16_t)chance(c);
    }
    c->operations++;
}
