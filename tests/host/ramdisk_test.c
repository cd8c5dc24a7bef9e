/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a scratch disk behaves as an array of bytes that starts as the image and ends in zeroes,
 * whatever is written, zeroed or discarded and whenever memory runs out; the image itself never
 * changes, and each page taken is given back exactly once.
 */
#include "tests/host/fake/virtio_driver.h"
#include "kernel/ramdisk.h"
#include "kernel/lib/errno.h"

#define IMAGE_BYTES    (3 * 4096 + 700) /* no multiple of a page, nor of a sector */
#define CAPACITY_BYTES (16 * 4096 + 1024)

static uint8_t *image, pristine[IMAGE_BYTES];
static struct ramdisk disk;
static unsigned pages_used, pages_allowed;

static void *alloc(void *context)
{
    void *page;

    assert_ptr_equal(context, &disk);
    if (pages_used == pages_allowed)
        return NULL;
    pages_used++;
    page = aligned_alloc(4096, 4096);
    memset(page, 0xcc, 4096);
    return page;
}

static void give_back(void *context, void *page)
{
    assert_ptr_equal(context, &disk);
    assert_true(pages_used > 0);
    pages_used--;
    free(page);
}

static const struct ramdisk_pages pages = {alloc, give_back, &disk};

static int set_up(void **state)
{
    (void)state;
    image = malloc(IMAGE_BYTES); /* ASan sees a read past its end */
    for (unsigned i = 0; i < IMAGE_BYTES; i++)
        image[i] = pristine[i] = (uint8_t)(i * 7 + i / 256 + 1);
    pages_used = 0;
    pages_allowed = UINT32_MAX;
    assert_int_equal(ramdisk_init_scratch(&disk, image, IMAGE_BYTES, CAPACITY_BYTES, &pages), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_memory_equal(image, pristine, IMAGE_BYTES);
    while (ramdisk_revert_some(&disk))
        ;
    assert_int_equal(pages_used, 0);
    free(image);
    return 0;
}

static int disk_read(uint64_t offset, void *to, size_t size)
{
    return disk.disk.ops->read(disk.disk.context, offset, to, size);
}

static int disk_write(uint64_t offset, const void *from, size_t size)
{
    return disk.disk.ops->write(disk.disk.context, offset, from, size);
}

static int disk_zero(uint64_t offset, uint64_t size)
{
    return disk.disk.ops->write_zeroes(disk.disk.context, offset, size);
}

static int disk_discard(uint64_t offset, uint64_t size)
{
    return disk.disk.ops->discard(disk.disk.context, offset, size);
}

static void assert_reads_as_image(void)
{
    static uint8_t all[CAPACITY_BYTES];

    memset(all, 0xee, sizeof all);
    assert_int_equal(disk_read(0, all, sizeof all), 0);
    assert_memory_equal(all, pristine, IMAGE_BYTES);
    for (unsigned i = IMAGE_BYTES; i < sizeof all; i++)
        assert_int_equal(all[i], 0);
}

static void the_tail_reads_as_zeroes(void **state)
{
    (void)state;
    assert_int_equal(disk.disk.capacity_bytes, CAPACITY_BYTES);
    assert_reads_as_image();
    assert_int_equal(pages_used, 0);
    assert_int_equal(disk.disk.ops->flush(disk.disk.context), 0);
}

static void a_read_only_disk_is_the_image_up_to_a_sector(void **state)
{
    uint8_t last[512], zeroes[512] = {0};

    (void)state;
    ramdisk_init_read_only(&disk, image, IMAGE_BYTES);
    assert_true(disk.disk.read_only);
    assert_int_equal(disk.disk.capacity_bytes, 3 * 4096 + 1024);
    assert_int_equal(disk_read(3 * 4096 + 512, last, 512), 0);
    assert_memory_equal(last, pristine + 3 * 4096 + 512, 700 - 512);
    assert_memory_equal(last + 188, zeroes, 512 - 188);
    assert_int_equal(disk_write(0, zeroes, 512), -EROFS);
    assert_int_equal(disk_zero(0, 512), -EROFS);
    assert_int_equal(disk_discard(0, 512), -EROFS);
}

static void an_empty_disk_needs_no_image(void **state)
{
    uint8_t sector[512], zeroes[512] = {0};

    (void)state;
    assert_int_equal(ramdisk_init_scratch(&disk, NULL, 0, 1000, &pages), 0);
    assert_int_equal(disk.disk.capacity_bytes, 1024);
    assert_int_equal(disk_read(512, sector, 512), 0);
    assert_memory_equal(sector, zeroes, 512);
    memset(sector, 9, 512);
    assert_int_equal(disk_write(512, sector, 512), 0);
    assert_int_equal(disk_read(0, sector, 512), 0);
    assert_memory_equal(sector, zeroes, 512);
}

static void capacity_is_never_below_the_image_nor_above_what_tables_reach(void **state)
{
    (void)state;
    assert_int_equal(ramdisk_init_scratch(&disk, image, IMAGE_BYTES, 0, &pages), 0);
    assert_int_equal(disk.disk.capacity_bytes, 3 * 4096 + 1024);
    assert_int_equal(
        ramdisk_init_scratch(&disk, image, IMAGE_BYTES, RAMDISK_CAPACITY_MAX_BYTES + 1, &pages),
        -EINVAL);
    assert_int_equal(
        ramdisk_init_scratch(&disk, image, IMAGE_BYTES, RAMDISK_CAPACITY_MAX_BYTES, &pages), 0);
}

static void the_last_sector_of_the_largest_disk_works(void **state)
{
    uint8_t in[512], out[512];

    (void)state;
    memset(in, 0x5a, sizeof in);
    assert_int_equal(
        ramdisk_init_scratch(&disk, image, IMAGE_BYTES, RAMDISK_CAPACITY_MAX_BYTES, &pages), 0);
    assert_int_equal(disk_write(RAMDISK_CAPACITY_MAX_BYTES - 512, in, 512), 0);
    assert_int_equal(disk_read(RAMDISK_CAPACITY_MAX_BYTES - 512, out, 512), 0);
    assert_memory_equal(in, out, 512);
    assert_int_equal(pages_used, 4); /* three tables and the page */
}

static void a_write_copies_one_page_and_keeps_its_neighbours(void **state)
{
    uint8_t sector[512], page[4096];

    (void)state;
    memset(sector, 0xab, sizeof sector);
    assert_int_equal(disk_write(3 * 4096, sector, 512), 0);
    assert_int_equal(pages_used, 4);
    assert_int_equal(disk_read(3 * 4096, page, 4096), 0);
    assert_memory_equal(page, sector, 512);
    assert_memory_equal(page + 512, pristine + 3 * 4096 + 512, 700 - 512);
    for (unsigned i = 700; i < 4096; i++)
        assert_int_equal(page[i], 0);
    while (ramdisk_revert_some(&disk))
        ;
    assert_int_equal(pages_used, 0);
    assert_reads_as_image();
}

static void zeroes_cost_tables_but_no_pages(void **state)
{
    uint8_t page[4096], zeroes[4096] = {0};

    (void)state;
    assert_int_equal(disk_zero(4096, 4096), 0);
    assert_int_equal(pages_used, 3);
    assert_int_equal(disk_read(4096, page, 4096), 0);
    assert_memory_equal(page, zeroes, 4096);
    assert_int_equal(disk_zero(8 * 4096, 4096), 0); /* past the image: zeroes already */
    assert_int_equal(pages_used, 3);
    memset(page, 1, 512);
    assert_int_equal(disk_write(4096 + 512, page, 512), 0); /* a copy of zeroes, not of the image */
    assert_int_equal(disk_read(4096, page, 4096), 0);
    assert_memory_equal(page, zeroes, 512);
    assert_memory_equal(page + 1024, zeroes, 4096 - 1024);
    assert_int_equal(pages_used, 4);
    assert_int_equal(disk_zero(4096, 4096), 0);
    assert_int_equal(pages_used, 3);
}

static void a_discard_frees_whole_pages_and_leaves_parts(void **state)
{
    uint8_t pattern[3 * 4096], read[3 * 4096], zeroes[4096] = {0};

    (void)state;
    memset(pattern, 0x77, sizeof pattern);
    assert_int_equal(disk_write(0, pattern, sizeof pattern), 0);
    assert_int_equal(pages_used, 6);
    assert_int_equal(disk_discard(512, 2 * 4096), 0);
    assert_int_equal(pages_used, 5);
    assert_int_equal(disk_read(0, read, sizeof read), 0);
    assert_memory_equal(read, pattern, 4096);
    assert_memory_equal(read + 4096, zeroes, 4096);
    assert_memory_equal(read + 8192, pattern, 4096);
}

static void running_out_of_pages_loses_nothing(void **state)
{
    uint8_t pattern[4 * 4096], read[4 * 4096];

    (void)state;
    memset(pattern, 0x33, sizeof pattern);
    for (pages_allowed = 0; pages_allowed < 3; pages_allowed++) {
        assert_int_equal(disk_write(0, pattern, 512), -ENOSPC);
        assert_reads_as_image();
        assert_int_equal(disk_zero(0, 4096), -ENOSPC);
        assert_int_equal(disk_zero(0, 512), -ENOSPC);
        assert_int_equal(disk_discard(0, 4096), 0);
        assert_reads_as_image();
    }
    pages_allowed = 5;
    assert_int_equal(disk_write(0, pattern, sizeof pattern), -ENOSPC);
    assert_int_equal(disk_read(0, read, sizeof read), 0);
    assert_memory_equal(read, pattern, 2 * 4096);
    assert_memory_equal(read + 2 * 4096, pristine + 2 * 4096, 4096);
    assert_int_equal(disk_write(512, read, 4096), 0); /* pages that it owns take writes still */
    assert_int_equal(disk_zero(0, 4096), 0);          /* and come back for others */
    assert_int_equal(disk_write(2 * 4096, pattern, 4096), 0);
}

/* After a change that failed half-way, each sector is as it was or as it was to be. */
static void take_over_half_done(uint8_t *model, uint64_t offset, uint64_t size, uint8_t fill)
{
    uint8_t sector[512], expected[512];

    memset(expected, fill, sizeof expected);
    for (uint64_t at = offset; at < offset + size; at += 512) {
        assert_int_equal(disk_read(at, sector, 512), 0);
        if (memcmp(sector, model + at, 512) != 0)
            assert_memory_equal(sector, expected, 512);
        memcpy(model + at, sector, 512);
    }
}

static void change(uint8_t *model, uint64_t offset, uint64_t size, uint8_t fill)
{
    static uint8_t bytes[CAPACITY_BYTES];
    int error;

    memset(bytes, fill, size);
    error = fill ? disk_write(offset, bytes, size) : disk_zero(offset, size);
    if (error)
        take_over_half_done(model, offset, size, fill);
    else
        memcpy(model + offset, bytes, size);
}

static void behaves_as_an_array(void **state)
{
    static uint8_t model[CAPACITY_BYTES], read[CAPACITY_BYTES];
    uint64_t seed = 0xd15c;

    (void)state;
    memcpy(model, pristine, IMAGE_BYTES);
    for (unsigned round = 0; round < 20000; round++) {
        uint64_t sectors = CAPACITY_BYTES / 512, first = noise(&seed) % sectors;
        uint64_t offset = first * 512, size = (noise(&seed) % MIN(sectors - first, 24) + 1) * 512;

        pages_allowed = noise(&seed) % 4 ? 18 : 9;
        pages_allowed = MAX(pages_allowed, pages_used);
        if (noise(&seed) % 4 == 0) {
            assert_int_equal(disk_discard(offset, size), 0);
            take_over_half_done(model, offset, size, 0);
        } else {
            change(model, offset, size, noise(&seed) % 3 ? (uint8_t)noise(&seed) : 0);
        }
        assert_int_equal(disk_read(offset, read, size), 0);
        assert_memory_equal(read, model + offset, size);
    }
    assert_int_equal(disk_read(0, read, sizeof read), 0);
    assert_memory_equal(read, model, sizeof model);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_tail_reads_as_zeroes),
        TEST(a_read_only_disk_is_the_image_up_to_a_sector),
        TEST(an_empty_disk_needs_no_image),
        TEST(capacity_is_never_below_the_image_nor_above_what_tables_reach),
        TEST(the_last_sector_of_the_largest_disk_works),
        TEST(a_write_copies_one_page_and_keeps_its_neighbours),
        TEST(zeroes_cost_tables_but_no_pages),
        TEST(a_discard_frees_whole_pages_and_leaves_parts),
        TEST(running_out_of_pages_loses_nothing),
        TEST(behaves_as_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
