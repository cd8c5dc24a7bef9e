; SPDX-License-Identifier: BSD-2-Clause
;
; The Multiboot2 header and the way from GRUB's 32-bit protected mode into the 64-bit kernel.
;
; In:   EAX = Multiboot2 magic, EBX = physical address of the boot information, paging off, flat
;       segments, interrupts off (Multiboot2 Specification, "I386 machine state"; UEFI's GRUB hands
;       over in the same state).
; Out:  kernel_main(magic, boot information) on the boot stack, in the higher half, under the page
;       tables below: the first 4 GiB 1:1 (for the hand-over and for starting APs) and the first
;       1 GiB at KERNEL_BASE. The C code replaces them by its own.
; On a CPU without long mode or NX: one line on COM1 and VGA, then halt.

%include "boot/layout.inc"

MB2_MAGIC             equ 0xe85250d6
MB2_ARCH_I386         equ 0
MB2_TAG_END           equ 0
MB2_TAG_INFO_REQUEST  equ 1
MB2_TAG_FRAMEBUFFER   equ 5
MB2_TAG_MODULE_ALIGN  equ 6
MB2_TAG_OPTIONAL      equ 1

MB2_INFO_CMDLINE      equ 1
MB2_INFO_MODULE       equ 3
MB2_INFO_MMAP         equ 6

section .multiboot2 progbits alloc noexec nowrite align=8
header:
    dd MB2_MAGIC, MB2_ARCH_I386, header_end - header
    dd -(MB2_MAGIC + MB2_ARCH_I386 + (header_end - header)) & 0xffffffff
    align 8
    dw MB2_TAG_INFO_REQUEST, 0
    dd 20, MB2_INFO_CMDLINE, MB2_INFO_MODULE, MB2_INFO_MMAP
    align 8
    dw MB2_TAG_FRAMEBUFFER, MB2_TAG_OPTIONAL
    dd 20, 0, 0, 0                              ; width, height, depth: whatever there is
    align 8
    dw MB2_TAG_MODULE_ALIGN, 0
    dd 8
    align 8
    dw MB2_TAG_END, 0
    dd 8
header_end:

; ---------------------------------------------------------------------------------------------

section .boot.text progbits alloc exec nowrite align=16
bits 32
global boot_entry
boot_entry:
    cli
    cld
    mov esp, boot_stack_low_top
    mov esi, eax
    mov edi, ebx

    mov eax, 0x80000000
    cpuid
    mov ebp, no_long_mode_text
    cmp eax, 0x80000001
    jb .cannot_boot
    mov eax, 0x80000001
    cpuid
    test edx, 1 << 29                           ; CPUID.80000001H:EDX.LM
    jz .cannot_boot
    mov ebp, no_nx_text
    test edx, 1 << 20                           ; CPUID.80000001H:EDX.NX
    jz .cannot_boot

    call boot_fill_tables
    mov eax, CR4_PAE                            ; and nothing that UEFI left: CR4.LA57 would want five levels
    mov cr4, eax
    mov eax, boot_pml4
    mov cr3, eax
    mov ecx, MSR_EFER
    rdmsr
    or eax, EFER_LME | EFER_NXE
    wrmsr
    mov eax, cr0
    or eax, CR0_PG | CR0_WP
    mov cr0, eax
    lgdt [boot_gdtr]
    jmp BOOT_CS64:boot_entry64

.cannot_boot:
    mov esi, ebp
    mov edi, 0xb8000
.next:
    lodsb
    test al, al
    jz .halt
    mov ah, 0x0f
    mov [edi], ax
    add edi, 2
    mov bl, al
    mov dx, COM1 + 5
.wait:                                          ; an absent UART reads as all ones: never stuck
    in al, dx
    test al, 0x20
    jz .wait
    mov al, bl
    mov dx, COM1
    out dx, al
    jmp .next
.halt:
    hlt
    jmp .halt

; Fills the tables: 4 GiB 1:1 in 2 MiB pages, the first of the four page directories shared with the higher half.
boot_fill_tables:
    mov eax, boot_pdpt_low + PTE_TABLE
    mov [boot_pml4], eax
    mov eax, boot_pdpt_high + PTE_TABLE
    mov [boot_pml4 + 511 * 8], eax
    mov eax, boot_pd + PTE_TABLE
    mov [boot_pdpt_high + 510 * 8], eax
    mov edx, boot_pdpt_low
    mov ecx, 4
.pdpt:
    mov [edx], eax
    add eax, 4096
    add edx, 8
    loop .pdpt
    mov eax, PTE_LARGE
    mov edx, boot_pd
    mov ecx, 4 * 512
.pd:
    mov [edx], eax
    add eax, 0x200000
    add edx, 8
    loop .pd
    ret

bits 64
boot_entry64:
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    mov rax, .high
    jmp rax
.high:
    extern kernel_main
    mov rsp, boot_stack_top
    xor ebp, ebp                                ; the end of every backtrace
    xchg edi, esi                               ; EDI = magic, ESI = boot information
    mov edi, edi
    mov esi, esi
    call kernel_main
    ud2

section .boot.data progbits alloc noexec write align=16
align 8
boot_gdt:
    dq 0
    dq 0x00af9b000000ffff                       ; 64-bit code
    dq 0x00cf93000000ffff                       ; data
    dq 0x00cf9b000000ffff                       ; 32-bit code, for the APs' way up
boot_gdt_end:
global boot_gdtr
boot_gdtr:
    dw boot_gdt_end - boot_gdt - 1
    dd boot_gdt
no_long_mode_text: db "ringmaster: preflight: this CPU has no 64-bit mode (CPUID.80000001H:EDX.LM); halted", 13, 10, 0
no_nx_text: db "ringmaster: preflight: this CPU has no NX (CPUID.80000001H:EDX.NX), or the firmware has it off; halted", 13, 10, 0

section .boot.bss nobits alloc noexec write align=4096
global boot_pml4
boot_pml4:      resb 4096
boot_pdpt_low:  resb 4096
boot_pdpt_high: resb 4096
boot_pd:        resb 4 * 4096
boot_stack_low: resb 256
boot_stack_low_top:

; The stack until each CPU has its own; paging.c leaves the guard page unmapped.
section .bss nobits alloc noexec write align=4096
global boot_stack_guard, boot_stack_top
boot_stack_guard: resb 4096
                  resb 16384
boot_stack_top:

section .note.GNU-stack noalloc noexec nowrite progbits
