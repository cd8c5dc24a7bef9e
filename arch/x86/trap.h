/* SPDX-License-Identifier: BSD-2-Clause */
/* What happens to a host CPU: exceptions (ours are bugs), NMIs, interrupts by vector. */
#ifndef ARCH_X86_TRAP_H
#define ARCH_X86_TRAP_H

#include "kernel/lib/types.h"

/* As trap.asm pushes it. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

#define TRAP_STUB_BYTES 7u /* each vector's entry */

/* The vectors that we use; everything else is counted as spurious. */
enum host_vector {
    VECTOR_FIRST    = 0x20,
    VECTOR_COM1     = 0x30,
    VECTOR_KEYBOARD = 0x31,
    VECTOR_IOMMU    = 0x32,
    VECTOR_DEVICE_FIRST = 0x40, /* device_irq.h gives these away */
    VECTOR_DEVICE_LAST  = 0xef,
    VECTOR_KICK     = 0xf0,
    VECTOR_TIMER    = 0xf1,
    VECTOR_SPURIOUS = 0xff,
};

/* handler runs with interrupts off, before the EOI. Boot CPU, before interrupts are on. */
void trap_set_handler(unsigned vector, void (*handler)(void));

/* Runs the vector's handler and ends the interrupt: from the IDT, or for a VM exit that acknowledged it. */
void trap_interrupt(unsigned vector);

/*
 * For probing: runs an instruction that may fault. MSR accesses that the CPU refuses with #GP return false.
 */
bool trap_rdmsr(uint32_t index, uint64_t *value);
bool trap_wrmsr(uint32_t index, uint64_t value);

#endif
