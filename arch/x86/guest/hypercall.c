/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/guest/hypercall.h"

#define KVM_ENOSYS 1000 /* what KVM returns for a number that it does not know */

/* No call has work to do yet. RAX is what a caller can rely on. */
enum verdict hypercall_handle(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)exit;
    vcpu->gpr[GPR_RAX] = (uint64_t)-KVM_ENOSYS;
    return VERDICT_NEXT;
}
