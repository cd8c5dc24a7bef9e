/* SPDX-License-Identifier: BSD-2-Clause */
/* Hypercalls: the number in RAX, the result in RAX; KVM's numbers and errors, so that stock kernels are at home. */
#ifndef ARCH_X86_GUEST_HYPERCALL_H
#define ARCH_X86_GUEST_HYPERCALL_H

#include "kernel/vm.h"

enum verdict hypercall_handle(struct vcpu *vcpu, const struct vcpu_exit *exit);

#endif
