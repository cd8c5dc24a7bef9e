/* SPDX-License-Identifier: BSD-2-Clause */
/* The run loop's side of kernel/timer.h. */
#ifndef KERNEL_TIMERS_H
#define KERNEL_TIMERS_H

#include "kernel/pcpu.h"

/* Each CPU's, before anything is armed. */
void timers_init(struct timer_heap *heap);

/* Fires what is due on this CPU. */
void timers_fire(void);

/* Likewise, once its interrupt has come: on the way of every turn of the run loops. */
static inline void timers_run(void)
{
    if (unlikely(this_pcpu()->timer_came))
        timers_fire();
}

/* sched_slice_over() is called on this CPU, once, at that host TSC; UINT64_MAX: never. */
void timers_set_slice(uint64_t deadline);

/* The timer interrupt's handler. */
void timers_interrupt(void);

#endif
