/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's RAM: extents as large as there are, zeroed, in its second-level tables and in its guest_mem; or the machine's
 * own low memory, for the VM that sees it where it is. Invariant: what is in those tables as RAM is in guest_mem, at the
 * same place, and the other way round.
 */
#include "arch/arch.h"
#include "arch/x86/guest/layout.h"
#include "kernel/ballooning.h"
#include "kernel/control.h"
#include "kernel/heap.h"
#include "kernel/identity.h"
#include "kernel/lib/errno.h"
#include "kernel/machine_parts.h"
#include "kernel/page.h"
#include "kernel/pt.h"
#include "kernel/stage2.h"

static int give(struct vm *vm, uint64_t gpa, hpa_t hpa, uint64_t size)
{
    control_zero(phys_to_virt(hpa), size);
    if (stage2_map(vm->stage2, GPA(gpa), hpa, size) != 0)
        return -ENOMEM;
    return guest_mem_add(&vm->mem, GPA(gpa), size, phys_to_virt(hpa));
}

/* One extent of RAM in the largest block that is there; says how much it got. */
static int add_extent(struct vm *vm, uint64_t gpa, uint64_t wanted, uint64_t *got)
{
    unsigned order = MIN(page_order_for(wanted), PAGE_ORDER_MAX);
    hpa_t block;

    if (vm->mem.count == GUEST_MEM_SLOTS_MAX)
        return -ENOSPC;
    while (order > 0 && ((PAGE_SIZE << order) > wanted || !IS_ALIGNED(gpa, PAGE_SIZE << order)))
        order--;
    while (page_alloc(order, &block) != 0)
        if (order-- == 0)
            return -ENOMEM;
    page_mark_guests(block, order);
    *got = PAGE_SIZE << order;
    if (give(vm, gpa, block, *got) == 0)
        return 0;
    page_free(block, order);
    return -ENOMEM;
}

static int add_ram(struct vm *vm, uint64_t gpa, uint64_t size)
{
    while (size > 0) {
        uint64_t got;
        int error = add_extent(vm, gpa, size, &got);

        if (error)
            return error;
        gpa += got;
        size -= got;
    }
    return 0;
}

/* Else it would be looked for in ever smaller pieces, and zeroed. */
static bool is_free(uint64_t size)
{
    struct page_stats stats;

    page_get_stats(&stats);
    return size <= stats.free_pages << PAGE_SHIFT;
}

static int add_layout(struct vm *vm)
{
    uint64_t size = vm->config->memory;
    int error = is_free(size) ? add_ram(vm, 0, guest_ram_below_hole(size)) : -ENOMEM;

    error = error ? error : add_ram(vm, GUEST_HOLE_END, guest_ram_above_hole(size));
    if (error == -ENOSPC)
        return machine_refuse(vm, "its memory would lie in more pieces than a VM may have: a rounder size may do");
    return error ? machine_refuse(vm, "too little memory is free for it") : 0;
}

/* The first MiB is as everybody's; from there on the machine's, with its holes. */
static int add_identity(struct vm *vm)
{
    uint64_t end = vm->config->memory;
    struct memmap_range r;
    int error = identity_take(vm, end);

    if (error == -EBUSY)
        return machine_refuse(vm, "memory_map=identity: another VM has the machine's low memory");
    if (error)
        return machine_refuse(vm, "memory_map=identity: so much of the machine's low memory was not set aside at boot");
    error = add_ram(vm, 0, MIN(end, IDENTITY_BASE));
    for (unsigned cursor = 0; !error && identity_next(&cursor, &r) && r.start.value < end;)
        error = give(vm, r.start.value, r.start, MIN(r.size, end - r.start.value));
    return error ? machine_refuse(vm, "no memory for its first MiB, or its RAM is in too many pieces") : 0;
}

int machine_make_memory(struct vm *vm)
{
    int error;

    vm->stage2 = heap_alloc(sizeof *vm->stage2);
    if (vm->stage2 && stage2_create(vm->stage2) != 0) {
        heap_free(vm->stage2);
        vm->stage2 = NULL; /* there is no root to destroy */
    }
    if (!vm->stage2)
        return machine_refuse(vm, "no memory for its page tables");
    error = vm->config->memory_map == VM_MEMORY_MAP_IDENTITY ? add_identity(vm) : add_layout(vm);
    if (error)
        return error;
    if (vm->config->balloon && ballooning_init_pages(vm) != 0)
        return machine_refuse(vm, "no memory for its balloon");
    return 0;
}

void machine_free_memory(struct vm *vm)
{
    if (vm->mem.pages) {
        ballooning_free_pages(vm);
        return;
    }
    for (unsigned i = 0; i < vm->mem.count; i++) {
        const struct guest_mem_slot *s = &vm->mem.slots[i];

        if (vm->config->memory_map == VM_MEMORY_MAP_REMAP || s->base.value < IDENTITY_BASE)
            page_free(virt_to_phys(s->host), page_order_for(s->size));
    }
    identity_give_back(vm);
}
