/* SPDX-License-Identifier: BSD-2-Clause */
/* AMD-V behind the neutral seam. */
#ifndef ARCH_X86_SVM_SVM_OPS_H
#define ARCH_X86_SVM_SVM_OPS_H

#include "kernel/stage2.h"
#include "kernel/vcpu_ops.h"

extern const struct vcpu_ops svm_ops;
extern const struct stage2_ops svm_stage2_ops;

/* svm_audit.c: members of vcpu_ops. */
uint64_t svm_visit_passed(const struct vcpu *vcpu, void (*visit)(void *context, enum passed what, uint32_t index), void *context);
bool svm_serves_msr(const struct vcpu *vcpu, enum passed what, uint32_t index);
hpa_t svm_apic_page(const struct vm *vm);

#endif
