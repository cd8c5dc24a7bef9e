/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a request's bytes reach the disk at its sector or the guest's buffers, whole and nowhere
 * else, however the buffers are cut; whatever cannot be done says so in its status byte, and the
 * disk stays as it was.
 */
#include "tests/host/fake/virtio_blk_rig.h"
#include "kernel/ramdisk.h"
#include "kernel/lib/errno.h"

/* --- configuration --- */

static void tells_its_geometry(void **state)
{
    (void)state;
    assert_int_equal(guest_read_register(&guest, VIRTIO_MMIO_DEVICE_ID), 2);
    assert_int_equal(config(0, 4), DISK_SECTORS);
    assert_int_equal(config(4, 4), 0);
    assert_int_equal(config(8, 4), 65536);
    assert_int_equal(config(12, 4), 126);
    assert_int_equal(config(20, 4), 512);
    assert_int_equal(config(24, 1), 3);
    assert_int_equal(config(32, 1), 1);    /* writeback */
    assert_int_equal(config(36, 4), 8192); /* max_discard_sectors */
    assert_int_equal(config(40, 4), 16);
    assert_int_equal(config(44, 4), 8);
    assert_int_equal(config(48, 4), 8192); /* max_write_zeroes_sectors */
    assert_int_equal(config(52, 4), 16);
    assert_int_equal(config(56, 1), 1);
}

static void a_read_only_disk_offers_no_changes(void **state)
{
    (void)state;
    assert_int_equal(blk.device.features & VIRTIO_BLK_F_RO, 0);
    disk.read_only = true;
    start_with(VIRTIO_BLK_F_RO | VIRTIO_BLK_F_FLUSH);
    assert_false(blk.device.features & (VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES));
    assert_int_equal(send_request(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_IOERR);
    assert_int_equal(writes, 0);
    assert_int_equal(send_request(VIRTIO_BLK_T_IN, 0, 512, WRITE), VIRTIO_BLK_S_OK);
    assert_int_equal(send_request(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
}

/* --- IN, OUT --- */

static void reads_sectors(void **state)
{
    (void)state;
    assert_int_equal(send_request(VIRTIO_BLK_T_IN, 7, 1024, WRITE), VIRTIO_BLK_S_OK);
    assert_int_equal(used_len, 1025);
    assert_memory_equal(guest_at(&guest, DATA), sectors[7], 1024);
}

static void writes_sectors(void **state)
{
    (void)state;
    memset(guest_at(&guest, DATA), 0xd7, 1024);
    assert_int_equal(send_request(VIRTIO_BLK_T_OUT, 198, 1024, 0), VIRTIO_BLK_S_OK);
    assert_int_equal(used_len, 1);
    assert_memory_equal(sectors[198], guest_at(&guest, DATA), 1024);
    assert_int_equal(sectors[197][511], 197);
    assert_int_equal(flushes, 0);
}

/* However a transfer is cut, and wherever the slots' border falls, it is the same transfer. */
static void pieces_of_any_size_make_a_transfer(void **state)
{
    uint64_t seed = 0xb10c;

    (void)state;
    for (unsigned round = 0; round < 500; round++) {
        struct buffer pieces[12];
        uint32_t left = (uint32_t)(noise(&seed) % 8 + 1) * 512;
        uint64_t sector = noise(&seed) % (DISK_SECTORS - 8),
                 at = GUEST_BORDER - noise(&seed) % 4096;
        bool is_write = noise(&seed) % 2;
        uint8_t before[4096], *low = guest_at(&guest, GUEST_BORDER - 8192),
                              *high = guest_at(&guest, GUEST_BORDER);
        unsigned count = 0;
        uint32_t total = left, done = 0;

        for (unsigned i = 0; i < 8192; i++)
            low[i] = high[i] = (uint8_t)noise(&seed);
        for (; left > 0; count++) {
            uint32_t size = (uint32_t)(noise(&seed) % 1500 + 1);

            size = count == 11 ? left : MIN(size, left);
            pieces[count] = (struct buffer){at, size, is_write ? 0 : WRITE};
            at += size + noise(&seed) % 3;
            left -= size;
        }
        memcpy(before, sectors[sector], total);
        assert_int_equal(
            send_pieces(is_write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, sector, pieces, count), 0);
        for (unsigned i = 0; i < count; done += pieces[i++].len) {
            uint8_t copy[4096];

            assert_int_equal(guest_mem_read(&guest.mem, GPA(pieces[i].addr), copy, pieces[i].len),
                             0);
            assert_memory_equal(copy, (uint8_t *)sectors[sector] + done, pieces[i].len);
        }
        if (!is_write)
            assert_memory_equal(before, sectors[sector], total);
    }
}

static void what_is_not_on_the_disk_is_an_error(void **state)
{
    static const struct {
        uint64_t sector;
        uint32_t bytes;
        uint8_t status;
    } rows[] = {
        {DISK_SECTORS - 1, 512, VIRTIO_BLK_S_OK},
        {DISK_SECTORS - 1, 1024, VIRTIO_BLK_S_IOERR},
        {DISK_SECTORS, 512, VIRTIO_BLK_S_IOERR},
        {DISK_SECTORS, 0, VIRTIO_BLK_S_OK},
        {DISK_SECTORS + 1, 0, VIRTIO_BLK_S_IOERR},
        {UINT64_MAX, 512, VIRTIO_BLK_S_IOERR},
        {UINT64_MAX / 512 + 1, 512, VIRTIO_BLK_S_IOERR}, /* sector * 512 is 0 again */
        {0, 1, VIRTIO_BLK_S_IOERR},
        {0, 511, VIRTIO_BLK_S_IOERR},
        {0, 513, VIRTIO_BLK_S_IOERR},
        {0, (DISK_SECTORS + 1) * 512, VIRTIO_BLK_S_IOERR},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        memset(guest_at(&guest, DATA), 0xee, 512);
        assert_int_equal(send_request(VIRTIO_BLK_T_IN, rows[i].sector, rows[i].bytes, WRITE),
                         rows[i].status);
        writes = 0;
        assert_int_equal(send_request(VIRTIO_BLK_T_OUT, rows[i].sector, rows[i].bytes, 0),
                         rows[i].status);
        assert_int_equal(writes, rows[i].status == VIRTIO_BLK_S_OK && rows[i].bytes > 0);
    }
}

static void a_transfer_has_a_limit(void **state)
{
    static struct buffer data[34];

    (void)state;
    disk.capacity_bytes = GIB(1);
    start_with(ALL_FEATURES);
    for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
        data[i] = (struct buffer){GUEST_HIGH, GUEST_SLOT_BYTES, 0};
    assert_int_equal(send_pieces(VIRTIO_BLK_T_OUT, 0, data, ARRAY_SIZE(data)), VIRTIO_BLK_S_IOERR);
    assert_int_equal(writes, 0);
}

static void errors_of_the_disk_reach_the_guest(void **state)
{
    struct virtio_blk_discard_write_zeroes range = {0, 8, 0};
    const struct buffer halves[] = {{DATA, 256, WRITE}, {DATA + 0x200, 256, WRITE}};
    const struct buffer write_halves[] = {{DATA, 256, 0}, {DATA + 0x200, 256, 0}};

    (void)state;
    disk_error = -ENOSPC;
    assert_int_equal(send_request(VIRTIO_BLK_T_IN, 0, 512, WRITE), VIRTIO_BLK_S_IOERR);
    assert_int_equal(used_len, 1);
    assert_int_equal(send_pieces(VIRTIO_BLK_T_IN, 0, halves, 2), VIRTIO_BLK_S_IOERR);
    assert_int_equal(send_request(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_IOERR);
    assert_int_equal(send_pieces(VIRTIO_BLK_T_OUT, 0, write_halves, 2), VIRTIO_BLK_S_IOERR);
    assert_int_equal(send_request(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_IOERR);
    assert_int_equal(send_ranges(VIRTIO_BLK_T_DISCARD, &range, 1), VIRTIO_BLK_S_IOERR);
    assert_int_equal(send_ranges(VIRTIO_BLK_T_WRITE_ZEROES, &range, 1), VIRTIO_BLK_S_IOERR);
    disk_error = 0;
    assert_int_equal(send_request(VIRTIO_BLK_T_IN, 0, 512, WRITE), VIRTIO_BLK_S_OK);
}

/* --- shapes --- */

static void the_header_may_come_in_pieces(void **state)
{
    struct virtio_blk_req_header header = {VIRTIO_BLK_T_IN, 0, 3};
    const struct buffer buffers[] = {{HEADER, 5, 0}, {GUEST_HIGH, 11, 0}, {DATA, 513, WRITE}};

    (void)state;
    memcpy(guest_at(&guest, HEADER), &header, 5);
    memcpy(guest_at(&guest, GUEST_HIGH), (uint8_t *)&header + 5, 11);
    driver_add_indirect(&guest, q, GUEST_BUFFERS + 0x3000, buffers, 3);
    driver_kick(&guest, q);
    assert_memory_equal(guest_at(&guest, DATA), sectors[3], 512);
    assert_int_equal(*(uint8_t *)guest_at(&guest, DATA + 512), VIRTIO_BLK_S_OK);
}

static void what_is_no_request_stops_the_device(void **state)
{
    static const struct buffer shapes[][2] = {
        {{HEADER, 16, 0}, {DATA, 16, 0}},        /* no status */
        {{HEADER, 15, 0}, {STATUS, 1, WRITE}},   /* short header */
        {{DATA, 16, WRITE}, {STATUS, 1, WRITE}}, /* no header */
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(shapes); i++) {
        start_with(ALL_FEATURES);
        driver_add(&guest, q, shapes[i], 2);
        driver_kick(&guest, q);
        assert_true(driver_needs_reset(&guest));
        assert_int_equal(driver_used(&guest, q)->idx, 0);
    }
}

static void rewrite_the_request(void)
{
    struct virtio_blk_req_header other = {VIRTIO_BLK_T_OUT, 0, DISK_SECTORS * 2};

    memcpy(guest_at(&guest, HEADER), &other, sizeof other);
    for (uint16_t i = 0; i < q->size; i++)
        *driver_desc(&guest, q, i) = (struct virtq_desc){UINT64_MAX, UINT32_MAX, 7, 0xffff};
}

/* The guest rewrites header and descriptors while the disk works: the request is what it was. */
static void a_request_that_changes_underneath_stays_what_it_was(void **state)
{
    const struct buffer halves[] = {{DATA, 700, WRITE}, {DATA + 700, 324, WRITE}};

    (void)state;
    while_working = rewrite_the_request;
    assert_int_equal(send_pieces(VIRTIO_BLK_T_IN, 9, halves, 2), VIRTIO_BLK_S_OK);
    assert_memory_equal(guest_at(&guest, DATA), sectors[9], 1024);
}

static void a_full_queue_is_served_with_one_interrupt(void **state)
{
    struct virtio_blk_req_header header = {VIRTIO_BLK_T_IN, 0, 1};
    const struct buffer buffers[] = {{HEADER, 16, 0}, {DATA, 512, WRITE}, {STATUS, 1, WRITE}};

    (void)state;
    memcpy(guest_at(&guest, HEADER), &header, sizeof header);
    for (unsigned i = 0; i < 128; i++)
        driver_add_indirect(&guest, q, GUEST_BUFFERS + 0x3000, buffers, 3);
    driver_kick(&guest, q);
    assert_int_equal(driver_used(&guest, q)->idx, 128);
    assert_int_equal(guest.irq.rises, 1);
}

static void random_requests_do_no_harm(void **state)
{
    static const uint32_t types[] = {0, 1, 4, 8, 11, 13, 2, UINT32_MAX};
    static const uint32_t sizes[] = {512, 1024, 16, 1, 4096, 513, 15, 32};
    uint64_t seed = 0xd00d;
    unsigned ok = 0, failed = 0;

    (void)state;
    for (unsigned round = 0; round < 100000; round++) {
        struct buffer buffers[6];
        unsigned count = (unsigned)(noise(&seed) % 5 + 2),
                 readable = (unsigned)(noise(&seed) % count);
        struct virtio_blk_req_header header = {types[noise(&seed) % ARRAY_SIZE(types)], 0,
                                               noise(&seed) % 256};

        memcpy(guest_at(&guest, HEADER), &header, sizeof header);
        for (unsigned i = 0; i < count; i++)
            buffers[i] =
                (struct buffer){GUEST_BUFFERS + noise(&seed) % 0x30000,
                                sizes[noise(&seed) % ARRAY_SIZE(sizes)], i > readable ? WRITE : 0};
        if (noise(&seed) % 16)
            buffers[0] = (struct buffer){HEADER, 16, 0};
        driver_add(&guest, q, buffers, count);
        driver_kick(&guest, q);
        ok += !driver_needs_reset(&guest);
        if (driver_needs_reset(&guest)) {
            failed++;
            start_with(ALL_FEATURES);
        }
    }
    assert_true(ok > 10000);
    assert_true(failed > 1000);
}

/* --- with the disk that it will have --- */

static void *no_page(void *context)
{
    (void)context;
    return NULL;
}

static void a_scratch_disk_without_memory_says_so(void **state)
{
    static uint8_t image[4096] = {1, 2, 3};
    struct ramdisk_pages pages = {.alloc = no_page};
    struct ramdisk ramdisk;

    (void)state;
    assert_int_equal(ramdisk_init_scratch(&ramdisk, image, sizeof image, 0, &pages), 0);
    virtio_blk_init(&blk, &guest.mem, &ramdisk.disk);
    guest_attach(&guest, &blk.device);
    driver_start(&guest, ALL_FEATURES, 1, 128);
    assert_int_equal(send_request(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_IOERR);
    assert_int_equal(send_request(VIRTIO_BLK_T_IN, 0, 512, WRITE), VIRTIO_BLK_S_OK);
    assert_memory_equal(guest_at(&guest, DATA), "\1\2\3\0", 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, virtio_blk_rig_set_up, virtio_blk_rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(tells_its_geometry),
        TEST(a_read_only_disk_offers_no_changes),
        TEST(reads_sectors),
        TEST(writes_sectors),
        TEST(pieces_of_any_size_make_a_transfer),
        TEST(what_is_not_on_the_disk_is_an_error),
        TEST(a_transfer_has_a_limit),
        TEST(errors_of_the_disk_reach_the_guest),
        TEST(the_header_may_come_in_pieces),
        TEST(what_is_no_request_stops_the_device),
        TEST(a_request_that_changes_underneath_stays_what_it_was),
        TEST(a_full_queue_is_served_with_one_interrupt),
        TEST(random_requests_do_no_harm),
        TEST(a_scratch_disk_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
