/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest with a disk that counts, fails on demand and checks what it is promised: each byte of sector n is n. */
#ifndef TESTS_HOST_FAKE_VIRTIO_BLK_RIG_H
#define TESTS_HOST_FAKE_VIRTIO_BLK_RIG_H

#include "tests/host/fake/virtio_driver.h"
#include "drivers/virt/virtio_blk.h"

#define DISK_SECTORS 200u
#define WRITE        VIRTQ_DESC_F_WRITE

/* Where a test keeps the parts of a request. */
#define HEADER (GUEST_BUFFERS)
#define STATUS (GUEST_BUFFERS + 0x20)
#define DATA   (GUEST_BUFFERS + 0x1000)

#define ALL_FEATURES                                                       \
    (VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_CONFIG_WCE | VIRTIO_BLK_F_DISCARD | \
     VIRTIO_BLK_F_WRITE_ZEROES | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)

extern struct guest guest;
extern struct virtio_blk blk;
extern struct driver_queue *q;

extern uint8_t sectors[DISK_SECTORS][512];
extern struct blockdev disk;
extern unsigned flushes, writes, discards, zeroings;
extern int disk_error;
extern void (*while_working)(void);

int virtio_blk_rig_set_up(void **state);
int virtio_blk_rig_tear_down(void **state);
void start_with(uint64_t features);

/* Sends a request and returns its status; used_len is what the device says that it wrote. */
uint8_t send_pieces(uint32_t type, uint64_t sector, const struct buffer *data, unsigned count);
uint8_t send_request(uint32_t type, uint64_t sector, uint32_t data_bytes, uint16_t flags);
uint8_t send_ranges(uint32_t type, const struct virtio_blk_discard_write_zeroes *ranges, unsigned count);
extern uint32_t used_len;

uint64_t config(size_t offset, unsigned width);

#endif
