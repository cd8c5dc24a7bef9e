/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The balloon's queues. Each has at most one request in hand, which may take several rounds: there is a bound to what is
 * released between two flushes, and to what is made in one exit.
 */
#include "drivers/virt/virtio_balloon.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

#define STATS_MAX     32u         /* looked at in one buffer */
#define MEMORY_ASK_NS 100000000u  /* between two attempts to get a page, when none is free */

static struct virtio_balloon *balloon_of(struct virtio_device *device)
{
    return CONTAINER_OF(device, struct virtio_balloon, device);
}

static struct balloon_request *request_of(struct virtqueue *vq)
{
    return &balloon_of(vq->device)->requests[vq->index];
}

/* --- requests in hand --- */

static void read_pages(struct balloon_request *r, struct vq_chain *chain)
{
    if (chain->readable.left_bytes > sizeof r->pages)
        return;
    r->count = vq_stream_read(&chain->readable, r->pages, sizeof r->pages) / sizeof r->pages[0];
}

/* The buffers themselves are what is free. */
static void read_reports(struct balloon_request *r, struct vq_chain *chain)
{
    while (r->count < VIRTIO_BALLOON_REPORTS_MAX) {
        struct vq_span piece = vq_stream_take(&chain->writable, UINT32_MAX);

        if (piece.size_bytes == 0)
            return;
        r->reports[r->count++] = (struct balloon_report){GPA((uint64_t)piece.bytes),
                                                         MIN(piece.size_bytes, VIRTIO_BALLOON_REPORT_BYTES_MAX)};
    }
}

/* False: there is none, and the driver notifies when there is one. */
static bool open_request(struct virtqueue *vq)
{
    struct balloon_request *r = request_of(vq);
    struct vq_chain *chain = &balloon_of(vq->device)->chain;

    if (r->is_open)
        return true;
    while (!vq_pop(vq, chain))
        if (!vq->device->is_live || !vq_await_notification(vq))
            return false;
    r->head = chain->head;
    r->is_open = true;
    r->is_done = false;
    r->next = r->count = 0;
    if (vq->is_untranslated)
        read_reports(r, chain);
    else
        read_pages(r, chain);
    return true;
}

static void close_request(struct virtqueue *vq)
{
    struct balloon_request *r = request_of(vq);

    r->is_open = r->is_done = false;
    vq_push(vq, r->head, 0);
    vq_signal(vq);
}

static gpa_t page_of(const struct balloon_request *r, unsigned i)
{
    return GPA((uint64_t)r->pages[i] << VIRTIO_BALLOON_PAGE_SHIFT);
}

/* --- giving back: the balloon, and reports --- */

/* What cannot be taken at all stays the guest's. */
static void release_report(const struct balloon_memory *memory, struct balloon_request *r)
{
    struct balloon_report *report = &r->reports[r->next];
    uint64_t done = memory->release(memory->context, report->address, report->size);

    report->address.value += done;
    report->size -= done;
    r->next += done == 0 || report->size == 0;
}

static void release_next(const struct balloon_memory *memory, struct virtqueue *vq)
{
    struct balloon_request *r = request_of(vq);

    if (vq->is_untranslated)
        release_report(memory, r);
    else
        (void)memory->release(memory->context, page_of(r, r->next++), PAGE_SIZE);
}

/* As far as there is room, a few at a time; then the rest of the request is for after the flush. */
static bool release_some(struct virtqueue *vq)
{
    const struct balloon_memory *memory = &balloon_of(vq->device)->memory;
    struct balloon_request *r = request_of(vq);

    if (r->is_done || !open_request(vq))
        return false;
    for (unsigned count = 0; r->next < r->count && memory->has_room(memory->context); count++) {
        if (count == VIRTIO_BALLOON_ROUND)
            return true;
        release_next(memory, vq);
    }
    r->is_done = r->next == r->count;
    memory->flush(memory->context);
    return false;
}

/* --- taking again --- */

static bool ask_again(struct virtio_balloon *b, struct virtqueue *vq)
{
    if (!b->is_waiting)
        log_guest("balloon", "the guest waits for memory that it gave back: none is free");
    b->is_waiting = true;
    virtio_queue_defer(vq, clock_now() + clock_ticks_from_ns(MEMORY_ASK_NS));
    return false;
}

/* A page that cannot be had now is asked for again, and its request waits. */
static bool deflate(struct virtqueue *vq)
{
    struct virtio_balloon *b = balloon_of(vq->device);
    struct balloon_request *r = request_of(vq);

    for (unsigned count = 0; open_request(vq); count++) {
        if (count == VIRTIO_BALLOON_ROUND)
            return true;
        if (r->next == r->count)
            close_request(vq);
        else if (b->memory.restore(b->memory.context, page_of(r, r->next)) == -ENOMEM)
            return ask_again(b, vq);
        else
            r->next++;
        b->is_waiting = false;
    }
    return false;
}

/* --- statistics: the device keeps the driver's buffer until it wants new ones --- */

static void read_stats(struct virtio_balloon *b, struct vq_stream *from)
{
    struct virtio_balloon_stat stat;

    for (unsigned i = 0; i < STATS_MAX && vq_stream_read(from, &stat, sizeof stat) == sizeof stat; i++) {
        if (stat.tag >= VIRTIO_BALLOON_S_TAGS)
            continue;
        b->stats[stat.tag] = stat.value;
        b->known_stats |= 1u << stat.tag;
    }
}

/* A driver that gives a second buffer gets the first one back. */
static bool take_stats(struct virtqueue *vq)
{
    struct balloon_request *r = request_of(vq);
    unsigned count = 0;

    for (bool had_one = r->is_open; count < vq->size; count++, had_one = true) {
        struct vq_chain *chain = &balloon_of(vq->device)->chain;
        uint16_t before = r->head;

        if (!vq_pop(vq, chain))
            break;
        r->is_open = true;
        r->head = chain->head;
        read_stats(balloon_of(vq->device), &chain->readable);
        if (had_one)
            vq_push(vq, before, 0);
    }
    if (!vq->device->is_live)
        return false;
    if (count > 1)
        vq_signal(vq);
    return vq_await_notification(vq);
}

void virtio_balloon_poll_stats(struct virtio_balloon *balloon)
{
    struct virtqueue *vq = &balloon->queues[VIRTIO_BALLOON_STATS];

    if (balloon->device.is_live && vq->ready && !vq->is_untranslated && request_of(vq)->is_open)
        close_request(vq);
}

/* --- the device --- */

void virtio_balloon_set_target(struct virtio_balloon *balloon, uint32_t pages)
{
    balloon->config.num_pages = pages;
    virtio_device_config_changed(&balloon->device);
}

/* In its guest's time, not in that of whoever flushes. */
static void release_later(struct virtqueue *vq)
{
    if (request_of(vq)->is_open || vq_await_notification(vq))
        virtio_queue_defer(vq, clock_now());
}

void virtio_balloon_flushed(struct virtio_balloon *balloon)
{
    for (unsigned i = 0; i < VIRTIO_BALLOON_QUEUES; i++) {
        struct virtqueue *vq = &balloon->queues[i];
        bool gives_back = i == VIRTIO_BALLOON_INFLATE || vq->is_untranslated;

        if (!gives_back || !balloon->device.is_live || !vq->ready)
            continue;
        if (request_of(vq)->is_done && request_of(vq)->is_open)
            close_request(vq);
        release_later(vq);
    }
}

static void forget_requests(struct virtio_balloon *b)
{
    for (unsigned i = 0; i < VIRTIO_BALLOON_QUEUES; i++)
        b->requests[i].is_open = b->requests[i].is_done = false;
    b->is_waiting = false;
}

static void set_roles(struct virtio_balloon *b, bool has_stats)
{
    struct virtqueue *vq = &b->queues[VIRTIO_BALLOON_STATS];

    vq->notify = has_stats ? take_stats : release_some;
    vq->is_untranslated = !has_stats;
}

/* The target is our side's: it survives. */
static void reset(struct virtio_device *device)
{
    struct virtio_balloon *b = balloon_of(device);

    forget_requests(b);
    set_roles(b, true);
    b->config.actual = 0;
    b->known_stats = 0;
}

static void negotiated(struct virtio_device *device)
{
    set_roles(balloon_of(device), virtio_device_has(device, VIRTIO_BALLOON_F_STATS_VQ));
}

static void write_config(struct virtio_device *device, uint32_t offset, unsigned width, uint64_t value)
{
    struct virtio_balloon *b = balloon_of(device);

    if (offset == offsetof(struct virtio_balloon_config, actual) && width == sizeof b->config.actual)
        b->config.actual = (uint32_t)value;
}

static const struct virtio_device_ops virtio_balloon_ops = {
    .reset = reset,
    .negotiated = negotiated,
    .write_config = write_config,
};

static void init_queues(struct virtio_balloon *b)
{
    for (unsigned i = 0; i < VIRTIO_BALLOON_QUEUES; i++) {
        b->queues[i].size_max = VIRTIO_BALLOON_QUEUE_SIZE;
        b->queues[i].notify = release_some;
        b->queues[i].is_untranslated = i > VIRTIO_BALLOON_STATS;
    }
    b->queues[VIRTIO_BALLOON_INFLATE].notify = release_some;
    b->queues[VIRTIO_BALLOON_DEFLATE].notify = deflate;
}

void virtio_balloon_init(struct virtio_balloon *balloon, const struct guest_mem *mem, const struct balloon_memory *memory,
                         bool reports_free_pages)
{
    memset(balloon, 0, sizeof *balloon);
    balloon->memory = *memory;
    init_queues(balloon);
    balloon->device = (struct virtio_device){
        .ops = &virtio_balloon_ops,
        .queues = balloon->queues,
        .queue_count = VIRTIO_BALLOON_QUEUES,
        .name = "virtio-balloon",
        .id = VIRTIO_ID_BALLOON,
        .features = VIRTIO_BALLOON_F_MUST_TELL_HOST | VIRTIO_BALLOON_F_STATS_VQ | VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
                    (reports_free_pages ? VIRTIO_BALLOON_F_PAGE_REPORTING : 0),
        .config = &balloon->config,
        .config_bytes = sizeof balloon->config,
    };
    virtio_device_init(&balloon->device, mem);
}
