/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests with a network card each, on one switch: frames are sent through real rings and taken out of them. And an
 * independent idea of what is in a frame: checksums computed a byte at a time.
 */
#ifndef TESTS_HOST_FAKE_NET_RIG_H
#define TESTS_HOST_FAKE_NET_RIG_H

#include "tests/host/fake/virtio_driver.h"
#include "drivers/net/switch.h"
#include "drivers/virt/virtio_net.h"

#define RIG_GUESTS_MAX  3u
#define RIG_FRAME_BYTES 70000u
#define RIG_RING        64u
#define RIG_BUFFER      0x600u /* of each receive buffer, unless the rig says otherwise */

struct rig_guest {
    struct guest guest;
    struct virtio_net net;
    struct switch_port *port;
    uint8_t mac[NET_MAC_BYTES];
    struct driver_queue *receive, *transmit;
};

/* What came, as the driver puts it together out of its buffers. */
struct rig_frame {
    struct virtio_net_hdr header;
    uint32_t size_bytes;
    unsigned buffers;
    uint8_t bytes[RIG_FRAME_BYTES];
};

extern struct net_switch rig_switch;
extern struct rig_guest rig_guests[RIG_GUESTS_MAX];

/* Resets the switch; then guests are added one by one, which starts their drivers. */
void rig_start(void);
void rig_stop(void);
/* Address 02:00:00:00:00:NN, NN = number + 1; config's name, mac are filled in. pairs: of queues. */
struct rig_guest *rig_add(unsigned number, struct switch_port_config config, uint64_t features, unsigned pairs);
/* An access port as most are. */
struct switch_port_config rig_config(void);

/* Gives the guest count receive buffers of size_bytes each. */
void rig_fill(struct rig_guest *g, unsigned count, uint32_t size_bytes);

/* Makes a packet available, in pieces of piece_bytes (0: one), without a kick. */
void rig_queue(struct rig_guest *g, const struct virtio_net_hdr *header, const uint8_t *frame, uint32_t size_bytes,
               uint32_t piece_bytes);
/* The same, and the doorbell. */
void rig_send(struct rig_guest *g, const struct virtio_net_hdr *header, const uint8_t *frame, uint32_t size_bytes);
bool rig_receive(struct rig_guest *g, struct rig_frame *frame);

/* An Ethernet header from one guest to another's address (or broadcast: to NULL); returns its size. */
uint32_t rig_ethernet(uint8_t *frame, const struct rig_guest *from, const struct rig_guest *to, uint16_t type);

/* RFC 1071, a byte at a time. */
uint16_t rig_checksum(const uint8_t *bytes, uint32_t size_bytes, uint32_t sum);

#endif
