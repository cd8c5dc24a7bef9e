/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: COM2 is one VM's; its interrupts reach that VM, however many come they cost a bounded number of interrupts, and
 * none is lost for good; when the VM is gone nothing of it is touched any more.
 */
#include "tests/host/fake/fake.h"
#include "arch/x86/device_irq.h"
#include "arch/x86/ioapic.h"
#include "drivers/host/pci.h"
#include "drivers/ns16550.h"
#include "kernel/lib/errno.h"
#include "kernel/machine.h"
#include "kernel/machine_function.h"
#include "kernel/machine_parts.h"
#include "kernel/pcpu.h"
#include "kernel/vcpu_ops.h"
#include "tests/host/fake/include/arch/x86/io.h"

#define COM2_PORT 0x2f8u
#define COM2_IRQ  3u

static struct vm_config config = {.serial = VM_SERIAL_COM2};
static struct platform platforms[2];
static struct vm vms[2];
static struct device_irq *irq;
static bool is_masked;
static unsigned edges[2];
static uint8_t scratch;

uint8_t io_in8(uint16_t port)
{
    return port == COM2_PORT + UART_SCR ? scratch : 0;
}

void io_out8(uint16_t port, uint8_t value)
{
    if (port == COM2_PORT + UART_SCR)
        scratch = value;
}

int device_irq_take(struct device_irq *taken, uint64_t cpus)
{
    (void)cpus;
    irq = taken;
    return 0;
}

void device_irq_release(struct device_irq *released)
{
    assert_ptr_equal(released, irq);
    irq = NULL;
}

bool host_ioapic_route_isa(uint8_t input, const struct host_ioapic_target *to)
{
    (void)to;
    assert_int_equal(input, COM2_IRQ);
    is_masked = false;
    return true;
}

void host_ioapic_set_isa_mask(uint8_t input, bool value)
{
    assert_int_equal(input, COM2_IRQ);
    is_masked = value;
}

void machine_set_isa_line(void *platform, unsigned input, bool level)
{
    assert_int_equal(input, COM2_IRQ);
    edges[(struct platform *)platform - platforms] += level;
}

int machine_refuse(struct vm *vm, const char *why)
{
    (void)vm, (void)why;
    return -ENOMEM;
}

unsigned pci_count(void)
{
    return 0;
}

const struct pci_function *pci_at(unsigned index)
{
    (void)index;
    return NULL;
}

struct machine_function *machine_function_find(struct pci_address address)
{
    (void)address;
    return NULL;
}

static int set_up(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++)
        vms[i] = (struct vm){.config = &config, .platform = &platforms[i]};
    memset(edges, 0, sizeof edges);
    fake_clock_advance(clock_hz());
    fake_log_count = 0;
    assert_int_equal(machine_make_legacy(&vms[0]), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    machine_take_legacy_back(&vms[0]);
    machine_take_legacy_back(&vms[1]);
    return 0;
}

/* Returns how many came through. */
static unsigned flood(unsigned count)
{
    unsigned taken = 0;

    for (; count > 0 && !is_masked; count--, taken++)
        irq->handler(irq->context);
    return taken;
}

static void it_is_one_vms(void **state)
{
    (void)state;
    assert_int_equal(machine_make_legacy(&vms[1]), -ENOMEM);
    machine_take_legacy_back(&vms[1]); /* which has not got it */
    assert_false(is_masked);
    assert_int_equal(flood(1), 1);
    assert_int_equal(edges[0], 1);
    machine_take_legacy_back(&vms[0]);
    assert_true(is_masked);
    assert_null(irq);
    assert_int_equal(machine_make_legacy(&vms[1]), 0);
    assert_int_equal(flood(1), 1);
    assert_int_equal(edges[1], 1);
}

static void a_flood_is_held_back_until_the_next_tick(void **state)
{
    unsigned taken = flood(1000000);

    (void)state;
    assert_in_range(taken, 2304, 10000); /* more than a line at 115,200 bits a second needs */
    assert_int_equal(edges[0], taken);
    fake_clock_advance(clock_hz() / 5);
    assert_false(is_masked);
    assert_int_equal(edges[0], taken + 1); /* for all that were lost */
    assert_in_range(flood(1000000), 1, taken);
    assert_true(is_masked);
    assert_int_equal(fake_log_count, 2); /* who has it, and that */
}

static void what_a_line_needs_is_never_held_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(flood(230), 230);
        fake_clock_advance(clock_hz() / 100);
    }
}

static void nothing_comes_for_a_vm_that_is_gone(void **state)
{
    struct device_irq late;

    (void)state;
    flood(1000000);
    late = *irq;
    machine_take_legacy_back(&vms[0]);
    edges[0] = 0;
    for (unsigned i = 0; i < 10000; i++)
        late.handler(late.context); /* was on its way */
    edges[0] = 0;
    fake_clock_advance(clock_hz());
    assert_int_equal(edges[0], 0);
    assert_true(is_masked);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_is_one_vms),
        TEST(a_flood_is_held_back_until_the_next_tick),
        TEST(what_a_line_needs_is_never_held_back),
        TEST(nothing_comes_for_a_vm_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
