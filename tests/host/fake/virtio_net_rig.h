/* SPDX-License-Identifier: BSD-2-Clause */
/* Two guests of fake/net_rig.h, of which a sends to b, and packets as senders with offloads make them. */
#ifndef TESTS_HOST_FAKE_VIRTIO_NET_RIG_H
#define TESTS_HOST_FAKE_VIRTIO_NET_RIG_H

#include "tests/host/fake/net_rig.h"

#define OFFLOADS (VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_ECN | \
                  VIRTIO_NET_F_HOST_UFO)
#define GUEST_OFFLOADS (VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | \
                        VIRTIO_NET_F_GUEST_ECN | VIRTIO_NET_F_GUEST_UFO)
#define ALL (OFFLOADS | GUEST_OFFLOADS | VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | \
             VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MAC)

extern struct rig_guest *a, *b;
extern uint8_t frame[RIG_FRAME_BYTES];
extern struct rig_frame got;

int virtio_net_rig_set_up(void **state);
int virtio_net_rig_tear_down(void **state);
void start(uint64_t a_features, uint64_t b_features);

/* Each fills in frame, and returns its size. */
uint32_t make_frame(uint32_t size_bytes);
/* TCP over IPv4 with a partial checksum, as a sender with TSO makes it. */
uint32_t make_tcp4(struct virtio_net_hdr *header, uint32_t payload, uint16_t mss);
uint32_t make_udp4(struct virtio_net_hdr *header, uint32_t payload, uint16_t piece);

#endif
