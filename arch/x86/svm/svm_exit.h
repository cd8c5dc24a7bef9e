/* SPDX-License-Identifier: BSD-2-Clause */
/* From VMRUN and back. */
#ifndef ARCH_X86_SVM_SVM_EXIT_H
#define ARCH_X86_SVM_SVM_EXIT_H

#include "kernel/vm.h"

/* svm_enter.asm */
enum verdict svm_enter(struct vcpu *vcpu, hpa_t vmcb, hpa_t host_vmcb);
/* Called by it after each exit. */
enum verdict svm_handle_exit(struct vcpu *vcpu);

/* svm_ops.c: what each entry brings to the VMCB. */
void svm_prepare_entry(struct vcpu *vcpu);

#endif
