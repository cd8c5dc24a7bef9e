/* SPDX-License-Identifier: BSD-2-Clause */
/* The run queue's arithmetic of fair shares: virtual time, and where each entity stands in it. */
#ifndef KERNEL_RUN_SHARE_H
#define KERNEL_RUN_SHARE_H

#include "kernel/runqueue.h"

/* Ticks; longer ones count as this: with no company, current may have run for years. */
#define RUN_SHARE_CHARGE_MAX BIT(28)

#define RUN_SHARE_INVERSE_SHIFT 26
#define RUN_SHARE_ZERO_DRIFT    28 /* log2: so far virtual time may be from rq->zero, for each unit of weight */

/* Virtual times wrap. */
static inline bool run_share_is_earlier(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

/* Has somebody with this vruntime had no more than its share? */
static inline bool run_share_is_eligible(const struct runqueue *rq, uint64_t vruntime)
{
    return (int64_t)(vruntime - rq->zero) * (int64_t)rq->load <= rq->sum;
}

/* The clocks of two CPUs may differ by a few ticks: never negative. */
static inline uint64_t run_share_elapsed(uint64_t from, uint64_t to)
{
    return to > from ? to - from : 0;
}

/* By so much e's vruntime grows while it runs. */
static inline uint64_t run_share_virtual(const struct sched_entity *e, uint64_t ticks)
{
    return ticks * e->inverse >> RUN_SHARE_INVERSE_SHIFT;
}

/* e begins to compete, with the lag that it has; and ends, and has its lag, within bounds. */
void run_share_join(struct runqueue *rq, struct sched_entity *e);
void run_share_leave(struct runqueue *rq, struct sched_entity *e);

/* What e owed is less since it stopped to compete, at e->since: as if it had waited on rq. */
void run_share_forgive(const struct runqueue *rq, struct sched_entity *e, uint64_t now);

/* To virtual time: see run_share.c. */
void run_share_move_zero(struct runqueue *rq);

static inline void run_share_advance(struct runqueue *rq, struct sched_entity *e, uint64_t virtual_ticks)
{
    e->vruntime += virtual_ticks;
    rq->sum += (int64_t)(e->weight * virtual_ticks);
    if (unlikely(rq->sum > (int64_t)(rq->load << RUN_SHARE_ZERO_DRIFT)))
        run_share_move_zero(rq);
}

/* e, which competes, has run for so many ticks. */
static inline void run_share_charge(struct runqueue *rq, struct sched_entity *e, uint64_t ticks)
{
    uint64_t virtual_ticks = MIN(ticks, RUN_SHARE_CHARGE_MAX) * e->inverse + e->fraction;

    e->fraction = virtual_ticks & (BIT(RUN_SHARE_INVERSE_SHIFT) - 1);
    run_share_advance(rq, e, virtual_ticks >> RUN_SHARE_INVERSE_SHIFT);
    if (!run_share_is_earlier(e->vruntime, e->deadline))
        e->deadline = e->vruntime + run_share_virtual(e, rq->params.slice);
}

/* e, which competes, gives up what it is owed. */
void run_share_forfeit(struct runqueue *rq, struct sched_entity *e);

/* For one that doesn't compete. Reweighing keeps what its lag is worth in real time. */
void run_share_set_weight(struct sched_entity *e, unsigned weight);
void run_share_reweigh(struct sched_entity *e, unsigned weight);

#endif
