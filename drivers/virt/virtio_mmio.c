/* SPDX-License-Identifier: BSD-2-Clause */
/* The registers of virtio-mmio as a table; see virtio_mmio.h. */
#include "drivers/virt/virtio_mmio.h"

/* --- interrupts --- */

static void change_interrupt_status(struct virtio_mmio *m, uint32_t set, uint32_t clear)
{
    uint32_t before, after;

    lock_acquire(&m->interrupt_lock);
    before = m->interrupt_status;
    after = (before & ~clear) | set;
    __atomic_store_n(&m->interrupt_status, after, __ATOMIC_RELAXED);
    if ((before != 0) != (after != 0))
        irq_line_set(&m->irq, after != 0);
    lock_release(&m->interrupt_lock);
}

static void interrupt_queue(struct virtio_transport *transport, unsigned queue)
{
    struct virtio_mmio *m = CONTAINER_OF(transport, struct virtio_mmio, transport);

    (void)queue;
    change_interrupt_status(m, VIRTIO_MMIO_INT_VRING, 0);
}

static void interrupt_config(struct virtio_transport *transport)
{
    struct virtio_mmio *m = CONTAINER_OF(transport, struct virtio_mmio, transport);

    change_interrupt_status(m, VIRTIO_MMIO_INT_CONFIG, 0);
}

/* --- registers that are read --- */

static uint32_t read_magic(const struct virtio_mmio *m)
{
    (void)m;
    return VIRTIO_MMIO_MAGIC;
}

static uint32_t read_version(const struct virtio_mmio *m)
{
    (void)m;
    return 2;
}

static uint32_t read_device_id(const struct virtio_mmio *m)
{
    return m->device->id;
}

static uint32_t read_vendor_id(const struct virtio_mmio *m)
{
    (void)m;
    return VIRTIO_MMIO_VENDOR;
}

static uint32_t read_device_features(const struct virtio_mmio *m)
{
    return virtio_device_offered_features(m->device, m->device_features_sel);
}

static uint32_t read_queue_num_max(const struct virtio_mmio *m)
{
    const struct virtqueue *vq = virtio_device_queue(m->device, m->queue_sel);

    return vq ? vq->size_max : 0;
}

static uint32_t read_queue_ready(const struct virtio_mmio *m)
{
    const struct virtqueue *vq = virtio_device_queue(m->device, m->queue_sel);

    return vq && vq->ready;
}

static uint32_t read_interrupt_status(const struct virtio_mmio *m)
{
    return __atomic_load_n(&m->interrupt_status, __ATOMIC_RELAXED);
}

static uint32_t read_status(const struct virtio_mmio *m)
{
    return m->device->status;
}

/* "Shared memory regions": a region that does not exist has a length of all ones. */
static uint32_t read_no_shm(const struct virtio_mmio *m)
{
    (void)m;
    return UINT32_MAX;
}

static uint32_t read_config_generation(const struct virtio_mmio *m)
{
    return m->device->config_generation;
}

/* --- registers that are written --- */

static void write_device_features_sel(struct virtio_mmio *m, uint32_t value)
{
    m->device_features_sel = value;
}

static void write_driver_features(struct virtio_mmio *m, uint32_t value)
{
    virtio_device_accept_features(m->device, m->driver_features_sel, value);
}

static void write_driver_features_sel(struct virtio_mmio *m, uint32_t value)
{
    m->driver_features_sel = value;
}

static void write_queue_sel(struct virtio_mmio *m, uint32_t value)
{
    m->queue_sel = value;
}

static void write_queue_ready(struct virtio_mmio *m, uint32_t value)
{
    struct virtqueue *vq = virtio_device_queue(m->device, m->queue_sel);

    if (vq && (value & 1))
        virtio_queue_enable(vq);
    else if (vq)
        virtio_queue_disable(vq);
}

static void write_queue_notify(struct virtio_mmio *m, uint32_t value)
{
    virtio_device_notify(m->device, value);
}

static void write_interrupt_ack(struct virtio_mmio *m, uint32_t value)
{
    change_interrupt_status(m, 0, value);
}

static void write_status(struct virtio_mmio *m, uint32_t value)
{
    if (value == 0)
        virtio_mmio_reset(m);
    else
        virtio_device_add_status(m->device, (uint8_t)value);
}

/* The selected queue's setup while it may be changed: not when there is none or it is in use. */
static struct vq_setup *open_setup(struct virtio_mmio *m)
{
    struct virtqueue *vq = virtio_device_queue(m->device, m->queue_sel);

    return vq && !vq->ready ? &vq->setup : NULL;
}

static void write_queue_num(struct virtio_mmio *m, uint32_t value)
{
    struct vq_setup *setup = open_setup(m);

    if (setup)
        setup->size = value;
}

static void set_low(uint64_t *address, uint32_t value)
{
    *address = (*address & ~(uint64_t)UINT32_MAX) | value;
}

static void set_high(uint64_t *address, uint32_t value)
{
    *address = (*address & UINT32_MAX) | (uint64_t)value << 32;
}

#define QUEUE_ADDRESS_WRITER(half, field)                                           \
    static void write_queue_##field##_##half(struct virtio_mmio *m, uint32_t value) \
    {                                                                               \
        struct vq_setup *setup = open_setup(m);                                     \
                                                                                    \
        if (setup)                                                                  \
            set_##half(&setup->field, value);                                       \
    }
QUEUE_ADDRESS_WRITER(low, desc)
QUEUE_ADDRESS_WRITER(high, desc)
QUEUE_ADDRESS_WRITER(low, avail)
QUEUE_ADDRESS_WRITER(high, avail)
QUEUE_ADDRESS_WRITER(low, used)
QUEUE_ADDRESS_WRITER(high, used)

/* --- the map --- */

#define REGISTER(offset) [(offset) / sizeof(uint32_t)]

/* What has no read reads as 0, what has no write ignores it; so do offsets that are no register. */
static const struct {
    uint32_t (*read)(const struct virtio_mmio *m);
    void (*write)(struct virtio_mmio *m, uint32_t value);
} registers[VIRTIO_MMIO_CONFIG / sizeof(uint32_t)] = {
    /* clang-format off */
    REGISTER(VIRTIO_MMIO_MAGIC_VALUE)         = {read_magic, NULL},
    REGISTER(VIRTIO_MMIO_VERSION)             = {read_version, NULL},
    REGISTER(VIRTIO_MMIO_DEVICE_ID)           = {read_device_id, NULL},
    REGISTER(VIRTIO_MMIO_VENDOR_ID)           = {read_vendor_id, NULL},
    REGISTER(VIRTIO_MMIO_DEVICE_FEATURES)     = {read_device_features, NULL},
    REGISTER(VIRTIO_MMIO_DEVICE_FEATURES_SEL) = {NULL, write_device_features_sel},
    REGISTER(VIRTIO_MMIO_DRIVER_FEATURES)     = {NULL, write_driver_features},
    REGISTER(VIRTIO_MMIO_DRIVER_FEATURES_SEL) = {NULL, write_driver_features_sel},
    REGISTER(VIRTIO_MMIO_QUEUE_SEL)           = {NULL, write_queue_sel},
    REGISTER(VIRTIO_MMIO_QUEUE_NUM_MAX)       = {read_queue_num_max, NULL},
    REGISTER(VIRTIO_MMIO_QUEUE_NUM)           = {NULL, write_queue_num},
    REGISTER(VIRTIO_MMIO_QUEUE_READY)         = {read_queue_ready, write_queue_ready},
    REGISTER(VIRTIO_MMIO_QUEUE_NOTIFY)        = {NULL, write_queue_notify},
    REGISTER(VIRTIO_MMIO_INTERRUPT_STATUS)    = {read_interrupt_status, NULL},
    REGISTER(VIRTIO_MMIO_INTERRUPT_ACK)       = {NULL, write_interrupt_ack},
    REGISTER(VIRTIO_MMIO_STATUS)              = {read_status, write_status},
    REGISTER(VIRTIO_MMIO_QUEUE_DESC_LOW)      = {NULL, write_queue_desc_low},
    REGISTER(VIRTIO_MMIO_QUEUE_DESC_HIGH)     = {NULL, write_queue_desc_high},
    REGISTER(VIRTIO_MMIO_QUEUE_DRIVER_LOW)    = {NULL, write_queue_avail_low},
    REGISTER(VIRTIO_MMIO_QUEUE_DRIVER_HIGH)   = {NULL, write_queue_avail_high},
    REGISTER(VIRTIO_MMIO_QUEUE_DEVICE_LOW)    = {NULL, write_queue_used_low},
    REGISTER(VIRTIO_MMIO_QUEUE_DEVICE_HIGH)   = {NULL, write_queue_used_high},
    REGISTER(VIRTIO_MMIO_SHM_LEN_LOW)         = {read_no_shm, NULL},
    REGISTER(VIRTIO_MMIO_SHM_LEN_HIGH)        = {read_no_shm, NULL},
    REGISTER(VIRTIO_MMIO_SHM_BASE_LOW)        = {read_no_shm, NULL},
    REGISTER(VIRTIO_MMIO_SHM_BASE_HIGH)       = {read_no_shm, NULL},
    REGISTER(VIRTIO_MMIO_CONFIG_GENERATION)   = {read_config_generation, NULL},
    /* clang-format on */
};

static bool is_register(uint64_t offset, unsigned width)
{
    return width == sizeof(uint32_t) && offset % sizeof(uint32_t) == 0;
}

static uint64_t mmio_read(void *device, uint64_t offset, unsigned width)
{
    struct virtio_mmio *m = device;

    if (offset >= VIRTIO_MMIO_CONFIG)
        return virtio_device_read_config(m->device, offset - VIRTIO_MMIO_CONFIG, width);
    if (!is_register(offset, width) || !registers[offset / sizeof(uint32_t)].read)
        return 0;
    return registers[offset / sizeof(uint32_t)].read(m);
}

static void mmio_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    struct virtio_mmio *m = device;

    if (offset >= VIRTIO_MMIO_CONFIG)
        virtio_device_write_config(m->device, offset - VIRTIO_MMIO_CONFIG, width, value);
    else if (is_register(offset, width) && registers[offset / sizeof(uint32_t)].write)
        registers[offset / sizeof(uint32_t)].write(m, (uint32_t)value);
}

const struct io_region_ops virtio_mmio_ops = {mmio_read, mmio_write};

/* --- life --- */

void virtio_mmio_init(struct virtio_mmio *mmio, struct virtio_device *device,
                      const struct irq_line *irq)
{
    *mmio = (struct virtio_mmio){
        .device = device,
        .transport = {interrupt_queue, interrupt_config},
        .irq = *irq,
    };
    device->transport = &mmio->transport;
}

void virtio_mmio_reset(struct virtio_mmio *mmio)
{
    virtio_device_reset(mmio->device);
    change_interrupt_status(mmio, 0, UINT32_MAX);
    mmio->device_features_sel = 0;
    mmio->driver_features_sel = 0;
    mmio->queue_sel = 0;
}
