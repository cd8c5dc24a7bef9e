; SPDX-License-Identifier: BSD-2-Clause
;
; enum verdict vmx_enter(struct vcpu *vcpu, bool is_launched)
;
; Runs the guest whose VMCS is current until vmx_handle_exit(vcpu) returns something else than
; VERDICT_RESUME (0), which it returns. VERDICT_STOP with vcpu->gpr as they were when the entry itself
; failed before reaching the guest (VMfail): vmx_entry_failed(vcpu) has said why.
;
; The host's callee-saved registers stay in C's hands over the whole loop, so that an exit costs one
; save and one load of the guest's fifteen registers and nothing else. Interrupts are off in C; STI's
; shadow keeps them off until the guest runs. The STI matters: with IF=0 in host and guest some
; implementations would not let an external interrupt end a guest that runs with IF=0.
;
; vmx_enter_clearing is the same with a VERW before each entry, which clears the CPU's buffers where microcode makes it do
; so (Intel, "Microarchitectural Data Sampling"): only its memory form with a valid selector does. A VMCS has the
; exit point of the one that it is entered by.

%include "build/asm_offsets.inc"

%macro LOAD_GUEST 0
    mov rax, [rdi + VCPU_GPR + 8 * 0]
    mov rcx, [rdi + VCPU_GPR + 8 * 1]
    mov rdx, [rdi + VCPU_GPR + 8 * 2]
    mov rbx, [rdi + VCPU_GPR + 8 * 3]
    mov rbp, [rdi + VCPU_GPR + 8 * 5]
    mov rsi, [rdi + VCPU_GPR + 8 * 6]
    mov r8,  [rdi + VCPU_GPR + 8 * 8]
    mov r9,  [rdi + VCPU_GPR + 8 * 9]
    mov r10, [rdi + VCPU_GPR + 8 * 10]
    mov r11, [rdi + VCPU_GPR + 8 * 11]
    mov r12, [rdi + VCPU_GPR + 8 * 12]
    mov r13, [rdi + VCPU_GPR + 8 * 13]
    mov r14, [rdi + VCPU_GPR + 8 * 14]
    mov r15, [rdi + VCPU_GPR + 8 * 15]
    mov rdi, [rdi + VCPU_GPR + 8 * 7]
%endmacro

%macro CLEAR_BUFFERS 0
    verw [rel clearing_selector]
%endmacro

%macro CLEAR_NOTHING 0
%endmacro

; name of the function, its exit point, what is done behind the last load of the guest's registers
%macro ENTRY_LOOP 3
global %1, %2

%1:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    push rdi                            ; [rsp] = vcpu, while the guest runs and after
    mov rax, VMCS_HOST_RSP
    vmwrite rax, rsp
    test esi, esi
    jnz %2.resume
    LOAD_GUEST
    %3
    sti
    vmlaunch
    jmp %2.failed

%2:
    push rdi
    mov rdi, [rsp + 8]
    mov [rdi + VCPU_GPR + 8 * 0], rax
    mov [rdi + VCPU_GPR + 8 * 1], rcx
    mov [rdi + VCPU_GPR + 8 * 2], rdx
    mov [rdi + VCPU_GPR + 8 * 3], rbx
    mov [rdi + VCPU_GPR + 8 * 5], rbp
    mov [rdi + VCPU_GPR + 8 * 6], rsi
    mov [rdi + VCPU_GPR + 8 * 8], r8
    mov [rdi + VCPU_GPR + 8 * 9], r9
    mov [rdi + VCPU_GPR + 8 * 10], r10
    mov [rdi + VCPU_GPR + 8 * 11], r11
    mov [rdi + VCPU_GPR + 8 * 12], r12
    mov [rdi + VCPU_GPR + 8 * 13], r13
    mov [rdi + VCPU_GPR + 8 * 14], r14
    mov [rdi + VCPU_GPR + 8 * 15], r15
    pop qword [rdi + VCPU_GPR + 8 * 7]
    call vmx_handle_exit
    test eax, eax
    jnz .leave
    mov rdi, [rsp]
.resume:
    LOAD_GUEST
    %3
    sti
    vmresume
.failed:
    cli
    mov rdi, [rsp]
    call vmx_entry_failed
.leave:
    pop rdi
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret
%endmacro

section .rodata
clearing_selector: dw HOST_DS

section .text
bits 64
extern vmx_handle_exit, vmx_entry_failed

ENTRY_LOOP vmx_enter, vmx_exit_point, CLEAR_NOTHING
ENTRY_LOOP vmx_enter_clearing, vmx_exit_point_clearing, CLEAR_BUFFERS

section .note.GNU-stack noalloc noexec nowrite progbits
