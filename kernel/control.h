/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control thread: what builds VMs, takes them apart and obeys the console. One coroutine on the boot CPU, scheduled
 * beside the guests, so that nothing which it does holds them up for long.
 */
#ifndef KERNEL_CONTROL_H
#define KERNEL_CONTROL_H

#include "kernel/lib/types.h"
#include "kernel/vm.h"

/* Boot CPU, once: main runs as soon as the CPU is in sched_loop, and never returns. */
void control_start(void (*main)(void));

/* Within the thread, in long work: lets others run if they have a right to, and interrupts come in. */
void control_yield(void);
/* Within the thread: zeroes memory, however much, and yields in between. */
void control_zero(void *memory, uint64_t size);
/* Within the thread: sleeps until control_wake() was called since this last returned. */
void control_wait(void);

/* Any CPU, also in an interrupt: there is something to do. */
void control_wake(void);

/* The scheduler's side. */
bool control_has_work(void);
enum vcpu_outcome control_run(void);

#endif
