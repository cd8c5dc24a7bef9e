/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever happens to a run queue, in whatever order, it picks whom the definition of EEVDF picks, so nothing is
 * lost by the tree, by the moving origin or by the multiplications.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/runqueue_model.h"

#define OPERATIONS 20000u

static uint64_t seed;

static unsigned random_below(unsigned limit)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % limit;
}

static void test_picks_are_those_of_the_definition(void **state)
{
    (void)state;
    for (unsigned number = 1; number <= 10; number++) {
        seed = number;
        runqueue_model_begin(random_below);
        for (unsigned i = 0; i < OPERATIONS; i++)
            runqueue_model_operate();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_picks_are_those_of_the_definition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
