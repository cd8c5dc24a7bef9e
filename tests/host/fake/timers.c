/* SPDX-License-Identifier: BSD-2-Clause */
/* In kernel/timer.c's stead, a plain list: enough for a test, and its clock moves only when told
 * to. */
#include "tests/host/fake/fake.h"

static struct timer *armed; /* linked through sibling */

void timer_cancel(struct timer *t)
{
    for (struct timer **link = &armed; *link; link = &(*link)->sibling) {
        if (*link == t) {
            *link = t->sibling;
            break;
        }
    }
    t->armed = false;
}

void timer_arm(struct timer *t, uint64_t deadline)
{
    struct timer **link = &armed;

    timer_cancel(t);
    t->deadline = deadline;
    t->armed = true;
    while (*link && (*link)->deadline <= deadline)
        link = &(*link)->sibling;
    t->sibling = *link;
    *link = t;
}

void fake_clock_reset(void)
{
    fake_clock = 0;
    armed = NULL;
    fake_wall_ns = 0;
}

void fake_clock_advance(uint64_t ticks)
{
    uint64_t end = fake_clock + ticks;

    while (armed && armed->deadline <= end) {
        struct timer *t = armed;

        fake_clock = MAX(fake_clock, t->deadline);
        timer_cancel(t);
        t->fire(t->context);
    }
    fake_clock = end;
}
