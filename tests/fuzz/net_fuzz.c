/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: no packet, header, command or ring of one guest makes the switch or a card touch memory that is not its
 * guests', loop, or assert, and no other guest's device fails by it. Input: a byte of features, then records
 * {what, length, bytes…}.
 */
#include "tests/host/fake/net_rig.h"
#include "kernel/lib/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAME_BYTES_MAX 0x4000u

/* All that a card offers: 0 to 3, 5, 7 to 20; the sender's also more pairs and another address. */
#define FEATURES        (0x1fffafull | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)
#define SENDER_FEATURES (FEATURES | VIRTIO_NET_F_MQ | VIRTIO_NET_F_CTRL_MAC_ADDR)

static uint8_t packet[sizeof(struct virtio_net_hdr) + FRAME_BYTES_MAX];
static uint32_t packet_bytes;

static void start(uint8_t choice)
{
    static const struct switch_port_config sender = {.mtu = 9000, .is_trunk = true};
    struct rig_guest *g;

    rig_start();
    rig_add(0, sender, SENDER_FEATURES, 2);
    g = rig_add(1, rig_config(), choice & 1 ? FEATURES : VIRTIO_NET_F_MRG_RXBUF, 1);
    rig_fill(g, 50, 0x800);
    rig_add(2, rig_config(), choice & 2 ? VIRTIO_NET_F_GUEST_CSUM : 0, 1);
    rig_fill(&rig_guests[2], 50, 0x600);
}

/* Bytes over the packet that is being made, at a place that the first of them says. */
static void change(const uint8_t *bytes, size_t count)
{
    size_t at = bytes[0];

    memcpy(packet + at, bytes + 1, MIN(count - 1, sizeof packet - at));
    packet_bytes = MAX(packet_bytes, (uint32_t)(at + count - 1));
}

static void send_packet(const uint8_t *bytes)
{
    struct virtio_net_hdr header;
    uint32_t bytes_wanted = MIN((uint32_t)get_le16(bytes), FRAME_BYTES_MAX);

    memcpy(&header, packet, sizeof header);
    rig_queue(&rig_guests[0], &header, packet + sizeof header, bytes_wanted, bytes[1] & 3 ? 0 : 700);
    driver_kick(&rig_guests[0].guest, rig_guests[0].transmit);
}

static void command(const uint8_t *bytes, size_t count)
{
    struct guest *g = &rig_guests[0].guest;
    struct buffer buffers[] = {{GUEST_BUFFERS, (uint32_t)count, 0}, {GUEST_BUFFERS + 0x1000, 1, VIRTQ_DESC_F_WRITE}};

    memcpy(guest_at(g, GUEST_BUFFERS), bytes, count);
    driver_add(g, &g->queues[4], buffers, 2);
    driver_kick(g, &g->queues[4]);
}

static void poke(const uint8_t *bytes)
{
    struct guest *g = &rig_guests[bytes[0] % 2].guest;

    put_le32(guest_at(g, get_le16(bytes + 1) % (GUEST_BUFFERS - 4)), get_le32(bytes + 3));
    driver_kick(g, &g->queues[bytes[0] >> 4 & 1]);
}

/* As a driver does: never more than the ring has. */
static void fill_one(struct rig_guest *g, uint32_t size_bytes)
{
    uint16_t waiting = (uint16_t)(g->receive->next_avail - driver_used(&g->guest, g->receive)->idx);

    if (waiting < RIG_RING)
        rig_fill(g, 1, size_bytes);
}

static void step(uint8_t what, const uint8_t *bytes, size_t count)
{
    switch (what % 5) {
    case 0:
        change(bytes, count);
        break;
    case 1:
        if (count >= 2)
            send_packet(bytes);
        break;
    case 2:
        command(bytes, count);
        break;
    case 3:
        if (count >= 7)
            poke(bytes);
        break;
    default:
        fill_one(&rig_guests[1 + bytes[0] % 2], 1 + bytes[0] * 8u);
        fake_clock_advance(VIRTIO_DEFER_NS);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    start(data[0]);
    memset(packet, 0, sizeof packet);
    for (size_t at = 1; at + 3 <= size;) {
        size_t count = MIN((size_t)data[at + 1] + 1, size - at - 2);

        step(data[at], data + at + 2, count);
        at += 2 + count;
    }
    assert_false(driver_needs_reset(&rig_guests[2].guest));
    rig_stop();
    return 0;
}
