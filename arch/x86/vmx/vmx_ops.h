/* SPDX-License-Identifier: BSD-2-Clause */
/* VT-x behind the neutral seam. */
#ifndef ARCH_X86_VMX_VMX_OPS_H
#define ARCH_X86_VMX_VMX_OPS_H

#include "kernel/stage2.h"
#include "kernel/vcpu_ops.h"

extern const struct vcpu_ops vmx_ops;
extern const struct stage2_ops vmx_stage2_ops;

/* vmx_enter.asm */
enum verdict vmx_enter(struct vcpu *vcpu, bool is_launched);
enum verdict vmx_enter_clearing(struct vcpu *vcpu, bool is_launched);
/* Called by it: after each exit, and when the entry did not happen. */
enum verdict vmx_handle_exit(struct vcpu *vcpu);
enum verdict vmx_entry_failed(struct vcpu *vcpu);

/* vmx_audit.c: members of vcpu_ops. */
uint64_t vmx_visit_passed(const struct vcpu *vcpu, void (*visit)(void *context, enum passed what, uint32_t index), void *context);
bool vmx_serves_msr(const struct vcpu *vcpu, enum passed what, uint32_t index);
hpa_t vmx_apic_page(const struct vm *vm);

/* Panics unless every exit reason has its row: nobody looks for holes on the path of an exit. */
void vmx_check_exit_rows(void);

/* Time slices: VMX-preemption timer (SDM 3C), in host TSC ticks; it also bounds a guest that runs with IF=0. */
void vmx_start_slice(void);

#endif
