/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A value that is a description of its own: the item's name, then pairs of the same grammar as a line's, with commas in
 * place of blanks: "lan0,vlan=10". For vm_config_*.c.
 */
#ifndef KERNEL_VM_CONFIG_ITEM_H
#define KERNEL_VM_CONFIG_ITEM_H

#include "kernel/config.h"

struct vm_config_item {
    const char *key;   /* whose value it is */
    const char *first; /* the item's key that may be left out, as the first one */
    struct config_table table;
};

/* -EINVAL: error says why, and a part may be stored. */
MUST_CHECK int vm_config_read_item(const struct vm_config_item *item, const char *value, void *object,
                                   struct config_error *error);

#endif
