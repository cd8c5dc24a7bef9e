/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hardware behind a struct pci_passthrough, which has all that PCI says of BARs and of the table of messages; left
 * are the registers of BAR 0 and the pending bits.
 */
#include "drivers/virt/ivshmem.h"
#include "drivers/ivshmem_regs.h"
#include "drivers/pci_regs.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

/* "Memory controller, RAM". */
#define IVSHMEM_CLASS ((uint32_t)PCI_CLASS_MEMORY << 24 | PCI_SUBCLASS_RAM << 16)
#define SUBSYSTEM     0x2c

#define MESSAGES_BYTES 0x1000u
#define PENDING_OFFSET 0x800u
#define PENDING_BYTES  8u
#define CAPABILITY     PCI_CAP_FIRST

_Static_assert(IVSHMEM_VECTORS_MAX * PCI_MSIX_ENTRY_BYTES <= PENDING_OFFSET, "the table ends before the pending bits");
_Static_assert(IVSHMEM_VECTORS_MAX <= 32, "a bit for each vector");

/* --- configuration --- */

static uint32_t config_read(void *hardware, unsigned offset)
{
    const struct ivshmem *s = hardware;

    switch (offset) {
    case PCI_VENDOR_ID:
        return IVSHMEM_ID;
    case PCI_COMMAND:
        return (uint32_t)PCI_STATUS_CAP_LIST << 16;
    case PCI_REVISION_ID:
        return IVSHMEM_CLASS | IVSHMEM_REVISION;
    case SUBSYSTEM:
        return IVSHMEM_SUBSYSTEM;
    case PCI_CAPABILITIES:
        return CAPABILITY;
    case CAPABILITY:
        return PCI_CAP_ID_MSIX | (s->vectors - 1) << 16;
    case CAPABILITY + PCI_MSIX_TABLE:
        return IVSHMEM_BAR_MESSAGES;
    case CAPABILITY + PCI_MSIX_PBA:
        return IVSHMEM_BAR_MESSAGES | PENDING_OFFSET;
    default:
        return 0;
    }
}

static void place_bar(void *hardware, unsigned bar, uint64_t address)
{
    const struct ivshmem *s = hardware;

    if (bar == IVSHMEM_BAR_MEMORY && address != PCI_BAR_NOWHERE)
        s->ops->place(s->context, address); /* it stays until it is somewhere else */
}

/* --- messages --- */

/* A message is a write to memory, which needs a bus master. */
static bool may_send(const struct ivshmem *s)
{
    return s->is_master && (s->control & (PCI_MSIX_CONTROL_ENABLE | PCI_MSIX_CONTROL_MASK)) == PCI_MSIX_CONTROL_ENABLE;
}

/* What was held back, once nothing does so any more. Under the lock. */
static void send_pending(struct ivshmem *s)
{
    uint32_t ready = may_send(s) ? s->pending & s->unmasked : 0;

    s->pending &= ~ready;
    for (; ready; ready &= ready - 1)
        s->ops->send(s->context, &s->messages[__builtin_ctz(ready)]);
}

/* A function whose MSI-X is off has no interrupts, and no memory of them. */
void ivshmem_interrupt(struct ivshmem *s, unsigned vector)
{
    if (vector >= s->vectors)
        return;
    lock_acquire(&s->lock);
    if (s->control & PCI_MSIX_CONTROL_ENABLE)
        s->pending |= 1u << vector;
    send_pending(s);
    lock_release(&s->lock);
}

static void set_master(void *hardware, bool is_master)
{
    struct ivshmem *s = hardware;

    lock_acquire(&s->lock);
    s->is_master = is_master;
    send_pending(s);
    lock_release(&s->lock);
}

/* There is none. */
static void set_pin(void *hardware, bool is_on)
{
    (void)hardware, (void)is_on;
}

/* There is no such capability. */
static void set_msi(void *hardware, const struct pci_message *message)
{
    (void)hardware, (void)message;
}

static void set_msix(void *hardware, unsigned index, const struct pci_message *message)
{
    struct ivshmem *s = hardware;

    lock_acquire(&s->lock);
    s->unmasked &= ~(1u << index);
    if (message) {
        s->messages[index] = *message;
        s->unmasked |= 1u << index;
    }
    send_pending(s);
    lock_release(&s->lock);
}

static void set_msix_control(void *hardware, uint16_t control)
{
    struct ivshmem *s = hardware;

    lock_acquire(&s->lock);
    s->control = control;
    if (!(control & PCI_MSIX_CONTROL_ENABLE))
        s->pending = 0;
    send_pending(s);
    lock_release(&s->lock);
}

/* --- memory --- */

/* There is no pin, so that no interrupt has a status. The doorbell only takes. */
static uint64_t read_register(const struct ivshmem *s, uint64_t offset)
{
    switch (offset) {
    case IVSHMEM_INTR_MASK:
        return s->interrupt_mask;
    case IVSHMEM_IV_POSITION:
        return s->position;
    default:
        return 0;
    }
}

static uint64_t read_pending(struct ivshmem *s, uint64_t offset, unsigned width)
{
    uint64_t pending;

    lock_acquire(&s->lock);
    pending = s->pending;
    lock_release(&s->lock);
    return pending >> (8 * offset) & bytes_mask(width);
}

/* The memory is mapped, wherever it is; where it is not, for want of tables, nobody answers. */
static uint64_t memory_read(void *hardware, unsigned bar, uint64_t offset, unsigned width)
{
    struct ivshmem *s = hardware;

    if (bar == IVSHMEM_BAR_REGISTERS)
        return width == 4 ? read_register(s, offset) : bytes_mask(width);
    if (bar == IVSHMEM_BAR_MESSAGES)
        return offset >= PENDING_OFFSET && range_fits(offset - PENDING_OFFSET, width, PENDING_BYTES)
                   ? read_pending(s, offset - PENDING_OFFSET, width)
                   : 0;
    return bytes_mask(width);
}

static void memory_write(void *hardware, unsigned bar, uint64_t offset, unsigned width, uint64_t value)
{
    struct ivshmem *s = hardware;
    uint32_t word = (uint32_t)value;

    if (bar != IVSHMEM_BAR_REGISTERS || width != 4)
        return;
    if (offset == IVSHMEM_INTR_MASK)
        s->interrupt_mask = word;
    else if (offset == IVSHMEM_DOORBELL)
        s->ops->ring(s->context, word >> IVSHMEM_DOORBELL_PEER_SHIFT, word & IVSHMEM_DOORBELL_VECTOR_MASK);
}

static const struct pci_hardware_ops hardware_ops = {
    config_read, set_master, set_pin, place_bar, memory_read, memory_write, set_msi, set_msix, set_msix_control,
};

/* --- init --- */

struct pci_passthrough_layout ivshmem_layout(uint64_t memory_bytes)
{
    return (struct pci_passthrough_layout){
        .msix.capability = CAPABILITY,
        .bars = {[IVSHMEM_BAR_REGISTERS] = {.size = IVSHMEM_REGISTERS_BYTES},
                 [IVSHMEM_BAR_MESSAGES] = {.size = MESSAGES_BYTES},
                 [IVSHMEM_BAR_MEMORY] = {.size = memory_bytes, .is_64 = true, .is_prefetchable = true}},
    };
}

void ivshmem_init(struct ivshmem *s, unsigned vectors, const struct pci_passthrough_layout *layout,
                  const struct ivshmem_ops *ops, void *context)
{
    struct pci_passthrough_layout complete = *layout;

    ASSERT(vectors >= 1 && vectors <= IVSHMEM_VECTORS_MAX);
    memset(s, 0, sizeof *s);
    s->ops = ops;
    s->context = context;
    s->vectors = vectors;
    pci_passthrough_find_msix(&hardware_ops, s, &complete);
    pci_passthrough_init(&s->function, &hardware_ops, s, &complete, s->entries);
}

void ivshmem_set_position(struct ivshmem *s, unsigned position)
{
    s->position = position;
}
