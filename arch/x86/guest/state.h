/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest CPU's state in neutral terms: what the loaders set, what the decoder and the guest walk read. */
#ifndef ARCH_X86_GUEST_STATE_H
#define ARCH_X86_GUEST_STATE_H

#include "kernel/lib/types.h"

/* In the order of the instruction set's register numbers. */
enum gpr {
    GPR_RAX, GPR_RCX, GPR_RDX, GPR_RBX, GPR_RSP, GPR_RBP, GPR_RSI, GPR_RDI,
    GPR_R8, GPR_R9, GPR_R10, GPR_R11, GPR_R12, GPR_R13, GPR_R14, GPR_R15,
    GPR_COUNT
};

/* In the order of the instruction set's segment register numbers. */
enum segment_register { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_COUNT };

/*
 * attributes holds bits 8-15 and 20-23 of the descriptor's second doubleword, as bits 0-7 and 12-15
 * (SDM 3C, "Format of Access Rights"); a segment that is not present is unusable.
 */
struct segment {
    uint16_t selector;
    uint16_t attributes;
    uint32_t limit; /* in bytes, expanded */
    uint64_t base;
};

#define SEG_ATTR_TYPE_MASK 0x000fu
#define SEG_ATTR_S         0x0010u /* code or data, not system */
#define SEG_ATTR_DPL_SHIFT 5
#define SEG_ATTR_DPL_MASK  0x0060u
#define SEG_ATTR_P         0x0080u
#define SEG_ATTR_L         0x2000u
#define SEG_ATTR_DB        0x4000u
#define SEG_ATTR_G         0x8000u
#define SEG_TYPE_CODE          0x8u /* bits of the type of code and data */
#define SEG_TYPE_ACCESSED      0x1u
#define SEG_TYPE_READABLE      0x2u /* code */
#define SEG_TYPE_WRITABLE      0x2u /* data */
#define SEG_TYPE_EXPANDS_DOWN  0x4u /* data */
#define SEG_TYPE_CODE_RX_A   0xbu
#define SEG_TYPE_DATA_RW_A   0x3u
#define SEG_TYPE_TSS_BUSY    0xbu
#define SEG_TYPE_LDT         0x2u

struct descriptor_table {
    uint64_t base;
    uint32_t limit;
};

/* Everything that defines how a vCPU starts; reset and the loaders fill it in. */
struct vcpu_start {
    uint64_t gpr[GPR_COUNT];
    uint64_t rip, rflags;
    uint64_t cr0, cr3, cr4, efer;
    struct segment segment[SEG_COUNT];
    struct descriptor_table gdtr, idtr;
};

/* MSRs that a guest has in the CPU: world_msr.c says which. */
#define WORLD_MSRS 6

#endif
