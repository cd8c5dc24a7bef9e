/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a driver that follows VIRTIO 1.2, "Virtio Over MMIO", brings a device up; one that does
 * not gets no further than the specification lets it.
 */
#include "tests/host/fake/virtio_mmio_rig.h"

/* --- registers --- */

static void identifies_itself(void **state)
{
    (void)state;
    assert_int_equal(reg(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
    assert_int_equal(reg(VIRTIO_MMIO_VERSION), 2);
    assert_int_equal(reg(VIRTIO_MMIO_DEVICE_ID), 42);
    assert_int_equal(reg(VIRTIO_MMIO_VENDOR_ID), VIRTIO_MMIO_VENDOR);
    assert_int_equal(reg(VIRTIO_MMIO_STATUS), 0);
}

static void offers_features_in_words(void **state)
{
    (void)state;
    assert_int_equal(reg(VIRTIO_MMIO_DEVICE_FEATURES), BIT(0) | BIT(28) | BIT(29));
    set_reg(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
    assert_int_equal(reg(VIRTIO_MMIO_DEVICE_FEATURES), BIT(0) | BIT(8));
    set_reg(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
    assert_int_equal(reg(VIRTIO_MMIO_DEVICE_FEATURES), 0);
    set_reg(VIRTIO_MMIO_DEVICE_FEATURES_SEL, UINT32_MAX);
    assert_int_equal(reg(VIRTIO_MMIO_DEVICE_FEATURES), 0);
}

static void there_is_no_shared_memory(void **state)
{
    (void)state;
    set_reg(VIRTIO_MMIO_SHM_SEL, 0);
    assert_int_equal(reg(VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
    assert_int_equal(reg(VIRTIO_MMIO_SHM_LEN_HIGH), UINT32_MAX);
    assert_int_equal(reg(VIRTIO_MMIO_SHM_BASE_LOW), UINT32_MAX);
    assert_int_equal(reg(VIRTIO_MMIO_SHM_BASE_HIGH), UINT32_MAX);
}

static void registers_take_only_aligned_32_bits(void **state)
{
    (void)state;
    assert_int_equal(virtio_mmio_ops.read(&guest.mmio, VIRTIO_MMIO_MAGIC_VALUE, 1), 0);
    assert_int_equal(virtio_mmio_ops.read(&guest.mmio, VIRTIO_MMIO_MAGIC_VALUE, 2), 0);
    assert_int_equal(virtio_mmio_ops.read(&guest.mmio, VIRTIO_MMIO_MAGIC_VALUE + 2, 4), 0);
    virtio_mmio_ops.write(&guest.mmio, VIRTIO_MMIO_STATUS, 1, VIRTIO_STATUS_ACKNOWLEDGE);
    virtio_mmio_ops.write(&guest.mmio, VIRTIO_MMIO_STATUS + 1, 4, VIRTIO_STATUS_ACKNOWLEDGE);
    assert_int_equal(reg(VIRTIO_MMIO_STATUS), 0);
}

static void every_other_offset_reads_as_zero_and_ignores_writes(void **state)
{
    (void)state;
    for (uint32_t offset = 0x18; offset < VIRTIO_MMIO_CONFIG; offset += 4) {
        bool is_shm = offset >= VIRTIO_MMIO_SHM_LEN_LOW && offset <= VIRTIO_MMIO_SHM_BASE_HIGH;

        if (is_shm || offset == VIRTIO_MMIO_QUEUE_NUM_MAX)
            continue;
        assert_int_equal(reg(offset), 0);
        if (offset != VIRTIO_MMIO_STATUS && offset != VIRTIO_MMIO_QUEUE_READY)
            set_reg(offset, UINT32_MAX);
    }
    set_reg(VIRTIO_MMIO_MAGIC_VALUE, 0);
    assert_int_equal(reg(VIRTIO_MMIO_STATUS), 0);
    assert_false(guest.irq.level);
}

static void configuration_takes_any_width(void **state)
{
    (void)state;
    assert_int_equal(virtio_mmio_ops.read(&guest.mmio, VIRTIO_MMIO_CONFIG, 1), 0x11);
    assert_int_equal(virtio_mmio_ops.read(&guest.mmio, VIRTIO_MMIO_CONFIG + 1, 2), 0x3322);
    assert_int_equal(virtio_mmio_ops.read(&guest.mmio, VIRTIO_MMIO_CONFIG + 8, 4), 0xccbbaa99);
    assert_int_equal(virtio_mmio_ops.read(&guest.mmio, VIRTIO_MMIO_CONFIG + 9, 4), UINT64_MAX);
    assert_int_equal(virtio_mmio_ops.read(&guest.mmio, VIRTIO_MMIO_CONFIG + 12, 1), UINT64_MAX);
    assert_int_equal(virtio_mmio_ops.read(&guest.mmio, VIRTIO_MMIO_REGION_BYTES - 1, 1),
                     UINT64_MAX);
    virtio_mmio_ops.write(&guest.mmio, VIRTIO_MMIO_CONFIG + 10, 2, 0xbeef);
    assert_int_equal(config_written[0], 10);
    assert_int_equal(config_written[1], 2);
    assert_int_equal(config_written[2], 0xbeef);
    virtio_mmio_ops.write(&guest.mmio, VIRTIO_MMIO_CONFIG + 11, 2, 0xdead);
    assert_int_equal(config_written[2], 0xbeef);
}

static void a_changed_configuration_is_announced(void **state)
{
    (void)state;
    virtio_device_config_changed(&device);
    assert_int_equal(reg(VIRTIO_MMIO_CONFIG_GENERATION), 1);
    assert_false(guest.irq.level); /* nobody drives it */
    driver_start(&guest, 0, 2, 8);
    virtio_device_config_changed(&device);
    assert_int_equal(reg(VIRTIO_MMIO_CONFIG_GENERATION), 2);
    assert_int_equal(reg(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
    assert_true(guest.irq.level);
}

/* --- the handshake --- */

static void features_are_checked(void **state)
{
    static const struct {
        uint64_t features;
        bool is_accepted;
    } rows[] = {
        {VIRTIO_F_VERSION_1, true},
        {VIRTIO_F_VERSION_1 | FEATURE_A | FEATURE_B | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC,
         true},
        {0, false},
        {FEATURE_A, false},
        {VIRTIO_F_VERSION_1 | BIT(1), false},
        {VIRTIO_F_VERSION_1 | BIT(34), false}, /* packed rings */
        {VIRTIO_F_VERSION_1 | BIT(63), false},
        {UINT64_MAX, false},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        negotiations = 0;
        assert_int_equal(driver_negotiate(&guest, rows[i].features), rows[i].is_accepted);
        assert_int_equal(negotiations, rows[i].is_accepted);
        assert_int_equal(reg(VIRTIO_MMIO_STATUS) & ~VIRTIO_STATUS_FEATURES_OK, 3);
    }
}

static void a_refused_driver_may_try_again(void **state)
{
    (void)state;
    assert_false(driver_negotiate(&guest, VIRTIO_F_VERSION_1 | BIT(1)));
    set_reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
    set_reg(VIRTIO_MMIO_DRIVER_FEATURES, 0);
    set_reg(VIRTIO_MMIO_STATUS, 3 | VIRTIO_STATUS_FEATURES_OK);
    assert_int_equal(reg(VIRTIO_MMIO_STATUS), 3 | VIRTIO_STATUS_FEATURES_OK);
}

static void features_beyond_64_bits_are_refused(void **state)
{
    (void)state;
    set_reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    set_reg(VIRTIO_MMIO_DRIVER_FEATURES, 1);
    set_reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
    set_reg(VIRTIO_MMIO_DRIVER_FEATURES, 0); /* asks for nothing */
    set_reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 3);
    set_reg(VIRTIO_MMIO_DRIVER_FEATURES, 4);
    set_reg(VIRTIO_MMIO_STATUS, VIRTIO_STATUS_FEATURES_OK);
    assert_int_equal(reg(VIRTIO_MMIO_STATUS), 0);
    assert_true(driver_negotiate(&guest, VIRTIO_F_VERSION_1)); /* a reset forgets it */
}

static void features_are_settled_by_features_ok(void **state)
{
    (void)state;
    assert_true(driver_negotiate(&guest, VIRTIO_F_VERSION_1));
    set_reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
    set_reg(VIRTIO_MMIO_DRIVER_FEATURES, FEATURE_A);
    assert_int_equal(device.driver_features, VIRTIO_F_VERSION_1);
}

static void driver_ok_needs_features_ok(void **state)
{
    (void)state;
    set_reg(VIRTIO_MMIO_STATUS, 3 | VIRTIO_STATUS_DRIVER_OK);
    assert_int_equal(reg(VIRTIO_MMIO_STATUS), 3);
    assert_false(device.is_live);
    set_reg(VIRTIO_MMIO_STATUS, 3 | VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FEATURES_OK);
    assert_int_equal(reg(VIRTIO_MMIO_STATUS), 3);
}

static void the_status_cannot_be_taken_back_nor_forged(void **state)
{
    (void)state;
    driver_start(&guest, 0, 2, 8);
    set_reg(VIRTIO_MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE);
    assert_int_equal(reg(VIRTIO_MMIO_STATUS), 15);
    set_reg(VIRTIO_MMIO_STATUS, 15 | VIRTIO_STATUS_NEEDS_RESET | 0x30);
    assert_int_equal(reg(VIRTIO_MMIO_STATUS), 15);
}

static void a_driver_that_gave_up_is_not_served(void **state)
{
    (void)state;
    driver_start(&guest, 0, 2, 8);
    set_reg(VIRTIO_MMIO_STATUS, 15 | VIRTIO_STATUS_FAILED);
    add_request();
    driver_kick(&guest, &guest.queues[0]);
    assert_int_equal(served, 0);
}

static void status_zero_resets_everything(void **state)
{
    (void)state;
    driver_start(&guest, VIRTIO_F_EVENT_IDX, 2, 8);
    add_request();
    driver_kick(&guest, &guest.queues[0]);
    assert_true(guest.irq.level);
    resets = 0;
    set_reg(VIRTIO_MMIO_STATUS, 0);
    assert_int_equal(resets, 1);
    assert_false(guest.irq.level);
    assert_int_equal(reg(VIRTIO_MMIO_STATUS), 0);
    assert_int_equal(reg(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    assert_int_equal(reg(VIRTIO_MMIO_QUEUE_READY), 0);
    assert_int_equal(reg(VIRTIO_MMIO_QUEUE_NUM_MAX), 64); /* QueueSel is 0 again */
    assert_int_equal(device.driver_features, 0);
    add_request();
    driver_kick(&guest, &guest.queues[0]);
    assert_int_equal(served, 1);
    driver_start(&guest, VIRTIO_F_EVENT_IDX, 2, 8);
    add_request();
    driver_kick(&guest, &guest.queues[0]);
    assert_int_equal(served, 2);
}

/* --- queues --- */

static void queues_have_their_own_limits(void **state)
{
    static const uint32_t num_max[] = {64, 8, 0, 0};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(num_max); i++) {
        set_reg(VIRTIO_MMIO_QUEUE_SEL, i);
        assert_int_equal(reg(VIRTIO_MMIO_QUEUE_NUM_MAX), num_max[i]);
    }
    set_reg(VIRTIO_MMIO_QUEUE_SEL, UINT32_MAX);
    assert_int_equal(reg(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
}

static void a_queue_that_does_not_exist_takes_nothing(void **state)
{
    (void)state;
    assert_true(driver_negotiate(&guest, VIRTIO_F_VERSION_1));
    set_reg(VIRTIO_MMIO_QUEUE_SEL, 2);
    for (uint32_t offset = VIRTIO_MMIO_QUEUE_NUM; offset <= VIRTIO_MMIO_QUEUE_DEVICE_HIGH;
         offset += 4)
        if (offset != VIRTIO_MMIO_STATUS)
            set_reg(offset, 1);
    assert_int_equal(reg(VIRTIO_MMIO_QUEUE_READY), 0);
    assert_false(driver_needs_reset(&guest));
    driver_go(&guest);
    set_reg(VIRTIO_MMIO_QUEUE_NOTIFY, 2);
    set_reg(VIRTIO_MMIO_QUEUE_NOTIFY, UINT32_MAX);
    assert_int_equal(notified, 0);
}

static void a_queue_must_wait_for_features_ok(void **state)
{
    (void)state;
    set_reg(VIRTIO_MMIO_STATUS, 3);
    driver_set_up_queue(&guest, 0, 8);
    assert_int_equal(reg(VIRTIO_MMIO_QUEUE_READY), 0);
    assert_true(driver_needs_reset(&guest));
    assert_false(guest.irq.level); /* not before DRIVER_OK */
}

static void a_ready_queue_keeps_its_setup(void **state)
{
    struct vq_setup before;

    (void)state;
    driver_start(&guest, 0, 1, 8);
    before = queues[0].setup;
    set_reg(VIRTIO_MMIO_QUEUE_NUM, 16);
    set_reg(VIRTIO_MMIO_QUEUE_DESC_LOW, 0x7000);
    set_reg(VIRTIO_MMIO_QUEUE_DRIVER_HIGH, 1);
    set_reg(VIRTIO_MMIO_QUEUE_DEVICE_LOW, 1);
    set_reg(VIRTIO_MMIO_QUEUE_READY, 1);
    assert_memory_equal(&before, &queues[0].setup, sizeof before);
    assert_false(driver_needs_reset(&guest));
    set_reg(VIRTIO_MMIO_QUEUE_READY, 0);
    assert_int_equal(reg(VIRTIO_MMIO_QUEUE_READY), 0);
    set_reg(VIRTIO_MMIO_QUEUE_NUM, 16);
    assert_int_equal(queues[0].setup.size, 16);
}

static void addresses_have_two_halves(void **state)
{
    (void)state;
    assert_true(driver_negotiate(&guest, VIRTIO_F_VERSION_1));
    set_reg(VIRTIO_MMIO_QUEUE_NUM, 8);
    set_reg(VIRTIO_MMIO_QUEUE_DESC_HIGH, GUEST_HIGH >> 32);
    set_reg(VIRTIO_MMIO_QUEUE_DESC_LOW, 0x1000);
    set_reg(VIRTIO_MMIO_QUEUE_DRIVER_LOW, 0x2000);
    set_reg(VIRTIO_MMIO_QUEUE_DRIVER_HIGH, GUEST_HIGH >> 32);
    set_reg(VIRTIO_MMIO_QUEUE_DEVICE_LOW, 0x3000);
    set_reg(VIRTIO_MMIO_QUEUE_DEVICE_HIGH, GUEST_HIGH >> 32);
    set_reg(VIRTIO_MMIO_QUEUE_READY, 1);
    assert_int_equal(reg(VIRTIO_MMIO_QUEUE_READY), 1);
    assert_ptr_equal(queues[0].desc, guest.slots[2] + 0x1000);
    assert_ptr_equal(queues[0].avail, guest.slots[2] + 0x2000);
    assert_ptr_equal(queues[0].used, guest.slots[2] + 0x3000);
}

static void nothing_is_consumed_before_driver_ok_and_all_of_it_then(void **state)
{
    (void)state;
    assert_true(driver_negotiate(&guest, VIRTIO_F_VERSION_1));
    driver_set_up_queue(&guest, 0, 8);
    add_request();
    driver_kick(&guest, &guest.queues[0]);
    assert_int_equal(served, 0);
    driver_go(&guest);
    assert_int_equal(served, 1);
}

static void a_queue_that_is_not_ready_is_not_notified(void **state)
{
    (void)state;
    driver_start(&guest, 0, 1, 8);
    set_reg(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
    assert_int_equal(notified, 1); /* that of DRIVER_OK for queue 0 */
}

/* --- nonsense --- */

static void random_registers_do_no_harm(void **state)
{
    static const uint32_t useful[] = {0, 1, 3, 8, 11, 15, 0x1000, 0x2000, 0x3000, 64, UINT32_MAX};
    uint64_t seed = 0xfeed;
    unsigned times_live = 0, times_failed = 0;

    (void)state;
    for (unsigned round = 0; round < 100000; round++) {
        uint64_t offset = noise(&seed) % VIRTIO_MMIO_REGION_BYTES;
        unsigned width = 1u << noise(&seed) % 3;
        uint32_t value =
            noise(&seed) % 8 ? useful[noise(&seed) % ARRAY_SIZE(useful)] : (uint32_t)noise(&seed);

        if (noise(&seed) % 1000 == 0) {
            guest_write_register(&guest, VIRTIO_MMIO_STATUS, 0);
            driver_start(&guest, noise(&seed) & (VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC), 2,
                         8);
            add_request();
        }
        if (noise(&seed) % 2) {
            offset = ALIGN_DOWN(offset, 4) % VIRTIO_MMIO_CONFIG;
            width = 4;
        }
        if (offset == VIRTIO_MMIO_STATUS && noise(&seed) % 16)
            continue;
        if (noise(&seed) % 4 && offset + width <= VIRTIO_MMIO_REGION_BYTES)
            virtio_mmio_ops.write(&guest.mmio, offset, width,
                                  value & (UINT32_MAX >> (32 - 8 * width)));
        else if (offset + width <= VIRTIO_MMIO_REGION_BYTES)
            virtio_mmio_ops.read(&guest.mmio, offset, width);
        assert_int_equal(guest.irq.level, reg(VIRTIO_MMIO_INTERRUPT_STATUS) != 0);
        assert_true(!device.is_live || !driver_needs_reset(&guest));
        times_live += device.is_live;
        times_failed += driver_needs_reset(&guest);
    }
    assert_true(times_live > 10000);
    assert_true(times_failed > 100);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, virtio_mmio_rig_set_up, virtio_mmio_rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(identifies_itself),
        TEST(offers_features_in_words),
        TEST(there_is_no_shared_memory),
        TEST(registers_take_only_aligned_32_bits),
        TEST(every_other_offset_reads_as_zero_and_ignores_writes),
        TEST(configuration_takes_any_width),
        TEST(a_changed_configuration_is_announced),
        TEST(features_are_checked),
        TEST(a_refused_driver_may_try_again),
        TEST(features_beyond_64_bits_are_refused),
        TEST(features_are_settled_by_features_ok),
        TEST(driver_ok_needs_features_ok),
        TEST(the_status_cannot_be_taken_back_nor_forged),
        TEST(a_driver_that_gave_up_is_not_served),
        TEST(status_zero_resets_everything),
        TEST(queues_have_their_own_limits),
        TEST(a_queue_that_does_not_exist_takes_nothing),
        TEST(a_queue_must_wait_for_features_ok),
        TEST(a_ready_queue_keeps_its_setup),
        TEST(addresses_have_two_halves),
        TEST(nothing_is_consumed_before_driver_ok_and_all_of_it_then),
        TEST(a_queue_that_is_not_ready_is_not_notified),
        TEST(random_registers_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
