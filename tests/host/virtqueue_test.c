/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: well-formed chains of every shape arrive whole, and notifications in both directions come exactly
 * when the other side asked for them.
 */
#include "tests/host/fake/virtqueue_rig.h"

/* --- chains --- */

static void an_empty_ring_gives_nothing(void **state)
{
    (void)state;
    assert_false(vq_pop(&queue, &chain));
    assert_false(driver_needs_reset(&guest));
}

static void a_chain_arrives_with_its_directions(void **state)
{
    const struct buffer buffers[] = {{GUEST_BUFFERS, 16, 0},
                                     {GUEST_BUFFERS + 0x100, 4, 0},
                                     {GUEST_HIGH, 32, VIRTQ_DESC_F_WRITE}};
    uint16_t head;

    (void)state;
    q->next_desc = 14; /* wraps in the table */
    head = driver_add(&guest, q, buffers, 3);
    assert_true(vq_pop(&queue, &chain));
    assert_int_equal(chain.head, head);
    assert_int_equal(chain.readable.left_bytes, 20);
    assert_int_equal(chain.writable.left_bytes, 32);
    assert_ptr_equal(vq_stream_take(&chain.readable, 100).bytes, guest_at(&guest, GUEST_BUFFERS));
    assert_ptr_equal(vq_stream_take(&chain.readable, 100).bytes,
                     guest_at(&guest, GUEST_BUFFERS + 0x100));
    assert_int_equal(vq_stream_take(&chain.readable, 100).size_bytes, 0);
    assert_ptr_equal(vq_stream_take(&chain.writable, 1).bytes, guest_at(&guest, GUEST_HIGH));
    assert_ptr_equal(vq_stream_take(&chain.writable, 100).bytes, guest_at(&guest, GUEST_HIGH + 1));
    assert_int_equal(chain.writable.left_bytes, 0);
    assert_false(vq_pop(&queue, &chain));
}

static void a_writable_only_chain_has_nothing_to_read(void **state)
{
    const struct buffer buffer = {GUEST_BUFFERS, 8, VIRTQ_DESC_F_WRITE};
    char byte;

    (void)state;
    driver_add(&guest, q, &buffer, 1);
    assert_true(vq_pop(&queue, &chain));
    assert_int_equal(vq_stream_read(&chain.readable, &byte, 1), 0);
    assert_int_equal(vq_stream_write(&chain.writable, "12345678", 8), 8);
    assert_memory_equal(guest_at(&guest, GUEST_BUFFERS), "12345678", 8);
}

static void a_buffer_is_split_where_slots_meet(void **state)
{
    const struct buffer buffer = {GUEST_BORDER - 3, 8, VIRTQ_DESC_F_WRITE};

    (void)state;
    driver_add(&guest, q, &buffer, 1);
    assert_true(vq_pop(&queue, &chain));
    assert_int_equal(chain.span_count, 2);
    assert_int_equal(vq_stream_write(&chain.writable, "abcdefghXX", 10), 8);
    assert_memory_equal(guest_at(&guest, GUEST_BORDER - 3), "abc", 3);
    assert_memory_equal(guest_at(&guest, GUEST_BORDER), "defgh", 5);
}

static void streams_read_across_spans(void **state)
{
    const struct buffer buffers[] = {{GUEST_BORDER - 2, 4, 0}, {GUEST_BUFFERS, 3, 0}};
    char text[16] = {0};

    (void)state;
    memcpy(guest_at(&guest, GUEST_BORDER - 2), "ab", 2);
    memcpy(guest_at(&guest, GUEST_BORDER), "cd", 2);
    memcpy(guest_at(&guest, GUEST_BUFFERS), "efg", 3);
    driver_add(&guest, q, buffers, 2);
    assert_true(vq_pop(&queue, &chain));
    assert_int_equal(vq_stream_read(&chain.readable, text, 3), 3);
    assert_int_equal(vq_stream_read(&chain.readable, text + 3, 10), 4);
    assert_string_equal(text, "abcdefg");
}

static void the_last_byte_can_be_cut_off(void **state)
{
    const struct buffer buffers[] = {{GUEST_BUFFERS, 2, VIRTQ_DESC_F_WRITE},
                                     {GUEST_BUFFERS + 16, 1, VIRTQ_DESC_F_WRITE}};

    (void)state;
    driver_add(&guest, q, buffers, 2);
    assert_true(vq_pop(&queue, &chain));
    assert_ptr_equal(vq_chain_cut_last_byte(&chain), guest_at(&guest, GUEST_BUFFERS + 16));
    assert_int_equal(vq_stream_write(&chain.writable, "xyz", 3), 2);
    driver_add(&guest, q, &(struct buffer){GUEST_BUFFERS, 2, 0}, 1);
    assert_true(vq_pop(&queue, &chain));
    assert_null(vq_chain_cut_last_byte(&chain));
}

static void an_indirect_table_is_followed(void **state)
{
    const struct buffer buffers[] = {{GUEST_BUFFERS, 16, 0},
                                     {GUEST_BUFFERS + 64, 8, VIRTQ_DESC_F_WRITE}};

    (void)state;
    driver_add_indirect(&guest, q, GUEST_BUFFERS + 0x1000, buffers, 2);
    assert_true(vq_pop(&queue, &chain));
    assert_int_equal(chain.readable.left_bytes, 16);
    assert_int_equal(chain.writable.left_bytes, 8);
}

/*
 * VIRTIO 1.2, "Indirect Descriptors": normal ones may come first, and WRITE on the indirect one
 * means nothing.
 */
static void normal_descriptors_may_precede_an_indirect_one(void **state)
{
    const struct buffer inner = {GUEST_BUFFERS + 64, 8, VIRTQ_DESC_F_WRITE};
    struct virtq_desc *first;

    (void)state;
    driver_add_indirect(&guest, q, GUEST_BUFFERS + 0x1000, &inner, 1);
    driver_desc(&guest, q, 0)->flags |= VIRTQ_DESC_F_WRITE;
    first = driver_desc(&guest, q, 7);
    *first = (struct virtq_desc){GUEST_BUFFERS, 16, VIRTQ_DESC_F_NEXT, 0};
    driver_avail(&guest, q)->ring[0] = 7;
    assert_true(vq_pop(&queue, &chain));
    assert_int_equal(chain.head, 7);
    assert_int_equal(chain.readable.left_bytes, 16);
    assert_int_equal(chain.writable.left_bytes, 8);
}

/*
 * Guests place tables where they like: a border of slots or an odd address in a table is no
 * mistake.
 */
static void an_indirect_table_may_lie_anywhere(void **state)
{
    static const uint64_t tables[] = {GUEST_BORDER - 16, GUEST_BORDER - 24, GUEST_BUFFERS + 1,
                                      GUEST_HIGH};
    const struct buffer buffers[] = {
        {GUEST_BUFFERS, 1, 0}, {GUEST_BUFFERS, 2, 0}, {GUEST_BUFFERS, 4, VIRTQ_DESC_F_WRITE}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
        driver_add_indirect(&guest, q, tables[i], buffers, 3);
        assert_true(vq_pop(&queue, &chain));
        assert_int_equal(chain.readable.left_bytes, 3);
        assert_int_equal(chain.writable.left_bytes, 4);
    }
}

static void the_longest_chain_passes(void **state)
{
    static struct buffer buffers[VQ_SIZE_MAX + 1];

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(buffers); i++)
        buffers[i] = (struct buffer){GUEST_BUFFERS + i, 1, 0};
    driver_add_indirect(&guest, q, GUEST_BUFFERS + 0x4000, buffers, VQ_SIZE_MAX);
    assert_true(vq_pop(&queue, &chain));
    assert_int_equal(chain.readable.left_bytes, VQ_SIZE_MAX);
    driver_add_indirect(&guest, q, GUEST_BUFFERS + 0x4000, buffers, VQ_SIZE_MAX + 1);
    assert_refused("too long or loops");
}

static void used_entries_come_in_order_and_wrap(void **state)
{
    const struct buffer buffer = {GUEST_BUFFERS, 8, VIRTQ_DESC_F_WRITE};
    struct virtq_used_elem entry;

    (void)state;
    for (unsigned i = 0; i < 70000; i++) {
        uint16_t head = driver_add(&guest, q, &buffer, 1);

        assert_true(vq_pop(&queue, &chain));
        vq_push(&queue, chain.head, i);
        assert_true(driver_take_used(&guest, q, &entry));
        assert_int_equal(entry.id, head);
        assert_int_equal(entry.len, i);
    }
    assert_false(driver_take_used(&guest, q, &entry));
}

static void a_queue_of_one_works(void **state)
{
    const struct buffer buffer = {GUEST_BUFFERS, 8, 0};

    (void)state;
    start_with(VIRTIO_F_EVENT_IDX, 1);
    for (unsigned i = 0; i < 3; i++) {
        driver_add(&guest, q, &buffer, 1);
        assert_true(vq_pop(&queue, &chain));
        vq_push(&queue, chain.head, 0);
        assert_true(vq_wants_interrupt(&queue) == (i == 0));
        assert_false(vq_await_notification(&queue));
        assert_int_equal(*driver_avail_event(&guest, q), i + 1);
    }
}

static void rings_may_end_where_ram_ends(void **state)
{
    (void)state;
    assert_true(driver_negotiate(&guest, VIRTIO_F_VERSION_1));
    queue.setup = (struct vq_setup){16, GUEST_RAM_END - 256, GUEST_BORDER - 38,
                                    GUEST_HIGH + GUEST_SLOT_BYTES - 136};
    guest_write_register(&guest, VIRTIO_MMIO_QUEUE_READY, 1);
    assert_false(driver_needs_reset(&guest)); /* a used ring of 134 bytes, aligned to 4 */
    assert_int_equal(guest_read_register(&guest, VIRTIO_MMIO_QUEUE_READY), 1);
}

/* --- notifications --- */

static void flags_suppress_interrupts(void **state)
{
    const struct buffer buffer = {GUEST_BUFFERS, 8, 0};

    (void)state;
    assert_false(vq_wants_interrupt(&queue)); /* nothing was pushed */
    driver_add(&guest, q, &buffer, 1);
    assert_true(vq_pop(&queue, &chain));
    vq_push(&queue, chain.head, 0);
    assert_true(vq_wants_interrupt(&queue));
    assert_false(vq_wants_interrupt(&queue));
    driver_avail(&guest, q)->flags = VIRTQ_AVAIL_F_NO_INTERRUPT;
    vq_push(&queue, chain.head, 0);
    assert_false(vq_wants_interrupt(&queue));
}

static void flags_suppress_notifications(void **state)
{
    const struct buffer buffer = {GUEST_BUFFERS, 8, 0};

    (void)state;
    vq_suppress_notifications(&queue);
    assert_int_equal(driver_used(&guest, q)->flags, VIRTQ_USED_F_NO_NOTIFY);
    assert_false(vq_await_notification(&queue));
    assert_int_equal(driver_used(&guest, q)->flags, 0);
    driver_add(&guest, q, &buffer, 1);
    assert_true(vq_await_notification(&queue));
}

/* The interrupt comes when used_event is passed, and only then, through every wrap of the indices. */
static void the_event_index_decides_on_interrupts(void **state)
{
    static const unsigned batches[] = {1, 2, 3, 16, 7, 1, 1, 15};
    uint64_t seed = 1;
    uint16_t pushed = 0;

    (void)state;
    start_with(VIRTIO_F_EVENT_IDX, 16);
    for (unsigned round = 0; round < 20000; round++) {
        unsigned batch = batches[round % ARRAY_SIZE(batches)];
        unsigned event = (unsigned)(noise(&seed) % 20); /* interrupt me after so many more */

        *driver_used_event(&guest, q) = (uint16_t)(pushed + event);
        for (unsigned i = 0; i < batch; i++)
            vq_push(&queue, 0, 0);
        pushed = (uint16_t)(pushed + batch);
        assert_int_equal(vq_wants_interrupt(&queue), event < batch);
    }
}

static void the_event_index_asks_for_notifications(void **state)
{
    const struct buffer buffer = {GUEST_BUFFERS, 8, 0};

    (void)state;
    start_with(VIRTIO_F_EVENT_IDX, 16);
    vq_suppress_notifications(&queue);
    assert_int_equal(driver_used(&guest, q)->flags, 0); /* "the device MUST set flags to 0" */
    driver_add(&guest, q, &buffer, 1);
    assert_true(vq_pop(&queue, &chain));
    assert_int_equal(*driver_avail_event(&guest, q), 0);
    assert_false(vq_await_notification(&queue));
    assert_int_equal(*driver_avail_event(&guest, q), 1);
    driver_add(&guest, q, &buffer, 1);
    assert_true(vq_await_notification(&queue));
    assert_int_equal(*driver_avail_event(&guest, q), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, virtqueue_rig_set_up, virtqueue_rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_ring_gives_nothing),
        TEST(a_chain_arrives_with_its_directions),
        TEST(a_writable_only_chain_has_nothing_to_read),
        TEST(a_buffer_is_split_where_slots_meet),
        TEST(streams_read_across_spans),
        TEST(the_last_byte_can_be_cut_off),
        TEST(an_indirect_table_is_followed),
        TEST(normal_descriptors_may_precede_an_indirect_one),
        TEST(an_indirect_table_may_lie_anywhere),
        TEST(the_longest_chain_passes),
        TEST(used_entries_come_in_order_and_wrap),
        TEST(a_queue_of_one_works),
        TEST(rings_may_end_where_ram_ends),
        TEST(flags_suppress_interrupts),
        TEST(flags_suppress_notifications),
        TEST(the_event_index_decides_on_interrupts),
        TEST(the_event_index_asks_for_notifications),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
