/* SPDX-License-Identifier: BSD-2-Clause */
/* See virtio.h. VIRTIO 1.2, "Driver Requirements: Device Initialization" and "Virtio Over MMIO". */
#include "guests/bench/virtio.h"
#include "guests/common/apic.h"

#define VIRTIO_MMIO_BASE  0xd0000000u
#define VIRTIO_MMIO_MAGIC 0x74726976u /* "virt" */
#define QUEUE_SIZE        4u
#define FEATURES_HIGH     1u /* VIRTIO_F_VERSION_1 is bit 32 */

/* Descriptors, the ring of the driver, the ring of the device. */
static struct {
    uint8_t descriptors[16 * QUEUE_SIZE] __attribute__((aligned(16)));
    uint16_t available[3 + QUEUE_SIZE] __attribute__((aligned(2)));
    uint16_t used[3 + 4 * QUEUE_SIZE] __attribute__((aligned(4)));
} queue;

volatile uint32_t *virtio_register(unsigned offset)
{
    return (volatile uint32_t *)(uintptr_t)(VIRTIO_MMIO_BASE + offset);
}

bool virtio_is_there(void)
{
    return (cpuid_1_ecx() & CPUID_1_ECX_HYPERVISOR) && *virtio_register(VIRTIO_MMIO_MAGIC_VALUE) == VIRTIO_MMIO_MAGIC;
}

static void add_status(uint32_t status)
{
    *virtio_register(VIRTIO_MMIO_STATUS) |= status;
}

static void set_address(unsigned low_offset, const void *address)
{
    *virtio_register(low_offset) = (uint32_t)(uintptr_t)address;
    *virtio_register(low_offset + 4) = 0;
}

bool virtio_start(void)
{
    if (!virtio_is_there())
        return false;
    *virtio_register(VIRTIO_MMIO_STATUS) = 0;
    add_status(VIRTIO_STATUS_ACKNOWLEDGE);
    add_status(VIRTIO_STATUS_DRIVER);
    *virtio_register(VIRTIO_MMIO_DRIVER_FEATURES_SEL) = 1;
    *virtio_register(VIRTIO_MMIO_DRIVER_FEATURES) = FEATURES_HIGH;
    add_status(VIRTIO_STATUS_FEATURES_OK);
    *virtio_register(VIRTIO_MMIO_QUEUE_SEL) = 0;
    *virtio_register(VIRTIO_MMIO_QUEUE_NUM) = QUEUE_SIZE;
    set_address(VIRTIO_MMIO_QUEUE_DESC_LOW, queue.descriptors);
    set_address(VIRTIO_MMIO_QUEUE_DRIVER_LOW, queue.available);
    set_address(VIRTIO_MMIO_QUEUE_DEVICE_LOW, queue.used);
    *virtio_register(VIRTIO_MMIO_QUEUE_READY) = 1;
    add_status(VIRTIO_STATUS_DRIVER_OK);
    return *virtio_register(VIRTIO_MMIO_QUEUE_READY) == 1;
}
