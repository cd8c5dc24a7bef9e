; SPDX-License-Identifier: BSD-2-Clause
; Entry of 64-bit guests: from 32-bit flat protected mode, paging off, to long mode on page tables that
; map the first 4 GiB 1:1 in 2 MiB pages (of every x86-64 CPU). EAX and EBX, the boot protocol's, become
; guest_main's arguments; what guest_main returns ends the guest.

PAGE_PRESENT    equ 1 << 0
PAGE_WRITABLE   equ 1 << 1
PAGE_LARGE      equ 1 << 7
CR0_PE_PG       equ 1 << 31 | 1
CR4_PAE         equ 1 << 5
IA32_EFER       equ 0xc0000080
EFER_LME        equ 1 << 8
GIBIBYTES       equ 4

extern guest_main
extern guest_exit
global start

section .text.start
bits 32
start:
    cli
    cld
    mov     esp, stack_top
    push    ebx
    push    eax

    mov     edi, directories    ; 2 MiB pages
    mov     eax, PAGE_PRESENT | PAGE_WRITABLE | PAGE_LARGE
    mov     ecx, GIBIBYTES * 512
.next_page:
    mov     [edi], eax
    mov     dword [edi + 4], 0
    add     eax, 1 << 21
    add     edi, 8
    loop    .next_page

    mov     edi, pointers
    mov     eax, directories + (PAGE_PRESENT | PAGE_WRITABLE)
    mov     ecx, GIBIBYTES
.next_directory:
    mov     [edi], eax
    add     eax, 4096
    add     edi, 8
    loop    .next_directory
    mov     dword [top], pointers + (PAGE_PRESENT | PAGE_WRITABLE)

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
    lgdt    [descriptor_table]
    jmp     8:long_mode

bits 64
long_mode:
    mov     ax, 16
    mov     ds, ax
    mov     es, ax
    mov     ss, ax
    mov     edi, [rsp]
    mov     esi, [rsp + 4]
    mov     rsp, stack_top
    call    guest_main
    mov     edi, eax
    call    guest_exit

section .rodata
align 8
descriptors:
    dq      0
    dq      0x00af9b000000ffff  ; 64-bit code
    dq      0x00cf93000000ffff  ; data
descriptor_table:
    dw      $ - descriptors - 1
    dd      descriptors

section .bss
align 4096
top:
    resb    4096
pointers:
    resb    4096
directories:
    resb    GIBIBYTES * 4096
    resb    16384
stack_top:

section .note.GNU-stack noalloc noexec nowrite progbits
