/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers that only AMD's CPUs have, as rows of the MSR policy. */
#ifndef ARCH_X86_SVM_SVM_MSR_H
#define ARCH_X86_SVM_SVM_MSR_H

#include "arch/x86/guest/msr.h"

#define SVM_MSR_ROWS 10u
extern const struct msr_row svm_msr_rows[SVM_MSR_ROWS];

#endif
