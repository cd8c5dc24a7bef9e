/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pins of PCI functions to the guests that were given them. Which input of an IOAPIC a pin is wired to only AML says,
 * and we have no interpreter: so all inputs are listened to that it could be, and each function says itself whether it
 * is the one that interrupts (PCI Local Bus Specification 2.3, "Device Status"). It is held back by its own command
 * register then, until the guest's EOI, so that neither a guest that does not serve it nor the line's other users
 * disturb each other. Older functions can neither say it nor be held back: whatever is nobody else's may be theirs, and
 * the whole line is masked until the EOI. Whoever shares it waits with them, so this is for guests that are trusted.
 *
 * A device that never lowers its pin, and a guest that ends each interrupt at once, cost whoever runs on the line's CPU:
 * a pin that comes too often rests until the next tick.
 *
 * Lock order: a VM's devices, pins, a guest's IOAPIC. Interrupts are off in all of this.
 */
#include "kernel/machine_pin.h"
#include "arch/x86/device_irq.h"
#include "arch/x86/ioapic.h"
#include "drivers/host/pci.h"
#include "drivers/pci_regs.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/lock.h"
#include "kernel/log.h"
#include "kernel/pcpu.h"
#include "kernel/timer.h"

#define LINES_MAX        64u
#define TICKS_PER_SECOND 10u
#define UNCLAIMED_MAX    1000u /* between two ticks; then the line is left alone until the next one */
#define CLAIMS_MAX       5000u /* of a pin between two ticks: each reads configuration registers of all of them */

struct line {
    struct device_irq irq;
    uint32_t gsi;
    unsigned unclaimed; /* interrupts since the last tick that were nobody's */
    bool is_masked, was_reported;
    bool is_held; /* until the last pin of those that are not maskable has ended */
};

static struct line lines[LINES_MAX];
static unsigned line_count;
static unsigned asked_count; /* inputs that are open, or cannot be opened */
static bool has_started;
static struct machine_pin *pins;
static struct lock pins_lock; /* guards all of it */
static struct timer tick_timer; /* the boot CPU's */

static bool is_held_back(const struct machine_pin *pin)
{
    return pin->is_held || pin->is_resting;
}

/* --- interrupts --- */

static void rest(struct machine_pin *pin)
{
    pin->is_resting = true;
    if (!pin->was_reported)
        log_warn("pci", PCI_ADDRESS_FORMAT ": its pin interrupts more than %u times a second: held back",
                 PCI_ADDRESS_ARGS(pin->address), CLAIMS_MAX * TICKS_PER_SECOND);
    pin->was_reported = true;
}

static void tell_guest(struct machine_pin *pin)
{
    pin->is_held = true;
    if (++pin->claims == CLAIMS_MAX)
        rest(pin);
    ioapic_set_line(pin->chip, pin->input, true);
}

/* Whoever interrupts is held back, and its guest told. */
static bool claim(void)
{
    bool is_claimed = false;

    for (struct machine_pin *pin = pins; pin; pin = pin->next) {
        if (!pin->is_maskable || !pin->is_allowed || is_held_back(pin) || !pci_hold_pin(pin->address))
            continue;
        tell_guest(pin);
        is_claimed = true;
    }
    return is_claimed;
}

/* All that cannot say whether it is they: their guests find out, as drivers on a shared line do. */
static bool hold_line(struct line *line)
{
    for (struct machine_pin *pin = pins; pin; pin = pin->next) {
        if (pin->is_maskable || !pin->is_allowed)
            continue;
        tell_guest(pin);
        line->is_held = true;
    }
    if (line->is_held)
        host_ioapic_set_mask(line->gsi, true);
    return line->is_held;
}

/* A line that nobody lowers, or that a guest makes flicker, must not take the CPU. */
static void count_unclaimed(struct line *line)
{
    if (++line->unclaimed < UNCLAIMED_MAX)
        return;
    host_ioapic_set_mask(line->gsi, true);
    line->is_masked = true;
    if (!line->was_reported)
        log_warn("pci", "GSI %u: interrupts that are no guest's: it is listened to %u times a second only", line->gsi,
                 TICKS_PER_SECOND);
    line->was_reported = true;
}

static void on_interrupt(void *context)
{
    struct line *line = context;

    lock_acquire(&pins_lock);
    if (!claim() && !hold_line(line))
        count_unclaimed(line);
    lock_release(&pins_lock);
}

/* --- lines --- */

/* What has no vector left, or no route, is done without. */
static int open_line(uint32_t gsi)
{
    struct line *line = &lines[line_count];
    int error;

    *line = (struct line){.irq = {.handler = on_interrupt, .context = line}, .gsi = gsi};
    error = device_irq_take(&line->irq, 0);
    if (error)
        return error == -ENOMEM ? error : 0;
    if (host_ioapic_route_pci(gsi, &(struct host_ioapic_target){pcpus[line->irq.cpu].apic_id, line->irq.vector}))
        line_count++;
    else
        device_irq_release(&line->irq);
    return 0;
}

/* --- pins --- */

static bool is_line_needed(void)
{
    for (const struct machine_pin *pin = pins; pin; pin = pin->next)
        if (!pin->is_maskable && is_held_back(pin))
            return true;
    return false;
}

/* What still interrupts does so at once. */
static void release_lines(void)
{
    if (is_line_needed())
        return;
    for (struct line *line = lines; line < lines + line_count; line++) {
        if (line->is_held)
            host_ioapic_set_mask(line->gsi, line->is_masked);
        line->is_held = false;
    }
}

/* The hardware follows what is known of the pin. */
static void update(const struct machine_pin *pin)
{
    if (pin->is_maskable)
        pci_set_command(pin->address, PCI_COMMAND_INTX_OFF, !pin->is_attached || !pin->is_allowed || is_held_back(pin));
    else
        release_lines();
}

/* --- ticks --- */

/* What still interrupts does so at once. */
static void wake(struct machine_pin *pin)
{
    bool was_resting = pin->is_resting;

    pin->claims = 0;
    pin->is_resting = false;
    if (was_resting)
        update(pin);
}

/* What was masked gets another chance. */
static void tick(void *context)
{
    (void)context;
    lock_acquire(&pins_lock);
    for (struct line *line = lines; line < lines + line_count; line++) {
        line->unclaimed = 0;
        if (line->is_masked && !line->is_held)
            host_ioapic_set_mask(line->gsi, false);
        line->is_masked = false;
    }
    for (struct machine_pin *pin = pins; pin; pin = pin->next)
        wake(pin);
    lock_release(&pins_lock);
    timer_arm(&tick_timer, clock_now() + clock_hz() / TICKS_PER_SECOND);
}

/* With the first pin, and for good. After a failure the next pin goes on with what is missing. */
static int start(void)
{
    uint32_t gsis[LINES_MAX];
    unsigned count = host_ioapic_pci_inputs(gsis, LINES_MAX);

    for (; asked_count < count; asked_count++)
        if (open_line(gsis[asked_count]) != 0)
            return -ENOMEM;
    timer_init(&tick_timer, tick, NULL);
    tick(NULL);
    log_info("pci", "listening to %u inputs for pins", line_count);
    has_started = true;
    return 0;
}

/* --- the interface --- */

int machine_pin_attach(struct machine_pin *pin)
{
    if (!has_started && start() != 0)
        return -ENOMEM;
    lock_acquire(&pins_lock);
    pin->is_attached = pin->is_allowed = true;
    pin->is_held = pin->is_resting = false;
    pin->claims = 0;
    pin->next = pins;
    pins = pin;
    update(pin);
    lock_release(&pins_lock);
    return 0;
}

void machine_pin_detach(struct machine_pin *pin)
{
    struct machine_pin **link = &pins;

    if (!pin->is_attached)
        return;
    lock_acquire(&pins_lock);
    while (*link != pin)
        link = &(*link)->next;
    *link = pin->next;
    pin->is_attached = false;
    update(pin);
    lock_release(&pins_lock);
}

void machine_pin_allow(struct machine_pin *pin, bool is_allowed)
{
    lock_acquire(&pins_lock);
    pin->is_allowed = is_allowed;
    if (pin->is_held)
        ioapic_set_line(pin->chip, pin->input, false);
    pin->is_held = false;
    if (pin->is_attached)
        update(pin);
    lock_release(&pins_lock);
}

void machine_pin_end(struct machine_pin *pin)
{
    bool was_held;

    lock_acquire(&pins_lock);
    was_held = pin->is_held;
    pin->is_held = false;
    if (was_held && pin->is_attached)
        update(pin);
    lock_release(&pins_lock);
}
