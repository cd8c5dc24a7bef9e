/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever lists of pages, statistics and reports a guest hands to its balloon, and whenever, the owner of the
 * memory is asked for no more than it has room for, hears of a flush for all that it was given, and for no page that it
 * was not told; the device stays in its guest's memory. Input: records of 8 bytes {what, queue, where, value}.
 */
#include "tests/host/fake/virtio_driver.h"
#include "drivers/virt/virtio_balloon.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/errno.h"

#define RECORD_BYTES    8u
#define RING            16u
#define ROOM            64u
#define PIECE_BYTES     (16 * PAGE_SIZE) /* what is seen to at once */
#define WRITES_REGISTER 6u /* what a record does; nothing else stops a device or a queue */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct guest guest;
static struct virtio_balloon balloon;
static unsigned room;
static bool is_dirty, has_asked; /* something was released, a flush was asked for, since the last one */
static bool is_empty;            /* no page is free */

/* --- the owner of the memory --- */

static bool has_room(void *context)
{
    (void)context;
    return room > 0;
}

static uint64_t release(void *context, gpa_t address, uint64_t size)
{
    (void)context, (void)address;
    if (room-- == 0)
        abort();
    is_dirty = true;
    return MIN(size, PIECE_BYTES);
}

static int restore(void *context, gpa_t address)
{
    (void)context;
    if (address.value % PAGE_SIZE != 0)
        abort();
    return is_empty ? -ENOMEM : 0;
}

static void flush(void *context)
{
    (void)context;
    has_asked = true;
}

static void finish_flush(void)
{
    is_dirty = has_asked = false;
    room = ROOM;
    virtio_balloon_flushed(&balloon);
}

/* --- the guest --- */

static void start(bool reports)
{
    const struct balloon_memory memory = {has_room, release, restore, flush, &guest};

    if (guest.mem.count == 0)
        guest_start(&guest);
    guest_clear(&guest);
    room = ROOM;
    is_dirty = has_asked = is_empty = false;
    virtio_balloon_init(&balloon, &guest.mem, &memory, reports);
    guest_attach(&guest, &balloon.device);
    driver_start(&guest, balloon.device.features, balloon.device.queue_count, RING);
}

/* A request of count words that begin at a place in the buffers, in as many pieces as its record says. */
static void request(struct driver_queue *q, const uint8_t record[RECORD_BYTES])
{
    struct buffer buffers[4];
    unsigned pieces = 1 + record[1] / 16 % ARRAY_SIZE(buffers);

    for (unsigned i = 0; i < pieces; i++)
        buffers[i] = (struct buffer){GUEST_BUFFERS + get_le16(record + 2) % 0x1000 + i * 0x400, get_le16(record + 4) >> i,
                                     record[6] >> i & 1 ? VIRTQ_DESC_F_WRITE : 0};
    driver_add(&guest, q, buffers, pieces);
    driver_kick(&guest, q);
}

static void step(const uint8_t record[RECORD_BYTES])
{
    struct driver_queue *q = &guest.queues[record[1] % balloon.device.queue_count];
    uint16_t where = get_le16(record + 2);
    uint32_t value = get_le32(record + 4);

    switch (record[0] % 10) {
    case 0:
        finish_flush();
        break;
    case 1:
        is_empty = value & 1;
        break;
    case 2:
        virtio_balloon_set_target(&balloon, value);
        break;
    case 3:
        virtio_balloon_poll_stats(&balloon);
        break;
    case 4:
        put_le32(guest_at(&guest, GUEST_BUFFERS + where % 0x2000), value);
        break;
    case 5:
        put_le32(guest_at(&guest, where), value);
        break;
    case WRITES_REGISTER:
        guest_write_register(&guest, where % VIRTIO_MMIO_REGION_BYTES & ~3u, value);
        break;
    case 7:
        fake_clock_advance(value % FAKE_HZ);
        break;
    case 8:
        driver_kick(&guest, q);
        break;
    default:
        request(q, record);
    }
}

/*
 * Who has released something and not asked for a flush goes on soon, and asks then. A driver that stops its device or a
 * queue meanwhile gets no answer, so that nothing waits for one.
 */
static void check_flush(bool may_have_stopped)
{
    if (may_have_stopped || !balloon.device.is_live)
        is_dirty = false;
    if (is_dirty && !has_asked && !balloon.device.resume.armed)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    start(data[0] & 1);
    for (size_t at = 1; at + RECORD_BYTES <= size; at += RECORD_BYTES) {
        step(data + at);
        check_flush(data[at] % 10 == WRITES_REGISTER);
    }
    finish_flush();
    return 0;
}
