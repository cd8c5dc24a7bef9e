/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-mmio devices as the smallest driver has them: polled, one ring at a time in static memory, no interrupts.
 * VIRTIO 1.2, "Virtio Over MMIO" and "Split Virtqueues".
 */
#ifndef GUESTS_COMMON_VIRTIO_H
#define GUESTS_COMMON_VIRTIO_H

#include "kernel/lib/types.h"

#define VIRTIO_ID_NET     1u
#define VIRTIO_ID_BLOCK   2u
#define VIRTIO_ID_BALLOON 5u

#define VIRTIO_RING_SIZE 64u
#define VIRTIO_NEXT      1u /* flags of a descriptor */
#define VIRTIO_WRITE     2u

struct virtio_desc {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct virtio_queue {
    struct virtio_desc desc[VIRTIO_RING_SIZE];
    struct {
        uint16_t flags, index, ring[VIRTIO_RING_SIZE], used_event;
    } available;
    struct {
        uint16_t flags, index;
        struct {
            uint32_t id, length;
        } ring[VIRTIO_RING_SIZE];
        uint16_t avail_event;
    } used __attribute__((aligned(8)));
    volatile uint32_t *registers; /* of its device */
    uint32_t number;
    uint16_t taken;
} __attribute__((aligned(16)));

/* The registers of the first device of that kind, or of the one behind so many others; NULL: there is none. */
volatile uint32_t *virtio_find(uint32_t id);
volatile uint32_t *virtio_find_nth(uint32_t id, unsigned number);
/* The device's configuration. */
const volatile uint8_t *virtio_config(volatile uint32_t *registers);

/* A device is started by begin, add_queue for each that is used, and finish; false: it refuses. VERSION_1 is implied. */
bool virtio_begin(volatile uint32_t *registers, uint32_t features);
void virtio_add_queue(volatile uint32_t *registers, struct virtio_queue *queue, uint32_t number);
void virtio_finish(volatile uint32_t *registers);

/* Gives the device the chain that starts at that descriptor; it looks when it is notified. */
void virtio_offer(struct virtio_queue *queue, uint16_t head);
void virtio_notify(struct virtio_queue *queue);

/* The next chain that the device is done with: false when there is none. */
bool virtio_take(struct virtio_queue *queue, uint32_t *head, uint32_t *length);

#endif
