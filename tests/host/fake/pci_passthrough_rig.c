/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/pci_passthrough_rig.h"

uint32_t config[64];
uint8_t registers[0x40];

bool is_master, is_pin_on;
uint64_t placed[6];
unsigned placings;
struct pci_message messages[MESSAGES], msi;
bool is_sending[MESSAGES], has_msi;
uint16_t msix_control;

unsigned neighbour_accesses;
struct pci_passthrough device;
struct pci_msix_entry entries[MESSAGES];
struct pci_host host;
struct io_bus ports, mmio;
static struct pci_window low, high, port_window;

/* --- the hardware --- */

static uint32_t hw_config_read(void *hw, unsigned offset)
{
    assert_ptr_equal(hw, config);
    assert_true(offset < sizeof config && offset % 4 == 0);
    return config[offset / 4];
}

static void hw_set_master(void *hw, bool value)
{
    (void)hw;
    is_master = value;
}

static void hw_set_pin(void *hw, bool is_on)
{
    (void)hw;
    is_pin_on = is_on;
}

static void hw_place_bar(void *hw, unsigned bar, uint64_t address)
{
    (void)hw;
    placed[bar] = address;
    placings++;
}

static uint64_t hw_bar_read(void *hw, unsigned bar, uint64_t offset, unsigned width)
{
    uint64_t value = 0;

    (void)hw;
    assert_true(bar == 0 || (bar == 3 && offset + width <= PORTS));
    if (offset + width <= sizeof registers)
        memcpy(&value, registers + offset, width);
    return value;
}

static void hw_bar_write(void *hw, unsigned bar, uint64_t offset, unsigned width, uint64_t value)
{
    (void)hw;
    assert_true(bar == 0 || (bar == 3 && offset + width <= PORTS));
    assert_true(offset + width <= TABLE || offset >= TABLE + MESSAGES * PCI_MSIX_ENTRY_BYTES);
    if (offset + width <= sizeof registers)
        memcpy(registers + offset, &value, width);
}

static void hw_set_msi(void *hw, const struct pci_message *message)
{
    (void)hw;
    has_msi = message;
    msi = message ? *message : (struct pci_message){0, 0};
}

static void hw_set_msix(void *hw, unsigned index, const struct pci_message *message)
{
    (void)hw;
    assert_true(index < MESSAGES);
    is_sending[index] = message;
    if (message)
        messages[index] = *message;
}

static void hw_set_msix_control(void *hw, uint16_t control)
{
    (void)hw;
    msix_control = control;
}

const struct pci_hardware_ops hw_ops = {
    hw_config_read,  hw_set_master, hw_set_pin,  hw_place_bar,        hw_bar_read,
    hw_bar_write, hw_set_msi,    hw_set_msix, hw_set_msix_control,
};

/* --- the neighbour of CONFIG_ADDRESS --- */

static uint64_t neighbour_read(void *context, uint64_t offset, unsigned width)
{
    (void)context, (void)width;
    neighbour_accesses++;
    return offset;
}

static void neighbour_write(void *context, uint64_t offset, unsigned width, uint64_t value)
{
    (void)context, (void)offset, (void)width, (void)value;
    neighbour_accesses++;
}

static const struct io_region_ops neighbour_ops = {neighbour_read, neighbour_write};

/* --- the machine --- */

struct pci_passthrough_layout layout = {
    .bars = {[0] = {0x4000, WINDOW_BASE, true, false, false},
             [2] = {0x10, WINDOW_BASE + 0x10000, false, false, false},
             [3] = {PORTS, PORTS_START, false, false, true},
             [4] = {UINT64_C(1) << 32, HIGH_BASE, true, true, false}},
    .windows = {{WINDOW_BASE, WINDOW_SIZE, false}, {HIGH_BASE, HIGH_SIZE, false}, {PORTS_BASE, PORTS_SIZE, true}},
    .msix.capability = CAP_MSIX,
    .has_pin = true,
};

static void make_hardware(void)
{
    memset(config, 0, sizeof config);
    config[0] = 0x12345678;
    config[1] = 0x00100007;
    config[2] = 0x01080203;
    config[3] = 0x00800010; /* several functions */
    config[0x2c / 4] = 0xcafebabe;
    config[0x30 / 4] = 0xfff00001;
    config[PCI_CAPABILITIES / 4] = CAP_PM;
    config[0x3c / 4] = 0x0000010b;
    config[CAP_PM / 4] = CAP_MSIX << 8 | PCI_CAP_ID_PM | 0xffc30000;
    config[CAP_PM / 4 + 1] = 3;
    config[CAP_MSIX / 4] = CAP_MSI << 8 | PCI_CAP_ID_MSIX | (MESSAGES - 1) << 16;
    config[CAP_MSIX / 4 + 1] = TABLE;
    config[CAP_MSIX / 4 + 2] = 0x3000;
    config[CAP_MSI / 4] = CAP_VPD << 8 | PCI_CAP_ID_MSI | 0x018a0000; /* 64 bits, masks, 32 messages */
    config[CAP_VPD / 4] = CAP_VENDOR << 8 | 0x03;
    config[CAP_VENDOR / 4] = CAP_EXPRESS << 8 | PCI_CAP_ID_VENDOR | 0x100000;
    config[CAP_VENDOR / 4 + 3] = 0x5a5a5a5a;
    config[CAP_VENDOR / 4 + 4] = 0x11111111;
    config[CAP_EXPRESS / 4] = PCI_CAP_ID_PCIE | 0x00020000;
    config[CAP_EXPRESS / 4 + 1] = PCI_EXP_DEVCAP_FLR | 0x8000;
}

int pci_passthrough_rig_set_up(void **state)
{
    struct io_region neighbour = {"reset", 0xcf8, 4, IO_WIDTH_ANY, &neighbour_ops, NULL, NULL};
    struct io_region bridge = {"pci", PCI_HOST_PORT, PCI_HOST_PORTS, 7, &pci_host_ops, &host, NULL};
    struct io_region windows[] = {{"low", WINDOW_BASE, WINDOW_SIZE, IO_WIDTH_ANY, &pci_window_ops, &low, NULL},
                                  {"high", HIGH_BASE, HIGH_SIZE, IO_WIDTH_ANY, &pci_window_ops, &high, NULL}};
    struct io_region port_region = {"ports", PORTS_BASE, PORTS_SIZE, 7, &pci_window_ops, &port_window, NULL};

    (void)state;
    make_hardware();
    memset(registers, 0x77, sizeof registers);
    memset(placed, 0, sizeof placed);
    memset(is_sending, 0, sizeof is_sending);
    is_master = has_msi = false;
    is_pin_on = true;
    placings = neighbour_accesses = msix_control = 0;
    memset(&ports, 0, sizeof ports);
    memset(&mmio, 0, sizeof mmio);
    pci_host_init(&host, &neighbour);
    low = (struct pci_window){&host, WINDOW_BASE, false};
    high = (struct pci_window){&host, HIGH_BASE, false};
    port_window = (struct pci_window){&host, PORTS_BASE, true};
    pci_passthrough_find_msix(&hw_ops, config, &layout);
    assert_int_equal(layout.msix.count, MESSAGES);
    pci_passthrough_init(&device, &hw_ops, config, &layout, entries);
    assert_int_equal(pci_host_add(&host, SLOT, &(struct pci_slot){&pci_passthrough_ops, &device}), 0);
    assert_int_equal(io_bus_add(&ports, &bridge), 0);
    assert_int_equal(io_bus_add(&ports, &port_region), 0);
    assert_int_equal(io_bus_add(&mmio, &windows[0]), 0);
    assert_int_equal(io_bus_add(&mmio, &windows[1]), 0);
    io_bus_freeze(&ports);
    io_bus_freeze(&mmio);
    return 0;
}

uint32_t cfg_select(unsigned slot, unsigned offset)
{
    io_bus_write(&ports, 0xcf8, 4, 0x80000000u | slot << 11 | (offset & 0xfc));
    return 0xcfc + (offset & 3);
}

uint32_t cfg_read(unsigned offset, unsigned width)
{
    return (uint32_t)io_bus_read(&ports, cfg_select(SLOT, offset), width);
}

void cfg_write(unsigned offset, unsigned width, uint32_t value)
{
    io_bus_write(&ports, cfg_select(SLOT, offset), width, value);
}
