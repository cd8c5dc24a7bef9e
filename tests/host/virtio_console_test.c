/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: each byte that the guest prints reaches the sink once and in order, each byte that was
 * typed reaches the guest once and in order, whatever the sizes of its buffers and whenever it
 * provides them.
 */
#include "tests/host/fake/virtio_driver.h"
#include "drivers/virt/virtio_console.h"

static struct guest guest;
static struct virtio_console console;
static struct driver_queue *rx, *tx;
static uint8_t printed[MIB(2)];
static size_t printed_count;
static void (*while_printing)(void);

static void record(void *context, const uint8_t *bytes, size_t count)
{
    assert_ptr_equal(context, printed);
    assert_true(printed_count + count <= sizeof printed);
    memcpy(printed + printed_count, bytes, count);
    printed_count += count;
    if (while_printing)
        while_printing();
}

static void start_with(uint64_t features)
{
    static const struct chardev output = {record, printed};

    virtio_console_init(&console, &guest.mem, &output);
    guest_attach(&guest, &console.device);
    driver_start(&guest, features, 2, 16);
    rx = &guest.queues[VIRTIO_CONSOLE_RECEIVEQ];
    tx = &guest.queues[VIRTIO_CONSOLE_TRANSMITQ];
}

static int set_up(void **state)
{
    (void)state;
    guest_start(&guest);
    printed_count = 0;
    while_printing = NULL;
    start_with(VIRTIO_F_EVENT_IDX);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    guest_stop(&guest);
    return 0;
}

static void type(const char *text)
{
    assert_int_equal(virtio_console_receive(&console, (const uint8_t *)text, strlen(text)),
                     strlen(text));
}

static void give_buffer(uint64_t address, uint32_t size)
{
    driver_add(&guest, rx, &(struct buffer){address, size, VIRTQ_DESC_F_WRITE}, 1);
    driver_kick(&guest, rx);
}

static void assert_received(uint64_t address, const char *text)
{
    struct virtq_used_elem entry;

    assert_true(driver_take_used(&guest, rx, &entry));
    assert_int_equal(entry.len, strlen(text));
    assert_memory_equal(guest_at(&guest, address), text, entry.len);
}

static void assert_printed(const char *text)
{
    assert_int_equal(printed_count, strlen(text));
    assert_memory_equal(printed, text, printed_count);
}

/* --- from the guest --- */

static void prints_what_is_transmitted(void **state)
{
    const struct buffer buffers[] = {{GUEST_BORDER - 3, 5, 0}, {GUEST_BUFFERS, 2, 0}};
    struct virtq_used_elem entry;

    (void)state;
    memcpy(guest_at(&guest, GUEST_BORDER - 3), "hel", 3);
    memcpy(guest_at(&guest, GUEST_BORDER), "lo", 2);
    memcpy(guest_at(&guest, GUEST_BUFFERS), "!\n", 2);
    driver_add(&guest, tx, buffers, 2);
    driver_kick(&guest, tx);
    assert_printed("hello!\n");
    assert_true(driver_take_used(&guest, tx, &entry));
    assert_int_equal(entry.len, 0);
    assert_true(guest.irq.level);
}

static void long_lines_arrive_whole(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10000; i++)
        *(uint8_t *)guest_at(&guest, GUEST_BUFFERS + i) = (uint8_t)(i * 31);
    driver_add(&guest, tx, &(struct buffer){GUEST_BUFFERS, 10000, 0}, 1);
    driver_kick(&guest, tx);
    assert_int_equal(printed_count, 10000);
    assert_memory_equal(printed, guest_at(&guest, GUEST_BUFFERS), 10000);
}

static void a_monstrous_line_is_cut(void **state)
{
    struct buffer buffers[4];

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(buffers); i++)
        buffers[i] = (struct buffer){0, GUEST_RAM_END, 0};
    driver_add(&guest, tx, buffers, ARRAY_SIZE(buffers));
    driver_kick(&guest, tx);
    assert_int_equal(printed_count, VIRTIO_CONSOLE_REQUEST_BYTES_MAX);
    assert_int_equal(driver_used(&guest, tx)->idx, 1);
}

static void writable_buffers_in_the_transmit_queue_print_nothing(void **state)
{
    (void)state;
    driver_add(&guest, tx, &(struct buffer){GUEST_BUFFERS, 16, VIRTQ_DESC_F_WRITE}, 1);
    driver_kick(&guest, tx);
    assert_int_equal(printed_count, 0);
    assert_int_equal(driver_used(&guest, tx)->idx, 1);
}

static void echo(void)
{
    virtio_console_receive(&console, printed, printed_count);
}

static void a_sink_may_send_input_back(void **state)
{
    (void)state;
    while_printing = echo;
    give_buffer(GUEST_BUFFERS + 0x100, 16);
    memcpy(guest_at(&guest, GUEST_BUFFERS), "abc", 3);
    driver_add(&guest, tx, &(struct buffer){GUEST_BUFFERS, 3, 0}, 1);
    driver_kick(&guest, tx);
    assert_printed("abc");
    assert_received(GUEST_BUFFERS + 0x100, "abc");
    assert_int_equal(driver_used(&guest, tx)->idx, 1);
}

static void an_emergency_write_needs_no_driver(void **state)
{
    (void)state;
    guest_write_register(&guest, VIRTIO_MMIO_STATUS, 0);
    virtio_mmio_ops.write(&guest.mmio, VIRTIO_MMIO_CONFIG + 8, 4, 'x');
    virtio_mmio_ops.write(&guest.mmio, VIRTIO_MMIO_CONFIG + 8, 1, 'y');
    virtio_mmio_ops.write(&guest.mmio, VIRTIO_MMIO_CONFIG + 9, 1, 'z');
    virtio_mmio_ops.write(&guest.mmio, VIRTIO_MMIO_CONFIG, 4, 'z');
    assert_printed("xy");
}

/* --- to the guest --- */

static void typed_bytes_go_to_a_waiting_buffer(void **state)
{
    (void)state;
    give_buffer(GUEST_BUFFERS, 16);
    assert_int_equal(driver_used(&guest, rx)->idx, 0);
    type("ls\n");
    assert_received(GUEST_BUFFERS, "ls\n");
    assert_true(guest.irq.level);
}

static void typed_bytes_wait_for_a_buffer(void **state)
{
    (void)state;
    type("early ");
    type("bird");
    assert_false(guest.irq.level);
    give_buffer(GUEST_BUFFERS, 4);
    give_buffer(GUEST_BUFFERS + 16, 100);
    assert_received(GUEST_BUFFERS, "earl");
    assert_received(GUEST_BUFFERS + 16, "y bird");
}

static void typed_bytes_wait_for_the_driver(void **state)
{
    (void)state;
    guest_write_register(&guest, VIRTIO_MMIO_STATUS, 0);
    type("before boot");
    assert_true(driver_negotiate(&guest, VIRTIO_F_VERSION_1));
    rx = driver_set_up_queue(&guest, VIRTIO_CONSOLE_RECEIVEQ, 16);
    driver_add(&guest, rx, &(struct buffer){GUEST_BUFFERS, 64, VIRTQ_DESC_F_WRITE}, 1);
    driver_go(&guest);
    assert_received(GUEST_BUFFERS, "before boot");
}

static void a_full_fifo_says_so_and_wraps(void **state)
{
    uint8_t bytes[VIRTIO_CONSOLE_FIFO_BYTES + 100];
    struct virtq_used_elem entry;

    (void)state;
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 13 + i / 256);
    assert_int_equal(virtio_console_receive(&console, bytes, 1000), 1000);
    assert_int_equal(virtio_console_receive(&console, bytes + 1000, 124), 24);
    give_buffer(GUEST_BUFFERS, 100);
    assert_int_equal(virtio_console_receive(&console, bytes + 1024, 200), 100);
    give_buffer(GUEST_BUFFERS + 100, 2000);
    assert_true(driver_take_used(&guest, rx, &entry));
    assert_int_equal(entry.len, 100);
    assert_true(driver_take_used(&guest, rx, &entry));
    assert_int_equal(entry.len, 1024);
    assert_memory_equal(guest_at(&guest, GUEST_BUFFERS), bytes, 1124);
}

static void a_new_guest_does_not_see_what_the_old_one_was_sent(void **state)
{
    (void)state;
    type("old");
    virtio_mmio_reset(&guest.mmio);
    virtio_console_drop_input(&console);
    driver_start(&guest, 0, 2, 16);
    give_buffer(GUEST_BUFFERS, 16);
    type("new");
    assert_received(GUEST_BUFFERS, "new");
}

static void readable_buffers_in_the_receive_queue_come_back_empty(void **state)
{
    struct virtq_used_elem entry;

    (void)state;
    driver_add(&guest, rx, &(struct buffer){GUEST_BUFFERS, 16, 0}, 1);
    driver_kick(&guest, rx);
    type("x");
    assert_true(driver_take_used(&guest, rx, &entry));
    assert_int_equal(entry.len, 0);
    give_buffer(GUEST_BUFFERS, 16);
    assert_received(GUEST_BUFFERS, "x");
}

/* The driver is asked to tell of buffers only while bytes wait for them. */
static void buffers_are_announced_only_when_needed(void **state)
{
    (void)state;
    start_with(0);
    assert_int_equal(driver_used(&guest, rx)->flags, VIRTQ_USED_F_NO_NOTIFY);
    type("x");
    assert_int_equal(driver_used(&guest, rx)->flags, 0);
    give_buffer(GUEST_BUFFERS, 16);
    assert_received(GUEST_BUFFERS, "x");
    assert_int_equal(driver_used(&guest, rx)->flags, VIRTQ_USED_F_NO_NOTIFY);
}

static void with_event_indices_the_next_buffer_is_asked_for(void **state)
{
    (void)state;
    give_buffer(GUEST_BUFFERS, 1);
    type("xy");
    assert_int_equal(*driver_avail_event(&guest, rx), 1);
}

static void a_broken_receive_queue_stops_the_device(void **state)
{
    (void)state;
    driver_avail(&guest, rx)->idx = 100;
    assert_false(driver_needs_reset(&guest));
    type("x");
    assert_true(driver_needs_reset(&guest));
    type("y"); /* waits, as for any driver that is not there */
}

/* --- the rest --- */

static void tells_its_size(void **state)
{
    (void)state;
    assert_int_equal(guest_read_register(&guest, VIRTIO_MMIO_DEVICE_ID), 3);
    virtio_console_set_size(&console, 132, 50);
    assert_int_equal(virtio_mmio_ops.read(&guest.mmio, VIRTIO_MMIO_CONFIG, 2), 132);
    assert_int_equal(virtio_mmio_ops.read(&guest.mmio, VIRTIO_MMIO_CONFIG + 2, 2), 50);
    assert_int_equal(virtio_mmio_ops.read(&guest.mmio, VIRTIO_MMIO_CONFIG + 4, 4), 1);
    assert_int_equal(guest_read_register(&guest, VIRTIO_MMIO_INTERRUPT_STATUS),
                     VIRTIO_MMIO_INT_CONFIG);
    assert_int_equal(guest_read_register(&guest, VIRTIO_MMIO_CONFIG_GENERATION), 1);
}

static void random_sizes_keep_every_byte_in_order(void **state)
{
    uint8_t next_typed = 0, next_received = 0;
    uint64_t seed = 0xc0de;
    struct virtq_used_elem entry;
    unsigned received = 0;

    (void)state;
    for (unsigned round = 0; round < 50000; round++) {
        uint8_t bytes[64];
        size_t count = noise(&seed) % sizeof bytes;

        for (unsigned i = 0; i < count; i++)
            bytes[i] = (uint8_t)(next_typed + i);
        next_typed = (uint8_t)(next_typed + virtio_console_receive(&console, bytes, count));
        if (rx->next_avail - rx->next_used < 16) { /* buffer i is always at the same place */
            uint16_t slot = rx->next_desc % 16;

            give_buffer(GUEST_BUFFERS + slot * 256, (uint32_t)(noise(&seed) % 100 + 1));
        }
        while (noise(&seed) % 2 && driver_take_used(&guest, rx, &entry)) {
            const uint8_t *got = guest_at(&guest, GUEST_BUFFERS + entry.id * 256);

            for (unsigned i = 0; i < entry.len; i++)
                assert_int_equal(got[i], next_received++);
            received += entry.len;
        }
        assert_false(driver_needs_reset(&guest));
    }
    assert_true(received > 100000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(prints_what_is_transmitted),
        TEST(long_lines_arrive_whole),
        TEST(a_monstrous_line_is_cut),
        TEST(writable_buffers_in_the_transmit_queue_print_nothing),
        TEST(a_sink_may_send_input_back),
        TEST(an_emergency_write_needs_no_driver),
        TEST(typed_bytes_go_to_a_waiting_buffer),
        TEST(typed_bytes_wait_for_a_buffer),
        TEST(typed_bytes_wait_for_the_driver),
        TEST(a_full_fifo_says_so_and_wraps),
        TEST(a_new_guest_does_not_see_what_the_old_one_was_sent),
        TEST(readable_buffers_in_the_receive_queue_come_back_empty),
        TEST(buffers_are_announced_only_when_needed),
        TEST(with_event_indices_the_next_buffer_is_asked_for),
        TEST(a_broken_receive_queue_stops_the_device),
        TEST(tells_its_size),
        TEST(random_sizes_keep_every_byte_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
