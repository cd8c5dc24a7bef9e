/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disk (VIRTIO 1.2, "Block Device") over a blockdev: one queue, requests served in order and
 * completed before the doorbell's exit ends. A request that asks for what it may not have gets its
 * status byte; one that is no request at all (no header, no status byte) fails the queue.
 */
#ifndef DRIVERS_VIRT_VIRTIO_BLK_H
#define DRIVERS_VIRT_VIRTIO_BLK_H

#include "drivers/backend.h"
#include "drivers/virt/virtio.h"

#define VIRTIO_BLK_F_SIZE_MAX     BIT(1)
#define VIRTIO_BLK_F_SEG_MAX      BIT(2)
#define VIRTIO_BLK_F_RO           BIT(5)
#define VIRTIO_BLK_F_BLK_SIZE     BIT(6)
#define VIRTIO_BLK_F_FLUSH        BIT(9)
#define VIRTIO_BLK_F_TOPOLOGY     BIT(10)
#define VIRTIO_BLK_F_CONFIG_WCE   BIT(11)
#define VIRTIO_BLK_F_DISCARD      BIT(13)
#define VIRTIO_BLK_F_WRITE_ZEROES BIT(14)

#define VIRTIO_BLK_T_IN           0u
#define VIRTIO_BLK_T_OUT          1u
#define VIRTIO_BLK_T_FLUSH        4u
#define VIRTIO_BLK_T_GET_ID       8u
#define VIRTIO_BLK_T_DISCARD      11u
#define VIRTIO_BLK_T_WRITE_ZEROES 13u

#define VIRTIO_BLK_S_OK     0u
#define VIRTIO_BLK_S_IOERR  1u
#define VIRTIO_BLK_S_UNSUPP 2u

#define VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP 1u

struct virtio_blk_req_header {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector; /* of 512 bytes, whatever blk_size is */
};

struct virtio_blk_discard_write_zeroes {
    uint64_t sector;
    uint32_t num_sectors;
    uint32_t flags;
};

struct virtio_blk_config {
    uint64_t capacity;
    uint32_t size_max;
    uint32_t seg_max;
    struct {
        uint16_t cylinders;
        uint8_t heads;
        uint8_t sectors;
    } geometry;
    uint32_t blk_size;
    struct {
        uint8_t physical_block_exp;
        uint8_t alignment_offset;
        uint16_t min_io_size;
        uint32_t opt_io_size;
    } topology;
    uint8_t writeback;
    uint8_t unused0;
    uint16_t num_queues;
    uint32_t max_discard_sectors;
    uint32_t max_discard_seg;
    uint32_t discard_sector_alignment;
    uint32_t max_write_zeroes_sectors;
    uint32_t max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap;
    uint8_t unused1[3];
};
_Static_assert(offsetof(struct virtio_blk_config, write_zeroes_may_unmap) == 56,
               "no padding before the last field");

/* Limits that the driver is told of; a request beyond them fails, so that no exit takes long. */
#define VIRTIO_BLK_QUEUE_SIZE      128u
#define VIRTIO_BLK_SEG_MAX         (VIRTIO_BLK_QUEUE_SIZE - 2) /* without header and status */
#define VIRTIO_BLK_SIZE_MAX        KIB(64)
#define VIRTIO_BLK_DATA_BYTES_MAX  (VIRTIO_BLK_SEG_MAX * VIRTIO_BLK_SIZE_MAX)
#define VIRTIO_BLK_RANGES_MAX      16u /* of one DISCARD or WRITE_ZEROES */
#define VIRTIO_BLK_RANGE_BYTES_MAX MIB(4)

struct virtio_blk {
    struct virtio_device device;
    struct virtqueue queue;
    struct virtio_blk_config config;
    const struct blockdev *disk;
    bool is_writethrough; /* each write is flushed before it completes */
    uint8_t sector[BLOCKDEV_SECTOR_BYTES]; /* for one that is in several pieces of guest memory */
    struct vq_chain chain;
};

/* The disk outlives the device; its capacity does not change. */
void virtio_blk_init(struct virtio_blk *blk, const struct guest_mem *mem,
                     const struct blockdev *disk);

#endif
