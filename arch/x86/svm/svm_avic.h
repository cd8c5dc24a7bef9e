/* SPDX-License-Identifier: BSD-2-Clause */
/* AVIC: the CPU delivers and ends the local APIC's interrupts by itself, and sends its IPIs. */
#ifndef ARCH_X86_SVM_SVM_AVIC_H
#define ARCH_X86_SVM_SVM_AVIC_H

#include "arch/x86/svm/vmcb.h"

/* A part of svm_vcpu_create and svm_vcpu_destroy. Where AVIC is not used they do nothing. -ENOMEM, -ENOSPC */
MUST_CHECK int svm_avic_create(struct vcpu *vcpu);
void svm_avic_destroy(struct vcpu *vcpu);

/* What the guest's local APIC page is mapped to; 0: AVIC is not used. */
hpa_t svm_avic_page(const struct vcpu *vcpu);

/* After vmcb_init. */
void svm_avic_reset(struct vcpu *vcpu);

/* Brings the VMCB and the tables up to what the guest's registers say: after another mode, SVR, LDR or DFR. */
void svm_avic_update(struct vcpu *vcpu);

/* Around the entries of one run: in between, IPIs are signalled to this CPU, else they make their sender exit. */
void svm_avic_begin_run(struct vcpu *vcpu);
void svm_avic_end_run(struct vcpu *vcpu);

/* Without V_IRQ there is no exit for a window: looks again soon. The vCPU leaves its CPU: no more. */
void svm_avic_poll_window(struct vcpu *vcpu);
void svm_avic_stop_polling(struct vcpu *vcpu);

static inline bool svm_avic_is_on(const struct svm_vcpu *v)
{
    return v->vmcb->control.v_intr & V_AVIC_ENABLE;
}

/* Fill functions of the two exits; false: all is done. */
bool svm_avic_fill_incomplete_ipi(struct vcpu *vcpu, struct vcpu_exit *exit);
bool svm_avic_fill_unaccelerated(struct vcpu *vcpu, struct vcpu_exit *exit);

#endif
