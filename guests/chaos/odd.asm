; SPDX-License-Identifier: BSD-2-Clause
; States of a CPU outside of long mode that VM entry checks, each with instructions that exit. It is copied to
; SMP_AP_PAGE and started there by a SIPI; the number at odd_start + 8 says which state, the one at + 12 counts how far
; it came, the one at + 16 becomes 1. It ends in HLT with interrupts off, as does what faults.

BASE            equ 0x8000      ; SMP_AP_PAGE
STACK           equ 0xf00
CODE32          equ 8           ; all have their base at BASE, so that offsets are the same in every mode
CODE16          equ 16
DATA            equ 24
FLAT            equ 32
DOWN            equ 40          ; expand-down
CONFORMING      equ 48
CODE3           equ 56 | 3
DATA3           equ 64 | 3
TSS32           equ 72
TSS_OTHER       equ 80
LDT             equ 88
CR0_PE          equ 1
CR0_PG          equ 1 << 31
CR4_PAE         equ 1 << 5
FLAG_TF         equ 1 << 8
FLAG_VM         equ 1 << 17
FLAG_IOPL3      equ 3 << 12
FLAG_ONE        equ 2

global odd_start, odd_end

%macro STEP 0
    inc     dword [fs:steps - odd_start]
%endmacro

; What exits in every mode; EBP and the stack stay.
%macro EXITS 0
    cpuid
    in      al, 0x80
    out     0x80, al
    mov     ecx, 0x277
    rdmsr
    mov     ax, ss
    mov     ss, ax
    cpuid
    STEP
%endmacro

%macro ENTER_PE 0
    o32 lgdt [cs:gdtr - odd_start]
    o32 lidt [cs:protected_idtr - odd_start]
    mov     eax, cr0
    or      al, CR0_PE
    mov     cr0, eax
%endmacro

section .text
bits 16
odd_start:
    jmp     short begin
    times 8 - ($ - odd_start) nop
state:
    dd      0
steps:
    dd      0
is_over:
    dd      0
begin:
    cli
    mov     ax, cs
    mov     ds, ax
    mov     es, ax
    mov     fs, ax
    mov     ss, ax
    mov     sp, STACK
    o32 lidt [real_idtr - odd_start]
    mov     bp, [state - odd_start]
    STEP
    mov     bx, bp
    and     bx, 15
    add     bx, bx
    jmp     [cs:bx + table - odd_start]

stay:
    mov     dword [fs:is_over - odd_start], 1
.sleep:
    cli
    hlt
    jmp     .sleep

; --- real mode

real:
    EXITS
    push    word FLAG_TF | FLAG_ONE
    popf
    cpuid
    jmp     stay

real_breakpoint:
    sti
    nop
    int3

; protected mode with what real mode left in the segments
just_protected:
    ENTER_PE
    EXITS
    mov     eax, cr0
    and     al, ~CR0_PE
    mov     cr0, eax
    EXITS
    jmp     stay

; back in real mode with the limits and rights of protected mode
unreal:
    ENTER_PE
    mov     ax, FLAT
    mov     ds, ax
    mov     es, ax
    mov     ax, DATA
    mov     ss, ax
    mov     fs, ax
    jmp     CODE16:(.protected - odd_start)
.protected:
    EXITS
    mov     eax, cr0
    and     al, ~CR0_PE
    mov     cr0, eax
    EXITS
    jmp     (BASE >> 4):(.real - odd_start)
.real:
    EXITS
    jmp     stay

to_protected:
    ENTER_PE
    mov     ax, DATA
    mov     ds, ax
    mov     fs, ax
    mov     ss, ax
    mov     esp, STACK
    jmp     dword CODE32:(protected - odd_start)

; paging with PDPTEs that are none, then with such that are
to_paged:
    ENTER_PE
    mov     eax, cr4
    or      eax, CR4_PAE
    mov     cr4, eax
    mov     eax, BASE + (pdptes - odd_start)
    mov     cr3, eax
    mov     eax, cr0
    or      eax, CR0_PG
    mov     cr0, eax
    EXITS
    jmp     stay

; --- 32-bit protected mode, no paging

bits 32
protected:
    EXITS
    shr     ebp, 4
    mov     ebx, ebp
    and     ebx, 7
    jmp     [cs:ebx * 4 + protected_table - odd_start]

stay32:
    mov     ax, DATA            ; a fault in virtual-8086 mode has left nothing there
    mov     fs, ax
    mov     dword [fs:is_over - odd_start], 1
.sleep:
    cli
    hlt
    jmp     .sleep

nulls:
    xor     eax, eax
    lldt    ax
    mov     ds, ax
    mov     es, ax
    mov     gs, ax
    EXITS
    mov     ax, LDT
    lldt    ax
    EXITS
    jmp     stay32

down:
    mov     ax, DOWN
    mov     es, ax
    mov     ss, ax
    mov     ax, FLAT
    mov     gs, ax
    cpuid
    STEP
    mov     ax, DATA
    mov     ss, ax
    EXITS
    jmp     stay32

conforming:
    jmp     CONFORMING:(.here - odd_start)
.here:
    EXITS
    jmp     stay32

tasks:
    mov     ax, TSS32
    ltr     ax
    EXITS
    jmp     stay32

to_user:
    mov     ax, TSS32
    ltr     ax
    push    DATA3
    push    STACK
    push    FLAG_IOPL3 | FLAG_ONE
    push    CODE3
    push    user - odd_start
    iret
user:
    cpuid
    in      al, 0x80
    mov     ax, DATA3
    mov     fs, ax
    STEP
    mov     ss, ax
    cpuid
    int3

to_virtual8086:
    mov     ax, TSS32
    ltr     ax
    push    BASE >> 4           ; GS, FS, DS, ES
    push    BASE >> 4
    push    BASE >> 4
    push    BASE >> 4
    push    BASE >> 4           ; SS
    push    STACK
    push    FLAG_VM | FLAG_IOPL3 | FLAG_ONE
    push    BASE >> 4
    push    virtual8086 - odd_start
    iret
bits 16
virtual8086:
    cpuid
    in      al, 0x80
    out     0x80, al
    STEP
    mov     ax, ss
    mov     ss, ax
    cpuid
    STEP
    push    word FLAG_TF | FLAG_ONE
    popf
    cpuid
    hlt
bits 32

; all that loads a segment register, with selectors of anything
loads:
    mov     eax, ebp
    shr     eax, 3
    and     eax, 0x7c
    mov     ds, ax
    cpuid
    mov     eax, ebp
    shr     eax, 5
    and     eax, 0x7f
    mov     gs, ax
    EXITS
    jmp     stay32

fault32:
    jmp     stay32

bits 16
fault16:
    jmp     stay

align 8
table:
    dw      real - odd_start, real_breakpoint - odd_start, just_protected - odd_start, unreal - odd_start
    dw      to_paged - odd_start, to_protected - odd_start, to_protected - odd_start, to_protected - odd_start
    times 8 dw to_protected - odd_start
protected_table:
    dd      nulls - odd_start, down - odd_start, conforming - odd_start, tasks - odd_start
    dd      to_user - odd_start, to_virtual8086 - odd_start, loads - odd_start, loads - odd_start

; %1 type and rights, %2 granularity and size: base BASE, limit ffff
%macro DESCRIPTOR 2
    dw      0xffff, BASE
    db      0, %1, %2, 0
%endmacro

align 8
descriptors:
    dq      0
    DESCRIPTOR 0x9b, 0x40
    DESCRIPTOR 0x9b, 0
    DESCRIPTOR 0x93, 0x40
    dq      0x00cf93000000ffff
    dw      0x0fff, BASE
    db      0, 0x97, 0x40, 0
    DESCRIPTOR 0x9f, 0x40
    DESCRIPTOR 0xfb, 0x40
    DESCRIPTOR 0xf3, 0x40
    dw      0x67, BASE + (tss - odd_start)
    db      0, 0x89, 0, 0
    dw      0x2b, BASE + (tss - odd_start)
    db      0, 0x81, 0, 0
    DESCRIPTOR 0x82, 0
gdtr:
    dw      $ - descriptors - 1
    dd      BASE + (descriptors - odd_start)
real_idtr:
    dw      32 * 4 - 1
    dd      BASE + (real_idt - odd_start)
protected_idtr:
    dw      32 * 8 - 1
    dd      BASE + (protected_idt - odd_start)
align 8
real_idt:
    times 32 dd (fault16 - odd_start) | (BASE >> 4) << 16
protected_idt:
%rep 32
    dw      fault32 - odd_start, CODE32, 0xee00, 0
%endrep
align 32
pdptes:
    dq      0x1e7, 0xfff0000000000001, 0, 1
tss:
    dd      0, STACK, DATA
    times 22 dd 0
    dw      0, 0x68
odd_end:

section .note.GNU-stack noalloc noexec nowrite progbits
