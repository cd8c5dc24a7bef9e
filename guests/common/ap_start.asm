; SPDX-License-Identifier: BSD-2-Clause
; Entry of a 64-bit guest's application processors: what smp.c copies to a page below 1 MiB and names in a SIPI. From
; real mode to long mode on the boot processor's page tables, then to ap_main(ap_argument) on the stack ap_stack.

CR0_PE_PG       equ 1 << 31 | 1
CR4_PAE         equ 1 << 5
IA32_EFER       equ 0xc0000080
EFER_LME        equ 1 << 8
SELECTOR_CODE   equ 8
SELECTOR_DATA   equ 16

global ap_start, ap_start_end, ap_cr3, ap_stack, ap_main, ap_argument

section .text
bits 16
ap_start:
    cli
    mov     ax, cs
    mov     ds, ax
    mov     eax, cr4
    or      eax, CR4_PAE
    mov     cr4, eax
    mov     eax, [ap_cr3 - ap_start]
    mov     cr3, eax
    mov     ecx, IA32_EFER
    rdmsr
    or      eax, EFER_LME
    wrmsr
    o32 lgdt [descriptor_table - ap_start]
    mov     eax, CR0_PE_PG | 1 << 4
    mov     cr0, eax
    jmp     dword SELECTOR_CODE:long_mode
align 8
ap_cr3:
    dd      0
descriptor_table:
    dw      descriptors_end - descriptors - 1
    dd      descriptors
ap_start_end:

bits 64
long_mode:
    mov     ax, SELECTOR_DATA
    mov     ds, ax
    mov     es, ax
    mov     ss, ax
    xor     eax, eax
    mov     fs, ax
    mov     gs, ax
    mov     rsp, [rel ap_stack]
    mov     edi, [rel ap_argument]
    call    [rel ap_main]
.stay:
    cli
    hlt
    jmp     .stay

section .rodata
align 8
descriptors:
    dq      0
    dq      0x00af9b000000ffff  ; 64-bit code
    dq      0x00cf93000000ffff  ; data
descriptors_end:

section .bss
align 8
ap_stack:
    resq    1
ap_main:
    resq    1
ap_argument:
    resq    1

section .note.GNU-stack noalloc noexec nowrite progbits
