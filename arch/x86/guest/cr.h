/* SPDX-License-Identifier: BSD-2-Clause */
/* Control registers of a guest: which bits are its own, and what a write of the others does. */
#ifndef ARCH_X86_GUEST_CR_H
#define ARCH_X86_GUEST_CR_H

#include "arch/x86/regs.h"
#include "kernel/vm.h"

/* Bits that the guest sees as it wrote them while the CPU has another value; everything else exits never. */
#define CR0_GUEST_OWNED (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_WP | CR0_AM | CR0_PG)
#define CR0_HOST_OWNED  (~CR0_GUEST_OWNED)

/* Bits of CR4 that this guest's CPUID announces, and those of them whose writes need no exit. */
uint64_t cr4_allowed(const struct vcpu *vcpu);
uint64_t cr4_guest_owned(const struct vcpu *vcpu);

/* As MOV to CR3 does: false if PAE paging refuses the page-directory-pointer table. */
MUST_CHECK bool cr_load_cr3(struct vcpu *vcpu, uint64_t value);

/* Handlers of exit.c. */
enum verdict cr_handle(struct vcpu *vcpu, const struct vcpu_exit *exit);
enum verdict cr_handle_xsetbv(struct vcpu *vcpu, const struct vcpu_exit *exit);

/* For an engine on a CPU that may have let an XSETBV through: what the CPU has is the guest's, as far as it may. */
void cr_adopt_xcr0(struct vcpu *vcpu);

#endif
