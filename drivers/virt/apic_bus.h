/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What joins the local APICs of a VM, its IOAPICs and the sources of MSIs: finds out whom a message
 * is for and hands it over. Attaching ends before the first vCPU runs; from then on the bus only
 * reads its own state (but for the round-robin hint), so that any CPU may send without a lock.
 */
#ifndef DRIVERS_VIRT_APIC_BUS_H
#define DRIVERS_VIRT_APIC_BUS_H

#include "drivers/virt/lapic.h"

#define APIC_BUS_LAPICS_MAX  64u
#define APIC_BUS_IOAPICS_MAX 4u

struct apic_eoi_listener {
    void (*eoi)(void *chip, uint8_t vector);
    void *chip;
};

struct apic_bus {
    struct lapic *lapics[APIC_BUS_LAPICS_MAX]; /* by APIC ID; NULL: there is none */
    uint64_t present;                          /* the IDs that are in use, as bits */
    unsigned last_lowest;                      /* whom the last lowest-priority message went to */
    struct apic_eoi_listener listeners[APIC_BUS_IOAPICS_MAX];
    unsigned listener_count;
};

void apic_bus_init(struct apic_bus *bus);

/* -EINVAL: an ID of APIC_BUS_LAPICS_MAX or more; -EEXIST: the ID is taken. */
MUST_CHECK int apic_bus_attach(struct apic_bus *bus, struct lapic *l);
/* -ENOSPC: too many. */
MUST_CHECK int apic_bus_listen(struct apic_bus *bus, const struct apic_eoi_listener *listener);

/* Returns whether anybody accepted it. */
bool apic_bus_send(struct apic_bus *bus, const struct apic_message *message);

/* A device's memory write. Returns false unless address is one of an MSI and somebody accepted it.
 */
bool apic_bus_send_msi(struct apic_bus *bus, uint64_t address, uint32_t data);

/* A local APIC has serviced a level-triggered vector: tells the IOAPICs. */
void apic_bus_broadcast_eoi(struct apic_bus *bus, uint8_t vector);

#endif
