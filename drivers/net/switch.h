/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual Ethernet switch: frames go from a card's doorbell straight into the rings of the receivers,
 * copied once. It learns addresses, keeps VLANs and isolated ports apart, holds senders to their rate and
 * their address, and counts. What cannot be delivered is dropped at once, as in a real one: nobody waits.
 *
 * VLANs: an access port (vlan, not is_trunk) sends and receives untagged frames of its VLAN; one of VLAN 0
 * may use tags inside, which mean nothing to the switch. A trunk carries all VLANs, tagged but its own.
 *
 * Concurrency: ports come and go by the control thread, under the switch's lock. A port's struct is never
 * freed, so that senders look at it with no lock, and again under its receive_lock before they deliver. Nothing
 * is held when a receive_lock is taken but the sender's own device lock. Struct switch_port says what guards what.
 */
#ifndef DRIVERS_NET_SWITCH_H
#define DRIVERS_NET_SWITCH_H

#include "drivers/backend.h"
#include "drivers/net/mac_table.h"

#define SWITCH_NAME_BYTES 32
#define SWITCH_PORT_NAME_BYTES 40
#define SWITCH_PORTS_MAX  MAC_TABLE_PORTS_MAX
#define SWITCH_VLAN_MAX   4094u

/* What a port may send at once after a pause, as time at its rate. */
#define SWITCH_BURST_MS 10u

struct switch_port_config {
    char name[SWITCH_PORT_NAME_BYTES]; /* whose it is, for people */
    uint8_t mac[NET_MAC_BYTES];        /* the card's */
    uint16_t vlan;                     /* 0 to SWITCH_VLAN_MAX */
    uint16_t mtu;
    uint64_t rate;                     /* bits per second that it may send, counted once for each receiver; 0: no limit */
    bool is_trunk;
    bool is_isolated;                  /* reaches only ports that are not */
    bool checks_source;                /* may send only from its own address */
};

struct switch_traffic {
    uint64_t packets, bytes;
};

struct net_switch;

struct switch_port {
    struct netdev netdev; /* the socket */
    struct net_switch *owner;
    uint16_t number;
    bool is_used;
    struct switch_port_config config; /* constant while used */

    /* The sender's: one at a time by the rules of netdev_ops. */
    struct switch_traffic sent;
    uint64_t send_drops[NET_RESULTS];
    uint64_t busy_until; /* host TSC: when what was sent is through, at its rate */
    uint64_t touched[SWITCH_PORTS_MAX / 64]; /* ports that got something since the last flush */

    /* Under receive_lock. Others may read the counters at any time. */
    struct switch_traffic received;
    uint64_t receive_drops[NET_RESULTS];

    uint64_t sampled_sent, sampled_received; /* bytes, by networks_sample(); the control thread's */
};

struct net_switch {
    char name[SWITCH_NAME_BYTES];
    struct lock lock; /* who attaches and detaches */
    unsigned port_limit; /* no port is used from here on */
    struct switch_port ports[SWITCH_PORTS_MAX];
    struct mac_table macs;
};

/* seed: a random number. A switch is never freed. */
void switch_init(struct net_switch *net_switch, const char *name, uint64_t seed);

/*
 * A port for a card, which is plugged into its netdev. -ENOSPC: the switch is full; -EEXIST: the address is taken
 * in its VLAN.
 */
MUST_CHECK int switch_attach(struct net_switch *net_switch, const struct switch_port_config *config,
                             struct switch_port **port);

/* When this returns, nobody delivers to the card any more. The port is free again: its sender must stop soon. */
void switch_detach(struct switch_port *port);

/* What stands in a table of drops: "malformed", …; of NET_OK: "ok". */
const char *switch_result_name(enum net_result result);

#endif
