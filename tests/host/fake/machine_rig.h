/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine on which all of kernel/machine*.c is the real one, on AMD-V's engine and a VT-d unit, with a network card to be
 * given away; nobody runs, and who is asked to stop has left. Three VMs are described: "neighbour", "web" with all that is
 * emulated, "driver" with the card. The heap is libc's, for ASan to watch.
 */
#ifndef TESTS_HOST_FAKE_MACHINE_RIG_H
#define TESTS_HOST_FAKE_MACHINE_RIG_H

#include "tests/host/fake/fake.h"

#define NIC 0x0018 /* 00:03.0 */

extern uint64_t heap_objects, heap_bytes;
extern unsigned routed_pins;

/* Once a process: no VM is started. */
void start_machine(void);

#endif
