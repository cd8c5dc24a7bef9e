/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/runqueue_rig.h"

const struct sched_params params = {
    .slice = 3 * MS, .slice_min = 700 * US, .run_min = 100 * US, .cap_period = 10 * MS};
struct task tasks[TASKS];
struct runqueue queues[CPUS];
unsigned picks;
uint64_t now;

static unsigned task_count, cpu_count;

void machine_init(unsigned cpus)
{
    cpu_count = cpus;
    task_count = 0;
    picks = 0;
    now = 12345;
    for (unsigned i = 0; i < cpus; i++) {
        runqueue_init(&queues[i], i, &params);
        queues[i].zero = UINT64_MAX - MS * i; /* soon wraps */
    }
}

static void wake(struct task *t)
{
    t->woken_at = now;
    t->wake_at = UINT64_MAX;
    t->burst_end = t->burst ? t->entity.run_ticks + t->burst : UINT64_MAX;
    runqueue_add(t->home, &t->entity, now);
}

struct task *task_add(unsigned cpu, unsigned weight, unsigned cap)
{
    struct task *t = &tasks[task_count++];

    *t = (struct task){.home = &queues[cpu]};
    sched_entity_init(&t->entity, weight, cap, 0);
    wake(t);
    return t;
}

struct task *spinner(unsigned weight)
{
    return task_add(0, weight, 0);
}

struct task *sleeper(unsigned weight, uint64_t burst, uint64_t sleep)
{
    struct task *t = spinner(weight);

    t->burst = burst;
    t->sleep = sleep;
    t->burst_end = burst;
    return t;
}

static struct task *current(const struct runqueue *rq)
{
    return (struct task *)rq->current;
}

static uint64_t burst_end(const struct task *t)
{
    return t->burst ? t->entity.charged_at + t->burst_end - t->entity.run_ticks : UINT64_MAX;
}

static uint64_t next_moment(void)
{
    uint64_t next = UINT64_MAX;

    for (unsigned i = 0; i < cpu_count; i++) {
        next = MIN(next, runqueue_next_event(&queues[i]));
        if (queues[i].current)
            next = MIN(next, burst_end(current(&queues[i])));
    }
    for (unsigned i = 0; i < task_count; i++)
        next = MIN(next, tasks[i].wake_at);
    return next;
}

static void go_to_sleep(struct task *t)
{
    runqueue_remove(t->entity.queue, &t->entity, now);
    t->wake_at = now + t->sleep;
}

void reschedule(struct runqueue *rq)
{
    struct task *old = current(rq), *t;

    if (old && burst_end(old) <= now)
        go_to_sleep(old);
    if (rq->current && !runqueue_must_switch(rq, now))
        return;
    t = (struct task *)runqueue_pick(rq, now);
    picks++;
    if (!t || t == old)
        return;
    t->worst_wait = MAX(t->worst_wait, now - t->woken_at);
    t->woken_at = UINT64_MAX;
}

static void assert_lags_bounded(void)
{
    for (unsigned i = 0; i < task_count; i++) {
        struct sched_entity *e = &tasks[i].entity;
        int64_t bound = 2 * (int64_t)params.slice * SCHED_WEIGHT_DEFAULT / (int64_t)e->weight + 1000;

        assert_in_range(e->lag + bound, 0, 2 * bound);
    }
}

void run_for(uint64_t ticks)
{
    uint64_t end = now + ticks;

    for (;;) {
        for (unsigned i = 0; i < task_count; i++)
            if (tasks[i].wake_at <= now)
                wake(&tasks[i]);
        for (unsigned i = 0; i < cpu_count; i++)
            reschedule(&queues[i]);
        if (now == end)
            break;
        now = MAX(now, MIN(end, next_moment()));
    }
    for (unsigned i = 0; i < cpu_count; i++)
        runqueue_charge(&queues[i], now);
    assert_lags_bounded();
}

uint64_t share(const struct task *t, uint64_t before, uint64_t ticks)
{
    return (t->entity.run_ticks - before) * 1000 / ticks;
}
