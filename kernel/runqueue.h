/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run queue of one CPU: who of those that could run does run, and for how long. A pure data
 * structure: it takes no lock (the caller holds the queue's), reads no clock (the caller passes `now`,
 * in TSC ticks, which are taken to be the same on every CPU), and allocates nothing.
 *
 * Virtual time passes at 100/W for each tick that the CPU gives away, where W is the sum of the
 * weights that compete: an entity of weight 100 on a CPU of its own sees real time.
 */
#ifndef KERNEL_RUNQUEUE_H
#define KERNEL_RUNQUEUE_H

#include "kernel/run_tree.h"

#define SCHED_WEIGHT_DEFAULT 100u
#define SCHED_WEIGHT_MAX     10000u
#define SCHED_ENTITIES_MAX   4096u /* on one queue: what the arithmetic has been checked for */

/* In ticks; the same for every queue of a machine. */
struct sched_params {
    uint64_t slice;      /* what an entity asks for at a time, about 3 ms; at most SCHED_SLICE_MAX */
    uint64_t slice_min;  /* what it gets at least, unless somebody wakes up; what one that woke up gets, about 0.7 ms */
    uint64_t run_min;    /* what who runs next gets at least after one that woke up, about 0.1 ms */
    uint64_t cap_period; /* caps hold over this time, about 10 ms */
};

#define SCHED_SLICE_MAX BIT(26)
#define SCHED_SLICE_MIN 10000u

enum sched_entity_state {
    ENTITY_OFF,       /* on no queue: sleeps, is paused, or is on its way to another CPU */
    ENTITY_READY,
    ENTITY_CURRENT,
    ENTITY_THROTTLED, /* ready, but its cap is used up */
};

/* What is scheduled: embedded in a vCPU. Read by others under the queue's lock, written by runqueue.c only. */
struct sched_entity {
    enum sched_entity_state state;
    struct runqueue *queue; /* that it is on; NULL: ENTITY_OFF */
    unsigned weight;
    unsigned cap;           /* percent of one CPU; 0: none */
    uint64_t cpus;          /* mask of the CPUs that may run it */

    uint64_t run_ticks;     /* totals: on a CPU, up to charged_at, */
    uint64_t wait_ticks;    /* and wanting one, which is what a guest calls stolen, up to when it ran last */
    uint64_t charged_at;    /* run_ticks are counted up to here, while it is current */
    uint64_t since;         /* it is waiting, or off the queue */

    uint64_t inverse;       /* of the weight: virtual ticks per tick, a fixed-point number */
    uint64_t fraction;      /* of a virtual tick, not yet in vruntime */
    uint64_t vruntime;      /* virtual time up to which it has had its share */
    uint64_t eligible;      /* virtual time from which it may run; known while it is in the tree */
    uint64_t deadline;      /* virtual time at which it is to have had what it asked for */
    int64_t lag;            /* ENTITY_OFF or throttled: by how much vruntime is behind virtual time */
    bool is_woken;          /* and has not yet run since */
    uint64_t request;       /* left of what it asked for, in virtual time, while stolen; 0: it asks anew */

    int64_t cap_budget;     /* ticks left in this cap period; negative: owed */
    uint64_t cap_quota;     /* ticks a period; 0: no cap */
    uint64_t cap_period_end;

    struct run_node node;
};

struct runqueue {
    unsigned cpu;
    struct sched_params params;
    struct sched_entity *current; /* NULL: idle */
    struct run_tree ready;        /* by deadline; current is not in it */
    struct run_tree throttled;    /* by the end of the cap period */
    uint64_t zero;                /* a virtual time near the present one */
    int64_t sum;                  /* of weight * (vruntime - zero), over ready and current */
    uint64_t load;                /* sum of their weights */
    uint64_t ran, allowance;      /* ticks since current was picked, and at which its slice is over */
    uint64_t undisturbed_until;   /* nobody takes the CPU from current before this time */
    bool was_interrupted;         /* somebody by one that woke up; who runs next, having not woken up, is to be undisturbed */
    bool preempt;                 /* somebody came since then who is to run before current, from that time on */
    bool yielded;                 /* current wants anybody else to run */
};

void runqueue_init(struct runqueue *rq, unsigned cpu, const struct sched_params *params);

/* weight is clamped to 1..SCHED_WEIGHT_MAX; a cap of 100 or more is none; cpus 0 allows every CPU. */
void sched_entity_init(struct sched_entity *e, unsigned weight, unsigned cap, uint64_t cpus);

/*
 * Whether it is queued or not, current or not; the caller holds the lock of e->queue, if there is one. Its lag
 * in real time survives a new weight; a new cap begins a new period. A mask that forbids the CPU that e is on
 * moves nobody: the caller removes it from there and adds it elsewhere.
 */
void sched_entity_set_weight(struct sched_entity *e, unsigned weight, uint64_t now);
void sched_entity_set_cap(struct sched_entity *e, unsigned cap, uint64_t now);
void sched_entity_set_cpus(struct sched_entity *e, uint64_t cpus);

/*
 * e, which is on no queue, wants to run: new, woken up, or from another CPU. The caller then asks
 * runqueue_must_switch(): one that wakes up with no debt waits for nobody but others that woke up before it.
 */
void runqueue_add(struct runqueue *rq, struct sched_entity *e, uint64_t now);

/* e, in whatever state, wants to run no longer, or not here. What it is owed or owes is kept, within bounds. */
void runqueue_remove(struct runqueue *rq, struct sched_entity *e, uint64_t now);

/*
 * Who runs now: becomes current, with a slice of its own; the one that was current waits. It may be the same
 * one again. NULL: idle.
 */
struct sched_entity *runqueue_pick(struct runqueue *rq, uint64_t now);

/* Counts what current has run since this was last done. All the others that take `now` do it as well. */
void runqueue_charge(struct runqueue *rq, uint64_t now);

/* Is it time for runqueue_pick()? Current's slice or cap is used up, or somebody else is to run before it. */
bool runqueue_must_switch(struct runqueue *rq, uint64_t now);

/*
 * When must_switch() is to be asked again if nothing is added or removed before; that may have passed already.
 * UINT64_MAX: never. An idle CPU, and one that has a single entity with no cap, needs no timer.
 */
uint64_t runqueue_next_event(const struct runqueue *rq);

/* Current gives up its slice and what it is owed, but stays ready: whoever else is ready runs next. */
void runqueue_yield(struct runqueue *rq, uint64_t now);

/*
 * Takes away, for `cpu`, that one of the waiting entities it may run which would be next here; NULL: there is none.
 * For runqueue_add() on that CPU, where its lag and its claim count as they do here. The caller holds rq's lock for
 * this, and may let go of it before it takes the other's.
 */
struct sched_entity *runqueue_steal(struct runqueue *rq, unsigned cpu, uint64_t now);

/* Those that wait for the CPU: neither current nor throttled. */
static inline unsigned runqueue_ready_count(const struct runqueue *rq)
{
    return rq->ready.count;
}

/* The CPUs that some of those may run on. */
static inline uint64_t runqueue_ready_cpus(const struct runqueue *rq)
{
    return rq->ready.root ? rq->ready.root->node.any_cpus : 0;
}

/* Sum of the weights of current and of those that wait. */
static inline uint64_t runqueue_load(const struct runqueue *rq)
{
    return rq->load;
}

#endif
