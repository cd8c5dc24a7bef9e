; SPDX-License-Identifier: BSD-2-Clause
; The note by which a loader finds the 32-bit PVH entry (Xen, xen/include/public/elfnote.h,
; XEN_ELFNOTE_PHYS32_ENTRY; docs/misc/pvh.pandoc).

XEN_ELFNOTE_PHYS32_ENTRY equ 18

extern start

section .note.pvh note alloc
align 4
    dd      4                   ; name size
    dd      4                   ; descriptor size
    dd      XEN_ELFNOTE_PHYS32_ENTRY
    db      "Xen", 0
    dd      start

section .note.GNU-stack noalloc noexec nowrite progbits
