/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: headers are found where the RFCs put them, behind a tag, options and extensions, and nothing is found that does not
 * lie in the head; both directions of a connection are one flow, and a fragment has no ports.
 */
#include "tests/host/fake/fake.h"
#include "drivers/net/headers.h"

#define HEAD_BYTES 192u

static uint8_t head[HEAD_BYTES];
static struct net_headers h;

static void begin(bool is_tagged, uint16_t type)
{
    memset(head, 0, sizeof head);
    put_be16(head + ETHERNET_TYPE, is_tagged ? ETHERTYPE_VLAN : type);
    if (is_tagged)
        put_be16(head + ETHERNET_TYPE + 4, type);
}

static uint8_t *begin_ipv4(bool is_tagged, unsigned words, uint8_t protocol)
{
    uint8_t *ip = head + (is_tagged ? 18 : 14);

    begin(is_tagged, ETHERTYPE_IPV4);
    ip[0] = (uint8_t)(0x40 | words);
    ip[IPV4_PROTOCOL] = protocol;
    return ip;
}

static uint8_t *begin_ipv6(uint8_t next)
{
    begin(false, ETHERTYPE_IPV6);
    head[14] = 0x60;
    head[14 + IPV6_NEXT_HEADER] = next;
    return head + 14;
}

static void expect(uint8_t protocol, unsigned transport, bool is_fragment)
{
    net_headers_find(&h, head, HEAD_BYTES);
    assert_int_equal(h.protocol, protocol);
    assert_int_equal(h.transport, transport);
    assert_int_equal(h.is_fragment, is_fragment);
}

static void expect_nothing(uint32_t head_bytes)
{
    net_headers_find(&h, head, head_bytes);
    assert_int_equal(h.transport, 0);
}

static void ipv4(void **state)
{
    uint8_t *ip;

    (void)state;
    begin_ipv4(false, 5, IP_PROTOCOL_TCP);
    expect(IP_PROTOCOL_TCP, 34, false);
    begin_ipv4(true, 5, IP_PROTOCOL_UDP);
    expect(IP_PROTOCOL_UDP, 38, false);
    ip = begin_ipv4(false, 15, IP_PROTOCOL_TCP); /* options */
    expect(IP_PROTOCOL_TCP, 74, false);
    put_be16(ip + IPV4_FRAGMENT, IPV4_MORE_FRAGMENTS);
    expect(IP_PROTOCOL_TCP, 74, true);
    put_be16(ip + IPV4_FRAGMENT, 1);
    expect(IP_PROTOCOL_TCP, 74, true);
    put_be16(ip + IPV4_FRAGMENT, 0x4000); /* "don't" is none */
    expect(IP_PROTOCOL_TCP, 74, false);
}

static void ipv4_that_is_none(void **state)
{
    uint8_t *ip = begin_ipv4(false, 5, IP_PROTOCOL_TCP);

    (void)state;
    expect_nothing(33);
    ip[0] = 0x44; /* shorter than a header */
    expect_nothing(HEAD_BYTES);
    ip[0] = 0x65;
    expect_nothing(HEAD_BYTES);
    ip[0] = 0x4f;
    expect_nothing(14 + 59);
    begin(false, 0x0806);
    expect_nothing(HEAD_BYTES);
    begin_ipv4(true, 5, IP_PROTOCOL_TCP);
    expect_nothing(14); /* cut off at the tag */
}

static void ipv6(void **state)
{
    uint8_t *ip = begin_ipv6(IP_PROTOCOL_UDP);

    (void)state;
    expect(IP_PROTOCOL_UDP, 54, false);
    ip[IPV6_NEXT_HEADER] = IPV6_HOP_BY_HOP;
    ip[40] = IPV6_ROUTING;
    ip[48] = IPV6_DESTINATION;
    ip[49] = 1; /* 16 bytes */
    ip[64] = IP_PROTOCOL_TCP;
    expect(IP_PROTOCOL_TCP, 14 + 72, false);
    begin_ipv6(IPV6_FRAGMENT);
    expect(IPV6_FRAGMENT, 54, true);
}

static void ipv6_that_is_none(void **state)
{
    uint8_t *ip = begin_ipv6(IP_PROTOCOL_TCP);

    (void)state;
    expect_nothing(53);
    ip[0] = 0x40;
    expect_nothing(HEAD_BYTES);
    ip = begin_ipv6(IPV6_HOP_BY_HOP);
    expect_nothing(54); /* the extension is not in the head */
    expect_nothing(55);
    ip[40] = IP_PROTOCOL_TCP;
    ip[41] = 0xff; /* and this one ends outside of it */
    expect_nothing(HEAD_BYTES);
    for (unsigned at = IPV6_HEADER_BYTES; at < 140; at += 8)
        ip[at] = IPV6_HOP_BY_HOP; /* more than anybody sends */
    ip[41] = 0;
    expect_nothing(HEAD_BYTES);
}

static uint32_t flow(void)
{
    return net_headers_flow(head, HEAD_BYTES);
}

static void both_directions_are_one_flow(void **state)
{
    uint8_t *ip = begin_ipv6(IP_PROTOCOL_TCP);
    uint32_t there;

    (void)state;
    ip[IPV6_ADDRESSES] = 1;
    ip[IPV6_ADDRESSES + 16] = 2;
    put_be16(ip + 40, 1000);
    put_be16(ip + 42, 80);
    there = flow();
    assert_int_not_equal(there, 0);
    ip[IPV6_ADDRESSES] = 2;
    ip[IPV6_ADDRESSES + 16] = 1;
    put_be16(ip + 40, 80);
    put_be16(ip + 42, 1000);
    assert_int_equal(flow(), there);
    put_be16(ip + 42, 1001);
    assert_int_not_equal(flow(), there);
}

static void a_fragment_has_no_ports(void **state)
{
    uint8_t *ip = begin_ipv4(false, 5, IP_PROTOCOL_UDP);
    uint32_t first;

    (void)state;
    put_be16(ip + IPV4_FRAGMENT, IPV4_MORE_FRAGMENTS);
    put_be16(ip + 20, 1000);
    first = flow();
    put_be16(ip + IPV4_FRAGMENT, 100);
    put_be16(ip + 20, 0x5555); /* data */
    assert_int_equal(flow(), first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4), cmocka_unit_test(ipv4_that_is_none), cmocka_unit_test(ipv6),
        cmocka_unit_test(ipv6_that_is_none), cmocka_unit_test(both_directions_are_one_flow),
        cmocka_unit_test(a_fragment_has_no_ports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
