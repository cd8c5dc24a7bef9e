/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: what the guest gives back reaches the owner of the memory page by page, and the guest hears that it is done
 * only when the owner says that it is out of use; what it takes again is there before it hears so. No list of pages,
 * however wrong, does anything else.
 */
#include "tests/host/fake/virtio_driver.h"
#include "drivers/virt/virtio_balloon.h"
#include "kernel/lib/errno.h"

#define FEATURES (VIRTIO_BALLOON_F_STATS_VQ | VIRTIO_BALLOON_F_MUST_TELL_HOST)
#define LOG_MAX  4096u

static struct guest guest;
static struct virtio_balloon balloon;
static struct {
    uint64_t address, size;
} released[LOG_MAX];
static uint64_t restored[LOG_MAX];
static unsigned released_count, restored_count, room, flushes;
static uint64_t step; /* of what is released at once */
static bool is_empty;

static bool has_room(void *context)
{
    assert_ptr_equal(context, &guest);
    return room > 0;
}

static uint64_t release(void *context, gpa_t address, uint64_t size)
{
    (void)context;
    assert_true(room-- > 0);
    released[released_count].address = address.value;
    released[released_count++].size = size;
    return MIN(size, step);
}

static int restore(void *context, gpa_t address)
{
    (void)context;
    if (is_empty)
        return -ENOMEM;
    restored[restored_count++] = address.value;
    return 0;
}

static void flush(void *context)
{
    (void)context;
    flushes++;
}

static void init(bool reports)
{
    const struct balloon_memory memory = {has_room, release, restore, flush, &guest};

    guest_start(&guest);
    released_count = restored_count = flushes = 0;
    room = 256;
    step = UINT64_MAX;
    is_empty = false;
    virtio_balloon_init(&balloon, &guest.mem, &memory, reports);
    guest_attach(&guest, &balloon.device);
}

static int set_up(void **state)
{
    (void)state;
    init(true);
    driver_start(&guest, FEATURES | VIRTIO_BALLOON_F_PAGE_REPORTING, VIRTIO_BALLOON_QUEUES, 16);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    guest_stop(&guest);
    return 0;
}

static void say_pages(unsigned queue, const uint32_t *pages, unsigned count)
{
    struct buffer buffer = {GUEST_BUFFERS, count * (uint32_t)sizeof *pages, 0};

    assert_int_equal(guest_mem_write(&guest.mem, GPA(GUEST_BUFFERS), pages, buffer.len), 0);
    driver_add(&guest, &guest.queues[queue], &buffer, 1);
    driver_kick(&guest, &guest.queues[queue]);
}

/* What the guest is served in its own time comes later. */
static void end_flush(void)
{
    virtio_balloon_flushed(&balloon);
    fake_clock_advance(1);
}

static bool is_answered(unsigned queue)
{
    struct virtq_used_elem entry;

    return driver_take_used(&guest, &guest.queues[queue], &entry);
}

static void is_a_balloon(void **state)
{
    (void)state;
    assert_int_equal(guest_read_register(&guest, VIRTIO_MMIO_DEVICE_ID), 5);
    virtio_balloon_set_target(&balloon, 0x12345);
    assert_true(guest.irq.level);
    assert_int_equal(guest_read_register(&guest, VIRTIO_MMIO_CONFIG), 0x12345);
    guest_write_register(&guest, VIRTIO_MMIO_CONFIG, 7); /* is ours alone */
    guest_write_register(&guest, VIRTIO_MMIO_CONFIG + 4, 99);
    assert_int_equal(balloon.config.num_pages, 0x12345);
    assert_int_equal(balloon.config.actual, 99);
    guest_write_register(&guest, VIRTIO_MMIO_STATUS, 0);
    assert_int_equal(balloon.config.num_pages, 0x12345); /* a new driver is asked, too */
    assert_int_equal(balloon.config.actual, 0);
}

static void inflation_is_answered_after_the_flush(void **state)
{
    static const uint32_t pages[] = {5, 0xffffffff, 5};

    (void)state;
    say_pages(VIRTIO_BALLOON_INFLATE, pages, 3);
    assert_int_equal(released_count, 3);
    assert_int_equal(released[0].address, 0x5000);
    assert_int_equal(released[1].address, UINT64_C(0xffffffff) << 12);
    assert_int_equal(released[2].size, 4096);
    assert_int_equal(flushes, 1);
    assert_false(is_answered(VIRTIO_BALLOON_INFLATE));
    end_flush();
    assert_true(is_answered(VIRTIO_BALLOON_INFLATE));
    assert_true(guest.irq.level);
    end_flush();
    assert_false(is_answered(VIRTIO_BALLOON_INFLATE));
}

static void a_long_list_takes_rounds(void **state)
{
    uint32_t pages[1000];

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        pages[i] = i;
    say_pages(VIRTIO_BALLOON_INFLATE, pages, 1000);
    memset(guest_at(&guest, GUEST_BUFFERS), 0xff, sizeof pages); /* what it says now is too late */
    assert_int_equal(released_count, VIRTIO_BALLOON_ROUND); /* others run before the rest */
    for (unsigned round = 1; round <= 4; round++) {
        fake_clock_advance(FAKE_HZ);
        assert_int_equal(released_count, round < 4 ? 256 * round : 1000);
        assert_false(is_answered(VIRTIO_BALLOON_INFLATE));
        room = 256;
        end_flush();
    }
    assert_true(is_answered(VIRTIO_BALLOON_INFLATE));
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(released[i].address, i << 12);
}

static void one_request_waits_for_the_other(void **state)
{
    static const uint32_t one = 1, two = 2;

    (void)state;
    say_pages(VIRTIO_BALLOON_INFLATE, &one, 1);
    say_pages(VIRTIO_BALLOON_INFLATE, &two, 1);
    assert_int_equal(released_count, 1);
    end_flush();
    assert_true(is_answered(VIRTIO_BALLOON_INFLATE));
    assert_false(is_answered(VIRTIO_BALLOON_INFLATE));
    assert_int_equal(released[1].address, 0x2000);
    end_flush();
    assert_true(is_answered(VIRTIO_BALLOON_INFLATE));
}

/* Whoever flushes does not work for a guest that always has another request. */
static void a_flush_begins_nothing_new(void **state)
{
    static const uint32_t one = 1, two = 2;

    (void)state;
    say_pages(VIRTIO_BALLOON_INFLATE, &one, 1);
    say_pages(VIRTIO_BALLOON_INFLATE, &two, 1);
    virtio_balloon_flushed(&balloon);
    assert_true(is_answered(VIRTIO_BALLOON_INFLATE));
    assert_int_equal(released_count, 1);
    fake_clock_advance(1);
    assert_int_equal(released_count, 2);
    end_flush();
    assert_true(is_answered(VIRTIO_BALLOON_INFLATE));
    assert_false(balloon.device.resume.armed); /* the driver tells of the next one */
}

static void lists_that_are_none(void **state)
{
    static const struct buffer writable = {GUEST_BUFFERS, 64, VIRTQ_DESC_F_WRITE}, odd = {GUEST_BUFFERS, 7, 0},
                               huge = {GUEST_BUFFERS, 4 * (VIRTIO_BALLOON_PAGES_MAX + 1), 0};
    const struct buffer *const all[] = {&writable, &odd, &huge};
    static const unsigned pages_of[] = {0, 1, 0};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        released_count = 0;
        driver_add(&guest, &guest.queues[0], all[i], 1);
        driver_kick(&guest, &guest.queues[0]);
        assert_int_equal(released_count, pages_of[i]);
        end_flush();
        assert_true(is_answered(VIRTIO_BALLOON_INFLATE));
    }
}

static void a_reset_forgets_what_was_in_hand(void **state)
{
    static const uint32_t page = 1;

    (void)state;
    say_pages(VIRTIO_BALLOON_INFLATE, &page, 1);
    driver_start(&guest, FEATURES, 3, 16);
    end_flush();
    assert_false(is_answered(VIRTIO_BALLOON_INFLATE));
}

static void deflation_is_answered_when_the_pages_are_there(void **state)
{
    static const uint32_t pages[] = {3, 4};

    (void)state;
    say_pages(VIRTIO_BALLOON_DEFLATE, pages, 2);
    assert_int_equal(restored_count, 2);
    assert_int_equal(restored[1], 0x4000);
    assert_true(is_answered(VIRTIO_BALLOON_DEFLATE));
}

static void deflation_waits_for_free_memory(void **state)
{
    static const uint32_t pages[] = {3, 4};

    (void)state;
    is_empty = true;
    say_pages(VIRTIO_BALLOON_DEFLATE, pages, 2);
    assert_false(is_answered(VIRTIO_BALLOON_DEFLATE));
    assert_int_equal(fake_log_count, 1);
    fake_clock_advance(FAKE_HZ);
    assert_int_equal(fake_log_count, 1); /* said once */
    is_empty = false;
    fake_clock_advance(FAKE_HZ);
    assert_true(is_answered(VIRTIO_BALLOON_DEFLATE));
    assert_int_equal(restored_count, 2);
    assert_int_equal(restored[0], 0x3000);
}

static void a_long_deflation_lets_the_guest_run(void **state)
{
    uint32_t pages[1000];

    (void)state;
    memset(pages, 0, sizeof pages);
    say_pages(VIRTIO_BALLOON_DEFLATE, pages, 1000);
    assert_int_equal(restored_count, VIRTIO_BALLOON_ROUND);
    fake_clock_advance(FAKE_HZ);
    assert_int_equal(restored_count, 1000);
    assert_true(is_answered(VIRTIO_BALLOON_DEFLATE));
}

static void say_stats(uint16_t tag, uint64_t value)
{
    struct virtio_balloon_stat stats[] = {{tag, value}, {0xffff, 1}};
    struct buffer buffer = {GUEST_BUFFERS + 1, sizeof stats, 0};

    assert_int_equal(guest_mem_write(&guest.mem, GPA(buffer.addr), stats, sizeof stats), 0);
    driver_add(&guest, &guest.queues[VIRTIO_BALLOON_STATS], &buffer, 1);
    driver_kick(&guest, &guest.queues[VIRTIO_BALLOON_STATS]);
}

static void statistics_come_when_they_are_asked_for(void **state)
{
    (void)state;
    virtio_balloon_poll_stats(&balloon); /* it has given none */
    say_stats(VIRTIO_BALLOON_S_MEMFREE, 0x123456789);
    assert_int_equal(balloon.stats[VIRTIO_BALLOON_S_MEMFREE], 0x123456789);
    assert_int_equal(balloon.known_stats, 1u << VIRTIO_BALLOON_S_MEMFREE);
    assert_false(is_answered(VIRTIO_BALLOON_STATS));
    virtio_balloon_poll_stats(&balloon);
    assert_true(is_answered(VIRTIO_BALLOON_STATS));
    virtio_balloon_poll_stats(&balloon);
    assert_false(is_answered(VIRTIO_BALLOON_STATS));
    say_stats(VIRTIO_BALLOON_S_MEMFREE, 1);
    say_stats(VIRTIO_BALLOON_S_MEMFREE, 2); /* one too many: it has the other one back */
    assert_true(is_answered(VIRTIO_BALLOON_STATS));
    assert_false(is_answered(VIRTIO_BALLOON_STATS));
    assert_int_equal(balloon.stats[VIRTIO_BALLOON_S_MEMFREE], 2);
}

static void reports_come_through_any_of_their_queues(void **state)
{
    static const struct buffer free_memory[] = {{0x200000, 0x200000, VIRTQ_DESC_F_WRITE},
                                                {UINT64_C(1) << 62, 16, VIRTQ_DESC_F_WRITE}};

    (void)state;
    for (unsigned queue = VIRTIO_BALLOON_STATS + 1; queue < VIRTIO_BALLOON_QUEUES; queue++) {
        released_count = 0;
        driver_add(&guest, &guest.queues[queue], free_memory, 2);
        driver_kick(&guest, &guest.queues[queue]);
        assert_int_equal(released_count, 2);
        assert_int_equal(released[0].address, 0x200000);
        assert_int_equal(released[0].size, 0x200000);
        assert_int_equal(released[1].address, UINT64_C(1) << 62);
        assert_false(is_answered(queue));
        end_flush();
        assert_true(is_answered(queue));
    }
}

/* Extents are finished in as many rounds as their owner wants; one that he cannot take holds up nothing. */
static void a_long_report_takes_rounds(void **state)
{
    static const struct buffer free_memory[] = {{0x200000, 0x200000, VIRTQ_DESC_F_WRITE}, {0x600000, 0x200000, VIRTQ_DESC_F_WRITE}};

    (void)state;
    room = 3;
    step = 0x80000;
    driver_add(&guest, &guest.queues[3], free_memory, 2);
    driver_kick(&guest, &guest.queues[3]);
    assert_int_equal(released_count, 3);
    room = 3;
    end_flush();
    assert_false(is_answered(3));
    assert_int_equal(released[3].address, 0x380000);
    assert_int_equal(released[3].size, 0x80000);
    assert_int_equal(released[4].address, 0x600000);
    room = 1;
    step = 0;
    end_flush();
    assert_int_equal(released[6].address, 0x700000);
    end_flush();
    assert_true(is_answered(3));
}

static void a_report_that_wraps_fails_its_queue(void **state)
{
    static const struct buffer everything = {~UINT64_C(0), 16, VIRTQ_DESC_F_WRITE};

    (void)state;
    driver_add(&guest, &guest.queues[3], &everything, 1);
    driver_kick(&guest, &guest.queues[3]);
    assert_int_equal(released_count, 0);
    assert_true(driver_needs_reset(&guest));
}

static void without_statistics_their_queue_has_the_reports(void **state)
{
    static const struct buffer free_memory = {0x200000, 0xffffffff, VIRTQ_DESC_F_WRITE};

    (void)state;
    driver_start(&guest, VIRTIO_BALLOON_F_PAGE_REPORTING, 3, 16);
    driver_add(&guest, &guest.queues[2], &free_memory, 1);
    driver_kick(&guest, &guest.queues[2]);
    assert_int_equal(released_count, 1);
    assert_int_equal(released[0].size, VIRTIO_BALLOON_REPORT_BYTES_MAX);
    virtio_balloon_poll_stats(&balloon);
    assert_false(is_answered(2));
    end_flush();
    assert_true(is_answered(2));
}

static void reports_are_only_asked_for_when_they_are_wanted(void **state)
{
    (void)state;
    guest_stop(&guest);
    init(false);
    assert_false(driver_negotiate(&guest, VIRTIO_F_VERSION_1 | VIRTIO_BALLOON_F_PAGE_REPORTING));
    assert_true(driver_negotiate(&guest, VIRTIO_F_VERSION_1 | FEATURES | VIRTIO_BALLOON_F_DEFLATE_ON_OOM));
}

static void its_rings_are_in_use(void **state)
{
    (void)state;
    assert_true(virtio_device_uses(&balloon.device, GPA(guest.queues[0].desc), 4096));
    assert_true(virtio_device_uses(&balloon.device, GPA(guest.queues[1].used), 4096));
    assert_false(virtio_device_uses(&balloon.device, GPA(GUEST_BUFFERS), 4096));
    assert_false(virtio_device_uses(&balloon.device, GPA(0), 4096));
    guest_write_register(&guest, VIRTIO_MMIO_STATUS, 0);
    assert_false(virtio_device_uses(&balloon.device, GPA(0), GUEST_RAM_END));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(is_a_balloon),
        TEST(inflation_is_answered_after_the_flush),
        TEST(a_long_list_takes_rounds),
        TEST(one_request_waits_for_the_other),
        TEST(a_flush_begins_nothing_new),
        TEST(lists_that_are_none),
        TEST(a_reset_forgets_what_was_in_hand),
        TEST(deflation_is_answered_when_the_pages_are_there),
        TEST(deflation_waits_for_free_memory),
        TEST(a_long_deflation_lets_the_guest_run),
        TEST(statistics_come_when_they_are_asked_for),
        TEST(reports_come_through_any_of_their_queues),
        TEST(a_long_report_takes_rounds),
        TEST(a_report_that_wraps_fails_its_queue),
        TEST(without_statistics_their_queue_has_the_reports),
        TEST(reports_are_only_asked_for_when_they_are_wanted),
        TEST(its_rings_are_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
