/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest asks of its function, done to the hardware. Invariant: the device writes only where
 * the IOMMU's tables say, and sends only what the remapping table turns into one of its own vectors;
 * its message registers hold nothing that a guest wrote.
 */
#include "kernel/machine_function.h"
#include "arch/arch.h"
#include "drivers/host/pci_config.h"
#include "drivers/pci_regs.h"
#include "kernel/heap.h"
#include "kernel/iommu.h"
#include "kernel/lib/errno.h"
#include "kernel/log.h"
#include "kernel/machine.h"
#include "kernel/machine_bar.h"
#include "kernel/machine_pci.h"
#include "kernel/pcpu.h"

#define MESSAGES_SHARE 16u /* of all vectors: a function with many messages leaves some for the others */

static struct machine_function *given; /* changed by the control thread, read in faults */
static struct lock given_lock;

static uint16_t capability(const struct machine_function *f, enum pci_capability which)
{
    return f->host->capabilities[which];
}

/* --- configuration --- */

static uint32_t hardware_config_read(void *hardware, unsigned offset)
{
    const struct machine_function *f = hardware;

    return pci_config_read(f->host->address, offset, 4);
}

static void set_master(void *hardware, bool is_master)
{
    struct machine_function *f = hardware;
    uint64_t flags = arch_irq_save();

    lock_acquire(&given_lock);
    pci_set_master(f->host->address, is_master && !f->is_silenced);
    lock_release(&given_lock);
    arch_irq_restore(flags);
}

static void set_pin(void *hardware, bool is_on)
{
    struct machine_function *f = hardware;

    machine_pin_allow(&f->pin, is_on);
}

/* --- interrupts --- */

static void complain(struct machine_function *f)
{
    if (f->has_complained)
        return;
    f->has_complained = true;
    log_warn("pci", PCI_ADDRESS_FORMAT ": no room for its interrupt", PCI_ADDRESS_ARGS(f->host->address));
}

/* --- MSI --- */

static void write_msi(const struct machine_function *f, const struct iommu_message *message)
{
    struct pci_address a = f->host->address;
    unsigned cap = capability(f, PCI_CAP_MSI);
    bool is_64 = pci_config_read(a, cap + PCI_MSI_CONTROL, 2) & PCI_MSI_CONTROL_64;

    pci_config_write(a, cap + 4, 4, (uint32_t)message->address);
    if (is_64)
        pci_config_write(a, cap + 8, 4, (uint32_t)(message->address >> 32));
    pci_config_write(a, cap + (is_64 ? 12 : 8), 2, (uint16_t)message->data);
}

static void enable_msi(const struct machine_function *f, bool is_on)
{
    if (capability(f, PCI_CAP_MSI))
        pci_config_write(f->host->address, capability(f, PCI_CAP_MSI) + PCI_MSI_CONTROL, 2,
                         is_on ? PCI_MSI_CONTROL_ENABLE : 0);
}

static void set_msi(void *hardware, const struct pci_message *message)
{
    struct machine_function *f = hardware;
    struct machine_message *m = &f->messages[0];

    if (!message) {
        enable_msi(f, false);
        return;
    }
    machine_message_set_guest(m, message);
    if (!m->interrupts && machine_message_prepare(f, m, &m->host) != 0) {
        complain(f);
        return;
    }
    write_msi(f, &m->host);
    enable_msi(f, true);
}

/* --- MSI-X --- */

static void write_entry(struct machine_function *f, unsigned index, unsigned word, uint32_t value)
{
    uint64_t offset = f->device.layout.msix.offset + index * PCI_MSIX_ENTRY_BYTES + 4 * word;

    machine_bar_write(f, f->device.layout.msix.bar, offset, 4, value);
}

enum { WORD_ADDRESS, WORD_UPPER, WORD_DATA, WORD_CONTROL };
#define VECTOR_MASKED 1u

static void set_msix(void *hardware, unsigned index, const struct pci_message *message)
{
    struct machine_function *f = hardware;
    struct machine_message *m = &f->messages[index];

    if (!message) {
        write_entry(f, index, WORD_CONTROL, VECTOR_MASKED);
        return;
    }
    machine_message_set_guest(m, message);
    if (!m->interrupts && machine_message_prepare(f, m, &m->host) != 0) {
        complain(f);
        return;
    }
    /* Each time: a reset within the device may have cleared its table, and MSI and MSI-X share the first message. */
    write_entry(f, index, WORD_ADDRESS, (uint32_t)m->host.address);
    write_entry(f, index, WORD_UPPER, (uint32_t)(m->host.address >> 32));
    write_entry(f, index, WORD_DATA, m->host.data);
    write_entry(f, index, WORD_CONTROL, 0);
}

static void set_msix_control(void *hardware, uint16_t control)
{
    struct machine_function *f = hardware;

    if (capability(f, PCI_CAP_MSIX))
        pci_config_write(f->host->address, capability(f, PCI_CAP_MSIX) + PCI_MSIX_CONTROL, 2, control);
}

static const struct pci_hardware_ops hardware_ops = {
    hardware_config_read, set_master, set_pin,  machine_bar_place, machine_bar_read,
    machine_bar_write,    set_msi,    set_msix, set_msix_control,
};

/* --- life --- */

static bool fill(struct machine_function *f, struct pci_passthrough_layout *layout)
{
    pci_passthrough_find_msix(&hardware_ops, f, layout);
    layout->msix.offered = MIN(layout->msix.count, MAX(device_irq_capacity() / MESSAGES_SHARE, 1u));
    f->message_count = MAX(layout->msix.offered, 1u);
    f->messages = heap_alloc(f->message_count * sizeof *f->messages);
    f->entries = heap_alloc(f->message_count * sizeof *f->entries);
    if (!f->messages || !f->entries)
        return false;
    pci_passthrough_init(&f->device, &hardware_ops, f, layout, f->entries);
    return machine_bars_open(f);
}

static void set_given(struct machine_function **link, struct machine_function *value)
{
    uint64_t flags = arch_irq_save();

    lock_acquire(&given_lock);
    *link = value;
    lock_release(&given_lock);
    arch_irq_restore(flags);
}

struct machine_function *machine_function_create(struct vm *vm, struct machine_bus *bus, const struct pci_function *host,
                                                 struct pci_passthrough_layout *layout)
{
    struct machine_function *f = heap_alloc(sizeof *f);

    if (!f)
        return NULL;
    f->vm = vm;
    f->bus = bus;
    f->host = host;
    f->next = given;
    set_given(&given, f);
    if (fill(f, layout))
        return f;
    machine_function_destroy(f);
    return NULL;
}

static bool has_ports(const struct machine_function *f)
{
    for (unsigned i = 0; i < PCI_BARS_MAX; i++)
        if (f->device.layout.bars[i].is_ports)
            return true;
    return false;
}

/* Decoding stays on: what the guest maps must always answer. */
int machine_function_start(struct machine_function *f)
{
    struct pci_address a = f->host->address;

    enable_msi(f, false);
    set_msix_control(f, 0);
    for (unsigned i = 0; i < f->device.layout.msix.count; i++)
        write_entry(f, i, WORD_CONTROL, VECTOR_MASKED);
    pci_set_command(a, PCI_COMMAND_MASTER | PCI_COMMAND_IO, false);
    pci_set_command(a, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_OFF, true);
    pci_set_command(a, PCI_COMMAND_IO, has_ports(f));
    return f->device.layout.has_pin ? machine_pin_attach(&f->pin) : 0;
}

void machine_function_stop(struct machine_function *f)
{
    pci_set_master(f->host->address, false);
    machine_pin_detach(&f->pin);
    enable_msi(f, false);
    set_msix_control(f, 0);
    for (unsigned i = 0; i < f->message_count; i++)
        machine_message_retire(&f->messages[i]);
}

void machine_function_destroy(struct machine_function *f)
{
    struct machine_function **link = &given;

    while (*link != f)
        link = &(*link)->next;
    set_given(link, f->next);
    heap_free(f->entries);
    heap_free(f->messages);
    heap_free(f);
}

struct machine_function *machine_function_find(struct pci_address address)
{
    for (struct machine_function *f = given; f; f = f->next)
        if (pci_is_same(f->host->address, address))
            return f;
    return NULL;
}

static int is_that_requester(void *context, struct pci_address requester)
{
    const struct pci_address *wanted = context;

    return pci_is_same(*wanted, requester);
}

struct machine_function *machine_function_find_requester(struct pci_address requester)
{
    for (struct machine_function *f = given; f; f = f->next)
        if (pci_visit_requesters(f->host, is_that_requester, &requester))
            return f;
    return NULL;
}

/* The requester may be a bridge in between, which is then silenced alone: the device behind it is who it forwards for. */
void machine_pci_on_fault(const struct iommu_fault *fault)
{
    struct machine_function *f;
    uint64_t flags;

    if (!fault->is_final)
        return;
    flags = arch_irq_save();
    lock_acquire(&given_lock);
    pci_set_master(fault->requester, false);
    f = machine_function_find(fault->requester);
    if (f)
        f->is_silenced = true;
    lock_release(&given_lock);
    arch_irq_restore(flags);
}
