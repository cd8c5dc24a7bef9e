/* SPDX-License-Identifier: BSD-2-Clause */
/* The run loop's side of kernel/timer.h. */
#ifndef KERNEL_TIMERS_H
#define KERNEL_TIMERS_H

/* Fires what is due on this CPU. */
void timers_run(void);

/* The timer interrupt came: sets the hardware for the earliest deadline that is left. */
void timers_restart(void);

#endif
