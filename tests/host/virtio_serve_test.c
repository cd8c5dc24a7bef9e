/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: the line is high exactly while InterruptStatus is not 0, no notification costs more than its bound however fast
 * other vCPUs add requests, and a ring that breaks stops its device and nothing else.
 */
#include "tests/host/fake/virtio_mmio_rig.h"

/* --- interrupts --- */

static void the_line_is_high_until_all_is_acknowledged(void **state)
{
    struct virtq_used_elem entry;

    (void)state;
    driver_start(&guest, 0, 2, 8);
    add_request();
    driver_kick(&guest, &guest.queues[0]);
    assert_true(driver_take_used(&guest, &guest.queues[0], &entry));
    assert_int_equal(entry.len, 8);
    assert_int_equal(reg(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
    virtio_device_config_changed(&device);
    assert_int_equal(reg(VIRTIO_MMIO_INTERRUPT_STATUS), 3);
    set_reg(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
    assert_true(guest.irq.level);
    set_reg(VIRTIO_MMIO_INTERRUPT_ACK, UINT32_MAX);
    assert_false(guest.irq.level);
    assert_int_equal(guest.irq.rises, 1);
    assert_int_equal(guest.irq.falls, 1);
    assert_int_equal(guest.irq.input, 5);
}

static void a_batch_makes_one_interrupt(void **state)
{
    (void)state;
    driver_start(&guest, VIRTIO_F_EVENT_IDX, 2, 8);
    for (unsigned i = 0; i < 5; i++)
        add_request();
    driver_kick(&guest, &guest.queues[0]);
    assert_int_equal(served, 5);
    assert_int_equal(guest.irq.rises, 1);
    assert_int_equal(*driver_avail_event(&guest, &guest.queues[0]), 5);
}

/* --- failure --- */

static void a_broken_ring_stops_only_its_device(void **state)
{
    (void)state;
    driver_start(&guest, 0, 2, 8);
    driver_avail(&guest, &guest.queues[0])->idx = 1000;
    fake_log_count = 0;
    driver_kick(&guest, &guest.queues[0]);
    assert_true(driver_needs_reset(&guest));
    assert_string_equal(fake_log_last,
                        "test queue 0: available index jumped; stopped until its driver resets it");
    assert_int_equal(fake_log_count, 1);
    assert_int_equal(reg(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
    notified = 0;
    driver_kick(&guest, &guest.queues[0]);
    driver_kick(&guest, &guest.queues[1]);
    assert_int_equal(notified, 0);
    assert_int_equal(fake_log_count, 1);
    driver_start(&guest, 0, 2, 8);
    assert_null(device.failure);
    add_request();
    driver_kick(&guest, &guest.queues[0]);
    assert_int_equal(served, 1);
}

static void break_the_ring(void)
{
    driver_avail(&guest, &guest.queues[0])->idx = 1000;
}

/* Whatever breaks in the middle of a batch, what was done before has been given back. */
static void a_ring_may_break_while_it_is_served(void **state)
{
    (void)state;
    driver_start(&guest, 0, 2, 8);
    while_serving = break_the_ring;
    add_request();
    add_request();
    driver_kick(&guest, &guest.queues[0]);
    assert_int_equal(served, 1);
    assert_int_equal(driver_used(&guest, &guest.queues[0])->idx, 1);
    assert_true(driver_needs_reset(&guest));
}

static void fail_the_queue(void)
{
    virtio_queue_fail(&queues[0], "by the device");
}

static void a_request_that_fails_its_device_is_not_given_back(void **state)
{
    (void)state;
    driver_start(&guest, 0, 2, 8);
    while_serving = fail_the_queue;
    add_request();
    driver_kick(&guest, &guest.queues[0]);
    assert_int_equal(driver_used(&guest, &guest.queues[0])->idx, 0);
    assert_string_equal(device.failure, "by the device");
}

/* --- bounds --- */

static void add_another(void)
{
    add_request();
}

static void a_queue_that_never_empties_is_left_after_its_size(void **state)
{
    (void)state;
    driver_start(&guest, VIRTIO_F_EVENT_IDX, 2, 8);
    while_serving = add_another;
    add_request();
    driver_kick(&guest, &guest.queues[0]);
    assert_int_equal(served, 8);
    fake_clock_advance(VIRTIO_DEFER_NS - 1);
    assert_int_equal(served, 8); /* the guest has run in between */
    fake_clock_advance(1);
    assert_int_equal(served, 16);
    while_serving = NULL;
    fake_clock_advance(VIRTIO_DEFER_NS);
    assert_int_equal(served, 17); /* the last one that was added is not forgotten */
    fake_clock_advance(VIRTIO_DEFER_NS * 100);
    assert_int_equal(notified, 5);
}

static void many_bytes_count_as_many_requests(void **state)
{
    struct buffer large[] = {{0, GUEST_RAM_END, VIRTQ_DESC_F_WRITE},
                             {0, GUEST_RAM_END, VIRTQ_DESC_F_WRITE}};

    (void)state;
    driver_start(&guest, 0, 1, 64);
    for (unsigned i = 0; i < 10; i++)
        driver_add(&guest, &guest.queues[0], large, 2); /* 1 MiB */
    driver_kick(&guest, &guest.queues[0]);
    assert_int_equal(served, 2);
    assert_int_equal(guest.irq.rises, 1); /* what is done is announced before the rest */
    fake_clock_advance(VIRTIO_DEFER_NS * 10);
    assert_int_equal(served, 10);
}

static void a_reset_forgets_what_was_left(void **state)
{
    (void)state;
    driver_start(&guest, 0, 2, 8);
    while_serving = add_another;
    add_request();
    driver_kick(&guest, &guest.queues[0]);
    notified = 0;
    assert_true(device.resume.armed);
    set_reg(VIRTIO_MMIO_STATUS, 0);
    assert_false(device.resume.armed);
    fake_clock_advance(VIRTIO_DEFER_NS * 10);
    assert_int_equal(notified, 0);
}

static unsigned late_requests;

static void add_one_late(void)
{
    if (late_requests > 0) {
        late_requests--;
        add_request();
    }
}

static void what_comes_while_serving_is_served_too(void **state)
{
    (void)state;
    driver_start(&guest, VIRTIO_F_EVENT_IDX, 2, 8);
    while_serving = add_one_late;
    late_requests = 3;
    add_request();
    driver_kick(&guest, &guest.queues[0]);
    assert_int_equal(served, 4);
    assert_int_equal(*driver_avail_event(&guest, &guest.queues[0]), 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, virtio_mmio_rig_set_up, virtio_mmio_rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_line_is_high_until_all_is_acknowledged),
        TEST(a_batch_makes_one_interrupt),
        TEST(a_broken_ring_stops_only_its_device),
        TEST(a_ring_may_break_while_it_is_served),
        TEST(a_request_that_fails_its_device_is_not_given_back),
        TEST(a_queue_that_never_empties_is_left_after_its_size),
        TEST(many_bytes_count_as_many_requests),
        TEST(a_reset_forgets_what_was_left),
        TEST(what_comes_while_serving_is_served_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
