/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which port an Ethernet address is behind: a hash table of fixed size. Addresses of the machine's own
 * description are there for good (fixed); others are learned, age, and are bounded per port, so that a
 * port that sends from made-up addresses pushes out nobody but itself.
 *
 * Any CPU may call; each bucket has a lock, a leaf, of which nobody holds two.
 */
#ifndef DRIVERS_NET_MAC_TABLE_H
#define DRIVERS_NET_MAC_TABLE_H

#include "kernel/lib/lock.h"
#include "kernel/lib/types.h"

#define MAC_TABLE_BUCKETS      256u
#define MAC_TABLE_WAYS         8u
#define MAC_TABLE_PORTS_MAX    256u
#define MAC_TABLE_LEARNED_MAX  32u   /* of one port */
#define MAC_TABLE_AGE_SECONDS  300u  /* IEEE 802.1Q, "Ageing time": the default */
#define MAC_TABLE_PORT_NONE    UINT16_MAX

/* An address in a VLAN. */
struct mac_key {
    uint64_t value; /* VLAN above bit 48, then the address's bytes, the first is the lowest; never 0 */
};

struct mac_entry {
    struct mac_key key; /* 0: free */
    uint64_t seen;      /* clock_now() */
    uint16_t port;
    bool is_fixed;
};

struct mac_bucket {
    struct lock lock; /* guards the entries */
    struct mac_entry entries[MAC_TABLE_WAYS];
};

struct mac_table {
    uint64_t seed; /* so that nobody knows which addresses share a bucket */
    uint64_t age_ticks;
    uint32_t learned[MAC_TABLE_PORTS_MAX]; /* by port; changed atomically */
    bool is_gone[MAC_TABLE_PORTS_MAX];     /* from mac_table_forget() to mac_table_add_fixed(): learns nothing */
    struct mac_bucket buckets[MAC_TABLE_BUCKETS];
};

struct mac_key mac_key(const uint8_t *mac, uint16_t vlan);

void mac_table_init(struct mac_table *table, uint64_t seed);

/* -EEXIST: another port has it; -ENOSPC: its bucket is full of fixed ones. */
MUST_CHECK int mac_table_add_fixed(struct mac_table *table, struct mac_key key, uint16_t port);

/* The port sent from that address. */
void mac_table_learn(struct mac_table *table, struct mac_key key, uint16_t port);

/* MAC_TABLE_PORT_NONE: not known. */
uint16_t mac_table_find(struct mac_table *table, struct mac_key key);

/* Every address that is there and has not aged, a copy each; visit may do anything. */
void mac_table_visit(struct mac_table *table, void (*visit)(void *context, const struct mac_entry *entry), void *context);

/* The port is gone: what of it is still on its way is not learned any more. */
void mac_table_forget(struct mac_table *table, uint16_t port);

#endif
