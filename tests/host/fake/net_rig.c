/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/net_rig.h"

struct net_switch rig_switch;
struct rig_guest rig_guests[RIG_GUESTS_MAX];

#define RECEIVE_AREA  GUEST_BUFFERS
#define TRANSMIT_AREA GUEST_HIGH

static uint64_t next_receive[RIG_GUESTS_MAX], next_transmit[RIG_GUESTS_MAX];

void rig_start(void)
{
    fake_clock_reset();
    switch_init(&rig_switch, "lan0", 42);
    for (unsigned i = 0; i < RIG_GUESTS_MAX; i++)
        rig_guests[i] = (struct rig_guest){.guest = rig_guests[i].guest}; /* whose memory stays */
}

void rig_stop(void)
{
    for (unsigned i = 0; i < RIG_GUESTS_MAX; i++)
        if (rig_guests[i].port)
            switch_detach(rig_guests[i].port);
}

struct switch_port_config rig_config(void)
{
    return (struct switch_port_config){.mtu = 1500, .checks_source = true};
}

static unsigned number_of(const struct rig_guest *g)
{
    return (unsigned)(g - rig_guests);
}

struct rig_guest *rig_add(unsigned number, struct switch_port_config config, uint64_t features, unsigned pairs)
{
    struct rig_guest *g = &rig_guests[number];
    struct virtio_net_settings settings = {.pairs = pairs, .mtu = config.mtu, .may_change_mac = !config.checks_source};
    bool knows_pairs = features & VIRTIO_NET_F_MQ;

    memcpy(g->mac, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)(number + 1)}, NET_MAC_BYTES);
    memcpy(config.mac, g->mac, sizeof g->mac);
    memcpy(settings.mac, g->mac, sizeof g->mac);
    assert_int_equal(switch_attach(&rig_switch, &config, &g->port), 0);
    if (g->guest.mem.count == 0)
        guest_start(&g->guest);
    guest_clear(&g->guest);
    virtio_net_init(&g->net, &g->guest.mem, &settings, &g->port->netdev);
    guest_attach(&g->guest, &g->net.device);
    driver_start(&g->guest, features, knows_pairs ? 2 * pairs + 1 : 3, RIG_RING);
    g->receive = &g->guest.queues[0];
    g->transmit = &g->guest.queues[1];
    next_receive[number] = RECEIVE_AREA;
    next_transmit[number] = TRANSMIT_AREA;
    return g;
}

/* Buffers are taken in turn and never given back: enough for a test. */
static uint64_t take(uint64_t *next, uint32_t size_bytes, uint64_t start, uint64_t end)
{
    uint64_t at = *next;

    if (at + size_bytes > end)
        at = start;
    *next = at + ALIGN_UP(size_bytes, 16);
    return at;
}

void rig_fill(struct rig_guest *g, unsigned count, uint32_t size_bytes)
{
    for (unsigned i = 0; i < count; i++) {
        struct buffer b = {take(&next_receive[number_of(g)], size_bytes, RECEIVE_AREA, GUEST_RAM_END), size_bytes,
                           VIRTQ_DESC_F_WRITE};

        driver_add(&g->guest, g->receive, &b, 1);
    }
}

void rig_queue(struct rig_guest *g, const struct virtio_net_hdr *header, const uint8_t *frame, uint32_t size_bytes,
               uint32_t piece_bytes)
{
    static const struct virtio_net_hdr nothing;
    uint32_t total = (uint32_t)sizeof *header + size_bytes, done = 0;
    uint64_t at = take(&next_transmit[number_of(g)], total, TRANSMIT_AREA, TRANSMIT_AREA + GUEST_SLOT_BYTES);
    struct buffer buffers[RIG_RING];
    unsigned count = 0;

    memcpy(guest_at(&g->guest, at), header ? header : &nothing, sizeof *header);
    if (size_bytes)
        memcpy(guest_at(&g->guest, at + sizeof *header), frame, size_bytes);
    for (; done < total; done += buffers[count++].len) {
        assert_true(count < RIG_RING);
        buffers[count] = (struct buffer){at + done, MIN(total - done, piece_bytes ? piece_bytes : total), 0};
    }
    driver_add(&g->guest, g->transmit, buffers, count);
}

void rig_send(struct rig_guest *g, const struct virtio_net_hdr *header, const uint8_t *frame, uint32_t size_bytes)
{
    rig_queue(g, header, frame, size_bytes, 0);
    driver_kick(&g->guest, g->transmit);
}

bool rig_receive(struct rig_guest *g, struct rig_frame *frame)
{
    static uint8_t whole[sizeof(struct virtio_net_hdr) + RIG_FRAME_BYTES];
    struct virtq_used_elem used;
    uint32_t at = 0;

    frame->buffers = 0;
    do {
        uint64_t address;

        if (!driver_take_used(&g->guest, g->receive, &used)) {
            assert_int_equal(frame->buffers, 0); /* never a part of a frame */
            return false;
        }
        assert_true(used.id < RIG_RING);
        address = driver_desc(&g->guest, g->receive, (uint16_t)used.id)->addr;
        assert_true(at + used.len <= sizeof whole);
        assert_int_equal(guest_mem_read(&g->guest.mem, GPA(address), whole + at, used.len), 0);
        if (frame->buffers == 0)
            memcpy(&frame->header, whole, sizeof frame->header);
        at += used.len;
        frame->buffers++;
    } while (frame->buffers < frame->header.num_buffers);
    frame->size_bytes = at - (uint32_t)sizeof frame->header;
    memcpy(frame->bytes, whole + sizeof frame->header, frame->size_bytes);
    return true;
}

uint32_t rig_ethernet(uint8_t *frame, const struct rig_guest *from, const struct rig_guest *to, uint16_t type)
{
    memset(frame, 0xff, NET_MAC_BYTES);
    if (to)
        memcpy(frame, to->mac, NET_MAC_BYTES);
    memcpy(frame + NET_MAC_BYTES, from->mac, NET_MAC_BYTES);
    frame[12] = (uint8_t)(type >> 8);
    frame[13] = (uint8_t)type;
    return NET_ETHERNET_BYTES;
}

uint16_t rig_checksum(const uint8_t *bytes, uint32_t size_bytes, uint32_t sum)
{
    for (uint32_t i = 0; i < size_bytes; i++) {
        sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}
