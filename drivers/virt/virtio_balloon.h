/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory balloon (VIRTIO 1.2, "Traditional Memory Balloon Device"): the guest gives pages back and takes them again,
 * tells statistics, and reports free memory. What becomes of the pages is the business of a struct balloon_memory.
 *
 * A request that gives pages back is completed when the memory is out of everybody's hands, which the owner says by
 * virtio_balloon_flushed(): until then the guest must not use them, and may as soon as it sees the request done.
 */
#ifndef DRIVERS_VIRT_VIRTIO_BALLOON_H
#define DRIVERS_VIRT_VIRTIO_BALLOON_H

#include "drivers/virt/virtio.h"

#define VIRTIO_BALLOON_F_MUST_TELL_HOST BIT(0)
#define VIRTIO_BALLOON_F_STATS_VQ       BIT(1)
#define VIRTIO_BALLOON_F_DEFLATE_ON_OOM BIT(2)
#define VIRTIO_BALLOON_F_PAGE_REPORTING BIT(5)

/* Pages in this device's sense are 4 KiB, whatever the guest's are. */
#define VIRTIO_BALLOON_PAGE_SHIFT 12u

struct virtio_balloon_config {
    uint32_t num_pages; /* that the guest is to give back */
    uint32_t actual;    /* that it says it has */
};

/* Unaligned in the guest's buffer, and so packed. */
struct virtio_balloon_stat {
    uint16_t tag;
    uint64_t value;
} PACKED;

enum virtio_balloon_stat_tag {
    VIRTIO_BALLOON_S_SWAP_IN, VIRTIO_BALLOON_S_SWAP_OUT, VIRTIO_BALLOON_S_MAJFLT, VIRTIO_BALLOON_S_MINFLT,
    VIRTIO_BALLOON_S_MEMFREE, VIRTIO_BALLOON_S_MEMTOT, VIRTIO_BALLOON_S_AVAIL, VIRTIO_BALLOON_S_CACHES,
    VIRTIO_BALLOON_S_HTLB_PGALLOC, VIRTIO_BALLOON_S_HTLB_PGFAIL, VIRTIO_BALLOON_S_TAGS
};

/*
 * The specification gives the queue of reports number 4; Linux counts only the queues that are there, and so gives it 3,
 * or 2 if there are no statistics.
 */
enum { VIRTIO_BALLOON_INFLATE, VIRTIO_BALLOON_DEFLATE, VIRTIO_BALLOON_STATS, VIRTIO_BALLOON_QUEUES = 5 };

#define VIRTIO_BALLOON_QUEUE_SIZE       128u
#define VIRTIO_BALLOON_PAGES_MAX        1024u    /* in one request; Linux gives 256, Windows 1024 */
#define VIRTIO_BALLOON_REPORTS_MAX      128u     /* extents in one report; of more, and of larger ones, the rest is not taken */
#define VIRTIO_BALLOON_REPORT_BYTES_MAX MIB(8)
#define VIRTIO_BALLOON_ROUND            8u       /* extents released, or pages made, before the guest or another one runs */

struct balloon_memory {
    /* May anything be released before the next virtio_balloon_flushed()? */
    bool (*has_room)(void *context);
    /*
     * The guest does not need what is in whole pages of [address, +size), of which nothing was checked. Returns how many
     * bytes were seen to, at most size: the rest is for when there is room again. 0: it cannot be.
     */
    uint64_t (*release)(void *context, gpa_t address, uint64_t size);
    /* It needs that page; likewise. -ENOMEM: the device asks again later. */
    int (*restore)(void *context, gpa_t address);
    /* Asks for a virtio_balloon_flushed() when all that was released is out of use; not from within this. */
    void (*flush)(void *context);
    void *context;
};

/* A request in hand: a copy, as the memory that it was in may be given back while it waits. */
struct balloon_request {
    uint16_t head;
    bool is_open;
    bool is_done; /* all was released: it is given back with the next flush */
    unsigned next, count;
    union {
        uint32_t pages[VIRTIO_BALLOON_PAGES_MAX];
        struct balloon_report {
            gpa_t address;
            uint64_t size;
        } reports[VIRTIO_BALLOON_REPORTS_MAX];
    };
};

struct virtio_balloon {
    struct virtio_device device;
    struct virtqueue queues[VIRTIO_BALLOON_QUEUES];
    struct balloon_request requests[VIRTIO_BALLOON_QUEUES];
    struct virtio_balloon_config config;
    struct balloon_memory memory;
    bool is_waiting; /* the deflation in hand does, for a free page */
    uint64_t stats[VIRTIO_BALLOON_S_TAGS];
    uint32_t known_stats; /* a bit each */
    struct vq_chain chain;
};

/* reports_free_pages: whether the guest is asked to. */
void virtio_balloon_init(struct virtio_balloon *balloon, const struct guest_mem *mem, const struct balloon_memory *memory,
                         bool reports_free_pages);

/* How much the guest is to give back. */
void virtio_balloon_set_target(struct virtio_balloon *balloon, uint32_t pages);

/* What was released before flush() was called is out of use. */
void virtio_balloon_flushed(struct virtio_balloon *balloon);

/* Asks the guest for new statistics, which come when it gets to it. */
void virtio_balloon_poll_stats(struct virtio_balloon *balloon);

#endif
