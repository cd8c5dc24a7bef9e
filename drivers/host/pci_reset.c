/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A function as after power-on, but for where firmware put it: PCI Express Base Specification,
 * "Function Level Reset" and "Conventional Reset"; PCI-to-PCI Bridge Architecture Specification, "Bridge
 * Control Register"; PCI Power Management Specification, "Power State Transitions"; Advanced Capabilities
 * for Conventional PCI.
 */
#include "drivers/host/pci_internal.h"
#include "drivers/host/pci_reset.h"
#include "kernel/lib/errno.h"
#include "kernel/log.h"

#define FLR_NS        100000000u /* all that a function may take */
#define PM_NS         10000000u
#define BUS_NS        2000000u   /* the reset itself */
#define SETTLE_NS     100000000u /* before anybody asks */
#define READY_NS      10000000u
#define READY_ROUNDS  100u /* a function may take a second */
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

/* What else would be reset with it? */
static bool is_alone_on_bus(const struct pci_function *f)
{
    for (unsigned i = 0; i < pci_count(); i++)
        if (pci_at(i)->parent == f->parent && pci_at(i) != f)
            return false;
    return true;
}

static void set_bus_reset(const struct pci_function *bridge, bool is_on)
{
    uint32_t control = pci_read16(bridge, PCI_BRIDGE_CONTROL) & ~PCI_BRIDGE_BUS_RESET;

    pci_config_write(bridge->address, PCI_BRIDGE_CONTROL, 2, control | (is_on ? PCI_BRIDGE_BUS_RESET : 0));
}

static bool reset_by_bus(const struct pci_function *f, void (*wait)(uint64_t ns))
{
    const struct pci_function *bridge = f->parent == PCI_NO_PARENT ? NULL : pci_at(f->parent);

    if (!bridge || f->is_bridge || !is_alone_on_bus(f))
        return false;
    set_bus_reset(bridge, true);
    wait(BUS_NS);
    set_bus_reset(bridge, false);
    wait(SETTLE_NS);
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

static const struct {
    const char *name;
    bool (*reset)(const struct pci_function *f, void (*wait)(uint64_t ns));
} methods[] = {
    {"its own reset", reset_by_express},
    {"its own reset", reset_by_features},
    {"its bus", reset_by_bus},
    {"its power state", reset_by_power},
};

/* NULL: none. */
static const char *reset_somehow(const struct pci_function *f, void (*wait)(uint64_t ns))
{
    for (unsigned i = 0; i < ARRAY_SIZE(methods); i++)
        if (methods[i].reset(f, wait))
            return methods[i].name;
    return NULL;
}

/* While it is not ready it may answer with all ones, or with the id of nobody (Configuration Request Retry). */
static bool is_back(const struct pci_function *f, void (*wait)(uint64_t ns))
{
    for (unsigned i = 0; i < READY_ROUNDS; i++) {
        if (pci_read16(f, PCI_VENDOR_ID) == f->vendor_id)
            return true;
        wait(READY_NS);
    }
    return false;
}

/* What firmware chose: where it lies, and how much it takes at once, on which its port counts. */
struct saved {
    uint32_t header[HEADER_DWORDS];
    uint16_t device_control;
};

static void save(const struct pci_function *f, struct saved *s)
{
    unsigned express = f->capabilities[PCI_CAP_PCIE];

    for (unsigned i = 0; i < HEADER_DWORDS; i++)
        s->header[i] = pci_read32(f, 4 * i);
    s->device_control = express ? pci_read16(f, express + PCI_EXP_DEVCTL) : 0;
}

static void restore(const struct pci_function *f, const struct saved *s)
{
    unsigned express = f->capabilities[PCI_CAP_PCIE];

    if (express)
        pci_config_write(f->address, express + PCI_EXP_DEVCTL, 2, s->device_control);
    for (unsigned i = HEADER_DWORDS; i-- > 0;) /* the command register behind the addresses */
        pci_config_write(f->address, 4 * i, 4, s->header[i]);
}

int pci_reset(const struct pci_function *f, void (*wait)(uint64_t ns))
{
    struct saved saved;
    const char *name;

    pci_set_command(f->address, PCI_COMMAND_MASTER, false);
    pci_set_command(f->address, PCI_COMMAND_INTX_OFF, true);
    save(f, &saved);
    name = reset_somehow(f, wait);
    if (!name)
        return -ENOTSUP;
    if (!is_back(f, wait)) {
        log_warn("pci", PCI_ADDRESS_FORMAT ": does not answer after a reset by %s", PCI_ADDRESS_ARGS(f->address), name);
        return -EIO;
    }
    restore(f, &saved);
    log_info("pci", PCI_ADDRESS_FORMAT ": reset by %s", PCI_ADDRESS_ARGS(f->address), name);
    return 0;
}
