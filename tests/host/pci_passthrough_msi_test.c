/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever a guest writes into capabilities or a table of messages, the hardware is asked only for messages that the
 * guest may have, with their mask; capabilities that are of no use to it are not there.
 */
#include "tests/host/fake/pci_passthrough_rig.h"

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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, pci_passthrough_rig_set_up)
    const struct CMUnitTest tests[] = {
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
