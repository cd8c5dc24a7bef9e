/* SPDX-License-Identifier: BSD-2-Clause */
/* Checksums and segmentation in software; see offload.h. */
#include "drivers/net/offload.h"
#include "drivers/net/headers.h"
#include "kernel/lib/string.h"

/* A packet that is being cut: the next frame's header, and where its payload starts. */
struct cut {
    const struct net_packet *packet;
    struct net_headers at;
    uint32_t piece_bytes; /* of payload in each frame but the last */
    uint32_t done_bytes, left_bytes;
    bool leaves_checksum; /* to the receiver */
    struct net_frame frame;
    uint8_t header[NET_HEAD_BYTES + NET_VLAN_TAG_BYTES + IPV6_FRAGMENT_HEADER_BYTES];
};

static uint32_t next_fragment_id; /* of IPv6; a number that no two packets in flight share */

/* --- checks --- */

static bool is_checksum_valid(const struct net_packet *packet)
{
    const struct net_offload *o = &packet->offload;
    bool is_tagged = get_be16(packet->head + ETHERNET_TYPE) == ETHERTYPE_VLAN;

    /* Not in what the switch decides by. */
    return o->checksum_start >= NET_ETHERNET_BYTES + (is_tagged ? NET_VLAN_TAG_BYTES : 0) &&
           (uint32_t)o->checksum_start + o->checksum_offset + sizeof(uint16_t) <= packet->head_bytes;
}

static bool is_tcp_valid(struct net_packet *packet, const struct net_headers *h)
{
    struct net_offload *o = &packet->offload;
    uint32_t tcp_bytes;

    if (h->protocol != IP_PROTOCOL_TCP || o->checksum_offset != TCP_CHECKSUM ||
        !range_fits(h->transport, TCP_HEADER_BYTES, packet->head_bytes))
        return false;
    tcp_bytes = (packet->head[h->transport + TCP_DATA_OFFSET] >> 4) * 4u;
    o->header_bytes = (uint16_t)(h->transport + tcp_bytes);
    return tcp_bytes >= TCP_HEADER_BYTES && o->header_bytes <= packet->head_bytes;
}

/* Fragments carry no options or extension headers here: no sender asks for that. */
static bool is_udp_valid(struct net_packet *packet, const struct net_headers *h)
{
    struct net_offload *o = &packet->offload;
    uint32_t ip_bytes = h->type == ETHERTYPE_IPV4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;

    o->header_bytes = h->transport;
    return h->protocol == IP_PROTOCOL_UDP && o->checksum_offset == UDP_CHECKSUM &&
           h->transport == h->ip + ip_bytes && o->gso_size >= 8 &&
           range_fits(h->transport, UDP_HEADER_BYTES, packet->head_bytes);
}

static bool is_gso_valid(struct net_packet *packet)
{
    struct net_offload *o = &packet->offload;
    struct net_headers h;
    uint32_t payload;

    net_headers_find(&h, packet->head, packet->head_bytes);
    if (!h.transport || h.is_fragment || o->checksum_start != h.transport || o->gso_size == 0 ||
        (o->gso == NET_GSO_TCPV4 && h.type != ETHERTYPE_IPV4) ||
        (o->gso == NET_GSO_TCPV6 && h.type != ETHERTYPE_IPV6))
        return false;
    if (o->gso == NET_GSO_UDP ? !is_udp_valid(packet, &h) : !is_tcp_valid(packet, &h))
        return false;
    payload = packet->size_bytes - o->header_bytes;
    return payload > 0 && packet->size_bytes - h.ip <= UINT16_MAX &&
           payload <= NET_SEGMENTS_MAX * (o->gso == NET_GSO_UDP ? o->gso_size & ~7u : o->gso_size);
}

bool net_offload_check(struct net_packet *packet)
{
    struct net_offload *o = &packet->offload;

    o->header_bytes = 0;
    if (!o->needs_checksum || o->gso == NET_GSO_UNKNOWN)
        return o->gso == NET_GSO_NONE;
    return is_checksum_valid(packet) && (o->gso == NET_GSO_NONE || is_gso_valid(packet));
}

uint32_t net_offload_frame_bytes(const struct net_packet *packet)
{
    const struct net_offload *o = &packet->offload;

    return o->gso == NET_GSO_NONE ? packet->size_bytes
                                  : MIN(packet->size_bytes, (uint32_t)o->header_bytes + o->gso_size);
}

static uint32_t needed_offloads(const struct net_offload *o)
{
    static const uint32_t gso_needs[NET_GSO_TYPES] = {
        [NET_GSO_TCPV4] = NET_TSO4, [NET_GSO_TCPV6] = NET_TSO6, [NET_GSO_UDP] = NET_UFO};

    return (o->needs_checksum ? NET_CHECKSUM : 0) | gso_needs[o->gso] | (o->has_ecn ? NET_TSO_ECN : 0);
}

/* --- what lies in spans --- */

struct place {
    const struct net_span *span;
    uint32_t skip_bytes;
};

static void place_advance(struct place *p, uint32_t bytes)
{
    while (bytes > 0) {
        uint32_t here = MIN(p->span->size_bytes - p->skip_bytes, bytes);

        p->skip_bytes += here;
        bytes -= here;
        if (p->skip_bytes == p->span->size_bytes)
            *p = (struct place){p->span + 1, 0};
    }
}

static uint32_t place_sum(uint32_t sum, struct place p, uint32_t bytes)
{
    bool is_odd = false;

    while (bytes > 0) {
        uint32_t here = MIN(p.span->size_bytes - p.skip_bytes, bytes);

        sum = net_sum(sum, p.span->bytes + p.skip_bytes, here, is_odd);
        is_odd ^= here & 1;
        bytes -= here;
        p = (struct place){p.span + 1, 0};
    }
    return sum;
}

static struct place place_in(const struct net_packet *packet, uint32_t offset)
{
    struct place p = {packet->spans, 0};

    place_advance(&p, offset);
    return p;
}

/* To the end of the packet. UDP's 0 means that there is no sum, and for the others both zeroes are the same. */
static uint16_t checksum_from(const struct net_packet *packet, uint32_t sum, uint32_t start)
{
    sum = place_sum(sum, place_in(packet, start), packet->size_bytes - start);
    sum = (uint16_t)~net_sum_fold(sum);
    return sum ? (uint16_t)sum : UINT16_MAX;
}

/* RFC 9293 and RFC 8200, "Pseudo-header": of a transport header and what follows it, together bytes long. */
static uint32_t pseudo_sum(const uint8_t *head, const struct net_headers *at, uint32_t bytes)
{
    uint32_t sum = at->protocol + bytes;

    if (at->type == ETHERTYPE_IPV4)
        return net_sum(sum, head + at->ip + IPV4_ADDRESSES, IPV4_ADDRESSES_BYTES, false);
    return net_sum(sum, head + at->ip + IPV6_ADDRESSES, IPV6_ADDRESSES_BYTES, false);
}

/* --- frames of one packet --- */

static enum net_result deliver_whole(const struct net_packet *packet, const struct net_offload *offload,
                                     net_deliver_fn *deliver, void *context)
{
    struct net_frame frame = {
        .head = packet->head,
        .head_bytes = packet->head_bytes,
        .body = packet->spans + 1,
        .body_bytes = packet->size_bytes - packet->head_bytes,
        .offload = *offload,
        .flow = packet->flow,
    };

    return deliver(context, &frame);
}

static enum net_result deliver_with_checksum(struct net_packet *packet, net_deliver_fn *deliver, void *context)
{
    static const struct net_offload nothing = {.gso = NET_GSO_NONE};
    const struct net_offload *o = &packet->offload;
    uint8_t *field = packet->head + o->checksum_start + o->checksum_offset;
    uint16_t partial = get_be16(field);
    enum net_result result;

    put_be16(field, checksum_from(packet, 0, o->checksum_start));
    result = deliver_whole(packet, &nothing, deliver, context);
    put_be16(field, partial);
    return result;
}

static void cut_open(struct cut *cut, const struct net_packet *packet, uint32_t piece_bytes)
{
    const struct net_offload *o = &packet->offload;
    struct place payload = place_in(packet, o->header_bytes);

    cut->packet = packet;
    net_headers_find(&cut->at, packet->head, packet->head_bytes);
    cut->piece_bytes = piece_bytes;
    cut->done_bytes = 0;
    cut->left_bytes = packet->size_bytes - o->header_bytes;
    memcpy(cut->header, packet->head, o->header_bytes);
    cut->frame = (struct net_frame){
        .head = cut->header,
        .head_bytes = o->header_bytes,
        .body = payload.span,
        .skip_bytes = payload.skip_bytes,
        .flow = packet->flow,
    };
}

static enum net_result deliver_cut(struct cut *cut, void (*make_header)(struct cut *cut),
                                   net_deliver_fn *deliver, void *context)
{
    enum net_result result = NET_OK;

    while (cut->left_bytes > 0 && result == NET_OK) {
        struct net_frame *f = &cut->frame;
        struct place payload = {f->body, f->skip_bytes};

        f->body_bytes = MIN(cut->piece_bytes, cut->left_bytes);
        make_header(cut);
        result = deliver(context, f);
        place_advance(&payload, f->body_bytes);
        f->body = payload.span;
        f->skip_bytes = payload.skip_bytes;
        cut->done_bytes += f->body_bytes;
        cut->left_bytes -= f->body_bytes;
    }
    return result;
}

/* --- headers of segments and fragments --- */

static void set_ipv4_length(struct cut *cut, uint32_t bytes_behind_ip)
{
    uint8_t *ip = cut->header + cut->at.ip;
    uint32_t header_bytes = cut->at.transport - cut->at.ip;

    put_be16(ip + IPV4_TOTAL_LENGTH, header_bytes + bytes_behind_ip);
    put_be16(ip + IPV4_CHECKSUM, 0);
    put_be16(ip + IPV4_CHECKSUM, (uint16_t)~net_sum_fold(net_sum(0, ip, header_bytes, false)));
}

static void set_ipv6_length(struct cut *cut, uint32_t bytes_behind_ip)
{
    uint8_t *ip = cut->header + cut->at.ip;

    put_be16(ip + IPV6_PAYLOAD_LENGTH, cut->at.transport - cut->at.ip - IPV6_HEADER_BYTES + bytes_behind_ip);
}

static uint8_t tcp_flags(const struct cut *cut)
{
    uint8_t flags = cut->packet->head[cut->at.transport + TCP_FLAGS];

    if (cut->done_bytes > 0)
        flags &= (uint8_t)~TCP_CWR;
    if (cut->left_bytes > cut->piece_bytes)
        flags &= (uint8_t)~(TCP_FIN | TCP_PSH);
    return flags;
}

/* With the whole sum, or with the pseudo header's for who makes the rest. */
static void set_tcp_checksum(struct cut *cut)
{
    struct net_frame *f = &cut->frame;
    uint8_t *tcp = cut->header + cut->at.transport;
    uint32_t tcp_bytes = f->head_bytes - cut->at.transport;
    uint32_t sum = pseudo_sum(cut->header, &cut->at, tcp_bytes + f->body_bytes);

    put_be16(tcp + TCP_CHECKSUM, net_sum_fold(sum));
    if (cut->leaves_checksum)
        return;
    put_be16(tcp + TCP_CHECKSUM, 0);
    sum = net_sum(sum, tcp, tcp_bytes, false);
    sum = place_sum(sum, (struct place){f->body, f->skip_bytes}, f->body_bytes);
    put_be16(tcp + TCP_CHECKSUM, (uint16_t)~net_sum_fold(sum));
}

static void make_tcp_header(struct cut *cut)
{
    const uint8_t *old = cut->packet->head;
    uint8_t *tcp = cut->header + cut->at.transport;
    uint32_t bytes = cut->frame.head_bytes - cut->at.transport + cut->frame.body_bytes;

    put_be32(tcp + TCP_SEQUENCE, get_be32(old + cut->at.transport + TCP_SEQUENCE) + cut->done_bytes);
    tcp[TCP_FLAGS] = tcp_flags(cut);
    if (cut->at.type == ETHERTYPE_IPV4) {
        unsigned number = cut->done_bytes / cut->piece_bytes;

        put_be16(cut->header + cut->at.ip + IPV4_IDENTIFICATION,
                 get_be16(old + cut->at.ip + IPV4_IDENTIFICATION) + number);
        set_ipv4_length(cut, bytes);
    } else {
        set_ipv6_length(cut, bytes);
    }
    set_tcp_checksum(cut);
}

static enum net_result deliver_segments(struct net_packet *packet, uint32_t offloads,
                                        net_deliver_fn *deliver, void *context)
{
    const struct net_offload *o = &packet->offload;
    struct cut cut;

    cut_open(&cut, packet, o->gso_size);
    cut.leaves_checksum = offloads & NET_CHECKSUM;
    if (cut.leaves_checksum)
        cut.frame.offload = (struct net_offload){
            .needs_checksum = true,
            .checksum_start = o->checksum_start,
            .checksum_offset = o->checksum_offset,
        };
    return deliver_cut(&cut, make_tcp_header, deliver, context);
}

static void make_fragment_header_v4(struct cut *cut)
{
    bool is_last = cut->left_bytes <= cut->piece_bytes;

    put_be16(cut->header + cut->at.ip + IPV4_FRAGMENT,
             cut->done_bytes / 8 | (is_last ? 0 : IPV4_MORE_FRAGMENTS));
    set_ipv4_length(cut, cut->frame.body_bytes);
}

/* RFC 8200, "Fragment Header"; its identification and next header stay. */
static void make_fragment_header_v6(struct cut *cut)
{
    bool is_last = cut->left_bytes <= cut->piece_bytes;

    put_be16(cut->header + cut->at.transport + 2, cut->done_bytes | !is_last);
    set_ipv6_length(cut, IPV6_FRAGMENT_HEADER_BYTES + cut->frame.body_bytes);
}

static void add_fragment_header_v6(struct cut *cut)
{
    uint8_t *fragment = cut->header + cut->at.transport;

    memset(fragment, 0, IPV6_FRAGMENT_HEADER_BYTES);
    fragment[0] = cut->at.protocol;
    put_be32(fragment + 4, __atomic_fetch_add(&next_fragment_id, 1, __ATOMIC_RELAXED));
    cut->header[cut->at.ip + IPV6_NEXT_HEADER] = IPV6_FRAGMENT;
    cut->frame.head_bytes += IPV6_FRAGMENT_HEADER_BYTES;
}

/* The sum is over the whole datagram, so that it is made first: in the head, which is the first fragment's. */
static enum net_result deliver_fragments(struct net_packet *packet, net_deliver_fn *deliver, void *context)
{
    const struct net_offload *o = &packet->offload;
    uint8_t *field = packet->head + o->checksum_start + o->checksum_offset;
    uint16_t partial = get_be16(field);
    enum net_result result;
    struct cut cut;

    cut_open(&cut, packet, o->gso_size & ~7u);
    put_be16(field, 0);
    put_be16(field, checksum_from(packet, pseudo_sum(packet->head, &cut.at, cut.left_bytes), o->checksum_start));
    if (cut.at.type == ETHERTYPE_IPV4) {
        result = deliver_cut(&cut, make_fragment_header_v4, deliver, context);
    } else {
        add_fragment_header_v6(&cut);
        result = deliver_cut(&cut, make_fragment_header_v6, deliver, context);
    }
    put_be16(field, partial);
    return result;
}

enum net_result net_offload_deliver(struct net_packet *packet, uint32_t offloads,
                                    net_deliver_fn *deliver, void *context)
{
    if (!(needed_offloads(&packet->offload) & ~offloads))
        return deliver_whole(packet, &packet->offload, deliver, context);
    if (packet->offload.gso == NET_GSO_NONE)
        return deliver_with_checksum(packet, deliver, context);
    if (packet->offload.gso == NET_GSO_UDP)
        return deliver_fragments(packet, deliver, context);
    return deliver_segments(packet, offloads, deliver, context);
}
