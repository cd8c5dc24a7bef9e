/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a sender left undone and a receiver cannot do: checksums, TCP segmentation, UDP fragmentation.
 * Invariant: what leaves here undone is well-formed: its offsets lie in the packet's headers, and are
 * what the headers say.
 */
#ifndef DRIVERS_NET_OFFLOAD_H
#define DRIVERS_NET_OFFLOAD_H

#include "drivers/backend.h"

/* What one packet may be cut into: 64 KiB in TCP segments of 512 bytes. */
#define NET_SEGMENTS_MAX 128u

/* Checks the packet's offload against its headers, and completes it. False: malformed. */
bool net_offload_check(struct net_packet *packet);

/* The largest frame that the packet becomes. */
uint32_t net_offload_frame_bytes(const struct net_packet *packet);

typedef enum net_result net_deliver_fn(void *context, const struct net_frame *frame);

/*
 * Delivers a checked packet to who takes these offloads (NET_*) undone: in one frame, or in as many as
 * it takes, until the first that is not delivered. The packet is as it was in the end.
 */
enum net_result net_offload_deliver(struct net_packet *packet, uint32_t offloads,
                                    net_deliver_fn *deliver, void *context);

#endif
