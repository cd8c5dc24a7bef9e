/* SPDX-License-Identifier: BSD-2-Clause */
/* What a host CPU can do, as its CPUID leaves and MSRs say it; for sources with the stand-in of arch/x86/cpu.h. */
#ifndef TESTS_HOST_FAKE_FEATURES_H
#define TESTS_HOST_FAKE_FEATURES_H

#include "arch/x86/cpu.h"

/* A CPU with no MSR, whose leaves are all 0. */
void fake_features_reset(void);

/* The answer of a leaf, to be changed. */
struct cpuid_result *fake_features_leaf(uint32_t leaf);

/* The value of an MSR, to be changed; it is there from now on, as 0. */
uint64_t *fake_features_msr(uint32_t index);

/* From now on it is not there. */
void fake_features_remove_msr(uint32_t index);

#endif
