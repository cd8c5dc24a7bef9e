/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/virtio_mmio_rig.h"

struct guest guest;
struct virtio_device device;
struct virtqueue queues[2];
uint32_t served, notified, resets, negotiations;
void (*while_serving)(void);
uint64_t config_written[3];

static struct vq_chain chain;
static uint8_t config[12] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66,
                             0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc};

static uint32_t serve(struct virtio_device *d, struct vq_chain *c)
{
    assert_ptr_equal(d, &device);
    assert_true(d->is_live);
    served++;
    if (while_serving)
        while_serving();
    return c->writable.left_bytes;
}

static bool notify(struct virtqueue *vq)
{
    notified++;
    return vq_serve(vq, &chain, serve);
}

static void reset(struct virtio_device *d)
{
    (void)d;
    resets++;
}

static void negotiated(struct virtio_device *d)
{
    assert_true(virtio_device_has(d, VIRTIO_F_VERSION_1));
    negotiations++;
}

static void write_config(struct virtio_device *d, uint32_t offset, unsigned width, uint64_t value)
{
    assert_true(offset + width <= d->config_bytes);
    config_written[0] = offset;
    config_written[1] = width;
    config_written[2] = value;
}

static const struct virtio_device_ops ops = {reset, negotiated, write_config};

int virtio_mmio_rig_set_up(void **state)
{
    (void)state;
    guest_start(&guest);
    queues[0] = (struct virtqueue){.notify = notify, .size_max = 64};
    queues[1] = (struct virtqueue){.notify = notify, .size_max = 8};
    device = (struct virtio_device){
        .ops = &ops,
        .queues = queues,
        .queue_count = 2,
        .name = "test",
        .id = 42,
        .features = FEATURE_A | FEATURE_B,
        .config = config,
        .config_bytes = sizeof config,
    };
    virtio_device_init(&device, &guest.mem);
    guest_attach(&guest, &device);
    served = notified = resets = negotiations = 0;
    while_serving = NULL;
    return 0;
}

int virtio_mmio_rig_tear_down(void **state)
{
    (void)state;
    guest_stop(&guest);
    return 0;
}

uint32_t reg(uint32_t offset)
{
    return guest_read_register(&guest, offset);
}

void set_reg(uint32_t offset, uint32_t value)
{
    guest_write_register(&guest, offset, value);
}

void add_request(void)
{
    driver_add(&guest, &guest.queues[0], &(struct buffer){GUEST_BUFFERS, 8, VIRTQ_DESC_F_WRITE}, 1);
}
