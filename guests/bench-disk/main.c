/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What does a disk request cost? Reads and writes of 4 KiB, one at a time, and a MiB in requests of 64 KiB, a full
 * round a doorbell. It prints `BENCH name ticks`, the guest's own few included; no interrupts are taken, it polls.
 */
#include "guests/common/guest.h"
#include "guests/common/virtio.h"

#define SECTOR_BYTES 512u
#define SMALL_BYTES  4096u
#define LARGE_BYTES  65536u
#define LARGE_COUNT  16u /* a MiB */
#define ROUNDS       50u
#define STATUS_OK    0u

enum { TYPE_IN = 0, TYPE_OUT = 1 };

struct request {
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    volatile uint8_t status;
};

static struct virtio_queue queue;
static struct request requests[LARGE_COUNT];
static uint8_t data[LARGE_COUNT * LARGE_BYTES];

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static void prepare(unsigned number, uint32_t type, uint32_t size_bytes)
{
    struct request *r = &requests[number];
    uint16_t head = (uint16_t)(3 * number), to_driver = type == TYPE_IN ? VIRTIO_WRITE : 0;

    r->header.type = type;
    r->header.sector = number * (size_bytes / SECTOR_BYTES);
    r->status = 0xff;
    queue.desc[head] = (struct virtio_desc){(uintptr_t)&r->header, sizeof r->header, VIRTIO_NEXT, (uint16_t)(head + 1)};
    queue.desc[head + 1] = (struct virtio_desc){(uintptr_t)&data[number * size_bytes], size_bytes,
                                                (uint16_t)(VIRTIO_NEXT | to_driver), (uint16_t)(head + 2)};
    queue.desc[head + 2] = (struct virtio_desc){(uintptr_t)&r->status, 1, VIRTIO_WRITE, 0};
    virtio_offer(&queue, head);
}

static bool transfer(uint32_t type, uint32_t size_bytes, unsigned count)
{
    uint32_t head, length;
    bool is_ok = true;

    for (unsigned i = 0; i < count; i++)
        prepare(i, type, size_bytes);
    virtio_notify(&queue);
    for (unsigned done = 0; done < count;)
        if (virtio_take(&queue, &head, &length))
            is_ok &= requests[head / 3].status == STATUS_OK && ++done;
    return is_ok;
}

static void measure(const char *name, uint32_t type, uint32_t size_bytes, unsigned count)
{
    uint64_t start = 0;
    bool is_ok = true;

    for (unsigned round = 0; round <= ROUNDS; round++) {
        if (round == 1) /* the first warms up: what is written gets its memory */
            start = read_tsc();
        is_ok &= transfer(type, size_bytes, count);
    }
    print("BENCH %s %lu\n", name, (read_tsc() - start + ROUNDS / 2) / ROUNDS);
    if (!is_ok)
        print("GUEST: FAILED: %s\n", name);
}

int guest_main(uint32_t magic UNUSED, uint32_t info UNUSED)
{
    volatile uint32_t *disk = virtio_find(VIRTIO_ID_BLOCK);

    if (!disk || !virtio_begin(disk, 0)) {
        print("GUEST: FAILED: expected a disk\n");
        return 1;
    }
    virtio_add_queue(disk, &queue, 0);
    virtio_finish(disk);
    poll_preemptibly();
    measure("disk_read_4k", TYPE_IN, SMALL_BYTES, 1);
    measure("disk_write_4k", TYPE_OUT, SMALL_BYTES, 1);
    measure("disk_read_mib", TYPE_IN, LARGE_BYTES, LARGE_COUNT);
    measure("disk_write_mib", TYPE_OUT, LARGE_BYTES, LARGE_COUNT);
    print("BENCH end\n");
    return 0;
}
