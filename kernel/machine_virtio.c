/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's virtio devices, each on a transport, at the places that layout.h and the ACPI tables tell the guest, with what
 * is behind it: a ramdisk, a port of a switch, the console, the pool of random numbers.
 */
#include "arch/arch.h"
#include "arch/x86/guest/boot.h"
#include "drivers/net/networks.h"
#include "drivers/net/vsock_hub.h"
#include "kernel/ballooning.h"
#include "kernel/heap.h"
#include "kernel/control.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/machine.h"
#include "kernel/machine_parts.h"
#include "kernel/page.h"
#include "kernel/pcpu.h"
#include "kernel/random.h"

static void set_gsi(void *context, unsigned input, bool level)
{
    struct platform *p = context;

    ioapic_set_line(&p->ioapic, input, level);
}

/* Work that a guest's requests make is done while one of its vCPUs runs, and counts as that one's time. */
static bool is_own_time(void *context)
{
    struct vm *vm = context;
    const struct task *running = this_pcpu()->running;

    if (running && running->vcpu && running->vcpu->vm == vm)
        return true;
    vcpu_request(vm->vcpus[0], REQUEST_WORK);
    return false;
}

void machine_resume_devices(struct vm *vm)
{
    struct platform *p = vm->platform;

    lock_acquire(&vm->device_lock);
    for (unsigned i = 0; i < p->transport_count; i++)
        virtio_device_resume(p->transports[i].device);
    lock_release(&vm->device_lock);
}

static int add_virtio(struct platform *p, struct virtio_device *device)
{
    unsigned n = p->transport_count;
    struct irq_line line = {set_gsi, p, guest_virtio_gsi(n)};
    struct io_region region = {"virtio", guest_virtio_base(n), GUEST_VIRTIO_BYTES, VIRTIO_MMIO_WIDTHS,
                               &virtio_mmio_ops, &p->transports[n], &p->vm->device_lock};

    if (n == GUEST_VIRTIO_MAX)
        return machine_refuse(p->vm, "more virtio devices than there are places for");
    device->worker = (struct virtio_worker){is_own_time, p->vm};
    virtio_mmio_init(&p->transports[n], device, &line);
    p->transport_count++;
    return io_bus_add(&p->vm->mmio, &region);
}

static void *scratch_alloc(void *context)
{
    hpa_t page;

    (void)context;
    return page_alloc(PAGE_ORDER_4K, &page) == 0 ? phys_to_virt(page) : NULL;
}

static void scratch_free(void *context, void *page)
{
    (void)context;
    page_free(virt_to_phys(page), PAGE_ORDER_4K);
}

static int add_disk(struct platform *p, const struct boot_info *boot, unsigned n)
{
    const struct vm_disk_config *config = &p->vm->config->disks[n];
    const struct ramdisk_pages pages = {scratch_alloc, scratch_free, NULL};
    struct guest_image image = machine_image(boot, config->image);
    struct ramdisk *ramdisk = &p->ramdisks[n];

    if (config->mode == VM_DISK_RO)
        ramdisk_init_read_only(ramdisk, image.data, image.size);
    else if (ramdisk_init_scratch(ramdisk, image.data, image.size, image.size, &pages) != 0)
        return machine_refuse(p->vm, "a disk's image is too large");
    memcpy(ramdisk->disk.id, config->id, MIN(sizeof ramdisk->disk.id, sizeof config->id));
    virtio_blk_init(&p->disks[n], &p->vm->mem, &ramdisk->disk);
    return add_virtio(p, &p->disks[n].device);
}

static int attach_port(struct platform *p, struct random *random, unsigned n)
{
    const struct vm_net_config *config = &p->vm->config->nets[n];
    struct switch_port_config port = {
        .vlan = (uint16_t)config->vlan,
        .mtu = (uint16_t)config->mtu,
        .rate = config->rate,
        .is_trunk = config->is_trunk,
        .is_isolated = config->is_isolated,
        .checks_source = config->spoof_check,
    };
    struct net_switch *network;
    uint64_t seed;

    random_fill(random, &seed, sizeof seed);
    network = networks_get(config->network, seed);
    if (!network)
        return machine_refuse(p->vm, "too many switches, or no memory for one");
    format_text(port.name, sizeof port.name, "%s.%u", p->vm->name, n);
    memcpy(port.mac, config->mac, sizeof port.mac);
    switch (switch_attach(network, &port, &p->ports[n])) {
    case 0:
        return 0;
    case -EEXIST:
        return machine_refuse(p->vm, "another card on the switch has the address of one of its own");
    default:
        return machine_refuse(p->vm, "its switch has no port left");
    }
}

static int add_net(struct platform *p, struct random *random, unsigned n)
{
    const struct vm_net_config *config = &p->vm->config->nets[n];
    struct virtio_net_settings settings = {
        .may_change_mac = !config->spoof_check,
        .pairs = config->queues,
        .mtu = (uint16_t)config->mtu,
    };
    int error = attach_port(p, random, n);

    if (error)
        return error;
    memcpy(settings.mac, config->mac, sizeof settings.mac);
    virtio_net_init(&p->nets[n], &p->vm->mem, &settings, &p->ports[n]->netdev);
    return add_virtio(p, &p->nets[n].device);
}

static int add_vsock(struct platform *p)
{
    uint32_t cid = p->vm->config->vsock_cid;
    struct vsockdev *place;

    if (!cid)
        return 0;
    p->vsock = heap_alloc(sizeof *p->vsock);
    if (!p->vsock)
        return machine_refuse(p->vm, "no memory for its sockets");
    place = vsock_hub_attach(cid);
    if (!place)
        return machine_refuse(p->vm, "another VM has its vsock CID");
    virtio_vsock_init(p->vsock, &p->vm->mem, place);
    return add_virtio(p, &p->vsock->device);
}

static int add_balloon(struct platform *p)
{
    if (!p->balloon)
        return 0;
    ballooning_init_device(p->vm);
    return add_virtio(p, &p->balloon->device);
}

/* Most VMs have few of what they could have many of. */
static int make_room(struct platform *p)
{
    const struct vm_config *config = p->vm->config;
    bool is_there = true;

    if (config->disk_count)
        is_there &= (p->disks = heap_alloc(config->disk_count * sizeof *p->disks)) != NULL;
    if (config->net_count)
        is_there &= (p->nets = heap_alloc(config->net_count * sizeof *p->nets)) != NULL;
    if (config->balloon)
        is_there &= (p->balloon = heap_alloc(sizeof *p->balloon)) != NULL;
    return is_there ? 0 : machine_refuse(p->vm, "no memory for its virtio devices");
}

int machine_make_virtio(struct vm *vm, const struct boot_info *boot, struct random *random)
{
    struct platform *p = vm->platform;
    struct entropy_source entropy = random_entropy_source(random);
    struct chardev output = {machine_virtio_output, p};
    int error = make_room(p);

    if (error)
        return error;
    virtio_console_init(&p->console, &vm->mem, &output);
    virtio_rng_init(&p->rng, &vm->mem, &entropy);
    error = add_virtio(p, &p->console.device);
    error = error ? error : add_virtio(p, &p->rng.device);
    for (unsigned i = 0; i < vm->config->disk_count && !error; i++)
        error = add_disk(p, boot, i);
    for (unsigned i = 0; i < vm->config->net_count && !error; i++)
        error = add_net(p, random, i);
    error = error ? error : add_vsock(p);
    return error ? error : add_balloon(p);
}

void machine_unplug_virtio(struct platform *p)
{
    for (unsigned i = 0; i < VM_NETS_MAX; i++)
        if (p->ports[i])
            switch_detach(p->ports[i]);
    if (p->vsock && p->vsock->hub)
        vsock_hub_detach(p->vsock->hub);
}

void machine_free_virtio(struct platform *p)
{
    heap_free(p->vsock);
    for (unsigned i = 0; i < VM_DISKS_MAX; i++)
        while (ramdisk_revert_some(&p->ramdisks[i]))
            control_yield();
    heap_free(p->disks);
    heap_free(p->nets);
    heap_free(p->balloon);
}
