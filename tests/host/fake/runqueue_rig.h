/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine of up to four CPUs, played event by event as the scheduler plays it: pick, run until the next event, ask again.
 * run_for() looks that nobody's lag leaves its bounds.
 */
#ifndef TESTS_HOST_FAKE_RUNQUEUE_RIG_H
#define TESTS_HOST_FAKE_RUNQUEUE_RIG_H

#include "tests/host/fake/fake.h"
#include "kernel/runqueue.h"

#define US 1000u /* a tick is a nanosecond */
#define MS 1000000u
#define SECOND (1000u * (uint64_t)MS)

#define CPUS  4u
#define TASKS 64u

/* Runs for `burst`, sleeps for `sleep`, and so on; burst 0: spins. */
struct task {
    struct sched_entity entity; /* first */
    struct runqueue *home;
    uint64_t burst, sleep;
    uint64_t burst_end;  /* in run_ticks */
    uint64_t wake_at;
    uint64_t woken_at;   /* and has not run since, if it waits */
    uint64_t worst_wait; /* from waking up to running */
};

extern const struct sched_params params;
extern struct task tasks[TASKS];
extern struct runqueue queues[CPUS];
extern unsigned picks;
extern uint64_t now;

void machine_init(unsigned cpus);
struct task *task_add(unsigned cpu, unsigned weight, unsigned cap);
/* On CPU 0, with no cap. */
struct task *spinner(unsigned weight);
struct task *sleeper(unsigned weight, uint64_t burst, uint64_t sleep);

void reschedule(struct runqueue *rq);
void run_for(uint64_t ticks);

/* In per mille of the time since `before`, which is t's run_ticks then. */
uint64_t share(const struct task *t, uint64_t before, uint64_t ticks);

#endif
