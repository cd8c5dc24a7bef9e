/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When the screen is drawn: some time after something was written on it, by the control thread, a row at a time. A guest
 * that writes much costs the others no more than one that writes a little.
 */
#ifndef KERNEL_FRAMES_H
#define KERNEL_FRAMES_H

#include "kernel/lib/types.h"

/* draw() draws a little, and returns whether there was anything. The control thread. */
void frames_init(bool (*draw)(void));

/* Something was written. Any CPU, with whatever lock. */
void frames_written(void);

/* The control thread, whenever it was woken. */
void frames_run(void);

#endif
