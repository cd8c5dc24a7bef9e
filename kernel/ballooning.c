/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/ballooning.h"
#include "kernel/control.h"
#include "kernel/guest_pages.h"
#include "kernel/heap.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/lock.h"
#include "kernel/log.h"
#include "kernel/machine.h"
#include "kernel/page.h"
#include "kernel/sched.h"

#define FLUSH_NS 1000000u /* at least between two flushes for one VM: each disturbs every CPU */

/* --- what the device asks for; under the VM's device lock --- */

static bool has_room(void *context)
{
    const struct vm *vm = context;

    return guest_pages_has_room(vm->mem.pages);
}

/* What a device's rings are in stays: it follows pointers there, whatever the guest says. */
static bool is_used_by_device(const struct platform *p, gpa_t address, uint64_t size)
{
    for (unsigned i = 0; i < p->transport_count; i++)
        if (virtio_device_uses(p->transports[i].device, address, size))
            return true;
    return false;
}

/* Any addresses: what is no RAM is passed over. */
static uint64_t release(void *context, gpa_t address, uint64_t size)
{
    struct vm *vm = context;
    uint64_t first = ALIGN_UP(address.value, PAGE_SIZE), end = ALIGN_DOWN(address.value + size, PAGE_SIZE), done;

    if (first < address.value || end <= first || is_used_by_device(vm->platform, GPA(first), end - first))
        return size;
    guest_pages_release(vm->mem.pages, GPA(first), end - first, &done);
    return first + done == end ? size : first + done - address.value;
}

static int restore(void *context, gpa_t address)
{
    struct vm *vm = context;

    return guest_pages_restore(vm->mem.pages, address);
}

static void ask_for_flush(void *context)
{
    struct vm *vm = context;

    __atomic_store_n(&vm->platform->balloon_wants_flush, true, __ATOMIC_RELEASE);
    control_wake();
}

static void exhausted(void *context)
{
    struct vm *vm = context;

    if (vm->stop_reason == STOP_NONE)
        log_error("balloon", "%s takes memory again that it had given back, and none is free: it is stopped", vm->name);
    vm_stop(vm, STOP_ERROR);
}

/* --- life --- */

int ballooning_init_pages(struct vm *vm)
{
    struct guest_pages *pages = heap_alloc(sizeof *pages);

    if (!pages)
        return -ENOMEM;
    guest_pages_init(pages, &vm->mem, vm->stage2);
    pages->exhausted = exhausted;
    pages->context = vm;
    return 0;
}

static void its_turn_came(void *context)
{
    (void)context;
    control_wake();
}

void ballooning_init_device(struct vm *vm)
{
    const struct balloon_memory memory = {has_room, release, restore, ask_for_flush, vm};

    timer_init(&vm->platform->balloon_timer, its_turn_came, NULL);
    virtio_balloon_init(vm->platform->balloon, &vm->mem, &memory, vm->config->free_page_reporting);
}

void ballooning_free_pages(struct vm *vm)
{
    uint64_t next = 0;

    while (guest_pages_free_all(vm->mem.pages, &next))
        control_yield();
    heap_free(vm->mem.pages);
    vm->mem.pages = NULL;
}

/* --- the control thread's part --- */

/* A guest that does nothing but give back and take again would have every CPU interrupted, and this thread busy. */
static bool is_its_turn(struct platform *p)
{
    uint64_t now = clock_now();

    if (now < p->balloon_next_flush) {
        lock_acquire(&p->vm->device_lock);
        timer_arm(&p->balloon_timer, p->balloon_next_flush);
        lock_release(&p->vm->device_lock);
        return false;
    }
    p->balloon_next_flush = now + clock_ticks_from_ns(FLUSH_NS);
    return true;
}

void ballooning_collect(struct vm *vm)
{
    struct guest_pages *pages = vm->mem.pages;
    struct platform *p = vm->platform;

    if (!pages || !__atomic_load_n(&p->balloon_wants_flush, __ATOMIC_ACQUIRE) || !is_its_turn(p))
        return;
    __atomic_store_n(&p->balloon_wants_flush, false, __ATOMIC_SEQ_CST);
    if (guest_pages_begin_flush(pages)) {
        vm_request(vm, REQUEST_FLUSH);
        sched_synchronize();
        if (!guest_pages_end_flush(pages)) {
            ask_for_flush(vm);
            return;
        }
        while (guest_pages_free_flushed(pages))
            control_yield();
    }
    lock_acquire(&vm->device_lock);
    virtio_balloon_flushed(vm->platform->balloon);
    lock_release(&vm->device_lock);
}

static uint64_t free_pages(void)
{
    struct page_stats stats;

    page_get_stats(&stats);
    return stats.free_pages;
}

/* What it has and is to keep must be there when it comes for it: nobody is promised what is not. */
int ballooning_set_target(struct vm *vm, uint64_t bytes)
{
    uint64_t pages = vm->config->memory >> PAGE_SHIFT, wanted = bytes >> PAGE_SHIFT, missing;

    if (!vm->mem.pages)
        return -ENOTSUP;
    if (wanted == 0 || wanted > pages || pages - wanted > UINT32_MAX)
        return -EINVAL;
    missing = READ_ONCE(vm->mem.pages->missing);
    if (wanted > pages - missing && wanted - (pages - missing) > free_pages())
        return -ENOMEM;
    lock_acquire(&vm->device_lock);
    virtio_balloon_set_target(vm->platform->balloon, (uint32_t)(pages - wanted));
    lock_release(&vm->device_lock);
    return 0;
}

static void get_stats(struct virtio_balloon *balloon, struct vm_memory *memory)
{
    memory->target = balloon->config.num_pages;
    memory->has_stats = balloon->known_stats & (1u << VIRTIO_BALLOON_S_MEMFREE);
    memory->guest_total_bytes = balloon->stats[VIRTIO_BALLOON_S_MEMTOT];
    memory->guest_free_bytes = balloon->stats[VIRTIO_BALLOON_S_MEMFREE];
    memory->guest_available_bytes = balloon->stats[VIRTIO_BALLOON_S_AVAIL];
    virtio_balloon_poll_stats(balloon);
}

void ballooning_get_memory(struct vm *vm, struct vm_memory *memory)
{
    *memory = (struct vm_memory){.pages = vm->config->memory >> PAGE_SHIFT};
    if (!vm->mem.pages)
        return;
    memory->missing = READ_ONCE(vm->mem.pages->missing);
    lock_acquire(&vm->device_lock);
    get_stats(vm->platform->balloon, memory);
    lock_release(&vm->device_lock);
}
