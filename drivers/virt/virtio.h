/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The seam between a virtio device (console, disk, …) and the transport that shows it to the guest
 * (MMIO; PCI fits the same seam). virtio.c keeps what is the same for all: the status handshake,
 * features, which queues may run, and how much one notification may cost. A transport turns
 * registers into these calls; a device sees whole requests.
 *
 * Invariant: a queue's notify runs only between DRIVER_OK and the next reset or failure.
 *
 * Locking: whoever enters (a register access, the timer `resume`, a back end's call) holds the device's lock.
 * A device whose back end delivers from other CPUs has a queue_lock besides, under which those deliveries run:
 * it is taken below the device's lock whenever queues or the status change.
 */
#ifndef DRIVERS_VIRT_VIRTIO_H
#define DRIVERS_VIRT_VIRTIO_H

#include "drivers/virt/virtqueue.h"
#include "kernel/lib/lock.h"
#include "kernel/timer.h"

#define VIRTIO_ID_NET     1u
#define VIRTIO_ID_BLOCK   2u
#define VIRTIO_ID_CONSOLE 3u
#define VIRTIO_ID_ENTROPY 4u
#define VIRTIO_ID_BALLOON 5u
#define VIRTIO_ID_VSOCK   19u

#define VIRTIO_STATUS_ACKNOWLEDGE 1u
#define VIRTIO_STATUS_DRIVER      2u
#define VIRTIO_STATUS_DRIVER_OK   4u
#define VIRTIO_STATUS_FEATURES_OK 8u
#define VIRTIO_STATUS_NEEDS_RESET 64u
#define VIRTIO_STATUS_FAILED      128u

#define VIRTIO_F_INDIRECT_DESC BIT(28)
#define VIRTIO_F_EVENT_IDX     BIT(29)
#define VIRTIO_F_VERSION_1     BIT(32)

/* What virtio.c and virtqueue.c do for every device. */
#define VIRTIO_FEATURES_COMMON (VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1)

#define VIRTIO_QUEUES_MAX 32u

/* How long the guest runs before a queue that was left at its bound is served on. */
#define VIRTIO_DEFER_NS 20000u

/* How a device reaches its driver. */
struct virtio_transport {
    void (*interrupt_queue)(struct virtio_transport *transport, unsigned queue);
    void (*interrupt_config)(struct virtio_transport *transport);
};

struct virtio_device;

struct virtio_device_ops {
    /* To the state at power-on. Under queue_lock. */
    void (*reset)(struct virtio_device *device);
    /* The features are settled. Optional. */
    void (*negotiated)(struct virtio_device *device);
    /* The range is inside the configuration. Optional: without it writes are ignored. */
    void (*write_config)(struct virtio_device *device, uint32_t offset, unsigned width,
                         uint64_t value);
};

/* In whose time a device does what it left undone: its guest's, not that of who runs where the timer fires. */
struct virtio_worker {
    bool (*is_here)(void *context); /* NULL: always. False: has asked for a call of virtio_device_resume() elsewhere */
    void *context;
};

/* Before its init a device fills in ops, queues (with notify and size_max), name to config_bytes. */
struct virtio_device {
    const struct virtio_device_ops *ops;
    struct virtqueue *queues;
    unsigned queue_count;
    struct lock *queue_lock; /* NULL: nobody delivers from elsewhere */
    bool is_live; /* DRIVER_OK, and neither NEEDS_RESET nor FAILED */
    uint8_t status;

    const char *name;
    uint32_t id;
    uint64_t features;  /* offered */
    const void *config; /* little-endian, as the guest reads it */
    uint32_t config_bytes;

    const char *failure; /* why it is NEEDS_RESET, or NULL */
    uint64_t driver_features;
    bool wants_unknown_features; /* in words that this device does not even have */
    uint32_t config_generation;
    struct virtio_transport *transport;
    struct virtio_worker worker;
    struct timer resume;      /* serves the queues that stopped at their bound, or has the worker do it */
    uint32_t deferred_queues; /* a bit each */
};

/* --- for transports --- */

/* Back to power-on, queues and device included: what the driver's write of status 0 does. */
void virtio_device_reset(struct virtio_device *device);
/* The driver's other writes to the status: bits are added, never taken back, and checked. */
void virtio_device_add_status(struct virtio_device *device, uint8_t status);

/* Features go in words of 32 bits, the lowest is 0; those accepted after FEATURES_OK are ignored. */
uint32_t virtio_device_offered_features(const struct virtio_device *device, uint32_t word);
void virtio_device_accept_features(struct virtio_device *device, uint32_t word, uint32_t bits);

/* NULL: no such queue. */
struct virtqueue *virtio_device_queue(struct virtio_device *device, uint32_t index);
/* The driver says that its setup is complete; or that the queue is not to be used any more. */
void virtio_queue_enable(struct virtqueue *vq);
void virtio_queue_disable(struct virtqueue *vq);
void virtio_device_notify(struct virtio_device *device, uint32_t queue);

/* Serves what was deferred, if anything was: the worker. */
void virtio_device_resume(struct virtio_device *device);

/* Outside the configuration all ones are read, and writes are ignored. */
uint64_t virtio_device_read_config(const struct virtio_device *device, uint64_t offset,
                                   unsigned width);
void virtio_device_write_config(struct virtio_device *device, uint64_t offset, unsigned width,
                                uint64_t value);

/*
 * Is a ring of the device in [address, address+size)? Then the guest cannot give that memory back: the device
 * follows pointers into it.
 */
bool virtio_device_uses(const struct virtio_device *device, gpa_t address, uint64_t size);

/* --- for devices --- */

void virtio_device_init(struct virtio_device *device, const struct guest_mem *mem);

/* The driver broke the rules: NEEDS_RESET, and nothing runs until it resets the device. */
void virtio_queue_fail(struct virtqueue *vq, const char *why);
/* Calls the queue's notify at that time (host TSC), or earlier; what was deferred before stays so. */
void virtio_queue_defer(struct virtqueue *vq, uint64_t deadline);
/* The device changed its configuration. */
void virtio_device_config_changed(struct virtio_device *device);

static inline bool virtio_device_has(const struct virtio_device *device, uint64_t feature)
{
    return device->driver_features & feature;
}

#endif
