/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a CPU learnt or kept from one VM must not be there for the next one to measure: branch targets (CVE-2017-5715), the
 * level-1 data cache (CVE-2018-3646), buffers between the two (CVE-2018-12126 and its kin).
 *
 * Invariant: between two VMs on a CPU lies every barrier that this CPU needs. Not covered: hyperthreads that share a core
 * at the same time, which need a description (cpus=) that keeps VMs which distrust each other apart, and what the
 * hypervisor itself leaves in the buffers on an exit back to the same VM.
 */
#ifndef ARCH_X86_GUEST_SPECULATION_H
#define ARCH_X86_GUEST_SPECULATION_H

struct vcpu;

/* Finds out what this machine needs, and says so. Boot CPU, before any guest runs. */
void speculation_init(void);

/* This CPU is about to hold the vCPU's state. */
void speculation_barrier(const struct vcpu *next);

#endif
