/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever guests do to their doorbell devices, and to whomever they ring, a guest gets only messages that it
 * wrote itself into an entry that it does not mask, while it has MSI-X and bus mastering on; what is held back meanwhile
 * comes later; and the memory is nowhere but in a window. Input: records of 8 bytes {what, who, where, value}.
 */
#include "tests/host/fake/fake.h"
#include "drivers/ivshmem_regs.h"
#include "drivers/pci_regs.h"
#include "drivers/virt/ivshmem.h"
#include "kernel/lib/bytes.h"
#include "kernel/shared_memory.h"

#define RECORD_BYTES 8u
#define PEERS        3u
#define WINDOW       0xc0000000u
#define WINDOW_BYTES 0x10000000u
#define MESSAGES     (WINDOW + 0x1000u)
#define MEMORY       (WINDOW + 0x100000u)
#define MEMORY_BYTES 0x100000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct shared_region region;
static struct peer {
    struct ivshmem device;
    bool is_there;
    unsigned sent;
    uint32_t owed; /* vectors that were rung for and held back */
} peers[PEERS];

static struct pci_msix_entry *entry_of(struct peer *p, unsigned vector)
{
    return &p->device.entries[vector];
}

static bool is_masked(struct peer *p, unsigned vector)
{
    return entry_of(p, vector)->words[3] & 1;
}

static bool may_send(const struct peer *p)
{
    return (p->device.function.command & PCI_COMMAND_MASTER) &&
           (p->device.function.msix_control & (PCI_MSIX_CONTROL_ENABLE | PCI_MSIX_CONTROL_MASK)) == PCI_MSIX_CONTROL_ENABLE;
}

/* --- the owner --- */

static void place(void *context, uint64_t address)
{
    (void)context;
    if (address < WINDOW || address - WINDOW > WINDOW_BYTES - MEMORY_BYTES || !IS_ALIGNED(address, MEMORY_BYTES))
        abort();
}

static void ring(void *context, unsigned peer, unsigned vector)
{
    (void)context;
    shared_memory_ring(&region, peer, vector);
}

/* Some entry that is not masked says just that. */
static void send(void *context, const struct pci_message *message)
{
    struct peer *p = context;

    p->sent++;
    for (unsigned v = 0; v < p->device.vectors && may_send(p); v++) {
        const uint32_t *w = entry_of(p, v)->words;

        if (!is_masked(p, v) && w[0] == (uint32_t)message->address && w[1] == message->address >> 32 && w[2] == message->data) {
            p->owed &= ~(1u << v);
            return;
        }
    }
    abort();
}

static void hear(void *context, unsigned vector)
{
    struct peer *p = context;

    ivshmem_interrupt(&p->device, vector);
}

static void arrive(unsigned number, unsigned vectors)
{
    static const struct ivshmem_ops ops = {place, ring, send};
    struct pci_passthrough_layout layout = ivshmem_layout(MEMORY_BYTES);
    struct peer *p = &peers[number];
    unsigned position;

    layout.windows[0] = (struct pci_passthrough_window){WINDOW, WINDOW_BYTES, false};
    layout.bars[0].start = WINDOW;
    layout.bars[1].start = MESSAGES;
    layout.bars[2].start = MEMORY;
    ivshmem_init(&p->device, vectors, &layout, &ops, p);
    if (shared_memory_add_peer(&region, &(struct shared_peer){hear, p}, &position) != 0)
        abort();
    ivshmem_set_position(&p->device, position);
    p->is_there = true;
    p->owed = 0;
}

static void leave(struct peer *p)
{
    shared_memory_remove_peer(&region, p->device.position);
    p->is_there = false;
}

/* --- the guests --- */

static void access(struct peer *p, const uint8_t record[RECORD_BYTES])
{
    static const uint64_t bases[] = {WINDOW, MESSAGES, MESSAGES + 0x800, MEMORY};
    const struct pci_access access = {bases[record[0] >> 4 & 3] + get_le16(record + 2) % 0x240, 1u << record[1] / 16 % 4, false};
    uint64_t value = get_le32(record + 4);

    if (record[1] & 8)
        (void)pci_passthrough_ops.write(&p->device.function, &access, value);
    else if (pci_passthrough_ops.read(&p->device.function, &access, &value) && value & ~bytes_mask(access.width))
        abort();
}

/* A doorbell, as a well-behaved guest rings it. */
static void ring_for(struct peer *from, struct peer *to, unsigned vector)
{
    const struct pci_access access = {WINDOW + IVSHMEM_DOORBELL, 4, false};
    bool hears = to->is_there && vector < to->device.vectors && to->device.function.msix_control & PCI_MSIX_CONTROL_ENABLE;
    bool sends = hears && may_send(to) && !is_masked(to, vector);
    unsigned sent = to->sent;

    if (!pci_passthrough_ops.write(&from->device.function, &access, to->device.position << 16 | vector))
        return; /* its registers are elsewhere */
    if (sends && to->sent == sent)
        abort();
    if (hears && !sends)
        to->owed |= 1u << vector;
}

/* All that a driver does first. */
static void drive(struct peer *p, unsigned vector)
{
    const struct pci_access address = {MESSAGES + vector * 16, 8, false}, data = {MESSAGES + vector * 16 + 8, 8, false};

    pci_passthrough_ops.config_write(&p->device.function, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0xffff);
    (void)pci_passthrough_ops.write(&p->device.function, &address, 0xfee00000u | vector << 12);
    (void)pci_passthrough_ops.write(&p->device.function, &data, 0x40 + vector);
    pci_passthrough_ops.config_write(&p->device.function, PCI_CAP_FIRST, UINT32_C(0x80000000), 0x80000000u);
}

static void step(const uint8_t record[RECORD_BYTES])
{
    struct peer *p = &peers[record[1] % 4 % PEERS], *other = &peers[record[2] % PEERS];

    switch (record[0] % 8) {
    case 0:
        drive(p, record[2] % IVSHMEM_VECTORS_MAX);
        break;
    case 1:
        ring_for(p, other, record[3] % 40);
        break;
    case 2:
        if (p->is_there)
            leave(p);
        else
            arrive((unsigned)(p - peers), 1 + record[2] % IVSHMEM_VECTORS_MAX);
        break;
    case 3:
        ivshmem_interrupt(&p->device, get_le32(record + 4));
        break;
    case 4:
        pci_passthrough_ops.config_write(&p->device.function, record[2] & 0xfc, get_le32(record + 4), UINT32_MAX);
        break;
    case 5:
        (void)pci_passthrough_ops.config_read(&p->device.function, record[2] & 0xfc);
        break;
    default:
        access(p, record);
    }
}

/* What could be sent is not kept, and what could not is. */
static void check(struct peer *p)
{
    if (!(p->device.function.msix_control & PCI_MSIX_CONTROL_ENABLE))
        p->owed = 0;
    if (p->owed & ~p->device.pending)
        abort();
    for (unsigned v = 0; v < IVSHMEM_VECTORS_MAX; v++)
        if (p->device.pending >> v & 1 && (v >= p->device.vectors || (may_send(p) && !is_masked(p, v))))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memset(&region, 0, sizeof region);
    for (unsigned i = 0; i < PEERS; i++)
        arrive(i, i == 0 ? IVSHMEM_VECTORS_MAX : 1 + i);
    for (size_t at = 0; at + RECORD_BYTES <= size; at += RECORD_BYTES) {
        step(data + at);
        for (unsigned i = 0; i < PEERS; i++)
            check(&peers[i]);
    }
    return 0;
}
