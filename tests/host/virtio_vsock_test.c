/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: what one guest sends arrives at the guest that has the CID, whole, in order and only there, however small
 * the buffers; a receiver without room holds its sender up, and only for so long; what nobody takes is answered by a reset;
 * and no header, ring or timing reaches beyond the two rings concerned.
 */
#include "tests/host/fake/virtio_driver.h"
#include "drivers/net/vsock_hub.h"
#include "drivers/virt/virtio_vsock.h"

#define CID_A       3u
#define CID_B       4u
#define RING        16u
#define RECEIVE_AT  GUEST_BUFFERS
#define TRANSMIT_AT GUEST_HIGH

struct peer {
    struct guest guest;
    struct virtio_vsock vsock;
    struct vsockdev *place;
    uint64_t next_receive, next_transmit;
    uint64_t received_at[RING]; /* by descriptor */
    unsigned wakes;
};

static struct peer a, b;
static uint8_t payload[VSOCK_PAYLOAD_MAX], got[VSOCK_PAYLOAD_MAX];

static struct driver_queue *queue(struct peer *p, unsigned index)
{
    return &p->guest.queues[index];
}

/* As a VM's worker that is elsewhere. */
static bool asked(void *context)
{
    ((struct peer *)context)->wakes++;
    return false;
}

static void start_peer(struct peer *p, uint32_t cid)
{
    memset(p, 0, sizeof *p);
    guest_start(&p->guest);
    p->place = vsock_hub_attach(cid);
    assert_non_null(p->place);
    virtio_vsock_init(&p->vsock, &p->guest.mem, p->place);
    guest_attach(&p->guest, &p->vsock.device);
    p->vsock.device.worker = (struct virtio_worker){asked, p};
    driver_start(&p->guest, VIRTIO_F_VERSION_1, VIRTIO_VSOCK_QUEUES, RING);
    p->next_receive = RECEIVE_AT;
    p->next_transmit = TRANSMIT_AT;
}

static void stop_peer(struct peer *p)
{
    vsock_hub_detach(p->place);
    guest_stop(&p->guest);
}

static int set_up(void **state)
{
    (void)state;
    start_peer(&a, CID_A);
    start_peer(&b, CID_B);
    fake_clock_advance(1000);
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 7 + (i >> 8));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stop_peer(&a);
    stop_peer(&b);
    return 0;
}

static void give_buffers(struct peer *p, unsigned count, uint32_t size_bytes)
{
    for (unsigned i = 0; i < count; i++) {
        struct buffer buffer = {p->next_receive, size_bytes, VIRTQ_DESC_F_WRITE};

        p->received_at[driver_add(&p->guest, queue(p, VIRTIO_VSOCK_RX), &buffer, 1) % RING] = p->next_receive;
        p->next_receive += ALIGN_UP(size_bytes, 16);
    }
    driver_kick(&p->guest, queue(p, VIRTIO_VSOCK_RX));
}

static struct vsock_header header_to(uint32_t cid, uint16_t op, uint32_t len)
{
    return (struct vsock_header){.src_cid = CID_A, .dst_cid = cid, .src_port = 1000, .dst_port = 2000, .len = len,
                                 .type = VSOCK_TYPE_STREAM, .op = op, .buf_alloc = 0x11223344, .fwd_cnt = 7};
}

static void send_bytes(struct peer *p, const struct vsock_header *header, uint32_t real_len)
{
    uint64_t at = p->next_transmit;
    uint32_t half = real_len / 2;
    struct buffer buffers[3] = {{at, sizeof *header, 0}, {at + 64, half, 0}, {at + 64 + half, real_len - half, 0}};

    memcpy(guest_at(&p->guest, at), header, sizeof *header);
    if (real_len)
        memcpy(guest_at(&p->guest, at + 64), payload, real_len);
    driver_add(&p->guest, queue(p, VIRTIO_VSOCK_TX), buffers, real_len > 1 ? 3 : 1);
    driver_kick(&p->guest, queue(p, VIRTIO_VSOCK_TX));
    p->next_transmit = TRANSMIT_AT + (at - TRANSMIT_AT + 64 + ALIGN_UP(real_len, 16)) % (GUEST_SLOT_BYTES / 2);
}

static void send_header(struct peer *p, const struct vsock_header *header)
{
    send_bytes(p, header, header->len);
}

/* The next packet, its payload in got; false: there is none. */
static bool take(struct peer *p, struct vsock_header *header)
{
    struct virtq_used_elem entry;
    uint64_t at;

    if (!driver_take_used(&p->guest, queue(p, VIRTIO_VSOCK_RX), &entry))
        return false;
    at = p->received_at[entry.id % RING];
    memcpy(header, guest_at(&p->guest, at), sizeof *header);
    assert_int_equal(entry.len, sizeof *header + header->len);
    if (header->len)
        memcpy(got, guest_at(&p->guest, at + sizeof *header), header->len);
    return true;
}

static bool is_sent(struct peer *p)
{
    struct virtq_used_elem entry;

    return driver_take_used(&p->guest, queue(p, VIRTIO_VSOCK_TX), &entry);
}

static void expect_reset_at_a(void)
{
    struct vsock_header header;

    assert_true(take(&a, &header));
    assert_int_equal(header.op, VSOCK_OP_RST);
    assert_int_equal(header.dst_cid, CID_A);
    assert_int_equal(header.src_port, 2000);
    assert_int_equal(header.dst_port, 1000);
    assert_int_equal(header.len, 0);
}

static void tells_its_cid(void **state)
{
    (void)state;
    assert_int_equal(guest_read_register(&b.guest, VIRTIO_MMIO_DEVICE_ID), 19);
    assert_int_equal(guest_read_register(&b.guest, VIRTIO_MMIO_CONFIG), CID_B);
    assert_int_equal(guest_read_register(&b.guest, VIRTIO_MMIO_CONFIG + 4), 0);
    assert_null(vsock_hub_attach(CID_A)); /* it is taken */
}

static void a_packet_arrives_whole(void **state)
{
    struct vsock_header sent = header_to(CID_B, VSOCK_OP_RW, 5000), header;

    (void)state;
    give_buffers(&b, 1, 8192);
    send_header(&a, &sent);
    assert_true(is_sent(&a));
    assert_true(take(&b, &header));
    assert_memory_equal(&header, &sent, sizeof sent);
    assert_memory_equal(got, payload, 5000);
    assert_false(take(&b, &header));
}

static void a_large_packet_is_cut_to_the_buffers(void **state)
{
    struct vsock_header sent = header_to(CID_B, VSOCK_OP_RW, 3000), header;
    uint32_t done = 0;

    (void)state;
    give_buffers(&b, 4, 1044);
    send_header(&a, &sent);
    while (take(&b, &header)) {
        assert_int_equal(header.op, VSOCK_OP_RW);
        assert_memory_equal(got, payload + done, header.len);
        done += header.len;
    }
    assert_int_equal(done, 3000);
    assert_true(is_sent(&a));
}

static void who_finds_no_room_goes_on_where_it_was(void **state)
{
    struct vsock_header sent = header_to(CID_B, VSOCK_OP_RW, 3000), header;
    uint32_t done = 0;

    (void)state;
    give_buffers(&b, 1, 1044);
    send_header(&a, &sent);
    assert_false(is_sent(&a));
    assert_int_equal(a.wakes, 0);
    give_buffers(&b, 3, 1044);
    assert_int_equal(a.wakes, 1);
    virtio_device_resume(&a.vsock.device);
    assert_true(is_sent(&a));
    while (take(&b, &header)) {
        assert_memory_equal(got, payload + done, header.len);
        done += header.len;
    }
    assert_int_equal(done, 3000);
}

static void a_sender_looks_again_by_itself(void **state)
{
    struct vsock_header sent = header_to(CID_B, VSOCK_OP_REQUEST, 0), header;
    struct buffer buffer = {RECEIVE_AT, 64, VIRTQ_DESC_F_WRITE};

    (void)state;
    a.vsock.device.worker.is_here = NULL;
    send_header(&a, &sent);
    assert_false(is_sent(&a));
    b.received_at[driver_add(&b.guest, queue(&b, VIRTIO_VSOCK_RX), &buffer, 1) % RING] = RECEIVE_AT; /* no doorbell */
    fake_clock_advance(clock_ticks_from_ns(VIRTIO_VSOCK_RETRY_NS));
    assert_true(is_sent(&a));
    assert_true(take(&b, &header));
}

/* Who is held up could serve others meanwhile; and a guest that is gone for good must not hold anybody. */
static void patience_ends(void **state)
{
    struct vsock_header sent = header_to(CID_B, VSOCK_OP_RW, 100), header;

    (void)state;
    give_buffers(&a, 2, 64);
    send_header(&a, &sent);
    assert_false(is_sent(&a));
    fake_clock_advance(clock_ticks_from_ns(VSOCK_PATIENCE_MS * 1000000ull));
    virtio_device_resume(&a.vsock.device);
    assert_true(is_sent(&a));
    expect_reset_at_a();
    send_header(&a, &sent); /* at once: it still takes nothing */
    assert_true(is_sent(&a));
    expect_reset_at_a();
    give_buffers(&b, 1, 1024);
    send_header(&a, &sent);
    assert_true(take(&b, &header));
}

static void what_nobody_takes_is_answered(void **state)
{
    static const uint64_t cids[] = {0, 1, 2, 5, VSOCK_CID_LAST, VSOCK_CID_LAST + 1, UINT32_MAX, UINT64_MAX, CID_B + (1ull << 32)};
    struct vsock_header sent = header_to(0, VSOCK_OP_REQUEST, 0), header;

    (void)state;
    give_buffers(&a, ARRAY_SIZE(cids), 64);
    for (unsigned i = 0; i < ARRAY_SIZE(cids); i++) {
        sent.dst_cid = cids[i];
        send_header(&a, &sent);
        assert_true(is_sent(&a));
        expect_reset_at_a();
    }
    sent.op = VSOCK_OP_RST; /* which is not answered */
    send_header(&a, &sent);
    assert_true(is_sent(&a));
    assert_false(take(&a, &header));
}

static void nonsense_is_answered(void **state)
{
    struct vsock_header sent[] = {
        header_to(CID_B, 0, 0), header_to(CID_B, 8, 0), header_to(CID_B, VSOCK_OP_REQUEST, 10),
        header_to(CID_B, VSOCK_OP_REQUEST, 0), header_to(CID_B, VSOCK_OP_RW, 10),
    };
    struct vsock_header header;

    (void)state;
    sent[3].type = 2; /* SEQPACKET was not offered */
    sent[4].type = 0;
    give_buffers(&a, ARRAY_SIZE(sent), 64);
    give_buffers(&b, 1, 64);
    for (unsigned i = 0; i < ARRAY_SIZE(sent); i++) {
        send_header(&a, &sent[i]);
        assert_true(is_sent(&a));
        expect_reset_at_a();
    }
    assert_false(take(&b, &header));
}

/* Theory: a forged sender would get others' connections reset, so nobody hears of it. */
static void a_forged_sender_is_dropped(void **state)
{
    struct vsock_header sent = header_to(CID_B, VSOCK_OP_RST, 0), header;

    (void)state;
    sent.src_cid = CID_B;
    give_buffers(&a, 1, 64);
    give_buffers(&b, 1, 64);
    send_header(&a, &sent);
    assert_true(is_sent(&a));
    assert_false(take(&a, &header));
    assert_false(take(&b, &header));
}

static void a_lie_about_the_length_stops_the_device(void **state)
{
    struct vsock_header sent = header_to(CID_B, VSOCK_OP_RW, 101);

    (void)state;
    give_buffers(&b, 1, 4096);
    send_bytes(&a, &sent, 100);
    assert_true(driver_needs_reset(&a.guest));
    assert_false(driver_needs_reset(&b.guest));
}

static void too_long_a_packet_stops_the_device(void **state)
{
    struct vsock_header sent = header_to(CID_B, VSOCK_OP_RW, VSOCK_PAYLOAD_MAX + 1);
    struct buffer buffers[] = {{TRANSMIT_AT, sizeof sent, 0}, {TRANSMIT_AT, VSOCK_PAYLOAD_MAX + 1, 0}};

    (void)state;
    memcpy(guest_at(&a.guest, TRANSMIT_AT), &sent, sizeof sent);
    driver_add(&a.guest, queue(&a, VIRTIO_VSOCK_TX), buffers, 2);
    driver_kick(&a.guest, queue(&a, VIRTIO_VSOCK_TX));
    assert_true(driver_needs_reset(&a.guest));
}

static void too_small_a_buffer_stops_the_receiver_alone(void **state)
{
    struct vsock_header sent = header_to(CID_B, VSOCK_OP_RW, 10);

    (void)state;
    give_buffers(&a, 1, 64);
    give_buffers(&b, 1, 44); /* a header fits, no byte more */
    send_header(&a, &sent);
    assert_true(driver_needs_reset(&b.guest));
    assert_false(driver_needs_reset(&a.guest));
    assert_true(is_sent(&a));
    expect_reset_at_a();
}

/* Theory: a chain that makes no sense is never taken, so who looks for more until nothing waits would look for ever. */
static void a_chain_that_makes_no_sense_stops_the_device(void **state)
{
    struct buffer buffers[2] = {{TRANSMIT_AT, 64, VIRTQ_DESC_F_WRITE}, {TRANSMIT_AT + 64, 64, 0}};

    (void)state;
    driver_add(&a.guest, queue(&a, VIRTIO_VSOCK_TX), buffers, 2);
    driver_kick(&a.guest, queue(&a, VIRTIO_VSOCK_TX));
    assert_true(driver_needs_reset(&a.guest));
    assert_false(driver_needs_reset(&b.guest));
    assert_false(is_sent(&a));
}

/* The receiver's buffers are looked through in the sender's exit: the smaller they are, the sooner that ends. */
static void small_buffers_end_a_round_sooner(void **state)
{
    const uint32_t sizes[] = {31, 31, 31, 31, 1};

    (void)state;
    driver_start(&a.guest, VIRTIO_F_VERSION_1, VIRTIO_VSOCK_QUEUES, 128);
    driver_start(&b.guest, VIRTIO_F_VERSION_1, VIRTIO_VSOCK_QUEUES, 128);
    give_buffers(&b, 128, sizeof(struct vsock_header) + 1);
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct vsock_header header = header_to(CID_B, VSOCK_OP_RW, sizes[i]);
        uint64_t at = TRANSMIT_AT + i * 128;
        struct buffer buffer = {at, (uint32_t)sizeof header + sizes[i], 0};

        memcpy(guest_at(&a.guest, at), &header, sizeof header);
        driver_add(&a.guest, queue(&a, VIRTIO_VSOCK_TX), &buffer, 1);
    }
    driver_kick(&a.guest, queue(&a, VIRTIO_VSOCK_TX));
    for (unsigned i = 0; i < 4; i++)
        assert_true(is_sent(&a));
    assert_false(is_sent(&a));
    fake_clock_advance(VIRTIO_DEFER_NS);
    assert_int_equal(a.wakes, 1);
    virtio_device_resume(&a.vsock.device);
    assert_true(is_sent(&a));
}

/* Theory: the guest may put another packet where the one that was begun stood. */
static void a_packet_changes_while_it_waits(void **state)
{
    struct vsock_header sent = header_to(CID_B, VSOCK_OP_RW, 3000), header;

    (void)state;
    give_buffers(&b, 1, 1044);
    send_header(&a, &sent);
    assert_true(take(&b, &header));
    ((struct vsock_header *)guest_at(&a.guest, TRANSMIT_AT))->len = 10;
    give_buffers(&b, 2, 1044);
    virtio_device_resume(&a.vsock.device);
    assert_true(is_sent(&a));
    assert_false(driver_needs_reset(&a.guest));
    assert_true(take(&b, &header));
    assert_int_equal(header.len, 0);
}

static void to_itself(void **state)
{
    struct vsock_header sent = header_to(CID_A, VSOCK_OP_RW, 10), header;

    (void)state;
    give_buffers(&a, 1, 64);
    send_header(&a, &sent);
    assert_true(take(&a, &header));
    assert_int_equal(header.len, 10);
}

static void a_device_without_a_driver_takes_nothing(void **state)
{
    struct vsock_header sent = header_to(CID_B, VSOCK_OP_REQUEST, 0);

    (void)state;
    give_buffers(&a, 2, 64);
    give_buffers(&b, 2, 64);
    guest_write_register(&b.guest, VIRTIO_MMIO_STATUS, 0);
    send_header(&a, &sent);
    expect_reset_at_a();
}

static void who_leaves_wakes_who_waits(void **state)
{
    struct vsock_header sent = header_to(CID_B, VSOCK_OP_RW, 100);

    (void)state;
    give_buffers(&a, 1, 64);
    send_header(&a, &sent);
    vsock_hub_detach(b.place);
    assert_int_equal(a.wakes, 1);
    virtio_device_resume(&a.vsock.device);
    expect_reset_at_a();
    b.place = vsock_hub_attach(CID_B);
    assert_non_null(b.place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(tells_its_cid), TEST(a_packet_arrives_whole), TEST(a_large_packet_is_cut_to_the_buffers),
        TEST(who_finds_no_room_goes_on_where_it_was), TEST(a_sender_looks_again_by_itself), TEST(patience_ends),
        TEST(what_nobody_takes_is_answered), TEST(nonsense_is_answered), TEST(a_forged_sender_is_dropped),
        TEST(a_lie_about_the_length_stops_the_device), TEST(too_long_a_packet_stops_the_device),
        TEST(a_chain_that_makes_no_sense_stops_the_device),
        TEST(too_small_a_buffer_stops_the_receiver_alone), TEST(small_buffers_end_a_round_sooner),
        TEST(a_packet_changes_while_it_waits), TEST(to_itself),
        TEST(a_device_without_a_driver_takes_nothing), TEST(who_leaves_wakes_who_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
