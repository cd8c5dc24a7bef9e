/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whoever interrupts is held back until its guest is done with it, and nobody else is; a line that is nobody's, or
 * flickers, or a pin that comes again at once, costs a bounded number of interrupts, and what shares it goes on working.
 * Older functions, which neither say that they interrupt nor can be held back, get what is nobody else's, and the lines
 * wait for them.
 */
#include "tests/host/fake/fake.h"
#include "arch/x86/device_irq.h"
#include "arch/x86/ioapic.h"
#include "drivers/host/pci.h"
#include "drivers/pci_regs.h"
#include "kernel/machine_pin.h"
#include "kernel/pcpu.h"
#include <errno.h>

#define PINS  2u
#define LINES 3u

/* Functions: what they want, and whether their command register holds it back. */
static struct {
    bool is_pending, is_off;
} functions[PINS];
static struct machine_pin pins[PINS];
static struct ioapic chips[PINS];
static bool level[PINS];

/* The host's inputs. */
static struct device_irq *irqs[LINES];
static unsigned irq_count, irqs_with_memory = LINES;
static bool is_masked[LINES];

struct pcpu pcpus[PCPU_MAX];

void pci_set_command(struct pci_address a, uint16_t bits, bool is_on)
{
    assert_int_equal(bits, PCI_COMMAND_INTX_OFF);
    functions[a.devfn].is_off = is_on;
}

bool pci_hold_pin(struct pci_address a)
{
    bool is_asserted = functions[a.devfn].is_pending && !functions[a.devfn].is_off;

    functions[a.devfn].is_off |= is_asserted;
    return is_asserted;
}

void ioapic_set_line(void *chip, unsigned input, bool value)
{
    assert_int_equal(input, 32);
    level[(struct ioapic *)chip - chips] = value;
}

unsigned host_ioapic_pci_inputs(uint32_t *gsis, unsigned max)
{
    assert_true(max >= LINES);
    for (unsigned i = 0; i < LINES; i++)
        gsis[i] = 16 + i;
    return LINES;
}

/* The last one cannot be routed. */
bool host_ioapic_route_pci(uint32_t gsi, const struct host_ioapic_target *to)
{
    (void)to;
    return gsi != 16 + LINES - 1;
}

void host_ioapic_set_mask(uint32_t gsi, bool value)
{
    is_masked[gsi - 16] = value;
}

int device_irq_take(struct device_irq *irq, uint64_t cpus)
{
    assert_int_equal(cpus, 0);
    if (irq_count == irqs_with_memory)
        return -ENOMEM;
    irqs[irq_count++] = irq;
    return 0;
}

void device_irq_release(struct device_irq *irq)
{
    assert_ptr_equal(irq, irqs[--irq_count]);
}

static void interrupt(unsigned line)
{
    if (!is_masked[line])
        irqs[line]->handler(irqs[line]->context);
}

/* Before any other test: inputs are opened once. */
static void no_memory_for_an_input_is_not_for_good(void **state)
{
    (void)state;
    irqs_with_memory = 1;
    functions[0].is_off = true;
    pins[0] = (struct machine_pin){.chip = &chips[0], .input = 32, .is_maskable = true};
    assert_int_equal(machine_pin_attach(&pins[0]), -ENOMEM);
    assert_true(functions[0].is_off);
    assert_int_equal(irq_count, 1);
    machine_pin_detach(&pins[0]); /* whoever failed takes all back */
    irqs_with_memory = LINES;
}

static int set_up(void **state)
{
    (void)state;
    memset(functions, 0, sizeof functions);
    memset(level, 0, sizeof level);
    for (unsigned i = 0; i < PINS; i++) {
        functions[i].is_off = true;
        pins[i] = (struct machine_pin){.address = {0, 0, (uint8_t)i}, .chip = &chips[i], .input = 32, .is_maskable = true};
        assert_int_equal(machine_pin_attach(&pins[i]), 0);
        assert_false(functions[i].is_off);
    }
    assert_int_equal(irq_count, LINES - 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PINS; i++) {
        machine_pin_detach(&pins[i]);
        machine_pin_detach(&pins[i]); /* once more: nothing */
        assert_true(functions[i].is_off);
    }
    return 0;
}

static void who_interrupts_is_held_until_the_end(void **state)
{
    (void)state;
    functions[0].is_pending = true;
    interrupt(1); /* whichever line it is */
    assert_true(level[0]);
    assert_true(functions[0].is_off);
    assert_false(level[1]);
    assert_false(functions[1].is_off);
    machine_pin_end(&pins[1]); /* not the one */
    assert_true(functions[0].is_off);
    machine_pin_end(&pins[0]);
    assert_false(functions[0].is_off); /* and may do so again */
    level[0] = false;
    interrupt(1);
    assert_true(level[0]);
}

static void both_on_one_line(void **state)
{
    (void)state;
    functions[0].is_pending = functions[1].is_pending = true;
    interrupt(0);
    assert_true(level[0] && level[1]);
    functions[0].is_pending = false;
    machine_pin_end(&pins[0]);
    assert_true(functions[1].is_off);
    machine_pin_end(&pins[1]);
    assert_false(functions[1].is_off);
}

static void a_guest_that_wants_none(void **state)
{
    (void)state;
    functions[0].is_pending = true;
    interrupt(0);
    machine_pin_allow(&pins[0], false);
    assert_false(level[0]);
    machine_pin_end(&pins[0]);
    assert_true(functions[0].is_off);
    interrupt(0);
    assert_false(level[0]);
    machine_pin_allow(&pins[0], true);
    assert_false(functions[0].is_off);
    interrupt(0);
    assert_true(level[0]);
}

static void a_line_that_is_nobodys(void **state)
{
    unsigned served = 0;

    (void)state;
    fake_clock_advance(clock_hz()); /* what came before is forgotten */
    fake_log_count = 0;
    while (!is_masked[0] && served < 100000) {
        interrupt(0);
        served++;
    }
    assert_true(served < 100000);
    assert_false(is_masked[1]);
    functions[0].is_pending = true;
    interrupt(1);
    assert_true(level[0]);
    fake_clock_advance(clock_hz()); /* it is listened to again */
    assert_false(is_masked[0]);
    for (unsigned i = 0; i < served; i++)
        interrupt(0);
    assert_true(is_masked[0]);
    assert_int_equal(fake_log_count, 1); /* said once */
}

/* Its device never lowers the pin, its guest ends every interrupt at once, and switches it off and on. */
static void a_pin_that_never_rests_does(void **state)
{
    unsigned served = 0;

    (void)state;
    fake_clock_advance(clock_hz());
    fake_log_count = 0;
    functions[0].is_pending = true;
    for (; !functions[0].is_off && served < 1000000; served++) {
        interrupt(0);
        machine_pin_end(&pins[0]);
    }
    assert_true(served < 1000000);
    machine_pin_allow(&pins[0], false);
    machine_pin_allow(&pins[0], true);
    assert_true(functions[0].is_off);
    functions[1].is_pending = true; /* others are not concerned */
    level[0] = false;
    interrupt(0);
    assert_true(level[1] && !level[0]);
    fake_clock_advance(clock_hz() / 5);
    assert_false(functions[0].is_off); /* at the next tick it may again */
    interrupt(0);
    assert_true(level[0]);
    machine_pin_end(&pins[0]);
    for (unsigned i = 0; i < served; i++) {
        interrupt(0);
        machine_pin_end(&pins[0]);
    }
    assert_true(functions[0].is_off);
    assert_int_equal(fake_log_count, 1); /* said once */
}

/* An old one that does so keeps its line. */
static void an_old_pin_that_never_rests_does(void **state)
{
    unsigned served = 0;

    (void)state;
    fake_clock_advance(clock_hz());
    pins[1].is_maskable = false;
    for (; !is_masked[0] && served < 1000000; served++) {
        interrupt(0);
        machine_pin_end(&pins[1]);
    }
    assert_true(served < 1000000);
    fake_clock_advance(clock_hz() / 5);
    assert_false(is_masked[0]);
    pins[1].is_maskable = true;
}

/* The second function is one: its line stays up, whatever is written to its command register. */
static void an_old_function_holds_its_line(void **state)
{
    (void)state;
    pins[1].is_maskable = false;
    interrupt(0);
    assert_true(level[1] && !level[0]);
    assert_true(is_masked[0]);
    interrupt(1); /* a router may have it on two lines */
    assert_true(is_masked[1]);
    fake_clock_advance(clock_hz()); /* only its guest ends that */
    assert_true(is_masked[0] && is_masked[1]);
    machine_pin_end(&pins[0]);
    assert_true(is_masked[0]);
    machine_pin_end(&pins[1]);
    assert_false(is_masked[0] || is_masked[1]);
    assert_false(functions[1].is_off); /* nobody wrote there */
    pins[1].is_maskable = true;
}

static void who_says_so_goes_first(void **state)
{
    (void)state;
    pins[1].is_maskable = false;
    functions[0].is_pending = true;
    interrupt(0);
    assert_true(level[0] && !level[1]);
    assert_false(is_masked[0]);
    interrupt(0); /* still up: that is the other one */
    assert_true(level[1] && is_masked[0]);
    machine_pin_end(&pins[1]);
    assert_false(is_masked[0]);
    pins[1].is_maskable = true;
}

static void an_old_function_lets_go_when_it_may_not_or_is_gone(void **state)
{
    (void)state;
    pins[1].is_maskable = false;
    interrupt(0);
    machine_pin_allow(&pins[1], false);
    assert_false(level[1] || is_masked[0]);
    interrupt(0);
    assert_false(level[1]); /* it is nobody's now */
    machine_pin_allow(&pins[1], true);
    interrupt(0);
    assert_true(level[1] && is_masked[0]);
    machine_pin_detach(&pins[1]);
    assert_false(is_masked[0]);
    functions[1].is_off = true; /* for the end of the test */
    pins[1].is_maskable = true;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_memory_for_an_input_is_not_for_good),
        TEST(who_interrupts_is_held_until_the_end),
        TEST(both_on_one_line),
        TEST(a_guest_that_wants_none),
        TEST(an_old_function_holds_its_line),
        TEST(who_says_so_goes_first),
        TEST(an_old_function_lets_go_when_it_may_not_or_is_gone),
        TEST(a_pin_that_never_rests_does),
        TEST(an_old_pin_that_never_rests_does),
        TEST(a_line_that_is_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
