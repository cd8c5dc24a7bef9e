/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that the scheduler meets. Each CPU's loop is a coroutine that stops where a real one would halt or be in a
 * guest, so that a test says which CPU goes on, and what happens in between: what comes just before a CPU halts or a task
 * falls asleep is one step of a schedule.
 */
#ifndef TESTS_HOST_FAKE_SCHED_RIG_H
#define TESTS_HOST_FAKE_SCHED_RIG_H

#include "tests/host/fake/fake.h"
#include "tests/host/fake/pcpu.h"
#include "kernel/sched.h"
#include "kernel/vm.h"
#include <ucontext.h>

#define CPUS_MAX   4u
#define TESTS_CPU  8u /* none of those: it notifies all of them from outside */
#define VCPUS      8u
#define SLICE      3000000u /* ns, which are ticks here */
#define CAP_PERIOD 10000000u

/* Where a CPU's loop stands when it gives the test a turn. */
enum place { NOWHERE, IN_GUEST, HALTED };

struct cpu {
    ucontext_t loop;
    enum place place;
    unsigned kicks;
    struct vcpu *vcpu; /* IN_GUEST */
    enum vcpu_outcome outcome; /* of the vCPU that it is in, when it goes on */
};

extern struct cpu cpus[CPUS_MAX];
extern struct vm vm;
extern struct vcpu vcpus[VCPUS];
extern void (*before_halt)(void), (*before_sleep)(void); /* once */
extern void (*on_yield)(void);                           /* each time */
extern unsigned control_wakes, yields;
extern bool control_works;
extern uint64_t slice_end; /* of the CPU that came last */

int sched_rig_start(void **state); /* once a program */
int sched_rig_end(void **state);

/* All are idle. */
void boot(unsigned count);
struct vcpu *add(unsigned i, uint64_t mask);
void assert_runs(unsigned cpu, unsigned i);

/* Lets a CPU go on until it halts again or is in a guest. */
void step(unsigned id);
/* As real ones would: whoever was kicked goes on, until nobody is. */
void settle(void);
void pass(uint64_t ticks);
/* The time slice of whoever runs there is over. */
void end_slice(unsigned id);
void fall_asleep(unsigned id);

#endif
