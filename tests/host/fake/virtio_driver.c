/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/virtio_driver.h"

void guest_start(struct guest *g)
{
    static const uint64_t bases[] = {0, GUEST_BORDER, GUEST_HIGH};

    memset(g, 0, sizeof *g);
    fake_clock_reset();
    fake_log_count = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(g->slots); i++) {
        g->slots[i] = aligned_alloc(PAGE_SIZE, GUEST_SLOT_BYTES);
        memset(g->slots[i], 0, GUEST_SLOT_BYTES);
        assert_int_equal(guest_mem_add(&g->mem, GPA(bases[i]), GUEST_SLOT_BYTES, g->slots[i]), 0);
    }
}

void guest_clear(struct guest *g)
{
    uint8_t *slots[ARRAY_SIZE(g->slots)];
    struct guest_mem mem = g->mem;

    memcpy(slots, g->slots, sizeof slots);
    memset(g, 0, sizeof *g);
    g->mem = mem;
    memcpy(g->slots, slots, sizeof slots);
    for (unsigned i = 0; i < ARRAY_SIZE(g->slots); i++)
        memset(g->slots[i], 0, GUEST_SLOT_BYTES);
    fake_clock_reset();
}

void guest_stop(struct guest *g)
{
    for (unsigned i = 0; i < ARRAY_SIZE(g->slots); i++)
        free(g->slots[i]);
}

void guest_attach(struct guest *g, struct virtio_device *device)
{
    struct irq_line line = fake_irq_line(&g->irq, 5);

    virtio_mmio_init(&g->mmio, device, &line);
}

void *guest_at(struct guest *g, uint64_t address)
{
    void *host = guest_mem_at(&g->mem, GPA(address), 1);

    assert_non_null(host);
    return host;
}

uint32_t guest_read_register(struct guest *g, uint32_t offset)
{
    return (uint32_t)virtio_mmio_ops.read(&g->mmio, offset, 4);
}

void guest_write_register(struct guest *g, uint32_t offset, uint32_t value)
{
    virtio_mmio_ops.write(&g->mmio, offset, 4, value);
}

bool driver_negotiate(struct guest *g, uint64_t features)
{
    uint32_t status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;

    guest_write_register(g, VIRTIO_MMIO_STATUS, 0);
    guest_write_register(g, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE);
    guest_write_register(g, VIRTIO_MMIO_STATUS, status);
    for (unsigned word = 0; word < 2; word++) {
        guest_write_register(g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
        guest_write_register(g, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> (32 * word)));
    }
    guest_write_register(g, VIRTIO_MMIO_STATUS, status | VIRTIO_STATUS_FEATURES_OK);
    return guest_read_register(g, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_FEATURES_OK;
}

static void write_address(struct guest *g, uint32_t low_register, uint64_t address)
{
    guest_write_register(g, low_register, (uint32_t)address);
    guest_write_register(g, low_register + 4, (uint32_t)(address >> 32));
}

struct driver_queue *driver_set_up_queue(struct guest *g, unsigned index, uint16_t size)
{
    struct driver_queue *q = &g->queues[index];
    uint64_t base = GUEST_RINGS + index * GUEST_RINGS_STRIDE;

    *q = (struct driver_queue){index, size, base, base + 0x1000, base + 0x2000, 0, 0, 0};
    memset(guest_at(g, base), 0, GUEST_RINGS_STRIDE);
    guest_write_register(g, VIRTIO_MMIO_QUEUE_SEL, index);
    guest_write_register(g, VIRTIO_MMIO_QUEUE_NUM, size);
    write_address(g, VIRTIO_MMIO_QUEUE_DESC_LOW, q->desc);
    write_address(g, VIRTIO_MMIO_QUEUE_DRIVER_LOW, q->avail);
    write_address(g, VIRTIO_MMIO_QUEUE_DEVICE_LOW, q->used);
    guest_write_register(g, VIRTIO_MMIO_QUEUE_READY, 1);
    return q;
}

void driver_go(struct guest *g)
{
    guest_write_register(g, VIRTIO_MMIO_STATUS,
                         guest_read_register(g, VIRTIO_MMIO_STATUS) | VIRTIO_STATUS_DRIVER_OK);
}

void driver_start(struct guest *g, uint64_t features, unsigned queues, uint16_t size)
{
    assert_true(driver_negotiate(g, features | VIRTIO_F_VERSION_1));
    for (unsigned i = 0; i < queues; i++)
        driver_set_up_queue(g, i, size);
    driver_go(g);
    assert_false(driver_needs_reset(g));
}

bool driver_needs_reset(struct guest *g)
{
    return guest_read_register(g, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET;
}

struct virtq_desc *driver_desc(struct guest *g, const struct driver_queue *q, uint16_t i)
{
    return (struct virtq_desc *)guest_at(g, q->desc) + i % q->size;
}

struct virtq_avail *driver_avail(struct guest *g, const struct driver_queue *q)
{
    return guest_at(g, q->avail);
}

struct virtq_used *driver_used(struct guest *g, const struct driver_queue *q)
{
    return guest_at(g, q->used);
}

uint16_t *driver_used_event(struct guest *g, const struct driver_queue *q)
{
    return &driver_avail(g, q)->ring[q->size];
}

uint16_t *driver_avail_event(struct guest *g, const struct driver_queue *q)
{
    return (uint16_t *)&driver_used(g, q)->ring[q->size];
}

void driver_make_available(struct guest *g, struct driver_queue *q, uint16_t head)
{
    struct virtq_avail *avail = driver_avail(g, q);

    avail->ring[q->next_avail++ % q->size] = head;
    avail->idx = q->next_avail;
}

uint16_t driver_add(struct guest *g, struct driver_queue *q, const struct buffer *buffers,
                    unsigned count)
{
    uint16_t head = q->next_desc % q->size;

    for (unsigned i = 0; i < count; i++, q->next_desc++) {
        uint16_t next = i + 1 < count ? VIRTQ_DESC_F_NEXT : 0;

        *driver_desc(g, q, q->next_desc) =
            (struct virtq_desc){buffers[i].addr, buffers[i].len, buffers[i].flags | next,
                                (uint16_t)((q->next_desc + 1) % q->size)};
    }
    driver_make_available(g, q, head);
    return head;
}

uint16_t driver_add_indirect(struct guest *g, struct driver_queue *q, uint64_t table,
                             const struct buffer *buffers, unsigned count)
{
    struct buffer indirect = {table, count * (uint32_t)sizeof(struct virtq_desc),
                              VIRTQ_DESC_F_INDIRECT};

    for (unsigned i = 0; i < count; i++) {
        struct virtq_desc d = {buffers[i].addr, buffers[i].len, buffers[i].flags,
                               (uint16_t)(i + 1)};

        d.flags |= i + 1 < count ? VIRTQ_DESC_F_NEXT : 0;
        assert_int_equal(guest_mem_write(&g->mem, GPA(table + i * sizeof d), &d, sizeof d), 0);
    }
    return driver_add(g, q, &indirect, 1);
}

void driver_kick(struct guest *g, const struct driver_queue *q)
{
    guest_write_register(g, VIRTIO_MMIO_QUEUE_NOTIFY, q->index);
}

bool driver_take_used(struct guest *g, struct driver_queue *q, struct virtq_used_elem *entry)
{
    struct virtq_used *used = driver_used(g, q);

    if (used->idx == q->next_used)
        return false;
    *entry = used->ring[q->next_used++ % q->size];
    return true;
}

uint64_t noise(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}
