/* SPDX-License-Identifier: BSD-2-Clause */
/* The first virtio network card, in a ring of guests: to the next one go packets, the one before gets answers. */
#ifndef GUESTS_WORKER_NET_H
#define GUESTS_WORKER_NET_H

#include "kernel/lib/types.h"

/* False: there is no card. */
bool net_start(unsigned id, unsigned of);

/* Returns when the next guest has the packet of that round; false: see net_complaint(). */
bool net_exchange(unsigned round);

/* Answers for so many waits longer. */
bool net_linger(unsigned waits);

const char *net_complaint(void);

/* How many packets came from the guest before, each counted once. */
unsigned net_received(void);

#endif
