/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: with as many entities, as extreme weights, as long slices and as late charges as there may be, the
 * arithmetic overflows nowhere (UBSan looks on), somebody who is ready is always picked, and the trees stay
 * balanced, so that no operation costs more than their height.
 */
#include "tests/host/fake/fake.h"
#include "kernel/runqueue.h"

#define HEIGHT_MAX 17u /* of an AVL tree of 4096 */

static const struct sched_params longest = {
    .slice = SCHED_SLICE_MAX, .slice_min = SCHED_SLICE_MAX, .run_min = SCHED_SLICE_MAX, .cap_period = BIT(28)};

static struct sched_entity many[SCHED_ENTITIES_MAX];
static struct runqueue rq;
static uint64_t now, seed;

static unsigned random_below(unsigned limit)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % limit;
}

static void fill(const struct sched_params *params, unsigned light_percent)
{
    seed = light_percent;
    now = 1;
    runqueue_init(&rq, 0, params);
    for (unsigned i = 0; i < SCHED_ENTITIES_MAX; i++) {
        sched_entity_init(&many[i], random_below(100) < light_percent ? 1 : SCHED_WEIGHT_MAX, 0, 0);
        runqueue_add(&rq, &many[i], now);
    }
}

static unsigned tree_height(void)
{
    return rq.ready.root ? rq.ready.root->node.height : 0;
}

/* Returns the height of a tree in which the subtrees of every node differ by one at most. */
static unsigned balanced_height(const struct sched_entity *e)
{
    unsigned before, after;

    if (!e)
        return 0;
    before = balanced_height(e->node.child[0]);
    after = balanced_height(e->node.child[1]);
    assert_true(before <= after + 1 && after <= before + 1);
    return 1 + MAX(before, after);
}

/* What is_eligible() relies on. */
static void assert_near_zero(const struct sched_entity *e)
{
    assert_in_range(e->vruntime - rq.zero + BIT(37), 0, BIT(38));
}

static void disturb(struct sched_entity *e)
{
    if (random_below(3) == 0)
        sched_entity_set_weight(e, e->weight == 1 ? SCHED_WEIGHT_MAX : 1, now);
    else if (e->state == ENTITY_OFF)
        runqueue_add(&rq, e, now);
    else
        runqueue_remove(&rq, e, now);
}

static void stress(unsigned light_percent)
{
    fill(&longest, light_percent);
    for (unsigned i = 0; i < 30000; i++) {
        now += random_below(8) ? random_below(SCHED_SLICE_MAX) : BIT(random_below(48));
        if (random_below(16) == 0)
            runqueue_yield(&rq, now);
        if (random_below(4) == 0)
            disturb(&many[random_below(SCHED_ENTITIES_MAX)]);
        assert_non_null(runqueue_pick(&rq, now));
        assert_near_zero(rq.current);
        assert_true(tree_height() <= HEIGHT_MAX);
        if (i % 1000 == 0)
            assert_int_equal(balanced_height(rq.ready.root), tree_height());
    }
}

static void test_nothing_overflows(void **state)
{
    (void)state;
    stress(0);
    stress(1);
    stress(50);
    stress(99);
    stress(100);
}

/* From 4096 entities to none, and each is still found by its mask. */
static void test_trees_stay_flat_as_they_shrink(void **state)
{
    (void)state;
    fill(&longest, 50);
    for (unsigned left = SCHED_ENTITIES_MAX; left; left--) {
        unsigned log2 = 31 - (unsigned)__builtin_clz(left + 1);

        assert_int_equal(runqueue_ready_count(&rq), left);
        assert_true(tree_height() * 100 <= 145 * (log2 + 1));
        if (left % 16 == 0)
            balanced_height(rq.ready.root);
        if (left % 2)
            assert_non_null(runqueue_steal(&rq, left % 64, now));
        else
            runqueue_remove(&rq, rq.ready.root, now);
    }
    assert_null(rq.ready.root);
    assert_int_equal(rq.sum, 0);
    assert_int_equal(runqueue_load(&rq), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_overflows),
        cmocka_unit_test(test_trees_stay_flat_as_they_shrink),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
