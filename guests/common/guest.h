/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every tiny guest has: text on COM1, ports and CPU registers, and an end. Works in 32-bit and
 * in 64-bit code, on a bare machine as in a VM.
 */
#ifndef GUESTS_COMMON_GUEST_H
#define GUESTS_COMMON_GUEST_H

#include "kernel/lib/types.h"

/* What the start code calls; the result is the status that ends the VM. The arguments are what the
 * boot protocol left in EAX and EBX. */
int guest_main(uint32_t magic, uint32_t info);

#define DEBUG_EXIT_PORT 0xf4u

/* A write to the debug exit port ends the VM with this status; where there is none, halt. */
NORETURN void guest_exit(int status);

/* %s, %c, %u, %x (unsigned), %lu and %lx (uint64_t). */
void print(const char *format, ...);

/* From here on text leaves a line at a time, so that what an instruction makes the hypervisor say is not in the middle. */
void print_whole_lines(void);

/*
 * From here on interrupts are enabled, and none come: the 8259s are masked. For who polls: KVM gets the CPU back by
 * interrupts only, and Bochs has no exit for one while neither the guest nor KVM's entry had them enabled.
 */
void poll_preemptibly(void);

/* What was typed on COM1, or -1. */
int get_char(void);

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void outl(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

#endif
