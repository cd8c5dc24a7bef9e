/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a request that is neither IN nor OUT does to the disk what VIRTIO 1.2, "Block Device", says of its type, if its
 * driver has asked for that; a bad one is refused before any of it is done.
 */
#include "tests/host/fake/virtio_blk_rig.h"

static void types_that_nobody_knows_are_unsupported(void **state)
{
    static const uint32_t types[] = {2, 3, 5, 7, 9, 10, 12, 14, 15, 1000, UINT32_MAX};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
        assert_int_equal(send_request(types[i], 0, 512, WRITE), VIRTIO_BLK_S_UNSUPP);
    assert_int_equal(used_len, 1);
}

static void says_its_id(void **state)
{
    (void)state;
    memset(guest_at(&guest, DATA), 0xee, 32);
    assert_int_equal(send_request(VIRTIO_BLK_T_GET_ID, 0, 20, WRITE), VIRTIO_BLK_S_OK);
    assert_int_equal(used_len, 21);
    assert_memory_equal(guest_at(&guest, DATA), "ringmaster-disk-0\0\0\0\xee", 21);
    assert_int_equal(send_request(VIRTIO_BLK_T_GET_ID, 0, 4, WRITE), VIRTIO_BLK_S_OK);
    assert_int_equal(used_len, 5);
    assert_int_equal(send_request(VIRTIO_BLK_T_GET_ID, 0, 512, WRITE), VIRTIO_BLK_S_OK);
    assert_int_equal(used_len, 21);
}

/* --- the cache --- */

static void flushes_when_told(void **state)
{
    (void)state;
    assert_int_equal(send_request(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
    assert_int_equal(flushes, 1);
}

static void writethrough_flushes_each_write(void **state)
{
    (void)state;
    virtio_mmio_ops.write(&guest.mmio, VIRTIO_MMIO_CONFIG + 32, 1, 0);
    assert_int_equal(config(32, 1), 0);
    assert_int_equal(send_request(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_OK);
    assert_int_equal(flushes, 1);
    virtio_mmio_ops.write(&guest.mmio, VIRTIO_MMIO_CONFIG + 32, 1, 1);
    virtio_mmio_ops.write(&guest.mmio, VIRTIO_MMIO_CONFIG + 32, 4, 0); /* not this field alone */
    virtio_mmio_ops.write(&guest.mmio, VIRTIO_MMIO_CONFIG + 0, 1, 0);
    assert_int_equal(send_request(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_OK);
    assert_int_equal(flushes, 1);
    assert_int_equal(config(0, 4), DISK_SECTORS);
}

static void a_driver_that_cannot_flush_gets_writethrough(void **state)
{
    (void)state;
    start_with(VIRTIO_BLK_F_CONFIG_WCE);
    assert_int_equal(config(32, 1), 0);
    assert_int_equal(send_request(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_OK);
    assert_int_equal(flushes, 1);
}

static void the_cache_mode_is_not_changed_without_the_feature(void **state)
{
    (void)state;
    start_with(VIRTIO_BLK_F_FLUSH);
    virtio_mmio_ops.write(&guest.mmio, VIRTIO_MMIO_CONFIG + 32, 1, 0);
    assert_int_equal(config(32, 1), 1);
}

/* --- ranges --- */

static void discards_and_zeroes_ranges(void **state)
{
    static const uint8_t zeroes[512];
    struct virtio_blk_discard_write_zeroes ranges[] = {
        {10, 2, 0}, {20, 1, 0}, {DISK_SECTORS, 0, 0}};

    (void)state;
    assert_int_equal(send_ranges(VIRTIO_BLK_T_DISCARD, ranges, 3), VIRTIO_BLK_S_OK);
    assert_int_equal(discards, 3);
    assert_int_equal(blk.queue.work, 3 * 512 / 64); /* else a page of ranges would be as cheap as a page */
    ranges[1].flags = VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
    assert_int_equal(send_ranges(VIRTIO_BLK_T_WRITE_ZEROES, ranges, 2), VIRTIO_BLK_S_OK);
    assert_memory_equal(sectors[10], zeroes, 512);
    assert_memory_equal(sectors[11], zeroes, 512);
    assert_int_equal(sectors[12][0], 12);
    assert_memory_equal(sectors[20], zeroes, 512);
    assert_int_equal(sectors[21][0], 21);
}

static void bad_ranges_are_refused_before_any_is_acted_upon(void **state)
{
    static const struct {
        struct virtio_blk_discard_write_zeroes range;
        uint8_t discard, write_zeroes;
    } rows[] = {
        {{0, 1, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP}, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_S_OK},
        {{0, 1, 2}, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_S_UNSUPP},
        {{DISK_SECTORS, 1, 0}, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR},
        {{DISK_SECTORS - 1, 2, 0}, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR},
        {{UINT64_MAX, 1, 0}, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR},
        {{UINT64_MAX / 512 + 1, 1, 0}, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR},
        {{0, UINT32_MAX, 0}, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct virtio_blk_discard_write_zeroes ranges[] = {{5, 1, 0}, rows[i].range};

        discards = zeroings = 0;
        assert_int_equal(send_ranges(VIRTIO_BLK_T_DISCARD, ranges, 2), rows[i].discard);
        assert_int_equal(discards, rows[i].discard == VIRTIO_BLK_S_OK ? 2 : 0);
        assert_int_equal(send_ranges(VIRTIO_BLK_T_WRITE_ZEROES, ranges, 2), rows[i].write_zeroes);
        assert_int_equal(zeroings, rows[i].write_zeroes == VIRTIO_BLK_S_OK ? 2 : 0);
    }
}

static void lists_of_ranges_have_limits(void **state)
{
    struct virtio_blk_discard_write_zeroes ranges[VIRTIO_BLK_RANGES_MAX + 1] = {{0}};

    (void)state;
    assert_int_equal(send_ranges(VIRTIO_BLK_T_DISCARD, ranges, VIRTIO_BLK_RANGES_MAX),
                     VIRTIO_BLK_S_OK);
    assert_int_equal(send_ranges(VIRTIO_BLK_T_DISCARD, ranges, VIRTIO_BLK_RANGES_MAX + 1),
                     VIRTIO_BLK_S_IOERR);
    assert_int_equal(send_request(VIRTIO_BLK_T_DISCARD, 0, 0, 0), VIRTIO_BLK_S_IOERR);
    assert_int_equal(send_request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 15, 0), VIRTIO_BLK_S_IOERR);
    assert_int_equal(send_request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 17, 0), VIRTIO_BLK_S_IOERR);
    disk.capacity_bytes = GIB(1);
    start_with(ALL_FEATURES);
    ranges[0].num_sectors = VIRTIO_BLK_RANGE_BYTES_MAX / 512 + 1;
    assert_int_equal(send_ranges(VIRTIO_BLK_T_DISCARD, ranges, 1), VIRTIO_BLK_S_IOERR);
}

static void ranges_need_their_features(void **state)
{
    struct virtio_blk_discard_write_zeroes range = {0, 1, 0};

    (void)state;
    start_with(VIRTIO_BLK_F_FLUSH);
    assert_int_equal(send_ranges(VIRTIO_BLK_T_DISCARD, &range, 1), VIRTIO_BLK_S_UNSUPP);
    assert_int_equal(send_ranges(VIRTIO_BLK_T_WRITE_ZEROES, &range, 1), VIRTIO_BLK_S_UNSUPP);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, virtio_blk_rig_set_up, virtio_blk_rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(types_that_nobody_knows_are_unsupported),
        TEST(says_its_id),
        TEST(flushes_when_told),
        TEST(writethrough_flushes_each_write),
        TEST(a_driver_that_cannot_flush_gets_writethrough),
        TEST(the_cache_mode_is_not_changed_without_the_feature),
        TEST(discards_and_zeroes_ranges),
        TEST(bad_ranges_are_refused_before_any_is_acted_upon),
        TEST(lists_of_ranges_have_limits),
        TEST(ranges_need_their_features),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
