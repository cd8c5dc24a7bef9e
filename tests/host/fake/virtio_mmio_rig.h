/* SPDX-License-Identifier: BSD-2-Clause */
/* A device with two queues behind the MMIO transport that gives each request back at once and counts what it is told. */
#ifndef TESTS_HOST_FAKE_VIRTIO_MMIO_RIG_H
#define TESTS_HOST_FAKE_VIRTIO_MMIO_RIG_H

#include "tests/host/fake/virtio_driver.h"

#define FEATURE_A BIT(0)
#define FEATURE_B BIT(40)

extern struct guest guest;
extern struct virtio_device device;
extern struct virtqueue queues[2];
extern uint32_t served, notified, resets, negotiations;
extern void (*while_serving)(void);
extern uint64_t config_written[3]; /* offset, width, value */

int virtio_mmio_rig_set_up(void **state);
int virtio_mmio_rig_tear_down(void **state);

uint32_t reg(uint32_t offset);
void set_reg(uint32_t offset, uint32_t value);
void add_request(void);

#endif
