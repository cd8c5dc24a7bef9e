/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: nobody but the owner writes to the page; what others send is neither lost nor invented, in
 * whatever order the steps of sender and owner mix, and keeps its trigger mode; and the owner is told
 * at least once after the last message that it has not seen.
 */
#include "tests/host/fake/lapic_rig.h"
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

static bool post(uint8_t vector, bool is_level)
{
    struct apic_message m = {.delivery = APIC_DELIVERY_FIXED, .vector = vector, .is_level = is_level};

    return lapic_receive(&lapic, &m);
}

static uint32_t word_of(unsigned set, uint8_t vector)
{
    return peek(set + vector / 32 * 16);
}

static bool is_set(unsigned set, uint8_t vector)
{
    return word_of(set, vector) >> vector % 32 & 1;
}

/* --- one after the other --- */

static void the_page_is_the_owners(void **state)
{
    uint8_t before[PAGE_SIZE];

    (void)state;
    write32(APIC_LVT_LINT0, 0x31);
    memcpy(before, lapic.page, sizeof before);
    assert_true(post(0x51, false));
    assert_true(post(0x52, true));
    assert_false(post(0x05, false)); /* and an error, whose interrupt is masked */
    lapic_set_lint(&lapic, 0, true);
    assert_memory_equal(before, lapic.page, sizeof before);
    assert_false(lapic_has_irr(&lapic));
    assert_true(lapic_has_posted(&lapic));
    lapic_take_posted(&lapic);
    assert_false(lapic_has_posted(&lapic));
    assert_true(is_set(APIC_IRR, 0x31) && is_set(APIC_IRR, 0x51) && is_set(APIC_IRR, 0x52));
    take(0x52);
}

static void every_vector_and_mode_arrives(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 2; round++)
        for (unsigned vector = APIC_VECTOR_MIN; vector < 256; vector++) {
            bool is_level = (vector ^ round) & 1;

            assert_true(post((uint8_t)vector, is_level));
            lapic_take_posted(&lapic);
            assert_true(is_set(APIC_IRR, (uint8_t)vector));
            assert_int_equal(is_set(APIC_TMR, (uint8_t)vector), is_level);
            take((uint8_t)vector);
            write32(APIC_EOI, 0);
            assert_int_equal(lapic_highest_irr(&lapic), -1);
        }
    assert_int_equal(rig.eois, 256 - APIC_VECTOR_MIN);
}

static void one_notification_until_the_owner_looks(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++)
        assert_true(post((uint8_t)(0x20 + i), i % 2));
    assert_int_equal(rig.notifications, 1);
    lapic_take_posted(&lapic);
    assert_true(post(0x20, false)); /* it waits already, but the owner has looked */
    assert_int_equal(rig.notifications, 2);
}

static void a_level_is_not_lost_to_an_edge_of_its_vector(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 2; first++) {
        assert_true(post(0x51, first));
        assert_true(post(0x51, !first));
        take(0x51);
        write32(APIC_EOI, 0);
        assert_int_equal(rig.eois, first + 1);
    }
}

static void a_later_edge_makes_it_an_edge(void **state)
{
    (void)state;
    lapic_take_level_vectors_change(&lapic);
    assert_true(post(0x51, true));
    lapic_take_posted(&lapic);
    assert_true(lapic_take_level_vectors_change(&lapic));
    assert_true(post(0x51, true));
    lapic_take_posted(&lapic);
    assert_false(lapic_take_level_vectors_change(&lapic));
    assert_true(post(0x51, false));
    take(0x51);
    assert_true(lapic_take_level_vectors_change(&lapic));
    write32(APIC_EOI, 0);
    assert_int_equal(rig.eois, 0);
}

static void its_own_messages_go_straight_into_the_page(void **state)
{
    struct apic_message m = {.delivery = APIC_DELIVERY_FIXED, .vector = 0x61, .sender = &lapic};
    struct lapic other = {0};

    (void)state;
    assert_true(lapic_receive(&lapic, &m));
    assert_false(lapic_has_posted(&lapic));
    assert_int_equal(lapic_pending_vector(&lapic), 0x61);
    m.sender = &other; /* that of another vCPU is not its own */
    m.vector = 0x62;
    assert_true(lapic_receive(&lapic, &m));
    assert_int_equal(lapic_pending_vector(&lapic), 0x61);
    lapic_take_posted(&lapic);
    write32(APIC_ICR_LOW, APIC_ICR_SELF | 0x71);
    assert_false(lapic_has_posted(&lapic));
    assert_int_equal(lapic_pending_vector(&lapic), 0x71);
}

static void an_init_drops_what_is_on_its_way(void **state)
{
    (void)state;
    assert_true(post(0x51, true));
    assert_true(post(0xfe, false));
    lapic_reset(&lapic, LAPIC_INIT);
    assert_false(lapic_has_posted(&lapic));
    write32(APIC_SVR, APIC_SVR_ENABLE | 0xff);
    assert_true(post(0x53, false)); /* in the same word */
    lapic_take_posted(&lapic);
    assert_int_equal(lapic_highest_irr(&lapic), 0x53);
    assert_int_equal(word_of(APIC_IRR, 0x53), 1u << (0x53 % 32));
    assert_int_equal(word_of(APIC_TMR, 0x53), 0);
}

static void a_disabled_apic_is_posted_nothing(void **state)
{
    (void)state;
    write32(APIC_SVR, 0xff);
    assert_false(post(0x51, false));
    assert_false(lapic_has_posted(&lapic));
}

static void an_error_from_elsewhere_interrupts(void **state)
{
    (void)state;
    write32(APIC_LVT_ERROR, 0xe0);
    reset_counters();
    assert_false(post(0x0f, false));
    assert_int_equal(rig.notifications, 1);
    take(0xe0);
    write32(APIC_ESR, 0);
    assert_int_equal(read32(APIC_ESR), APIC_ESR_RECEIVE_ILLEGAL_VECTOR);
}

/* --- every order of a sender's and the owner's steps --- */

#define V 0x51u

static uint32_t filled, seen, taken;
static bool is_told;

static void send_word(void)
{
    lapic.posted.words[LAPIC_LEVEL][V / 32] |= 1u << V % 32;
}

static void send_filled(void)
{
    if (lapic.posted.filled == 0)
        is_told = true;
    lapic.posted.filled |= filled;
}

static void take_filled(void)
{
    is_told = false;
    seen = lapic.posted.filled;
    lapic.posted.filled = 0;
}

static void take_word(void)
{
    if (!(seen & filled))
        return;
    taken |= lapic.posted.words[LAPIC_LEVEL][V / 32];
    lapic.posted.words[LAPIC_LEVEL][V / 32] = 0;
}

/* The steps are lapic_posted.c's; that these are its steps, the first assertion says. */
static void no_order_of_steps_loses_a_vector(void **state)
{
    static void (*const sender[])(void) = {send_word, send_filled};
    static void (*const owner[])(void) = {take_filled, take_word};

    (void)state;
    filled = 1u << (LAPIC_LEVEL * LAPIC_VECTOR_WORDS + V / 32);
    assert_true(post(V, true));
    assert_int_equal(lapic.posted.filled, filled);
    assert_int_equal(lapic.posted.words[LAPIC_LEVEL][V / 32], 1u << V % 32);
    for (unsigned is_filled = 0; is_filled < 2; is_filled++)
        for (unsigned order = 0; order < 16; order++) {
            unsigned s = 0, o = 0;

            if (__builtin_popcount(order) != 2)
                continue;
            lapic.posted.filled = is_filled ? filled : 0; /* by somebody before, whose vector is gone */
            lapic.posted.words[LAPIC_LEVEL][V / 32] = 0;
            is_told = is_filled;
            taken = 0;
            for (unsigned step = 0; step < 4; step++)
                (order >> step & 1 ? sender[s++] : owner[o++])();
            assert_true(taken || (is_told && lapic.posted.filled == filled));
            if (!taken)
                assert_int_equal(lapic.posted.words[LAPIC_LEVEL][V / 32], 1u << V % 32);
        }
}

/* --- in truth at once --- */

#define SENDERS 3u
#define ROUNDS  2000u

static unsigned served[256]; /* by vector: how often; atomic */
static bool announced;       /* the owner was told; atomic */
static struct lapic_wiring stress_wiring;

static void announce(void *context)
{
    (void)context;
    __atomic_store_n(&announced, true, __ATOMIC_RELEASE);
}

/* Each sender has two vectors of its own, and posts one again when it has been served. All share words. */
static void *send_all(void *argument)
{
    unsigned me = (unsigned)(uintptr_t)argument;

    for (unsigned round = 1; round <= ROUNDS; round++)
        for (unsigned kind = 0; kind < 2; kind++) {
            uint8_t vector = (uint8_t)(0x40 + 2 * me + kind);

            post(vector, kind);
            while (__atomic_load_n(&served[vector], __ATOMIC_ACQUIRE) < round)
                sched_yield();
        }
    return NULL;
}

static void serve_all(void)
{
    int vector;

    lapic_take_posted(&lapic);
    while ((vector = lapic_pending_vector(&lapic)) >= 0) {
        assert_int_equal(is_set(APIC_TMR, (uint8_t)vector), vector & 1);
        lapic_acknowledge(&lapic, (uint8_t)vector);
        write32(APIC_EOI, 0);
        __atomic_fetch_add(&served[vector], 1, __ATOMIC_RELEASE);
    }
}

static bool is_over(void)
{
    for (unsigned i = 0; i < 2 * SENDERS; i++)
        if (__atomic_load_n(&served[0x40 + i], __ATOMIC_ACQUIRE) < ROUNDS)
            return false;
    return true;
}

static void senders_on_other_cpus_lose_nothing(void **state)
{
    pthread_t threads[SENDERS];

    (void)state;
    stress_wiring = *lapic.wiring;
    stress_wiring.notify = announce;
    lapic.wiring = &stress_wiring;
    alarm(400); /* a vector that is lost hangs its sender */
    for (unsigned i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, (void *)(uintptr_t)i), 0);
    while (!is_over()) {
        if (__atomic_exchange_n(&announced, false, __ATOMIC_ACQ_REL))
            serve_all();
        else
            sched_yield();
    }
    for (unsigned i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    alarm(0);
    for (unsigned i = 0; i < 2 * SENDERS; i++)
        assert_int_equal(served[0x40 + i], ROUNDS); /* and invents none */
    assert_int_equal(rig.eois, SENDERS * ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_page_is_the_owners, lapic_rig_set_up),
        cmocka_unit_test_setup(every_vector_and_mode_arrives, lapic_rig_set_up),
        cmocka_unit_test_setup(one_notification_until_the_owner_looks, lapic_rig_set_up),
        cmocka_unit_test_setup(a_level_is_not_lost_to_an_edge_of_its_vector, lapic_rig_set_up),
        cmocka_unit_test_setup(a_later_edge_makes_it_an_edge, lapic_rig_set_up),
        cmocka_unit_test_setup(its_own_messages_go_straight_into_the_page, lapic_rig_set_up),
        cmocka_unit_test_setup(an_init_drops_what_is_on_its_way, lapic_rig_set_up),
        cmocka_unit_test_setup(a_disabled_apic_is_posted_nothing, lapic_rig_set_up),
        cmocka_unit_test_setup(an_error_from_elsewhere_interrupts, lapic_rig_set_up),
        cmocka_unit_test_setup(no_order_of_steps_loses_a_vector, lapic_rig_set_up),
        cmocka_unit_test_setup(senders_on_other_cpus_lose_nothing, lapic_rig_set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
