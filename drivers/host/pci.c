/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding functions: down from each root bus, across bridges, each bus once. Bridges are believed
 * only where they make sense: their buses lie above their own and nobody has been there before.
 */
#include "drivers/host/pci_internal.h"
#include "kernel/heap.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

#define FIRST_CAPACITY 16u

static struct pci_function *functions; /* moves when it grows: while scanning nobody else has pointers into it */
static unsigned count, capacity;
static bool is_incomplete; /* there was no room for one */

unsigned pci_count(void)
{
    return count;
}

const struct pci_function *pci_at(unsigned index)
{
    return &functions[index];
}

const struct pci_function *pci_find(struct pci_address address)
{
    for (unsigned i = 0; i < count; i++)
        if (pci_is_same(functions[i].address, address))
            return &functions[i];
    return NULL;
}

/* --- finding --- */

/* One segment's scan. */
struct scan {
    uint16_t segment;
    uint64_t visited[PCI_BUSES / 64];
};

static bool take_bus(struct scan *s, uint8_t bus)
{
    uint64_t *word = &s->visited[bus / 64];
    bool is_new = !(*word & BIT(bus % 64));

    *word |= BIT(bus % 64);
    return is_new;
}

static bool is_present(struct pci_address a)
{
    return pci_config_read(a, PCI_VENDOR_ID, 2) != PCI_VENDOR_NONE;
}

static bool is_bridge(struct pci_address a)
{
    return is_present(a) &&
           (pci_config_read(a, PCI_HEADER_TYPE, 1) & PCI_HEADER_TYPE_MASK) == PCI_HEADER_BRIDGE;
}

bool pci_bridge_buses(struct pci_address bridge, uint8_t *secondary, uint8_t *subordinate)
{
    pci_config_open_bus(bridge.segment, bridge.bus);
    if (!is_bridge(bridge))
        return false;
    *secondary = (uint8_t)pci_config_read(bridge, PCI_SECONDARY_BUS, 1);
    *subordinate = (uint8_t)pci_config_read(bridge, PCI_SUBORDINATE_BUS, 1);
    return *secondary > bridge.bus && *subordinate >= *secondary;
}

static void read_function(struct pci_function *f)
{
    uint16_t class = pci_read16(f, PCI_CLASS + 1);

    f->vendor_id = pci_read16(f, PCI_VENDOR_ID);
    f->device_id = pci_read16(f, PCI_DEVICE_ID);
    f->revision = pci_read8(f, PCI_REVISION_ID);
    f->interface = pci_read8(f, PCI_CLASS);
    f->sub_class = (uint8_t) class;
    f->base_class = (uint8_t)(class >> 8);
    f->header_type = pci_read8(f, PCI_HEADER_TYPE);
    f->interrupt_line = pci_read8(f, PCI_INTERRUPT_LINE);
    f->interrupt_pin = pci_read8(f, PCI_INTERRUPT_PIN);
    f->is_bridge = (f->header_type & PCI_HEADER_TYPE_MASK) == PCI_HEADER_BRIDGE;
    pci_read_capabilities(f);
    pci_read_bars(f);
}

static bool grow(void)
{
    unsigned larger = capacity ? 2 * capacity : FIRST_CAPACITY;
    struct pci_function *moved = larger <= PCI_FUNCTIONS_MAX ? heap_alloc(larger * sizeof *moved) : NULL;

    if (!moved)
        return false;
    if (functions)
        memcpy(moved, functions, count * sizeof *moved);
    heap_free(functions);
    functions = moved;
    capacity = larger;
    return true;
}

static void add_function(struct pci_address a, uint16_t parent)
{
    struct pci_function *f;

    if (count == capacity && !grow()) {
        is_incomplete = true;
        return;
    }
    f = &functions[count++];
    *f = (struct pci_function){.address = a, .parent = parent};
    read_function(f);
}

static void scan_bus(const struct scan *s, uint8_t bus, uint16_t parent)
{
    pci_config_open_bus(s->segment, bus);
    for (unsigned device = 0; device < PCI_DEVICES_PER_BUS; device++) {
        struct pci_address a = {s->segment, bus, pci_devfn(device, 0)};
        bool is_multi = is_present(a) && pci_config_read(a, PCI_HEADER_TYPE, 1) & PCI_HEADER_MULTI;

        for (unsigned i = 0; i < (is_multi ? PCI_FUNCTIONS_PER_DEVICE : 1); i++) {
            a.devfn = pci_devfn(device, i);
            if (is_present(a))
                add_function(a, parent);
        }
    }
}

static void scan_below(struct scan *s, uint16_t index)
{
    struct pci_function *f = &functions[index];

    if (pci_bridge_buses(f->address, &f->secondary_bus, &f->subordinate_bus) &&
        take_bus(s, f->secondary_bus))
        scan_bus(s, f->secondary_bus, index);
    else
        log_warn("pci", PCI_ADDRESS_FORMAT ": a bridge to nowhere: what is below is not used",
                 PCI_ADDRESS_ARGS(f->address));
}

/* The root bus, then bus by bus what the bridges that were found lead to. */
static void scan_root(struct scan *s, uint8_t bus)
{
    unsigned next = count;

    if (!take_bus(s, bus))
        return;
    scan_bus(s, bus, PCI_NO_PARENT);
    for (; next < count; next++)
        if (functions[next].is_bridge)
            scan_below(s, (uint16_t)next);
}

static bool has_functions(uint16_t segment, uint8_t bus)
{
    for (unsigned device = 0; device < PCI_DEVICES_PER_BUS; device++)
        if (is_present((struct pci_address){segment, bus, pci_devfn(device, 0)}))
            return true;
    return false;
}

/*
 * A machine may have several root buses in one segment, whose numbers only AML tells: each bus
 * that no bridge led to is looked at. Through ports, so that no window is opened for nothing.
 */
static void scan_other_roots(struct scan *s)
{
    for (unsigned bus = 0; bus < PCI_BUSES; bus++)
        if (!(s->visited[bus / 64] & BIT(bus % 64)) && has_functions(s->segment, (uint8_t)bus))
            scan_root(s, (uint8_t)bus);
}

/* A segment may have several windows; the first one's scan covers all. */
static void scan_segment(const struct pci_ecam *ecams, unsigned ecam_count, unsigned first)
{
    struct scan s = {.segment = ecams[first].segment};

    for (unsigned i = 0; i < first; i++)
        if (ecams[i].segment == s.segment)
            return;
    for (unsigned i = first; i < ecam_count; i++)
        if (ecams[i].segment == s.segment)
            scan_root(&s, ecams[i].first_bus);
    if (s.segment == 0)
        scan_other_roots(&s);
}

static void scan_by_ports(void)
{
    struct scan s = {.segment = 0};

    scan_root(&s, 0);
    scan_other_roots(&s);
}

void pci_scan(void)
{
    const struct pci_ecam *ecams;
    unsigned ecam_count = pci_config_ecams(&ecams);

    count = 0;
    is_incomplete = false;
    for (unsigned i = 0; i < ecam_count; i++)
        scan_segment(ecams, ecam_count, i);
    if (ecam_count == 0)
        scan_by_ports();
    pci_make_groups(functions, count);
    if (is_incomplete)
        log_warn("pci", "more than %u functions, or no memory for them: those behind are not used", count);
    log_info("pci", "%u functions, configured by %s", count, ecam_count ? "ECAM" : "ports");
}

/* --- DMA --- */

bool pci_shares_group(const struct pci_function *f)
{
    for (unsigned i = 0; i < count; i++)
        if (functions[i].group == f->group && !functions[i].is_bridge && &functions[i] != f)
            return true;
    return false;
}

static bool is_express(const struct pci_function *f)
{
    return f->capabilities[PCI_CAP_PCIE] != 0;
}

/* PCI Express to PCI/PCI-X Bridge Specification, "Requester ID": the secondary bus, device 0. */
static int visit_bridge(const struct pci_function *bridge,
                        int (*visit)(void *context, struct pci_address requester), void *context)
{
    struct pci_address alias = {bridge->address.segment, bridge->secondary_bus, 0};
    int result = visit(context, bridge->address);

    if (result == 0 && is_express(bridge))
        result = visit(context, alias);
    return result;
}

int pci_visit_requesters(const struct pci_function *f,
                         int (*visit)(void *context, struct pci_address requester), void *context)
{
    int result = visit(context, f->address);

    for (uint16_t i = f->parent; i != PCI_NO_PARENT && result == 0; i = functions[i].parent) {
        const struct pci_function *bridge = &functions[i];

        if (!is_express(bridge) || bridge->express_type == PCI_EXP_TYPE_PCI_BRIDGE)
            result = visit_bridge(bridge, visit, context);
    }
    return result;
}
