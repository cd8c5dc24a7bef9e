/* SPDX-License-Identifier: BSD-2-Clause */
/* What this CPU's AMD-V can do, and what of it is used. */
#ifndef ARCH_X86_SVM_SVM_CAPS_H
#define ARCH_X86_SVM_SVM_CAPS_H

#include "kernel/lib/types.h"

struct host_config;

struct svm_caps {
    uint32_t features; /* SVM_FEATURE_*: those that are there and used */
    uint32_t asids;    /* tags of the TLB: 1 to asids - 1, 0 is the host's */
    unsigned leaf_levels; /* PT_LEAF_* of NPT */
    bool uses_asids;      /* else every entry flushes */
    bool uses_virtual_tpr;
    bool repeats_interrupts; /* what VMRUN injects is safe after the next exit only: svm_run() */
};

extern struct svm_caps svm_caps; /* written by svm_probe(), read by everyone */

static inline bool svm_has(uint32_t feature)
{
    return svm_caps.features & feature;
}

bool svm_is_present(void);
/* Fills svm_caps and prints the report. False: this machine cannot be used, and a line said what is missing. */
bool svm_probe(const struct host_config *config);

/* VM_CR of this CPU: AMD-V is on, or can be turned on. */
bool svm_unlock(void);

#endif
