; SPDX-License-Identifier: BSD-2-Clause
; Multiboot 1 header (Multiboot Specification 0.6.96, "The layout of Multiboot header"). With AOUT_KLUDGE
; defined it carries the load addresses, so that a flat file can be loaded.

MULTIBOOT_MAGIC     equ 0x1badb002
PAGE_ALIGN          equ 1 << 0
MEMORY_INFO         equ 1 << 1
ADDRESSES           equ 1 << 16

extern start
extern image_start
extern image_load_end
extern image_bss_end

%ifdef AOUT_KLUDGE
FLAGS equ PAGE_ALIGN | MEMORY_INFO | ADDRESSES
%else
FLAGS equ PAGE_ALIGN | MEMORY_INFO
%endif

section .header
align 4
header:
    dd      MULTIBOOT_MAGIC
    dd      FLAGS
    dd      -(MULTIBOOT_MAGIC + FLAGS)
%ifdef AOUT_KLUDGE
    dd      header
    dd      image_start
    dd      image_load_end
    dd      image_bss_end
    dd      start
%endif

section .note.GNU-stack noalloc noexec nowrite progbits
