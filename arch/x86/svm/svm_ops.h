/* SPDX-License-Identifier: BSD-2-Clause */
/* AMD-V behind the neutral seam. */
#ifndef ARCH_X86_SVM_SVM_OPS_H
#define ARCH_X86_SVM_SVM_OPS_H

#include "kernel/stage2.h"
#include "kernel/vcpu_ops.h"

extern const struct vcpu_ops svm_ops;
extern const struct stage2_ops svm_stage2_ops;

#endif
