/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI functions that a VM's description names, as lspci writes them: [segment:]bus:device.function,
 * separated by commas. Whether they exist is the machine's question.
 */
#include "kernel/lib/string.h"
#include "kernel/vm_config.h"

/* Exactly so many hexadecimal digits, then the character behind them; false: they are not there. */
static bool read_hex(const char **text, unsigned digits, char behind, unsigned *value)
{
    const char *p = *text;

    *value = 0;
    for (unsigned i = 0; i < digits; i++, p++) {
        char c = (char)(*p | 0x20);

        if ((*p < '0' || *p > '9') && (c < 'a' || c > 'f'))
            return false;
        *value = *value << 4 | (unsigned)(*p <= '9' ? *p - '0' : c - 'a' + 10);
    }
    if (behind && *p++ != behind)
        return false;
    *text = p;
    return true;
}

static bool read_address(const char **text, struct pci_address *address)
{
    unsigned segment = 0, bus, device, function;

    if (!read_hex(text, 4, ':', &segment))
        segment = 0;
    if (!read_hex(text, 2, ':', &bus) || !read_hex(text, 2, '.', &device) || !read_hex(text, 1, 0, &function) ||
        device >= PCI_DEVICES_PER_BUS || function >= PCI_FUNCTIONS_PER_DEVICE)
        return false;
    *address = (struct pci_address){(uint16_t)segment, (uint8_t)bus, pci_devfn(device, function)};
    return true;
}

static bool is_named(const struct vm_config *vm, struct pci_address address)
{
    for (unsigned i = 0; i < vm->device_count; i++)
        if (pci_is_same(vm->devices[i], address))
            return true;
    return false;
}

static void add_device(struct vm_config *vm, struct pci_address address)
{
    if (vm->device_count == VM_DEVICES_MAX)
        vm_config_refuse(vm, "devices: more than %u", VM_DEVICES_MAX);
    else if (is_named(vm, address))
        vm_config_refuse(vm, "devices: " PCI_ADDRESS_FORMAT " is named twice", PCI_ADDRESS_ARGS(address));
    else
        vm->devices[vm->device_count++] = address;
}

void vm_config_read_devices(struct vm_config *vm)
{
    const char *at = vm->devices_text;

    vm->device_count = 0;
    while (*at && !vm->refused) {
        struct pci_address address;

        if (!read_address(&at, &address) || (*at && *at != ',') || (*at == ',' && !at[1]))
            vm_config_refuse(vm, "devices=%s: expected PCI functions like 00:03.0,01:00.0", vm->devices_text);
        else
            add_device(vm, address);
        at += *at == ',';
    }
}
