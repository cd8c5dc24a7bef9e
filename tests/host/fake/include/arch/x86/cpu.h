/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands in for arch/x86/cpu.h where a hosted source asks the CPU what it can do: host.mk says of whom it
 * is found first. CPUID cannot be trapped as the instructions of privileged.h are; features.h has the answers.
 */
#ifndef ARCH_X86_CPU_H
#define ARCH_X86_CPU_H

#include "kernel/lib/types.h"

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

struct cpuid_result fake_features_cpuid(uint32_t leaf);
/* Of an MSR that is not there: fails the test, as the #GP would be a panic. */
uint64_t fake_features_rdmsr(uint32_t index);

static inline struct cpuid_result cpuid(uint32_t leaf, uint32_t subleaf)
{
    (void)subleaf;
    return fake_features_cpuid(leaf);
}

static inline uint64_t rdmsr(uint32_t index)
{
    return fake_features_rdmsr(index);
}

void fake_features_wrmsr(uint32_t index, uint64_t value);

static inline void wrmsr(uint32_t index, uint64_t value)
{
    fake_features_wrmsr(index, value);
}

#endif
