/* SPDX-License-Identifier: BSD-2-Clause */
/* The control queue and what it sets: the receive filter, offloads, pairs; see virtio_net.h. */
#include "drivers/virt/virtio_net.h"
#include "kernel/lib/string.h"

#define ETHERNET_TYPE_OFFSET 12u
#define ETHERTYPE_VLAN       0x0081u /* as it lies in memory */

struct command {
    uint8_t class;
    uint8_t command;
};

/* --- the filter --- */

static bool is_in(const struct virtio_net_macs *macs, const uint8_t *mac)
{
    for (unsigned i = 0; i < macs->count; i++)
        if (memcmp(macs->list[i], mac, NET_MAC_BYTES) == 0)
            return true;
    return macs->takes_all;
}

static bool is_broadcast(const uint8_t *mac)
{
    static const uint8_t broadcast[NET_MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    return memcmp(mac, broadcast, NET_MAC_BYTES) == 0;
}

static bool wants_address(const struct virtio_net_filter *f, const uint8_t *mac)
{
    const bool *modes = f->modes;

    if (modes[VIRTIO_NET_CTRL_RX_PROMISC])
        return true;
    if (is_broadcast(mac))
        return !modes[VIRTIO_NET_CTRL_RX_NOBCAST];
    if (mac[0] & 1)
        return !modes[VIRTIO_NET_CTRL_RX_NOMULTI] && (modes[VIRTIO_NET_CTRL_RX_ALLMULTI] || is_in(&f->multicast, mac));
    return !modes[VIRTIO_NET_CTRL_RX_NOUNI] &&
           (modes[VIRTIO_NET_CTRL_RX_ALLUNI] || memcmp(mac, f->mac, NET_MAC_BYTES) == 0 || is_in(&f->unicast, mac));
}

static bool wants_vlan(const struct virtio_net_filter *f, const uint8_t *head, uint32_t head_bytes)
{
    uint16_t type, id;

    memcpy(&type, head + ETHERNET_TYPE_OFFSET, sizeof type);
    if (!f->has_vlans || type != ETHERTYPE_VLAN || head_bytes < NET_ETHERNET_BYTES + NET_VLAN_TAG_BYTES)
        return true;
    id = (uint16_t)((head[NET_ETHERNET_BYTES] & 0xf) << 8 | head[NET_ETHERNET_BYTES + 1]);
    return f->vlans[id / 64] & BIT(id % 64);
}

bool virtio_net_wants(const struct virtio_net_filter *filter, const uint8_t *head, uint32_t head_bytes)
{
    return wants_address(filter, head) && wants_vlan(filter, head, head_bytes);
}

/* A driver that never commands anything gets all. */
void virtio_net_reset_control(struct virtio_net *net)
{
    memset(&net->filter, 0, sizeof net->filter);
    net->filter.modes[VIRTIO_NET_CTRL_RX_PROMISC] = true;
    memcpy(net->filter.mac, net->permanent_mac, NET_MAC_BYTES);
    memcpy(net->config.mac, net->permanent_mac, NET_MAC_BYTES);
    net->active_pairs = 1;
}

/* --- commands: each takes its data off the stream, under receive_lock, and says whether it was done --- */

static bool set_mode(struct virtio_net *net, uint8_t command, struct vq_stream *data)
{
    uint8_t on;

    if (command >= VIRTIO_NET_CTRL_RX_COMMANDS || vq_stream_read(data, &on, sizeof on) < sizeof on)
        return false;
    net->filter.modes[command] = on;
    return true;
}

/* The list is as long as it says; what does not fit the filter is skipped, and all such addresses pass. */
static bool read_macs(struct virtio_net_macs *macs, struct vq_stream *data)
{
    uint32_t count;

    memset(macs, 0, sizeof *macs);
    if (vq_stream_read(data, &count, sizeof count) < sizeof count || count > data->left_bytes / NET_MAC_BYTES)
        return false;
    if (count <= VIRTIO_NET_MACS_MAX) {
        macs->count = count;
        vq_stream_read(data, macs->list, count * NET_MAC_BYTES);
        return true;
    }
    macs->takes_all = true;
    for (uint32_t left = count * NET_MAC_BYTES; left > 0;)
        left -= vq_stream_take(data, left).size_bytes;
    return true;
}

static bool set_mac_table(struct virtio_net *net, struct vq_stream *data)
{
    struct virtio_net_macs unicast, multicast;

    if (!read_macs(&unicast, data) || !read_macs(&multicast, data))
        return false;
    net->filter.unicast = unicast;
    net->filter.multicast = multicast;
    return true;
}

static bool set_mac_address(struct virtio_net *net, struct vq_stream *data)
{
    uint8_t mac[NET_MAC_BYTES];

    if (!virtio_device_has(&net->device, VIRTIO_NET_F_CTRL_MAC_ADDR) || vq_stream_read(data, mac, sizeof mac) < sizeof mac)
        return false;
    memcpy(net->filter.mac, mac, sizeof mac);
    memcpy(net->config.mac, mac, sizeof mac);
    return true;
}

static bool set_mac(struct virtio_net *net, uint8_t command, struct vq_stream *data)
{
    if (command == VIRTIO_NET_CTRL_MAC_TABLE_SET)
        return set_mac_table(net, data);
    return command == VIRTIO_NET_CTRL_MAC_ADDR_SET && set_mac_address(net, data);
}

static bool set_vlan(struct virtio_net *net, uint8_t command, struct vq_stream *data)
{
    uint16_t id;

    if (command > VIRTIO_NET_CTRL_VLAN_DEL || vq_stream_read(data, &id, sizeof id) < sizeof id || id >= VIRTIO_NET_VLANS)
        return false;
    if (command == VIRTIO_NET_CTRL_VLAN_ADD)
        net->filter.vlans[id / 64] |= BIT(id % 64);
    else
        net->filter.vlans[id / 64] &= ~BIT(id % 64);
    return true;
}

static bool set_pairs(struct virtio_net *net, uint8_t command, struct vq_stream *data)
{
    uint16_t pairs;

    if (command != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || !virtio_device_has(&net->device, VIRTIO_NET_F_MQ) ||
        vq_stream_read(data, &pairs, sizeof pairs) < sizeof pairs || pairs == 0 || pairs > net->config.max_virtqueue_pairs)
        return false;
    net->active_pairs = pairs;
    return true;
}

/* Only what was negotiated can be turned on again. */
static bool set_offloads(struct virtio_net *net, uint8_t command, struct vq_stream *data)
{
    uint64_t features;

    if (command != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET ||
        !virtio_device_has(&net->device, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) ||
        vq_stream_read(data, &features, sizeof features) < sizeof features || (features & ~net->device.driver_features))
        return false;
    net->card.offloads = virtio_net_offloads_of(features);
    return true;
}

static bool (*const classes[])(struct virtio_net *net, uint8_t command, struct vq_stream *data) = {
    [VIRTIO_NET_CTRL_RX] = set_mode,
    [VIRTIO_NET_CTRL_MAC] = set_mac,
    [VIRTIO_NET_CTRL_VLAN] = set_vlan,
    [VIRTIO_NET_CTRL_MQ] = set_pairs,
    [VIRTIO_NET_CTRL_GUEST_OFFLOADS] = set_offloads,
};

static bool execute(struct virtio_net *net, const struct command *command, struct vq_stream *data)
{
    bool is_done;

    if (command->class >= ARRAY_SIZE(classes) || !classes[command->class])
        return false;
    lock_acquire(&net->network->receive_lock);
    is_done = classes[command->class](net, command->command, data);
    lock_release(&net->network->receive_lock);
    return is_done;
}

static uint32_t serve(struct virtio_device *device, struct vq_chain *chain)
{
    struct virtio_net *net = CONTAINER_OF(device, struct virtio_net, device);
    struct command command;
    uint8_t *ack = vq_chain_cut_last_byte(chain);

    if (!ack || vq_stream_read(&chain->readable, &command, sizeof command) < sizeof command) {
        virtio_queue_fail(virtio_net_control_queue(net), "command without class or acknowledgement");
        return 0;
    }
    *ack = (uint8_t)(execute(net, &command, &chain->readable) ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
    return sizeof *ack;
}

/* Behind all pairs, or behind the first where the driver does not know of more. */
struct virtqueue *virtio_net_control_queue(struct virtio_net *net)
{
    bool knows_pairs = virtio_device_has(&net->device, VIRTIO_NET_F_MQ);

    return &net->queues[2 * (knows_pairs ? net->config.max_virtqueue_pairs : 1u)];
}

bool virtio_net_notify_control(struct virtqueue *vq)
{
    return vq_serve(vq, &CONTAINER_OF(vq->device, struct virtio_net, device)->chain, serve);
}
