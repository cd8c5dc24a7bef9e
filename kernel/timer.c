/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers of each CPU in a pairing heap (Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap: a new
 * form of self-adjusting heap", 1986): arming costs a comparison, whatever the number of timers. The
 * CPU's interrupt is programmed only when the earliest deadline moves.
 *
 * A heap's lock is a leaf and is not held while a timer fires: the timer's own lock, which is its device's, is
 * taken then, and is_due, which arming and cancelling clear under that lock, says whether it still wants to.
 */
#include "kernel/timer.h"
#include "kernel/timers.h"
#include "arch/arch.h"
#include "kernel/lib/lock.h"
#include "kernel/pcpu.h"

static struct timer *meld(struct timer *a, struct timer *b)
{
    struct timer *winner, *loser;

    if (!a || !b)
        return a ? a : b;
    winner = b->deadline < a->deadline ? b : a;
    loser = winner == a ? b : a;
    loser->parent = winner;
    loser->sibling = winner->child;
    winner->child = loser;
    winner->sibling = NULL;
    winner->parent = NULL;
    return winner;
}

/* Melds a list of siblings in pairs, and the pairs from the last to the first. */
static struct timer *meld_siblings(struct timer *list)
{
    struct timer *pairs = NULL, *root = NULL;

    while (list) {
        struct timer *a = list, *b = list->sibling, *pair;

        list = b ? b->sibling : NULL;
        a->sibling = NULL;
        a->parent = NULL;
        if (b) {
            b->sibling = NULL;
            b->parent = NULL;
        }
        pair = meld(a, b);
        pair->sibling = pairs;
        pairs = pair;
    }
    while (pairs) {
        struct timer *next = pairs->sibling;

        pairs->sibling = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

static void detach(struct timer **root, struct timer *t)
{
    struct timer *children = meld_siblings(t->child);

    if (*root == t) {
        *root = children;
    } else {
        struct timer **link = &t->parent->child;

        while (*link != t)
            link = &(*link)->sibling;
        *link = t->sibling;
        *root = meld(*root, children);
    }
    t->child = t->sibling = t->parent = NULL;
    __atomic_store_n(&t->armed, false, __ATOMIC_RELEASE);
}

static void set_hardware(const struct timer *root)
{
    uint64_t deadline = root ? root->deadline : UINT64_MAX;

    this_pcpu()->timers.programmed = deadline;
    arch_timer_set(deadline);
}

/* Who finds it off the heap finds it as take_due() left it there. */
static bool is_armed(const struct timer *t)
{
    return __atomic_load_n(&t->armed, __ATOMIC_ACQUIRE);
}

/* Only its own CPU's heap can be the one that the hardware must follow. */
static void take_off(struct timer *t)
{
    struct timer_heap *heap = &pcpus[t->cpu].timers;

    lock_acquire(&heap->lock);
    if (t->armed) /* else it came off meanwhile, to fire */
        detach(&heap->root, t);
    lock_release(&heap->lock);
}

void timer_arm(struct timer *t, uint64_t deadline)
{
    struct pcpu *cpu = this_pcpu();
    struct timer_heap *heap = &cpu->timers;

    if (is_armed(t) && t->cpu != cpu->id)
        take_off(t);
    lock_acquire(&heap->lock);
    if (t->armed)
        detach(&heap->root, t);
    t->deadline = deadline;
    t->cpu = cpu->id;
    t->is_due = false;
    t->armed = true;
    heap->root = meld(heap->root, t);
    if (heap->root == t)
        set_hardware(t);
    lock_release(&heap->lock);
}

/* The hardware may fire for a deadline that is gone: timers_run() finds nothing then, and sets it anew. */
void timer_cancel(struct timer *t)
{
    if (is_armed(t))
        take_off(t);
    t->is_due = false;
}

static struct timer *take_due(struct timer_heap *heap, uint64_t now)
{
    struct timer *t;

    lock_acquire(&heap->lock);
    t = heap->root;
    if (t && t->deadline <= now) {
        t->is_due = true; /* before it is off the heap: who arms or cancels it after that takes this back */
        detach(&heap->root, t);
    } else {
        set_hardware(t);
        t = NULL;
    }
    lock_release(&heap->lock);
    return t;
}

static void fire(struct timer *t)
{
    struct lock *lock = t->lock;

    if (lock)
        lock_acquire(lock);
    if (t->is_due) {
        t->is_due = false;
        t->fire(t->context);
    }
    if (lock)
        lock_release(lock);
}

/* Due is what was due at the start: a timer that is armed faster than we work waits for the next time. */
void timers_run(void)
{
    struct pcpu *cpu = this_pcpu();
    struct timer *t;
    uint64_t now;

    if (!cpu->timer_came)
        return;
    cpu->timer_came = false;
    now = clock_now();
    while ((t = take_due(&cpu->timers, now)))
        fire(t);
}

/* Sets no deadline: one that has passed would interrupt again at once, and the run loop would never run. */
void timers_interrupt(void)
{
    this_pcpu()->timer_came = true;
}
