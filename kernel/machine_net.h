/* SPDX-License-Identifier: BSD-2-Clause */
/* The composition root's part that shows the virtual switches. */
#ifndef KERNEL_MACHINE_NET_H
#define KERNEL_MACHINE_NET_H

/* Once, before any input: adds the shell's command. */
void machine_net_init(void);

#endif
