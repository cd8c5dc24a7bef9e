; SPDX-License-Identifier: BSD-2-Clause
; Into a mode and back. run_long and run_legacy are called from C and return when an exception, interrupt or INT3 has
; come; its frame stays on the stack on which it arrived, for C to read.

%include "popek/layout.inc"

CR0_PG          equ 1 << 31
CR0_PE          equ 1
CR4_PAE         equ 1 << 5
IA32_EFER       equ 0xc0000080
EFER_LME        equ 1 << 8
STUB_BYTES      equ 16
WITH_ERROR_CODE equ 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17 | 1 << 21

extern long_table, long_interrupts, legacy_table, legacy_interrupts
extern legacy_sp, is_real, legacy_cr0, legacy_cr3, legacy_cr4
extern caught, caught_ss, caught_task, caught_cr3, root
extern real_entry
global run_long, run_legacy, long_stubs, legacy_stubs, real_caught

%macro PUSH_CALLEE_SAVED 0
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    mov     [host_sp], rsp
%endmacro

bits 64
default abs
section .text

; void run_long(const struct long_frame *frame)
run_long:
    PUSH_CALLEE_SAVED
    mov     rsp, rdi
    pop     rax
    mov     gs, ax
    pop     rax
    mov     fs, ax
    pop     rax
    mov     es, ax
    pop     rax
    mov     ds, ax
    pop     rdi
    pop     rsi
    pop     rbp
    add     rsp, 8
    pop     rbx
    pop     rdx
    pop     rcx
    pop     rax
    iretq

; On the stack of IST 1: vector, error code, RIP, CS, RFLAGS, RSP, SS.
catch_long:
    push    rax
    push    rcx
    push    rdx
    push    rbx
    push    rsp
    push    rbp
    push    rsi
    push    rdi
    mov     eax, ds
    push    rax
    mov     eax, es
    push    rax
    mov     eax, fs
    push    rax
    mov     eax, gs
    push    rax
    mov     [caught], rsp
    str     [caught_task]
back:
    cld
    mov     eax, SEL_DATA
    mov     ds, ax
    mov     es, ax
    mov     ss, ax
    xor     eax, eax
    mov     fs, ax
    mov     gs, ax
    mov     rsp, [host_sp]
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret

%macro STUBS 1                  ; where they lead
%assign vector 0
%%first:
%rep 256
    times   -($ - %%first) & (STUB_BYTES - 1) nop
%if vector >= 32 || ((WITH_ERROR_CODE >> vector) & 1) == 0
    push    byte 0
%endif
    push    vector
    jmp     near %1
%assign vector vector + 1
%endrep
%endmacro

long_stubs:
    STUBS   catch_long

; void run_legacy(void): with the frame at LOW_FRAME
run_legacy:
    PUSH_CALLEE_SAVED
    push    SEL_CODE32
    push    leave_long
    retfq

bits 32
leave_long:
    mov     eax, SEL_DATA
    mov     ss, ax
    mov     ds, ax
    mov     es, ax
    mov     esp, switch_stack
    mov     eax, cr0
    and     eax, ~CR0_PG
    mov     cr0, eax
    mov     ecx, IA32_EFER
    rdmsr
    and     eax, ~EFER_LME
    wrmsr
    lgdt    [legacy_table]
    lidt    [legacy_interrupts]
    xor     eax, eax
    lldt    ax
    mov     eax, SEL_TASK
    ltr     ax
    mov     eax, [legacy_cr3]
    test    eax, eax
    jz      .without_paging
    mov     cr3, eax
    mov     eax, [legacy_cr4]
    mov     cr4, eax
    mov     eax, [legacy_cr0]
    mov     cr0, eax
.without_paging:
    cmp     dword [is_real], 0
    jne     .real
    lss     esp, [legacy_sp]
    pop     gs
    pop     fs
    pop     es
    pop     ds
    popad
    iretd
.real:
    jmp     dword far [real_entry]

; On whatever stack it came: vector, error code, EIP, CS, EFLAGS, and ESP, SS, ES, DS, FS, GS of other rings.
catch_legacy:
    pushad
    push    ds
    push    es
    push    fs
    push    gs
    mov     eax, SEL_DATA
    mov     ds, ax
    mov     ebx, esp
    mov     ecx, ss
    mov     [caught_ss], cx
    str     [caught_task]
    cmp     ecx, SEL_DATA16
    jne     enter_long
    movzx   ebx, bx
    add     ebx, LOW_BASE
    jmp     enter_long

real_caught:
    mov     eax, SEL_DATA
    mov     ds, ax
    str     [caught_task]
enter_long:
    cld
    mov     eax, cr3
    mov     [caught_cr3], eax
    mov     eax, cr0
    btr     eax, 31             ; the tables of a legacy mode
    jnc     .without_paging
    mov     cr0, eax
.without_paging:
    mov     [caught], ebx
    mov     dword [caught + 4], 0
    mov     eax, SEL_DATA
    mov     ss, ax
    mov     esp, switch_stack
    cmp     word [caught_task], SEL_TASK16
    jne     .is_32_bit
    mov     eax, SEL_PARKED_TASK
    ltr     ax
.is_32_bit:
    mov     eax, CR4_PAE
    mov     cr4, eax
    mov     eax, [root]
    mov     cr3, eax
    mov     ecx, IA32_EFER
    rdmsr
    or      eax, EFER_LME
    wrmsr
    mov     eax, cr0
    or      eax, CR0_PG | CR0_PE
    mov     cr0, eax
    lgdt    [long_table]
    jmp     SEL_CODE64:.long
bits 64
.long:
    lidt    [long_interrupts]
    mov     eax, SEL_TASK
    ltr     ax
    jmp     back

bits 32
legacy_stubs:
    STUBS   catch_legacy

section .bss align=16
host_sp:
    resq    2
    resb    256
switch_stack:

section .note.GNU-stack noalloc noexec nowrite progbits
