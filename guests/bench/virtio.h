/* SPDX-License-Identifier: BSD-2-Clause */
/* The first virtio-mmio device, as a driver has it. */
#ifndef GUESTS_BENCH_VIRTIO_H
#define GUESTS_BENCH_VIRTIO_H

#include "kernel/lib/types.h"

/* VIRTIO 1.2, "MMIO Device Register Layout". */
enum {
    VIRTIO_MMIO_MAGIC_VALUE = 0x000,
    VIRTIO_MMIO_DRIVER_FEATURES = 0x020,
    VIRTIO_MMIO_DRIVER_FEATURES_SEL = 0x024,
    VIRTIO_MMIO_QUEUE_SEL = 0x030,
    VIRTIO_MMIO_QUEUE_NUM = 0x038,
    VIRTIO_MMIO_QUEUE_READY = 0x044,
    VIRTIO_MMIO_QUEUE_NOTIFY = 0x050,
    VIRTIO_MMIO_STATUS = 0x070,
    VIRTIO_MMIO_QUEUE_DESC_LOW = 0x080, /* and high behind it, as of the other two */
    VIRTIO_MMIO_QUEUE_DRIVER_LOW = 0x090,
    VIRTIO_MMIO_QUEUE_DEVICE_LOW = 0x0a0,
};

/* VIRTIO 1.2, "Device Status Field". */
enum {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
};

/* Is there one? Only in a VM: elsewhere the address may be anything's. */
bool virtio_is_there(void);

/* A register, by its offset in bytes. */
volatile uint32_t *virtio_register(unsigned offset);

/* Brings the device up with queue 0, which stays empty. */
bool virtio_start(void);

#endif
