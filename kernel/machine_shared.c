/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions of memory that a VM shares with others: each is a function on its PCI bus, drivers/virt/ivshmem.c, joined here
 * to the region (shared_memory.c), to the VM's second-level tables and to its local APICs. Invariant: the tables map
 * a region only in VMs that name it, once, where the guest put the function's BAR.
 *
 * A doorbell goes from one VM to another: the sender's device lock, the region's, the receiver's device's own, and from
 * there on as any message. No device lock of the receiver is taken.
 */
#include "drivers/virt/ivshmem.h"
#include "kernel/guest_pages.h"
#include "kernel/heap.h"
#include "kernel/lib/errno.h"
#include "kernel/log.h"
#include "kernel/machine.h"
#include "kernel/machine_parts.h"
#include "kernel/machine_pci.h"
#include "kernel/pt.h"
#include "kernel/shared_memory.h"
#include "kernel/stage2.h"

#define MOVES_MAX 64u /* each leaves tables behind until the VM's end */

_Static_assert(VM_SHARED_VECTORS_MAX <= IVSHMEM_VECTORS_MAX, "more vectors than a device has");
_Static_assert(VM_NAME_MAX < SHARED_NAME_BYTES, "names that a region cannot have");

struct machine_shared {
    struct vm *vm;
    struct shared_region *region; /* NULL: not yet */
    bool is_peer;                 /* others may ring */
    struct ivshmem device;
    uint64_t placed; /* as mapped; PCI_BAR_NOWHERE */
    unsigned moves;
};

static int refuse(struct vm *vm, const char *name, const char *why)
{
    vm_config_refuse((struct vm_config *)vm->config, "shared %s: %s", name, why);
    return -EINVAL;
}

/* --- where the memory is --- */

/* A guest that gives pages back changes its tables beside its devices. */
static void lock_tables(struct vm *vm)
{
    if (vm->mem.pages)
        lock_acquire(&vm->mem.pages->lock);
}

static void unlock_tables(struct vm *vm)
{
    if (vm->mem.pages)
        lock_release(&vm->mem.pages->lock);
}

/* What stays in translations for a while is the region still, which lives as long as the VM. */
static int move(struct machine_shared *s, uint64_t address)
{
    struct pt *tables = s->vm->stage2;
    uint64_t size = s->region->size;
    int error = s->placed == PCI_BAR_NOWHERE ? 0 : stage2_unmap(tables, GPA(s->placed), size);

    if (error)
        return error;
    s->placed = PCI_BAR_NOWHERE;
    error = stage2_map_shared(tables, GPA(address), s->region->memory, size);
    if (!error)
        s->placed = address;
    return error;
}

static void place(void *context, uint64_t address)
{
    struct machine_shared *s = context;
    int error;

    if (s->moves == MOVES_MAX || address == s->placed)
        return;
    s->moves++;
    lock_tables(s->vm);
    error = move(s, address);
    unlock_tables(s->vm);
    if (error)
        log_warn("shared", "%s: %s cannot be at %#lx", s->vm->name, s->region->name, address);
}

/* --- doorbells --- */

static void ring(void *context, unsigned peer, unsigned vector)
{
    struct machine_shared *s = context;

    shared_memory_ring(s->region, peer, vector);
}

static void hear(void *context, unsigned vector)
{
    struct machine_shared *s = context;

    ivshmem_interrupt(&s->device, vector);
}

static void send(void *context, const struct pci_message *message)
{
    struct machine_shared *s = context;

    (void)apic_bus_send_msi(&s->vm->platform->apic_bus, message->address, message->data);
}

static const struct ivshmem_ops device_ops = {place, ring, send};

/* --- making --- */

static const char *take_error(int error)
{
    return error == -EINVAL   ? "another VM has it in another size"
           : error == -ENOSPC ? "there are too many regions"
                              : "no memory for it in one piece";
}

static int add_device(struct machine_shared *s, const struct vm_shared_config *config)
{
    struct pci_passthrough_layout layout = ivshmem_layout(s->region->size);
    struct shared_peer peer = {hear, s};
    unsigned number, slot;

    if (!machine_pci_place(s->vm, &layout))
        return refuse(s->vm, config->name, "it does not fit into the guest's PCI windows");
    ivshmem_init(&s->device, config->vectors, &layout, &device_ops, s);
    if (machine_pci_add(s->vm, &s->device.function, &slot) != 0)
        return refuse(s->vm, config->name, "its PCI bus is full");
    if (shared_memory_add_peer(s->region, &peer, &number) != 0)
        return refuse(s->vm, config->name, "too many VMs have it");
    s->is_peer = true;
    ivshmem_set_position(&s->device, number);
    log_info("shared", "%s is peer %u of %s, by its 00:%02x.0", s->vm->name, number, s->region->name, slot);
    return 0;
}

static int make_one(struct vm *vm, unsigned n)
{
    const struct vm_shared_config *config = &vm->config->shared[n];
    struct machine_shared *s = heap_alloc(sizeof *s);
    int error;

    if (!s)
        return refuse(vm, config->name, "no memory for its device");
    vm->platform->shared[n] = s;
    s->vm = vm;
    s->placed = PCI_BAR_NOWHERE;
    error = shared_memory_take(config->name, config->size, &s->region);
    return error ? refuse(vm, config->name, take_error(error)) : add_device(s, config);
}

int machine_make_shared(struct vm *vm)
{
    int error = 0;

    for (unsigned i = 0; i < vm->config->shared_count && !error; i++)
        error = make_one(vm, i);
    return error;
}

/* --- taking apart --- */

void machine_unplug_shared(struct platform *p)
{
    for (unsigned i = 0; i < VM_SHARED_MAX; i++)
        if (p->shared[i] && p->shared[i]->is_peer)
            shared_memory_remove_peer(p->shared[i]->region, p->shared[i]->device.position);
}

void machine_free_shared(struct platform *p)
{
    for (unsigned i = 0; i < VM_SHARED_MAX; i++) {
        struct machine_shared *s = p->shared[i];

        if (s && s->region)
            shared_memory_give_back(s->region);
        heap_free(s);
    }
}
