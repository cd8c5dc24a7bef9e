/* SPDX-License-Identifier: BSD-2-Clause */
/* What an exit leaves unsaid, read out of the guest's code. */
#ifndef ARCH_X86_SVM_SVM_INSN_H
#define ARCH_X86_SVM_SVM_INSN_H

#include "kernel/vm.h"

/*
 * Both set the engine's next_rip. False: the code could not be read, or is another instruction by now; the guest gets
 * the fault or runs it again.
 */

/* An instruction without operands: its first byte behind the prefixes, and how many there are without these. */
MUST_CHECK bool svm_insn_skip(struct vcpu *vcpu, uint8_t opcode, unsigned length);

/* MOV CR, CLTS, SMSW, LMSW: fills exit->cr but for its number. */
MUST_CHECK bool svm_insn_decode_cr(struct vcpu *vcpu, struct vcpu_exit *exit);

#endif
