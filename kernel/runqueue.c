/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EEVDF (Stoica, Abdel-Wahab, "Earliest Eligible Virtual Deadline First: A Flexible and Accurate Mechanism for
 * Proportional Share Resource Allocation", 1995). Each entity asks for a slice at a time. It is eligible when it
 * has had no more than its share (vruntime is not past virtual time), and its deadline is when its share will have
 * brought it the slice. Of the eligible ones the earliest deadline runs, so that nobody's lag, the time that it
 * is owed or owes, is ever much above a slice.
 *
 * Of our own: one that wakes up with no debt is the first of all, and has slice_min for what it woke up for, which
 * others that wake up wait for; then it asks for slices as all do. That it runs at once wins it nothing in the long
 * run, since what it runs too much is a debt. The switch itself is nobody's time but that of who runs next: so that one
 * that wakes up without end does not make its neighbours pay for switches only, after an interruption by a wake-up there
 * is none for run_min. Who wakes up now and then does not meet this.
 */
#include "kernel/runqueue.h"
#include "kernel/lib/assert.h"
#include "kernel/run_share.h"

#define LONG_AGO BIT(40) /* in virtual time: run_share.c says how far from V anybody can be */

/* --- caps --- */

static bool is_exhausted(const struct sched_entity *e)
{
    return e->cap_quota && e->cap_budget <= 0;
}

static void set_quota(const struct runqueue *rq, struct sched_entity *e)
{
    e->cap_quota = rq->params.cap_period * e->cap / 100;
}

/* Unused time is lost with its period; what was used too much is owed. */
static void replenish(const struct runqueue *rq, struct sched_entity *e, uint64_t now)
{
    if (now < e->cap_period_end)
        return;
    e->cap_budget = MIN(e->cap_budget + (int64_t)e->cap_quota, (int64_t)e->cap_quota);
    e->cap_period_end += rq->params.cap_period;
    if (e->cap_period_end <= now)
        e->cap_period_end = now + rq->params.cap_period;
}

/* The debt is bounded, so that a machine that stood still for long does not punish for it. */
static void charge_cap(const struct runqueue *rq, struct sched_entity *e, uint64_t ticks, uint64_t now)
{
    uint64_t new_period = MIN(ticks, run_share_elapsed(e->cap_period_end, now));
    int64_t floor = -(int64_t)rq->params.cap_period;

    ticks = MIN(ticks - new_period, RUN_SHARE_CHARGE_MAX);
    new_period = MIN(new_period, RUN_SHARE_CHARGE_MAX);
    e->cap_budget = MAX(e->cap_budget - (int64_t)ticks, floor);
    replenish(rq, e, now);
    e->cap_budget = MAX(e->cap_budget - (int64_t)new_period, floor);
}

/* --- charging --- */

static inline __attribute__((always_inline)) void charge(struct runqueue *rq, uint64_t now)
{
    struct sched_entity *e = rq->current;
    uint64_t ticks;

    if (!e || now <= e->charged_at)
        return;
    ticks = now - e->charged_at;
    e->charged_at = now;
    e->run_ticks += ticks;
    rq->ran += ticks;
    run_share_charge(rq, e, ticks);
    if (e->cap_quota)
        charge_cap(rq, e, ticks, now);
}

__attribute__((noinline)) void runqueue_charge(struct runqueue *rq, uint64_t now)
{
    charge(rq, now);
}

/* --- from state to state --- */

static void count_wait(struct sched_entity *e, uint64_t now)
{
    e->wait_ticks += run_share_elapsed(e->since, now);
    e->since = now;
}

/*
 * When another leaves in debt, V goes back. One that woke up with no debt is not to miss its run for such a
 * trifle: it may run in advance.
 */
static void insert_ready(struct runqueue *rq, struct sched_entity *e)
{
    e->state = ENTITY_READY;
    e->eligible = e->vruntime;
    if (e->is_woken && e->lag >= 0)
        e->eligible -= run_share_virtual(e, rq->params.slice_min);
    run_tree_insert(&rq->ready, e, e->deadline);
}

static void insert_throttled(struct runqueue *rq, struct sched_entity *e)
{
    e->state = ENTITY_THROTTLED;
    run_tree_insert(&rq->throttled, e, e->cap_period_end);
}

/* Does e, of the tree, run before current? */
static bool overtakes(const struct runqueue *rq, const struct sched_entity *e)
{
    const struct sched_entity *current = rq->current;

    return run_share_is_eligible(rq, e->eligible) &&
           (!run_share_is_eligible(rq, current->vruntime) || run_share_is_earlier(e->deadline, current->deadline));
}

/*
 * What one that comes asks for, as a deadline. One that was stolen goes on with what it had asked for. One that
 * wakes up with no debt has a deadline that is past for longer than anybody else's can be.
 */
static uint64_t first_deadline(const struct runqueue *rq, const struct sched_entity *e)
{
    if (!e->is_woken)
        return e->vruntime + e->request;
    if (e->lag < 0)
        return e->vruntime + run_share_virtual(e, rq->params.slice_min);
    return e->vruntime - LONG_AGO;
}

/* From whence ever: e competes from now on. */
static void make_ready(struct runqueue *rq, struct sched_entity *e, uint64_t now)
{
    run_share_forgive(rq, e, now);
    run_share_join(rq, e);
    e->is_woken = !e->request;
    e->deadline = first_deadline(rq, e);
    e->request = 0;
    insert_ready(rq, e);
    if (rq->current && overtakes(rq, e))
        rq->preempt = true;
}

static void release_those_due(struct runqueue *rq, uint64_t now)
{
    struct sched_entity *e;

    while (rq->throttled.count && (e = run_tree_first(&rq->throttled))->cap_period_end <= now) {
        run_tree_remove(&rq->throttled, e);
        replenish(rq, e, now);
        if (is_exhausted(e))
            insert_throttled(rq, e);
        else
            make_ready(rq, e, now);
    }
}

static inline void release_throttled(struct runqueue *rq, uint64_t now)
{
    if (unlikely(rq->throttled.count))
        release_those_due(rq, now);
}

static void throttle_current(struct runqueue *rq, uint64_t now)
{
    struct sched_entity *e = rq->current;

    rq->current = NULL;
    run_share_leave(rq, e);
    e->since = now;
    insert_throttled(rq, e);
}

/* --- what the scheduler asks --- */

COLD void runqueue_init(struct runqueue *rq, unsigned cpu, const struct sched_params *params)
{
    ASSERT(params->slice_min >= SCHED_SLICE_MIN && params->slice_min <= params->slice);
    ASSERT(params->slice <= SCHED_SLICE_MAX && params->run_min <= params->slice_min);
    ASSERT(params->cap_period >= params->slice_min && params->cap_period <= RUN_SHARE_CHARGE_MAX);
    *rq = (struct runqueue){.cpu = cpu, .params = *params};
}

void runqueue_add(struct runqueue *rq, struct sched_entity *e, uint64_t now)
{
    ASSERT(e->state == ENTITY_OFF);
    runqueue_charge(rq, now);
    e->queue = rq;
    set_quota(rq, e);
    replenish(rq, e, now);
    run_share_forgive(rq, e, now);
    e->since = now;
    if (is_exhausted(e))
        insert_throttled(rq, e);
    else
        make_ready(rq, e, now);
}

void runqueue_remove(struct runqueue *rq, struct sched_entity *e, uint64_t now)
{
    ASSERT(e->queue == rq);
    runqueue_charge(rq, now);
    if (e->state == ENTITY_CURRENT)
        rq->current = NULL;
    else
        run_tree_remove(e->state == ENTITY_READY ? &rq->ready : &rq->throttled, e);
    if (e->state != ENTITY_THROTTLED)
        run_share_leave(rq, e);
    if (e->state != ENTITY_CURRENT)
        count_wait(e, now);
    e->since = now;
    e->state = ENTITY_OFF;
    e->queue = NULL;
}

/* Some entity that competes is always eligible: not all are past the mean. */
static struct sched_entity *first_eligible(const struct runqueue *rq)
{
    struct sched_entity *e = rq->ready.root;

    if (!e || !run_share_is_eligible(rq, e->node.min_eligible))
        return NULL;
    for (;;) {
        struct sched_entity *before = e->node.child[0];

        if (before && run_share_is_eligible(rq, before->node.min_eligible))
            e = before;
        else if (run_share_is_eligible(rq, e->eligible))
            return e;
        else
            e = e->node.child[1];
    }
}

/* Who takes the CPU from current, if there is one; NULL: nobody. */
static struct sched_entity *find_next(const struct runqueue *rq)
{
    struct sched_entity *e = first_eligible(rq);

    if (!rq->current)
        return e;
    if (rq->yielded)
        return e ? e : run_tree_first(&rq->ready);
    return e && overtakes(rq, e) ? e : NULL;
}

/* What next has for itself. */
static uint64_t undisturbed_ticks(struct runqueue *rq, const struct sched_entity *next)
{
    bool was_interrupted = rq->was_interrupted;

    if (next->is_woken)
        return rq->params.slice_min;
    rq->was_interrupted = false;
    return was_interrupted ? rq->params.run_min : 0;
}

/* Takes out before it puts in: of two that take turns the tree never has more than one. */
static void switch_to(struct runqueue *rq, struct sched_entity *next, uint64_t now)
{
    run_tree_remove(&rq->ready, next);
    if (rq->current) {
        rq->current->since = now;
        rq->was_interrupted |= next->is_woken;
        insert_ready(rq, rq->current);
    }
    rq->undisturbed_until = now + undisturbed_ticks(rq, next);
    next->is_woken = false;
    count_wait(next, now);
    next->state = ENTITY_CURRENT;
    next->charged_at = now;
    rq->current = next;
}

static bool is_undisturbed(const struct runqueue *rq, uint64_t now)
{
    return rq->current && !rq->yielded && now < rq->undisturbed_until;
}

/* Until e has what it asked for, but for slice_min at least. */
static void begin_slice(struct runqueue *rq, const struct sched_entity *e)
{
    uint64_t wanted = run_share_is_earlier(e->vruntime, e->deadline) ? e->deadline - e->vruntime : 0;
    uint64_t ticks = (wanted * e->weight + SCHED_WEIGHT_DEFAULT - 1) / SCHED_WEIGHT_DEFAULT;

    rq->ran = 0;
    rq->allowance = MAX(rq->params.slice_min, MIN(ticks, rq->params.slice));
}

struct sched_entity *runqueue_pick(struct runqueue *rq, uint64_t now)
{
    struct sched_entity *next;

    charge(rq, now);
    release_throttled(rq, now);
    if (rq->current && is_exhausted(rq->current))
        throttle_current(rq, now);
    if (is_undisturbed(rq, now))
        return rq->current;
    next = find_next(rq);
    if (next)
        switch_to(rq, next, now);
    rq->preempt = false;
    rq->yielded = false;
    if (rq->current)
        begin_slice(rq, rq->current);
    return rq->current;
}

bool runqueue_must_switch(struct runqueue *rq, uint64_t now)
{
    runqueue_charge(rq, now);
    release_throttled(rq, now);
    if (rq->current && is_exhausted(rq->current))
        return true;
    if (is_undisturbed(rq, now))
        return false;
    return rq->ready.count && (!rq->current || rq->preempt || rq->ran >= rq->allowance);
}

uint64_t runqueue_next_event(const struct runqueue *rq)
{
    const struct sched_entity *e = rq->current;
    uint64_t event = UINT64_MAX;

    if (rq->ready.count && !e)
        return 0;
    if (rq->ready.count)
        event = e->charged_at + run_share_elapsed(rq->ran, rq->allowance);
    if (rq->ready.count && rq->preempt)
        event = MIN(event, rq->undisturbed_until);
    if (e && e->cap_quota)
        event = MIN(event, e->charged_at + (uint64_t)MAX(e->cap_budget, 0));
    if (unlikely(rq->throttled.count))
        event = MIN(event, run_tree_first(&rq->throttled)->cap_period_end);
    return event;
}

void runqueue_yield(struct runqueue *rq, uint64_t now)
{
    struct sched_entity *e = rq->current;

    if (!e)
        return;
    runqueue_charge(rq, now);
    run_share_forfeit(rq, e);
    e->deadline = e->vruntime + run_share_virtual(e, rq->params.slice);
    rq->yielded = true;
    rq->allowance = 0;
}

struct sched_entity *runqueue_steal(struct runqueue *rq, unsigned cpu, uint64_t now)
{
    struct sched_entity *e = run_tree_first_for(&rq->ready, cpu);

    if (!e)
        return NULL;
    runqueue_remove(rq, e, now);
    e->request = e->is_woken ? 0 : e->deadline - e->vruntime;
    return e;
}

/* --- what is set from outside --- */

static void apply_cap(struct sched_entity *e, unsigned cap)
{
    e->cap = cap < 100 ? cap : 0;
}

static void apply_cpus(struct sched_entity *e, uint64_t cpus)
{
    e->cpus = cpus ? cpus : ~(uint64_t)0;
}

COLD void sched_entity_init(struct sched_entity *e, unsigned weight, unsigned cap, uint64_t cpus)
{
    *e = (struct sched_entity){.state = ENTITY_OFF};
    run_share_set_weight(e, weight);
    apply_cap(e, cap);
    apply_cpus(e, cpus);
}

COLD void sched_entity_set_weight(struct sched_entity *e, unsigned weight, uint64_t now)
{
    struct runqueue *rq = e->queue;
    enum sched_entity_state state = e->state;

    if (state == ENTITY_OFF || state == ENTITY_THROTTLED) {
        run_share_reweigh(e, weight);
        return;
    }
    runqueue_charge(rq, now);
    if (state == ENTITY_READY)
        run_tree_remove(&rq->ready, e);
    run_share_leave(rq, e);
    run_share_reweigh(e, weight);
    run_share_join(rq, e);
    e->deadline = e->vruntime + run_share_virtual(e, rq->params.slice);
    if (state == ENTITY_READY)
        insert_ready(rq, e);
}

COLD void sched_entity_set_cap(struct sched_entity *e, unsigned cap, uint64_t now)
{
    struct runqueue *rq = e->queue;

    if (rq)
        runqueue_charge(rq, now);
    apply_cap(e, cap);
    e->cap_budget = 0;
    e->cap_period_end = now;
    if (!rq)
        return;
    set_quota(rq, e);
    replenish(rq, e, now);
    if (e->state == ENTITY_THROTTLED) {
        run_tree_remove(&rq->throttled, e);
        make_ready(rq, e, now);
    }
}

void sched_entity_set_cpus(struct sched_entity *e, uint64_t cpus)
{
    struct runqueue *rq = e->queue;

    if (e->state == ENTITY_READY)
        run_tree_remove(&rq->ready, e);
    apply_cpus(e, cpus);
    if (e->state == ENTITY_READY)
        insert_ready(rq, e);
}
