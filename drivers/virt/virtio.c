/* SPDX-License-Identifier: BSD-2-Clause */
/* What every virtio device does alike (VIRTIO 1.2, "Basic Facilities of a Virtio Device"). */
#include "drivers/virt/virtio.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

#define VIRTIO_STATUS_OF_DRIVER                                                   \
    (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK | \
     VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_FAILED)

static void lock_queues(const struct virtio_device *device)
{
    if (device->queue_lock)
        lock_acquire(device->queue_lock);
}

static void unlock_queues(const struct virtio_device *device)
{
    if (device->queue_lock)
        lock_release(device->queue_lock);
}

void virtio_device_resume(struct virtio_device *device)
{
    uint32_t queues = device->deferred_queues;

    device->deferred_queues = 0;
    for (unsigned i = 0; i < device->queue_count; i++)
        if (queues & BIT(i))
            virtio_device_notify(device, i);
}

static void resume_is_due(void *context)
{
    struct virtio_device *device = context;

    if (!device->worker.is_here || device->worker.is_here(device->worker.context))
        virtio_device_resume(device);
}

void virtio_device_init(struct virtio_device *device, const struct guest_mem *mem)
{
    ASSERT(device->queue_count <= VIRTIO_QUEUES_MAX);
    device->features |= VIRTIO_FEATURES_COMMON;
    timer_init(&device->resume, resume_is_due, device);
    for (unsigned i = 0; i < device->queue_count; i++) {
        struct virtqueue *vq = &device->queues[i];

        ASSERT(vq->size_max <= VQ_SIZE_MAX && (vq->size_max & (vq->size_max - 1)) == 0);
        vq->mem = mem;
        vq->device = device;
        vq->index = i;
    }
    virtio_device_reset(device);
}

void virtio_device_reset(struct virtio_device *device)
{
    device->deferred_queues = 0;
    if (device->resume.armed)
        timer_cancel(&device->resume);
    lock_queues(device);
    device->is_live = false;
    device->status = 0;
    device->failure = NULL;
    device->driver_features = 0;
    device->wants_unknown_features = false;
    for (unsigned i = 0; i < device->queue_count; i++)
        vq_reset(&device->queues[i]);
    device->ops->reset(device);
    unlock_queues(device);
}

/* --- features and status --- */

uint32_t virtio_device_offered_features(const struct virtio_device *device, uint32_t word)
{
    return word < 2 ? (uint32_t)(device->features >> (32 * word)) : 0;
}

void virtio_device_accept_features(struct virtio_device *device, uint32_t word, uint32_t bits)
{
    if (device->status & VIRTIO_STATUS_FEATURES_OK)
        return;
    if (word < 2) {
        device->driver_features &= ~((uint64_t)UINT32_MAX << (32 * word));
        device->driver_features |= (uint64_t)bits << (32 * word);
    } else if (bits) {
        device->wants_unknown_features = true;
    }
}

static bool are_features_acceptable(const struct virtio_device *device)
{
    return !device->wants_unknown_features && !(device->driver_features & ~device->features) &&
           virtio_device_has(device, VIRTIO_F_VERSION_1);
}

/* Of the new bits those that may be set: FEATURES_OK depends on features, DRIVER_OK on that. */
static uint8_t earned_status(const struct virtio_device *device, uint8_t fresh)
{
    if ((fresh & VIRTIO_STATUS_FEATURES_OK) && !are_features_acceptable(device))
        fresh &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
    if (!((device->status | fresh) & VIRTIO_STATUS_FEATURES_OK))
        fresh &= (uint8_t)~VIRTIO_STATUS_DRIVER_OK;
    return fresh;
}

static void set_status(struct virtio_device *device, uint8_t bits)
{
    device->status |= bits;
    device->is_live = (device->status & (VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET |
                                         VIRTIO_STATUS_FAILED)) == VIRTIO_STATUS_DRIVER_OK;
}

void virtio_device_add_status(struct virtio_device *device, uint8_t status)
{
    uint8_t fresh = status & VIRTIO_STATUS_OF_DRIVER & (uint8_t)~device->status;
    uint8_t earned = earned_status(device, fresh);

    if (earned != fresh)
        log_guest("virtio", "%s: status 0x%x refused with features 0x%llx", device->name, status,
                  (unsigned long long)device->driver_features);
    lock_queues(device);
    set_status(device, earned);
    unlock_queues(device);
    if ((earned & VIRTIO_STATUS_FEATURES_OK) && device->ops->negotiated)
        device->ops->negotiated(device);
    if (!(earned & VIRTIO_STATUS_DRIVER_OK))
        return;
    /* What a driver made available before this point it need not announce again. */
    for (unsigned i = 0; i < device->queue_count; i++)
        virtio_device_notify(device, i);
}

void virtio_queue_fail(struct virtqueue *vq, const char *why)
{
    struct virtio_device *device = vq->device;

    if (device->status & VIRTIO_STATUS_NEEDS_RESET)
        return;
    log_guest("virtio", "%s queue %u: %s; stopped until its driver resets it", device->name,
              vq->index, why);
    device->failure = why;
    set_status(device, VIRTIO_STATUS_NEEDS_RESET);
    if (device->status & VIRTIO_STATUS_DRIVER_OK)
        device->transport->interrupt_config(device->transport);
}

/* --- queues --- */

struct virtqueue *virtio_device_queue(struct virtio_device *device, uint32_t index)
{
    return index < device->queue_count ? &device->queues[index] : NULL;
}

void virtio_queue_enable(struct virtqueue *vq)
{
    lock_queues(vq->device);
    if (!(vq->device->status & VIRTIO_STATUS_FEATURES_OK))
        virtio_queue_fail(vq, "made ready before FEATURES_OK");
    else if (!vq->ready)
        vq_enable(vq);
    unlock_queues(vq->device);
}

void virtio_queue_disable(struct virtqueue *vq)
{
    lock_queues(vq->device);
    vq_reset(vq);
    unlock_queues(vq->device);
}

bool virtio_device_uses(const struct virtio_device *device, gpa_t address, uint64_t size)
{
    for (unsigned i = 0; i < device->queue_count; i++)
        if (device->queues[i].ready && vq_uses(&device->queues[i], address, size))
            return true;
    return false;
}

void virtio_queue_defer(struct virtqueue *vq, uint64_t deadline)
{
    struct virtio_device *device = vq->device;

    device->deferred_queues |= (uint32_t)BIT(vq->index);
    if (!device->resume.armed || deadline < device->resume.deadline)
        timer_arm(&device->resume, deadline);
}

void virtio_device_notify(struct virtio_device *device, uint32_t queue)
{
    struct virtqueue *vq;

    if (unlikely(!device->is_live || queue >= device->queue_count))
        return;
    vq = &device->queues[queue];
    if (likely(vq->ready) && unlikely(vq->notify(vq)))
        virtio_queue_defer(vq, clock_now() + clock_ticks_from_ns(VIRTIO_DEFER_NS));
}

/* --- configuration --- */

uint64_t virtio_device_read_config(const struct virtio_device *device, uint64_t offset,
                                   unsigned width)
{
    uint64_t value = 0;

    if (!range_fits(offset, width, device->config_bytes))
        return UINT64_MAX;
    memcpy(&value, (const uint8_t *)device->config + offset, width);
    return value;
}

void virtio_device_write_config(struct virtio_device *device, uint64_t offset, unsigned width,
                                uint64_t value)
{
    if (device->ops->write_config && range_fits(offset, width, device->config_bytes))
        device->ops->write_config(device, (uint32_t)offset, width, value);
}

void virtio_device_config_changed(struct virtio_device *device)
{
    device->config_generation++;
    if (device->is_live)
        device->transport->interrupt_config(device->transport);
}
