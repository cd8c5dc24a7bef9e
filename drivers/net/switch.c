/* SPDX-License-Identifier: BSD-2-Clause */
/* From the sender's port to the receivers'; see switch.h. */
#include "drivers/net/switch.h"
#include "drivers/net/headers.h"
#include "drivers/net/offload.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/timer.h"

#define TAG_OFFSET ETHERNET_TYPE

/* IEEE 802.1Q, "Reserved addresses": spanning tree, pause and their like end at the next bridge. */
static const uint8_t reserved_block[5] = {0x01, 0x80, 0xc2, 0x00, 0x00};
#define RESERVED_LAST_MAX 0x0fu

/* One packet on its way. */
struct journey {
    struct switch_port *from, *to;
    struct net_packet *packet;
    uint16_t vlan;
    unsigned deliveries;
    uint64_t copied_bytes;
};

/* --- tags --- */

static bool is_tagged(const struct net_packet *packet)
{
    return get_be16(packet->head + ETHERNET_TYPE) == ETHERTYPE_VLAN;
}

static bool has_any_tag(const struct net_packet *packet)
{
    return is_tagged(packet) || get_be16(packet->head + ETHERNET_TYPE) == ETHERTYPE_SERVICE_VLAN;
}

/* After the head has grown or shrunk in front of everything that offsets point at. */
static void shift_offsets(struct net_packet *packet, int bytes)
{
    struct net_offload *o = &packet->offload;

    packet->head_bytes += (uint32_t)bytes;
    packet->size_bytes += (uint32_t)bytes;
    packet->spans[0].size_bytes = packet->head_bytes;
    o->checksum_start = (uint16_t)(o->checksum_start + bytes);
    if (o->gso != NET_GSO_NONE)
        o->header_bytes = (uint16_t)(o->header_bytes + bytes);
}

static void insert_tag(struct net_packet *packet, uint16_t vlan)
{
    uint8_t *at = packet->head + TAG_OFFSET;

    memmove(at + NET_VLAN_TAG_BYTES, at, packet->head_bytes - TAG_OFFSET);
    put_be16(at, ETHERTYPE_VLAN);
    put_be16(at + 2, vlan);
    shift_offsets(packet, (int)NET_VLAN_TAG_BYTES);
}

static void remove_tag(struct net_packet *packet)
{
    uint8_t *at = packet->head + TAG_OFFSET;

    memmove(at, at + NET_VLAN_TAG_BYTES, packet->head_bytes - TAG_OFFSET - NET_VLAN_TAG_BYTES);
    shift_offsets(packet, -(int)NET_VLAN_TAG_BYTES);
}

/* --- at the sender's port --- */

static bool is_multicast(const uint8_t *mac)
{
    return mac[0] & 1;
}

static bool is_reserved(const uint8_t *mac)
{
    return memcmp(mac, reserved_block, sizeof reserved_block) == 0 && mac[5] <= RESERVED_LAST_MAX;
}

/* Takes the tag off that says it, so that inside the switch a frame's VLAN is not in the frame. */
static bool find_vlan(const struct switch_port *from, struct net_packet *packet, uint16_t *vlan)
{
    uint16_t id;

    *vlan = from->config.vlan;
    if (!is_tagged(packet))
        return true;
    if (!from->config.is_trunk)
        return *vlan == 0;
    if (packet->head_bytes < NET_ETHERNET_BYTES + NET_VLAN_TAG_BYTES)
        return false;
    id = get_be16(packet->head + TAG_OFFSET + 2) & VLAN_ID_BITS;
    if (id > SWITCH_VLAN_MAX)
        return false;
    if (id != 0)
        *vlan = id;
    remove_tag(packet);
    return true;
}

static bool fits_mtu(const struct switch_port *port, const struct net_packet *packet)
{
    return net_offload_frame_bytes(packet) <= port->config.mtu + NET_ETHERNET_BYTES + NET_VLAN_TAG_BYTES;
}

static enum net_result admit(const struct switch_port *from, struct net_packet *packet, uint16_t *vlan)
{
    const uint8_t *source = packet->head + ETHERNET_SOURCE;

    if (packet->head_bytes < NET_ETHERNET_BYTES || !net_offload_check(packet))
        return NET_DROP_MALFORMED;
    if (!fits_mtu(from, packet))
        return NET_DROP_OVERSIZE;
    if (is_multicast(source) ||
        (from->config.checks_source && memcmp(source, from->config.mac, NET_MAC_BYTES) != 0))
        return NET_DROP_SPOOFED;
    if (is_reserved(packet->head))
        return NET_DROP_RESERVED;
    return find_vlan(from, packet, vlan) ? NET_OK : NET_DROP_VLAN;
}

/* A port's own address is in the table already, in its own VLAN. */
static void learn(struct switch_port *from, const struct net_packet *packet, uint16_t vlan)
{
    if (!from->config.checks_source || vlan != from->config.vlan)
        mac_table_learn(&from->owner->macs, mac_key(packet->head + ETHERNET_SOURCE, vlan), from->number);
}

/*
 * A bucket of tokens as one number: a sender is ahead of its rate by busy_until - now. What goes to many ports counts
 * for each of them: it is copying that the rate is to hold down.
 */
static void charge(struct switch_port *from, uint64_t bytes)
{
    uint64_t now;

    if (from->config.rate == 0)
        return;
    now = clock_now();
    from->busy_until = MAX(from->busy_until, now) + mul_div(bytes * 8, clock_hz(), from->config.rate);
}

static uint64_t port_ready_at(void *context)
{
    const struct switch_port *from = context;
    uint64_t burst;

    if (from->config.rate == 0)
        return 0;
    burst = mul_div(SWITCH_BURST_MS, clock_hz(), 1000);
    return from->busy_until > burst ? from->busy_until - burst : 0;
}

/* --- at a receiver's port, under its receive_lock --- */

static bool may_pass(const struct journey *j, const struct switch_port *to)
{
    return READ_ONCE(to->is_used) && READ_ONCE(to->netdev.card) && to != j->from &&
           (to->config.is_trunk || to->config.vlan == j->vlan) &&
           !(to->config.is_isolated && j->from->config.is_isolated);
}

static enum net_result deliver(void *context, const struct net_frame *frame)
{
    struct journey *j = context;
    struct net_card *card = j->to->netdev.card;
    enum net_result result = card->receive(card->context, frame);

    j->deliveries++;
    j->copied_bytes += frame->head_bytes + frame->body_bytes;
    if (result != NET_OK) {
        j->to->receive_drops[result]++;
        return result;
    }
    j->to->received.packets++;
    j->to->received.bytes += frame->head_bytes + frame->body_bytes;
    j->from->touched[j->to->number / 64] |= BIT(j->to->number % 64);
    return NET_OK;
}

static void give(struct journey *j)
{
    const struct net_card *card = j->to->netdev.card;
    bool needs_tag = j->to->config.is_trunk && j->to->config.vlan != j->vlan;

    /*
     * A tag of the sender's own would be taken for the switch's, also behind one that names no VLAN, of either kind. And
     * where VLAN 0 is not the trunk's own, no tag says it.
     */
    if (j->to->config.is_trunk && (needs_tag ? j->vlan == 0 : has_any_tag(j->packet))) {
        j->to->receive_drops[NET_DROP_VLAN]++;
        return;
    }
    if (!fits_mtu(j->to, j->packet)) {
        j->to->receive_drops[NET_DROP_OVERSIZE]++;
        return;
    }
    if (needs_tag)
        insert_tag(j->packet, j->vlan);
    if (card->wants_flow && !j->packet->flow)
        j->packet->flow = net_headers_flow(j->packet->head, j->packet->head_bytes);
    net_offload_deliver(j->packet, card->offloads, deliver, j);
    if (needs_tag)
        remove_tag(j->packet);
}

/* Whether the port is one that may have it. */
static bool offer(struct journey *j, struct switch_port *to)
{
    bool passes;

    if (!may_pass(j, to))
        return false;
    lock_acquire(&to->netdev.receive_lock);
    passes = may_pass(j, to);
    j->to = to;
    if (passes)
        give(j);
    lock_release(&to->netdev.receive_lock);
    return passes;
}

/* --- on the way --- */

static bool flood(struct journey *j)
{
    struct net_switch *s = j->from->owner;
    unsigned limit = READ_ONCE(s->port_limit);
    bool anyone = false;

    for (unsigned i = 0; i < limit; i++)
        anyone |= offer(j, &s->ports[i]);
    return anyone;
}

static bool forward(struct journey *j)
{
    const uint8_t *destination = j->packet->head;
    uint16_t port = MAC_TABLE_PORT_NONE;

    if (!is_multicast(destination))
        port = mac_table_find(&j->from->owner->macs, mac_key(destination, j->vlan));
    return port == MAC_TABLE_PORT_NONE ? flood(j) : offer(j, &j->from->owner->ports[port]);
}

static unsigned port_send(void *context, struct net_packet *packet)
{
    struct switch_port *from = context;
    struct journey j = {.from = from, .packet = packet};
    const struct net_card *card = READ_ONCE(from->netdev.card);
    enum net_result result;

    result = admit(from, packet, &j.vlan);
    if (result == NET_OK) {
        if (card && card->wants_flow) /* it may be just being unplugged */
            packet->flow = net_headers_flow(packet->head, packet->head_bytes);
        learn(from, packet, j.vlan);
        from->sent.packets++;
        from->sent.bytes += packet->size_bytes;
        result = forward(&j) ? NET_OK : NET_DROP_NOWHERE;
    }
    if (result != NET_OK)
        from->send_drops[result]++;
    charge(from, MAX(packet->size_bytes, j.copied_bytes));
    return MAX(j.deliveries, 1u);
}

static void flush_port(struct switch_port *to)
{
    lock_acquire(&to->netdev.receive_lock);
    if (to->netdev.card)
        to->netdev.card->flush(to->netdev.card->context);
    lock_release(&to->netdev.receive_lock);
}

static void port_flush(void *context)
{
    struct switch_port *from = context;

    for (unsigned word = 0; word < ARRAY_SIZE(from->touched); word++)
        for (; from->touched[word]; from->touched[word] &= from->touched[word] - 1)
            flush_port(&from->owner->ports[word * 64 + (unsigned)__builtin_ctzll(from->touched[word])]);
}

static const struct netdev_ops port_ops = {port_send, port_flush, port_ready_at};

/* --- ports come and go --- */

void switch_init(struct net_switch *net_switch, const char *name, uint64_t seed)
{
    memset(net_switch, 0, sizeof *net_switch);
    memcpy(net_switch->name, name, strnlen(name, SWITCH_NAME_BYTES - 1));
    mac_table_init(&net_switch->macs, seed);
    for (unsigned i = 0; i < SWITCH_PORTS_MAX; i++) {
        struct switch_port *port = &net_switch->ports[i];

        port->netdev.ops = &port_ops;
        port->netdev.context = port;
        port->owner = net_switch;
        port->number = (uint16_t)i;
    }
}

static struct switch_port *find_unused(struct net_switch *s)
{
    for (unsigned i = 0; i < SWITCH_PORTS_MAX; i++)
        if (!s->ports[i].is_used)
            return &s->ports[i];
    return NULL;
}

static void open_port(struct switch_port *port, const struct switch_port_config *config)
{
    lock_acquire(&port->netdev.receive_lock);
    port->config = *config;
    port->sent = port->received = (struct switch_traffic){0};
    port->sampled_sent = port->sampled_received = 0;
    memset(port->send_drops, 0, sizeof port->send_drops);
    memset(port->receive_drops, 0, sizeof port->receive_drops);
    memset(port->touched, 0, sizeof port->touched);
    port->busy_until = 0;
    WRITE_ONCE(port->is_used, true);
    lock_release(&port->netdev.receive_lock);
}

int switch_attach(struct net_switch *net_switch, const struct switch_port_config *config, struct switch_port **port)
{
    struct switch_port *found;
    int error = -ENOSPC;

    lock_acquire(&net_switch->lock);
    found = find_unused(net_switch);
    if (found)
        error = mac_table_add_fixed(&net_switch->macs, mac_key(config->mac, config->vlan), found->number);
    if (!error) {
        open_port(found, config);
        WRITE_ONCE(net_switch->port_limit, MAX(net_switch->port_limit, found->number + 1u));
        *port = found;
    }
    lock_release(&net_switch->lock);
    return error;
}

void switch_detach(struct switch_port *port)
{
    lock_acquire(&port->owner->lock);
    lock_acquire(&port->netdev.receive_lock);
    port->netdev.card = NULL;
    WRITE_ONCE(port->is_used, false);
    lock_release(&port->netdev.receive_lock);
    mac_table_forget(&port->owner->macs, port->number);
    lock_release(&port->owner->lock);
}

const char *switch_result_name(enum net_result result)
{
    static const char *const names[NET_RESULTS] = {
        [NET_OK] = "ok",
        [NET_DROP_MALFORMED] = "malformed",
        [NET_DROP_OVERSIZE] = "oversize",
        [NET_DROP_SPOOFED] = "spoofed",
        [NET_DROP_VLAN] = "vlan",
        [NET_DROP_RESERVED] = "reserved",
        [NET_DROP_NOWHERE] = "nowhere",
        [NET_DROP_LINK_DOWN] = "link-down",
        [NET_DROP_FILTERED] = "filtered",
        [NET_DROP_NO_BUFFER] = "no-buffer",
    };

    return names[result];
}
