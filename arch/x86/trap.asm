; SPDX-License-Identifier: BSD-2-Clause
;
; Interrupt and exception entry: 256 stubs push a uniform frame (struct trap_frame in trap.h) and call
; trap_dispatch(frame). GS is the kernel's always: a guest's GS base never outlives a VM exit.

; All of one size, TRAP_STUB_BYTES, from trap_stubs on. A vector is pushed as a signed byte, for brevity.
%include "build/asm_offsets.inc"

%macro STUB 1
    push strict byte %1 - (%1 >> 7 << 8)
  %if (%1 < 32) && ((1 << %1) & ERROR_CODE_MASK)
    jmp strict near trap_common
  %else
    jmp strict near trap_without_code
  %endif
    times TRAP_STUB_BYTES * (%1 + 1) - ($ - trap_stubs) int3
%endmacro

ERROR_CODE_MASK equ 1<<8 | 1<<10 | 1<<11 | 1<<12 | 1<<13 | 1<<14 | 1<<17 | 1<<21

section .text
bits 64
extern trap_dispatch

global trap_stubs, trap_common ; backtraces find the frame behind the latter's call
trap_stubs:
%assign vector 0
%rep 256
    STUB vector
  %assign vector vector + 1
%endrep

trap_without_code:
    push qword [rsp]
    mov qword [rsp + 8], 0
trap_common:
    and qword [rsp], 0xff
    push rax
    push rcx
    push rdx
    push rbx
    push rbp
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
    mov rdi, rsp
    mov rbx, rsp
    and rsp, -16
    call trap_dispatch
    mov rsp, rbx
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rbp
    pop rbx
    pop rdx
    pop rcx
    pop rax
    add rsp, 16
    iretq

section .note.GNU-stack noalloc noexec nowrite progbits
