/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/runqueue_model.h"
#include "tests/host/fake/fake.h"
#include "kernel/runqueue.h"

#define ENTITIES   24u
#define START      1000000u /* of virtual time */

typedef __int128 wide;

static const struct sched_params params = {
    .slice = 3000000, .slice_min = 700000, .run_min = 100000, .cap_period = 10000000};

/* --- the definition --- */

static struct model {
    bool competes, woken;
    int64_t weight, vruntime, deadline, lag;
    uint64_t since, cpus, fraction, age;
    int64_t request;
} models[ENTITIES];
static struct model *running;
static bool yielded, interrupted;
static int64_t idle_time; /* virtual time when the last one left */
static uint64_t charged_at, undisturbed_until, age;

static int64_t floor_divide(wide a, wide b)
{
    return (int64_t)(a / b - (a % b < 0));
}

static int64_t load(void)
{
    int64_t sum = 0;

    for (unsigned i = 0; i < ENTITIES; i++)
        sum += models[i].competes ? models[i].weight : 0;
    return sum;
}

static int64_t virtual_time(void)
{
    wide sum = 0;

    for (unsigned i = 0; i < ENTITIES; i++)
        if (models[i].competes)
            sum += (wide)models[i].weight * models[i].vruntime;
    return load() ? floor_divide(sum, load()) : idle_time;
}

static uint64_t inverse(const struct model *m)
{
    return ((100ull << 26) + (uint64_t)m->weight - 1) / (uint64_t)m->weight;
}

static int64_t slice(const struct model *m)
{
    return (int64_t)(params.slice * inverse(m) >> 26);
}

static void model_charge(uint64_t now)
{
    struct model *m = running;
    uint64_t virtual_ticks;

    if (!m || now == charged_at)
        return;
    virtual_ticks = (now - charged_at) * inverse(m) + m->fraction;
    charged_at = now;
    m->fraction = virtual_ticks & ((1u << 26) - 1);
    m->vruntime += (int64_t)(virtual_ticks >> 26);
    if (m->vruntime >= m->deadline)
        m->deadline = m->vruntime + slice(m);
}

static void model_join(struct model *m)
{
    int64_t before = load();

    m->vruntime = virtual_time() - (before ? floor_divide((wide)m->lag * (before + m->weight), before) : 0);
    m->competes = true;
    m->age = age++;
}

static void model_add(struct model *m, uint64_t now)
{
    model_charge(now);
    if (m->lag < 0)
        m->lag = MIN(0, m->lag + (int64_t)((now - m->since) * 100) / (load() + m->weight));
    model_join(m);
    m->woken = !m->request;
    if (!m->woken)
        m->deadline = m->vruntime + m->request;
    else if (m->lag < 0)
        m->deadline = m->vruntime + (int64_t)(params.slice_min * inverse(m) >> 26);
    else
        m->deadline = m->vruntime - (int64_t)BIT(40);
    m->request = 0;
}

static void model_leave(struct model *m)
{
    int64_t bound = 2 * slice(m);

    idle_time = virtual_time();
    m->lag = MAX(-bound, MIN(bound, idle_time - m->vruntime));
    m->competes = false;
}

static void model_remove(struct model *m, uint64_t now)
{
    model_charge(now);
    model_leave(m);
    m->since = now;
    if (running == m)
        running = NULL;
}

static bool beats(const struct model *a, const struct model *b)
{
    if (!b)
        return true;
    if (a->deadline != b->deadline)
        return a->deadline < b->deadline;
    return b != running && (a == running || a->age < b->age);
}

static bool is_eligible(const struct model *m)
{
    bool in_advance = m->woken && m->lag >= 0;

    return m->vruntime - (in_advance ? (int64_t)(params.slice_min * inverse(m) >> 26) : 0) <= virtual_time();
}

/* Of those that are eligible, or of all; after a yield not the one that yielded. */
static struct model *model_best(bool eligible)
{
    struct model *best = NULL;

    for (unsigned i = 0; i < ENTITIES; i++) {
        struct model *m = &models[i];

        if (m->competes && !(yielded && m == running) && (!eligible || is_eligible(m)) && beats(m, best))
            best = m;
    }
    return best;
}

static struct model *model_pick(uint64_t now)
{
    struct model *best;

    model_charge(now);
    if (running && !yielded && now < undisturbed_until)
        return running;
    best = model_best(true);
    if (!best)
        best = model_best(false);
    if (!best)
        best = running;
    yielded = false;
    if (best == running)
        return best;
    if (running) {
        running->age = age++;
        interrupted |= best->woken;
    }
    undisturbed_until = now + (best->woken ? params.slice_min : interrupted ? params.run_min : 0);
    interrupted &= best->woken;
    best->woken = false;
    charged_at = now;
    return running = best;
}

static struct model *model_steal(unsigned cpu, uint64_t now)
{
    struct model *best = NULL;

    for (unsigned i = 0; i < ENTITIES; i++) {
        struct model *m = &models[i];

        if (m->competes && m != running && (m->cpus & BIT(cpu)) && beats(m, best))
            best = m;
    }
    if (!best)
        return NULL;
    model_remove(best, now);
    best->request = best->woken ? 0 : best->deadline - best->vruntime;
    return best;
}

static void model_yield(uint64_t now)
{
    model_charge(now);
    if (!running)
        return;
    running->vruntime = MAX(running->vruntime, virtual_time());
    running->deadline = running->vruntime + slice(running);
    yielded = true;
}

static void model_set_weight(struct model *m, unsigned weight, uint64_t now)
{
    int64_t old = m->weight;

    model_charge(now);
    if (m->competes)
        model_leave(m);
    m->weight = weight;
    m->lag = m->lag * old / m->weight;
    m->request = m->request * old / m->weight;
}

static void model_rejoin(struct model *m)
{
    model_join(m);
    m->deadline = m->vruntime + slice(m);
}

/* --- the same operations for both --- */

static struct sched_entity entities[ENTITIES];
static struct runqueue rq;
static uint64_t now;
static runqueue_choose_fn *choose;

static unsigned choose_weight(void)
{
    static const unsigned weights[] = {1, 3, 50, 100, 100, 100, 101, 777, 10000};

    return weights[choose(ARRAY_SIZE(weights))];
}

static void assert_same(void)
{
    assert_int_equal(rq.load, load());
    for (unsigned i = 0; i < ENTITIES; i++) {
        const struct sched_entity *e = &entities[i];

        assert_int_equal(e->state != ENTITY_OFF, models[i].competes);
        assert_int_equal(e->state == ENTITY_CURRENT, running == &models[i]);
        if (models[i].competes) {
            assert_int_equal(e->vruntime + START, models[i].vruntime);
            assert_int_equal(e->deadline + START, models[i].deadline);
        } else {
            assert_int_equal(e->lag, models[i].lag);
        }
    }
}

static void pick(void)
{
    struct sched_entity *e = runqueue_pick(&rq, now);
    struct model *m = model_pick(now);

    assert_ptr_equal(e, m ? &entities[m - models] : NULL);
}

static void toggle(unsigned i)
{
    if (models[i].competes) {
        runqueue_remove(&rq, &entities[i], now);
        model_remove(&models[i], now);
    } else {
        runqueue_add(&rq, &entities[i], now);
        model_add(&models[i], now);
    }
}

static void reweigh(unsigned i)
{
    unsigned weight = choose_weight();
    bool competes = models[i].competes;

    sched_entity_set_weight(&entities[i], weight, now);
    model_set_weight(&models[i], weight, now);
    if (competes)
        model_rejoin(&models[i]);
    else
        runqueue_charge(&rq, now);
}

static void steal(void)
{
    unsigned cpu = choose(4);
    struct sched_entity *e = runqueue_steal(&rq, cpu, now);
    struct model *m = model_steal(cpu, now);

    assert_ptr_equal(e, m ? &entities[m - models] : NULL);
    if (!e)
        return;
    now += choose(10000);
    toggle((unsigned)(m - models));
}

/* As a scheduler does: it looks when it was told to. */
static void run(void)
{
    uint64_t event = runqueue_next_event(&rq);

    if (event < now + params.slice && choose(2))
        now = MAX(now, event);
    else
        now += choose(900000);
    if (runqueue_must_switch(&rq, now) || choose(3) == 0)
        pick();
    else
        model_charge(now);
}

static void yield(void)
{
    now += choose(100000);
    runqueue_yield(&rq, now);
    model_yield(now);
    if (choose(4))
        pick();
}

void runqueue_model_operate(void)
{
    unsigned what = choose(100);

    if (what < 55)
        run();
    else if (what < 60)
        yield();
    else if (what < 90)
        toggle(choose(ENTITIES));
    else if (what < 95)
        reweigh(choose(ENTITIES));
    else
        steal();
    assert_same();
}

void runqueue_model_begin(runqueue_choose_fn *fn)
{
    memset(models, 0, sizeof(models));
    running = NULL;
    yielded = interrupted = false;
    idle_time = 0;
    choose = fn;
    now = 1;
    runqueue_init(&rq, 0, &params);
    rq.zero = -(uint64_t)START; /* wraps within the test */
    for (unsigned i = 0; i < ENTITIES; i++) {
        uint64_t cpus = choose(16);

        models[i].weight = choose_weight();
        models[i].cpus = cpus ? cpus : UINT64_MAX;
        sched_entity_init(&entities[i], (unsigned)models[i].weight, 0, cpus);
    }
}
