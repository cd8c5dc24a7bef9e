/* SPDX-License-Identifier: BSD-2-Clause */
/* Data and I/O breakpoints over what the hypervisor emulates: the CPU never sees the access. */
#ifndef ARCH_X86_GUEST_BREAKPOINT_H
#define ARCH_X86_GUEST_BREAKPOINT_H

#include "arch/x86/guest/gva.h"
#include "kernel/vm.h"

/*
 * The bits that DR6 gets, as #DB is a trap: whoever emulates raises it behind the instruction, or the iteration. Only
 * worth asking while vcpu->may_have_breakpoints.
 */
COLD uint64_t breakpoint_find_port(struct vcpu *vcpu, uint16_t port, unsigned width);
COLD uint64_t breakpoint_find_data(struct vcpu *vcpu, gva_t linear, unsigned width, bool is_write);

/* Handler of exit.c: from now on the guest's debug registers are looked at, and it may use them without exits. */
enum verdict breakpoint_handle_first_use(struct vcpu *vcpu, const struct vcpu_exit *exit);

/*
 * DR0 to DR3 are in the CPU while vcpu->may_have_breakpoints, else in vcpu->dr, and the guest's next access to one
 * makes an exit. These move them into the CPU, and back; the vCPU's own CPU.
 */
void breakpoint_load(const struct vcpu *vcpu);
void breakpoint_save(struct vcpu *vcpu);

#endif
