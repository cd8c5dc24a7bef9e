; SPDX-License-Identifier: BSD-2-Clause
; Entry of 32-bit guests: flat protected mode, paging off, any stack. EAX and EBX are what the boot
; protocol says, and become guest_main's arguments; what guest_main returns ends the guest.

bits 32
extern guest_main
extern guest_exit
global start

section .text.start
start:
    cli
    cld
    mov     esp, stack_top
    sub     esp, 8              ; the ABI wants 16-byte alignment at the call
    push    ebx
    push    eax
    call    guest_main
    mov     [esp], eax
    call    guest_exit

section .bss
align 16
    resb    16384
stack_top:

section .note.GNU-stack noalloc noexec nowrite progbits
