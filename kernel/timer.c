/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers of each CPU in a pairing heap (Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap: a new
 * form of self-adjusting heap", 1986): arming costs a comparison, whatever the number of timers. The
 * CPU's interrupt is programmed only when the earliest deadline moves.
 */
#include "kernel/timer.h"
#include "kernel/timers.h"
#include "arch/arch.h"
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
    t->armed = false;
}

static void set_hardware(const struct timer *root)
{
    arch_timer_set(root ? root->deadline : UINT64_MAX);
}

void timer_arm(struct timer *t, uint64_t deadline)
{
    struct timer **root = &this_pcpu()->timers;

    if (t->armed)
        detach(root, t);
    t->deadline = deadline;
    t->armed = true;
    *root = meld(*root, t);
    if (*root == t)
        set_hardware(t);
}

/* The hardware may fire for a deadline that is gone: timers_run() finds nothing then, and sets it anew. */
void timer_cancel(struct timer *t)
{
    if (t->armed)
        detach(&this_pcpu()->timers, t);
}

/* Due is what was due at the start: a timer that is armed faster than we work waits for the next time. */
void timers_run(void)
{
    struct pcpu *cpu = this_pcpu();
    struct timer **root = &cpu->timers;
    uint64_t now;

    if (!cpu->timer_came)
        return;
    cpu->timer_came = false;
    now = clock_now();
    while (*root && (*root)->deadline <= now) {
        struct timer *t = *root;

        detach(root, t);
        t->fire(t->context);
    }
    set_hardware(*root);
}

/* Sets no deadline: one that has passed would interrupt again at once, and the run loop would never run. */
void timers_interrupt(void)
{
    this_pcpu()->timer_came = true;
}
