/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts, NMIs and exceptions into a guest. */
#ifndef ARCH_X86_SVM_SVM_EVENT_H
#define ARCH_X86_SVM_SVM_EVENT_H

#include "kernel/vm.h"

/* Members of vcpu_ops. */
bool svm_is_open(struct vcpu *vcpu, enum event_window window);
void svm_want_window(struct vcpu *vcpu, enum event_window window, bool wanted);
void svm_inject(struct vcpu *vcpu, const struct event *event);
bool svm_sync_interrupts(struct vcpu *vcpu);

/* After each exit: what it interrupted is delivered again. */
void svm_keep_interrupted_event(struct vcpu *vcpu);

/* The guest is about to execute the IRET that ends its NMI: it makes one step. */
void svm_begin_iret(struct vcpu *vcpu);
/* A #DB came. True: it was ours alone, the guest must not see it. */
bool svm_end_step(struct vcpu *vcpu);

#endif
