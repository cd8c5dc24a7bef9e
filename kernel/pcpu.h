/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the hypervisor keeps for each physical CPU. A pcpu is touched by its own CPU only, but for the fields that
 * say otherwise.
 */
#ifndef KERNEL_PCPU_H
#define KERNEL_PCPU_H

#include "kernel/lib/lock.h"
#include "kernel/lib/types.h"
#include "kernel/runqueue.h"
#include "kernel/timer.h"

#define PCPU_MAX 64

struct arch_cpu;
struct task;
struct vcpu;

/* The lock guards the heap, whose root has the earliest deadline; any CPU may take a timer off. Host TSCs; UINT64_MAX: none. */
struct timer_heap {
    struct lock lock;
    struct timer *root;
    uint64_t earliest;   /* the root's; its CPU alone makes it earlier, and so may look without the lock */
    uint64_t slice_end;  /* of the running task; its CPU's, like the next one */
    uint64_t programmed; /* what the interrupt is set for: not later than either */
};

struct pcpu {
    struct pcpu *self;     /* first: this_pcpu() loads it through GS */
    unsigned id;           /* 0 is the boot CPU */
    uint32_t apic_id;
    struct vcpu *current;  /* whose state the CPU holds; NULL: nobody's yet */
    unsigned last_vm;      /* the VM whose vCPU it held last, by its id; 0: none yet */
    struct timer_heap timers;
    volatile bool timer_came; /* its interrupt, since the timers were run */

    /* The scheduler's (kernel/sched.c): any CPU, under the lock. */
    struct lock queue_lock;
    struct runqueue queue;
    struct task *running;    /* NULL: idle */
    uint64_t next_balance;   /* its own CPU's */
    uint64_t passes; /* through the loops that hold no reference to anybody else's vCPU; any CPU may READ_ONCE() it */
    volatile bool is_idle;

    struct arch_cpu *arch; /* stacks, descriptor tables */
    bool is_panicking;
    volatile bool is_online;       /* written by its own CPU once, read by the boot CPU */
    bool runs_guests;              /* likewise, before is_online */
};

extern struct pcpu pcpus[PCPU_MAX];
extern unsigned pcpu_count; /* online ones; ids are dense */

static inline struct pcpu *this_pcpu(void)
{
    struct pcpu *p;

    __asm__("mov %%gs:0, %0" : "=r"(p));
    return p;
}

/* Nothing that this CPU reads from here on, requests above all, is from before this. */
static inline void pcpu_pass(struct pcpu *cpu)
{
    __atomic_fetch_add(&cpu->passes, 1, __ATOMIC_SEQ_CST);
}

#endif
