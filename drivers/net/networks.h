/* SPDX-License-Identifier: BSD-2-Clause */
/* The switches of this machine, by name. They come with the first card that names them, and stay. Control thread only. */
#ifndef DRIVERS_NET_NETWORKS_H
#define DRIVERS_NET_NETWORKS_H

#include "drivers/net/switch.h"

#define NETWORKS_MAX 16u

/* Makes it, with that seed, if it is not there. NULL: no memory, or too many. */
struct net_switch *networks_get(const char *name, uint64_t seed);

/* By number from 0; NULL past the end. */
struct net_switch *networks_at(unsigned index);
/* Its name; likewise. */
const char *networks_name_at(unsigned index);

/* --- network_list.c --- */

/* The rates that are listed are of the time since then. */
void networks_sample(void);

/* Lines for people: each switch's ports; if one is named, of that one also its addresses, and what it dropped. */
void networks_list(const char *name, void (*put)(void *context, const char *line), void *context);

#endif
