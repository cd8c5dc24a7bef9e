/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers of each CPU in a pairing heap (Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap: a new
 * form of self-adjusting heap", 1986): arming costs a comparison, whatever the number of timers. The end of the running
 * task's slice, which is another one at every switch, stands beside the heap. The CPU's interrupt is programmed only for
 * what is earlier than what it is set for: it comes in vain for a deadline that is gone, and is set anew then.
 *
 * A heap's lock is a leaf and is not held while a timer fires: the timer's own lock, which is its device's, is
 * taken then, and is_due, which arming and cancelling clear under that lock, says whether it still wants to.
 */
#include "kernel/timer.h"
#include "kernel/timers.h"
#include "arch/arch.h"
#include "kernel/lib/lock.h"
#include "kernel/pcpu.h"
#include "kernel/sched.h"

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

/* Is its place in the heap right for that deadline as well? An answer that takes no walk. */
static bool is_in_place(const struct timer *t, uint64_t deadline)
{
    const struct timer *child = t->child;

    return (!t->parent || t->parent->deadline <= deadline) &&
           (!child || deadline <= t->deadline || (!child->sibling && deadline <= child->deadline));
}

static void note_earliest(struct timer_heap *heap)
{
    heap->earliest = heap->root ? heap->root->deadline : UINT64_MAX;
}

/* This CPU's heap. */
static void program(struct timer_heap *heap, uint64_t deadline)
{
    if (deadline >= heap->programmed)
        return;
    heap->programmed = deadline;
    arch_timer_set(deadline);
}

/* Who finds it off the heap finds it as take_due() left it there. */
static bool is_armed(const struct timer *t)
{
    return __atomic_load_n(&t->armed, __ATOMIC_ACQUIRE);
}

static void take_off(struct timer *t)
{
    struct timer_heap *heap = &pcpus[t->cpu].timers;

    lock_acquire(&heap->lock);
    if (t->armed) { /* else it came off meanwhile, to fire */
        detach(&heap->root, t);
        note_earliest(heap);
    }
    lock_release(&heap->lock);
}

static void put_on(struct timer_heap *heap, struct timer *t, uint64_t deadline)
{
    if (t->armed)
        detach(&heap->root, t);
    t->deadline = deadline;
    t->cpu = this_pcpu()->id;
    t->armed = true;
    heap->root = meld(heap->root, t);
}

void timer_arm(struct timer *t, uint64_t deadline)
{
    struct pcpu *cpu = this_pcpu();
    struct timer_heap *heap = &cpu->timers;

    if (is_armed(t) && t->cpu != cpu->id)
        take_off(t);
    lock_acquire(&heap->lock);
    t->is_due = false;
    if (t->armed && is_in_place(t, deadline))
        t->deadline = deadline;
    else
        put_on(heap, t, deadline);
    note_earliest(heap);
    program(heap, heap->earliest);
    lock_release(&heap->lock);
}

/* The hardware may fire for a deadline that is gone: timers_fire() finds nothing then, and sets it anew. */
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
        note_earliest(heap);
    } else {
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

static void program_next(struct timer_heap *heap)
{
    program(heap, MIN(READ_ONCE(heap->earliest), heap->slice_end));
}

static bool end_slice(struct timer_heap *heap, uint64_t now)
{
    if (now < heap->slice_end)
        return false;
    heap->slice_end = UINT64_MAX;
    return sched_slice_over();
}

/*
 * Due is what was due at the start: a timer that is armed faster than we work waits for the next time. Where somebody
 * gives way, whoever is next sets its slice, and the interrupt with it.
 */
void timers_fire(void)
{
    struct pcpu *cpu = this_pcpu();
    struct timer_heap *heap = &cpu->timers;
    uint64_t now = clock_now();
    bool is_slice_set_next;
    struct timer *t;

    cpu->timer_came = false;
    heap->programmed = 0; /* what is armed meanwhile sets nothing */
    is_slice_set_next = end_slice(heap, now);
    while (READ_ONCE(heap->earliest) <= now && (t = take_due(heap, now)))
        fire(t);
    heap->programmed = UINT64_MAX;
    if (!is_slice_set_next)
        program_next(heap);
}

void timers_set_slice(uint64_t deadline)
{
    struct timer_heap *heap = &this_pcpu()->timers;

    heap->slice_end = deadline;
    program_next(heap);
}

void timers_init(struct timer_heap *heap)
{
    heap->earliest = heap->slice_end = heap->programmed = UINT64_MAX;
}

/* Sets no deadline: one that has passed would interrupt again at once, and the run loop would never run. */
void timers_interrupt(void)
{
    this_pcpu()->timer_came = true;
}
