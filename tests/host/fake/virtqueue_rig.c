/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/virtqueue_rig.h"

struct guest guest;
struct virtio_device device;
struct virtqueue queue;
struct vq_chain chain;
struct driver_queue *q;

static bool ignore_notify(struct virtqueue *vq)
{
    (void)vq;
    return false;
}

static void ignore_reset(struct virtio_device *d)
{
    (void)d;
}

static const struct virtio_device_ops ops = {.reset = ignore_reset};

void start_with(uint64_t features, uint16_t size)
{
    queue = (struct virtqueue){.notify = ignore_notify, .size_max = 256};
    device =
        (struct virtio_device){.ops = &ops, .queues = &queue, .queue_count = 1, .name = "test"};
    virtio_device_init(&device, &guest.mem);
    guest_attach(&guest, &device);
    driver_start(&guest, features, 1, size);
    q = &guest.queues[0];
}

int virtqueue_rig_set_up(void **state)
{
    (void)state;
    guest_start(&guest);
    start_with(VIRTIO_F_INDIRECT_DESC, 16);
    return 0;
}

int virtqueue_rig_tear_down(void **state)
{
    (void)state;
    guest_stop(&guest);
    return 0;
}

void assert_refused(const char *why)
{
    assert_false(vq_pop(&queue, &chain));
    assert_true(driver_needs_reset(&guest));
    if (!strstr(device.failure, why))
        fail_msg("expected \"%s\", got \"%s\"", why, device.failure);
    assert_true(guest.irq.level); /* the driver hears of it */
    assert_int_equal(guest_read_register(&guest, VIRTIO_MMIO_INTERRUPT_STATUS),
                     VIRTIO_MMIO_INT_CONFIG);
}
