/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever a guest writes into configuration space, the hardware is asked only for what the guest may have: memory
 * and ports inside the windows, bus mastering, its pin. Nothing else is visible.
 */
#include "tests/host/fake/pci_passthrough_rig.h"
#include <errno.h>

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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, pci_passthrough_rig_set_up)
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
