/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MMIO instruction decoder: bytes in, one neutral description out. It is a pure function: it
 * reads nothing but its arguments, so the caller fetches up to 15 bytes of guest code once and
 * decodes the copy.
 *
 * Decoded are the instructions that software uses on device memory, and only with a memory operand:
 * MOV in all general-register forms, MOVZX, MOVSX, MOVSXD, MOVBE, MOVNTI, XCHG, XADD, CMPXCHG, the
 * eight two-operand ALU operations, TEST, NOT, NEG, INC, DEC, BT, BTS, BTR, BTC, and the string
 * instructions but INS and OUTS. All else is -EINVAL: shifts, multiplication, PUSH and POP,
 * segment, x87 and vector moves.
 */
#ifndef ARCH_X86_GUEST_DECODE_H
#define ARCH_X86_GUEST_DECODE_H

#include "arch/x86/guest/state.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/types.h"

#define INSTRUCTION_BYTES_MAX 15

/* The default address width in bytes: CS.L gives 64, else CS.D gives 32 or 16 (real mode too). */
enum decode_mode { DECODE_16 = 2, DECODE_32 = 4, DECODE_64 = 8 };

/* clang-format off */
enum operation {
    OP_NONE,
    /* These neither read nor write RFLAGS. */
    OP_MOV,   /* also MOVZX and MOVNTI: what the register has more than the memory becomes 0 */
    OP_MOVSX, /* also MOVSXD */
    OP_MOVBE, OP_XCHG, OP_NOT,
    /* In the order of bits 5-3 of the opcode, and of ModRM.reg in group 1. */
    OP_ADD, OP_OR, OP_ADC, OP_SBB, OP_AND, OP_SUB, OP_XOR, OP_CMP,
    OP_TEST, OP_NEG, OP_INC, OP_DEC, OP_XADD, OP_CMPXCHG,
    OP_BT, OP_BTS, OP_BTR, OP_BTC,
    OP_MOVS, OP_CMPS, OP_STOS, OP_LODS, OP_SCAS,
    OP_COUNT
};
/* clang-format on */

/* The operand that is not the memory one. */
enum other_operand { OTHER_NONE, OTHER_REGISTER, OTHER_IMMEDIATE };

/* The last one of F2 and F3. Only string instructions heed it, here as in the CPU. */
enum repeat_prefix { REPEAT_NONE, REPEAT_WHILE_NOT_EQUAL, REPEAT_WHILE_EQUAL };

/* Beyond enum gpr, where a memory operand names its base and index. */
enum { BASE_NONE = GPR_COUNT, BASE_RIP, INDEX_NONE = GPR_COUNT };

/*
 * The offset is base + (index << scale_shift) + displacement, cut to address_width bytes. RIP
 * counts from the next instruction. For a bit test by register the bit's own distance comes on top.
 */
struct memory_operand {
    uint64_t displacement; /* sign-extended; all of the offset in MOV with an absolute address */
    uint8_t segment;       /* enum segment_register, overrides applied */
    uint8_t base;          /* enum gpr, BASE_NONE or BASE_RIP */
    uint8_t index;         /* enum gpr or INDEX_NONE */
    uint8_t scale_shift;
    uint8_t address_width; /* bytes: 2, 4 or 8; string instructions use as much of RCX, RSI, RDI */
};

struct instruction {
    struct memory_operand memory; /* of MOVS, CMPS, LODS: at rSI; of STOS, SCAS: at rDI */
    int32_t immediate;            /* sign-extended from what the instruction holds */
    uint8_t operation;            /* enum operation */
    uint8_t other;                /* enum other_operand */
    uint8_t mode;                 /* enum decode_mode that it was decoded in */
    uint8_t length;               /* bytes, with prefixes */
    uint8_t memory_width;         /* bytes: 1, 2, 4 or 8 */
    uint8_t register_width;       /* differs from memory_width in MOVZX, MOVSX, MOVSXD only */
    uint8_t register_number;      /* enum gpr; the accumulator where the instruction implies it */
    uint8_t register_shift;       /* 8 for AH, CH, DH, BH, else 0 */
    uint8_t repeat;               /* enum repeat_prefix */
    bool memory_is_first;         /* and so the destination, where there is one */
    bool lock;
    bool is_plain_move; /* see instruction_is_plain_move() */
};

/*
 * Reads at most `available` bytes, and 15. 0: *out is complete. -EAGAIN: more bytes are needed to
 * tell. -EINVAL: not an instruction of the list above, an illegal LOCK, or longer than 15 bytes.
 * *out is undefined unless 0 is returned.
 */
MUST_CHECK int decode_instruction(const uint8_t *bytes, size_t available, enum decode_mode mode,
                                  struct instruction *out);

/*
 * A cache in front of it, since a hit costs some 20 host instructions and decoding some 190. A
 * guest touches its devices from few places; and as decoding is pure, what bytes meant last time
 * they mean now: nothing ever needs to be invalidated. Zeroed, a cache is empty. Each vCPU has its
 * own.
 */
#define DECODE_CACHE_BITS 4

struct decode_cache_entry {
    uint64_t first, last;    /* bytes 0-7 and 7-14 */
    struct instruction insn; /* mode 0: empty */
    uint64_t padding[2];     /* to a power of two, for the sake of the index, and to a line of the CPU's cache */
};
_Static_assert(sizeof(struct decode_cache_entry) == 64, "an entry is a cache line");

struct decode_cache {
    struct decode_cache_entry entries[1 << DECODE_CACHE_BITS];
};

static inline uint64_t decode_cache_first(const uint8_t bytes[INSTRUCTION_BYTES_MAX])
{
    return get_le64(bytes);
}

static inline uint64_t decode_cache_last(const uint8_t bytes[INSTRUCTION_BYTES_MAX])
{
    return get_le64(bytes + INSTRUCTION_BYTES_MAX - sizeof(uint64_t));
}

/* For decode_cached() alone: the way of a miss. */
MUST_CHECK int decode_cache_fill(struct decode_cache_entry *entry,
                                 const uint8_t bytes[INSTRUCTION_BYTES_MAX], enum decode_mode mode);

/* decode_instruction() with all 15 bytes at hand. *out is valid until the cache's next use. */
MUST_CHECK static inline int decode_cached(struct decode_cache *cache,
                                           const uint8_t bytes[INSTRUCTION_BYTES_MAX],
                                           enum decode_mode mode, const struct instruction **out)
{
    uint64_t first = decode_cache_first(bytes), last = decode_cache_last(bytes);
    uint64_t hash = (first ^ last) * 0x9e3779b97f4a7c15; /* 2^64 over the golden ratio */
    struct decode_cache_entry *entry = &cache->entries[hash >> (64 - DECODE_CACHE_BITS)];

    *out = &entry->insn;
    if (likely(entry->first == first && entry->last == last && entry->insn.mode == mode))
        return 0;
    return decode_cache_fill(entry, bytes, mode);
}

/* Must RFLAGS be valid before, and be written back after, the instruction is emulated? */
static inline bool instruction_uses_rflags(const struct instruction *insn)
{
    return insn->operation >= OP_ADD;
}

/*
 * A MOV in 64-bit mode that needs no more than its general registers, and not RSP: nearly every access of a driver to its
 * device.
 */
static inline bool instruction_is_plain_move(const struct instruction *insn)
{
    return insn->is_plain_move;
}

static inline bool instruction_is_string(const struct instruction *insn)
{
    return insn->operation >= OP_MOVS;
}

#endif
