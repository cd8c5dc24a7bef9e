/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A function as after power-on, but for where firmware put it: PCI Express Base Specification,
 * "Function Level Reset"; PCI Power Management Specification, "Power State Transitions"; Advanced
 * Capabilities for Conventional PCI.
 */
#include "drivers/host/pci_internal.h"
#include "drivers/host/pci_reset.h"
#include "kernel/log.h"

#define FLR_NS        100000000u /* all that a function may take */
#define PM_NS         10000000u
#define DRAIN_NS      1000000u
#define DRAIN_ROUNDS  100u
#define HEADER_DWORDS 16u
#define D3_HOT        3u

/* What was asked of it is answered, as far as it says. */
static void drain(const struct pci_function *f, unsigned status, unsigned pending,
                  void (*wait)(uint64_t ns))
{
    for (unsigned i = 0; i < DRAIN_ROUNDS && (pci_read8(f, status) & pending); i++)
        wait(DRAIN_NS);
}

static bool reset_by_express(const struct pci_function *f, void (*wait)(uint64_t ns))
{
    unsigned cap = f->capabilities[PCI_CAP_PCIE];

    if (!cap || !(pci_read32(f, cap + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR))
        return false;
    drain(f, cap + PCI_EXP_DEVSTA, PCI_EXP_DEVSTA_PENDING, wait);
    pci_config_write(f->address, cap + PCI_EXP_DEVCTL, 2,
                     pci_read16(f, cap + PCI_EXP_DEVCTL) | PCI_EXP_DEVCTL_FLR);
    wait(FLR_NS);
    return true;
}

static bool reset_by_features(const struct pci_function *f, void (*wait)(uint64_t ns))
{
    unsigned cap = f->capabilities[PCI_CAP_AF];
    unsigned needed = PCI_AF_CAP_TP | PCI_AF_CAP_FLR;

    if (!cap || (pci_read8(f, cap + PCI_AF_CAP) & needed) != needed)
        return false;
    drain(f, cap + PCI_AF_STATUS, PCI_AF_STATUS_TP, wait);
    pci_config_write(f->address, cap + PCI_AF_CONTROL, 1, PCI_AF_CONTROL_FLR);
    wait(FLR_NS);
    return true;
}

static void set_power(const struct pci_function *f, uint16_t control, unsigned state)
{
    pci_config_write(f->address, f->capabilities[PCI_CAP_PM] + PCI_PM_CONTROL, 2,
                     (control & ~PCI_PM_CONTROL_STATE) | state);
}

static bool reset_by_power(const struct pci_function *f, void (*wait)(uint64_t ns))
{
    unsigned cap = f->capabilities[PCI_CAP_PM];
    uint16_t control = cap ? pci_read16(f, cap + PCI_PM_CONTROL) : PCI_PM_CONTROL_NO_RESET;

    if (control & PCI_PM_CONTROL_NO_RESET)
        return false;
    set_power(f, control, D3_HOT);
    wait(PM_NS);
    set_power(f, control, 0);
    wait(PM_NS);
    return true;
}

bool pci_reset(const struct pci_function *f, void (*wait)(uint64_t ns))
{
    uint32_t saved[HEADER_DWORDS];
    bool is_done;

    pci_set_master(f->address, false);
    for (unsigned i = 0; i < HEADER_DWORDS; i++)
        saved[i] = pci_read32(f, 4 * i);
    is_done = reset_by_express(f, wait) || reset_by_features(f, wait) || reset_by_power(f, wait);
    if (is_done)
        for (unsigned i = HEADER_DWORDS; i-- > 0;) /* the command register behind the addresses */
            pci_config_write(f->address, 4 * i, 4, saved[i]);
    return is_done;
}
