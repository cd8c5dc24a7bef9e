/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the switch reads of a frame: Ethernet, one VLAN tag, IPv4 or IPv6, TCP or UDP. Works on the head
 * of a packet only, which no guest can change; whatever does not lie in it is not there.
 */
#ifndef DRIVERS_NET_HEADERS_H
#define DRIVERS_NET_HEADERS_H

#include "kernel/lib/types.h"

#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_IPV6 0x86ddu
#define ETHERTYPE_VLAN 0x8100u
#define ETHERTYPE_SERVICE_VLAN 0x88a8u

#define ETHERNET_SOURCE 6u
#define ETHERNET_TYPE   12u

#define VLAN_ID_BITS 0x0fffu

#define IP_PROTOCOL_TCP 6u
#define IP_PROTOCOL_UDP 17u

#define IPV4_HEADER_BYTES     20u
#define IPV4_TOTAL_LENGTH     2u
#define IPV4_IDENTIFICATION   4u
#define IPV4_FRAGMENT         6u
#define IPV4_MORE_FRAGMENTS   0x2000u
#define IPV4_FRAGMENT_OFFSET  0x1fffu
#define IPV4_PROTOCOL         9u
#define IPV4_CHECKSUM         10u
#define IPV4_ADDRESSES        12u /* source and destination, 4 bytes each */
#define IPV4_ADDRESSES_BYTES  8u

#define IPV6_HEADER_BYTES          40u
#define IPV6_PAYLOAD_LENGTH        4u
#define IPV6_NEXT_HEADER           6u
#define IPV6_ADDRESSES             8u
#define IPV6_ADDRESSES_BYTES       32u
#define IPV6_HOP_BY_HOP            0u
#define IPV6_ROUTING               43u
#define IPV6_FRAGMENT              44u
#define IPV6_DESTINATION           60u
#define IPV6_FRAGMENT_HEADER_BYTES 8u

#define TCP_HEADER_BYTES 20u
#define TCP_SEQUENCE     4u
#define TCP_DATA_OFFSET  12u
#define TCP_FLAGS        13u
#define TCP_FIN          0x01u
#define TCP_PSH          0x08u
#define TCP_CWR          0x80u
#define TCP_CHECKSUM     16u

#define UDP_HEADER_BYTES 8u
#define UDP_LENGTH       4u
#define UDP_CHECKSUM     6u

/* Where the headers of a packet are. */
struct net_headers {
    uint16_t type; /* behind a tag */
    uint16_t ip;   /* offset of what the type says */
    bool is_fragment;
    uint8_t protocol;
    uint16_t transport; /* offset; 0: no IP header, or its end is not in the head */
};

static inline uint16_t get_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get_be32(const uint8_t *p)
{
    return (uint32_t)get_be16(p) << 16 | get_be16(p + 2);
}

static inline void put_be16(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static inline void put_be32(uint8_t *p, uint32_t value)
{
    put_be16(p, value >> 16);
    put_be16(p + 2, (uint16_t)value);
}

/* The head has at least an Ethernet header. */
void net_headers_find(struct net_headers *h, const uint8_t *head, uint32_t head_bytes);

/* Never 0; the same for both directions of a connection. */
uint32_t net_headers_flow(const uint8_t *head, uint32_t head_bytes);

/*
 * The one's complement sum (RFC 1071) of bytes, added to sum. The bytes start at an even offset of what is
 * summed unless is_odd.
 */
uint32_t net_sum(uint32_t sum, const uint8_t *bytes, uint32_t size_bytes, bool is_odd);

static inline uint16_t net_sum_fold(uint32_t sum)
{
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)(sum + (sum >> 16));
}

#endif
