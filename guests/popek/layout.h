/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where things are, for C and for NASM: the make rule turns each #define of a plain number or name into a %define.
 * One 64 KiB segment below 1 MiB holds whatever 16-bit code must reach: every case, the scratch memory, the stacks.
 */
#ifndef GUESTS_POPEK_LAYOUT_H
#define GUESTS_POPEK_LAYOUT_H

#define LOW_BASE 0x10000
#define LOW_SEGMENT 0x1000
#define LOW_SCRATCH 0xb000 /* what the cases read and write */
#define LOW_TASK_STACK 0xbf00 /* of the other tasks */
#define LOW_IVT 0xc000
#define LOW_REAL_SP 0xd000 /* SP with which real mode is entered */
#define LOW_FRAME 0xe000   /* what a legacy mode is entered with; the stack of its CPL 0 is below */
#define LOW_STACK 0xf000   /* of CPL 3, and of 64-bit mode; grows down */

#define ALIAS_BASE 0x40000000      /* the first 2 MiB once more, for user mode */
#define ALIAS_ABSENT 0x40200000    /* nothing is mapped */
#define ALIAS_READ_ONLY 0x40400000 /* the first 2 MiB, not to be written */
#define ALIAS_NO_EXECUTE 0x40600000 /* where pages can be so */

/*
 * A table of pages that cases are run on and may change, the same in each mode with paging; page n of it is page n of
 * memory, but for those from WINDOW_BEFORE on: the scratch memory, the IOAPIC, the scratch memory.
 */
#define WINDOW 0x40800000
#define WINDOW_BEFORE 0x1f
#define WINDOW_DEVICE 0x20
#define WINDOW_BEHIND 0x21
#define WINDOW_PAGES 0x22
#define IOAPIC_BASE 0xfec00000
#define NOWHERE 0xd0000000 /* neither memory nor a device is there */

/* Page tables of 64-bit entries, the window's also of long mode; and of 32-bit entries. Behind what the window reaches. */
#define PAE_POINTERS 0x30000
#define PAE_OTHER_POINTERS 0x30040 /* the same, for another task */
#define PAE_DIRECTORIES 0x31000    /* of each GiB one */
#define PAE_WINDOW 0x35000
#define PAGE32_DIRECTORY 0x36000
#define PAGE32_OTHER_DIRECTORY 0x37000
#define PAGE32_WINDOW 0x38000
#define PAGE32_ALIASES 0x39000 /* of two directory entries */

/* Selectors; both descriptor tables, that of long mode and that of legacy mode, have them in the same places. */
#define SEL_CODE64 0x08
#define SEL_DATA 0x10
#define SEL_CODE32 0x18
#define SEL_CODE16 0x20
#define SEL_DATA16 0x28
#define SEL_USER_DATA 0x33
#define SEL_USER_CODE64 0x3b
#define SEL_USER_CODE32 0x43
#define SEL_USER_CODE16 0x4b
#define SEL_USER_DATA16 0x53
#define SEL_TASK 0x58
#define SEL_LDT 0x68
#define SEL_OTHER_TASK 0x78
#define SEL_CALL_GATE 0x88
#define SEL_TASK_GATE 0x98
#define SEL_ABSENT 0xa8
#define SEL_READ_ONLY 0xb0
#define SEL_EXECUTE_ONLY 0xb8
#define SEL_CONFORMING 0xc0
#define SEL_EXPAND_DOWN 0xc8
#define SEL_TASK16 0xd0
#define SEL_PARKED_TASK 0xd8 /* in TR on the way out of a 16-bit task, with which long mode cannot be entered */
#define DESCRIPTORS 28
#define SEL_OUTSIDE 0xe0

/* Vectors that the cases use. */
#define VECTOR_END 3           /* INT3: a case is over */
#define VECTOR_INTERRUPT 0x41  /* what `PENDING` sends */
#define VECTOR_USER 0x90       /* an interrupt gate that CPL 3 may use */
#define VECTOR_KERNEL 0x91     /* one that it may not */
#define VECTOR_ABSENT 0x92
#define VECTOR_BAD_CODE 0x93   /* its selector is a data segment */
#define VECTOR_TRAP_GATE 0x94
#define VECTOR_TASK 0x95       /* legacy modes: a task gate that CPL 3 may use */

/* Modes: bits of struct row's `modes`, in the order in which they are run. */
#define MODE_LONG_0 0x1
#define MODE_LONG_3 0x2
#define MODE_COMPAT_0 0x4
#define MODE_COMPAT_3 0x8
#define MODE_PROT32_0 0x10
#define MODE_PROT32_3 0x20
#define MODE_PROT16_0 0x40
#define MODE_PROT16_3 0x80
#define MODE_VM86 0x100
#define MODE_REAL 0x200
#define MODE_PAGE32_0 0x400
#define MODE_PAGE32_3 0x800
#define MODE_PAE_0 0x1000
#define MODE_PAE_3 0x2000
#define MODE_VM86_PAGE32 0x4000
#define MODE_VM86_PAE 0x8000

/* Of struct row: what the registers come from, and what else is to be done before the case runs. */
#define INPUT_NONE 0
#define INPUT_SELECTORS 1 /* AX: each kind of descriptor */
#define INPUT_MSRS 2      /* ECX */
#define INPUT_MSR_WRITES 3 /* ECX, EDX:EAX */
#define INPUT_CPUID 4     /* EAX, ECX */
#define INPUT_CR0 5       /* RAX: the value that is there, with one bit toggled */
#define INPUT_CR4 6
#define INPUT_NUMBERS 7   /* RAX: edges */
#define INPUT_EFER 8
#define INPUT_SOME_SELECTORS 9 /* all but the null ones: QEMU's TCG loads those into TR, and ends */
#define INPUT_PAGES 10 /* the window: each kind of page */
#define INPUT_BITS 11 /* EDX:EAX: one bit */
#define INPUTS 12

#define WITH_INTERRUPT 0x1  /* an interrupt waits at the local APIC */
#define ENDS_TCG 0x2        /* left out under `tcg=1` */
#define WITHOUT_GATE_DB 0x4 /* the gate is not present */
#define WITHOUT_GATE_UD 0x8
#define WITHOUT_GATE_NP 0x10
#define WITHOUT_GATE_GP 0x20
#define WITHOUT_GATE_PF 0x40
#define NO_STEPS 0x80       /* not run a second time under the trap flag */
#define HIDE_AX 0x100       /* differs from run to run */
#define HIDE_BX 0x200
#define HIDE_CX 0x400
#define HIDE_DX 0x800
#define HIDE_FLAGS 0x1000
#define HIDE_MEMORY 0x2000
#define TASK_GATE_UD 0x4000 /* legacy modes: #UD is another task's */
#define TASK_GATE_GP 0x8000
#define TASK_NESTED 0x10000 /* the other task has called this one */
#define TASK_TRAP 0x20000   /* it traps when it is switched to */
#define TASK_BAD_DS 0x40000 /* it cannot be loaded */
#define REDIRECTED 0x80000 /* INT n of VECTOR_USER is the virtual-8086 task's own */

#endif
