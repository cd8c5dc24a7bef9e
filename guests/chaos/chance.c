/* SPDX-License-Identifier: BSD-2-Clause */
/* What a seed makes: numbers with a liking for borders. */
#include "guests/chaos/chaos.h"

/* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled"). */
uint64_t chance(struct chaos *c)
{
    c->state ^= c->state >> 12;
    c->state ^= c->state << 25;
    c->state ^= c->state >> 27;
    return c->state * 0x2545f4914f6cdd1d;
}

unsigned below(struct chaos *c, unsigned limit)
{
    return (unsigned)((chance(c) >> 32) % limit);
}

bool one_in(struct chaos *c, unsigned n)
{
    return below(c, n) == 0;
}

uint64_t odd_value(struct chaos *c)
{
    static const uint64_t borders[] = {
        0, 1, UINT64_MAX, INT64_MAX, UINT64_C(1) << 63, UINT32_MAX, INT32_MAX, UINT64_C(1) << 32, CANONICAL_END,
        CANONICAL_END - 1, 0xffff7fffffffffff, 0xffff800000000000,
    };

    switch (below(c, 6)) {
    case 0:
        return borders[below(c, ARRAY_SIZE(borders))];
    case 1:
        return BIT(below(c, 64));
    case 2:
        return ~BIT(below(c, 64));
    case 3:
        return (uint32_t)chance(c) | BIT(30); /* above our RAM: it may become a stack */
    case 4:
        return below(c, 256);
    default:
        return chance(c);
    }
}

/* Up to 15 bytes on either side of a border, or exactly there. */
static uint64_t around(struct chaos *c, uint64_t border)
{
    return one_in(c, 3) ? border : border + below(c, 31) - 15;
}

static uint32_t window(struct chaos *c)
{
    static const struct {
        uint32_t base, bytes;
    } windows[] = {
        {GUEST_LAPIC_BASE, 0x1000},
        {GUEST_IOAPIC_BASE, 0x1000},
        {GUEST_VIRTIO_BASE, GUEST_VIRTIO_MAX * GUEST_VIRTIO_STRIDE},
        {GUEST_VIRTIO_BASE, 2 * GUEST_VIRTIO_STRIDE},
        {GUEST_PCI_BASE, 0x10000},
        {0xfed00000, 0x1000},  /* where an HPET would be */
        {0xfffff000, 0x1000},  /* and the firmware's ROM */
        {GUEST_HOLE_BASE, GUEST_HOLE_END - GUEST_HOLE_BASE},
    };
    unsigned i = below(c, ARRAY_SIZE(windows));

    return windows[i].base + (uint32_t)(chance(c) % windows[i].bytes);
}

/* The local APIC's command register is ipi's; an INIT out of nowhere would only stop the other CPU's operations. */
static bool is_command(uint32_t address)
{
    return address >= GUEST_LAPIC_BASE + 0x2f8 && address < GUEST_LAPIC_BASE + 0x304;
}

uint32_t device_address(struct chaos *c)
{
    uint32_t address;

    do
        address = window(c);
    while (is_command(address));
    return one_in(c, 2) ? address : address & ~15u;
}

static uint64_t free_ram(struct chaos *c)
{
    return ARENA_PHYSICAL + FREE_PAGE * PAGE_SIZE + below(c, (ARENA_PAGES - FREE_PAGE - 1) * PAGE_SIZE);
}

uint64_t odd_address(struct chaos *c)
{
    switch (below(c, 6)) {
    case 0:
        return around(c, machine_ram_bytes());
    case 1:
        return around(c, UINT64_MAX - 15);
    case 2:
        return device_address(c);
    case 3:
        return around(c, BIT(12 + below(c, 52)) | BIT(40));
    case 4:
        return free_ram(c) & ~UINT64_C(15);
    default:
        return free_ram(c);
    }
}
