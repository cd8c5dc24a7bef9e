/* SPDX-License-Identifier: BSD-2-Clause */
/* A device with one queue, which pops when the test says so, and the driver of it. */
#ifndef TESTS_HOST_FAKE_VIRTQUEUE_RIG_H
#define TESTS_HOST_FAKE_VIRTQUEUE_RIG_H

#include "tests/host/fake/virtio_driver.h"

extern struct guest guest;
extern struct virtio_device device;
extern struct virtqueue queue;
extern struct vq_chain chain;
extern struct driver_queue *q;

/* With indirect descriptors, of 16 entries. */
int virtqueue_rig_set_up(void **state);
int virtqueue_rig_tear_down(void **state);
void start_with(uint64_t features, uint16_t size);

/* The next pop finds nothing and stops the device, for that reason. */
void assert_refused(const char *why);

#endif
