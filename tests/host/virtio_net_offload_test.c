/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a receiver that does not take segmentation or checksums undone gets them done, as the standards alone say.
 */
#include "tests/host/fake/virtio_net_rig.h"
#include "drivers/net/headers.h"

/* The sum of a transport header and its payload with the pseudo header, over a finished packet: 0 if it is right. */
static uint16_t transport_sum(const uint8_t *ip, uint32_t ip_bytes, uint32_t bytes, uint8_t protocol)
{
    uint32_t sum = protocol + bytes, from = ip_bytes == 20 ? 12 : 8, to = ip_bytes == 20 ? 20 : 40;

    for (uint32_t i = from; i < to; i += 2)
        sum += get_be16(ip + i);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return rig_checksum(ip + ip_bytes, bytes, sum);
}

/* What segment number i of the packet in frame has to be, out of the packet and the standards alone. */
static uint32_t expect_tcp4(uint8_t *out, uint32_t payload, uint32_t mss, uint32_t i)
{
    uint32_t here = MIN(mss, payload - i * mss), bytes = 54 + here;
    uint8_t *ip = out + 14, *tcp = ip + 20;

    memcpy(out, frame, 54);
    memcpy(out + 54, frame + 54 + i * mss, here);
    put_be16(ip + 2, 40 + here);
    put_be16(ip + 4, (uint16_t)(0xfffe + i));
    put_be16(ip + 10, 0);
    put_be16(ip + 10, rig_checksum(ip, 20, 0));
    put_be32(tcp + 4, 0xfffffff0 + i * mss);
    tcp[13] = 0x10;
    if (i == 0)
        tcp[13] |= 0x80;
    if ((i + 1) * mss >= payload)
        tcp[13] |= 0x09;
    put_be16(tcp + 16, 0);
    put_be16(tcp + 16, transport_sum(ip, 20, 20 + here, 6));
    return bytes;
}

static void a_receiver_without_offloads_gets_finished_segments(void **state)
{
    static const uint32_t payloads[] = {1, 100, 139, 1448, 1449, 20000, 61440};
    static uint8_t expected[2000];

    (void)state;
    start(ALL, VIRTIO_NET_F_MRG_RXBUF);
    for (unsigned p = 0; p < ARRAY_SIZE(payloads); p++) {
        uint32_t payload = payloads[p], mss = p % 2 ? 1448 : 1447;
        struct virtio_net_hdr header;
        uint32_t size = make_tcp4(&header, payload, (uint16_t)mss);

        rig_fill(b, 45, RIG_BUFFER);
        rig_queue(a, &header, frame, size, p % 3 ? 2049 : 0);
        driver_kick(&a->guest, a->transmit);
        for (uint32_t i = 0; i * mss < payload; i++) {
            uint32_t bytes = expect_tcp4(expected, payload, mss, i);

            assert_true(rig_receive(b, &got));
            assert_int_equal(got.header.flags, 0);
            assert_int_equal(got.header.gso_type, 0);
            assert_int_equal(got.size_bytes, bytes);
            assert_memory_equal(got.bytes, expected, bytes);
        }
        while (rig_receive(b, &got))
            fail();
        rig_stop();
        rig_start();
        start(ALL, VIRTIO_NET_F_MRG_RXBUF);
    }
}

/* The sum is left, the segmentation is not. */
static void a_receiver_of_checksums_gets_partial_ones(void **state)
{
    struct virtio_net_hdr header;

    (void)state;
    start(ALL, VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_GUEST_CSUM);
    rig_fill(b, 10, RIG_BUFFER);
    rig_send(a, &header, frame, make_tcp4(&header, 3000, 1448));
    for (unsigned i = 0; i < 3; i++) {
        uint8_t *ip = got.bytes + 14;

        assert_true(rig_receive(b, &got));
        assert_int_equal(got.header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
        assert_int_equal(got.header.gso_type, 0);
        assert_int_equal(got.header.csum_start, 34);
        /* As the guest finishes it. */
        put_be16(ip + 36, rig_checksum(ip + 20, got.size_bytes - 34, 0));
        assert_int_equal(transport_sum(ip, 20, got.size_bytes - 34, 6), 0);
    }
}

static void a_receiver_without_checksums_gets_finished_ones(void **state)
{
    struct virtio_net_hdr header;

    (void)state;
    start(ALL, 0);
    for (uint32_t payload = 1; payload < 1400; payload += 137) {
        uint32_t size = make_tcp4(&header, payload, 0);

        rig_fill(b, 1, RIG_BUFFER);
        rig_queue(a, &header, frame, size, 77);
        driver_kick(&a->guest, a->transmit);
        assert_true(rig_receive(b, &got));
        assert_int_equal(got.size_bytes, size);
        assert_int_equal(got.header.flags, 0);
        assert_int_equal(transport_sum(got.bytes + 14, 20, 20 + payload, 6), 0);
        assert_memory_equal(got.bytes, frame, 50);
        assert_memory_equal(got.bytes + 54, frame + 54, payload);
    }
}

static uint32_t make_ipv6(struct virtio_net_hdr *header, uint8_t protocol, uint32_t transport_bytes, uint32_t payload)
{
    uint8_t *ip = frame + rig_ethernet(frame, a, b, ETHERTYPE_IPV6), *transport = ip + 40;

    memset(ip, 0, 60);
    ip[0] = 0x60;
    put_be16(ip + 4, transport_bytes + payload);
    ip[6] = protocol;
    ip[7] = 64;
    ip[8] = ip[24] = 0xfd;
    ip[23] = 1;
    ip[39] = 2;
    for (uint32_t i = 0; i < payload; i++)
        transport[transport_bytes + i] = (uint8_t)(i * 31 + (i >> 8));
    *header = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 54};
    return 54 + transport_bytes + payload;
}

static void ipv6_is_segmented_too(void **state)
{
    struct virtio_net_hdr header;
    uint32_t size;

    (void)state;
    start(ALL, VIRTIO_NET_F_MRG_RXBUF);
    rig_fill(b, 10, RIG_BUFFER);
    size = make_ipv6(&header, 6, 20, 5000);
    frame[54 + 12] = 0x50;
    put_be32(frame + 54 + 4, 77);
    header.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
    header.gso_size = 1428;
    header.csum_offset = 16;
    rig_send(a, &header, frame, size);
    for (uint32_t i = 0; i * 1428 < 5000; i++) {
        uint32_t here = MIN(1428u, 5000 - i * 1428);

        assert_true(rig_receive(b, &got));
        assert_int_equal(got.size_bytes, 74 + here);
        assert_int_equal(get_be16(got.bytes + 18), 20 + here);
        assert_int_equal(get_be32(got.bytes + 58), 77 + i * 1428);
        assert_int_equal(transport_sum(got.bytes + 14, 40, 20 + here, 6), 0);
        assert_memory_equal(got.bytes + 74, frame + 74 + i * 1428, here);
    }
}

/* Reassembled by hand, the datagram is what was sent, with its sum. */
static void check_fragments(uint32_t ip_bytes, uint32_t payload, uint32_t piece)
{
    static uint8_t datagram[RIG_FRAME_BYTES];
    uint32_t total = 8 + payload, headers = 14 + ip_bytes + (ip_bytes == 40 ? 8 : 0), at = 0;

    memcpy(datagram, frame + 14, ip_bytes);
    while (at < total) {
        uint32_t here = MIN(piece, total - at);
        const uint8_t *ip = got.bytes + 14;
        uint16_t fragment;

        assert_true(rig_receive(b, &got));
        assert_int_equal(got.header.flags, 0);
        assert_int_equal(got.size_bytes, headers + here);
        if (ip_bytes == 20) {
            fragment = (uint16_t)((get_be16(ip + 6) & 0x1fff) * 8 | (get_be16(ip + 6) & 0x2000 ? 1 : 0));
            assert_int_equal(get_be16(ip + 2), 20 + here);
            assert_int_equal(rig_checksum(ip, 20, 0), 0);
        } else {
            fragment = get_be16(ip + 42);
            assert_int_equal(ip[6], 44);
            assert_int_equal(ip[40], 17);
            assert_int_equal(get_be16(ip + 4), 8 + here);
        }
        assert_int_equal(fragment, at | (at + here < total));
        memcpy(datagram + ip_bytes + at, got.bytes + headers, here);
        at += here;
    }
    assert_int_equal(transport_sum(datagram, ip_bytes, total, 17), 0);
    assert_memory_equal(datagram + ip_bytes + 8, frame + 14 + ip_bytes + 8, payload);
}

static void udp_is_fragmented(void **state)
{
    struct virtio_net_hdr header;
    uint32_t size;

    (void)state;
    start(ALL, VIRTIO_NET_F_MRG_RXBUF);
    rig_fill(b, 20, RIG_BUFFER);
    size = make_udp4(&header, 8001, 1480);
    rig_send(a, &header, frame, size);
    check_fragments(20, 8001, 1480);
    rig_fill(b, 20, RIG_BUFFER);
    size = make_ipv6(&header, 17, 8, 6000);
    header.gso_type = VIRTIO_NET_HDR_GSO_UDP;
    header.gso_size = 1453; /* rounded down to whole units of 8 */
    header.csum_offset = 6;
    rig_send(a, &header, frame, size);
    check_fragments(40, 6000, 1448);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, virtio_net_rig_set_up, virtio_net_rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_receiver_without_offloads_gets_finished_segments),
        TEST(a_receiver_of_checksums_gets_partial_ones),
        TEST(a_receiver_without_checksums_gets_finished_ones),
        TEST(ipv6_is_segmented_too),
        TEST(udp_is_fragmented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
