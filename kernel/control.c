/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/control.h"
#include "arch/arch.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"
#include "kernel/sched.h"
#include "kernel/timers.h"

#define CONTROL_WEIGHT  400u /* one builds VMs while many spin */
#define ZERO_STEP_BYTES KIB(64)

static struct coroutine control, loop;
static struct task task;
static enum vcpu_outcome outcome; /* of the last run */
static bool has_work;             /* atomic */

void control_start(void (*main)(void))
{
    task_init(&task, NULL, CONTROL_WEIGHT, 0, 0);
    if (arch_coroutine_create(&control, main) != 0 || sched_add(&task) != 0)
        panic("no memory for the control thread");
}

enum vcpu_outcome control_run(void)
{
    arch_coroutine_switch(&loop, &control);
    return outcome;
}

static void leave(enum vcpu_outcome why)
{
    outcome = why;
    arch_coroutine_switch(&control, &loop);
}

/* Whoever wakes by an interrupt that came during the last step waits for no other one. */
void control_yield(void)
{
    arch_take_interrupts();
    timers_run();
    if (sched_must_switch())
        leave(VCPU_PREEMPTED);
}

void control_zero(void *memory, uint64_t size)
{
    uint8_t *at = memory;

    while (size > 0) {
        uint64_t piece = MIN(size, ZERO_STEP_BYTES);

        memset(at, 0, piece);
        at += piece;
        size -= piece;
        control_yield();
    }
}

void control_wait(void)
{
    while (!__atomic_exchange_n(&has_work, false, __ATOMIC_ACQ_REL))
        leave(VCPU_SLEEPS);
}

void control_wake(void)
{
    __atomic_store_n(&has_work, true, __ATOMIC_SEQ_CST);
    sched_notify(&task);
}

bool control_has_work(void)
{
    return __atomic_load_n(&has_work, __ATOMIC_ACQUIRE);
}
