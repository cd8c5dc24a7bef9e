/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: every buffer that the guest gives comes back filled, up to a limit, and nothing outside
 * it is touched.
 */
#include "tests/host/fake/virtio_driver.h"
#include "drivers/virt/virtio_rng.h"

static struct guest guest;
static struct virtio_rng rng;
static struct driver_queue *q;
static uint8_t next_byte;

static void count_up(void *context, void *to, size_t size)
{
    assert_ptr_equal(context, &next_byte);
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)to)[i] = ++next_byte;
}

static int set_up(void **state)
{
    static const struct entropy_source source = {count_up, &next_byte};

    (void)state;
    guest_start(&guest);
    next_byte = 0;
    virtio_rng_init(&rng, &guest.mem, &source);
    guest_attach(&guest, &rng.device);
    driver_start(&guest, 0, 1, 16);
    q = &guest.queues[0];
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    guest_stop(&guest);
    return 0;
}

static uint32_t request(const struct buffer *buffers, unsigned count)
{
    struct virtq_used_elem entry;

    driver_add(&guest, q, buffers, count);
    driver_kick(&guest, q);
    assert_true(driver_take_used(&guest, q, &entry));
    return entry.len;
}

static void is_an_entropy_device(void **state)
{
    (void)state;
    assert_int_equal(guest_read_register(&guest, VIRTIO_MMIO_DEVICE_ID), 4);
    assert_int_equal(virtio_mmio_ops.read(&guest.mmio, VIRTIO_MMIO_CONFIG, 1),
                     UINT64_MAX); /* it has none */
    virtio_mmio_ops.write(&guest.mmio, VIRTIO_MMIO_CONFIG, 1, 1);
}

static void fills_the_buffer_and_no_more(void **state)
{
    const struct buffer buffer = {GUEST_BUFFERS + 1, 3, VIRTQ_DESC_F_WRITE};

    (void)state;
    assert_int_equal(request(&buffer, 1), 3);
    assert_memory_equal(guest_at(&guest, GUEST_BUFFERS), "\0\1\2\3\0", 5);
    assert_true(guest.irq.level);
}

static void fills_every_piece(void **state)
{
    const struct buffer buffers[] = {{GUEST_BORDER - 1, 2, VIRTQ_DESC_F_WRITE},
                                     {GUEST_HIGH, 1, VIRTQ_DESC_F_WRITE}};

    (void)state;
    assert_int_equal(request(buffers, 2), 3);
    assert_int_equal(*(uint8_t *)guest_at(&guest, GUEST_BORDER - 1), 1);
    assert_int_equal(*(uint8_t *)guest_at(&guest, GUEST_BORDER), 2);
    assert_int_equal(*(uint8_t *)guest_at(&guest, GUEST_HIGH), 3);
}

static void a_large_request_is_answered_in_part(void **state)
{
    const struct buffer buffer = {GUEST_BUFFERS, 0x10000, VIRTQ_DESC_F_WRITE};

    (void)state;
    assert_int_equal(request(&buffer, 1), VIRTIO_RNG_REQUEST_BYTES_MAX);
    assert_int_equal(*(uint8_t *)guest_at(&guest, GUEST_BUFFERS + VIRTIO_RNG_REQUEST_BYTES_MAX - 1),
                     4096 & 0xff);
    assert_int_equal(*(uint8_t *)guest_at(&guest, GUEST_BUFFERS + VIRTIO_RNG_REQUEST_BYTES_MAX), 0);
}

static void what_is_not_writable_is_left_alone(void **state)
{
    const struct buffer readable = {GUEST_BUFFERS, 16, 0};
    const struct buffer both[] = {{GUEST_BUFFERS, 16, 0},
                                  {GUEST_BUFFERS + 16, 4, VIRTQ_DESC_F_WRITE}};

    (void)state;
    assert_int_equal(request(&readable, 1), 0);
    assert_int_equal(request(both, 2), 4);
    assert_int_equal(*(uint8_t *)guest_at(&guest, GUEST_BUFFERS), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(is_an_entropy_device),
        TEST(fills_the_buffer_and_no_more),
        TEST(fills_every_piece),
        TEST(a_large_request_is_answered_in_part),
        TEST(what_is_not_writable_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
