/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding headers, and the Internet's checksum; see headers.h. */
#include "drivers/net/headers.h"
#include "drivers/backend.h"
#include "kernel/lib/bytes.h"

#define EXTENSIONS_MAX 8u

static void find_ipv4(struct net_headers *h, const uint8_t *head, uint32_t head_bytes)
{
    const uint8_t *ip = head + h->ip;
    uint32_t header_bytes;

    if (!range_fits(h->ip, IPV4_HEADER_BYTES, head_bytes) || ip[0] >> 4 != 4)
        return;
    header_bytes = (ip[0] & 0xfu) * 4;
    if (header_bytes < IPV4_HEADER_BYTES || !range_fits(h->ip, header_bytes, head_bytes))
        return;
    h->protocol = ip[IPV4_PROTOCOL];
    h->is_fragment = get_be16(ip + IPV4_FRAGMENT) & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET);
    h->transport = (uint16_t)(h->ip + header_bytes);
}

static bool is_extension(uint8_t header)
{
    return header == IPV6_HOP_BY_HOP || header == IPV6_ROUTING || header == IPV6_DESTINATION;
}

static void find_ipv6(struct net_headers *h, const uint8_t *head, uint32_t head_bytes)
{
    uint32_t at = h->ip + IPV6_HEADER_BYTES;
    uint8_t next;

    if (at > head_bytes || head[h->ip] >> 4 != 6)
        return;
    next = head[h->ip + IPV6_NEXT_HEADER];
    for (unsigned i = 0; i < EXTENSIONS_MAX && is_extension(next); i++) {
        if (!range_fits(at, 2, head_bytes))
            return;
        next = head[at];
        at += (head[at + 1] + 1u) * 8;
    }
    if (at > head_bytes || is_extension(next))
        return;
    h->protocol = next;
    h->is_fragment = next == IPV6_FRAGMENT;
    h->transport = (uint16_t)at;
}

void net_headers_find(struct net_headers *h, const uint8_t *head, uint32_t head_bytes)
{
    *h = (struct net_headers){.type = get_be16(head + ETHERNET_TYPE), .ip = NET_ETHERNET_BYTES};
    if (h->type == ETHERTYPE_VLAN && head_bytes >= NET_ETHERNET_BYTES + NET_VLAN_TAG_BYTES) {
        h->ip += NET_VLAN_TAG_BYTES;
        h->type = get_be16(head + h->ip - sizeof(uint16_t));
    }
    if (h->type == ETHERTYPE_IPV4)
        find_ipv4(h, head, head_bytes);
    else if (h->type == ETHERTYPE_IPV6)
        find_ipv6(h, head, head_bytes);
}

/* Sums do not depend on the order, so that a connection's two directions give the same. */
static uint32_t sum_of_words(const uint8_t *bytes, uint32_t count)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < count; i++)
        sum += get_le32(bytes + i * sizeof sum);
    return sum;
}

uint32_t net_headers_flow(const uint8_t *head, uint32_t head_bytes)
{
    struct net_headers h;
    uint32_t sum;

    net_headers_find(&h, head, head_bytes);
    sum = h.type;
    if (h.transport && h.type == ETHERTYPE_IPV4)
        sum += sum_of_words(head + h.ip + IPV4_ADDRESSES, IPV4_ADDRESSES_BYTES / 4);
    else if (h.transport)
        sum += sum_of_words(head + h.ip + IPV6_ADDRESSES, IPV6_ADDRESSES_BYTES / 4);
    if (h.transport && !h.is_fragment && range_fits(h.transport, 4, head_bytes) &&
        (h.protocol == IP_PROTOCOL_TCP || h.protocol == IP_PROTOCOL_UDP))
        sum += (uint32_t)get_be16(head + h.transport) + get_be16(head + h.transport + 2);
    sum *= 0x9e3779b1u; /* Knuth's multiplicative hash: the high bits depend on all */
    return sum >> 16 | 1u << 31;
}

static uint16_t fold64(uint64_t sum)
{
    sum = (sum >> 32) + (sum & UINT32_MAX);
    sum = (sum >> 32) + (sum & UINT32_MAX);
    return net_sum_fold(net_sum_fold((uint32_t)sum));
}

/* Summed as the CPU's own words; of the result only the order of its two bytes depends on that. */
uint32_t net_sum(uint32_t sum, const uint8_t *bytes, uint32_t size_bytes, bool is_odd)
{
    uint64_t words = 0;
    uint16_t folded;

    for (; size_bytes >= 4; bytes += 4, size_bytes -= 4)
        words += get_le32(bytes);
    if (size_bytes & 2) {
        words += get_le16(bytes);
        bytes += 2;
    }
    if (size_bytes & 1)
        words += *bytes;
    folded = fold64(words);
    if (!is_odd)
        folded = (uint16_t)(folded << 8 | folded >> 8);
    return (uint32_t)net_sum_fold(sum) + folded;
}
