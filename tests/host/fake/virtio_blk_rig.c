/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/virtio_blk_rig.h"

struct guest guest;
struct virtio_blk blk;
struct driver_queue *q;
uint8_t sectors[DISK_SECTORS][512];
struct blockdev disk;
unsigned flushes, writes, discards, zeroings;
int disk_error;
void (*while_working)(void);
uint32_t used_len;

/* --- the disk --- */

static int work(uint64_t offset, uint64_t size)
{
    assert_int_equal(offset % 512, 0);
    assert_int_equal(size % 512, 0);
    assert_true(range_fits(offset, size, sizeof sectors));
    if (while_working)
        while_working();
    return disk_error;
}

static int disk_read(void *context, uint64_t offset, void *to, size_t size)
{
    int error = work(offset, size);

    assert_ptr_equal(context, &disk);
    if (!error)
        memcpy(to, (uint8_t *)sectors + offset, size);
    return error;
}

static int disk_write(void *context, uint64_t offset, const void *from, size_t size)
{
    int error = work(offset, size);

    (void)context;
    writes++;
    if (!error)
        memcpy((uint8_t *)sectors + offset, from, size);
    return error;
}

static int disk_flush(void *context)
{
    (void)context;
    flushes++;
    return disk_error;
}

static int disk_discard(void *context, uint64_t offset, uint64_t size)
{
    (void)context;
    discards++;
    return work(offset, size);
}

static int disk_write_zeroes(void *context, uint64_t offset, uint64_t size)
{
    int error = work(offset, size);

    (void)context;
    zeroings++;
    if (!error)
        memset((uint8_t *)sectors + offset, 0, size);
    return error;
}

static const struct blockdev_ops disk_ops = {disk_read, disk_write, disk_flush, disk_discard,
                                             disk_write_zeroes};

/* --- the guest --- */

void start_with(uint64_t features)
{
    virtio_blk_init(&blk, &guest.mem, &disk);
    guest_attach(&guest, &blk.device);
    driver_start(&guest, features, 1, 128);
    q = &guest.queues[0];
}

int virtio_blk_rig_set_up(void **state)
{
    (void)state;
    guest_start(&guest);
    disk = (struct blockdev){&disk_ops, &disk, sizeof sectors, false, "ringmaster-disk-0"};
    for (unsigned i = 0; i < DISK_SECTORS; i++)
        memset(sectors[i], (int)i, sizeof sectors[i]);
    flushes = writes = discards = zeroings = 0;
    disk_error = 0;
    while_working = NULL;
    start_with(ALL_FEATURES);
    return 0;
}

int virtio_blk_rig_tear_down(void **state)
{
    (void)state;
    guest_stop(&guest);
    return 0;
}

uint8_t send_pieces(uint32_t type, uint64_t sector, const struct buffer *data, unsigned count)
{
    struct virtio_blk_req_header header = {type, 0, sector};
    struct buffer buffers[VIRTIO_BLK_QUEUE_SIZE] = {{HEADER, sizeof header, 0}};
    struct virtq_used_elem entry;

    memcpy(guest_at(&guest, HEADER), &header, sizeof header);
    *(uint8_t *)guest_at(&guest, STATUS) = 0xff;
    memcpy(buffers + 1, data, count * sizeof *data);
    buffers[count + 1] = (struct buffer){STATUS, 1, WRITE};
    driver_add(&guest, q, buffers, count + 2);
    driver_kick(&guest, q);
    assert_false(driver_needs_reset(&guest));
    assert_true(driver_take_used(&guest, q, &entry));
    used_len = entry.len;
    return *(uint8_t *)guest_at(&guest, STATUS);
}

uint8_t send_request(uint32_t type, uint64_t sector, uint32_t data_bytes, uint16_t flags)
{
    struct buffer data = {DATA, data_bytes, flags};

    return send_pieces(type, sector, &data, data_bytes ? 1 : 0);
}

uint8_t send_ranges(uint32_t type, const struct virtio_blk_discard_write_zeroes *ranges, unsigned count)
{
    memcpy(guest_at(&guest, DATA), ranges, count * sizeof *ranges);
    return send_request(type, 0, count * (uint32_t)sizeof *ranges, 0);
}

uint64_t config(size_t offset, unsigned width)
{
    return virtio_mmio_ops.read(&guest.mmio, VIRTIO_MMIO_CONFIG + offset, width);
}
