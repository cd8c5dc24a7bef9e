/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/virtio_net_rig.h"
#include "drivers/net/headers.h"

struct rig_guest *a, *b;
uint8_t frame[RIG_FRAME_BYTES];
struct rig_frame got;

int virtio_net_rig_set_up(void **state)
{
    (void)state;
    rig_start();
    return 0;
}

int virtio_net_rig_tear_down(void **state)
{
    (void)state;
    rig_stop();
    return 0;
}

void start(uint64_t a_features, uint64_t b_features)
{
    a = rig_add(0, rig_config(), a_features, 1);
    b = rig_add(1, rig_config(), b_features, 1);
}

uint32_t make_frame(uint32_t size_bytes)
{
    for (uint32_t i = rig_ethernet(frame, a, b, 0x88b5); i < size_bytes; i++)
        frame[i] = (uint8_t)(i * 7 + (i >> 8));
    return size_bytes;
}

uint32_t make_tcp4(struct virtio_net_hdr *header, uint32_t payload, uint16_t mss)
{
    uint8_t *ip = frame + rig_ethernet(frame, a, b, ETHERTYPE_IPV4), *tcp = ip + 20;
    uint32_t sum = 0;

    memset(ip, 0, 40);
    ip[0] = 0x45;
    put_be16(ip + 2, 40 + payload);
    put_be16(ip + 4, 0xfffe);
    ip[8] = 64;
    ip[9] = 6;
    put_be32(ip + 12, 0x0a000001);
    put_be32(ip + 16, 0x0a000002);
    put_be16(ip + 10, rig_checksum(ip, 20, 0));
    put_be16(tcp, 1234);
    put_be16(tcp + 2, 5000);
    put_be32(tcp + 4, 0xfffffff0);
    tcp[12] = 0x50;
    tcp[13] = 0x18 | 0x81; /* PSH, ACK; CWR, FIN */
    for (unsigned i = 12; i < 20; i += 2)
        sum += get_be16(ip + i);
    sum += 6 + 20 + payload;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    put_be16(tcp + 16, sum);
    for (uint32_t i = 0; i < payload; i++)
        tcp[20 + i] = (uint8_t)(i * 13 + (i >> 8) * 5);
    *header = (struct virtio_net_hdr){VIRTIO_NET_HDR_F_NEEDS_CSUM, mss ? VIRTIO_NET_HDR_GSO_TCPV4 : 0, 54, mss, 34, 16, 0};
    return 54 + payload;
}

uint32_t make_udp4(struct virtio_net_hdr *header, uint32_t payload, uint16_t piece)
{
    uint32_t size = make_tcp4(header, payload - 12, piece);
    uint8_t *ip = frame + 14;

    ip[9] = 17;
    put_be16(ip + 10, 0);
    put_be16(ip + 10, rig_checksum(ip, 20, 0));
    put_be16(ip + 24, 8 + payload);
    header->csum_offset = 6;
    header->gso_type = VIRTIO_NET_HDR_GSO_UDP;
    return size;
}
