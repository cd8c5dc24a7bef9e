/* SPDX-License-Identifier: BSD-2-Clause */
/* Random bytes straight into the guest's buffers; see virtio_rng.h. */
#include "drivers/virt/virtio_rng.h"
#include "kernel/lib/string.h"

enum { QUEUE_SIZE = 16 };

static uint32_t serve(struct virtio_device *device, struct vq_chain *chain)
{
    struct virtio_rng *rng = CONTAINER_OF(device, struct virtio_rng, device);
    uint32_t filled = 0;

    for (;;) {
        struct vq_span piece =
            vq_stream_take(&chain->writable, VIRTIO_RNG_REQUEST_BYTES_MAX - filled);

        if (piece.size_bytes == 0)
            return filled;
        rng->source.fill(rng->source.context, piece.bytes, piece.size_bytes);
        filled += piece.size_bytes;
    }
}

static bool notify(struct virtqueue *vq)
{
    return vq_serve(vq, &CONTAINER_OF(vq, struct virtio_rng, queue)->chain, serve);
}

static void reset(struct virtio_device *device)
{
    (void)device;
}

static const struct virtio_device_ops virtio_rng_ops = {.reset = reset};

void virtio_rng_init(struct virtio_rng *rng, const struct guest_mem *mem,
                     const struct entropy_source *source)
{
    memset(rng, 0, sizeof *rng);
    rng->source = *source;
    rng->queue.notify = notify;
    rng->queue.size_max = QUEUE_SIZE;
    rng->device = (struct virtio_device){
        .ops = &virtio_rng_ops,
        .queues = &rng->queue,
        .queue_count = 1,
        .name = "virtio-rng",
        .id = VIRTIO_ID_ENTROPY,
    };
    virtio_device_init(&rng->device, mem);
}
