/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The socket device (VIRTIO 1.2, "Socket Device"): stream sockets with the other VMs that have one, through a hub
 * (struct vsockdev). The device moves packets; connections are the guests' business.
 *
 * Locking: the transmit queue belongs to the device's lock, the receive queue to the place's receive_lock, which is the
 * device's queue_lock.
 */
#ifndef DRIVERS_VIRT_VIRTIO_VSOCK_H
#define DRIVERS_VIRT_VIRTIO_VSOCK_H

#include "drivers/backend.h"
#include "drivers/virt/virtio.h"

#define VIRTIO_VSOCK_F_STREAM BIT(0)

#define VIRTIO_VSOCK_RX     0u
#define VIRTIO_VSOCK_TX     1u
#define VIRTIO_VSOCK_EVENT  2u
#define VIRTIO_VSOCK_QUEUES 3u

/* Packets that one doorbell may send before the guest runs again; fewer where receivers have small buffers. */
#define VIRTIO_VSOCK_ROUND 32u

/* A sender that nobody woke looks again after that long. */
#define VIRTIO_VSOCK_RETRY_NS 10000000u

struct virtio_vsock_config {
    uint64_t guest_cid;
};

struct virtio_vsock {
    struct virtio_device device;
    struct virtqueue queues[VIRTIO_VSOCK_QUEUES];
    struct virtio_vsock_config config;
    struct vsockdev *hub;

    /* Under receive_lock. */
    struct vsock_card card;
    struct vq_chain receive_chain;

    /* Under the device's lock. */
    struct vq_chain chain;
    struct net_span spans[VQ_SPANS_MAX];
    uint32_t taken_bytes; /* of the packet that is next in the transmit ring, before the receiver was full */
};

/* Takes its place at the hub, which outlives it; vsock_hub_detach() takes it away. */
void virtio_vsock_init(struct virtio_vsock *vsock, const struct guest_mem *mem, struct vsockdev *hub);

#endif
