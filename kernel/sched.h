/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler: which task runs on which CPU. A task is a vCPU or the control thread. Each CPU has a run queue
 * (kernel/runqueue.h has the algorithm); a task that wakes goes to an idle CPU if there is one that it may run on,
 * an idle CPU takes from the others, and now and then a busy one does.
 */
#ifndef KERNEL_SCHED_H
#define KERNEL_SCHED_H

#include "kernel/lib/types.h"
#include "kernel/pcpu.h"

struct vcpu;

enum task_state {
    TASK_OUT,     /* not the scheduler's, yet or any more */
    TASK_READY,   /* in the queue of task.cpu */
    TASK_RUNNING, /* on task.cpu */
    TASK_ASLEEP,  /* waits for a wake-up; was last on task.cpu */
    TASK_MOVING,  /* between two queues */
};

/* state and cpu are guarded by the queue lock of task.cpu; anybody may look. */
struct task {
    struct sched_entity entity;
    struct vcpu *vcpu; /* NULL: the control thread */
    uint64_t cpus;     /* mask of those that it may run on */
    volatile unsigned cpu;
    volatile uint8_t state;
};

/* The queues of all CPUs that are online; boot CPU, before any of them is in sched_loop. */
void sched_init(void);

/* cpus: 0 for any. cap in percent of one CPU; 0: none. */
void task_init(struct task *task, struct vcpu *vcpu, unsigned weight, unsigned cap, uint64_t cpus);

/* TASK_OUT -> TASK_READY, where there is least to do. Any CPU. -ENODEV: no CPU that it may run on runs guests. */
MUST_CHECK int sched_add(struct task *task);

/*
 * Any CPU: the task has something to do. Wakes it if it sleeps; if it runs on another CPU, makes that look.
 * What it is to do was written before.
 */
void sched_notify(struct task *task);

/* How long it ran since it was made, until now, in ticks. Any CPU. */
uint64_t sched_run_ticks(const struct task *task);

/* Its own CPU: from now on those may take it. */
void sched_set_cpus(struct task *task, uint64_t cpus);

/* The task's state is on no CPU any more: the others may take it. Its own CPU, which alone changes the mask. */
static inline void sched_release(struct task *task)
{
    if (task->entity.cpus != task->cpus)
        sched_set_cpus(task, task->cpus);
}

/* It is on this one: no other may. */
static inline void sched_bind(struct task *task)
{
    if (task->entity.cpus != BIT(this_pcpu()->id))
        sched_set_cpus(task, BIT(this_pcpu()->id));
}

/* Where every CPU stays. */
NORETURN void sched_loop(void);

/* The running vCPU waits for another one in a loop: whoever else is ready goes first. Its own CPU. */
void sched_yield(void);

/* timer.c's: the running task's slice is over. Returns whether it will give way before its CPU runs a guest, or halts. */
bool sched_slice_over(void);

/* Of the running task's own CPU: should it give way? */
bool sched_must_switch(void);

/*
 * Waits until every other CPU has let go of whatever it may have found before the call: a vCPU by an interrupt's
 * route, a timer that is about to fire. The control thread; guests run meanwhile.
 */
void sched_synchronize(void);

#endif
