/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: output never repeats, depends on the hardware's seed and on the time, cannot be computed
 * from the state that is left after it was given out, and the seed is asked again when its budget
 * is spent.
 */
#include "tests/host/fake/fake.h"
#include "kernel/random.h"

static struct random generator;
static unsigned seed_calls;
static uint8_t seed_byte;
static bool is_seed_there;

static bool seed(void *to, size_t size)
{
    seed_calls++;
    memset(to, seed_byte, size);
    return is_seed_there;
}

static int set_up(void **state)
{
    (void)state;
    fake_clock_reset();
    fake_clock_advance(1000);
    seed_calls = 0;
    seed_byte = 0x42;
    is_seed_there = true;
    assert_true(random_init(&generator, seed));
    return 0;
}

static bool contains(const void *where, size_t where_size, const void *what, size_t size)
{
    for (size_t at = 0; at + size <= where_size; at++)
        if (memcmp((const char *)where + at, what, size) == 0)
            return true;
    return false;
}

/* Is `what` anywhere in the generator? */
static bool state_holds(const uint8_t *what, size_t size)
{
    return contains(&generator, sizeof generator, what, size);
}

static void output_does_not_repeat(void **state)
{
    static uint8_t blocks[4096][16];

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(blocks); i++)
        random_fill(&generator, blocks[i], sizeof blocks[i]);
    for (unsigned i = 0; i < ARRAY_SIZE(blocks); i++)
        for (unsigned j = i + 1; j < ARRAY_SIZE(blocks); j++)
            if (memcmp(blocks[i], blocks[j], sizeof blocks[i]) == 0)
                fail_msg("blocks %u and %u are the same", i, j);
}

static void every_bit_is_set_half_of_the_time(void **state)
{
    static uint8_t bytes[65536];

    (void)state;
    random_fill(&generator, bytes, sizeof bytes);
    for (unsigned bit = 0; bit < 8; bit++) {
        unsigned set = 0;

        for (unsigned i = 0; i < sizeof bytes; i++)
            set += bytes[i] >> bit & 1;
        assert_in_range(set, 32768 - 1024, 32768 + 1024); /* eight standard deviations */
    }
}

static void fills_exactly_what_was_asked(void **state)
{
    static uint8_t bytes[3000];

    (void)state;
    for (size_t size = 0; size < 2000; size += 37) {
        memset(bytes, 0, sizeof bytes);
        random_fill(&generator, bytes + 8, size);
        for (unsigned i = 0; i < 8; i++) {
            assert_int_equal(bytes[i], 0);
            assert_int_equal(bytes[8 + size + i], 0);
        }
        if (size > 64)
            assert_memory_not_equal(bytes + size - 8, "\0\0\0\0\0\0\0\0", 8);
    }
}

/* Fast key erasure: who takes the generator's memory afterwards does not find what it gave out. */
static void what_was_given_out_is_gone(void **state)
{
    uint8_t bytes[1000], key_before[CHACHA20_KEY_BYTES];

    (void)state;
    memcpy(key_before, generator.key, sizeof key_before);
    random_fill(&generator, bytes, sizeof bytes);
    for (unsigned at = 0; at + 8 <= sizeof bytes; at++)
        assert_false(state_holds(bytes + at, 8));
    assert_false(state_holds(key_before, 8));
}

static void the_key_of_the_next_refill_is_not_output(void **state)
{
    uint8_t bytes[4096];

    (void)state;
    random_fill(&generator, bytes, sizeof bytes);
    assert_false(contains(bytes, sizeof bytes, generator.key, 8));
    assert_memory_not_equal(generator.key, generator.pool, sizeof generator.key);
}

static void seed_and_time_both_matter(void **state)
{
    uint8_t first[32], again[32], other_seed[32], other_time[32];

    (void)state;
    random_fill(&generator, first, sizeof first);
    random_init(&generator, seed);
    random_fill(&generator, again, sizeof again);
    assert_memory_equal(first, again, sizeof first); /* the fakes repeat, and nothing else goes in */
    seed_byte++;
    random_init(&generator, seed);
    random_fill(&generator, other_seed, sizeof other_seed);
    assert_memory_not_equal(first, other_seed, sizeof first);
    seed_byte--;
    fake_clock_advance(1);
    random_init(&generator, seed);
    random_fill(&generator, other_time, sizeof other_time);
    assert_memory_not_equal(first, other_time, sizeof first);
}

static void the_seed_is_asked_again_when_its_budget_is_spent(void **state)
{
    uint8_t page[4096];

    (void)state;
    assert_int_equal(seed_calls, 1);
    for (unsigned i = 0; i < MIB(1) / sizeof page; i++)
        random_fill(&generator, page, sizeof page);
    assert_int_equal(seed_calls, 1);
    random_fill(&generator, page, sizeof page);
    assert_int_equal(seed_calls, 2);
}

/* Hardware may be dry for a while: it is asked at each refill, and what failed is not used. */
static void a_failed_seed_is_retried(void **state)
{
    uint8_t with[32], without[32], bytes[RANDOM_POOL_BYTES];

    (void)state;
    is_seed_there = false;
    assert_false(random_init(&generator, seed));
    random_fill(&generator, with, sizeof with);
    seed_byte++;
    assert_false(random_init(&generator, seed));
    random_fill(&generator, without, sizeof without);
    assert_memory_equal(with, without, sizeof with);
    seed_calls = 0;
    random_fill(&generator, bytes, sizeof bytes);
    assert_int_equal(seed_calls, 1);
    is_seed_there = true;
    random_fill(&generator, bytes, sizeof bytes);
    assert_int_equal(seed_calls, 2);
    assert_true(generator.is_hardware_seeded);
    random_fill(&generator, bytes, sizeof bytes);
    assert_int_equal(seed_calls, 2);
}

static void works_with_no_hardware_at_all(void **state)
{
    uint8_t a[16], b[16];

    (void)state;
    assert_false(random_init(&generator, NULL));
    random_fill(&generator, a, sizeof a);
    random_fill(&generator, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

static void serves_as_an_entropy_source(void **state)
{
    struct entropy_source source = random_entropy_source(&generator);
    uint8_t a[16] = {0}, b[16] = {0};

    (void)state;
    source.fill(source.context, a, sizeof a);
    source.fill(source.context, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_int_equal(generator.lock.next, generator.lock.owner); /* released */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(output_does_not_repeat, set_up),
        cmocka_unit_test_setup(every_bit_is_set_half_of_the_time, set_up),
        cmocka_unit_test_setup(fills_exactly_what_was_asked, set_up),
        cmocka_unit_test_setup(what_was_given_out_is_gone, set_up),
        cmocka_unit_test_setup(the_key_of_the_next_refill_is_not_output, set_up),
        cmocka_unit_test_setup(seed_and_time_both_matter, set_up),
        cmocka_unit_test_setup(the_seed_is_asked_again_when_its_budget_is_spent, set_up),
        cmocka_unit_test_setup(a_failed_seed_is_retried, set_up),
        cmocka_unit_test_setup(works_with_no_hardware_at_all, set_up),
        cmocka_unit_test_setup(serves_as_an_entropy_source, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
