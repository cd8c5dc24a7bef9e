/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two lists of capabilities. A function may be broken or hostile: a list may loop, leave its
 * space or repeat an entry, of which the first counts; each is followed for as many steps as it
 * could have entries.
 */
#include "drivers/host/pci_internal.h"

#define STEPS_MAX          ((PCI_CONFIG_BYTES - PCI_CAP_FIRST) / 4)
#define EXTENDED_STEPS_MAX ((PCI_EXTENDED_CONFIG_BYTES - PCI_CONFIG_BYTES) / 8)

static const struct {
    uint16_t id;
    bool is_extended;
    uint8_t bytes; /* that are read of it */
} known[PCI_CAPABILITIES_KNOWN] = {
    [PCI_CAP_PM] = {PCI_CAP_ID_PM, false, 8},
    [PCI_CAP_MSI] = {PCI_CAP_ID_MSI, false, 10},
    [PCI_CAP_MSIX] = {PCI_CAP_ID_MSIX, false, 12},
    [PCI_CAP_PCIE] = {PCI_CAP_ID_PCIE, false, 20},
    [PCI_CAP_AF] = {PCI_CAP_ID_AF, false, 6},
    [PCI_CAP_ACS] = {PCI_EXT_CAP_ID_ACS, true, 8},
    [PCI_CAP_ATS] = {PCI_EXT_CAP_ID_ATS, true, 8},
    [PCI_CAP_SRIOV] = {PCI_EXT_CAP_ID_SRIOV, true, 64},
};

const char *const pci_capability_names[PCI_CAPABILITIES_KNOWN] = {
    [PCI_CAP_PM] = "pm", [PCI_CAP_MSI] = "msi", [PCI_CAP_MSIX] = "msix", [PCI_CAP_PCIE] = "pcie",
    [PCI_CAP_AF] = "af", [PCI_CAP_ACS] = "acs", [PCI_CAP_ATS] = "ats",   [PCI_CAP_SRIOV] = "sriov",
};

static void note(struct pci_function *f, uint16_t id, bool is_extended, unsigned offset)
{
    unsigned limit = is_extended ? PCI_EXTENDED_CONFIG_BYTES : PCI_CONFIG_BYTES;

    for (unsigned i = 0; i < PCI_CAPABILITIES_KNOWN; i++)
        if (known[i].id == id && known[i].is_extended == is_extended && f->capabilities[i] == 0 &&
            range_fits(offset, known[i].bytes, limit))
            f->capabilities[i] = (uint16_t)offset;
}

static void read_list(struct pci_function *f)
{
    unsigned at = pci_read8(f, PCI_CAPABILITIES) & ~3u;

    if (!(pci_read16(f, PCI_STATUS) & PCI_STATUS_CAP_LIST))
        return;
    for (unsigned steps = 0; at >= PCI_CAP_FIRST && steps < STEPS_MAX; steps++) {
        uint16_t header = pci_read16(f, at);

        note(f, header & 0xff, false, at);
        at = header >> 8 & ~3u;
    }
}

static void read_extended_list(struct pci_function *f)
{
    unsigned at = PCI_EXT_CAP_FIRST;

    if (pci_config_bytes(f->address) < PCI_EXTENDED_CONFIG_BYTES)
        return;
    for (unsigned steps = 0; at >= PCI_EXT_CAP_FIRST && steps < EXTENDED_STEPS_MAX; steps++) {
        uint32_t header = pci_read32(f, at);

        if (header == 0 || header == UINT32_MAX)
            return;
        note(f, (uint16_t)header, true, at);
        at = header >> 20 & ~3u;
    }
}

/* Only PCI Express has the second list; elsewhere its place is undefined. */
void pci_read_capabilities(struct pci_function *f)
{
    unsigned express;

    read_list(f);
    express = f->capabilities[PCI_CAP_PCIE];
    if (express == 0)
        return;
    f->express_type = pci_read16(f, express + PCI_EXP_FLAGS) >> PCI_EXP_FLAGS_TYPE_SHIFT &
                      PCI_EXP_FLAGS_TYPE_MASK;
    read_extended_list(f);
}
