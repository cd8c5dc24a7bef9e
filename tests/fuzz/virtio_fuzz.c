/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: no sequence of register accesses and of changes to the rings makes a device touch memory
 * that is not the guest's, loop, or assert. Input: one byte that picks the device, then records of
 * 8 bytes {what, where, value}.
 */
#include "tests/host/fake/virtio_driver.h"
#include "drivers/virt/virtio_blk.h"
#include "drivers/virt/virtio_console.h"
#include "drivers/virt/virtio_rng.h"
#include "kernel/ramdisk.h"
#include "kernel/lib/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct guest guest;
static struct virtio_blk blk;
static struct virtio_console console;
static struct virtio_rng rng;
static struct ramdisk ramdisk;
static uint8_t image[0x8000];

static void swallow(void *context, const uint8_t *bytes, size_t count)
{
    static uint8_t sink[MIB(1)];

    (void)context;
    memcpy(sink, bytes, MIN(count, sizeof sink));
}

static void fill(void *context, void *to, size_t count)
{
    (void)context;
    memset(to, 0x5a, count);
}

static void *alloc_page(void *context)
{
    (void)context;
    return aligned_alloc(PAGE_SIZE, PAGE_SIZE);
}

static void free_page(void *context, void *page)
{
    (void)context;
    free(page);
}

static struct virtio_device *make_disk(void)
{
    static const struct ramdisk_pages pages = {alloc_page, free_page, NULL};

    if (ramdisk_init_scratch(&ramdisk, image, sizeof image, 0, &pages))
        abort();
    virtio_blk_init(&blk, &guest.mem, &ramdisk.disk);
    return &blk.device;
}

static struct virtio_device *make_console(void)
{
    static const struct chardev output = {swallow, NULL};

    virtio_console_init(&console, &guest.mem, &output);
    return &console.device;
}

static struct virtio_device *make_rng(void)
{
    static const struct entropy_source source = {fill, NULL};

    virtio_rng_init(&rng, &guest.mem, &source);
    return &rng.device;
}

static void start(unsigned kind)
{
    static struct virtio_device *(*const makers[])(void) = {make_disk, make_console, make_rng};
    struct virtio_device *device = makers[kind % ARRAY_SIZE(makers)]();

    guest_attach(&guest, device);
    driver_start(&guest, device->features, device->queue_count, 16);
}

/* Rings, indirect tables and headers all lie in the first pages, so that small offsets hit them. */
static void step(const uint8_t record[8])
{
    uint16_t where = get_le16(record + 2);
    uint32_t value = get_le32(record + 4);
    struct driver_queue *q = &guest.queues[record[1] % 2];

    switch (record[0] % 8) {
    case 0:
        virtio_mmio_ops.write(&guest.mmio, ALIGN_DOWN(where, 4) % VIRTIO_MMIO_REGION_BYTES, 4,
                              value);
        break;
    case 1:
        virtio_mmio_ops.read(&guest.mmio, where % (VIRTIO_MMIO_REGION_BYTES - 3),
                             1u << record[1] % 3);
        break;
    case 2:
        put_le32(guest_at(&guest, where), value);
        break;
    case 3:
        *((struct virtq_desc *)guest_at(&guest, GUEST_RINGS + record[1] % 2 * GUEST_RINGS_STRIDE) +
          where % 16) = (struct virtq_desc){GUEST_BUFFERS + (value & 0xffff), value >> 20,
                                            (uint16_t)(value >> 16 & 7), (uint16_t)(where >> 8)};
        break;
    case 4:
        if (q->size)
            driver_make_available(&guest, q, where);
        break;
    case 5:
        virtio_console_receive(&console, record + 2, 6);
        break;
    default:
        driver_kick(&guest, q);
        fake_clock_advance(VIRTIO_DEFER_NS);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (guest.mem.count == 0)
        guest_start(&guest);
    guest_clear(&guest);
    make_console(); /* input may come for it even if it is not the one that is driven */
    start(data[0]);
    for (size_t at = 1; at + 8 <= size; at += 8)
        step(data + at);
    while (ramdisk_revert_some(&ramdisk))
        ;
    return 0;
}
