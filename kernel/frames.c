/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/frames.h"
#include "kernel/control.h"
#include "kernel/timer.h"

#define FRAME_NS 33000000u

static bool (*draw)(void);
static bool is_dirty; /* since the last frame began; atomic */
static bool is_due;
static struct timer timer;

static void come_due(void *context)
{
    (void)context;
    is_due = true;
    control_wake();
}

void frames_init(bool (*draw_some)(void))
{
    draw = draw_some;
    timer_init(&timer, come_due, NULL);
    frames_written(); /* what came before there were frames */
}

void frames_written(void)
{
    if (!__atomic_exchange_n(&is_dirty, true, __ATOMIC_ACQ_REL))
        control_wake();
}

/* What is written while a frame is drawn comes into the next one, if not into this. */
static void draw_frame(void)
{
    is_due = false;
    __atomic_store_n(&is_dirty, false, __ATOMIC_RELEASE);
    while (draw())
        control_yield();
}

void frames_run(void)
{
    if (!draw)
        return;
    if (is_due)
        draw_frame();
    if (__atomic_load_n(&is_dirty, __ATOMIC_ACQUIRE) && !timer.armed)
        timer_arm(&timer, clock_now() + clock_ticks_from_ns(FRAME_NS));
}
