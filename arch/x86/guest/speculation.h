/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a CPU learnt or kept from one VM, or from the hypervisor, must not be there for the next guest to measure.
 *
 * - Branch targets (CVE-2017-5715): forgotten before the CPU runs another VM; and where the CPU can keep those of the
 *   hypervisor apart by itself (enhanced or automatic IBRS, BHI_DIS_S), it is told to once. No guest can take that back.
 * - The level-1 data cache (CVE-2018-3646): flushed when the run loop, with its interrupts, timers and requests, has
 *   had the CPU since the guest left it. An exit that the engine handles and goes back from deals with that guest's
 *   own data, and with the rings and buffers of those on its switch: that much is not covered.
 * - Buffers (CVE-2018-12126, CVE-2019-11135, CVE-2022-21123, CVE-2023-28746 and their kin): cleared by VERW as the last
 *   thing before each entry. The engine has a second entry stub for that, so that a CPU with no need pays nothing.
 *
 * Each only where the CPU says that it is affected and can do that. Not covered: hyperthreads that share a core at
 * the same time, which need a description (cpus=) that keeps VMs which distrust each other apart; and on CPUs without
 * such IBRS the hypervisor's own indirect branches, whose targets a guest can train. The log warns of both.
 */
#ifndef ARCH_X86_GUEST_SPECULATION_H
#define ARCH_X86_GUEST_SPECULATION_H

#include "kernel/lib/types.h"

struct vcpu;

/* Set once, before any guest runs. */
extern bool speculation_flushes_cache;  /* at each speculation_before_run() */
extern bool speculation_clears_buffers; /* for the engine: at each entry */

/* Finds out what this machine needs, and says so. Boot CPU, when all CPUs are known. is_wanted: mitigations=auto. */
void speculation_init(bool is_wanted);

/* Each CPU, after that and before it runs a guest. */
void speculation_start_cpu(void);

/* This CPU is about to hold the vCPU's state. */
void speculation_barrier(const struct vcpu *next);

void speculation_flush_cache(void);

/* The run loop is about to run the guest. */
static inline void speculation_before_run(void)
{
    if (unlikely(speculation_flushes_cache))
        speculation_flush_cache();
}

#endif
