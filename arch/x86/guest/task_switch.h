/* SPDX-License-Identifier: BSD-2-Clause */
/* Hardware task switches, for an engine whose CPU leaves them to the hypervisor. */
#ifndef ARCH_X86_GUEST_TASK_SWITCH_H
#define ARCH_X86_GUEST_TASK_SWITCH_H

#include "kernel/vm.h"

/* Handler of exit.c. The event that a task gate was found for, if any, is vcpu->event, and is delivered by it. */
enum verdict task_switch_handle(struct vcpu *vcpu, const struct vcpu_exit *exit);

#endif
