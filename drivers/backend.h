/* SPDX-License-Identifier: BSD-2-Clause */
/* What the devices that guests see and the hardware that we drive share, and nothing else. */
#ifndef DRIVERS_BACKEND_H
#define DRIVERS_BACKEND_H

#include "kernel/lib/lock.h"
#include "kernel/lib/types.h"

/* A sink of bytes: a console, a recorder in a test. Never blocks; what does not fit is dropped by the sink. */
struct chardev {
    void (*write)(void *context, const uint8_t *bytes, size_t count);
    void *context;
};

static inline void chardev_write(const struct chardev *c, const uint8_t *bytes, size_t count)
{
    if (c->write)
        c->write(c->context, bytes, count);
}

#define BLOCKDEV_SECTOR_BYTES 512u
#define BLOCKDEV_ID_BYTES     20u

/*
 * A disk. Offsets and sizes are in bytes, multiples of BLOCKDEV_SECTOR_BYTES; the caller has checked
 * that the range is inside capacity_bytes. Each returns 0 or a negative errno.
 */
struct blockdev_ops {
    int (*read)(void *context, uint64_t offset, void *to, size_t size);
    int (*write)(void *context, uint64_t offset, const void *from, size_t size);
    int (*flush)(void *context);
    int (*discard)(void *context, uint64_t offset, uint64_t size);
    int (*write_zeroes)(void *context, uint64_t offset, uint64_t size);
};

struct blockdev {
    const struct blockdev_ops *ops;
    void *context;
    uint64_t capacity_bytes;
    bool read_only;
    char id[BLOCKDEV_ID_BYTES + 1]; /* what GET_ID tells, NUL-padded */
};

/* A source of random bytes; never fails. */
struct entropy_source {
    void (*fill)(void *context, void *to, size_t size);
    void *context;
};

/*
 * Networks. A card sends packets into a netdev, the network's socket that it is plugged into; the
 * network gives frames to the cards on its other sockets, on the CPU of the sender.
 */
#define NET_MAC_BYTES       6u
#define NET_ETHERNET_BYTES  14u /* destination, source, type */
#define NET_VLAN_TAG_BYTES  4u
#define NET_HEAD_BYTES      192u /* Ethernet, tag, IP with options, TCP with options, and more */
#define NET_PACKET_BYTES_MAX (NET_ETHERNET_BYTES + NET_VLAN_TAG_BYTES + 65535u)

/* NET_GSO_UNKNOWN: the sender asked for something that there is not; its packet is malformed. */
enum net_gso { NET_GSO_NONE, NET_GSO_TCPV4, NET_GSO_TCPV6, NET_GSO_UDP, NET_GSO_TYPES, NET_GSO_UNKNOWN };

/* What the sender left to be done. Offsets are from the frame's first byte. */
struct net_offload {
    bool needs_checksum; /* from checksum_start to the end; its place holds the pseudo header's sum */
    bool has_ecn;        /* TCP's CWR is set, for the first segment only */
    uint16_t checksum_start;
    uint16_t checksum_offset; /* from checksum_start */
    enum net_gso gso;
    uint16_t gso_size;     /* payload of each segment */
    uint16_t header_bytes; /* with gso: before the payload; the network finds it out */
};

/* What a card takes undone, as bits. The others need NET_CHECKSUM too. */
#define NET_CHECKSUM 1u
#define NET_TSO4     2u
#define NET_TSO6     4u
#define NET_TSO_ECN  8u
#define NET_UFO      16u

struct net_span {
    const uint8_t *bytes;
    uint32_t size_bytes;
};

/*
 * One Ethernet frame, without FCS, as it is sent. Its head is a copy, so that what is checked is what is
 * delivered; the rest lies in the sender's memory and may change at any time.
 */
struct net_packet {
    uint8_t *head;          /* head_bytes, with room for one VLAN tag more */
    uint32_t head_bytes;    /* NET_HEAD_BYTES, or all of it */
    uint32_t size_bytes;    /* head included */
    struct net_span *spans; /* the first is the head: who changes that changes both */
    struct net_offload offload;
    uint32_t flow; /* the same for both directions of a connection; 0: not computed */
};

/* What a card gets: head, then body_bytes out of body, whose first skip_bytes are not meant. */
struct net_frame {
    const uint8_t *head;
    uint32_t head_bytes;
    const struct net_span *body;
    uint32_t skip_bytes;
    uint32_t body_bytes;
    struct net_offload offload;
    uint32_t flow;
};

/* What became of a packet, at the sender's socket (first) or at a receiver's. */
enum net_result {
    NET_OK,
    NET_DROP_MALFORMED, /* no frame, or an offload that contradicts its headers */
    NET_DROP_OVERSIZE,  /* larger than the socket's MTU */
    NET_DROP_SPOOFED,   /* its source is not the card's address */
    NET_DROP_VLAN,      /* tagged where it may not be */
    NET_DROP_RESERVED,  /* to an address that bridges do not forward */
    NET_DROP_NOWHERE,   /* nobody may have it */
    NET_DROP_LINK_DOWN, /* the receiver's driver is not there */
    NET_DROP_FILTERED,  /* the receiver does not want it */
    NET_DROP_NO_BUFFER, /* the receiver's ring is empty, or its buffers are too small */
    NET_RESULTS
};

/* The card's side of a socket. All of it belongs to the socket's receive_lock. */
struct net_card {
    enum net_result (*receive)(void *context, const struct net_frame *frame);
    void (*flush)(void *context); /* nothing more comes for now: tell the guest */
    void *context;
    uint32_t offloads; /* NET_CHECKSUM to NET_UFO */
    bool wants_flow;   /* else a frame's flow may be 0 */
};

struct netdev_ops {
    /* Only one at a time on a socket. Returns how many deliveries it cost. */
    unsigned (*send)(void *context, struct net_packet *packet);
    void (*flush)(void *context); /* nothing more comes for now */
    /* When the card may send (host TSC), by the socket's rate limit; in the past: now. */
    uint64_t (*ready_at)(void *context);
};

/*
 * A socket. Senders on other CPUs deliver under receive_lock, and only interrupts are raised below it:
 * nobody holds two, and a card that changes what they use (its rings, its filters) holds it.
 */
struct netdev {
    const struct netdev_ops *ops;
    void *context;
    struct lock receive_lock;
    struct net_card *card; /* NULL: nothing is plugged in */
};

static inline void netdev_plug(struct netdev *netdev, struct net_card *card)
{
    lock_acquire(&netdev->receive_lock);
    netdev->card = card;
    lock_release(&netdev->receive_lock);
}

/*
 * Sockets between VMs (VIRTIO 1.2, "Socket Device"). A socket device sends packets into a vsockdev, its place at the
 * hub, which gives them to the device of the CID that they are for, on the CPU of the sender. Nothing is dropped for want of
 * room: what the receiver cannot take now stays with the sender, who is woken when there is room.
 */
/* Below are those with a meaning of their own: any, the hypervisor, the machine itself, the host. */
#define VSOCK_CID_FIRST 3u
#define VSOCK_CIDS      64u
#define VSOCK_CID_LAST  (VSOCK_CID_FIRST + VSOCK_CIDS - 1)

#define VSOCK_TYPE_STREAM 1u

#define VSOCK_OP_REQUEST        1u
#define VSOCK_OP_RST            3u
#define VSOCK_OP_RW             5u
#define VSOCK_OP_CREDIT_REQUEST 7u /* the last one */

/* As the driver lays it out. */
struct vsock_header {
    uint64_t src_cid;
    uint64_t dst_cid;
    uint32_t src_port;
    uint32_t dst_port;
    uint32_t len; /* of the payload */
    uint16_t type;
    uint16_t op;
    uint32_t flags;
    uint32_t buf_alloc;
    uint32_t fwd_cnt;
} __attribute__((packed));

#define VSOCK_PAYLOAD_MAX KIB(64)

/* The header is a copy; the payload lies in the sender's memory and may change at any time. */
struct vsock_packet {
    struct vsock_header header;
    struct net_span *payload; /* what is left of it: the receiver takes it off the front */
    uint32_t left_bytes;
    unsigned spans; /* pieces of the receiver's buffers that were looked through for it: the sender's time */
};

enum vsock_result {
    VSOCK_DONE,
    VSOCK_FULL,   /* something is left, or all; try again when woken */
    VSOCK_NOBODY, /* nobody takes it */
};

/* The device's side. All of it belongs to the place's receive_lock. */
struct vsock_card {
    enum vsock_result (*receive)(void *context, struct vsock_packet *packet);
    void (*wake)(void *context); /* try again. Only asks its owner to: any CPU */
    void *context;
};

struct vsockdev_ops {
    /* Only one at a time at a place. */
    enum vsock_result (*send)(void *context, struct vsock_packet *packet);
    /* The device has room again: whoever waits for it is woken. */
    void (*has_room)(void *context);
};

/* The locking is that of struct netdev. */
struct vsockdev {
    const struct vsockdev_ops *ops;
    void *context;
    uint32_t cid;
    struct lock receive_lock;
    struct vsock_card *card; /* NULL: nothing is plugged in */
};

#endif
