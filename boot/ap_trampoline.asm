; SPDX-License-Identifier: BSD-2-Clause
;
; Where an application processor wakes up: 16-bit real mode at a page below 1 MiB, by INIT-SIPI-SIPI
; (SDM 3A, "MP Initialization"). arch/x86/smp.c copies [ap_trampoline, ap_trampoline_end) to that
; page and fills the words at the end, one AP at a time. The claim there is 1 as long as somebody waits for
; the AP: one that finds 0 is too late, and halts in this page, which is then nobody else's.
;
; In:   CS = page >> 4, IP = 0, everything else as after INIT.
; Out:  entry(argument) in the higher half, on the stack and under the page tables that smp.c gave.

%include "boot/layout.inc"

section .rodata.ap_trampoline progbits alloc noexec nowrite align=16
bits 16
global ap_trampoline, ap_trampoline_end
global ap_trampoline_claim, ap_trampoline_stack, ap_trampoline_argument, ap_trampoline_entry
global ap_trampoline_cr3, ap_trampoline_boot_cr3
%define AT(label) (label - ap_trampoline)
ap_trampoline:
    cli
    cld
    mov ax, cs
    mov ds, ax
    xor eax, eax
    xchg eax, [AT(ap_trampoline_claim)]
    test eax, eax
    jz .too_late
    mov ax, cs
    movzx ebx, ax
    shl ebx, 4                                  ; EBX = physical address of this page
    lea eax, [ebx + AT(.gdt)]
    mov [AT(.gdtr) + 2], eax
    lea eax, [ebx + AT(.mode32)]
    mov [AT(.far32)], eax
    lea eax, [ebx + AT(.mode64)]
    mov [AT(.far64)], eax
    o32 lgdt [AT(.gdtr)]
    mov eax, cr0
    or eax, CR0_PE
    mov cr0, eax
    o32 jmp far [AT(.far32)]

.too_late:
    hlt
    jmp .too_late

bits 32
.mode32:
    mov ax, BOOT_DS
    mov ds, ax
    mov eax, cr4
    or eax, CR4_PAE
    mov cr4, eax
    mov eax, [ebx + AT(ap_trampoline_boot_cr3)]
    mov cr3, eax
    mov ecx, MSR_EFER
    rdmsr
    or eax, EFER_LME | EFER_NXE
    wrmsr
    mov eax, cr0
    or eax, CR0_PG | CR0_WP
    mov cr0, eax
    jmp far [ebx + AT(.far64)]

bits 64
.mode64:
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    xor ebp, ebp
    mov ebx, ebx
    mov rcx, [rbx + AT(ap_trampoline_cr3)]
    mov rsi, [rbx + AT(ap_trampoline_stack)]
    mov rdi, [rbx + AT(ap_trampoline_argument)]
    mov rdx, [rbx + AT(ap_trampoline_entry)]
    mov rax, ap_switch_tables
    jmp rax

align 8
.gdt:
    dq 0
    dq 0x00af9b000000ffff
    dq 0x00cf93000000ffff
    dq 0x00cf9b000000ffff
.gdtr:
    dw 4 * 8 - 1
    dd 0
.far32:
    dd 0
    dw BOOT_CS32
.far64:
    dd 0
    dw BOOT_CS64
align 8
ap_trampoline_claim:    dq 0                    ; 32 bits of it
ap_trampoline_stack:    dq 0
ap_trampoline_argument: dq 0
ap_trampoline_entry:    dq 0
ap_trampoline_cr3:      dq 0
ap_trampoline_boot_cr3: dq 0
ap_trampoline_end:

; Both sets of tables have this code; only the final ones have the stack.
section .text
ap_switch_tables:
    mov cr3, rcx
    mov rsp, rsi
    call rdx
    ud2

section .note.GNU-stack noalloc noexec nowrite progbits
