/* SPDX-License-Identifier: BSD-2-Clause */
/* The run loop's side of kernel/timer.h. */
#ifndef KERNEL_TIMERS_H
#define KERNEL_TIMERS_H

/* Fires what is due on this CPU, once its interrupt has come. */
void timers_run(void);

/* The timer interrupt's handler. */
void timers_interrupt(void);

#endif
