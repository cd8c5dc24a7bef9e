/* SPDX-License-Identifier: BSD-2-Clause */
/* See networks.h. */
#include "drivers/net/networks.h"
#include "kernel/heap.h"
#include "kernel/lib/string.h"

static struct net_switch *networks[NETWORKS_MAX];
static unsigned network_count;

struct net_switch *networks_at(unsigned index)
{
    return index < network_count ? networks[index] : NULL;
}

const char *networks_name_at(unsigned index)
{
    return index < network_count ? networks[index]->name : NULL;
}

struct net_switch *networks_get(const char *name, uint64_t seed)
{
    struct net_switch *made;

    for (unsigned i = 0; i < network_count; i++)
        if (strcmp(networks[i]->name, name) == 0)
            return networks[i];
    if (network_count == NETWORKS_MAX)
        return NULL;
    made = heap_alloc(sizeof *made);
    if (!made)
        return NULL;
    switch_init(made, name, seed);
    networks[network_count++] = made;
    return made;
}
