/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups: functions that could reach each other without the IOMMU seeing it, or that it cannot
 * tell apart. PCI Express Base Specification, "Access Control Services (ACS)".
 *
 *   - What lies below a conventional bridge is one with the bridge: it has no names of its own.
 *   - What lies below a root or downstream port that does not redirect upwards is one with it.
 *   - Functions of one device are one, unless it says that it isolates them.
 */
#include "drivers/host/pci_internal.h"

#define ACS_OF_FUNCTIONS (PCI_ACS_REQUEST_REDIRECT | PCI_ACS_COMPLETION_REDIRECT)
#define ACS_OF_PORTS     (ACS_OF_FUNCTIONS | PCI_ACS_SOURCE_VALIDATION | PCI_ACS_UPSTREAM_FORWARD)

static bool is_express(const struct pci_function *f)
{
    return f->capabilities[PCI_CAP_PCIE] != 0;
}

static bool is_port(const struct pci_function *f)
{
    return is_express(f) && (f->express_type == PCI_EXP_TYPE_ROOT_PORT ||
                             f->express_type == PCI_EXP_TYPE_DOWNSTREAM);
}

/*
 * Turns on what isolation needs; says whether that is enough. What the capability does not offer is
 * not done by the function at all (same section, "ACS Capability Register").
 */
static bool turn_on_acs(const struct pci_function *f)
{
    unsigned at = f->capabilities[PCI_CAP_ACS], control = at + PCI_ACS_CONTROL;
    uint16_t needs;

    if (at == 0)
        return false;
    needs = pci_read16(f, at + PCI_ACS_CAP) & (is_port(f) ? ACS_OF_PORTS : ACS_OF_FUNCTIONS);
    pci_config_write(f->address, control, 2, pci_read16(f, control) | needs);
    return (pci_read16(f, control) & needs) == needs;
}

/* A group's name is the least index in it, so that names do not depend on the order of joining. */
static void join(struct pci_function *functions, unsigned count, unsigned a, unsigned b)
{
    uint16_t keep = MIN(functions[a].group, functions[b].group);
    uint16_t drop = MAX(functions[a].group, functions[b].group);

    for (unsigned i = 0; i < count; i++)
        if (functions[i].group == drop)
            functions[i].group = keep;
}

/* Does the bridge isolate each of its children from the others? A PCIe switch's upstream port has
 * only downstream ports below, which answer for themselves. */
static bool isolates_below(const struct pci_function *bridge)
{
    if (!is_express(bridge))
        return false;
    if (bridge->express_type == PCI_EXP_TYPE_UPSTREAM)
        return true;
    return is_port(bridge) && turn_on_acs(bridge);
}

static void join_device(struct pci_function *functions, unsigned count, unsigned i)
{
    for (unsigned j = 0; j < count; j++)
        if (j != i && pci_is_same_device(functions[i].address, functions[j].address))
            join(functions, count, i, j);
}

void pci_make_groups(struct pci_function *functions, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        functions[i].group = (uint16_t)i;
    for (unsigned i = 0; i < count; i++) {
        if ((functions[i].header_type & PCI_HEADER_MULTI) && !turn_on_acs(&functions[i]))
            join_device(functions, count, i);
        if (!functions[i].is_bridge || isolates_below(&functions[i]))
            continue;
        for (unsigned j = 0; j < count; j++)
            if (functions[j].parent == i)
                join(functions, count, i, j);
    }
}
