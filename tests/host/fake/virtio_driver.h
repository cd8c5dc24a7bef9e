/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest with a virtio driver for tests: RAM in three slots, rings built in it by hand, and
 * registers reached through the MMIO transport. Nothing here is careful: tests must be able to say
 * every nonsense.
 */
#ifndef TESTS_HOST_FAKE_VIRTIO_DRIVER_H
#define TESTS_HOST_FAKE_VIRTIO_DRIVER_H

#include "tests/host/fake/fake.h"
#include "drivers/virt/virtio_mmio.h"

/* Slots 0 and 1 touch in guest-physical space only; slot 2 is above 4 GiB. */
#define GUEST_SLOT_BYTES 0x40000u
#define GUEST_BORDER     0x40000u
#define GUEST_RAM_END    0x80000u
#define GUEST_HIGH       0x100000000ull

/* Queue i has its rings at GUEST_RINGS + i * GUEST_RINGS_STRIDE; tests' buffers come after them. */
#define GUEST_RINGS        0x1000u
#define GUEST_RINGS_STRIDE 0x4000u
#define GUEST_BUFFERS      0x20000u

struct driver_queue {
    unsigned index;
    uint16_t size;
    uint64_t desc, avail, used;
    uint16_t next_desc; /* where the next chain is built */
    uint16_t next_avail;
    uint16_t next_used;
};

struct guest {
    struct guest_mem mem;
    uint8_t *slots[3];
    struct virtio_mmio mmio;
    struct fake_irq irq;
    struct driver_queue queues[7]; /* as many as fit before GUEST_BUFFERS */
};

struct buffer {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
};

void guest_start(struct guest *g);
void guest_stop(struct guest *g);
/* As new, with the memory that it has: for who needs thousands of guests a second. */
void guest_clear(struct guest *g);
void guest_attach(struct guest *g, struct virtio_device *device);
void *guest_at(struct guest *g, uint64_t address); /* fails the test if it is not RAM */

uint32_t guest_read_register(struct guest *g, uint32_t offset);
void guest_write_register(struct guest *g, uint32_t offset, uint32_t value);

/* Reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK; whether it stuck. */
bool driver_negotiate(struct guest *g, uint64_t features);
struct driver_queue *driver_set_up_queue(struct guest *g, unsigned index, uint16_t size);
void driver_go(struct guest *g); /* DRIVER_OK */
/* All of it for each of `queues` queues. */
void driver_start(struct guest *g, uint64_t features, unsigned queues, uint16_t size);
bool driver_needs_reset(struct guest *g);

struct virtq_desc *driver_desc(struct guest *g, const struct driver_queue *q, uint16_t i);
struct virtq_avail *driver_avail(struct guest *g, const struct driver_queue *q);
struct virtq_used *driver_used(struct guest *g, const struct driver_queue *q);
uint16_t *driver_used_event(struct guest *g, const struct driver_queue *q);
uint16_t *driver_avail_event(struct guest *g, const struct driver_queue *q);

void driver_make_available(struct guest *g, struct driver_queue *q, uint16_t head);
/* Each builds a chain of count buffers, makes it available and returns its head. */
uint16_t driver_add(struct guest *g, struct driver_queue *q, const struct buffer *buffers,
                    unsigned count);
uint16_t driver_add_indirect(struct guest *g, struct driver_queue *q, uint64_t table,
                             const struct buffer *buffers, unsigned count);
void driver_kick(struct guest *g, const struct driver_queue *q);
/* The next used entry. */
bool driver_take_used(struct guest *g, struct driver_queue *q, struct virtq_used_elem *entry);

/* A repeatable source of nonsense. */
uint64_t noise(uint64_t *state);

#endif
