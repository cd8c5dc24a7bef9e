; SPDX-License-Identifier: BSD-2-Clause
; A flat image, entered at its first byte in real mode at 0:7c00, like a boot sector: no BIOS is asked.

COM1            equ 0x3f8
LSR_THRE        equ 0x20
LSR_TEMT        equ 0x40
DEBUG_EXIT_PORT equ 0xf4

bits 16
org 0x7c00
    cli
    cld
    xor     ax, ax
    mov     ds, ax
    mov     si, text
.next:
    mov     dx, COM1 + 5
.wait:
    in      al, dx
    test    al, LSR_THRE
    jz      .wait
    lodsb
    test    al, al
    jz      .done
    mov     dx, COM1
    out     dx, al
    jmp     .next
.done:
    mov     dx, COM1 + 5
.drain:
    in      al, dx
    test    al, LSR_TEMT
    jz      .drain
    mov     eax, cr0            ; status: is this protected mode? (0: no)
    and     al, 1
    out     DEBUG_EXIT_PORT, al
.halt:
    hlt
    jmp     .halt

text:
    db      "GUEST: hello from real", 13, 10, 0
