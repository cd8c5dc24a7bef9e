/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory accesses of a guest that no RAM answers: decoded and done on the VM's MMIO bus. */
#ifndef ARCH_X86_GUEST_MMIO_H
#define ARCH_X86_GUEST_MMIO_H

#include "kernel/vm.h"

enum verdict mmio_handle(struct vcpu *vcpu, const struct vcpu_exit *exit);

#endif
