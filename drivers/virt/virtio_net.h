/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network card (VIRTIO 1.2, "Network Device") on a socket of a network (struct netdev): up to four pairs of
 * queues and a control queue. virtio_net.c moves packets, virtio_net_control.c is what the driver commands.
 *
 * A doorbell sends what waits, in bounded rounds; between rounds, and while the network says that the card is over
 * its rate, packets wait in the guest's ring. What arrives is copied into the receive ring by the sender's CPU,
 * or dropped: receive buffers are never asked for by a doorbell.
 *
 * Locking: the transmit and control queues belong to the device's lock; the receive queues, the filter and
 * the card to the socket's receive_lock, which is the device's queue_lock.
 */
#ifndef DRIVERS_VIRT_VIRTIO_NET_H
#define DRIVERS_VIRT_VIRTIO_NET_H

#include "drivers/backend.h"
#include "drivers/virt/virtio.h"

#define VIRTIO_NET_F_CSUM                BIT(0)
#define VIRTIO_NET_F_GUEST_CSUM          BIT(1)
#define VIRTIO_NET_F_CTRL_GUEST_OFFLOADS BIT(2)
#define VIRTIO_NET_F_MTU                 BIT(3)
#define VIRTIO_NET_F_MAC                 BIT(5)
#define VIRTIO_NET_F_GUEST_TSO4          BIT(7)
#define VIRTIO_NET_F_GUEST_TSO6          BIT(8)
#define VIRTIO_NET_F_GUEST_ECN           BIT(9)
#define VIRTIO_NET_F_GUEST_UFO           BIT(10)
#define VIRTIO_NET_F_HOST_TSO4           BIT(11)
#define VIRTIO_NET_F_HOST_TSO6           BIT(12)
#define VIRTIO_NET_F_HOST_ECN            BIT(13)
#define VIRTIO_NET_F_HOST_UFO            BIT(14)
#define VIRTIO_NET_F_MRG_RXBUF           BIT(15)
#define VIRTIO_NET_F_STATUS              BIT(16)
#define VIRTIO_NET_F_CTRL_VQ             BIT(17)
#define VIRTIO_NET_F_CTRL_RX             BIT(18)
#define VIRTIO_NET_F_CTRL_VLAN           BIT(19)
#define VIRTIO_NET_F_CTRL_RX_EXTRA       BIT(20)
#define VIRTIO_NET_F_MQ                  BIT(22)
#define VIRTIO_NET_F_CTRL_MAC_ADDR       BIT(23)

#define VIRTIO_NET_S_LINK_UP 1u

#define VIRTIO_NET_HDR_F_NEEDS_CSUM 1u

#define VIRTIO_NET_HDR_GSO_NONE  0u
#define VIRTIO_NET_HDR_GSO_TCPV4 1u
#define VIRTIO_NET_HDR_GSO_UDP   3u
#define VIRTIO_NET_HDR_GSO_TCPV6 4u
#define VIRTIO_NET_HDR_GSO_ECN   0x80u

struct virtio_net_hdr {
    uint8_t flags;
    uint8_t gso_type;
    uint16_t hdr_len;
    uint16_t gso_size;
    uint16_t csum_start;
    uint16_t csum_offset;
    uint16_t num_buffers;
};

struct virtio_net_config {
    uint8_t mac[NET_MAC_BYTES];
    uint16_t status;
    uint16_t max_virtqueue_pairs;
    uint16_t mtu;
};

/* Classes and commands of the control queue. */
#define VIRTIO_NET_CTRL_RX                0u
#define VIRTIO_NET_CTRL_RX_PROMISC        0u
#define VIRTIO_NET_CTRL_RX_ALLMULTI       1u
#define VIRTIO_NET_CTRL_RX_ALLUNI         2u
#define VIRTIO_NET_CTRL_RX_NOMULTI        3u
#define VIRTIO_NET_CTRL_RX_NOUNI          4u
#define VIRTIO_NET_CTRL_RX_NOBCAST        5u
#define VIRTIO_NET_CTRL_RX_COMMANDS       6u
#define VIRTIO_NET_CTRL_MAC               1u
#define VIRTIO_NET_CTRL_MAC_TABLE_SET     0u
#define VIRTIO_NET_CTRL_MAC_ADDR_SET      1u
#define VIRTIO_NET_CTRL_VLAN              2u
#define VIRTIO_NET_CTRL_VLAN_ADD          0u
#define VIRTIO_NET_CTRL_VLAN_DEL          1u
#define VIRTIO_NET_CTRL_MQ                4u
#define VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET   0u
#define VIRTIO_NET_CTRL_GUEST_OFFLOADS    5u
#define VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET 0u
#define VIRTIO_NET_OK                     0u
#define VIRTIO_NET_ERR                    1u

#define VIRTIO_NET_PAIRS_MAX  4u
#define VIRTIO_NET_QUEUE_SIZE 256u
#define VIRTIO_NET_FLOWS      256u
#define VIRTIO_NET_MACS_MAX   64u /* addresses in the filter; with more, all of their kind pass */
#define VIRTIO_NET_VLANS      4096u

/* What one doorbell may deliver before the guest runs again. */
#define VIRTIO_NET_ROUND 64u

/* Addresses of one kind, in the filter. */
struct virtio_net_macs {
    uint8_t list[VIRTIO_NET_MACS_MAX][NET_MAC_BYTES];
    unsigned count;
    bool takes_all; /* they were more than fit */
};

/* Which frames the driver wants; by default all. */
struct virtio_net_filter {
    bool modes[VIRTIO_NET_CTRL_RX_COMMANDS];
    uint8_t mac[NET_MAC_BYTES];
    struct virtio_net_macs unicast, multicast;
    bool has_vlans; /* only those in vlans pass */
    uint64_t vlans[VIRTIO_NET_VLANS / 64];
};

struct virtio_net {
    struct virtio_device device;
    struct virtqueue queues[2 * VIRTIO_NET_PAIRS_MAX + 1]; /* receive and transmit in turn, control last */
    struct virtio_net_config config;
    uint8_t permanent_mac[NET_MAC_BYTES]; /* until the driver chooses another, and after a reset */
    struct netdev *network;

    /* Under receive_lock. */
    struct net_card card;
    struct virtio_net_filter filter;
    unsigned active_pairs;
    uint32_t unsignalled; /* receive queues with frames that the guest has not been told of, as bits by pair */
    struct vq_chain receive_chain;

    uint8_t flow_pairs[VIRTIO_NET_FLOWS]; /* where each flow was sent last; written with no lock, any value is fine */

    /* Under the device's lock. */
    struct vq_chain chain;
    uint8_t head[NET_HEAD_BYTES + NET_VLAN_TAG_BYTES];
    struct net_span spans[VQ_SPANS_MAX + 1];
};

struct virtio_net_settings {
    uint8_t mac[NET_MAC_BYTES];
    bool may_change_mac;
    unsigned pairs; /* 1 to VIRTIO_NET_PAIRS_MAX */
    uint16_t mtu;
};

/* Plugs the card into the network, which outlives it; netdev_plug(network, NULL) takes it out. */
void virtio_net_init(struct virtio_net *net, const struct guest_mem *mem, const struct virtio_net_settings *settings,
                     struct netdev *network);

/* The link's state, which the driver is told of. Under the device's lock. */
void virtio_net_set_link(struct virtio_net *net, bool is_up);

/* --- between the two files of this device --- */

struct virtqueue *virtio_net_control_queue(struct virtio_net *net);
bool virtio_net_notify_control(struct virtqueue *vq);
/* Everything passes, and one pair is active. Under receive_lock. */
void virtio_net_reset_control(struct virtio_net *net);
bool virtio_net_wants(const struct virtio_net_filter *filter, const uint8_t *head, uint32_t head_bytes);

/* Of the features in driver_features, or in a SET of guest offloads, which have the same bits. */
uint32_t virtio_net_offloads_of(uint64_t guest_features);

#endif
