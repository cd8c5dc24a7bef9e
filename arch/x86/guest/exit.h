/* SPDX-License-Identifier: BSD-2-Clause */
/* The one dispatch of neutral exits, for every engine. */
#ifndef ARCH_X86_GUEST_EXIT_H
#define ARCH_X86_GUEST_EXIT_H

#include "kernel/vm.h"

/* Handles one exit; the engine acts on the verdict. */
enum verdict exit_handle(struct vcpu *vcpu, const struct vcpu_exit *exit);

#endif
