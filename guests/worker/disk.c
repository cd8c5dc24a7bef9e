/* SPDX-License-Identifier: BSD-2-Clause */
/* See disk.h. VIRTIO 1.2, "Block Device", "Device Operation". */
#include "guests/worker/disk.h"
#include "guests/common/virtio.h"

#define SECTORS_PER_BLOCK (DISK_BLOCK_BYTES / 512)
#define TYPE_IN           0u
#define TYPE_OUT          1u
#define STATUS_OK         0u
#define STATUS_NONE       0xffu

static struct virtio_queue queue;

static struct {
    uint32_t type, reserved;
    uint64_t sector;
} header;
static volatile uint8_t status;

bool disk_start(void)
{
    volatile uint32_t *registers = virtio_find(VIRTIO_ID_BLOCK);

    if (!registers || !virtio_begin(registers, 0))
        return false;
    virtio_add_queue(registers, &queue, 0);
    virtio_finish(registers);
    return true;
}

static bool transfer(uint32_t type, unsigned block, const void *data)
{
    uint16_t data_flags = type == TYPE_IN ? VIRTIO_NEXT | VIRTIO_WRITE : VIRTIO_NEXT;
    uint32_t head, length;

    header.type = type;
    header.sector = (uint64_t)block * SECTORS_PER_BLOCK;
    status = STATUS_NONE;
    queue.desc[0] = (struct virtio_desc){(uintptr_t)&header, sizeof header, VIRTIO_NEXT, 1};
    queue.desc[1] = (struct virtio_desc){(uintptr_t)data, DISK_BLOCK_BYTES, data_flags, 2};
    queue.desc[2] = (struct virtio_desc){(uintptr_t)&status, sizeof status, VIRTIO_WRITE, 0};
    virtio_offer(&queue, 0);
    virtio_notify(&queue);
    while (!virtio_take(&queue, &head, &length))
        __asm__ volatile("pause");
    return status == STATUS_OK;
}

bool disk_read(unsigned block, void *data)
{
    return transfer(TYPE_IN, block, data);
}

bool disk_write(unsigned block, const void *data)
{
    return transfer(TYPE_OUT, block, data);
}
