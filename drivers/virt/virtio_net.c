/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets out of the guest's rings and into them; see virtio_net.h. */
#include "drivers/virt/virtio_net.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"

#define NUM_BUFFERS_OFFSET offsetof(struct virtio_net_hdr, num_buffers)

_Static_assert(sizeof(struct virtio_net_hdr) == 12, "as the driver lays it out");
_Static_assert(sizeof(struct virtio_net_config) == 12, "as the driver reads it");

/* What the header says, the feature it needs, and what it means. */
static const struct gso_type {
    uint8_t gso_type;
    enum net_gso gso;
    uint64_t feature;
} gso_types[] = {
    {VIRTIO_NET_HDR_GSO_TCPV4, NET_GSO_TCPV4, VIRTIO_NET_F_HOST_TSO4},
    {VIRTIO_NET_HDR_GSO_TCPV6, NET_GSO_TCPV6, VIRTIO_NET_F_HOST_TSO6},
    {VIRTIO_NET_HDR_GSO_UDP, NET_GSO_UDP, VIRTIO_NET_F_HOST_UFO},
};

static struct virtio_net *net_of(struct virtqueue *vq)
{
    return CONTAINER_OF(vq->device, struct virtio_net, device);
}

/* --- from the guest --- */

static enum net_gso find_gso(const struct virtio_net *net, uint8_t gso_type)
{
    uint8_t type = gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

    if ((gso_type & VIRTIO_NET_HDR_GSO_ECN) && !virtio_device_has(&net->device, VIRTIO_NET_F_HOST_ECN))
        return NET_GSO_UNKNOWN;
    for (unsigned i = 0; i < ARRAY_SIZE(gso_types); i++)
        if (gso_types[i].gso_type == type && virtio_device_has(&net->device, gso_types[i].feature))
            return gso_types[i].gso;
    return NET_GSO_UNKNOWN;
}

/* hdr_len is a hint that the network does not need, and flags other than NEEDS_CSUM mean nothing here. */
static void read_offload(const struct virtio_net *net, const struct virtio_net_hdr *header,
                         struct net_offload *offload)
{
    *offload = (struct net_offload){.gso = NET_GSO_NONE};
    if (header->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
        offload->gso = find_gso(net, header->gso_type);
        offload->has_ecn = header->gso_type & VIRTIO_NET_HDR_GSO_ECN;
        offload->gso_size = header->gso_size;
    }
    if (!(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
        return;
    offload->needs_checksum = true;
    offload->checksum_start = header->csum_start;
    offload->checksum_offset = header->csum_offset;
    if (!virtio_device_has(&net->device, VIRTIO_NET_F_CSUM))
        offload->gso = NET_GSO_UNKNOWN;
}

/* Behind the header: the head is copied, the rest stays where it is. */
static void open_packet(struct virtio_net *net, struct net_packet *packet)
{
    struct vq_stream *from = &net->chain.readable;
    struct net_span *span = net->spans;

    packet->head = net->head;
    packet->spans = net->spans;
    packet->flow = 0;
    packet->size_bytes = from->left_bytes;
    packet->head_bytes = vq_stream_read(from, net->head, NET_HEAD_BYTES);
    *span++ = (struct net_span){net->head, packet->head_bytes};
    while (from->left_bytes > 0) {
        struct vq_span piece = vq_stream_take(from, UINT32_MAX);

        *span++ = (struct net_span){piece.bytes, piece.size_bytes};
    }
}

static void steer(struct virtio_net *net, uint32_t flow, unsigned pair)
{
    if (flow)
        WRITE_ONCE(net->flow_pairs[flow % VIRTIO_NET_FLOWS], (uint8_t)pair);
}

/* The request in net->chain; what it cost. A driver that sends nonsense in a proper request loses a packet. */
static unsigned transmit(struct virtqueue *vq)
{
    struct virtio_net *net = net_of(vq);
    struct net_packet packet;
    struct virtio_net_hdr header;
    unsigned cost;

    if (vq_stream_read(&net->chain.readable, &header, sizeof header) < sizeof header) {
        virtio_queue_fail(vq, "packet without header");
        return 1;
    }
    read_offload(net, &header, &packet.offload);
    open_packet(net, &packet);
    cost = net->network->ops->send(net->network->context, &packet);
    steer(net, packet.flow, vq->index / 2);
    return cost;
}

/* Until nothing waits, the round is over, or the network wants a pause: then until when. */
static uint64_t transmit_round(struct virtqueue *vq, unsigned *cost)
{
    struct virtio_net *net = net_of(vq);

    while (*cost < VIRTIO_NET_ROUND) {
        uint64_t ready_at = net->network->ops->ready_at(net->network->context);

        if (ready_at && ready_at > clock_now())
            return ready_at;
        if (!vq_pop(vq, &net->chain))
            return 0;
        *cost += transmit(vq);
        if (!net->device.is_live)
            return 0;
        vq_push(vq, net->chain.head, 0);
    }
    return 0;
}

/* While the card has to pause, a doorbell could change nothing: the timer goes on. */
static bool notify_transmit(struct virtqueue *vq)
{
    struct virtio_net *net = net_of(vq);
    bool has_more;
    unsigned cost = 0;
    uint64_t ready_at;

    do {
        vq_suppress_notifications(vq);
        ready_at = transmit_round(vq, &cost);
        has_more = net->device.is_live && !ready_at && vq_await_notification(vq);
    } while (has_more && cost < VIRTIO_NET_ROUND);
    net->network->ops->flush(net->network->context);
    if (!net->device.is_live)
        return false;
    vq_signal(vq);
    if (ready_at)
        virtio_queue_defer(vq, ready_at);
    return has_more;
}

/* --- to the guest, under receive_lock --- */

static struct virtqueue *receive_queue(struct virtio_net *net, uint32_t flow)
{
    unsigned pair = 0;

    if (net->active_pairs > 1)
        pair = READ_ONCE(net->flow_pairs[flow % VIRTIO_NET_FLOWS]) % net->active_pairs;
    return &net->queues[2 * pair];
}

static struct virtio_net_hdr make_header(const struct net_offload *o)
{
    static const uint8_t types[NET_GSO_TYPES] = {
        [NET_GSO_TCPV4] = VIRTIO_NET_HDR_GSO_TCPV4,
        [NET_GSO_TCPV6] = VIRTIO_NET_HDR_GSO_TCPV6,
        [NET_GSO_UDP] = VIRTIO_NET_HDR_GSO_UDP,
    };
    struct virtio_net_hdr header = {.num_buffers = 1};

    if (o->needs_checksum) {
        header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        header.csum_start = o->checksum_start;
        header.csum_offset = o->checksum_offset;
    }
    if (o->gso != NET_GSO_NONE) {
        header.gso_type = types[o->gso] | (o->has_ecn ? VIRTIO_NET_HDR_GSO_ECN : 0);
        header.hdr_len = o->header_bytes;
        header.gso_size = o->gso_size;
    }
    return header;
}

/*
 * Of all buffers for one frame together: they are looked through in the sender's time, and a driver may make them
 * of single bytes, or of parts that nothing can be written to. 64 KiB in pieces of 128 bytes fit.
 */
#define FRAME_SPANS_MAX 512u

/* A frame on its way into buffers. The count of them stands in the first, and is known at the end. */
struct arrival {
    struct virtio_net *net;
    struct virtqueue *vq;
    uint16_t popped, staged; /* buffers; the last one that was popped is open */
    unsigned spans;          /* in them */
    uint32_t written_bytes;  /* into that one */
    uint8_t *num_buffers[sizeof(uint16_t)];
};

static bool open_buffer(struct arrival *a)
{
    a->written_bytes = 0;
    if (!vq_pop(a->vq, &a->net->receive_chain))
        return false;
    a->popped++;
    a->spans += a->net->receive_chain.span_count;
    return a->spans <= FRAME_SPANS_MAX;
}

static void close_buffer(struct arrival *a)
{
    vq_stage(a->vq, a->net->receive_chain.head, a->written_bytes);
    a->staged++;
}

/* In buffers as small as a driver likes, if it merges them; else there is one. */
static bool store(struct arrival *a, const uint8_t *bytes, uint32_t size_bytes)
{
    for (;;) {
        uint32_t done = vq_stream_write(&a->net->receive_chain.writable, bytes, size_bytes);

        a->written_bytes += done;
        bytes += done;
        size_bytes -= done;
        if (size_bytes == 0)
            return true;
        if (!virtio_device_has(&a->net->device, VIRTIO_NET_F_MRG_RXBUF) || a->popped == a->vq->size)
            return false;
        close_buffer(a);
        if (!open_buffer(a))
            return false;
    }
}

static bool store_header(struct arrival *a, const struct net_offload *offload)
{
    struct vq_stream *to = &a->net->receive_chain.writable;
    struct virtio_net_hdr header = make_header(offload);

    if (to->left_bytes < sizeof header)
        return false;
    vq_stream_write(to, &header, NUM_BUFFERS_OFFSET);
    for (unsigned i = 0; i < sizeof header.num_buffers; i++)
        a->num_buffers[i] = vq_stream_take(to, 1).bytes;
    a->written_bytes = sizeof header;
    return true;
}

static void store_num_buffers(const struct arrival *a)
{
    for (unsigned i = 0; i < sizeof(uint16_t); i++)
        WRITE_ONCE(*a->num_buffers[i], (uint8_t)(a->staged >> 8 * i));
}

static bool store_body(struct arrival *a, const struct net_frame *frame)
{
    const struct net_span *span = frame->body;
    uint32_t skip = frame->skip_bytes, left = frame->body_bytes;

    for (; left > 0; span++, skip = 0) {
        uint32_t here = MIN(span->size_bytes - skip, left);

        if (!store(a, span->bytes + skip, here))
            return false;
        left -= here;
    }
    return true;
}

/* All or nothing: until it is published, a frame is only in memory that the guest has given away. */
static enum net_result store_frame(struct arrival *a, const struct net_frame *frame)
{
    if (!open_buffer(a) || !store_header(a, &frame->offload) || !store(a, frame->head, frame->head_bytes) ||
        !store_body(a, frame)) {
        vq_rewind(a->vq, a->popped, a->staged);
        return NET_DROP_NO_BUFFER;
    }
    close_buffer(a);
    store_num_buffers(a);
    vq_publish(a->vq);
    return NET_OK;
}

static enum net_result receive(void *context, const struct net_frame *frame)
{
    struct virtio_net *net = context;
    struct arrival a = {.net = net, .vq = receive_queue(net, frame->flow)};
    enum net_result result;

    if (!net->device.is_live || !a.vq->ready || !(net->config.status & VIRTIO_NET_S_LINK_UP))
        return NET_DROP_LINK_DOWN;
    if (!virtio_net_wants(&net->filter, frame->head, frame->head_bytes))
        return NET_DROP_FILTERED;
    result = store_frame(&a, frame);
    if (result == NET_OK)
        net->unsignalled |= 1u << a.vq->index / 2;
    return result;
}

/* The queues may have been taken away since. */
static void flush(void *context)
{
    struct virtio_net *net = context;

    for (unsigned pair = 0; pair < VIRTIO_NET_PAIRS_MAX; pair++)
        if ((net->unsignalled & 1u << pair) && net->device.is_live && net->queues[2 * pair].ready)
            vq_signal(&net->queues[2 * pair]);
    net->unsignalled = 0;
}

/* --- the device --- */

static bool notify(struct virtqueue *vq)
{
    const struct virtqueue *control = virtio_net_control_queue(net_of(vq));

    if (vq == control)
        return virtio_net_notify_control(vq);
    if (vq > control)
        return false;
    if (vq->index % 2)
        return notify_transmit(vq);
    vq_suppress_notifications(vq); /* a frame that found no buffer is gone: new ones are no news */
    return false;
}

uint32_t virtio_net_offloads_of(uint64_t guest_features)
{
    static const struct {
        uint64_t feature;
        uint32_t offload;
    } rows[] = {
        {VIRTIO_NET_F_GUEST_TSO4, NET_TSO4},
        {VIRTIO_NET_F_GUEST_TSO6, NET_TSO6},
        {VIRTIO_NET_F_GUEST_ECN, NET_TSO_ECN},
        {VIRTIO_NET_F_GUEST_UFO, NET_UFO},
    };
    uint32_t offloads = NET_CHECKSUM;

    if (!(guest_features & VIRTIO_NET_F_GUEST_CSUM))
        return 0;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (guest_features & rows[i].feature)
            offloads |= rows[i].offload;
    return offloads;
}

static void negotiated(struct virtio_device *device)
{
    struct virtio_net *net = CONTAINER_OF(device, struct virtio_net, device);

    lock_acquire(&net->network->receive_lock);
    net->card.offloads = virtio_net_offloads_of(device->driver_features);
    net->card.wants_flow = virtio_device_has(device, VIRTIO_NET_F_MQ);
    net->filter.has_vlans = virtio_device_has(device, VIRTIO_NET_F_CTRL_VLAN);
    lock_release(&net->network->receive_lock);
}

static void reset(struct virtio_device *device)
{
    struct virtio_net *net = CONTAINER_OF(device, struct virtio_net, device);

    net->card.offloads = 0;
    net->card.wants_flow = false;
    net->unsignalled = 0;
    virtio_net_reset_control(net);
}

static const struct virtio_device_ops virtio_net_ops = {
    .reset = reset,
    .negotiated = negotiated,
};

void virtio_net_set_link(struct virtio_net *net, bool is_up)
{
    lock_acquire(&net->network->receive_lock);
    net->config.status = is_up ? VIRTIO_NET_S_LINK_UP : 0;
    lock_release(&net->network->receive_lock);
    virtio_device_config_changed(&net->device);
}

static uint64_t features_of(const struct virtio_net_settings *settings)
{
    uint64_t features =
        VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_CTRL_GUEST_OFFLOADS | VIRTIO_NET_F_MTU |
        VIRTIO_NET_F_MAC | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_GUEST_ECN |
        VIRTIO_NET_F_GUEST_UFO | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_ECN |
        VIRTIO_NET_F_HOST_UFO | VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_CTRL_VQ |
        VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_VLAN | VIRTIO_NET_F_CTRL_RX_EXTRA;

    if (settings->pairs > 1)
        features |= VIRTIO_NET_F_MQ;
    if (settings->may_change_mac)
        features |= VIRTIO_NET_F_CTRL_MAC_ADDR;
    return features;
}

void virtio_net_init(struct virtio_net *net, const struct guest_mem *mem, const struct virtio_net_settings *settings,
                     struct netdev *network)
{
    ASSERT(settings->pairs > 0 && settings->pairs <= VIRTIO_NET_PAIRS_MAX);
    memset(net, 0, sizeof *net);
    net->network = network;
    memcpy(net->permanent_mac, settings->mac, NET_MAC_BYTES);
    net->config.status = VIRTIO_NET_S_LINK_UP;
    net->config.max_virtqueue_pairs = (uint16_t)settings->pairs;
    net->config.mtu = settings->mtu;
    net->card = (struct net_card){.receive = receive, .flush = flush, .context = net};
    for (unsigned i = 0; i < ARRAY_SIZE(net->queues); i++)
        net->queues[i] = (struct virtqueue){.notify = notify, .size_max = VIRTIO_NET_QUEUE_SIZE, .bytes_max = MIB(1)};
    net->device = (struct virtio_device){
        .ops = &virtio_net_ops,
        .queues = net->queues,
        .queue_count = 2 * settings->pairs + 1,
        .queue_lock = &network->receive_lock,
        .name = "virtio-net",
        .id = VIRTIO_ID_NET,
        .features = features_of(settings),
        .config = &net->config,
        .config_bytes = sizeof net->config,
    };
    virtio_device_init(&net->device, mem);
    netdev_plug(network, &net->card);
}
