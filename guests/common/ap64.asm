; SPDX-License-Identifier: BSD-2-Clause
; Entry of another CPU of a 64-bit guest: copied to the page below 1 MiB where a SIPI starts it (ap_trampoline up to
; ap_trampoline_end), from real mode right to 64-bit code on the tables of start64.asm, and to ap_main() on a stack of
; its own. One CPU: there is one stack.

CR0_PE_PG equ 1 << 31 | 1
CR4_PAE   equ 1 << 5
IA32_EFER equ 0xc0000080
EFER_LME  equ 1 << 8

extern ap_main, top, descriptors
global ap_trampoline, ap_trampoline_end

section .text
bits 16
ap_trampoline:
    cli
    mov     ax, cs
    mov     ds, ax
    o32 lgdt [descriptor_table - ap_trampoline]
    mov     eax, cr4
    or      eax, CR4_PAE
    mov     cr4, eax
    mov     eax, top
    mov     cr3, eax
    mov     ecx, IA32_EFER
    rdmsr
    or      eax, EFER_LME
    wrmsr
    mov     eax, cr0
    or      eax, CR0_PE_PG
    mov     cr0, eax
    jmp     dword 8:long_mode
descriptor_table:
    dw      3 * 8 - 1
    dd      descriptors
ap_trampoline_end:

bits 64
long_mode:
    mov     ax, 16
    mov     ds, ax
    mov     es, ax
    mov     ss, ax
    mov     rsp, stack_top
    call    ap_main
.end:
    cli
    hlt
    jmp     .end

section .bss
align 16
    resb    4096
stack_top:

section .note.GNU-stack noalloc noexec nowrite progbits
