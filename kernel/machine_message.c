/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message of a device arrives as an interrupt of one of our vectors, which stands for it alone, and becomes the one
 * that the guest had told the device to send.
 *
 * A device that sends more than it may in a second costs whoever runs on that CPU. The message that is one too many has
 * the IOMMU block it until the next tick; the guest gets one in place of those that were blocked, which is what a driver
 * needs to know. The path of a message takes no lock but those of its guest's local APIC.
 *
 * Lock order: messages → the IOMMU's unit, a guest's interrupt chips.
 */
#include "kernel/machine_message.h"
#include "arch/arch.h"
#include "drivers/virt/pci_passthrough.h"
#include "kernel/iommu.h"
#include "kernel/lib/lock.h"
#include "kernel/log.h"
#include "kernel/machine.h"
#include "kernel/machine_function.h"
#include "kernel/pcpu.h"

#define GUEST_MESSAGE(address, data) ((uint64_t)(uint32_t)(address) << 32 | (data))

static unsigned limit; /* in a tick; 0: none */
static unsigned tick;  /* atomic */
static struct lock lock; /* guards what follows, and which messages are blocked; interrupts are off */
static struct machine_message *held;

void machine_message_set_limit(unsigned per_second)
{
    limit = per_second ? MAX(per_second / MACHINE_MESSAGE_TICKS_PER_SECOND, 1u) : 0;
}

/* --- to the guest --- */

static void deliver(const struct machine_message *m)
{
    uint64_t guest = __atomic_load_n(&m->guest, __ATOMIC_RELAXED);

    if (guest != 0)
        (void)apic_bus_send_msi(&m->function->vm->platform->apic_bus, guest >> 32, (uint32_t)guest);
}

/* Two CPUs at the turn of a tick may count a few too little. */
static bool is_too_many(struct machine_message_count *c)
{
    unsigned now = READ_ONCE(tick);

    if (limit == 0)
        return false;
    if (READ_ONCE(c->tick) != now) {
        WRITE_ONCE(c->tick, now);
        WRITE_ONCE(c->sent, 0);
    }
    return __atomic_add_fetch(&c->sent, 1, __ATOMIC_RELAXED) > limit;
}

static int route(struct machine_message *m, struct iommu_message *host)
{
    struct iommu_route to = {.apic_id = pcpus[m->irq.cpu].apic_id, .vector = m->irq.vector};

    return iommu_ops->interrupts_route(m->interrupts, 0, &to, host);
}

static void report(struct machine_function *f)
{
    if (__atomic_exchange_n(&f->count.was_reported, true, __ATOMIC_RELAXED))
        return;
    log_warn("pci", PCI_ADDRESS_FORMAT " (%s): more than %u interrupts a second: held back", PCI_ADDRESS_ARGS(f->host->address),
             f->vm->name, limit * MACHINE_MESSAGE_TICKS_PER_SECOND);
}

/* False: nothing can hold it back, or it is being taken away. */
static bool hold(struct machine_message *m)
{
    struct iommu_message unused;

    lock_acquire(&lock);
    if (!m->is_held && m->interrupts && iommu_ops->interrupts_route(m->interrupts, 0, NULL, &unused) == 0) {
        m->is_held = true;
        m->next_held = held;
        held = m;
    }
    lock_release(&lock);
    return m->is_held;
}

static void on_interrupt(void *context)
{
    struct machine_message *m = context;

    if (is_too_many(&m->function->count) && hold(m))
        report(m->function);
    else
        deliver(m);
}

static void release(struct machine_message *m)
{
    struct iommu_message same;

    m->is_held = false;
    if (route(m, &same) != 0)
        log_warn("pci", PCI_ADDRESS_FORMAT ": an interrupt stays held back", PCI_ADDRESS_ARGS(m->function->host->address));
    deliver(m);
}

void machine_message_tick(void)
{
    uint64_t flags = arch_irq_save();

    lock_acquire(&lock);
    WRITE_ONCE(tick, tick + 1);
    while (held) {
        struct machine_message *m = held;

        held = m->next_held;
        release(m);
    }
    lock_release(&lock);
    arch_irq_restore(flags);
}

/* --- life --- */

int machine_message_prepare(struct machine_function *f, struct machine_message *m, struct iommu_message *host)
{
    int error;

    m->irq.handler = on_interrupt;
    m->irq.context = m;
    m->function = f;
    error = device_irq_take(&m->irq, f->vm->config->cpus);
    if (error)
        return error;
    error = iommu_ops->interrupts_create(f->host->address, 1, &m->interrupts);
    if (!error)
        error = route(m, host);
    if (!error)
        return 0;
    device_irq_release(&m->irq);
    if (m->interrupts)
        iommu_ops->interrupts_destroy(m->interrupts);
    m->interrupts = NULL;
    return error;
}

static void forget_held(struct machine_message *m)
{
    struct machine_message **link = &held;

    while (*link != m)
        link = &(*link)->next_held;
    *link = m->next_held;
    m->is_held = false;
}

void machine_message_retire(struct machine_message *m)
{
    uint64_t flags;

    if (!m->interrupts)
        return;
    flags = arch_irq_save();
    lock_acquire(&lock);
    if (m->is_held)
        forget_held(m);
    iommu_ops->interrupts_destroy(m->interrupts);
    m->interrupts = NULL;
    lock_release(&lock);
    arch_irq_restore(flags);
    device_irq_release(&m->irq);
}

/* An address beyond 4 GiB is none of an interrupt's. */
void machine_message_set_guest(struct machine_message *m, const struct pci_message *message)
{
    bool is_interrupt = message->address >> 32 == 0;

    __atomic_store_n(&m->guest, is_interrupt ? GUEST_MESSAGE(message->address, message->data) : 0, __ATOMIC_RELAXED);
}
