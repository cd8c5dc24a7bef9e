/* SPDX-License-Identifier: BSD-2-Clause */
/* Segments, the task state segment and the interrupt table of a host CPU. */
#ifndef ARCH_X86_DESCRIPTORS_H
#define ARCH_X86_DESCRIPTORS_H

#include "kernel/lib/types.h"

#define HOST_CS 0x08u
#define HOST_DS 0x10u
#define HOST_TR 0x18u
#define GDT_ENTRIES 5 /* null, code, data, TSS (two) */

enum ist { IST_NONE, IST_NMI, IST_DF, IST_MC, IST_COUNT };

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7]; /* IST1 is ist[0] */
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t iomap_base;
} PACKED;
_Static_assert(sizeof(struct tss) == 104, "SDM 3A, \"64-Bit TSS Format\"");

struct descriptor_register {
    uint16_t limit;
    uint64_t base;
} PACKED;

#define GUEST_MSRS 6 /* as many as WORLD_MSRS */

struct arch_cpu {
    uint64_t gdt[GDT_ENTRIES];
    struct tss tss;
    uint64_t stack_top;
    uint64_t guest_msrs[GUEST_MSRS]; /* what it has in them: arch/x86/guest/world_msr.c's */
};

/* Loads GDT, TSS, IDT and GS of this CPU; cpu's stacks are set already. */
struct pcpu;
void descriptors_load(struct pcpu *cpu);

/* Fills the one IDT that all CPUs share. Boot CPU, first thing. */
void idt_init(void);
uint64_t idt_base(void);
void idt_load(void);

#endif
