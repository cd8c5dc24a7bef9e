/* SPDX-License-Identifier: BSD-2-Clause */
/* The entropy device (VIRTIO 1.2, "Entropy Device"): each buffer comes back with random bytes. */
#ifndef DRIVERS_VIRT_VIRTIO_RNG_H
#define DRIVERS_VIRT_VIRTIO_RNG_H

#include "drivers/backend.h"
#include "drivers/virt/virtio.h"

/* A request is answered with at most so much; the used length tells, and the driver asks again. */
#define VIRTIO_RNG_REQUEST_BYTES_MAX 4096u

struct virtio_rng {
    struct virtio_device device;
    struct virtqueue queue;
    struct entropy_source source;
    struct vq_chain chain;
};

void virtio_rng_init(struct virtio_rng *rng, const struct guest_mem *mem,
                     const struct entropy_source *source);

#endif
