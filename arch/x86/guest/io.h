/* SPDX-License-Identifier: BSD-2-Clause */
/* Port I/O of a guest: registers and strings, to the VM's port bus. */
#ifndef ARCH_X86_GUEST_IO_H
#define ARCH_X86_GUEST_IO_H

#include "kernel/vm.h"

enum verdict io_handle(struct vcpu *vcpu, const struct vcpu_exit *exit);

#endif
