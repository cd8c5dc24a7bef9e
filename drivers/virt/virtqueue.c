/* SPDX-License-Identifier: BSD-2-Clause */
/* Split virtqueues from the device's side; see virtqueue.h for the rules that this file keeps. */
#include "drivers/virt/virtqueue.h"
#include "drivers/virt/virtio.h"
#include "kernel/lib/string.h"

/* x86 keeps loads in order and stores in order: these two hold back only the compiler. */
static inline void acquire_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline void release_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

/* Our store must be seen before our next load is done: the one order that x86 does not keep. */
static inline void full_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* --- set-up --- */

static void *map_ring(const struct virtqueue *vq, uint64_t address, uint64_t size_bytes,
                      unsigned align)
{
    return IS_ALIGNED(address, align) ? guest_mem_at(vq->mem, GPA(address), size_bytes) : NULL;
}

/* Both rings end in an event index, negotiated or not: "Virtqueues", the table of sizes. */
static struct ring_sizes {
    uint64_t desc, avail, used; /* bytes */
} ring_sizes(uint64_t size)
{
    return (struct ring_sizes){
        .desc = size * sizeof(struct virtq_desc),
        .avail = sizeof(struct virtq_avail) + (size + 1) * sizeof(uint16_t),
        .used = sizeof(struct virtq_used) + size * sizeof(struct virtq_used_elem) + sizeof(uint16_t),
    };
}

static bool map_rings(struct virtqueue *vq)
{
    uint64_t size = vq->setup.size;
    struct ring_sizes bytes = ring_sizes(size);

    vq->desc = map_ring(vq, vq->setup.desc, bytes.desc, VIRTQ_DESC_ALIGN);
    vq->avail = map_ring(vq, vq->setup.avail, bytes.avail, VIRTQ_AVAIL_ALIGN);
    vq->used = map_ring(vq, vq->setup.used, bytes.used, VIRTQ_USED_ALIGN);
    if (!vq->desc || !vq->avail || !vq->used)
        return false;
    vq->used_event = &vq->avail->ring[size];
    vq->avail_event = (uint16_t *)&vq->used->ring[size];
    return true;
}

static bool is_valid_size(const struct virtqueue *vq)
{
    uint32_t size = vq->setup.size;

    return size > 0 && size <= vq->size_max && (size & (size - 1)) == 0;
}

void vq_enable(struct virtqueue *vq)
{
    if (!is_valid_size(vq)) {
        virtio_queue_fail(vq, "bad queue size");
        return;
    }
    if (!map_rings(vq)) {
        virtio_queue_fail(vq, "a ring is misaligned or not in RAM");
        return;
    }
    vq->size = (uint16_t)vq->setup.size;
    vq->event_idx = virtio_device_has(vq->device, VIRTIO_F_EVENT_IDX);
    vq->indirect = virtio_device_has(vq->device, VIRTIO_F_INDIRECT_DESC);
    vq->next_avail = vq->next_used = vq->signalled_used = 0;
    vq->ready = true;
}

/* While it is ready its setup stays. */
bool vq_uses(const struct virtqueue *vq, gpa_t address, uint64_t size)
{
    struct ring_sizes bytes = ring_sizes(vq->size);

    return ranges_overlap(address.value, size, vq->setup.desc, bytes.desc) ||
           ranges_overlap(address.value, size, vq->setup.avail, bytes.avail) ||
           ranges_overlap(address.value, size, vq->setup.used, bytes.used);
}

void vq_reset(struct virtqueue *vq)
{
    vq->ready = false;
    vq->setup = (struct vq_setup){.size = vq->size_max};
}

/* --- from descriptors to spans --- */

/* Where a chain's descriptors are read: the ring's own table, or an indirect one. */
struct table {
    const struct virtq_desc *entries; /* NULL: misaligned or cut by a border of slots */
    uint64_t address;
    uint32_t count;
    bool is_indirect;
};

/* The one read of a descriptor. False: not in RAM. */
static inline bool read_descriptor(const struct virtqueue *vq, const struct table *table,
                                   uint32_t index, struct virtq_desc *copy)
{
    const struct virtq_desc *entry;

    if (unlikely(!table->entries))
        return guest_mem_read(vq->mem, GPA(table->address + index * sizeof *copy), copy,
                              sizeof *copy) == 0;
    entry = &table->entries[index];
    copy->addr = READ_ONCE(entry->addr);
    copy->len = READ_ONCE(entry->len);
    copy->flags = READ_ONCE(entry->flags);
    copy->next = READ_ONCE(entry->next);
    return true;
}

/* This and the next three say what is wrong, or NULL. */
static const char *enter_indirect(const struct virtqueue *vq, const struct virtq_desc *d,
                                  struct table *table)
{
    if (!vq->indirect)
        return "indirect descriptor, but not negotiated";
    if (table->is_indirect)
        return "indirect descriptor in an indirect table";
    if (d->flags & VIRTQ_DESC_F_NEXT)
        return "indirect descriptor with a next one";
    if (d->len == 0 || d->len % sizeof *d != 0)
        return "indirect table of a bad size";
    *table = (struct table){.address = d->addr, .count = d->len / sizeof *d, .is_indirect = true};
    if (IS_ALIGNED(d->addr, _Alignof(struct virtq_desc)))
        table->entries = guest_mem_at(vq->mem, GPA(d->addr), d->len);
    return NULL;
}

static const char *add_span(struct vq_chain *chain, void *bytes, uint64_t size_bytes)
{
    if (chain->span_count == VQ_SPANS_MAX)
        return "too many buffers in a chain";
    chain->spans[chain->span_count++] = (struct vq_span){bytes, (uint32_t)size_bytes};
    return NULL;
}

/* Rare, and kept out of line so that the usual buffer does not pay for its registers. */
static __attribute__((noinline)) const char *
add_cut_buffer(const struct virtqueue *vq, struct vq_chain *chain, gpa_t address, uint64_t left)
{
    const char *wrong = NULL;

    if (vq->is_untranslated)
        return range_fits(address.value, left, UINT64_MAX) ? add_span(chain, (void *)address.value, left)
                                                           : "buffer wraps around";
    while (left > 0 && !wrong) {
        uint64_t here = left;
        void *piece = guest_mem_piece(vq->mem, address, &here);

        if (!piece)
            return "buffer is not in RAM";
        wrong = add_span(chain, piece, here);
        address.value += here;
        left -= here;
    }
    return wrong;
}

static const char *add_buffer(const struct virtqueue *vq, struct vq_chain *chain,
                              const struct virtq_desc *d)
{
    bool is_writable = d->flags & VIRTQ_DESC_F_WRITE;
    struct vq_stream *stream = is_writable ? &chain->writable : &chain->readable;
    const char *wrong;
    void *whole;

    if (d->len == 0)
        return "empty buffer";
    if (!is_writable && chain->writable.left_bytes > 0)
        return "readable buffer after a writable one";
    if (d->len > (vq->bytes_max ?: UINT32_MAX) - stream->left_bytes)
        return "chain of too many bytes";
    whole = unlikely(vq->is_untranslated) ? NULL : guest_mem_at(vq->mem, GPA(d->addr), d->len);
    wrong = likely(whole) ? add_span(chain, whole, d->len)
                          : add_cut_buffer(vq, chain, GPA(d->addr), d->len);
    stream->left_bytes += d->len;
    if (!is_writable)
        chain->writable.next = &chain->spans[chain->span_count];
    return wrong;
}

/* A proper chain has at most VQ_SIZE_MAX buffers, and one more step into an indirect table. */
static const char *read_chain(const struct virtqueue *vq, struct vq_chain *chain)
{
    struct table table = {.entries = vq->desc, .count = vq->size};
    uint32_t index = chain->head;

    for (unsigned steps = 0; steps <= VQ_SIZE_MAX; steps++) {
        struct virtq_desc d;
        const char *wrong;

        if (index >= table.count)
            return "descriptor index out of range";
        if (!read_descriptor(vq, &table, index, &d))
            return "indirect table is not in RAM";
        if (d.flags & VIRTQ_DESC_F_INDIRECT) {
            wrong = enter_indirect(vq, &d, &table);
            index = 0;
        } else {
            wrong = add_buffer(vq, chain, &d);
            index = d.next;
        }
        if (wrong || !(d.flags & (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_INDIRECT)))
            return wrong;
    }
    return "chain is too long or loops";
}

/* --- the rings --- */

bool vq_pop(struct virtqueue *vq, struct vq_chain *chain)
{
    uint16_t available = READ_ONCE(vq->avail->idx) - vq->next_avail;
    const char *wrong;

    if (available == 0)
        return false;
    if (available > vq->size) {
        virtio_queue_fail(vq, "available index jumped");
        return false;
    }
    acquire_barrier();
    chain->head = READ_ONCE(vq->avail->ring[vq->next_avail & (vq->size - 1)]);
    chain->span_count = 0;
    chain->readable = chain->writable = (struct vq_stream){chain->spans, 0};
    wrong = read_chain(vq, chain);
    if (wrong) {
        virtio_queue_fail(vq, wrong);
        return false;
    }
    vq->next_avail++;
    return true;
}

void vq_rewind(struct virtqueue *vq, unsigned popped, unsigned staged)
{
    vq->next_avail = (uint16_t)(vq->next_avail - popped);
    vq->next_used = (uint16_t)(vq->next_used - staged);
}

void vq_stage(struct virtqueue *vq, uint16_t head, uint32_t written_bytes)
{
    struct virtq_used_elem *entry = &vq->used->ring[vq->next_used & (vq->size - 1)];

    WRITE_ONCE(entry->id, head);
    WRITE_ONCE(entry->len, written_bytes);
    vq->next_used++;
}

void vq_publish(struct virtqueue *vq)
{
    release_barrier();
    WRITE_ONCE(vq->used->idx, vq->next_used);
}

void vq_push(struct virtqueue *vq, uint16_t head, uint32_t written_bytes)
{
    vq_stage(vq, head, written_bytes);
    vq_publish(vq);
}

/* With event indices it is enough to leave avail_event behind: drivers kick when they pass it. */
void vq_suppress_notifications(struct virtqueue *vq)
{
    if (!vq->event_idx)
        WRITE_ONCE(vq->used->flags, VIRTQ_USED_F_NO_NOTIFY);
}

bool vq_await_notification(struct virtqueue *vq)
{
    if (vq->event_idx)
        WRITE_ONCE(*vq->avail_event, vq->next_avail);
    else
        WRITE_ONCE(vq->used->flags, 0);
    full_barrier();
    return READ_ONCE(vq->avail->idx) != vq->next_avail;
}

/* VIRTIO 1.2, "Used Buffer Notification Suppression". */
bool vq_wants_interrupt(struct virtqueue *vq)
{
    uint16_t before = vq->signalled_used, now = vq->next_used;

    if (before == now)
        return false;
    vq->signalled_used = now;
    full_barrier();
    if (!vq->event_idx)
        return !(READ_ONCE(vq->avail->flags) & VIRTQ_AVAIL_F_NO_INTERRUPT);
    return (uint16_t)(now - READ_ONCE(*vq->used_event) - 1) < (uint16_t)(now - before);
}

/* --- serving --- */

void vq_signal(struct virtqueue *vq)
{
    if (vq_wants_interrupt(vq))
        vq->device->transport->interrupt_queue(vq->device->transport, vq->index);
}

/* Until the queue is empty, the device fails or the budget is spent; the latter is the result. */
static bool serve_available(struct virtqueue *vq, struct vq_chain *chain, vq_serve_fn *serve,
                            int64_t *budget)
{
    int64_t request_cost = (int64_t)(VQ_SERVE_BYTES_MAX / vq->size);

    while (*budget > 0 && vq_pop(vq, chain)) {
        int64_t bytes = (int64_t)chain->readable.left_bytes + chain->writable.left_bytes;
        uint32_t written;

        vq->work = 0;
        written = serve(vq->device, chain);

        if (!vq->device->is_live)
            break;
        vq_push(vq, chain->head, written);
        *budget -= MAX(bytes, request_cost) + vq->work;
    }
    return *budget <= 0;
}

/*
 * Other vCPUs add requests while these are served. After the notification is asked for, what was
 * added before must be looked for again, and a driver that never lets the queue run empty must not
 * hold this CPU.
 */
bool vq_serve(struct virtqueue *vq, struct vq_chain *chain, vq_serve_fn *serve)
{
    int64_t budget = VQ_SERVE_BYTES_MAX;
    bool is_spent, has_more;

    do {
        vq_suppress_notifications(vq);
        is_spent = serve_available(vq, chain, serve, &budget);
        if (!vq->device->is_live)
            return false;
        has_more = vq_await_notification(vq);
    } while (has_more && !is_spent);
    vq_signal(vq);
    return has_more;
}

/* --- streams --- */

struct vq_span vq_stream_take(struct vq_stream *stream, uint32_t max_bytes)
{
    struct vq_span piece = {0}, *next = stream->next;

    if (stream->left_bytes == 0 || max_bytes == 0)
        return piece;
    piece.bytes = next->bytes;
    piece.size_bytes = MIN(next->size_bytes, max_bytes);
    next->bytes += piece.size_bytes;
    next->size_bytes -= piece.size_bytes;
    stream->next += next->size_bytes == 0;
    stream->left_bytes -= piece.size_bytes;
    return piece;
}

uint32_t vq_stream_read(struct vq_stream *stream, void *to, uint32_t size_bytes)
{
    uint32_t done = 0;

    while (done < size_bytes && stream->left_bytes > 0) {
        struct vq_span piece = vq_stream_take(stream, size_bytes - done);

        memcpy((uint8_t *)to + done, piece.bytes, piece.size_bytes);
        done += piece.size_bytes;
    }
    return done;
}

uint32_t vq_stream_write(struct vq_stream *stream, const void *from, uint32_t size_bytes)
{
    uint32_t done = 0;

    while (done < size_bytes && stream->left_bytes > 0) {
        struct vq_span piece = vq_stream_take(stream, size_bytes - done);

        memcpy(piece.bytes, (const uint8_t *)from + done, piece.size_bytes);
        done += piece.size_bytes;
    }
    return done;
}

uint8_t *vq_chain_cut_last_byte(struct vq_chain *chain)
{
    struct vq_span *last;

    if (chain->writable.left_bytes == 0)
        return NULL;
    last = &chain->spans[chain->span_count - 1];
    chain->writable.left_bytes--;
    last->size_bytes--;
    return last->bytes + last->size_bytes;
}
