/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a command does what VIRTIO 1.2, "Control Virtqueue", says, to the card that got it; one that makes no sense, was not
 * negotiated or is cut off is answered with an error and changes nothing.
 */
#include "tests/host/fake/net_rig.h"
#include "kernel/lib/bytes.h"

#define FEATURES (VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_VLAN | VIRTIO_NET_F_CTRL_MAC_ADDR | \
                  VIRTIO_NET_F_CTRL_GUEST_OFFLOADS | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_MAC)
#define ACK_AT   (GUEST_BUFFERS + 0x1000)
#define CONTROL  2u /* the queue behind the only pair */

static struct rig_guest *a, *b;
static struct rig_frame got;

/* A card that may have another address. */
static struct rig_guest *add(unsigned number, uint64_t features, unsigned pairs)
{
    struct switch_port_config config = rig_config();

    config.checks_source = false;
    return rig_add(number, config, features, pairs);
}

static int set_up(void **state)
{
    (void)state;
    rig_start();
    a = rig_add(0, rig_config(), 0, 1);
    b = add(1, FEATURES, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_stop();
    return 0;
}

/* The acknowledgement. */
static uint8_t command_on(unsigned queue, uint8_t class, uint8_t command, const void *data, uint32_t bytes)
{
    struct guest *g = &b->guest;
    struct buffer buffers[] = {{GUEST_BUFFERS, 2 + bytes, 0}, {ACK_AT, 1, VIRTQ_DESC_F_WRITE}};
    uint8_t *at = guest_at(g, GUEST_BUFFERS), *ack = guest_at(g, ACK_AT);

    at[0] = class;
    at[1] = command;
    if (bytes)
        memcpy(at + 2, data, bytes);
    *ack = 0x55;
    driver_add(g, &g->queues[queue], buffers, 2);
    driver_kick(g, &g->queues[queue]);
    return *ack;
}

#define OK(class, command, value)                                                                           \
    assert_int_equal(command_on(CONTROL, class, command, &(value), sizeof(value)), VIRTIO_NET_OK)
#define ERROR(class, command, value)                                                                        \
    assert_int_equal(command_on(CONTROL, class, command, &(value), sizeof(value)), VIRTIO_NET_ERR)

static void set_mode(uint8_t mode, uint8_t on)
{
    OK(VIRTIO_NET_CTRL_RX, mode, on);
}

/* Does a frame to that address reach b's guest? */
static bool hears(const uint8_t mac[NET_MAC_BYTES])
{
    uint8_t frame[60] = {0};

    rig_ethernet(frame, a, b, 0x88b5);
    memcpy(frame, mac, NET_MAC_BYTES);
    rig_fill(b, 1, RIG_BUFFER);
    rig_send(a, NULL, frame, sizeof frame);
    return rig_receive(b, &got);
}

static bool hears_vlan(uint16_t id)
{
    uint8_t frame[64] = {0};

    rig_ethernet(frame, a, b, 0x8100);
    frame[14] = (uint8_t)(id >> 8);
    frame[15] = (uint8_t)id;
    return virtio_net_wants(&b->net.filter, frame, sizeof frame);
}

static const uint8_t broadcast[NET_MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t group[NET_MAC_BYTES] = {0x33, 0x33, 0, 0, 0, 1};
static const uint8_t stranger[NET_MAC_BYTES] = {2, 0, 0, 0, 0, 0x77}; /* of nobody: the switch floods it */

static void at_first_every_address_passes(void **state)
{
    (void)state;
    assert_true(hears(b->mac) && hears(broadcast) && hears(group) && hears(stranger));
}

static void modes_choose(void **state)
{
    (void)state;
    set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
    assert_true(hears(b->mac) && hears(broadcast));
    assert_false(hears(group));
    assert_false(hears(stranger));
    set_mode(VIRTIO_NET_CTRL_RX_ALLMULTI, 1);
    assert_true(hears(group));
    set_mode(VIRTIO_NET_CTRL_RX_NOMULTI, 1);
    assert_false(hears(group));
    set_mode(VIRTIO_NET_CTRL_RX_ALLUNI, 1);
    assert_true(hears(stranger));
    set_mode(VIRTIO_NET_CTRL_RX_NOUNI, 1);
    assert_false(hears(b->mac));
    set_mode(VIRTIO_NET_CTRL_RX_NOBCAST, 1);
    assert_false(hears(broadcast));
    set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 1);
    assert_true(hears(b->mac) && hears(broadcast) && hears(stranger));
}

static uint32_t put_macs(uint8_t *to, uint32_t count, const uint8_t mac[NET_MAC_BYTES])
{
    put_le32(to, count);
    for (uint32_t i = 0; i < count; i++)
        memcpy(to + 4 + i * NET_MAC_BYTES, mac, NET_MAC_BYTES);
    return 4 + count * NET_MAC_BYTES;
}

static void addresses_are_added(void **state)
{
    uint8_t table[4096];
    uint32_t bytes = put_macs(table, 1, stranger);

    (void)state;
    set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
    bytes += put_macs(table + bytes, 2, group);
    assert_int_equal(command_on(CONTROL, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, bytes), VIRTIO_NET_OK);
    assert_true(hears(stranger) && hears(group));
    bytes = put_macs(table, 0, NULL);
    bytes += put_macs(table + bytes, 0, NULL);
    assert_int_equal(command_on(CONTROL, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, bytes), VIRTIO_NET_OK);
    assert_false(hears(stranger));
    assert_false(hears(group));
}

static void more_addresses_than_fit_are_all(void **state)
{
    uint8_t table[4096];
    uint32_t bytes = put_macs(table, VIRTIO_NET_MACS_MAX + 1, b->mac);

    (void)state;
    set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
    bytes += put_macs(table + bytes, 0, NULL);
    assert_int_equal(command_on(CONTROL, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, bytes), VIRTIO_NET_OK);
    assert_true(hears(stranger));
    assert_false(hears(group));
}

/* The first list is proper, so it is the second one that must not leave it behind. */
static void a_table_that_is_cut_off_changes_nothing(void **state)
{
    uint8_t table[64];
    uint32_t bytes = put_macs(table, 1, stranger);

    (void)state;
    set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
    put_le32(table + bytes, 2);
    for (uint32_t size = 0; size < bytes + 4 + NET_MAC_BYTES; size++)
        assert_int_equal(command_on(CONTROL, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, size),
                         VIRTIO_NET_ERR);
    put_le32(table, UINT32_MAX);
    assert_int_equal(command_on(CONTROL, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, sizeof table),
                     VIRTIO_NET_ERR);
    assert_false(hears(stranger));
}

static void another_address_until_it_is_reset(void **state)
{
    uint8_t permanent[NET_MAC_BYTES];

    (void)state;
    memcpy(permanent, b->mac, sizeof permanent);
    set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
    OK(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, stranger);
    assert_true(hears(stranger));
    assert_false(hears(permanent));
    assert_memory_equal(b->net.config.mac, stranger, NET_MAC_BYTES);
    guest_write_register(&b->guest, VIRTIO_MMIO_STATUS, 0);
    assert_memory_equal(b->net.config.mac, permanent, NET_MAC_BYTES);
}

/* Who negotiated the filter gets no tagged frame that it did not ask for; who did not gets all. */
static void vlans_are_chosen(void **state)
{
    uint16_t five = 5, last = VIRTIO_NET_VLANS - 1, beyond = VIRTIO_NET_VLANS;

    (void)state;
    assert_false(hears_vlan(5));
    OK(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, five);
    OK(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, last);
    ERROR(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, beyond);
    assert_true(hears_vlan(5) && hears_vlan(last));
    assert_false(hears_vlan(6));
    OK(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, five);
    assert_false(hears_vlan(5));
    b = add(2, FEATURES & ~(uint64_t)VIRTIO_NET_F_CTRL_VLAN, 1);
    assert_true(hears_vlan(5));
}

static void offloads_are_those_that_were_negotiated(void **state)
{
    uint64_t none = 0, some = VIRTIO_NET_F_GUEST_CSUM, others = VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_UFO;

    (void)state;
    OK(VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, none);
    assert_int_equal(b->net.card.offloads, virtio_net_offloads_of(0));
    ERROR(VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, others);
    assert_int_equal(b->net.card.offloads, virtio_net_offloads_of(0));
    OK(VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, some);
    assert_int_equal(b->net.card.offloads, virtio_net_offloads_of(VIRTIO_NET_F_GUEST_CSUM));
}

static void pairs_are_as_many_as_there_are(void **state)
{
    static const uint16_t wrong[] = {0, 3, 0xffff};
    uint16_t two = 2;

    (void)state;
    ERROR(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, two); /* not negotiated */
    b = add(2, FEATURES | VIRTIO_NET_F_MQ, 2);
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(command_on(4, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &wrong[i], 2), VIRTIO_NET_ERR);
    assert_int_equal(b->net.active_pairs, 1);
    assert_int_equal(command_on(4, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &two, 2), VIRTIO_NET_OK);
    assert_int_equal(b->net.active_pairs, 2);
}

static void what_is_no_command_is_an_error(void **state)
{
    static const uint8_t nonsense[][2] = {
        {VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_COMMANDS}, {VIRTIO_NET_CTRL_MAC, 7}, {VIRTIO_NET_CTRL_VLAN, 2}, {3, 0},
        {VIRTIO_NET_CTRL_MQ, 1}, {VIRTIO_NET_CTRL_GUEST_OFFLOADS, 1}, {6, 0}, {0xff, 0xff},
    };
    uint64_t data = 1;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(nonsense); i++) {
        assert_int_equal(command_on(CONTROL, nonsense[i][0], nonsense[i][1], &data, sizeof data), VIRTIO_NET_ERR);
        assert_int_equal(command_on(CONTROL, nonsense[i][0], 0, NULL, 0), VIRTIO_NET_ERR);
    }
    assert_false(driver_needs_reset(&b->guest));
}

static void without_a_byte_for_the_answer_the_device_stops(void **state)
{
    struct buffer buffer = {GUEST_BUFFERS, 16, 0};

    (void)state;
    driver_add(&b->guest, &b->guest.queues[CONTROL], &buffer, 1);
    driver_kick(&b->guest, &b->guest.queues[CONTROL]);
    assert_true(driver_needs_reset(&b->guest));
    assert_false(driver_needs_reset(&a->guest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(at_first_every_address_passes), TEST(modes_choose), TEST(addresses_are_added),
        TEST(more_addresses_than_fit_are_all), TEST(a_table_that_is_cut_off_changes_nothing),
        TEST(another_address_until_it_is_reset), TEST(vlans_are_chosen),
        TEST(offloads_are_those_that_were_negotiated), TEST(pairs_are_as_many_as_there_are),
        TEST(what_is_no_command_is_an_error), TEST(without_a_byte_for_the_answer_the_device_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
