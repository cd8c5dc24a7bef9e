/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the socket devices of VMs meet: packets go from a sender's doorbell straight into the rings of the device
 * that has the CID, and who finds no room there waits. It looks at nothing but the addresses: connections and credit
 * are between the guests.
 *
 * Who waits holds up all that its VM sends, so a receiver that takes nothing is not waited for longer than
 * VSOCK_PATIENCE_MS; until it takes something again it is as if it were not there.
 */
#ifndef DRIVERS_NET_VSOCK_HUB_H
#define DRIVERS_NET_VSOCK_HUB_H

#include "drivers/backend.h"

#define VSOCK_PATIENCE_MS 2000u

/* The place of a CID, VSOCK_CID_FIRST to VSOCK_CID_LAST; NULL: it is taken. Control thread. */
struct vsockdev *vsock_hub_attach(uint32_t cid);

/* When this returns, nobody delivers to the device any more, or wakes it. Its sender must stop soon. Control thread. */
void vsock_hub_detach(struct vsockdev *place);

#endif
