/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever a guest writes into configuration space or a table of messages, the hardware is asked only for what
 * the guest may have: memory inside the windows, bus mastering, messages with their mask. Nothing else is visible.
 */
#include "drivers/pci_regs.h"
#include "drivers/virt/pci_passthrough.h"
#include "tests/host/fake/fake.h"
#include <errno.h>

#define WINDOW_BASE 0xc0000000u
#define WINDOW_SIZE 0x10000000u
#define HIGH_BASE   (UINT64_C(1) << 38)
#define HIGH_SIZE   (UINT64_C(1) << 37)
#define PORTS_BASE  0x1000u
#define PORTS_SIZE  0xf000u
#define PORTS_START 0xc040u
#define PORTS       0x20u
#define SLOT        1u
#define MESSAGES    3u
#define TABLE       0x2000u
#define CAP_PM      0x40u
#define CAP_MSIX    0x50u
#define CAP_MSI     0x60u
#define CAP_VPD     0x70u
#define CAP_VENDOR  0x80u
#define CAP_EXPRESS 0xa0u

static uint32_t config[64];     /* of the hardware */
static uint8_t registers[0x40]; /* of its memory, in the page of the table */

/* What the hardware was asked. */
static bool is_master, is_pin_on;
static uint64_t placed[6];
static unsigned placings;
static struct pci_message messages[MESSAGES], msi;
static bool is_sending[MESSAGES], has_msi;
static uint16_t msix_control;

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

static const struct pci_hardware_ops hw_ops = {
    hw_config_read,  hw_set_master, hw_set_pin,  hw_place_bar,        hw_bar_read,
    hw_bar_write, hw_set_msi,    hw_set_msix, hw_set_msix_control,
};

/* --- the neighbour of CONFIG_ADDRESS --- */

static unsigned neighbour_accesses;

static uint64_t neighbour_read(void *device, uint64_t offset, unsigned width)
{
    (void)device, (void)width;
    neighbour_accesses++;
    return offset;
}

static void neighbour_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    (void)device, (void)offset, (void)width, (void)value;
    neighbour_accesses++;
}

static const struct io_region_ops neighbour_ops = {neighbour_read, neighbour_write};

/* --- the machine --- */

static struct pci_passthrough device;
static struct pci_msix_entry entries[MESSAGES];
static struct pci_host host;
static struct pci_window low, high, port_window;
static struct io_bus ports, mmio;

static struct pci_passthrough_layout layout = {
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

static int set_up(void **state)
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

static uint32_t cfg_select(unsigned slot, unsigned offset)
{
    io_bus_write(&ports, 0xcf8, 4, 0x80000000u | slot << 11 | (offset & 0xfc));
    return 0xcfc + (offset & 3);
}

static uint32_t cfg_read(unsigned offset, unsigned width)
{
    return (uint32_t)io_bus_read(&ports, cfg_select(SLOT, offset), width);
}

static void cfg_write(unsigned offset, unsigned width, uint32_t value)
{
    io_bus_write(&ports, cfg_select(SLOT, offset), width, value);
}

/* --- the bridge --- */

static void bridge_is_found(void **state)
{
    (void)state;
    io_bus_write(&ports, 0xcf8, 4, 0xffffffff);
    assert_int_equal(io_bus_read(&ports, 0xcf8, 4), 0x80fffffc);
    assert_int_equal(io_bus_read(&ports, cfg_select(0, 0), 4), 0x00081b36);
    assert_int_equal(io_bus_read(&ports, cfg_select(0, 0xa), 2), 0x0600);
    io_bus_write(&ports, cfg_select(0, 4), 4, 0xffffffff);
    assert_int_equal(io_bus_read(&ports, cfg_select(0, 4), 4), 0);
    pci_host_reset(&host);
    assert_int_equal(io_bus_read(&ports, 0xcf8, 4), 0);
    assert_int_equal(io_bus_read(&ports, 0xcfc, 4), 0xffffffff); /* not enabled */
}

static void only_function_0_of_bus_0_is_there(void **state)
{
    static const uint32_t nobody[] = {0x80000000 | 2 << 11, 0x80000000 | SLOT << 11 | 1 << 8, 0x80010000 | SLOT << 11,
                                      SLOT << 11};

    (void)state;
    for (unsigned i = 0; i < sizeof nobody / sizeof *nobody; i++) {
        io_bus_write(&ports, 0xcf8, 4, nobody[i]);
        assert_int_equal(io_bus_read(&ports, 0xcfc, 4), 0xffffffff);
        io_bus_write(&ports, 0xcfc, 4, 0xffffffff);
    }
    assert_false(is_master);
    assert_int_equal(pci_host_add(&host, SLOT, &host.slots[0]), -EEXIST);
    assert_int_equal(pci_host_add(&host, PCI_HOST_SLOTS, &host.slots[0]), -EINVAL);
}

static void what_is_no_doubleword_is_the_neighbours(void **state)
{
    (void)state;
    io_bus_write(&ports, 0xcf8, 4, 0x80000800);
    io_bus_write(&ports, 0xcf9, 1, 6);
    assert_int_equal(neighbour_accesses, 1);
    assert_int_equal(io_bus_read(&ports, 0xcf9, 1), 1);
    assert_int_equal(io_bus_read(&ports, 0xcf8, 4), 0x80000800);
    assert_int_equal(io_bus_read(&ports, 0xcfb, 2), 0xffff); /* straddles */
    io_bus_write(&ports, 0xcfb, 2, 0);
    assert_int_equal(io_bus_read(&ports, 0xcf8, 4), 0x80000800);
}

/* --- the header --- */

static void identity_is_the_hardwares(void **state)
{
    (void)state;
    assert_int_equal(cfg_read(0, 4), 0x12345678);
    assert_int_equal(cfg_read(2, 2), 0x1234);
    assert_int_equal(cfg_read(8, 4), 0x01080203);
    assert_int_equal(cfg_read(0x2c, 4), 0xcafebabe);
    assert_int_equal(cfg_read(PCI_HEADER_TYPE, 1), 0); /* one function */
    assert_int_equal(cfg_read(PCI_INTERRUPT_PIN, 1), 1);
    assert_int_equal(cfg_read(PCI_ROM, 4), 0);
}

/* All ones everywhere: only what a guest owns changes. */
static void hostile_writes(void **state)
{
    (void)state;
    for (unsigned offset = 0; offset < 256; offset += 4)
        cfg_write(offset, 4, 0xffffffff);
    assert_int_equal(cfg_read(0, 4), 0x12345678);
    assert_int_equal(cfg_read(PCI_COMMAND, 2), PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_OFF);
    assert_int_equal(cfg_read(PCI_ROM, 4), 0);
    assert_int_equal(cfg_read(CAP_PM + 4, 4), PCI_PM_CONTROL_NO_RESET);
    assert_int_equal(cfg_read(CAP_VENDOR + 12, 4), 0x5a5a5a5a);
    assert_int_equal(cfg_read(PCI_INTERRUPT_LINE, 1), 0xff);
    assert_int_equal(cfg_read(0xc, 4), 0xff);
    assert_int_equal(msix_control, PCI_MSIX_CONTROL_ENABLE | PCI_MSIX_CONTROL_MASK);
    assert_true(has_msi);
    assert_int_equal(placings, 8); /* where they were at reset, then nowhere: all ones are in no window */
    for (unsigned i = 0; i < 6; i++)
        assert_true(device.placed[i] == PCI_BAR_NOWHERE);
}

static void command_passes_a_filter(void **state)
{
    (void)state;
    cfg_write(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
    assert_true(is_master);
    assert_int_equal(cfg_read(PCI_COMMAND, 2), PCI_COMMAND_IO | PCI_COMMAND_MASTER);
    assert_int_equal(placings, 1);
    cfg_write(PCI_COMMAND + 1, 1, 0xff);
    assert_true(is_master);
    cfg_write(PCI_COMMAND, 1, 0);
    assert_false(is_master);
}

static void the_pin_is_the_guests_to_hold_back(void **state)
{
    (void)state;
    cfg_write(PCI_COMMAND + 1, 1, PCI_COMMAND_INTX_OFF >> 8);
    assert_false(is_pin_on);
    assert_false(cfg_read(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
    config[PCI_COMMAND / 4] |= (uint32_t)PCI_STATUS_INTERRUPT << 16;
    assert_true(cfg_read(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
    cfg_write(PCI_COMMAND, 2, 0);
    assert_true(is_pin_on);
    layout.has_pin = false;
    pci_passthrough_init(&device, &hw_ops, config, &layout, entries);
    layout.has_pin = true;
    cfg_write(PCI_COMMAND, 2, PCI_COMMAND_INTX_OFF);
    assert_true(is_pin_on); /* nobody was asked */
    assert_int_equal(cfg_read(PCI_INTERRUPT_PIN, 1), 0);
    assert_false(cfg_read(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
}

static void bars_are_sized(void **state)
{
    (void)state;
    assert_int_equal(cfg_read(PCI_BAR0, 4), WINDOW_BASE | PCI_BAR_TYPE_64);
    for (unsigned i = 0; i < 6; i++)
        cfg_write(PCI_BAR0 + 4 * i, 4, 0xffffffff);
    assert_int_equal(cfg_read(PCI_BAR0, 4), 0xffffc000 | PCI_BAR_TYPE_64);
    assert_int_equal(cfg_read(PCI_BAR0 + 4, 4), 0xffffffff);
    assert_int_equal(cfg_read(PCI_BAR0 + 8, 4), 0xfffffff0);
    assert_int_equal(cfg_read(PCI_BAR0 + 12, 4), 0xffffffe1);
    assert_int_equal(cfg_read(PCI_BAR0 + 16, 4), PCI_BAR_TYPE_64 | PCI_BAR_PREFETCH);
    assert_int_equal(cfg_read(PCI_BAR0 + 20, 4), 0xffffffff);
    assert_int_equal(placings, 0);
}

static void bars_move_within_the_windows(void **state)
{
    (void)state;
    cfg_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(placed[0], WINDOW_BASE);
    assert_int_equal(placed[4], HIGH_BASE);
    assert_int_equal(placings, 3);
    cfg_write(PCI_BAR0, 4, WINDOW_BASE + 0x100000);
    assert_int_equal(placed[0], WINDOW_BASE + 0x100000);
    cfg_write(PCI_BAR0 + 20, 4, (HIGH_BASE >> 32) + 1); /* 64 bits */
    assert_int_equal(placed[4], HIGH_BASE + (UINT64_C(1) << 32));
    assert_int_equal(placings, 5);
    cfg_write(PCI_COMMAND, 2, 0);
    assert_true(placed[0] == PCI_BAR_NOWHERE);
    assert_int_equal(placings, 8);
    cfg_write(PCI_BAR0, 4, WINDOW_BASE);
    assert_int_equal(placings, 8);
    cfg_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(placed[0], WINDOW_BASE);
}

/* With decoding on, as some do it: nothing is where all ones point, and then it is as before. */
static void bars_are_sized_while_they_decode(void **state)
{
    (void)state;
    cfg_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    cfg_write(PCI_BAR0, 4, 0xffffffff);
    assert_true(placed[0] == PCI_BAR_NOWHERE);
    assert_int_equal(io_bus_read(&mmio, WINDOW_BASE + TABLE + 12, 4), 0xffffffff);
    cfg_write(PCI_BAR0, 4, WINDOW_BASE);
    assert_int_equal(placed[0], WINDOW_BASE);
    assert_int_equal(io_bus_read(&mmio, WINDOW_BASE + TABLE + 12, 4), 1);
}

static void ports_move_within_their_window(void **state)
{
    static const uint32_t bad[] = {0, 0x60, 0xcf0, 0xfe0, 0x10000, 0xffffffe0, WINDOW_BASE};

    (void)state;
    assert_int_equal(cfg_read(PCI_BAR0 + 12, 4), PORTS_START | PCI_BAR_IO);
    assert_int_equal(io_bus_read(&ports, PORTS_START, 4), 0xffffffff); /* it does not decode yet */
    cfg_write(PCI_COMMAND, 2, PCI_COMMAND_IO);
    assert_int_equal(placed[3], PORTS_START);
    assert_int_equal(io_bus_read(&ports, PORTS_START + 4, 2), 0x7777);
    io_bus_write(&ports, PORTS_START + PORTS - 1, 1, 0x12);
    assert_int_equal(registers[PORTS - 1], 0x12);
    assert_int_equal(io_bus_read(&ports, PORTS_START + PORTS - 1, 2), 0xffff); /* across its end */
    assert_int_equal(io_bus_read(&mmio, WINDOW_BASE, 4), 0xffffffff);         /* memory does not decode */
    cfg_write(PCI_BAR0 + 12, 4, 0xfff0 | PCI_BAR_IO);
    assert_int_equal(placed[3], 0xffe0);
    assert_int_equal(io_bus_read(&ports, 0xffe4, 1), 0x77);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        cfg_write(PCI_BAR0 + 12, 4, bad[i]);
        assert_true(placed[3] == PCI_BAR_NOWHERE);
    }
}

static void no_bar_lies_on_ram_or_on_other_devices(void **state)
{
    static const uint32_t bad[] = {0, 0x100000, 0xbfffc000, 0xd0000000, 0xfee00000, 0xffffc000};

    (void)state;
    cfg_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        cfg_write(PCI_BAR0, 4, bad[i]);
    assert_true(placed[0] == PCI_BAR_NOWHERE);
    cfg_write(PCI_BAR0, 4, WINDOW_BASE + 0x8000);
    assert_int_equal(placed[0], WINDOW_BASE + 0x8000);
    cfg_write(PCI_BAR0 + 4, 4, 0xffffffff);
    assert_true(placed[0] == PCI_BAR_NOWHERE);
    cfg_write(PCI_BAR0 + 20, 4, (HIGH_BASE + HIGH_SIZE) >> 32);
    assert_true(placed[4] == PCI_BAR_NOWHERE);
}

/* --- capabilities --- */

static void capabilities_are_filtered(void **state)
{
    static const struct {
        uint8_t offset, id;
    } expected[] = {{CAP_PM, 1}, {CAP_MSIX, 0x11}, {CAP_MSI, 5}, {CAP_VENDOR, 9}, {CAP_EXPRESS, 0x10}};
    unsigned at = cfg_read(PCI_CAPABILITIES, 1);

    (void)state;
    assert_true(cfg_read(PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(at, expected[i].offset);
        assert_int_equal(cfg_read(at, 1), expected[i].id);
        at = cfg_read(at + 1, 1);
    }
    assert_int_equal(at, 0);
    assert_int_equal(cfg_read(CAP_VPD, 4), 0);
    assert_int_equal(cfg_read(CAP_VENDOR + 16, 4), 0);                 /* behind its end */
    assert_int_equal(cfg_read(CAP_PM + 2, 2), 3);                      /* no PME, D1, D2 */
    assert_int_equal(cfg_read(CAP_EXPRESS + 2, 2), 0x92);              /* the root complex's own */
    assert_int_equal(cfg_read(CAP_EXPRESS + PCI_EXP_DEVCAP, 4), 0x8000);
    assert_int_equal(cfg_read(CAP_MSI + 2, 2), PCI_MSI_CONTROL_64);    /* one message, no masks */
}

static void a_list_in_circles_ends(void **state)
{
    (void)state;
    config[CAP_EXPRESS / 4] |= CAP_PM << 8;
    config[CAP_PM / 4] = CAP_MSIX << 8 | PCI_CAP_ID_VENDOR; /* no length */
    config[CAP_MSIX / 4 + 1] = TABLE | 7;                   /* in no BAR */
    pci_passthrough_find_msix(&hw_ops, config, &layout);
    assert_int_equal(layout.msix.count, 0);
    pci_passthrough_init(&device, &hw_ops, config, &layout, entries);
    assert_int_equal(device.capability_count, 3);
    config[CAP_MSIX / 4 + 1] = 0x3ff0; /* its end is outside */
    pci_passthrough_find_msix(&hw_ops, config, &layout);
    assert_int_equal(layout.msix.count, 0);
}

/* The rest of the hardware's table is nobody's. */
static void a_table_of_which_a_part_is_offered(void **state)
{
    uint64_t first, size;

    (void)state;
    layout.msix.offered = 1;
    pci_passthrough_init(&device, &hw_ops, config, &layout, entries);
    cfg_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(cfg_read(CAP_MSIX + 2, 2), 0);
    for (unsigned i = 0; i < MESSAGES; i++)
        io_bus_write(&mmio, WINDOW_BASE + TABLE + i * PCI_MSIX_ENTRY_BYTES + 12, 4, 0);
    assert_true(is_sending[0]);
    assert_false(is_sending[1] || is_sending[MESSAGES - 1]);
    assert_int_equal(io_bus_read(&mmio, WINDOW_BASE + TABLE + PCI_MSIX_ENTRY_BYTES, 4), UINT32_MAX);
    pci_passthrough_msix_pages(&layout.msix, &first, &size);
    assert_int_equal(size, PAGE_SIZE);
}

/* What a function says of its table counts once: it may say something else when the memory for it is there. */
static void a_table_that_grows_later(void **state)
{
    (void)state;
    config[CAP_MSIX / 4] |= PCI_MSIX_CONTROL_SIZE << 16;
    config[CAP_MSIX / 4 + 1] = 0;
    pci_passthrough_init(&device, &hw_ops, config, &layout, entries);
    assert_int_equal(cfg_read(CAP_MSIX + 2, 2), MESSAGES - 1);
    cfg_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    io_bus_write(&mmio, WINDOW_BASE + TABLE + MESSAGES * PCI_MSIX_ENTRY_BYTES + 12, 4, 0);
    io_bus_write(&mmio, WINDOW_BASE + TABLE + 12, 4, 0);
    assert_true(is_sending[0]);
}

static void msi_is_told_when_it_is_on(void **state)
{
    (void)state;
    cfg_write(CAP_MSI + 4, 4, 0xfee01003);
    cfg_write(CAP_MSI + 8, 4, 0x1);
    cfg_write(CAP_MSI + 12, 4, 0xffff4041);
    assert_false(has_msi);
    cfg_write(CAP_MSI + 2, 2, 0xffff);
    assert_true(has_msi);
    assert_true(msi.address == UINT64_C(0x1fee01000));
    assert_int_equal(msi.data, 0x4041);
    assert_int_equal(cfg_read(CAP_MSI + 2, 2), PCI_MSI_CONTROL_64 | PCI_MSI_CONTROL_ENABLE);
    assert_int_equal(cfg_read(CAP_MSI + 8, 4), 1);
    assert_int_equal(cfg_read(CAP_MSI + 12, 4), 0x4041);
    cfg_write(CAP_MSI + 2, 2, 0);
    assert_false(has_msi);
}

/* --- the table of messages --- */

#define AT(index, word) (WINDOW_BASE + TABLE + (index) * 16 + 4 * (word))

static void messages_are_masked_at_first(void **state)
{
    (void)state;
    cfg_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    for (unsigned i = 0; i < MESSAGES; i++)
        assert_int_equal(io_bus_read(&mmio, AT(i, 3), 4), 1);
    assert_int_equal(cfg_read(CAP_MSIX + 2, 2), MESSAGES - 1);
    assert_int_equal(cfg_read(CAP_MSIX + 4, 4), TABLE);
    io_bus_write(&mmio, AT(1, 0), 4, 0xfee00003);
    io_bus_write(&mmio, AT(1, 1), 4, 2);
    io_bus_write(&mmio, AT(1, 2), 4, 0x55);
    assert_false(is_sending[1]);
    io_bus_write(&mmio, AT(1, 3), 4, 0xfffffffe);
    assert_true(is_sending[1]);
    assert_true(messages[1].address == UINT64_C(0x2fee00000));
    assert_int_equal(messages[1].data, 0x55);
    assert_int_equal(io_bus_read(&mmio, AT(1, 3), 4), 0);
    io_bus_write(&mmio, AT(1, 2), 8, UINT64_C(0x100000066));
    assert_false(is_sending[1]);
    assert_true(io_bus_read(&mmio, AT(1, 2), 8) == UINT64_C(0x100000066));
}

/* Narrow, misaligned, across the table's ends: none of it reaches the hardware's table. */
static void improper_accesses_to_the_table(void **state)
{
    (void)state;
    cfg_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    for (uint64_t at = AT(0, 0) - 8; at < AT(MESSAGES, 0) + 8; at++) {
        io_bus_write(&mmio, at, 1, 0);
        io_bus_write(&mmio, at, 2, 0);
        if (at % 4 != 0)
            io_bus_write(&mmio, at, 4, 0);
        if (at % 8 != 0)
            io_bus_write(&mmio, at, 8, 0);
        (void)io_bus_read(&mmio, at, 8);
    }
    assert_int_equal(io_bus_read(&mmio, AT(0, 3), 4), 1);
    assert_int_equal(io_bus_read(&mmio, AT(0, 3), 2), 0xffff);
}

static void other_memory_is_the_hardwares(void **state)
{
    uint64_t first, size;

    (void)state;
    assert_int_equal(io_bus_read(&mmio, WINDOW_BASE, 4), 0xffffffff); /* decodes nothing yet */
    cfg_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(io_bus_read(&mmio, WINDOW_BASE + 4, 4), 0x77777777);
    io_bus_write(&mmio, WINDOW_BASE + 4, 2, 0x1234);
    assert_int_equal(io_bus_read(&mmio, WINDOW_BASE + 4, 4), 0x77771234);
    assert_int_equal(io_bus_read(&mmio, WINDOW_BASE + 0x4000, 4), 0xffffffff);
    io_bus_write(&mmio, WINDOW_BASE + 0x4000, 4, 0);
    pci_passthrough_msix_pages(&device.layout.msix, &first, &size);
    assert_int_equal(first, TABLE);
    assert_int_equal(size, 0x1000);
}

#define TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bridge_is_found),
        TEST(only_function_0_of_bus_0_is_there),
        TEST(what_is_no_doubleword_is_the_neighbours),
        TEST(identity_is_the_hardwares),
        TEST(hostile_writes),
        TEST(command_passes_a_filter),
        TEST(the_pin_is_the_guests_to_hold_back),
        TEST(bars_are_sized),
        TEST(bars_move_within_the_windows),
        TEST(bars_are_sized_while_they_decode),
        TEST(ports_move_within_their_window),
        TEST(no_bar_lies_on_ram_or_on_other_devices),
        TEST(capabilities_are_filtered),
        TEST(a_list_in_circles_ends),
        TEST(a_table_of_which_a_part_is_offered),
        TEST(a_table_that_grows_later),
        TEST(msi_is_told_when_it_is_on),
        TEST(messages_are_masked_at_first),
        TEST(improper_accesses_to_the_table),
        TEST(other_memory_is_the_hardwares),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
