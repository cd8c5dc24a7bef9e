/* SPDX-License-Identifier: BSD-2-Clause */
/* A network card that sends without end, or is sent to; see measure.h. */
#include "guests/common/virtio.h"
#include "guests/measure/measure.h"

#define ETHERTYPE    0xb588u /* local experiments, big-endian */
#define HEADER_BYTES 12u     /* virtio's, in front of each frame */
#define FRAME_BYTES  1514u
#define SMALL_BYTES  60u

struct frame {
    uint8_t header[HEADER_BYTES];
    uint8_t to[6], from[6];
    uint16_t type;
    uint8_t payload[FRAME_BYTES - 14];
} __attribute__((packed, aligned(4)));

static struct virtio_queue receiver, sender;
static struct frame incoming[VIRTIO_RING_SIZE], outgoing[VIRTIO_RING_SIZE];

static void offer_buffer(uint16_t i)
{
    receiver.desc[i] = (struct virtio_desc){(uintptr_t)&incoming[i], sizeof incoming[i], VIRTIO_WRITE, 0};
    virtio_offer(&receiver, i);
}

bool net_start(void)
{
    volatile uint32_t *registers = virtio_find(VIRTIO_ID_NET);

    if (!registers || !virtio_begin(registers, 0))
        return false;
    virtio_add_queue(registers, &receiver, 0);
    virtio_add_queue(registers, &sender, 1);
    virtio_finish(registers);
    for (uint16_t i = 0; i < VIRTIO_RING_SIZE; i++)
        offer_buffer(i);
    virtio_notify(&receiver);
    return true;
}

unsigned net_drain(void)
{
    uint32_t head, length;
    unsigned count = 0;

    for (; virtio_take(&receiver, &head, &length); count++)
        offer_buffer((uint16_t)(head % VIRTIO_RING_SIZE));
    return count;
}

/* Small and full-sized by turns: what costs by the frame, and what costs by the byte. */
static void offer_frame(uint16_t i, uint32_t number)
{
    uint32_t size_bytes = HEADER_BYTES + (i % 2 ? FRAME_BYTES : SMALL_BYTES);
    struct frame *f = &outgoing[i];

    for (unsigned at = 0; at < 6; at++)
        f->to[at] = 0xff;
    f->from[0] = 0x02;
    for (unsigned at = 0; at < 4; at++)
        f->from[2 + at] = (uint8_t)(number >> 8 * at);
    f->type = ETHERTYPE;
    sender.desc[i] = (struct virtio_desc){(uintptr_t)f, size_bytes, 0, 0};
    virtio_offer(&sender, i);
}

void net_flood(void)
{
    uint32_t number = 0, head, length;

    for (uint16_t i = 0; i < VIRTIO_RING_SIZE; i++)
        offer_frame(i, number++);
    for (;;) {
        virtio_notify(&sender);
        while (virtio_take(&sender, &head, &length))
            offer_frame((uint16_t)(head % VIRTIO_RING_SIZE), number++);
    }
}
