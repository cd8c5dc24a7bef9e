/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets from one VM's sockets to another's; see vsock_hub.h. */
#include "drivers/net/vsock_hub.h"
#include "kernel/lib/assert.h"
#include "kernel/timer.h"

struct place {
    struct vsockdev dev;
    bool is_used; /* the control thread's */

    /* Under dev.receive_lock. */
    uint64_t waiters;       /* who found no room here, a bit for each place */
    uint64_t refused_since; /* host TSC: it has taken nothing since; 0: it has */
};

_Static_assert(VSOCK_CIDS == 64, "struct place has a bit for each");

static struct place places[VSOCK_CIDS]; /* by CID; never freed, so that senders look at them with no lock */

static struct place *find(uint64_t cid)
{
    return cid >= VSOCK_CID_FIRST && cid <= VSOCK_CID_LAST ? &places[cid - VSOCK_CID_FIRST] : NULL;
}

static bool is_worth_waiting_for(struct place *to)
{
    if (!to->refused_since)
        to->refused_since = clock_now();
    return clock_now() - to->refused_since < clock_ticks_from_ns(VSOCK_PATIENCE_MS * 1000000ull);
}

/* Under its receive_lock. */
static enum vsock_result give(struct place *to, const struct place *from, struct vsock_packet *packet)
{
    uint32_t before = packet->left_bytes;
    enum vsock_result result = to->dev.card ? to->dev.card->receive(to->dev.card->context, packet) : VSOCK_NOBODY;

    if (result == VSOCK_DONE || packet->left_bytes < before)
        to->refused_since = 0;
    if (result != VSOCK_FULL)
        return result;
    if (!is_worth_waiting_for(to))
        return VSOCK_NOBODY;
    to->waiters |= BIT(from - places);
    return VSOCK_FULL;
}

static enum vsock_result place_send(void *context, struct vsock_packet *packet)
{
    const struct place *from = context;
    struct place *to = find(packet->header.dst_cid);
    enum vsock_result result;

    if (!to)
        return VSOCK_NOBODY;
    lock_acquire(&to->dev.receive_lock);
    result = give(to, from, packet);
    lock_release(&to->dev.receive_lock);
    return result;
}

static void wake(struct place *waiter)
{
    lock_acquire(&waiter->dev.receive_lock);
    if (waiter->dev.card)
        waiter->dev.card->wake(waiter->dev.card->context);
    lock_release(&waiter->dev.receive_lock);
}

static void place_has_room(void *context)
{
    struct place *p = context;
    uint64_t waiters;

    lock_acquire(&p->dev.receive_lock);
    waiters = p->waiters;
    p->waiters = 0;
    if (!waiters)
        p->refused_since = 0;
    lock_release(&p->dev.receive_lock);
    for (; waiters; waiters &= waiters - 1)
        wake(&places[__builtin_ctzll(waiters)]);
}

static const struct vsockdev_ops place_ops = {place_send, place_has_room};

struct vsockdev *vsock_hub_attach(uint32_t cid)
{
    struct place *p = find(cid);

    ASSERT(p); /* vm_config_check looked at it */
    if (p->is_used)
        return NULL;
    p->is_used = true;
    p->waiters = 0;
    p->refused_since = 0;
    p->dev.ops = &place_ops;
    p->dev.context = p;
    p->dev.cid = cid;
    return &p->dev;
}

void vsock_hub_detach(struct vsockdev *place)
{
    struct place *p = CONTAINER_OF(place, struct place, dev);

    lock_acquire(&place->receive_lock);
    place->card = NULL;
    lock_release(&place->receive_lock);
    place_has_room(p); /* they find that nobody is here */
    p->is_used = false;
}
