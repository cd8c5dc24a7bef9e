; SPDX-License-Identifier: BSD-2-Clause
;
; enum verdict svm_enter(struct vcpu *vcpu, hpa_t vmcb, hpa_t host_vmcb)
;
; Runs the guest of the VMCB until svm_handle_exit(vcpu) returns something else than VERDICT_RESUME (0),
; which it returns. RAX and RSP of the guest are in the VMCB: C copies RAX.
;
; VMRUN and the exit switch only a part of the CPU: FS, GS, TR, LDTR and the MSRs of SYSCALL and SYSENTER
; are VMLOAD's and VMSAVE's, the host's from host_vmcb. Until they are the host's again, GIF holds off
; everything that could run host code, NMIs too: there is no TSS of ours for them.
;
; Interrupts are off in C. IF is set under GIF = 0 because VMRUN takes it for the host's: with it, an
; interrupt ends a guest that runs with its own IF = 0 (APM 2, "Virtual Interrupts": V_INTR_MASKING).

%include "build/asm_offsets.inc"

section .text
bits 64
extern svm_handle_exit
global svm_enter

%define SAVED_VCPU      0
%define SAVED_VMCB      8
%define SAVED_HOST_VMCB 16

svm_enter:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    push rdx
    push rsi
    push rdi
.resume:
    clgi
    sti
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
    mov rax, [rsp + SAVED_VMCB]
    vmload                              ; all four take the VMCB's address from RAX
    vmrun
    vmsave
    mov rax, [rsp + SAVED_HOST_VMCB]
    vmload
    mov rax, [rsp + SAVED_VCPU]
    mov [rax + VCPU_GPR + 8 * 1], rcx
    mov [rax + VCPU_GPR + 8 * 2], rdx
    mov [rax + VCPU_GPR + 8 * 3], rbx
    mov [rax + VCPU_GPR + 8 * 5], rbp
    mov [rax + VCPU_GPR + 8 * 6], rsi
    mov [rax + VCPU_GPR + 8 * 7], rdi
    mov [rax + VCPU_GPR + 8 * 8], r8
    mov [rax + VCPU_GPR + 8 * 9], r9
    mov [rax + VCPU_GPR + 8 * 10], r10
    mov [rax + VCPU_GPR + 8 * 11], r11
    mov [rax + VCPU_GPR + 8 * 12], r12
    mov [rax + VCPU_GPR + 8 * 13], r13
    mov [rax + VCPU_GPR + 8 * 14], r14
    mov [rax + VCPU_GPR + 8 * 15], r15
    mov rdi, rax
    cli
    stgi
    call svm_handle_exit
    mov rdi, [rsp + SAVED_VCPU]
    test eax, eax
    jz .resume
    add rsp, 3 * 8
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret

section .note.GNU-stack noalloc noexec nowrite progbits
