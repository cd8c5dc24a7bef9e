/* SPDX-License-Identifier: BSD-2-Clause */
/* Hostile by what a device does for them. Each does its worst for ever; without the device it ends, and is missed. */
#include "guests/common/guest.h"
#include "guests/common/virtio.h"
#include "guests/measure/measure.h"

static void net_flood_mode(const struct multiboot_info *info UNUSED)
{
    if (net_start())
        net_flood();
    print("GUEST: FAILED: no network card\n");
}

/* --- balloon --- */

#define PAGES_START   MIB(2) /* behind the image */
#define REQUEST_PAGES 1024u

enum { INFLATE, DEFLATE, QUEUES };

static struct virtio_queue queues[QUEUES];
static uint32_t request[REQUEST_PAGES];
static uint64_t pages_end;

static void do_request(struct virtio_queue *queue, unsigned count)
{
    uint32_t head, length;

    queue->desc[0] = (struct virtio_desc){(uintptr_t)request, count * sizeof request[0], 0, 0};
    virtio_offer(queue, 0);
    virtio_notify(queue);
    while (!virtio_take(queue, &head, &length))
        __asm__ volatile("pause");
}

/* Each stride'th of its pages. */
static void ask_for_all(struct virtio_queue *queue, uint64_t stride)
{
    unsigned count = 0;

    for (uint64_t at = PAGES_START; at < pages_end; at += stride * PAGE_SIZE) {
        request[count++] = (uint32_t)(at >> PAGE_SHIFT);
        if (count == REQUEST_PAGES) {
            do_request(queue, count);
            count = 0;
        }
    }
    if (count)
        do_request(queue, count);
}

/* What is in the balloon comes back by that, told or not. */
static void touch_all(uint64_t stride)
{
    for (uint64_t at = PAGES_START; at < pages_end; at += stride * PAGE_SIZE)
        *(volatile uint64_t *)at = at;
}

static bool start_balloon(void)
{
    volatile uint32_t *registers = virtio_find(VIRTIO_ID_BALLOON);

    if (!registers || !virtio_begin(registers, 0))
        return false;
    for (unsigned i = 0; i < QUEUES; i++)
        virtio_add_queue(registers, &queues[i], i);
    virtio_finish(registers);
    return true;
}

/* All it has; again by touching it, by asking for it; single pages, so that none of its memory is in one piece. */
static void balloon_churn(const struct multiboot_info *info)
{
    pages_end = MIB(1) + KIB(info->mem_upper);
    if (!start_balloon()) {
        print("GUEST: FAILED: no balloon\n");
        return;
    }
    for (unsigned rounds = 1;; rounds++) {
        ask_for_all(&queues[INFLATE], 1);
        touch_all(2);
        ask_for_all(&queues[INFLATE], 1);
        ask_for_all(&queues[DEFLATE], 1);
        ask_for_all(&queues[INFLATE], 3);
        touch_all(1);
        print("GUEST: churned %u\n", rounds);
    }
}

const struct mode hostile_virtio_modes[] = {
    {"net-flood", net_flood_mode},
    {"balloon-churn", balloon_churn},
    {NULL, NULL},
};
