/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual time V is the mean of the vruntimes of all that compete, weighted: V - zero = sum / load. That
 * somebody is eligible, not past V, is asked with no division. For the product to fit into 64 bits, with as
 * many entities and weights as there may be (load < 2^26), no entity that competes is further from V than 2^36
 * (the charge and the lag of a weight of 1 are bounded), and V no further from zero than 2^35: it passes
 * by charges, which see to it, and moves as somebody joins or leaves, which set zero to V before.
 */
#include "kernel/run_share.h"

#define FORGIVE_MAX BIT(50) /* ticks; far more than any debt takes */

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static uint64_t virtual_time(struct runqueue *rq)
{
    if (rq->load) {
        int64_t passed = floor_divide(rq->sum, (int64_t)rq->load);

        rq->zero += (uint64_t)passed;
        rq->sum -= passed * (int64_t)rq->load;
    }
    return rq->zero;
}

static int64_t weighted(const struct runqueue *rq, const struct sched_entity *e)
{
    return (int64_t)e->weight * (int64_t)(e->vruntime - rq->zero);
}

COLD void run_share_move_zero(struct runqueue *rq)
{
    virtual_time(rq);
}

/* V moves towards e's vruntime by that, and e is to have its lag afterwards. With nobody else there is none. */
void run_share_join(struct runqueue *rq, struct sched_entity *e)
{
    int64_t load = (int64_t)rq->load;

    e->vruntime = virtual_time(rq);
    if (load)
        e->vruntime -= (uint64_t)floor_divide(e->lag * (load + e->weight), load);
    rq->sum += weighted(rq, e);
    rq->load += e->weight;
}

/* The bound is twice what the theorem says, as we may switch late. */
void run_share_leave(struct runqueue *rq, struct sched_entity *e)
{
    int64_t bound = 2 * (int64_t)run_share_virtual(e, rq->params.slice);
    int64_t lag = (int64_t)(virtual_time(rq) - e->vruntime);

    e->lag = MAX(-bound, MIN(lag, bound));
    rq->sum -= weighted(rq, e);
    rq->load -= e->weight;
}

/* A debt is paid by waiting; what e is owed does not grow while it wants nothing. */
void run_share_forgive(const struct runqueue *rq, struct sched_entity *e, uint64_t now)
{
    uint64_t ticks = MIN(run_share_elapsed(e->since, now), FORGIVE_MAX);

    if (e->lag < 0)
        e->lag = MIN(0, e->lag + (int64_t)(ticks * SCHED_WEIGHT_DEFAULT / (rq->load + e->weight)));
}

void run_share_forfeit(struct runqueue *rq, struct sched_entity *e)
{
    int64_t lag = (int64_t)(virtual_time(rq) - e->vruntime);

    if (lag > 0)
        run_share_advance(rq, e, (uint64_t)lag);
}

/* Rounded up, so that a slice in real time never falls short of one in virtual time. */
void run_share_set_weight(struct sched_entity *e, unsigned weight)
{
    e->weight = MAX(1u, MIN(weight, SCHED_WEIGHT_MAX));
    e->inverse = (((uint64_t)SCHED_WEIGHT_DEFAULT << RUN_SHARE_INVERSE_SHIFT) + e->weight - 1) / e->weight;
}

void run_share_reweigh(struct sched_entity *e, unsigned weight)
{
    unsigned old = e->weight;

    run_share_set_weight(e, weight);
    e->lag = e->lag * old / (int64_t)e->weight;
    e->request = e->request * old / e->weight;
}
