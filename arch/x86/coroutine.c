/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads of control that hand over to each other by themselves; coroutine.asm has the switch. */
#include "arch/arch.h"
#include "arch/x86/paging.h"
#include "kernel/pcpu.h"

/* As coroutine_switch pops it. */
struct first_frame {
    uint64_t r15, r14, r13, r12, rbx, rbp;
    void (*rip)(void);
    uint64_t return_address; /* of main, which does not return; it ends a backtrace */
};

void coroutine_switch(uint64_t *from, uint64_t to);

/* Its stack is in the slot behind those of the CPUs. */
int arch_coroutine_create(struct coroutine *coroutine, void (*main)(void))
{
    struct first_frame *frame;
    uint64_t top;
    int error = paging_map_stack(PCPU_MAX, &top);

    if (error)
        return error;
    frame = (struct first_frame *)top - 1;
    *frame = (struct first_frame){.rip = main};
    coroutine->stack_pointer = (uint64_t)frame;
    return 0;
}

void arch_coroutine_switch(struct coroutine *from, const struct coroutine *to)
{
    coroutine_switch(&from->stack_pointer, to->stack_pointer);
}
