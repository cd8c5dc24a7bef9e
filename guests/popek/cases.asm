; SPDX-License-Identifier: BSD-2-Clause
; The cases of cases.inc, assembled for each word size, and the tables of them: struct row of popek.h.

%include "popek/layout.inc"

%define ALL     0x3ff
%define LONG    (MODE_LONG_0 | MODE_LONG_3)
%define COMPAT  (MODE_COMPAT_0 | MODE_COMPAT_3)
%define LEGACY  (MODE_PROT32_0 | MODE_PROT32_3 | MODE_PROT16_0 | MODE_PROT16_3)
%define PROT    (LONG | COMPAT | LEGACY)
%define PAGE32  (MODE_PAGE32_0 | MODE_PAGE32_3)
%define PAE     (MODE_PAE_0 | MODE_PAE_3)
%define PAGED   (PAGE32 | PAE)
%define PAGED_0 (MODE_PAGE32_0 | MODE_PAE_0)
%define VM86_PAGED (MODE_VM86_PAGE32 | MODE_VM86_PAE)
%define VM86    (MODE_VM86 | VM86_PAGED)
%define CPL0    (MODE_LONG_0 | MODE_COMPAT_0 | MODE_PROT32_0 | MODE_PROT16_0 | MODE_REAL)
%define CPL3    (MODE_LONG_3 | MODE_COMPAT_3 | MODE_PROT32_3 | MODE_PROT16_3 | MODE_VM86)

%define FLAG_TF   0x100
%define FLAG_IF   0x200
%define FLAG_IOPL 0x3000
%define FLAG_NT   0x4000
%define FLAG_AC   0x40000
%define FLAG_VIF  0x80000
%define FLAG_VIP  0x100000

%define CR0_MP 0x2
%define CR0_EM 0x4
%define CR0_TS 0x8
%define CR0_AM 0x40000
%define CR0_WP 0x10000
%define CR0_CD 0x40000000
%define CR0_PG 0x80000000
%define CR0_PE 0x1
%define CR4_VME 0x1
%define CR4_PVI 0x2
%define CR4_TSD 0x4
%define CR4_DE 0x8
%define CR4_PSE 0x10
%define CR4_PAE 0x20
%define CR4_PGE 0x80
%define CR4_PCE 0x100
%define CR4_UMIP 0x800
%define CR4_FSGSBASE 0x10000
%define CR4_PCIDE 0x20000
%define CR4_OSXSAVE 0x40000
%define CR4_SMEP 0x100000
%define CR4_SMAP 0x200000
%define CR4_PKE 0x400000

; CASE name, modes [, options [, flags [, cr4 [, cr0 [, input]]]]], the code, END
%macro CASE 2-7 0, 0, 0, 0, 0
    %push case
    %define %$modes %2
    [section .rodata]
%%name:
    db      %1, 0
    %xdefine %$name %%name
    [section .rodata.low]
%%begin:
    %xdefine %$begin %%begin
    %xdefine %$modes ((%2) & MODES_HERE)
    %xdefine %$options (%3)
    %xdefine %$flags (%4)
    %xdefine %$cr4 (%5)
    %xdefine %$cr0 (%6)
    %xdefine %$input (%7)
%endmacro

%macro END 0
%%end:
    int3
    [section .rodata.rows]
    dq      %$name
    dd      %$begin - low_start, %%end - %$begin, %$modes, %$flags, %$cr0, %$cr4, %$input, %$options
    [section .rodata.low]
    %pop case
%endmacro

%macro LEA_HERE 2               ; register, label of this case
    lea     %1, [xbp + %2 - %$begin]
%endmacro
%macro LEA_FLAT 2               ; 32-bit register, label of this case: its linear address
%if WORD_BITS == 16
    movzx   %1, bp
    add     %1, LOW_BASE + %2 - %$begin
%else
    LEA_HERE %1, %2
%endif
%endmacro
%macro PUSH_CS 0
%if WORD_BITS == 64
    mov     eax, cs
    push    rax
%else
    push    cs
%endif
%endmacro
%macro FAR_POINTER 1            ; at [di]: CS and the label
    LEA_HERE xax, %1
%if WORD_BITS == 16
    mov     [di], ax
    mov     [di + 2], cs
%else
    mov     [xdi], eax
    mov     [xdi + 4], cs
%endif
%endmacro
%macro FAR_SELECTOR 1           ; at [di]: a selector and offset 0
%if WORD_BITS == 16
    mov     word [di], 0
    mov     word [di + 2], %1
%else
    mov     dword [xdi], 0
    mov     word [xdi + 4], %1
%endif
%endmacro

; The stack, and the return address, of an outer ring.
%macro PUSH_OUTER_STACK 0
    mov     xcx, xsp
    push    FARPTR OUTER_DATA
    push    xcx
%endmacro
%macro PUSH_OUTER_CODE 0
    push    FARPTR OUTER_CODE
    LEA_HERE xax, %$there
    push    xax
%endmacro
%define ABSENT_MODES (MODE_LONG_0 | MODE_LONG_3 | MODE_PROT32_0 | MODE_PROT32_3 | MODE_REAL)
%macro ABSENT 2-*               ; name, bytes
CASE %1, ABSENT_MODES
%rotate 1
    db      %1
%rep %0 - 2
%rotate 1
    db      %1
%endrep
END
%endmacro

%define DEVICE (WINDOW + WINDOW_DEVICE * 0x1000)
; The entry of the scratch memory in the window, in each format.
%define SCRATCH_PAGE ((LOW_BASE + LOW_SCRATCH) >> 12)
%macro CLEAR_PRESENT 0
    and     byte [PAE_WINDOW + 8 * SCRATCH_PAGE], 0xfe
    and     byte [PAGE32_WINDOW + 4 * SCRATCH_PAGE], 0xfe
%endmacro

global low_start, low_end, rows_start, rows_end

section .rodata.low align=16
low_start:
section .rodata.rows align=8
rows_start:

%assign WORD_BITS 64
bits 64
%define MODES_HERE LONG
%define xax rax
%define xbx rbx
%define xcx rcx
%define xdx rdx
%define xsi rsi
%define xdi rdi
%define xbp rbp
%define xsp rsp
section .rodata.low
%include "guests/popek/cases.inc"
%include "guests/popek/paging.inc"

%assign WORD_BITS 32
bits 32
%define MODES_HERE (COMPAT | MODE_PROT32_0 | MODE_PROT32_3 | PAGED)
%define xax eax
%define xbx ebx
%define xcx ecx
%define xdx edx
%define xsi esi
%define xdi edi
%define xbp ebp
%define xsp esp
section .rodata.low
%include "guests/popek/cases.inc"
%include "guests/popek/paging.inc"

%assign WORD_BITS 16
bits 16
%define MODES_HERE (MODE_PROT16_0 | MODE_PROT16_3 | VM86 | MODE_REAL)
%define xax ax
%define xbx bx
%define xcx cx
%define xdx dx
%define xsi si
%define xdi di
%define xbp bp
%define xsp sp
section .rodata.low
%include "guests/popek/cases.inc"

; How the guest finds out which bits CR4 has.
global write_cr4_code
bits 64
write_cr4_code:
    mov     cr4, rax
    int3

; What gates and system calls lead to: the end of a case.
global case_target
align 16
case_target:
    int3

; --- between legacy modes and long mode; the other half is in switch.asm ---
bits 16
global real_enter, real_stubs, real_table, catch_real
extern real_caught, legacy_table
real_enter:
    mov     ax, SEL_DATA16      ; 64 KiB limits stay
    mov     ds, ax
    mov     es, ax
    mov     fs, ax
    mov     gs, ax
    mov     ss, ax
    mov     eax, cr0
    and     al, 0xfe
    mov     cr0, eax
    jmp     LOW_SEGMENT:(.real - low_start)
.real:
    mov     ax, LOW_SEGMENT
    mov     ds, ax
    mov     ss, ax
    mov     sp, [LOW_REAL_SP]
    lidt    [real_table - low_start]
    o32 pop gs
    o32 pop fs
    o32 pop es
    o32 pop ds
    popad
    iret

catch_real:
    pushad
    push    ds
    push    es
    push    fs
    push    gs
    mov     ax, LOW_SEGMENT
    mov     ds, ax
    xor     ebx, ebx
    mov     bx, sp
    add     ebx, LOW_BASE
    o32 lgdt [legacy_table_low - low_start]
    mov     eax, cr0
    or      al, 1
    mov     cr0, eax
    jmp     dword SEL_CODE32:real_caught

align 8
real_stubs:
%assign vector 0
%rep 256
    align 8, nop
    push    byte (vector ^ 0x80) - 0x80
    jmp     near catch_real
%assign vector vector + 1
%endrep

real_table:
    dw      256 * 4 - 1
    dd      LOW_BASE + LOW_IVT
legacy_table_low:
    dw      DESCRIPTORS * 8 - 1
    dd      legacy_descriptors
extern legacy_descriptors
low_end:

section .rodata.rows
rows_end:

section .note.GNU-stack noalloc noexec nowrite progbits
