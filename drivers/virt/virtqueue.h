/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device's end of a split virtqueue (VIRTIO 1.2, "Split Virtqueues") with indirect descriptors
 * and event indices. A ring is hostile memory that changes while we read it: each field is read
 * once, into a local; what a device gets is a list of host-memory spans whose lengths were checked,
 * never a descriptor. A ring that breaks the rules makes the device NEEDS_RESET (virtio_queue_fail)
 * and costs nobody else anything.
 *
 * Guarded by the device's lock, or for some queues by its queue_lock; see virtio.h.
 */
#ifndef DRIVERS_VIRT_VIRTQUEUE_H
#define DRIVERS_VIRT_VIRTQUEUE_H

#include "kernel/guest_mem.h"
#include "kernel/lib/types.h"

#define VIRTQ_DESC_F_NEXT     1u
#define VIRTQ_DESC_F_WRITE    2u
#define VIRTQ_DESC_F_INDIRECT 4u

#define VIRTQ_AVAIL_F_NO_INTERRUPT 1u
#define VIRTQ_USED_F_NO_NOTIFY     1u

#define VIRTQ_DESC_ALIGN  16u
#define VIRTQ_AVAIL_ALIGN 2u
#define VIRTQ_USED_ALIGN  4u

struct virtq_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
};

struct virtq_avail {
    uint16_t flags;
    uint16_t idx;
    uint16_t ring[]; /* then used_event */
};

struct virtq_used_elem {
    uint32_t id;
    uint32_t len;
};

struct virtq_used {
    uint16_t flags;
    uint16_t idx;
    struct virtq_used_elem ring[]; /* then avail_event, 16 bits */
};

/* The longest ring that a device may offer, and the longest chain that is followed. */
#define VQ_SIZE_MAX 256u

/*
 * Enough for every chain whose buffers do not overlap: a border of slots cuts one of them at most. Where a guest gave
 * memory back and took it again, each page may be elsewhere: so many of them are enough for the largest requests of
 * Linux (1280 KiB to a disk).
 */
#define VQ_SCATTERED_MAX 384u
#define VQ_SPANS_MAX     (VQ_SIZE_MAX + GUEST_MEM_SLOTS_MAX + VQ_SCATTERED_MAX)

/* After so many bytes of requests, or a ring's worth of them, the guest runs before the next. */
#define VQ_SERVE_BYTES_MAX MIB(2)

/* Bytes of one guest buffer that lie side by side in the host's memory. */
struct vq_span {
    uint8_t *bytes;
    uint32_t size_bytes;
};

/* The spans of one direction, consumed from the front. Only vq_stream_* look inside. */
struct vq_stream {
    struct vq_span *next;
    uint32_t left_bytes;
};

/* One request: what the device may read, then what it may write. Points into itself: do not copy. */
struct vq_chain {
    uint16_t head;
    struct vq_stream readable;
    struct vq_stream writable;
    unsigned span_count;
    struct vq_span spans[VQ_SPANS_MAX];
};

/* What the driver says about a ring before it is ready; unchecked until then. */
struct vq_setup {
    uint32_t size;
    uint64_t desc, avail, used; /* guest-physical */
};

struct virtio_device;
struct virtqueue;

/* Requests may be waiting. Returns whether it stopped at its bound and some still are. */
typedef bool virtqueue_notify_fn(struct virtqueue *vq);

struct virtqueue {
    /* Valid while ready. Pointers are translated once: what a queue uses is not given back. */
    bool ready;
    bool event_idx;
    bool indirect;
    uint16_t size;
    uint16_t next_avail; /* all of the available ring before this was popped */
    uint16_t next_used;
    uint16_t signalled_used; /* next_used when an interrupt was last considered */
    const struct virtq_desc *desc;
    const struct virtq_avail *avail;
    const uint16_t *used_event; /* in avail */
    struct virtq_used *used;
    uint16_t *avail_event; /* in used */

    /* The device's own, constant while the queue is ready. */
    virtqueue_notify_fn *notify;
    uint16_t size_max; /* a power of two */
    uint32_t bytes_max; /* of a chain's readable buffers, or its writable ones; 0: 4 GiB. Scattered memory is walked page by page */
    bool is_untranslated; /* its spans' `bytes` are guest-physical and unchecked: the addresses themselves are the request */

    const struct guest_mem *mem;
    struct virtio_device *device;
    unsigned index;
    struct vq_setup setup;

    int64_t work; /* of the request that is served, in bytes, beside those of its buffers: set by vq_serve_fn */
};

/* After FEATURES_OK. Checks setup and translates the rings; a bad one makes it NEEDS_RESET. */
void vq_enable(struct virtqueue *vq);
/* Not ready, setup as at power-on; wiring and size_max stay. */
void vq_reset(struct virtqueue *vq);

/* Of a ready queue: is any of its rings in [address, address+size)? */
bool vq_uses(const struct virtqueue *vq, gpa_t address, uint64_t size);

/*
 * The next request of a ready queue; false: there is none, or the ring is broken (then the device
 * is NEEDS_RESET by now). *chain is the caller's until it gives its head to vq_push.
 */
bool vq_pop(struct virtqueue *vq, struct vq_chain *chain);
/* Gives the request back; written_bytes were stored from the start of its writable part. */
void vq_push(struct virtqueue *vq, uint16_t head, uint32_t written_bytes);

/* Gives back as vq_push does, but the driver sees nothing of it until vq_publish. */
void vq_stage(struct virtqueue *vq, uint16_t head, uint32_t written_bytes);
void vq_publish(struct virtqueue *vq);
/* Takes back that many vq_pops and vq_stages, the last ones, of which nothing was published. */
void vq_rewind(struct virtqueue *vq, unsigned popped, unsigned staged);

/* "Do not tell me of new requests": a hint, a notification may still come. */
void vq_suppress_notifications(struct virtqueue *vq);
/* "Tell me of the next one." True: one is there already, and its notification may never come. */
bool vq_await_notification(struct virtqueue *vq);
/* Does the driver want an interrupt for what was pushed since the last call? */
bool vq_wants_interrupt(struct virtqueue *vq);

/* Interrupts the driver if it wants to hear of what was pushed. */
void vq_signal(struct virtqueue *vq);

/*
 * Handles one request and returns how many bytes it stored from the start of the writable part. The
 * device may have failed the queue: then the request is not given back.
 */
typedef uint32_t vq_serve_fn(struct virtio_device *device, struct vq_chain *chain);

/* Serves a queue up to the bounds above, then signals. The result is for notify to return. */
bool vq_serve(struct virtqueue *vq, struct vq_chain *chain, vq_serve_fn *serve);

/* The next piece, at most max_bytes, taken off the stream; size_bytes is 0 at its end. */
struct vq_span vq_stream_take(struct vq_stream *stream, uint32_t max_bytes);
/* Copies and consumes at most size_bytes; returns how many there were. */
uint32_t vq_stream_read(struct vq_stream *stream, void *to, uint32_t size_bytes);
uint32_t vq_stream_write(struct vq_stream *stream, const void *from, uint32_t size_bytes);

/* Cuts off the last byte that the device may write; NULL: there is none. Before any take. */
uint8_t *vq_chain_cut_last_byte(struct vq_chain *chain);

#endif
