/* SPDX-License-Identifier: BSD-2-Clause */
/* Learning and ageing; see mac_table.h. */
#include "drivers/net/mac_table.h"
#include "drivers/backend.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/timer.h"

struct mac_key mac_key(const uint8_t *mac, uint16_t vlan)
{
    struct mac_key key = {(uint64_t)vlan << 48};

    memcpy(&key.value, mac, NET_MAC_BYTES);
    return key;
}

void mac_table_init(struct mac_table *table, uint64_t seed)
{
    memset(table, 0, sizeof *table);
    table->seed = seed;
    table->age_ticks = MAC_TABLE_AGE_SECONDS * clock_hz();
}

/* The finalizer of MurmurHash3: each bit of the seed and the key changes each bit of the result. */
static struct mac_bucket *bucket_of(struct mac_table *table, struct mac_key key)
{
    uint64_t x = key.value ^ table->seed;

    x = (x ^ x >> 33) * 0xff51afd7ed558ccdull;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ull;
    return &table->buckets[(x ^ x >> 33) % MAC_TABLE_BUCKETS];
}

static struct mac_entry *find(struct mac_bucket *b, struct mac_key key)
{
    for (struct mac_entry *e = b->entries; e < b->entries + MAC_TABLE_WAYS; e++)
        if (e->key.value == key.value)
            return e;
    return NULL;
}

static bool is_aged(const struct mac_table *table, const struct mac_entry *e)
{
    return !e->is_fixed && clock_now() - e->seen > table->age_ticks;
}

static void clear(struct mac_table *table, struct mac_entry *e)
{
    if (e->key.value && !e->is_fixed)
        __atomic_fetch_sub(&table->learned[e->port], 1, __ATOMIC_RELAXED);
    *e = (struct mac_entry){.port = MAC_TABLE_PORT_NONE};
}

/* One that nobody misses: free, or aged. */
static struct mac_entry *find_room(struct mac_table *table, struct mac_bucket *b)
{
    for (struct mac_entry *e = b->entries; e < b->entries + MAC_TABLE_WAYS; e++)
        if (e->key.value == 0 || is_aged(table, e))
            return e;
    return NULL;
}

static struct mac_entry *oldest_learned(struct mac_bucket *b, bool of_any, uint16_t port)
{
    struct mac_entry *oldest = NULL;

    for (struct mac_entry *e = b->entries; e < b->entries + MAC_TABLE_WAYS; e++)
        if (e->key.value && !e->is_fixed && (of_any || e->port == port) && (!oldest || e->seen < oldest->seen))
            oldest = e;
    return oldest;
}

int mac_table_add_fixed(struct mac_table *table, struct mac_key key, uint16_t port)
{
    struct mac_bucket *b = bucket_of(table, key);
    struct mac_entry *e;
    int error = 0;

    lock_acquire(&b->lock);
    e = find(b, key);
    if (e && e->is_fixed)
        error = -EEXIST;
    e = e ? e : find_room(table, b);
    e = e ? e : oldest_learned(b, true, port);
    if (!error && !e)
        error = -ENOSPC;
    if (!error) {
        clear(table, e);
        *e = (struct mac_entry){key, 0, port, true};
        WRITE_ONCE(table->is_gone[port], false);
    }
    lock_release(&b->lock);
    return error;
}

/* In a full bucket a port can only take the place of an address of its own. */
static void add_learned(struct mac_table *table, struct mac_bucket *b, struct mac_key key, uint16_t port)
{
    struct mac_entry *e = find_room(table, b);

    if (!e || __atomic_load_n(&table->learned[port], __ATOMIC_RELAXED) >= MAC_TABLE_LEARNED_MAX)
        e = oldest_learned(b, false, port);
    if (!e)
        return;
    clear(table, e);
    *e = (struct mac_entry){key, clock_now(), port, false};
    __atomic_fetch_add(&table->learned[port], 1, __ATOMIC_RELAXED);
}

/* A station that moves takes its address along, but a fixed one is where it was put. */
static void refresh(struct mac_table *table, struct mac_bucket *b, struct mac_entry *e, uint16_t port)
{
    struct mac_key key = e->key;

    if (e->is_fixed)
        return;
    if (e->port == port) {
        e->seen = clock_now();
        return;
    }
    clear(table, e);
    add_learned(table, b, key, port);
}

/* Under the bucket's lock. */
static void learn(struct mac_table *table, struct mac_bucket *b, struct mac_key key, uint16_t port)
{
    struct mac_entry *e = find(b, key);

    if (e)
        refresh(table, b, e, port);
    else
        add_learned(table, b, key, port);
}

void mac_table_learn(struct mac_table *table, struct mac_key key, uint16_t port)
{
    struct mac_bucket *b = bucket_of(table, key);

    if (key.value == 0)
        return;
    lock_acquire(&b->lock);
    if (!READ_ONCE(table->is_gone[port])) /* it is said before any bucket's lock is taken to forget */
        learn(table, b, key, port);
    lock_release(&b->lock);
}

uint16_t mac_table_find(struct mac_table *table, struct mac_key key)
{
    struct mac_bucket *b = bucket_of(table, key);
    uint16_t port = MAC_TABLE_PORT_NONE;
    const struct mac_entry *e;

    if (key.value == 0)
        return port;
    lock_acquire(&b->lock);
    e = find(b, key);
    if (e && !is_aged(table, e))
        port = e->port;
    lock_release(&b->lock);
    return port;
}

void mac_table_forget(struct mac_table *table, uint16_t port)
{
    WRITE_ONCE(table->is_gone[port], true);
    for (struct mac_bucket *b = table->buckets; b < table->buckets + MAC_TABLE_BUCKETS; b++) {
        lock_acquire(&b->lock);
        for (struct mac_entry *e = b->entries; e < b->entries + MAC_TABLE_WAYS; e++)
            if (e->key.value && e->port == port)
                clear(table, e);
        lock_release(&b->lock);
    }
}

void mac_table_visit(struct mac_table *table, void (*visit)(void *context, const struct mac_entry *entry), void *context)
{
    struct mac_entry entries[MAC_TABLE_WAYS];

    for (struct mac_bucket *b = table->buckets; b < table->buckets + MAC_TABLE_BUCKETS; b++) {
        lock_acquire(&b->lock);
        memcpy(entries, b->entries, sizeof entries);
        lock_release(&b->lock);
        for (struct mac_entry *e = entries; e < entries + MAC_TABLE_WAYS; e++)
            if (e->key.value && !is_aged(table, e))
                visit(context, e);
    }
}
