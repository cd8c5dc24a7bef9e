/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: what one guest sends, another gets: whole, in its own buffers, with what its driver negotiated and nothing
 * else; and whatever a driver writes into its rings and headers costs itself a packet or its device.
 */
#include "tests/host/fake/virtio_net_rig.h"

static void a_frame_arrives_whole(void **state)
{
    static const uint32_t sizes[] = {14, 15, 60, 191, 192, 193, 194, 1000, 1514};

    (void)state;
    start(ALL, ALL);
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        rig_fill(b, 1, RIG_BUFFER);
        rig_send(a, NULL, frame, make_frame(sizes[i]));
        assert_true(rig_receive(b, &got));
        assert_int_equal(got.size_bytes, sizes[i]);
        assert_memory_equal(got.bytes, frame, sizes[i]);
        assert_int_equal(got.header.flags, 0);
        assert_int_equal(got.header.gso_type, 0);
        assert_int_equal(got.buffers, 1);
    }
}

static void a_large_packet_passes_as_it_is(void **state)
{
    struct virtio_net_hdr header;
    uint32_t size;

    (void)state;
    start(ALL, ALL);
    rig_fill(b, 60, RIG_BUFFER);
    size = make_tcp4(&header, 60000, 1448);
    rig_send(a, &header, frame, size);
    assert_true(rig_receive(b, &got));
    assert_int_equal(got.size_bytes, size);
    assert_memory_equal(got.bytes, frame, size);
    assert_int_equal(got.header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    assert_int_equal(got.header.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
    assert_int_equal(got.header.gso_size, 1448);
    assert_int_equal(got.header.csum_start, 34);
    assert_int_equal(got.header.csum_offset, 16);
    assert_int_equal(got.buffers, (size + 12 + RIG_BUFFER - 1) / RIG_BUFFER);
}

/* --- receive rings --- */

static void a_full_ring_drops_and_counts(void **state)
{
    (void)state;
    start(ALL, ALL);
    rig_fill(b, 2, RIG_BUFFER);
    for (unsigned i = 0; i < 5; i++)
        rig_send(a, NULL, frame, make_frame(100));
    assert_true(rig_receive(b, &got));
    assert_true(rig_receive(b, &got));
    assert_false(rig_receive(b, &got));
    assert_int_equal(b->port->receive_drops[NET_DROP_NO_BUFFER], 3);
    assert_int_equal(b->port->received.packets, 2);
    rig_fill(b, 1, RIG_BUFFER);
    rig_send(a, NULL, frame, make_frame(100));
    assert_true(rig_receive(b, &got));
}

/* What does not fit leaves no trace: the buffers are there for the next. */
static void a_frame_that_does_not_fit_gives_its_buffers_back(void **state)
{
    struct virtio_net_hdr header;
    uint32_t size;

    (void)state;
    start(ALL, ALL);
    rig_fill(b, 5, RIG_BUFFER);
    size = make_tcp4(&header, 60000, 1448);
    rig_send(a, &header, frame, size);
    assert_int_equal(driver_used(&b->guest, b->receive)->idx, 0);
    for (unsigned i = 0; i < 5; i++)
        rig_send(a, NULL, frame, make_frame(1000));
    for (unsigned i = 0; i < 5; i++)
        assert_true(rig_receive(b, &got));
}

static void without_merging_one_buffer_takes_all_or_nothing(void **state)
{
    (void)state;
    start(ALL, 0);
    rig_fill(b, 1, 12 + 999);
    rig_fill(b, 1, 12 + 1000);
    rig_send(a, NULL, frame, make_frame(1000));
    assert_false(rig_receive(b, &got));
    rig_send(a, NULL, frame, make_frame(999));
    assert_true(rig_receive(b, &got));
    rig_send(a, NULL, frame, make_frame(1000));
    assert_true(rig_receive(b, &got));
    assert_int_equal(got.header.num_buffers, 1);
}

static void buffers_too_small_for_a_header_take_nothing(void **state)
{
    struct buffer tiny = {GUEST_BUFFERS, 11, VIRTQ_DESC_F_WRITE}, readable = {GUEST_BUFFERS, 100, 0};

    (void)state;
    start(ALL, ALL);
    driver_add(&b->guest, b->receive, &tiny, 1);
    rig_send(a, NULL, frame, make_frame(100));
    assert_int_equal(driver_used(&b->guest, b->receive)->idx, 0);
    assert_int_equal(b->port->receive_drops[NET_DROP_NO_BUFFER], 1);
    driver_add(&b->guest, b->receive, &readable, 1);
    rig_send(a, NULL, frame, make_frame(100));
    assert_false(driver_needs_reset(&a->guest));
}

/* However the buffers are made up, the sender's CPU looks at so many pieces of memory and no more. */
static void buffers_of_crumbs_cost_the_sender_little(void **state)
{
    struct buffer crumbs[50];

    (void)state;
    start(ALL, ALL);
    for (unsigned i = 0; i < ARRAY_SIZE(crumbs); i++)
        crumbs[i] = (struct buffer){GUEST_BUFFERS, 1, 0};
    rig_fill(b, 1, 20);
    for (unsigned i = 0; i < 20; i++)
        driver_add_indirect(&b->guest, b->receive, GUEST_BUFFERS + 0x10000, crumbs, ARRAY_SIZE(crumbs));
    rig_fill(b, 1, RIG_BUFFER);
    rig_send(a, NULL, frame, make_frame(100));
    assert_int_equal(b->port->receive_drops[NET_DROP_NO_BUFFER], 1);
    assert_int_equal(driver_used(&b->guest, b->receive)->idx, 0);
    assert_false(driver_needs_reset(&a->guest));
}

static void a_broken_receive_ring_costs_its_owner_only(void **state)
{
    (void)state;
    start(ALL, ALL);
    driver_make_available(&b->guest, b->receive, 999);
    rig_send(a, NULL, frame, make_frame(100));
    assert_true(driver_needs_reset(&b->guest));
    assert_false(driver_needs_reset(&a->guest));
    rig_send(a, NULL, frame, make_frame(100));
    assert_int_equal(b->port->receive_drops[NET_DROP_LINK_DOWN], 1);
}

static void nothing_arrives_before_the_driver_or_after_its_reset(void **state)
{
    (void)state;
    start(ALL, ALL);
    rig_fill(b, 4, RIG_BUFFER);
    guest_write_register(&b->guest, VIRTIO_MMIO_STATUS, 0);
    rig_send(a, NULL, frame, make_frame(100));
    assert_int_equal(driver_used(&b->guest, b->receive)->idx, 0);
    assert_int_equal(b->port->receive_drops[NET_DROP_LINK_DOWN], 1);
}

static void a_batch_is_one_interrupt(void **state)
{
    (void)state;
    start(ALL, ALL);
    rig_fill(b, 30, RIG_BUFFER);
    for (unsigned i = 0; i < 20; i++)
        rig_queue(a, NULL, frame, make_frame(100), 0);
    driver_kick(&a->guest, a->transmit);
    assert_int_equal(driver_used(&b->guest, b->receive)->idx, 20);
    assert_int_equal(b->guest.irq.rises, 1);
}

/* --- transmit rings and headers --- */

static void headers_that_contradict_the_packet_are_dropped(void **state)
{
    static const struct virtio_net_hdr rows[] = {
        {1, 0, 0, 0, 0, 16, 0},         /* a sum in the Ethernet header */
        {1, 0, 0, 0, 191, 0, 0},        /* half outside the head */
        {1, 0, 0, 0, 0xffff, 0xffff, 0},
        {1, 0, 0, 0, 34, 0xfff0, 0},
        {0, 1, 54, 1448, 34, 16, 0},    /* segmentation without checksum */
        {1, 1, 54, 0, 34, 16, 0},       /* segments of nothing */
        {1, 1, 54, 1, 34, 16, 0},       /* too many */
        {1, 1, 54, 1448, 35, 16, 0},    /* not where TCP is */
        {1, 1, 54, 1448, 34, 6, 0},
        {1, 4, 54, 1448, 34, 16, 0},    /* not IPv6 */
        {1, 3, 54, 1448, 34, 16, 0},    /* not UDP */
        {1, 2, 54, 1448, 34, 16, 0},    /* no such type */
        {1, 5, 54, 1448, 34, 16, 0},
        {1, 0x80, 54, 1448, 34, 16, 0}, /* ECN of nothing */
        {1, 0xff, 54, 1448, 34, 16, 0},
    };
    struct virtio_net_hdr good;
    uint32_t size;

    (void)state;
    start(ALL, ALL);
    rig_fill(b, 60, RIG_BUFFER);
    size = make_tcp4(&good, 20000, 1448);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        rig_send(a, &rows[i], frame, size);
        assert_int_equal(a->port->send_drops[NET_DROP_MALFORMED], i + 1);
        assert_false(driver_needs_reset(&a->guest));
    }
    assert_int_equal(driver_used(&b->guest, b->receive)->idx, 0);
    rig_send(a, &good, frame, size);
    assert_true(rig_receive(b, &got));
}

static void what_was_not_negotiated_is_not_done(void **state)
{
    struct virtio_net_hdr header;
    uint32_t size;

    (void)state;
    start(0, ALL);
    rig_fill(b, 60, RIG_BUFFER);
    size = make_tcp4(&header, 1000, 0);
    rig_send(a, &header, frame, size);
    size = make_tcp4(&header, 1000, 500);
    rig_send(a, &header, frame, size);
    assert_int_equal(a->port->send_drops[NET_DROP_MALFORMED], 2);
}

static void sizes_out_of_range_are_dropped(void **state)
{
    struct virtio_net_hdr header;
    static uint8_t giant[0x20000];

    (void)state;
    start(ALL, ALL);
    rig_fill(b, 60, RIG_BUFFER);
    rig_send(a, NULL, frame, 0);
    rig_send(a, NULL, frame, 13);
    assert_int_equal(a->port->send_drops[NET_DROP_MALFORMED], 2);
    rig_send(a, NULL, frame, make_frame(1519));
    rig_send(a, NULL, giant, sizeof giant);
    assert_int_equal(a->port->send_drops[NET_DROP_OVERSIZE], 2);
    rig_send(a, &header, frame, make_tcp4(&header, 65535 - 39, 1448));
    assert_int_equal(a->port->send_drops[NET_DROP_MALFORMED], 3);
    assert_int_equal(driver_used(&a->guest, a->transmit)->idx, 5); /* each is given back */
}

static void a_packet_without_header_stops_the_device(void **state)
{
    struct buffer b11 = {GUEST_BUFFERS, 11, 0};

    (void)state;
    start(ALL, ALL);
    driver_add(&a->guest, a->transmit, &b11, 1);
    driver_kick(&a->guest, a->transmit);
    assert_true(driver_needs_reset(&a->guest));
}

/* A sender that never lets its ring run empty gives the CPU back; the rest goes by the timer. */
static void a_doorbell_has_an_end(void **state)
{
    (void)state;
    start(VIRTIO_F_EVENT_IDX, ALL);
    for (unsigned i = 0; i < RIG_RING; i++)
        driver_make_available(&a->guest, a->transmit, 0);
    *driver_desc(&a->guest, a->transmit, 0) = (struct virtq_desc){GUEST_BUFFERS, 112, 0, 0};
    memcpy(guest_at(&a->guest, GUEST_BUFFERS + 12), frame, make_frame(100));
    driver_kick(&a->guest, a->transmit);
    assert_int_equal(a->port->sent.packets, VIRTIO_NET_ROUND);
}

static void the_rate_is_kept_by_the_timer(void **state)
{
    struct switch_port_config limited = rig_config();

    (void)state;
    limited.rate = 1000000; /* 1000 bytes are 8 ms */
    a = rig_add(0, limited, ALL, 1);
    b = rig_add(1, rig_config(), ALL, 1);
    rig_fill(b, 60, RIG_BUFFER);
    for (unsigned i = 0; i < 10; i++)
        rig_queue(a, NULL, frame, make_frame(1000), 0);
    driver_kick(&a->guest, a->transmit);
    assert_int_equal(a->port->sent.packets, 2);
    driver_kick(&a->guest, a->transmit);
    assert_int_equal(a->port->sent.packets, 2);
    fake_clock_advance(6100000);
    assert_int_equal(a->port->sent.packets, 3);
    fake_clock_advance(8000000);
    assert_int_equal(a->port->sent.packets, 4);
    fake_clock_advance(80000000);
    assert_int_equal(a->port->sent.packets, 10);
    assert_int_equal(driver_used(&a->guest, a->transmit)->idx, 10);
}

static bool is_mine(void *context)
{
    return *(bool *)context;
}

static void what_is_left_undone_waits_for_its_owners_time(void **state)
{
    bool is_here = false;

    (void)state;
    start(ALL, ALL);
    a->net.device.worker = (struct virtio_worker){is_mine, &is_here};
    rig_fill(b, 60, RIG_BUFFER);
    memcpy(guest_at(&a->guest, GUEST_BUFFERS + 12), frame, make_frame(100));
    *driver_desc(&a->guest, a->transmit, 0) = (struct virtq_desc){GUEST_BUFFERS, 112, 0, 0};
    virtio_queue_defer(&a->net.queues[1], clock_now() + 1000);
    driver_make_available(&a->guest, a->transmit, 0);
    fake_clock_advance(1000);
    assert_int_equal(a->port->sent.packets, 0);
    virtio_device_resume(&a->net.device);
    assert_int_equal(a->port->sent.packets, 1);
    virtio_device_resume(&a->net.device);
    driver_make_available(&a->guest, a->transmit, 0);
    virtio_queue_defer(&a->net.queues[1], clock_now() + 1000);
    is_here = true;
    fake_clock_advance(1000);
    assert_int_equal(a->port->sent.packets, 2);
}

static void random_packets_do_no_harm(void **state)
{
    uint64_t seed = 0xfeed;
    unsigned arrived = 0;

    (void)state;
    start(ALL, VIRTIO_NET_F_MRG_RXBUF);
    for (unsigned round = 0; round < 20000; round++) {
        struct virtio_net_hdr header;
        uint32_t size = round % 3 ? make_tcp4(&header, (uint32_t)(noise(&seed) % 5000) + 1, 1 + (uint16_t)noise(&seed) % 1500)
                                  : make_udp4(&header, (uint32_t)(noise(&seed) % 5000) + 13, 1 + (uint16_t)noise(&seed) % 1500);

        for (unsigned changes = (unsigned)noise(&seed) % 4; changes > 0; changes--) {
            if (noise(&seed) % 2)
                frame[12 + noise(&seed) % 50] = (uint8_t)noise(&seed);
            else
                ((uint8_t *)&header)[noise(&seed) % sizeof header] = (uint8_t)noise(&seed);
        }
        rig_fill(b, 4, RIG_BUFFER);
        rig_queue(a, &header, frame, size, (uint32_t)(noise(&seed) % 3000) + 200);
        driver_kick(&a->guest, a->transmit);
        while (rig_receive(b, &got))
            arrived++;
        assert_false(driver_needs_reset(&a->guest));
        if (driver_avail(&b->guest, b->receive)->idx - driver_used(&b->guest, b->receive)->idx > 40) {
            rig_stop();
            rig_start();
            start(ALL, VIRTIO_NET_F_MRG_RXBUF);
        }
    }
    assert_true(arrived > 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, virtio_net_rig_set_up, virtio_net_rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_frame_arrives_whole),
        TEST(a_large_packet_passes_as_it_is),
        TEST(a_full_ring_drops_and_counts),
        TEST(a_frame_that_does_not_fit_gives_its_buffers_back),
        TEST(without_merging_one_buffer_takes_all_or_nothing),
        TEST(buffers_too_small_for_a_header_take_nothing),
        TEST(buffers_of_crumbs_cost_the_sender_little),
        TEST(a_broken_receive_ring_costs_its_owner_only),
        TEST(nothing_arrives_before_the_driver_or_after_its_reset),
        TEST(a_batch_is_one_interrupt),
        TEST(headers_that_contradict_the_packet_are_dropped),
        TEST(what_was_not_negotiated_is_not_done),
        TEST(sizes_out_of_range_are_dropped),
        TEST(a_packet_without_header_stops_the_device),
        TEST(a_doorbell_has_an_end),
        TEST(the_rate_is_kept_by_the_timer),
        TEST(what_is_left_undone_waits_for_its_owners_time),
        TEST(random_packets_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
