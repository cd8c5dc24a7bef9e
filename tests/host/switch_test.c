/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a frame reaches exactly the ports that its address, its VLAN and the ports' rules allow; what a port sends
 * from made-up addresses takes no other port's place; and a port that is gone is never delivered to.
 */
#include "tests/host/fake/fake.h"
#include "drivers/net/headers.h"
#include "drivers/net/switch.h"
#include <errno.h>

#define PORTS 5u

/* A card that records. */
struct card {
    struct net_card card;
    struct switch_port *port;
    unsigned frames, flushes;
    uint8_t last[2000];
    uint32_t last_bytes;
};

static struct net_switch net_switch;
static struct card cards[PORTS];
static uint8_t head[NET_HEAD_BYTES + NET_VLAN_TAG_BYTES];
static struct net_span spans[2];
static uint8_t body[2000];

static enum net_result record(void *context, const struct net_frame *frame)
{
    struct card *c = context;

    memcpy(c->last, frame->head, frame->head_bytes);
    if (frame->body_bytes)
        memcpy(c->last + frame->head_bytes, frame->body->bytes + frame->skip_bytes, frame->body_bytes);
    c->last_bytes = frame->head_bytes + frame->body_bytes;
    c->frames++;
    return NET_OK;
}

static void count_flush(void *context)
{
    ((struct card *)context)->flushes++;
}

static void plug(unsigned number, struct switch_port_config config)
{
    struct card *c = &cards[number];

    memcpy(config.mac, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)number}, NET_MAC_BYTES);
    config.mtu = 1500;
    assert_int_equal(switch_attach(&net_switch, &config, &c->port), 0);
    c->card = (struct net_card){.receive = record, .flush = count_flush, .context = c};
    netdev_plug(&c->port->netdev, &c->card);
}

static int set_up(void **state)
{
    (void)state;
    fake_clock_reset();
    memset(cards, 0, sizeof cards);
    switch_init(&net_switch, "lan0", 7);
    return 0;
}

static const uint8_t *mac_of(unsigned number)
{
    static uint8_t mac[NET_MAC_BYTES] = {2};

    mac[5] = (uint8_t)number;
    return mac;
}

static const uint8_t broadcast[] = {255, 255, 255, 255, 255, 255};

static void send_bytes(unsigned from, const uint8_t *bytes, uint32_t size_bytes)
{
    struct net_packet packet = {.head = head, .spans = spans, .size_bytes = size_bytes};

    packet.head_bytes = MIN(size_bytes, NET_HEAD_BYTES);
    memcpy(head, bytes, packet.head_bytes);
    memcpy(body, bytes + packet.head_bytes, size_bytes - packet.head_bytes);
    spans[0] = (struct net_span){head, packet.head_bytes};
    spans[1] = (struct net_span){body, size_bytes - packet.head_bytes};
    cards[from].port->netdev.ops->send(cards[from].port, &packet);
    cards[from].port->netdev.ops->flush(cards[from].port);
}

/* tag: 0 none, else the tag's 16 bits below 0x81000000. */
static void send_tagged(unsigned from, const uint8_t *source, const uint8_t *destination, int tag)
{
    uint8_t frame[400];
    unsigned at = 12;

    memset(frame, 0x77, sizeof frame);
    memcpy(frame, destination, NET_MAC_BYTES);
    memcpy(frame + NET_MAC_BYTES, source, NET_MAC_BYTES);
    if (tag >= 0) {
        put_be16(frame + at, ETHERTYPE_VLAN);
        put_be16(frame + at + 2, (unsigned)tag);
        at += 4;
    }
    put_be16(frame + at, 0x88b5);
    send_bytes(from, frame, sizeof frame);
}

static void send_from(unsigned from, const uint8_t *destination)
{
    uint8_t source[NET_MAC_BYTES], to[NET_MAC_BYTES];

    memcpy(to, destination, sizeof to);
    memcpy(source, mac_of(from), sizeof source);
    send_tagged(from, source, to, -1);
}

/* Exactly the ports of the mask got a frame since the last call. */
static void expect_at(unsigned mask)
{
    for (unsigned i = 0; i < PORTS; i++) {
        if (cards[i].frames != (mask >> i & 1))
            fail_msg("port %u got %u frames", i, cards[i].frames);
        assert_int_equal(cards[i].flushes, mask >> i & 1);
        cards[i].frames = cards[i].flushes = 0;
    }
}

static const struct switch_port_config plain = {.checks_source = true};
static const struct switch_port_config open_port = {.checks_source = false};

static void a_known_address_gets_it_alone_and_a_group_all(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PORTS; i++)
        plug(i, plain);
    send_from(0, mac_of(3));
    expect_at(1u << 3);
    send_from(0, broadcast);
    expect_at(0x1e);
    send_from(0, (const uint8_t[]){0x33, 0x33, 0, 0, 0, 1});
    expect_at(0x1e);
    send_from(0, (const uint8_t[]){2, 9, 9, 9, 9, 9}); /* nobody knows it */
    expect_at(0x1e);
    send_from(0, mac_of(0)); /* itself */
    expect_at(0);
    assert_int_equal(cards[0].port->send_drops[NET_DROP_NOWHERE], 1);
    assert_int_equal(cards[0].port->sent.packets, 5);
    assert_int_equal(cards[3].port->received.bytes, 4 * 400);
}

static void it_learns_and_forgets(void **state)
{
    static const uint8_t mobile[] = {2, 1, 1, 1, 1, 1};

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        plug(i, open_port);
    send_tagged(1, mobile, broadcast, -1);
    expect_at(0xd);
    send_from(0, mobile);
    expect_at(1u << 1);
    send_tagged(2, mobile, broadcast, -1); /* it moved */
    expect_at(0xb);
    send_from(0, mobile);
    expect_at(1u << 2);
    fake_clock_advance((uint64_t)MAC_TABLE_AGE_SECONDS * FAKE_HZ + 1);
    send_from(0, mobile);
    expect_at(0xe);
}

static void an_address_of_the_description_cannot_be_taken(void **state)
{
    uint8_t victim[NET_MAC_BYTES];

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        plug(i, open_port);
    memcpy(victim, mac_of(1), sizeof victim);
    send_tagged(2, victim, broadcast, -1);
    expect_at(0x3);
    send_from(0, mac_of(1));
    expect_at(1u << 1);
}

static void a_flood_of_addresses_costs_its_port_only(void **state)
{
    static const uint8_t friend[] = {2, 0xaa, 0, 0, 0, 1};
    uint64_t learned = 0;

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        plug(i, open_port);
    send_tagged(1, friend, broadcast, -1);
    expect_at(0xd);
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t fake[NET_MAC_BYTES] = {2, 0xbb, 0, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

        fake_clock++;
        send_tagged(2, fake, mac_of(0), -1);
        assert_true(net_switch.macs.learned[2] <= MAC_TABLE_LEARNED_MAX);
    }
    cards[0].frames = cards[0].flushes = 0;
    send_from(0, friend);
    expect_at(1u << 1);
    for (unsigned i = 0; i < MAC_TABLE_BUCKETS; i++)
        for (unsigned w = 0; w < MAC_TABLE_WAYS; w++)
            learned += net_switch.macs.buckets[i].entries[w].key.value && net_switch.macs.buckets[i].entries[w].port == 2;
    assert_int_equal(learned, net_switch.macs.learned[2] + 1); /* and its own */
}

static void a_checked_port_sends_from_its_address_only(void **state)
{
    (void)state;
    plug(0, plain);
    plug(1, plain);
    send_tagged(0, (const uint8_t[]){2, 0, 0, 0, 0, 1}, broadcast, -1);
    send_tagged(0, (const uint8_t[]){3, 0, 0, 0, 0, 0}, broadcast, -1);
    expect_at(0);
    assert_int_equal(cards[0].port->send_drops[NET_DROP_SPOOFED], 2);
}

static void what_bridges_do_not_forward_ends_here(void **state)
{
    (void)state;
    plug(0, plain);
    plug(1, plain);
    send_from(0, (const uint8_t[]){0x01, 0x80, 0xc2, 0, 0, 0x0e});
    expect_at(0);
    send_from(0, (const uint8_t[]){0x01, 0x80, 0xc2, 0, 0, 0x10});
    expect_at(2);
    assert_int_equal(cards[0].port->send_drops[NET_DROP_RESERVED], 1);
}

static void vlans_do_not_meet(void **state)
{
    struct switch_port_config ten = plain, twenty = plain, trunk = plain;

    (void)state;
    ten.vlan = 10;
    twenty.vlan = 20;
    trunk.is_trunk = true;
    plug(0, ten);
    plug(1, ten);
    plug(2, twenty);
    plug(3, plain);
    plug(4, trunk);
    send_from(0, broadcast);
    assert_int_equal(get_be16(cards[4].last + 12), ETHERTYPE_VLAN);
    assert_int_equal(get_be16(cards[4].last + 14), 10);
    assert_int_equal(get_be16(cards[4].last + 16), 0x88b5);
    assert_int_equal(cards[4].last_bytes, 404);
    assert_int_equal(get_be16(cards[1].last + 12), 0x88b5);
    assert_int_equal(cards[1].last_bytes, 400);
    expect_at(1u << 1 | 1u << 4);
    send_from(0, mac_of(2)); /* known, but elsewhere */
    expect_at(1u << 1 | 1u << 4);
    send_from(3, broadcast);
    assert_int_equal(cards[4].last_bytes, 400);
    expect_at(1u << 4);
    send_tagged(0, mac_of(0), broadcast, 20); /* a tag on an access port */
    send_tagged(0, mac_of(0), broadcast, 0);
    expect_at(0);
    assert_int_equal(cards[0].port->send_drops[NET_DROP_VLAN], 2);
    send_tagged(4, mac_of(4), broadcast, 20);
    assert_int_equal(cards[2].last_bytes, 396);
    assert_int_equal(get_be16(cards[2].last + 12), 0x88b5);
    expect_at(1u << 2);
    send_tagged(4, mac_of(4), broadcast, 0xe000 | 10); /* with a priority */
    expect_at(3);
    send_tagged(4, mac_of(4), broadcast, 0); /* priority only */
    expect_at(1u << 3);
    send_tagged(4, mac_of(4), broadcast, 4095);
    expect_at(0);
    send_tagged(3, mac_of(3), broadcast, 10); /* may not come out of the trunk as VLAN 10 */
    expect_at(0);
    assert_int_equal(cards[4].port->receive_drops[NET_DROP_VLAN], 1);
}

/* A trunk's guest takes the tag inside for a VLAN of its own if the outer one says none: Linux does. */
static void a_tag_does_not_hide_behind_another(void **state)
{
    struct switch_port_config ten = plain, trunk = plain, trunk_ten = plain;
    uint8_t frame[400] = {0};

    (void)state;
    ten.vlan = trunk_ten.vlan = 10;
    trunk.is_trunk = trunk_ten.is_trunk = true;
    plug(0, plain);
    plug(1, trunk);
    plug(2, ten);
    plug(3, trunk_ten);
    put_be16(frame + 12, ETHERTYPE_SERVICE_VLAN);
    put_be16(frame + 16, ETHERTYPE_VLAN);
    put_be16(frame + 18, 7);
    for (unsigned from = 0; from <= 2; from += 2) {
        memcpy(frame, broadcast, NET_MAC_BYTES);
        memcpy(frame + NET_MAC_BYTES, mac_of(from), NET_MAC_BYTES);
        send_bytes(from, frame, sizeof frame);
    }
    assert_int_equal(cards[1].port->receive_drops[NET_DROP_VLAN], 1);
    assert_int_equal(cards[3].port->receive_drops[NET_DROP_VLAN], 2); /* and VLAN 0's, which no tag says to it */
    assert_int_equal(get_be16(cards[1].last + 12), ETHERTYPE_VLAN);
    assert_int_equal(get_be16(cards[1].last + 14), 10);
    expect_at(1u << 1);
}

static void isolated_ports_meet_only_the_others(void **state)
{
    struct switch_port_config isolated = plain;

    (void)state;
    isolated.is_isolated = true;
    plug(0, isolated);
    plug(1, isolated);
    plug(2, plain);
    send_from(0, broadcast);
    expect_at(1u << 2);
    send_from(0, mac_of(1));
    expect_at(0);
    send_from(2, mac_of(1));
    expect_at(1u << 1);
    send_from(1, mac_of(2));
    expect_at(1u << 2);
}

static void a_port_that_is_gone_gets_nothing(void **state)
{
    (void)state;
    plug(0, plain);
    plug(1, plain);
    switch_detach(cards[1].port);
    send_from(0, mac_of(1));
    send_from(0, broadcast);
    expect_at(0);
    plug(2, plain); /* takes its place, and not its address */
    assert_ptr_equal(cards[1].port, cards[2].port);
    send_from(0, mac_of(1));
    expect_at(1u << 2);
    assert_int_equal(cards[2].port->received.packets, 1);
    netdev_plug(&cards[2].port->netdev, NULL);
    send_from(0, mac_of(2));
    expect_at(0);
}

static void ports_and_addresses_run_out(void **state)
{
    struct switch_port_config config = plain;
    struct switch_port *port;

    (void)state;
    for (unsigned i = 0; i < SWITCH_PORTS_MAX; i++) {
        memcpy(config.mac, (uint8_t[]){2, 0, 0, 0, 1, (uint8_t)i}, NET_MAC_BYTES);
        assert_int_equal(switch_attach(&net_switch, &config, &port), 0);
    }
    memcpy(config.mac, (uint8_t[]){2, 0, 0, 0, 2, 0}, NET_MAC_BYTES);
    assert_int_equal(switch_attach(&net_switch, &config, &port), -ENOSPC);
    switch_detach(port);
    memcpy(config.mac, (uint8_t[]){2, 0, 0, 0, 1, 7}, NET_MAC_BYTES);
    assert_int_equal(switch_attach(&net_switch, &config, &port), -EEXIST);
    config.vlan = 5;
    assert_int_equal(switch_attach(&net_switch, &config, &port), 0);
}

static uint64_t ready_at(unsigned number)
{
    return cards[number].port->netdev.ops->ready_at(cards[number].port);
}

/* 400 bytes at 1 Mbit/s are 3.2 ms; for everybody, three times that. One that reaches nobody is paid for, too. */
static void a_rate_counts_each_copy(void **state)
{
    const uint64_t burst = SWITCH_BURST_MS * (FAKE_HZ / 1000), packet = FAKE_HZ / 1000000 * 3200;

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        plug(i, (struct switch_port_config){.rate = 1000000});
    fake_clock_advance(burst);
    send_from(0, mac_of(1));
    assert_int_equal(ready_at(0), packet);
    send_from(1, broadcast);
    assert_int_equal(ready_at(1), 3 * packet);
    send_tagged(2, mac_of(2), mac_of(1), 5); /* no trunk */
    assert_int_equal(ready_at(2), packet);
}

/* What its guest had sent before is on its way through the switch while the port goes. */
static void a_port_that_is_gone_is_not_learned_again(void **state)
{
    const uint8_t mine[NET_MAC_BYTES] = {2, 0, 0, 0, 1, 1};

    (void)state;
    plug(0, (struct switch_port_config){0});
    plug(1, (struct switch_port_config){0});
    switch_detach(cards[0].port);
    send_tagged(0, mine, broadcast, -1);
    assert_int_equal(mac_table_find(&net_switch.macs, mac_key(mine, 0)), MAC_TABLE_PORT_NONE);
    plug(0, (struct switch_port_config){0});
    send_tagged(0, mine, broadcast, -1);
    assert_int_equal(mac_table_find(&net_switch.macs, mac_key(mine, 0)), cards[0].port->number);
}

static void results_have_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < NET_RESULTS; i++)
        assert_non_null(switch_result_name(i));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(a_known_address_gets_it_alone_and_a_group_all),
        TEST(it_learns_and_forgets),
        TEST(an_address_of_the_description_cannot_be_taken),
        TEST(a_flood_of_addresses_costs_its_port_only),
        TEST(a_checked_port_sends_from_its_address_only),
        TEST(what_bridges_do_not_forward_ends_here),
        TEST(vlans_do_not_meet),
        TEST(a_tag_does_not_hide_behind_another),
        TEST(isolated_ports_meet_only_the_others),
        TEST(a_port_that_is_gone_gets_nothing),
        TEST(ports_and_addresses_run_out),
        TEST(a_rate_counts_each_copy),
        TEST(a_port_that_is_gone_is_not_learned_again),
        TEST(results_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
