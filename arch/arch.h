/* SPDX-License-Identifier: BSD-2-Clause */
/* All that kernel/ may ask of any CPU architecture. */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include "kernel/lib/types.h"

/* The direct map: where the hypervisor sees a byte of RAM, and back. Only for RAM that the memory map names. */
void *phys_to_virt(hpa_t address);
hpa_t virt_to_phys(const void *pointer);

/* Maps device memory, uncached, for good. NULL: out of memory. Boot CPU. */
void *arch_map_device(hpa_t address, uint64_t size);

/* Interrupts off, and back to what they were. */
uint64_t arch_irq_save(void);
void arch_irq_restore(uint64_t flags);

/*
 * Interrupts come in, which are off otherwise in C, and are off again on return: those that are pending, or whatever
 * comes next.
 * One that came before is not slept over.
 */
void arch_take_interrupts(void);
void arch_wait_for_interrupt(void);

/* Makes the CPU with that number look at its requests soon; any CPU may call. */
void arch_kick(unsigned cpu);

/* Programs this CPU's timer interrupt for a host TSC: it comes once, at once if that is past, and may come early. */
void arch_timer_set(uint64_t deadline);

/* A thread of control on a stack of its own. There is one so far, besides what each CPU began with. */
struct coroutine {
    uint64_t stack_pointer;
};
/* main must not return. -ENOMEM. */
MUST_CHECK int arch_coroutine_create(struct coroutine *coroutine, void (*main)(void));
/* The caller is `from`, and goes on when somebody switches to it on this CPU. */
void arch_coroutine_switch(struct coroutine *from, const struct coroutine *to);

/* Random bytes from the CPU; false where it has no such instruction or that fails. */
bool arch_random_seed(void *to, size_t size);

/* Leaves virtualization on every CPU, then ends the machine. status goes to an emulator that listens (0: success). */
NORETURN void arch_power_off(unsigned status);
NORETURN void arch_reboot(void);

/* Stops the other CPUs where they are; for panic. */
void arch_stop_others(void);
NORETURN void arch_halt(void);

/*
 * Of the function that holds that address, where the stack pointer is sp: calls visit for each caller, with an address in its
 * call, and with that of an interrupted instruction. For panic: a guess, but a good one.
 */
void arch_backtrace(uint64_t address, uint64_t sp, void (*visit)(void *context, uint64_t address), void *context);
void arch_log_registers(void);

#endif
