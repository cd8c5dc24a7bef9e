; SPDX-License-Identifier: BSD-2-Clause
; unsigned cpu_enter(struct cpu *cpu, const struct registers *registers)
;   Loads every register, jumps, and returns the vector of the exception that ended it: 3 (INT3) is how what went well
;   ends. Exceptions come on a stack in the page that begins with struct cpu, so nothing of what ran needs to be sane
;   but CR3, the descriptor tables and TR. R15 holds the address that is jumped to. Interrupts off, before and after.

; struct cpu and struct registers; machine.c checks that C has the same
CPU_RSP             equ 0
CPU_CR3             equ 8
CPU_INTERRUPTS      equ 16
REGISTERS_RIP       equ 128
REGISTERS_RFLAGS    equ 136

SELECTOR_DATA   equ 16
FLAGS_NONE      equ 2
FLAG_IF         equ 1 << 9
DR7_NONE        equ 0x400
APIC_EOI        equ 0xfee000b0
IA32_FS_BASE    equ 0xc0000100
IA32_GS_BASE    equ 0xc0000101
VECTORS         equ 256
NMI             equ 2
FIRST_INTERRUPT equ 32

global cpu_enter, vector_stubs

section .text
cpu_enter:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    mov     [rdi + CPU_RSP], rsp
    mov     rax, cr3
    mov     [rdi + CPU_CR3], rax
    push    qword [rsi + REGISTERS_RFLAGS]
    mov     r15, [rsi + REGISTERS_RIP]
    mov     rax, [rsi + 0 * 8]
    mov     rcx, [rsi + 1 * 8]
    mov     rdx, [rsi + 2 * 8]
    mov     rbx, [rsi + 3 * 8]
    mov     rbp, [rsi + 5 * 8]
    mov     rdi, [rsi + 7 * 8]
    mov     r8, [rsi + 8 * 8]
    mov     r9, [rsi + 9 * 8]
    mov     r10, [rsi + 10 * 8]
    mov     r11, [rsi + 11 * 8]
    mov     r12, [rsi + 12 * 8]
    mov     r13, [rsi + 13 * 8]
    mov     r14, [rsi + 14 * 8]
    popfq
    mov     rsp, [rsi + 4 * 8]
    mov     rsi, [rsi + 6 * 8]
    jmp     r15

; With the vector on top of the stack, perhaps above an error code. Outside of an operation it is no exception: the
; interrupt controllers take such vectors, too.
fault:
    push    rbx
    mov     rbx, rsp
    and     rbx, -4096
    cmp     qword [rbx + CPU_RSP], 0
    pop     rbx
    je      not_an_exception
    mov     rbx, rsp
    and     rbx, -4096
    mov     eax, [rsp]
    mov     rsp, [rbx + CPU_RSP]
    mov     qword [rbx + CPU_RSP], 0
    mov     rcx, [rbx + CPU_CR3]
    mov     cr3, rcx
    mov     ecx, DR7_NONE
    mov     dr7, rcx
    push    FLAGS_NONE
    popfq
    mov     cx, SELECTOR_DATA
    mov     ds, cx
    mov     es, cx
    mov     ss, cx
    mov     r8d, eax
    xor     eax, eax
    xor     edx, edx
    mov     fs, ax
    mov     gs, ax
    mov     ecx, IA32_FS_BASE
    wrmsr
    mov     ecx, IA32_GS_BASE
    wrmsr
    mov     eax, r8d
    cld
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret

not_an_exception:
    add     rsp, 8
; One for each time that interrupts are let in: it returns with them off, or a storm would leave nothing else to do.
interrupt:
    push    rax
    and     dword [rsp + 3 * 8], ~FLAG_IF
    mov     eax, APIC_EOI
    mov     dword [rax], 0
    mov     rax, rsp
    and     rax, -4096
    inc     qword [rax + CPU_INTERRUPTS]
    pop     rax
    iretq

nmi:
    push    rax
    mov     rax, rsp
    and     rax, -4096
    inc     qword [rax + CPU_INTERRUPTS]
    pop     rax
    iretq

%assign vector 0
%rep VECTORS
stub_%[vector]:
%if vector == NMI
    jmp     nmi
%elif vector >= FIRST_INTERRUPT
    jmp     interrupt
%else
    push    vector
    jmp     fault
%endif
%assign vector vector + 1
%endrep

section .rodata
align 8
vector_stubs:
%assign vector 0
%rep VECTORS
    dq      stub_%[vector]
%assign vector vector + 1
%endrep

section .note.GNU-stack noalloc noexec nowrite progbits
