/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's RAM: extents as large as there are, zeroed, in its second-level tables and in its guest_mem. Invariant: what
 * is in those tables as RAM is in guest_mem, at the same place, and the other way round.
 */
#include "arch/arch.h"
#include "arch/x86/guest/layout.h"
#include "kernel/ballooning.h"
#include "kernel/control.h"
#include "kernel/heap.h"
#include "kernel/lib/errno.h"
#include "kernel/machine_parts.h"
#include "kernel/page.h"
#include "kernel/pt.h"
#include "kernel/stage2.h"

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
    control_zero(phys_to_virt(block), *got);
    if (stage2_map(vm->stage2, GPA(gpa), block, *got) == 0 &&
        guest_mem_add(&vm->mem, GPA(gpa), *got, phys_to_virt(block)) == 0)
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

static int make_ram(struct vm *vm)
{
    uint64_t size = vm->config->memory;
    int error = add_ram(vm, 0, guest_ram_below_hole(size));

    error = error ? error : add_ram(vm, GUEST_HOLE_END, guest_ram_above_hole(size));
    if (error == -ENOSPC)
        return machine_refuse(vm, "its memory would lie in more pieces than a VM may have: a rounder size may do");
    return error ? machine_refuse(vm, "too little memory is free for it") : 0;
}

int machine_make_memory(struct vm *vm)
{
    vm->stage2 = heap_alloc(sizeof *vm->stage2);
    if (vm->stage2 && stage2_create(vm->stage2) != 0) {
        heap_free(vm->stage2);
        vm->stage2 = NULL; /* there is no root to destroy */
    }
    if (!vm->stage2)
        return machine_refuse(vm, "no memory for its page tables");
    if (make_ram(vm) != 0)
        return -ENOMEM;
    if (vm->config->balloon && ballooning_init_pages(vm) != 0)
        return machine_refuse(vm, "no memory for its balloon");
    return 0;
}

void machine_free_memory(struct vm *vm)
{
    if (vm->mem.pages)
        ballooning_free_pages(vm);
    else
        for (unsigned i = 0; i < vm->mem.count; i++)
            page_free(virt_to_phys(vm->mem.slots[i].host), page_order_for(vm->mem.slots[i].size));
}
