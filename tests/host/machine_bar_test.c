/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: wherever a guest puts the memory and ports of its functions, at each place there is one of them at most, whoever
 * came first; the table of messages is mapped nowhere; and in the end each is where the guest has it.
 */
#include "tests/host/fake/arch.h"
#include "tests/host/fake/fake.h"
#include "kernel/heap.h"
#include "kernel/machine_bar.h"
#include "kernel/page.h"
#include "kernel/pt.h"
#include "kernel/stage2.h"
#include "kernel/vcpu_ops.h"
#include <errno.h>

#define WINDOW   0xc0000000u
#define HOST_A   0xfe000000u
#define HOST_B   0xfe100000u
#define HOST_IO  0xc040u
#define BYTES    0x8000u
#define TABLE    0x3000u

static struct pt tables;
static struct vm vm;
static struct vcpu vcpu;
static struct machine_bus bus;
static struct machine_function a, b;
static struct pci_function host_a, host_b;
static uint8_t registers[BYTES];
static uint32_t flushes;
static bool is_passed;
static int own_result;

void *arch_map_device(hpa_t address, uint64_t size)
{
    assert_true(address.value >= HOST_A && size <= sizeof registers);
    return registers;
}

void vm_request(struct vm *of, uint32_t requests)
{
    assert_ptr_equal(of, &vm);
    flushes |= requests;
}

static int own_ports(struct vcpu *of)
{
    assert_ptr_equal(of, &vcpu);
    return own_result;
}

static void pass_ports(struct vcpu *of, uint16_t first, unsigned count, bool is_on)
{
    assert_ptr_equal(of, &vcpu);
    assert_int_equal(first, HOST_IO);
    assert_int_equal(count, 32);
    is_passed = is_on;
}

static const struct vcpu_ops engine = {.own_ports = own_ports, .pass_ports = pass_ports};

static void add(struct machine_function *f, struct pci_function *host, uint64_t address)
{
    *host = (struct pci_function){.bars[0] = {PCI_BAR_MEMORY, false, address, BYTES}};
    *f = (struct machine_function){.vm = &vm, .host = host, .bus = &bus};
    f->device.layout.bars[0].size = BYTES;
    bus.functions[bus.count++] = f;
}

static int set_up(void **state)
{
    (void)state;
    fake_ram_reset();
    page_init();
    assert_int_equal(page_add_range(HPA(MIB(1)), MIB(4)), 0);
    heap_init();
    vcpu_ops = &engine;
    vm = (struct vm){.stage2 = &tables, .vcpus = {&vcpu}, .vcpu_count = 1};
    bus.count = 0;
    assert_int_equal(stage2_create(&tables), 0);
    add(&a, &host_a, HOST_A);
    add(&b, &host_b, HOST_B);
    host_a.bars[2] = (struct pci_bar){PCI_BAR_PORTS, false, HOST_IO, 32};
    a.device.layout.bars[2] = (struct pci_passthrough_bar){.size = 32, .is_ports = true};
    a.device.layout.msix = (struct pci_passthrough_msix){0x50, 4, 0, TABLE, 4};
    flushes = 0;
    is_passed = false;
    own_result = 0;
    assert_true(machine_bars_open(&a));
    assert_true(machine_bars_open(&b));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stage2_destroy(&tables);
    return 0;
}

/* Where that leads; 0: nowhere. */
static uint64_t at(uint64_t address)
{
    struct pt_mapping page;

    return pt_lookup(&tables, address, &page) ? page.hpa.value + (address - page.virt) : 0;
}

static void memory_is_mapped_around_its_messages(void **state)
{
    (void)state;
    assert_int_equal(at(WINDOW), 0);
    machine_bar_place(&a, 0, WINDOW);
    assert_int_equal(at(WINDOW), HOST_A);
    assert_int_equal(at(WINDOW + TABLE - 1), HOST_A + TABLE - 1);
    assert_int_equal(at(WINDOW + TABLE), 0);
    assert_int_equal(at(WINDOW + TABLE + PAGE_SIZE), HOST_A + TABLE + PAGE_SIZE);
    assert_int_equal(at(WINDOW + BYTES), 0);
    machine_bar_write(&a, 0, TABLE + 4, 4, 0x12345678);
    assert_int_equal(machine_bar_read(&a, 0, TABLE + 4, 4), 0x12345678);
    assert_int_equal(machine_bar_read(&a, 0, TABLE + 5, 1), 0x56);
    assert_true(machine_bar_read(&a, 0, 0, 4) == UINT64_MAX); /* the guest reaches that by itself */
    machine_bar_write(&a, 0, TABLE - 4, 8, 0);
    assert_int_equal(machine_bar_read(&a, 0, TABLE, 2), 0);
    assert_true(machine_bar_read(&a, 0, TABLE, 8) >> 32 == 0x12345678);
    assert_true(machine_bar_read(&a, 0, TABLE + 4, 8) == UINT64_MAX); /* not aligned */
}

/* Sizing costs nothing: what decodes nothing stays until somebody wants its place. */
static void it_stays_while_nobody_wants_its_place(void **state)
{
    (void)state;
    machine_bar_place(&a, 0, WINDOW);
    machine_bar_place(&a, 0, PCI_BAR_NOWHERE);
    machine_bar_place(&a, 0, WINDOW);
    assert_int_equal(a.mappings, 1);
    assert_int_equal(flushes, 0);
    machine_bar_place(&a, 0, PCI_BAR_NOWHERE);
    machine_bar_place(&b, 0, WINDOW);
    assert_int_equal(at(WINDOW), HOST_B);
    assert_int_equal(flushes, REQUEST_FLUSH);
    machine_bar_place(&a, 0, WINDOW + BYTES);
    assert_int_equal(at(WINDOW + BYTES), HOST_A);
}

/* Both decode: the first one stays; the other one follows when it has left. */
static void two_at_one_place(void **state)
{
    (void)state;
    machine_bar_place(&a, 0, WINDOW);
    machine_bar_place(&b, 0, WINDOW + BYTES);
    machine_bar_place(&b, 0, WINDOW + PAGE_SIZE);
    assert_int_equal(at(WINDOW), HOST_A);
    assert_int_equal(at(WINDOW + PAGE_SIZE), HOST_A + PAGE_SIZE);
    assert_int_equal(at(WINDOW + BYTES), 0);
    machine_bar_place(&a, 0, WINDOW + MIB(1));
    assert_int_equal(at(WINDOW + MIB(1)), HOST_A);
    assert_int_equal(at(WINDOW), 0);
    assert_int_equal(at(WINDOW + PAGE_SIZE), HOST_B);
    machine_bar_place(&a, 0, WINDOW);
    assert_int_equal(at(WINDOW), 0);
    machine_bar_place(&b, 0, PCI_BAR_NOWHERE);
    assert_int_equal(at(WINDOW), HOST_A);
}

/* Who exchanges two finds each where it is now. */
static void two_that_change_places(void **state)
{
    (void)state;
    machine_bar_place(&a, 0, WINDOW);
    machine_bar_place(&b, 0, WINDOW + BYTES);
    machine_bar_place(&a, 0, WINDOW + BYTES);
    machine_bar_place(&b, 0, WINDOW);
    assert_int_equal(at(WINDOW), HOST_B);
    assert_int_equal(at(WINDOW + BYTES), HOST_A);
}

/* Tables are given back at the VM's end only: a guest that goes on moving loses its memory, not ours. */
static void moving_ends(void **state)
{
    struct page_stats before, after;

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        machine_bar_place(&b, 0, WINDOW + i * MIB(2));
    page_get_stats(&before);
    for (unsigned i = 0; i < 1000; i++)
        machine_bar_place(&b, 0, WINDOW + i * MIB(2));
    page_get_stats(&after);
    assert_int_equal(before.free_pages, after.free_pages);
    machine_bar_place(&a, 0, WINDOW);
    assert_int_equal(at(WINDOW), HOST_A); /* the other one's is its own affair */
}

static void ports_are_passed_where_the_machine_has_them(void **state)
{
    (void)state;
    machine_bar_place(&a, 2, HOST_IO);
    assert_true(is_passed);
    machine_bar_place(&a, 2, 0x2000);
    assert_false(is_passed);
    machine_bar_place(&a, 2, HOST_IO);
    assert_true(is_passed);
    machine_bar_place(&a, 2, PCI_BAR_NOWHERE);
    assert_false(is_passed);
}

static void what_cannot_be_opened(void **state)
{
    (void)state;
    own_result = -ENOMEM;
    assert_false(machine_bars_open(&a));
    own_result = 0;
    host_a.bars[0].address = 0;
    assert_false(machine_bars_open(&a));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(memory_is_mapped_around_its_messages),
        TEST(it_stays_while_nobody_wants_its_place),
        TEST(two_at_one_place),
        TEST(two_that_change_places),
        TEST(moving_ends),
        TEST(ports_are_passed_where_the_machine_has_them),
        TEST(what_cannot_be_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
