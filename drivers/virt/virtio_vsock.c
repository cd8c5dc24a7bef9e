/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets between the guest's rings and the hub; see virtio_vsock.h. */
#include "drivers/virt/virtio_vsock.h"
#include "kernel/lib/string.h"

enum { QUEUE_SIZE = 128 };

_Static_assert(sizeof(struct vsock_header) == 44, "as the driver lays it out");

static struct virtio_vsock *vsock_of(struct virtqueue *vq)
{
    return CONTAINER_OF(vq->device, struct virtio_vsock, device);
}

/* --- to the guest, under receive_lock --- */

/*
 * Of all buffers for one packet together: they are looked through in the sender's time, and a driver may make them of
 * single bytes. What does not fit is tried again later.
 */
#define PACKET_SPANS_MAX 512u

static void store_payload(struct vq_stream *to, struct vsock_packet *packet, uint32_t size_bytes)
{
    packet->left_bytes -= size_bytes;
    while (size_bytes > 0) {
        struct net_span *span = packet->payload;
        uint32_t here = MIN(span->size_bytes, size_bytes);

        vq_stream_write(to, span->bytes, here);
        span->bytes += here;
        span->size_bytes -= here;
        packet->payload += span->size_bytes == 0;
        size_bytes -= here;
    }
}

/* A packet goes into as many buffers as it needs, each with a header for what it holds. False: not even that fits. */
static bool store(struct virtqueue *vq, struct vq_chain *chain, struct vsock_packet *packet)
{
    struct vsock_header header = packet->header;

    if (chain->writable.left_bytes < sizeof header + MIN(packet->left_bytes, 1u))
        return false;
    header.len = MIN(packet->left_bytes, chain->writable.left_bytes - (uint32_t)sizeof header);
    vq_stream_write(&chain->writable, &header, sizeof header);
    store_payload(&chain->writable, packet, header.len);
    vq_push(vq, chain->head, (uint32_t)sizeof header + header.len);
    return true;
}

/* If there is none, the driver is to tell of the next one. */
static bool open_buffer(struct virtqueue *vq, struct vq_chain *chain)
{
    return vq_pop(vq, chain) || (vq->device->is_live && vq_await_notification(vq) && vq_pop(vq, chain));
}

static enum vsock_result fill(struct virtio_vsock *v, struct vsock_packet *packet)
{
    struct virtqueue *vq = &v->queues[VIRTIO_VSOCK_RX];

    do {
        if (packet->spans > PACKET_SPANS_MAX || !open_buffer(vq, &v->receive_chain))
            return v->device.is_live ? VSOCK_FULL : VSOCK_NOBODY;
        packet->spans += v->receive_chain.span_count;
        if (!store(vq, &v->receive_chain, packet)) {
            virtio_queue_fail(vq, "receive buffer too small");
            return VSOCK_NOBODY;
        }
    } while (packet->left_bytes > 0);
    return VSOCK_DONE;
}

static enum vsock_result receive(void *context, struct vsock_packet *packet)
{
    struct virtio_vsock *v = context;
    struct virtqueue *vq = &v->queues[VIRTIO_VSOCK_RX];
    enum vsock_result result;

    if (!v->device.is_live || !vq->ready)
        return VSOCK_NOBODY;
    result = fill(v, packet);
    if (v->device.is_live)
        vq_signal(vq);
    return result;
}

/* The transmit queue is deferred, or about to be: its worker finds it. */
static void wake(void *context)
{
    struct virtio_vsock *v = context;

    if (v->device.worker.is_here)
        v->device.worker.is_here(v->device.worker.context);
}

static bool notify_receive(struct virtqueue *vq)
{
    struct virtio_vsock *v = vsock_of(vq);

    lock_acquire(&v->hub->receive_lock);
    vq_suppress_notifications(vq); /* until somebody waits for room */
    lock_release(&v->hub->receive_lock);
    v->hub->ops->has_room(v->hub->context);
    return false;
}

/* --- from the guest --- */

/* The connection is over, says nobody: in answer to a packet that nobody takes. */
static void answer_reset(struct virtio_vsock *v, const struct vsock_header *to)
{
    struct vsock_packet reset = {.header = {
        .src_cid = to->dst_cid, .dst_cid = to->src_cid, .src_port = to->dst_port, .dst_port = to->src_port,
        .type = VSOCK_TYPE_STREAM, .op = VSOCK_OP_RST,
    }};

    if (to->op == VSOCK_OP_RST)
        return;
    lock_acquire(&v->hub->receive_lock);
    receive(v, &reset); /* a guest without room for it finds out by itself */
    lock_release(&v->hub->receive_lock);
}

static bool is_sound(const struct vsock_header *header)
{
    return header->type == VSOCK_TYPE_STREAM && header->op >= VSOCK_OP_REQUEST && header->op <= VSOCK_OP_CREDIT_REQUEST &&
           (header->len == 0 || header->op == VSOCK_OP_RW);
}

static void open_payload(struct virtio_vsock *v, struct vsock_packet *packet)
{
    struct vq_stream *from = &v->chain.readable;
    struct net_span *span = v->spans;
    uint32_t skip = MIN(v->taken_bytes, packet->header.len); /* it may be another packet now: the guest can change it */

    packet->payload = v->spans;
    packet->left_bytes = packet->header.len - skip;
    while (skip > 0)
        skip -= vq_stream_take(from, skip).size_bytes;
    for (uint32_t left = packet->left_bytes; left > 0; left -= span++->size_bytes) {
        struct vq_span piece = vq_stream_take(from, left);

        *span = (struct net_span){piece.bytes, piece.size_bytes};
    }
}

/* False: it has to wait. */
static bool send(struct virtio_vsock *v, struct vsock_packet *packet)
{
    enum vsock_result result = VSOCK_NOBODY;

    open_payload(v, packet);
    if (is_sound(&packet->header))
        result = v->hub->ops->send(v->hub->context, packet);
    if (result == VSOCK_NOBODY)
        answer_reset(v, &packet->header);
    v->taken_bytes = result == VSOCK_FULL ? packet->header.len - packet->left_bytes : 0;
    return result != VSOCK_FULL;
}

#define SPANS_OF_A_PACKET 4u /* a receiver with smaller buffers makes a packet count for several */

/*
 * The request in v->chain, and what it cost of a round; false: it has to wait. A packet of another's CID is nobody's, so
 * that nobody hears of it.
 */
static bool transmit(struct virtio_vsock *v, unsigned *cost)
{
    bool is_over = true;
    struct virtqueue *vq = &v->queues[VIRTIO_VSOCK_TX];
    struct vsock_packet packet = {0};
    uint32_t got = vq_stream_read(&v->chain.readable, &packet.header, sizeof packet.header);

    if (got < sizeof packet.header || packet.header.len > v->chain.readable.left_bytes)
        virtio_queue_fail(vq, "packet shorter than its header says");
    else if (packet.header.len > VSOCK_PAYLOAD_MAX)
        virtio_queue_fail(vq, "packet too long");
    else if (packet.header.src_cid == v->config.guest_cid)
        is_over = send(v, &packet);
    *cost = 1 + packet.spans / SPANS_OF_A_PACKET;
    return is_over;
}

/* Until nothing waits or the budget is spent. False: what is next has to wait for the receiver, or the device has failed. */
static bool transmit_round(struct virtqueue *vq, unsigned *budget)
{
    struct virtio_vsock *v = vsock_of(vq);

    while (*budget > 0 && vq_pop(vq, &v->chain)) {
        unsigned cost;

        if (!transmit(v, &cost)) {
            vq_rewind(vq, 1, 0);
            virtio_queue_defer(vq, clock_now() + clock_ticks_from_ns(VIRTIO_VSOCK_RETRY_NS));
            return false;
        }
        if (!v->device.is_live)
            return false;
        vq_push(vq, v->chain.head, 0);
        *budget -= MIN(*budget, cost);
    }
    return v->device.is_live; /* a chain that makes no sense stays available */
}

static bool notify_transmit(struct virtqueue *vq)
{
    unsigned budget = VIRTIO_VSOCK_ROUND;
    bool has_more;

    do {
        vq_suppress_notifications(vq);
        has_more = transmit_round(vq, &budget) && vq_await_notification(vq);
    } while (has_more && budget > 0);
    if (vq->device->is_live)
        vq_signal(vq);
    return has_more;
}

/* No VM moves to another host, so there are no events. */
static bool notify_event(struct virtqueue *vq)
{
    (void)vq;
    return false;
}

/* --- the device --- */

static void reset(struct virtio_device *device)
{
    CONTAINER_OF(device, struct virtio_vsock, device)->taken_bytes = 0;
}

static const struct virtio_device_ops virtio_vsock_ops = {.reset = reset};

void virtio_vsock_init(struct virtio_vsock *vsock, const struct guest_mem *mem, struct vsockdev *hub)
{
    static virtqueue_notify_fn *const notify[VIRTIO_VSOCK_QUEUES] = {
        [VIRTIO_VSOCK_RX] = notify_receive, [VIRTIO_VSOCK_TX] = notify_transmit, [VIRTIO_VSOCK_EVENT] = notify_event,
    };

    memset(vsock, 0, sizeof *vsock);
    vsock->hub = hub;
    vsock->config.guest_cid = hub->cid;
    vsock->card = (struct vsock_card){receive, wake, vsock};
    for (unsigned i = 0; i < VIRTIO_VSOCK_QUEUES; i++)
        vsock->queues[i] = (struct virtqueue){.notify = notify[i], .size_max = QUEUE_SIZE, .bytes_max = MIB(1)};
    vsock->device = (struct virtio_device){
        .ops = &virtio_vsock_ops,
        .queues = vsock->queues,
        .queue_count = VIRTIO_VSOCK_QUEUES,
        .queue_lock = &hub->receive_lock,
        .name = "virtio-vsock",
        .id = VIRTIO_ID_VSOCK,
        .features = VIRTIO_VSOCK_F_STREAM,
        .config = &vsock->config,
        .config_bytes = sizeof vsock->config,
    };
    virtio_device_init(&vsock->device, mem);
    lock_acquire(&hub->receive_lock);
    hub->card = &vsock->card;
    lock_release(&hub->receive_lock);
}
