/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever packets, rings and timing guests have, a packet arrives only at the guest whose CID it names, in the
 * name of the one that sent it, with bytes of that one's, and in buffers of the receiver's; nobody is held up for good. Input:
 * records of 16 bytes {what, who, other, free, 12 of a header}.
 */
#include "tests/host/fake/virtio_driver.h"
#include "drivers/net/vsock_hub.h"
#include "drivers/virt/virtio_vsock.h"
#include "kernel/lib/bytes.h"

#define RECORD_BYTES 16u
#define PEERS        3u
#define RING         16u
#define RECEIVE_AT   GUEST_BUFFERS
#define BUFFER_BYTES 0x1800u
#define TRANSMIT_AT  GUEST_HIGH
#define MARK(peer)   ((uint8_t)(0xa0 + ((peer) - peers)))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct peer {
    struct guest guest;
    struct virtio_vsock vsock;
    struct vsockdev *place;
    uint32_t cid;
    bool is_there;
    bool is_tampered; /* with its rings: what arrives there may be anywhere */
} peers[PEERS];

static bool asked(void *context)
{
    (void)context;
    return false;
}

static void arrive(struct peer *p)
{
    p->cid = VSOCK_CID_FIRST + (uint32_t)(p - peers);
    p->place = vsock_hub_attach(p->cid);
    if (!p->place)
        abort();
    virtio_vsock_init(&p->vsock, &p->guest.mem, p->place);
    guest_attach(&p->guest, &p->vsock.device);
    p->vsock.device.worker = (struct virtio_worker){p == peers ? NULL : asked, p};
    driver_start(&p->guest, VIRTIO_VSOCK_F_STREAM, VIRTIO_VSOCK_QUEUES, RING);
    p->is_there = true;
    p->is_tampered = false;
}

static void leave(struct peer *p)
{
    if (!p->is_there)
        return;
    vsock_hub_detach(p->place);
    guest_write_register(&p->guest, VIRTIO_MMIO_STATUS, 0);
    p->is_there = false;
}

static struct driver_queue *queue(struct peer *p, unsigned index)
{
    return &p->guest.queues[index];
}

static void give_buffer(struct peer *p, uint32_t bytes)
{
    struct driver_queue *q = queue(p, VIRTIO_VSOCK_RX);
    struct buffer buffer = {RECEIVE_AT + q->next_desc % RING * BUFFER_BYTES, bytes % BUFFER_BYTES, VIRTQ_DESC_F_WRITE};

    driver_add(&p->guest, q, &buffer, 1);
    driver_kick(&p->guest, q);
}

/* What came to p, as far as its rings are what its driver made of them. */
static void take(struct peer *p)
{
    struct virtq_used_elem entry;
    struct vsock_header header;

    while (driver_take_used(&p->guest, queue(p, VIRTIO_VSOCK_RX), &entry)) {
        const uint8_t *bytes = guest_at(&p->guest, RECEIVE_AT + entry.id % RING * BUFFER_BYTES);

        if (p->is_tampered)
            continue;
        memcpy(&header, bytes, sizeof header);
        if (entry.len != sizeof header + header.len || entry.len > BUFFER_BYTES || header.dst_cid != p->cid)
            abort();
        if (header.len == 0)
            continue;
        if (header.src_cid - VSOCK_CID_FIRST >= PEERS)
            abort();
        for (uint32_t i = 0; i < header.len; i++)
            if (bytes[sizeof header + i] != MARK(&peers[header.src_cid - VSOCK_CID_FIRST]))
                abort();
    }
}

static void send(struct peer *from, const struct peer *to, const uint8_t record[RECORD_BYTES])
{
    struct vsock_header header = {.src_cid = record[3] & 1 ? get_le32(record + 4) : from->cid,
                                  .dst_cid = record[3] & 2 ? get_le32(record + 4) : to->cid,
                                  .src_port = 1000, .dst_port = record[8], .len = get_le16(record + 10),
                                  .type = record[3] & 4 ? record[9] : VSOCK_TYPE_STREAM, .op = record[12]};
    uint32_t real_len = record[3] & 8 ? get_le16(record + 14) : header.len, half = real_len / (1u + record[13]);
    struct buffer buffers[3] = {{TRANSMIT_AT, sizeof header, record[3] & 16 ? VIRTQ_DESC_F_WRITE : 0},
                                {TRANSMIT_AT + 64, half, 0}, {TRANSMIT_AT + 64 + half, real_len - half, 0}};

    memcpy(guest_at(&from->guest, TRANSMIT_AT), &header, sizeof header);
    memset(guest_at(&from->guest, TRANSMIT_AT + 64), MARK(from), real_len);
    driver_add(&from->guest, queue(from, VIRTIO_VSOCK_TX), buffers, real_len ? 3 : 1);
    driver_kick(&from->guest, queue(from, VIRTIO_VSOCK_TX));
}

static void tamper(struct peer *p, const uint8_t record[RECORD_BYTES])
{
    p->is_tampered = true;
    if (record[3] & 1)
        guest_write_register(&p->guest, get_le16(record + 4) % VIRTIO_MMIO_REGION_BYTES & ~3u, get_le32(record + 8));
    else
        put_le32(guest_at(&p->guest, GUEST_RINGS + get_le16(record + 4) % (3 * GUEST_RINGS_STRIDE)), get_le32(record + 8));
}

static void step(const uint8_t record[RECORD_BYTES])
{
    struct peer *p = &peers[record[1] % PEERS], *other = &peers[record[2] % PEERS];

    switch (record[0] % 8) {
    case 0:
        give_buffer(p, get_le16(record + 4));
        break;
    case 1:
        take(p);
        break;
    case 2:
        virtio_device_resume(&p->vsock.device);
        break;
    case 3:
        fake_clock_advance(get_le32(record + 4) % (4 * VSOCK_PATIENCE_MS * (FAKE_HZ / 1000)) / (1u + record[3]));
        break;
    case 4:
        tamper(p, record);
        break;
    case 5:
        if (record[3] % 8)
            break; /* seldom */
        leave(p);
        arrive(p);
        break;
    default:
        send(p, other, record);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (struct peer *p = peers; p < peers + PEERS; p++) {
        if (p->guest.mem.count == 0)
            guest_start(&p->guest);
        guest_clear(&p->guest);
        arrive(p);
    }
    fake_clock_advance(1000);
    for (size_t at = 0; at + RECORD_BYTES <= size; at += RECORD_BYTES)
        step(data + at);
    for (struct peer *p = peers; p < peers + PEERS; p++) {
        take(p);
        leave(p);
    }
    return 0;
}
