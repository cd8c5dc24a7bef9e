/* SPDX-License-Identifier: BSD-2-Clause */
/* Physical CPUs. GS is a program's own in 64-bit user mode: this_pcpu() is the kernel's, unchanged.
 */
#ifndef TESTS_HOST_FAKE_PCPU_H
#define TESTS_HOST_FAKE_PCPU_H

#include "kernel/pcpu.h"

/* count CPUs as at power-on; the test runs on CPU 0. */
void fake_pcpus_reset(unsigned count);

/* The test runs on that CPU from now on. */
void fake_pcpu_become(unsigned id);

#endif
