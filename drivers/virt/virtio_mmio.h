/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MMIO transport, version 2 (VIRTIO 1.2, "Virtio Over MMIO"): registers and one level-triggered
 * interrupt, high while InterruptStatus is not 0. What a status or a feature means is virtio.c's.
 *
 * CPUs: the registers are guarded as the device is, by the owner. InterruptStatus and the line have a
 * lock of their own, inside the device's and outside the interrupt controller's, so that a device may
 * interrupt from one CPU while a driver acknowledges on another.
 */
#ifndef DRIVERS_VIRT_VIRTIO_MMIO_H
#define DRIVERS_VIRT_VIRTIO_MMIO_H

#include "drivers/virt/virtio.h"
#include "kernel/io_bus.h"
#include "kernel/irq.h"
#include "kernel/lib/lock.h"

#define VIRTIO_MMIO_MAGIC_VALUE         0x000u
#define VIRTIO_MMIO_VERSION             0x004u
#define VIRTIO_MMIO_DEVICE_ID           0x008u
#define VIRTIO_MMIO_VENDOR_ID           0x00cu
#define VIRTIO_MMIO_DEVICE_FEATURES     0x010u
#define VIRTIO_MMIO_DEVICE_FEATURES_SEL 0x014u
#define VIRTIO_MMIO_DRIVER_FEATURES     0x020u
#define VIRTIO_MMIO_DRIVER_FEATURES_SEL 0x024u
#define VIRTIO_MMIO_QUEUE_SEL           0x030u
#define VIRTIO_MMIO_QUEUE_NUM_MAX       0x034u
#define VIRTIO_MMIO_QUEUE_NUM           0x038u
#define VIRTIO_MMIO_QUEUE_READY         0x044u
#define VIRTIO_MMIO_QUEUE_NOTIFY        0x050u
#define VIRTIO_MMIO_INTERRUPT_STATUS    0x060u
#define VIRTIO_MMIO_INTERRUPT_ACK       0x064u
#define VIRTIO_MMIO_STATUS              0x070u
#define VIRTIO_MMIO_QUEUE_DESC_LOW      0x080u
#define VIRTIO_MMIO_QUEUE_DESC_HIGH     0x084u
#define VIRTIO_MMIO_QUEUE_DRIVER_LOW    0x090u
#define VIRTIO_MMIO_QUEUE_DRIVER_HIGH   0x094u
#define VIRTIO_MMIO_QUEUE_DEVICE_LOW    0x0a0u
#define VIRTIO_MMIO_QUEUE_DEVICE_HIGH   0x0a4u
#define VIRTIO_MMIO_SHM_SEL             0x0acu
#define VIRTIO_MMIO_SHM_LEN_LOW         0x0b0u
#define VIRTIO_MMIO_SHM_LEN_HIGH        0x0b4u
#define VIRTIO_MMIO_SHM_BASE_LOW        0x0b8u
#define VIRTIO_MMIO_SHM_BASE_HIGH       0x0bcu
#define VIRTIO_MMIO_CONFIG_GENERATION   0x0fcu
#define VIRTIO_MMIO_CONFIG              0x100u

#define VIRTIO_MMIO_MAGIC  0x74726976u /* "virt" */
#define VIRTIO_MMIO_VENDOR 0x474e4952u /* "RING" */

#define VIRTIO_MMIO_INT_VRING  1u
#define VIRTIO_MMIO_INT_CONFIG 2u

/* The io_region: registers take 4 bytes, the configuration any of these. */
#define VIRTIO_MMIO_REGION_BYTES 0x200u
#define VIRTIO_MMIO_WIDTHS       (IO_WIDTH_1 | IO_WIDTH_2 | IO_WIDTH_4)

struct virtio_mmio {
    struct virtio_device *device;
    struct virtio_transport transport;
    struct irq_line irq;
    struct lock interrupt_lock; /* guards the status, and its agreement with the line */
    uint32_t interrupt_status;
    uint32_t device_features_sel;
    uint32_t driver_features_sel;
    uint32_t queue_sel;
};

/* The device is initialised; it has this transport from now on. */
void virtio_mmio_init(struct virtio_mmio *mmio, struct virtio_device *device,
                      const struct irq_line *irq);
/* Transport and device to power-on; also what a driver's write of status 0 does. */
void virtio_mmio_reset(struct virtio_mmio *mmio);

/* The region's device is a struct virtio_mmio. */
extern const struct io_region_ops virtio_mmio_ops;

#endif
