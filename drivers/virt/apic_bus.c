/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Routing on the APIC bus (SDM 3A, "Determining IPI Destination"): a message becomes a set of APIC
 * IDs, and the set is served by delivery mode. One physical destination, by far the most frequent,
 * skips the set.
 */
#include "drivers/virt/apic_bus.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"

void apic_bus_init(struct apic_bus *bus)
{
    memset(bus, 0, sizeof *bus);
}

int apic_bus_attach(struct apic_bus *bus, struct lapic *l)
{
    if (l->id >= APIC_BUS_LAPICS_MAX)
        return -EINVAL;
    if (bus->lapics[l->id])
        return -EEXIST;
    bus->lapics[l->id] = l;
    bus->present |= BIT(l->id);
    return 0;
}

int apic_bus_listen(struct apic_bus *bus, const struct apic_eoi_listener *listener)
{
    if (bus->listener_count == APIC_BUS_IOAPICS_MAX)
        return -ENOSPC;
    bus->listeners[bus->listener_count++] = *listener;
    return 0;
}

void apic_bus_broadcast_eoi(struct apic_bus *bus, uint8_t vector)
{
    for (unsigned i = 0; i < bus->listener_count; i++)
        bus->listeners[i].eoi(bus->listeners[i].chip, vector);
}

/* Takes the lowest member out of a set that is not empty. */
static unsigned take_id(uint64_t *set)
{
    unsigned id = (unsigned)__builtin_ctzll(*set);

    *set &= *set - 1;
    return id;
}

static uint64_t logical_targets(const struct apic_bus *bus, uint32_t destination)
{
    uint64_t targets = 0;

    for (uint64_t left = bus->present; left;) {
        unsigned id = take_id(&left);

        if (lapic_matches_logical(bus->lapics[id], destination))
            targets |= BIT(id);
    }
    return targets;
}

static uint64_t find_targets(const struct apic_bus *bus, const struct apic_message *m)
{
    switch (m->shorthand) {
    case APIC_ICR_SELF:
        return BIT(m->sender->id);
    case APIC_ICR_ALL:
        return bus->present;
    case APIC_ICR_ALL_BUT_SELF:
        return bus->present & ~BIT(m->sender->id);
    }
    if (m->destination == X2APIC_BROADCAST)
        return bus->present;
    return logical_targets(bus, m->destination);
}

static bool send_to_all(struct apic_bus *bus, uint64_t targets, const struct apic_message *m)
{
    bool is_accepted = false;

    while (targets)
        is_accepted |= lapic_receive(bus->lapics[take_id(&targets)], m);
    return is_accepted;
}

/* How far id comes after the last winner: of equals the farthest one waited longest. */
static unsigned distance(unsigned last, unsigned id)
{
    return (id - last - 1) % APIC_BUS_LAPICS_MAX;
}

/* The lowest processor priority wins; equals take turns. A running vCPU's priority is a guess. */
static bool send_to_lowest(struct apic_bus *bus, uint64_t targets, const struct apic_message *m)
{
    unsigned last = __atomic_load_n(&bus->last_lowest, __ATOMIC_RELAXED);
    unsigned best_rank = UINT32_MAX, best = 0;

    while (targets) {
        unsigned id = take_id(&targets);
        unsigned class = lapic_priority(bus->lapics[id]) >> 4;
        unsigned rank = class * APIC_BUS_LAPICS_MAX + distance(last, id);

        if (lapic_accepts_fixed(bus->lapics[id]) && rank < best_rank) {
            best_rank = rank;
            best = id;
        }
    }
    if (best_rank == UINT32_MAX)
        return false;
    __atomic_store_n(&bus->last_lowest, best, __ATOMIC_RELAXED);
    return lapic_receive(bus->lapics[best], m);
}

static bool is_unicast(const struct apic_message *m)
{
    return !m->is_logical && m->shorthand == 0 && m->destination != X2APIC_BROADCAST;
}

bool apic_bus_send(struct apic_bus *bus, const struct apic_message *m)
{
    if (is_unicast(m)) {
        struct lapic *l = m->destination < APIC_BUS_LAPICS_MAX ? bus->lapics[m->destination] : NULL;

        return l && lapic_receive(l, m);
    }
    if (m->delivery == APIC_DELIVERY_LOWEST)
        return send_to_lowest(bus, find_targets(bus, m), m);
    return send_to_all(bus, find_targets(bus, m), m);
}

/* SDM 3A, "Message Address Register Format" and "Message Data Register Format". */
bool apic_bus_send_msi(struct apic_bus *bus, uint64_t address, uint32_t data)
{
    uint32_t destination = (uint32_t)(address >> MSI_ADDRESS_DEST_SHIFT) & APIC_BROADCAST;
    bool is_logical = address & MSI_ADDRESS_LOGICAL;
    struct apic_message m = {
        .destination = destination == APIC_BROADCAST ? X2APIC_BROADCAST : destination,
        .vector = data & APIC_VECTOR,
        .delivery = apic_delivery(data),
        .is_logical = is_logical,
        .is_level = data & MSI_DATA_LEVEL,
    };
    bool is_deassert = m.is_level && !(data & MSI_DATA_ASSERT);

    if ((address & MSI_ADDRESS_MASK) != MSI_ADDRESS_BASE || is_deassert)
        return false;
    if (m.delivery == APIC_DELIVERY_FIXED && is_logical && (address & MSI_ADDRESS_REDIRECT))
        m.delivery = APIC_DELIVERY_LOWEST;
    return apic_bus_send(bus, &m);
}
