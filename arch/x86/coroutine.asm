; SPDX-License-Identifier: BSD-2-Clause
;
; void coroutine_switch(uint64_t *from, uint64_t to)
;
; Saves what a C function must preserve on the stack that it is called on, stores that stack's pointer in *from, and
; goes on where the other stack's owner called this, or at the start that arch_coroutine_create() laid out there.
; Interrupts are off.

section .text
bits 64
global coroutine_switch

coroutine_switch:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    mov [rdi], rsp
    mov rsp, rsi
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret

section .note.GNU-stack noalloc noexec nowrite progbits
