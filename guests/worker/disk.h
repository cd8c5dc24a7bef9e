/* SPDX-License-Identifier: BSD-2-Clause */
/* The first virtio disk, a block at a time. */
#ifndef GUESTS_WORKER_DISK_H
#define GUESTS_WORKER_DISK_H

#include "kernel/lib/types.h"

#define DISK_BLOCK_BYTES 4096u
#define DISK_BLOCKS      16u

/* False: there is none. */
bool disk_start(void);

/* data is a whole block; false: the device says no. */
bool disk_read(unsigned block, void *data);
bool disk_write(unsigned block, const void *data);

#endif
