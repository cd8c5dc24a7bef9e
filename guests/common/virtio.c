/* SPDX-License-Identifier: BSD-2-Clause */
/* See virtio.h. Where the devices are is in the platform's layout; a bare machine has none there, QEMU's microvm elsewhere. */
#include "guests/common/virtio.h"
#include "arch/x86/guest/layout.h"

/* VIRTIO 1.2, "MMIO Device Register Layout": numbers of 32-bit registers. */
enum {
    REG_DEVICE_ID = 0x008 / 4,
    REG_DRIVER_FEATURES = 0x020 / 4,
    REG_DRIVER_FEATURES_SEL = 0x024 / 4,
    REG_QUEUE_SEL = 0x030 / 4,
    REG_QUEUE_NUM = 0x038 / 4,
    REG_QUEUE_READY = 0x044 / 4,
    REG_QUEUE_NOTIFY = 0x050 / 4,
    REG_STATUS = 0x070 / 4,
    REG_QUEUE_DESC = 0x080 / 4, /* low and high half, as the next two */
    REG_QUEUE_DRIVER = 0x090 / 4,
    REG_QUEUE_DEVICE = 0x0a0 / 4,
    REG_CONFIG = 0x100 / 4,
};

/* VIRTIO 1.2, "Device Status Field" */
#define STATUS_DRIVER      3u /* and ACKNOWLEDGE */
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u

#define FEATURES_HIGH      1u /* VIRTIO_F_VERSION_1 is bit 32 */
#define AVAIL_NO_INTERRUPT 1u

#define OWN_CPUID_LEAF 0x40000100u
#define OWN_SIGNATURE  0x676e6952u /* "Ring", of "RingmasterVM" */

static void barrier(void)
{
    __asm__ volatile("" : : : "memory");
}

static const struct place {
    uint32_t base, stride, count;
} ringmaster = {GUEST_VIRTIO_BASE, GUEST_VIRTIO_STRIDE, GUEST_VIRTIO_MAX}, microvm = {0xfeb00000, 0x200, 24};

static bool is_ringmaster(void)
{
    uint32_t eax = OWN_CPUID_LEAF, ebx, ecx = 0, edx;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ebx == OWN_SIGNATURE;
}

volatile uint32_t *virtio_find_nth(uint32_t id, unsigned number)
{
    const struct place *place = is_ringmaster() ? &ringmaster : &microvm;

    for (unsigned i = 0; i < place->count; i++) {
        volatile uint32_t *registers = (volatile uint32_t *)(uintptr_t)(place->base + i * place->stride);

        if (registers[REG_DEVICE_ID] == id && number-- == 0)
            return registers;
    }
    return NULL;
}

volatile uint32_t *virtio_find(uint32_t id)
{
    return virtio_find_nth(id, 0);
}

const volatile uint8_t *virtio_config(volatile uint32_t *registers)
{
    return (const volatile uint8_t *)&registers[REG_CONFIG];
}

bool virtio_begin(volatile uint32_t *registers, uint32_t features)
{
    registers[REG_STATUS] = 0;
    registers[REG_STATUS] = STATUS_DRIVER;
    registers[REG_DRIVER_FEATURES_SEL] = 0;
    registers[REG_DRIVER_FEATURES] = features;
    registers[REG_DRIVER_FEATURES_SEL] = 1;
    registers[REG_DRIVER_FEATURES] = FEATURES_HIGH;
    registers[REG_STATUS] = STATUS_DRIVER | STATUS_FEATURES_OK;
    return registers[REG_STATUS] & STATUS_FEATURES_OK;
}

static void write_address(volatile uint32_t *at, const void *address)
{
    at[0] = (uint32_t)(uintptr_t)address;
    at[1] = 0;
}

void virtio_add_queue(volatile uint32_t *registers, struct virtio_queue *queue, uint32_t number)
{
    queue->registers = registers;
    queue->number = number;
    queue->available.flags = AVAIL_NO_INTERRUPT;
    registers[REG_QUEUE_SEL] = number;
    registers[REG_QUEUE_NUM] = VIRTIO_RING_SIZE;
    write_address(&registers[REG_QUEUE_DESC], queue->desc);
    write_address(&registers[REG_QUEUE_DRIVER], &queue->available);
    write_address(&registers[REG_QUEUE_DEVICE], &queue->used);
    registers[REG_QUEUE_READY] = 1;
}

void virtio_finish(volatile uint32_t *registers)
{
    registers[REG_STATUS] = STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK;
}

void virtio_offer(struct virtio_queue *queue, uint16_t head)
{
    queue->available.ring[queue->available.index % VIRTIO_RING_SIZE] = head;
    barrier();
    queue->available.index++;
}

void virtio_notify(struct virtio_queue *queue)
{
    barrier();
    queue->registers[REG_QUEUE_NOTIFY] = queue->number;
}

bool virtio_take(struct virtio_queue *queue, uint32_t *head, uint32_t *length)
{
    unsigned at = queue->taken % VIRTIO_RING_SIZE;

    if (queue->taken == *(volatile uint16_t *)&queue->used.index)
        return false;
    barrier();
    *head = queue->used.ring[at].id;
    *length = queue->used.ring[at].length;
    queue->taken++;
    return true;
}
