/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a function is reset by the first means that it has, nobody else is reset with it, and then it lies where it
 * was, owned by nobody; one that does not come back is found out.
 */
#include "tests/host/fake/fake.h"
#include "drivers/host/pci_config.h"
#include "drivers/host/pci_reset.h"
#include "drivers/pci_regs.h"
#include "kernel/heap.h"
#include "kernel/lib/bytes.h"
#include "kernel/page.h"
#include <errno.h>

#define BAR     0xfebc0000u
#define CAP_PM  0x40u
#define CAP_EXP 0x60u
#define CAP_AF  0x80u
#define DEVCTL  0x2810u

/* 0: a bridge at 00:01.0; 1 and 2: what may be below. What is written sticks, but for what resets. */
#define FUNCTIONS 3u
static struct {
    bool is_present;
    uint8_t bytes[PCI_CONFIG_BYTES];
    unsigned resets;
    uint64_t dead_until;
} functions[FUNCTIONS];
static uint64_t now, boot_ns; /* how long they take after a reset */

static int index_of(struct pci_address a)
{
    if (a.segment == 0 && a.bus == 0 && a.devfn == pci_devfn(1, 0))
        return 0;
    return a.segment == 0 && a.bus == 1 && pci_device_number(a) < 2 && pci_function_number(a) == 0 &&
                   functions[1 + pci_device_number(a)].is_present
               ? (int)pci_device_number(a) + 1
               : -1;
}

static void reset_function(unsigned i)
{
    functions[i].resets++;
    functions[i].dead_until = now + boot_ns;
    put_le32(functions[i].bytes + PCI_BAR0, 0);
    put_le16(functions[i].bytes + PCI_COMMAND, 0);
    put_le16(functions[i].bytes + CAP_EXP + PCI_EXP_DEVCTL, 0);
}

unsigned pci_config_ecams(const struct pci_ecam **all)
{
    *all = NULL;
    return 0;
}

void pci_config_open_bus(uint16_t segment, uint8_t bus)
{
    (void)segment, (void)bus;
}

unsigned pci_config_bytes(struct pci_address address)
{
    (void)address;
    return PCI_CONFIG_BYTES;
}

uint32_t pci_config_read(struct pci_address a, unsigned offset, unsigned width)
{
    int i = index_of(a);
    uint32_t value = UINT32_MAX;

    if (i >= 0 && now >= functions[i].dead_until)
        memcpy(&value, functions[i].bytes + offset, width);
    return value & (uint32_t)bytes_mask(width);
}

/* What a write makes of a function, or of those below it. */
static void react(unsigned i, unsigned offset, uint32_t value)
{
    uint8_t *pm = functions[i].bytes + CAP_PM + PCI_PM_CONTROL;

    if (i == 0 && offset == PCI_BRIDGE_CONTROL && value & PCI_BRIDGE_BUS_RESET)
        for (unsigned below = 1; below < FUNCTIONS; below++)
            reset_function(below);
    if (i > 0 && offset == CAP_EXP + PCI_EXP_DEVCTL && value & PCI_EXP_DEVCTL_FLR)
        reset_function(i);
    if (i > 0 && offset == CAP_AF + PCI_AF_CONTROL && value & PCI_AF_CONTROL_FLR)
        reset_function(i);
    if (i > 0 && offset == CAP_PM + PCI_PM_CONTROL && (pm[0] & 3) == 3 && (value & 3) == 0)
        reset_function(i);
}

void pci_config_write(struct pci_address a, unsigned offset, unsigned width, uint32_t value)
{
    int i = index_of(a);

    if (i < 0)
        return;
    react((unsigned)i, offset, value);
    if (offset == PCI_BAR0 && value == UINT32_MAX)
        value = 0xfffe0000;
    if (offset > PCI_BAR0 && offset <= PCI_CAPABILITIES)
        return;
    memcpy(functions[i].bytes + offset, &value, width);
}

static void pass(uint64_t ns)
{
    now += ns;
}

static void add(unsigned i)
{
    uint8_t *b = functions[i].bytes;

    functions[i].is_present = true;
    put_le16(b, (uint16_t)(0x8086 + i));
    put_le16(b + PCI_CLASS + 1, 0x0200);
    put_le16(b + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    put_le32(b + PCI_BAR0, BAR);
}

static void add_capability(unsigned i, uint8_t offset, uint8_t id)
{
    uint8_t *b = functions[i].bytes;

    b[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    b[offset] = id;
    b[offset + 1] = b[PCI_CAPABILITIES];
    b[PCI_CAPABILITIES] = offset;
}

static int set_up(void **state)
{
    (void)state;
    memset(functions, 0, sizeof functions);
    now = boot_ns = 0;
    add(0);
    put_le16(functions[0].bytes + PCI_CLASS + 1, 0x0604);
    functions[0].bytes[PCI_HEADER_TYPE] = PCI_HEADER_BRIDGE;
    functions[0].bytes[PCI_SECONDARY_BUS] = functions[0].bytes[PCI_SUBORDINATE_BUS] = 1;
    add(1);
    add_capability(1, CAP_EXP, PCI_CAP_ID_PCIE);
    put_le16(functions[1].bytes + CAP_EXP + PCI_EXP_DEVCTL, DEVCTL);
    return 0;
}

static int set_up_memory(void **state)
{
    (void)state;
    page_init();
    heap_init();
    return page_add_range(HPA(GIB(1)), MIB(1));
}

static int reset_first(void)
{
    pci_scan();
    return pci_reset(pci_find((struct pci_address){0, 1, 0}), pass);
}

static void assert_lies_where_it_was(void)
{
    const uint8_t *b = functions[1].bytes;

    assert_int_equal(get_le32(b + PCI_BAR0), BAR);
    assert_int_equal(get_le16(b + PCI_COMMAND), PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_OFF);
    assert_int_equal(get_le16(b + CAP_EXP + PCI_EXP_DEVCTL) & ~PCI_EXP_DEVCTL_FLR, DEVCTL);
}

static void its_own_reset_comes_first(void **state)
{
    (void)state;
    put_le32(functions[1].bytes + CAP_EXP + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_FLR);
    assert_int_equal(reset_first(), 0);
    assert_int_equal(functions[1].resets, 1);
    assert_int_equal(functions[0].bytes[PCI_BRIDGE_CONTROL], 0);
    assert_lies_where_it_was();
}

static void that_of_conventional_pci(void **state)
{
    (void)state;
    add_capability(1, CAP_AF, PCI_CAP_ID_AF);
    functions[1].bytes[CAP_AF + PCI_AF_CAP] = PCI_AF_CAP_TP | PCI_AF_CAP_FLR;
    assert_int_equal(reset_first(), 0);
    assert_int_equal(functions[1].resets, 1);
    assert_lies_where_it_was();
}

static void its_bus_if_it_is_alone(void **state)
{
    (void)state;
    functions[0].bytes[PCI_BRIDGE_CONTROL] = 0x03;
    assert_int_equal(reset_first(), 0);
    assert_int_equal(functions[1].resets, 1);
    assert_int_equal(functions[0].bytes[PCI_BRIDGE_CONTROL], 0x03);
    assert_true(now >= 100000000);
    assert_lies_where_it_was();
}

static void nobody_is_reset_with_it(void **state)
{
    (void)state;
    add(2);
    assert_int_equal(reset_first(), -ENOTSUP);
    assert_int_equal(functions[1].resets + functions[2].resets, 0);
    assert_int_equal(get_le16(functions[1].bytes + PCI_COMMAND), PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_OFF);
    assert_int_equal(get_le16(functions[2].bytes + PCI_COMMAND), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void its_power_state_if_that_resets(void **state)
{
    (void)state;
    add(2);
    add_capability(1, CAP_PM, PCI_CAP_ID_PM);
    put_le16(functions[1].bytes + CAP_PM + PCI_PM_CONTROL, PCI_PM_CONTROL_NO_RESET);
    assert_int_equal(reset_first(), -ENOTSUP);
    put_le16(functions[1].bytes + CAP_PM + PCI_PM_CONTROL, 0);
    assert_int_equal(reset_first(), 0);
    assert_int_equal(functions[1].resets, 1);
    assert_int_equal(functions[2].resets, 0);
    assert_lies_where_it_was();
}

static void one_that_takes_its_time(void **state)
{
    (void)state;
    boot_ns = 900000000;
    assert_int_equal(reset_first(), 0);
    assert_lies_where_it_was();
}

static void one_that_does_not_come_back(void **state)
{
    (void)state;
    boot_ns = UINT64_MAX / 2;
    assert_int_equal(reset_first(), -EIO);
    assert_true(now < UINT64_C(2000000000));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(its_own_reset_comes_first),   TEST(that_of_conventional_pci), TEST(its_bus_if_it_is_alone),
        TEST(nobody_is_reset_with_it),     TEST(its_power_state_if_that_resets),
        TEST(one_that_takes_its_time),     TEST(one_that_does_not_come_back),
    };
    return cmocka_run_group_tests(tests, set_up_memory, NULL);
}
