/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Executes one decoded instruction whose memory operand is, at least in part, device memory.
 *
 * The engine lends the registers and answers for memory: it translates linear addresses (and so
 * owns paging, canonical addresses, page-straddling accesses) and routes each access to RAM or to a
 * device. RIP, the interrupt shadow and the single-step trap stay the engine's: on EMULATE_DONE it
 * advances RIP by the instruction's length, otherwise it leaves RIP where it is.
 *
 * Segment limits and types are not checked, in any mode. The CPU has checked them for the access
 * that caused the exit, before it translated the address; only the other operand of MOVS and CMPS
 * and the later iterations of a repeated string instruction escape that, and those still pass the
 * guest's page tables.
 */
#ifndef ARCH_X86_GUEST_EMULATE_H
#define ARCH_X86_GUEST_EMULATE_H

#include "arch/x86/guest/decode.h"
#include "arch/x86/guest/state.h"
#include "arch/x86/regs.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/types.h"


/* Iterations of a repeated string instruction before the guest may take an interrupt. */
#define EMULATE_REPEAT_MAX 64

enum emulate_result {
    EMULATE_DONE,  /* complete: advance RIP */
    EMULATE_AGAIN, /* a repetition has iterations left: enter the guest at the same RIP */
    EMULATE_FAULT, /* an access failed: nothing changed but by a repetition's complete iterations */
};

/*
 * Width is 1, 2, 4 or 8. Memory accesses return 0, or a negative value when the instruction must
 * not complete (the callee has injected a fault, or stops the VM). A value has no bits beyond its
 * width.
 */
struct emulate_ops {
    int (*read)(void *context, gva_t linear, unsigned width, uint64_t *value);
    int (*write)(void *context, gva_t linear, unsigned width, uint64_t value);
    /* Asked only where a base matters: in 64-bit mode that of FS and GS alone. */
    uint64_t (*segment_base)(void *context, enum segment_register segment);
};

struct emulate_cpu {
    uint64_t *gpr;    /* GPR_COUNT of them */
    uint64_t *rflags; /* NULL is allowed unless instruction_uses_rflags() */
    uint64_t rip;     /* of this instruction; used by RIP-relative operands only */
    const struct emulate_ops *ops;
    void *context; /* for ops */
};

MUST_CHECK enum emulate_result emulate_instruction(const struct instruction *insn,
                                                   const struct emulate_cpu *cpu);

/* --- parts, for who can do a plain move with less --- */

/* The offset of insn->memory, but for a bit test's distance; not yet cut to the address width. */
static inline uint64_t emulate_offset(const struct instruction *insn, const uint64_t *gpr, uint64_t rip)
{
    const struct memory_operand *memory = &insn->memory;
    uint64_t offset = memory->displacement;

    if (memory->base < GPR_COUNT)
        offset += gpr[memory->base];
    else if (memory->base == BASE_RIP)
        offset += rip + insn->length;
    if (memory->index != INDEX_NONE)
        offset += gpr[memory->index] << memory->scale_shift;
    return offset;
}

/*
 * The operand that is not in memory. It may have bits beyond the operand's width: they never reach
 * a result, since what computes carries nothing downwards and what writes a value cuts it.
 */
static inline uint64_t emulate_other_value(const struct instruction *insn, const uint64_t *gpr)
{
    if (insn->other == OTHER_IMMEDIATE)
        return (uint64_t)insn->immediate;
    return gpr[insn->register_number] >> insn->register_shift;
}

/* 4 bytes clear the upper half, 1 and 2 keep the rest: SDM 1, "General-Purpose Registers". */
static inline void emulate_write_register(uint64_t *reg, unsigned width, unsigned shift, uint64_t value)
{
    uint64_t mask = bytes_mask(width);

    if (likely(width >= 4))
        *reg = value & mask;
    else
        *reg = (*reg & ~(mask << shift)) | ((value & mask) << shift);
}

static inline void emulate_write_operand(const struct instruction *insn, uint64_t *gpr, uint64_t value)
{
    emulate_write_register(&gpr[insn->register_number], insn->register_width, insn->register_shift, value);
}

/* Where insn->memory begins, a bit test's distance included. */
gva_t emulate_effective_address(const struct instruction *insn, const struct emulate_cpu *cpu);

#endif
