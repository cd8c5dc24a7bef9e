/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Offsets and constants that assembly needs: compiled to assembly text, from which the Makefile makes
 * build/asm_offsets.inc.
 */
#include "arch/x86/descriptors.h"
#include "arch/x86/trap.h"
#include "arch/x86/vmx/vmx.h"
#include "kernel/vm.h"

#define EMIT(name, value) __asm__ volatile(".ascii \"->" #name " equ %c0\"" : : "i"((long)(value)))

void asm_offsets(void);
void asm_offsets(void)
{
    EMIT(VCPU_GPR, offsetof(struct vcpu, gpr));
    EMIT(TRAP_STUB_BYTES, TRAP_STUB_BYTES);
    EMIT(VMCS_HOST_RSP, VMCS_HOST_RSP);
    EMIT(HOST_DS, HOST_DS);
}
