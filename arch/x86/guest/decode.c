/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prefixes, opcode maps, ModRM and immediates: SDM 2A, "Instruction Format" and SDM 2D, "Opcode
 * Map". What an opcode means stands in the tables and nowhere else; the functions know only how
 * operands are encoded.
 *
 * Invariant: bytes beyond `available` are never read. They count as zeros while decoding goes on,
 * and a decoder that has run past the end discards what it concluded and reports that instead.
 */
#include "arch/x86/guest/decode.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/errno.h"

/* --- Opcode maps --- */

/* clang-format off */

enum opcode_flag {
    GROUP     = 1 << 0,  /* operation is a row of groups[]: ModRM.reg chooses, and names no register */
    TO_MEM    = 1 << 1,  /* the memory operand is the first one */
    REG       = 1 << 2,  /* the other is a register: ModRM.reg, or the accumulator without ModRM */
    IMM       = 1 << 3,  /* the other is an immediate: as wide as the operand, at most 4 bytes */
    IMM8      = 1 << 4,  /* the other is an immediate of one byte */
    BYTE      = 1 << 5,  /* the operands are bytes, not as wide as mode and prefixes say */
    WIDE      = 1 << 6,  /* the operands are 4 bytes, 8 with REX.W; 66 is another instruction */
    MEM8      = 1 << 7,  /* the memory operand is narrower than the register */
    MEM16     = 1 << 8,
    MEM32     = 1 << 9,
    MOFFS     = 1 << 10, /* no ModRM but an absolute address, as wide as addresses are */
    AT_RSI    = 1 << 11, /* no ModRM but these, in string instructions */
    AT_RDI    = 1 << 12,
    ONLY_64   = 1 << 13,
    NO_REPEAT = 1 << 14, /* F2 and F3 make it another instruction */
};

#define NO_MODRM (MOFFS | AT_RSI | AT_RDI)

struct opcode {
    uint8_t operation;
    uint16_t flags; /* 0: not an instruction that we emulate */
};

enum { GROUP_1, GROUP_3, GROUP_4_5, GROUP_8, GROUP_11, GROUP_COUNT };

/* SDM 2D, "Opcode Extensions For One-Byte And Two-byte Opcodes". */
static const struct opcode groups[GROUP_COUNT][8] = {
    [GROUP_1]   = {{OP_ADD, TO_MEM}, {OP_OR,  TO_MEM}, {OP_ADC, TO_MEM}, {OP_SBB, TO_MEM},
                   {OP_AND, TO_MEM}, {OP_SUB, TO_MEM}, {OP_XOR, TO_MEM}, {OP_CMP, TO_MEM}},
    [GROUP_3]   = {[0] = {OP_TEST, TO_MEM | IMM}, [1] = {OP_TEST, TO_MEM | IMM}, /* the same: APM 3 */
                   [2] = {OP_NOT,  TO_MEM},       [3] = {OP_NEG,  TO_MEM}},
    [GROUP_4_5] = {[0] = {OP_INC, TO_MEM}, [1] = {OP_DEC, TO_MEM}},
    [GROUP_8]   = {[4] = {OP_BT,  TO_MEM}, [5] = {OP_BTS, TO_MEM},
                   [6] = {OP_BTR, TO_MEM}, [7] = {OP_BTC, TO_MEM}},
    [GROUP_11]  = {[0] = {OP_MOV, TO_MEM}},
};

/* The four forms with ModRM of one two-operand operation, as they follow each other in the map. */
#define ALU_ROW(op)                                                                                \
    [8 * ((op) - OP_ADD)]     = {(op), TO_MEM | REG | BYTE},                                       \
    [8 * ((op) - OP_ADD) + 1] = {(op), TO_MEM | REG},                                              \
    [8 * ((op) - OP_ADD) + 2] = {(op), REG | BYTE},                                                \
    [8 * ((op) - OP_ADD) + 3] = {(op), REG}

/* An instruction that exists for bytes at an even opcode and for wider operands at the next one. */
#define PAIR(even, op, flags) [even] = {op, (flags) | BYTE}, [(even) + 1] = {op, flags}

static const struct opcode one_byte_map[256] = {
    ALU_ROW(OP_ADD), ALU_ROW(OP_OR),  ALU_ROW(OP_ADC), ALU_ROW(OP_SBB),
    ALU_ROW(OP_AND), ALU_ROW(OP_SUB), ALU_ROW(OP_XOR), ALU_ROW(OP_CMP),
    [0x63] = {OP_MOVSX, REG | MEM32 | ONLY_64},
    PAIR(0x80, GROUP_1, GROUP | IMM),
    [0x83] = {GROUP_1, GROUP | IMM8},
    PAIR(0x84, OP_TEST, TO_MEM | REG),
    PAIR(0x86, OP_XCHG, TO_MEM | REG),
    PAIR(0x88, OP_MOV, TO_MEM | REG),
    PAIR(0x8a, OP_MOV, REG),
    PAIR(0xa0, OP_MOV, REG | MOFFS),
    PAIR(0xa2, OP_MOV, TO_MEM | REG | MOFFS),
    PAIR(0xa4, OP_MOVS, TO_MEM | AT_RSI | AT_RDI),
    PAIR(0xa6, OP_CMPS, AT_RSI | AT_RDI),
    PAIR(0xaa, OP_STOS, TO_MEM | REG | AT_RDI),
    PAIR(0xac, OP_LODS, REG | AT_RSI),
    PAIR(0xae, OP_SCAS, REG | AT_RDI),
    PAIR(0xc6, GROUP_11, GROUP | IMM),
    PAIR(0xf6, GROUP_3, GROUP),
    PAIR(0xfe, GROUP_4_5, GROUP),
};

/* After 0F, from the first one that we know to the last. */
#define TWO_BYTE_FIRST  0xa3
static const struct opcode two_byte_map[] = {
#define AT(byte) [(byte) - TWO_BYTE_FIRST]
    AT(0xa3) = {OP_BT,  TO_MEM | REG},
    AT(0xab) = {OP_BTS, TO_MEM | REG},
    AT(0xb0) = {OP_CMPXCHG, TO_MEM | REG | BYTE},
    AT(0xb1) = {OP_CMPXCHG, TO_MEM | REG},
    AT(0xb3) = {OP_BTR, TO_MEM | REG},
    AT(0xb6) = {OP_MOV, REG | MEM8},
    AT(0xb7) = {OP_MOV, REG | MEM16},
    AT(0xba) = {GROUP_8, GROUP | IMM8},
    AT(0xbb) = {OP_BTC, TO_MEM | REG},
    AT(0xbe) = {OP_MOVSX, REG | MEM8},
    AT(0xbf) = {OP_MOVSX, REG | MEM16},
    AT(0xc0) = {OP_XADD, TO_MEM | REG | BYTE},
    AT(0xc1) = {OP_XADD, TO_MEM | REG},
    AT(0xc3) = {OP_MOV, TO_MEM | REG | WIDE | NO_REPEAT},
#undef AT
};

/* After 0F 38, likewise. */
#define THREE_BYTE_FIRST 0xf0
static const struct opcode three_byte_map[] = {
    {OP_MOVBE, REG | NO_REPEAT},
    {OP_MOVBE, TO_MEM | REG | NO_REPEAT},
};

/* clang-format on */

/* SDM 2A, "LOCK": all else raises #UD, and so do these unless memory is the destination. */
#define LOCKABLE                                                                            \
    (BIT(OP_ADD) | BIT(OP_ADC) | BIT(OP_AND) | BIT(OP_BTC) | BIT(OP_BTR) | BIT(OP_BTS) |           \
     BIT(OP_CMPXCHG) | BIT(OP_DEC) | BIT(OP_INC) | BIT(OP_NEG) | BIT(OP_NOT) | BIT(OP_OR) | \
     BIT(OP_SBB) | BIT(OP_SUB) | BIT(OP_XOR) | BIT(OP_XADD) | BIT(OP_XCHG))

/* --- Bytes and prefixes --- */

/* All prefixes that count, in one word: REX as it stands (0: none), the legacy ones by kind. */
enum prefix_bit {
    REX_B = 1 << 0,
    REX_X = 1 << 1,
    REX_R = 1 << 2,
    REX_W = 1 << 3,
    PREFIX_REX = 0xff,
    PREFIX_OPERAND_SIZE = 1 << 8,
    PREFIX_ADDRESS_SIZE = 1 << 9,
    PREFIX_LOCK = 1 << 10,
    PREFIX_REPEAT_SHIFT = 11, /* enum repeat_prefix */
    PREFIX_REPEAT = 3 << PREFIX_REPEAT_SHIFT,
    PREFIX_SEGMENT_SHIFT = 13, /* enum segment_register, plus 1 */
    PREFIX_SEGMENT = 7 << PREFIX_SEGMENT_SHIFT,
};

struct decoder {
    const uint8_t *bytes;
    size_t available;
    size_t position; /* beyond available once it ran past the end */
    enum decode_mode mode;
    unsigned prefixes;
    unsigned mod, reg, rm; /* of ModRM; 0 without one */
};

static uint8_t fetch_byte(struct decoder *d)
{
    size_t at = d->position++;

    return at < d->available ? d->bytes[at] : 0;
}

/* A little-endian number of width bytes, sign-extended. */
static uint64_t fetch_number(struct decoder *d, unsigned width)
{
    const uint8_t *at;

    d->position += width;
    if (d->position > d->available)
        return 0;
    at = d->bytes + d->position - width;
    switch (width) {
    case 1:
        return (uint64_t)(int8_t)*at;
    case 2:
        return (uint64_t)(int16_t)get_le16(at);
    case 4:
        return (uint64_t)(int32_t)get_le32(at);
    default:
        return get_le64(at);
    }
}

/* clang-format off */
#define SEGMENT_PREFIX(segment) PREFIX_SEGMENT, ((segment) + 1) << PREFIX_SEGMENT_SHIFT
#define REPEAT_PREFIX(repeat)   PREFIX_REPEAT, (repeat) << PREFIX_REPEAT_SHIFT
/* clang-format on */

static const struct prefix {
    uint8_t byte;
    uint16_t kind, value;
} prefixes[] = {
    {0x26, SEGMENT_PREFIX(SEG_ES)},
    {0x2e, SEGMENT_PREFIX(SEG_CS)},
    {0x36, SEGMENT_PREFIX(SEG_SS)},
    {0x3e, SEGMENT_PREFIX(SEG_DS)},
    {0x64, SEGMENT_PREFIX(SEG_FS)},
    {0x65, SEGMENT_PREFIX(SEG_GS)},
    {0x66, PREFIX_OPERAND_SIZE, PREFIX_OPERAND_SIZE},
    {0x67, PREFIX_ADDRESS_SIZE, PREFIX_ADDRESS_SIZE},
    {0xf0, PREFIX_LOCK, PREFIX_LOCK},
    {0xf2, REPEAT_PREFIX(REPEAT_WHILE_NOT_EQUAL)},
    {0xf3, REPEAT_PREFIX(REPEAT_WHILE_EQUAL)},
};

static const struct prefix *find_prefix(uint8_t byte)
{
    for (const struct prefix *p = prefixes; p < prefixes + ARRAY_SIZE(prefixes); p++)
        if (p->byte == byte)
            return p;
    return NULL;
}

/* In 64-bit mode the overrides of the four old segments are null prefixes. */
static bool is_null_prefix(const struct decoder *d, uint8_t byte)
{
    return d->mode == DECODE_64 && (byte & 0xe7) == 0x26;
}

/*
 * Takes all prefixes, returns the first byte of the opcode. Of each kind the last one counts; a REX
 * that another prefix follows does not count at all (SDM 2A, "REX Prefixes").
 */
static uint8_t fetch_prefixes(struct decoder *d)
{
    for (;;) {
        uint8_t byte = fetch_byte(d);
        const struct prefix *prefix;

        if (d->mode == DECODE_64 && (byte & 0xf0) == 0x40) {
            d->prefixes = (d->prefixes & ~PREFIX_REX) | byte;
            continue;
        }
        prefix = find_prefix(byte);
        if (!prefix)
            return byte;
        d->prefixes &= ~PREFIX_REX;
        if (!is_null_prefix(d, byte))
            d->prefixes = (d->prefixes & ~prefix->kind) | prefix->value;
    }
}

/* What is in no map is not an instruction that we emulate. */
static const struct opcode *look_up(const struct opcode *map, unsigned count, unsigned index)
{
    static const struct opcode unknown;

    return index < count ? &map[index] : &unknown;
}

static const struct opcode *fetch_opcode(struct decoder *d)
{
    uint8_t byte = fetch_prefixes(d);

    if (byte != 0x0f)
        return &one_byte_map[byte];
    byte = fetch_byte(d);
    if (byte != 0x38)
        return look_up(two_byte_map, ARRAY_SIZE(two_byte_map), byte - TWO_BYTE_FIRST);
    return look_up(three_byte_map, ARRAY_SIZE(three_byte_map), fetch_byte(d) - THREE_BYTE_FIRST);
}

static void fetch_modrm(struct decoder *d)
{
    uint8_t modrm = fetch_byte(d);

    d->mod = modrm >> 6;
    d->reg = (modrm >> 3) & 7;
    d->rm = modrm & 7;
}

/* --- Widths --- */

static unsigned operand_width(const struct decoder *d, unsigned flags)
{
    if (flags & BYTE)
        return 1;
    if (d->prefixes & REX_W)
        return 8;
    if (flags & WIDE)
        return 4;
    return (d->mode == DECODE_16) != !!(d->prefixes & PREFIX_OPERAND_SIZE) ? 2 : 4;
}

static unsigned memory_width(unsigned operand, unsigned flags)
{
    if (!(flags & (MEM8 | MEM16 | MEM32)))
        return operand;
    return MIN(operand, flags & MEM8 ? 1u : flags & MEM16 ? 2u : 4u);
}

static unsigned address_width(const struct decoder *d)
{
    if (!(d->prefixes & PREFIX_ADDRESS_SIZE))
        return d->mode;
    return d->mode == DECODE_32 ? 2 : 4;
}

/* --- Memory operand: each form returns how wide its displacement is --- */

/* SDM 2A, "16-Bit Addressing Forms with the ModR/M Byte". */
static unsigned decode_modrm_16(struct decoder *d, struct memory_operand *memory)
{
    static const struct {
        uint8_t base, index;
    } forms[8] = {
        {GPR_RBX, GPR_RSI},    {GPR_RBX, GPR_RDI},    {GPR_RBP, GPR_RSI},    {GPR_RBP, GPR_RDI},
        {GPR_RSI, INDEX_NONE}, {GPR_RDI, INDEX_NONE}, {GPR_RBP, INDEX_NONE}, {GPR_RBX, INDEX_NONE},
    };
    bool is_absolute = d->mod == 0 && d->rm == 6;

    memory->base = is_absolute ? BASE_NONE : forms[d->rm].base;
    memory->index = forms[d->rm].index;
    return is_absolute ? 2 : d->mod;
}

static unsigned decode_sib(struct decoder *d, struct memory_operand *memory)
{
    uint8_t sib = fetch_byte(d);
    unsigned index = ((sib >> 3) & 7u) | (d->prefixes & REX_X) << 2;

    memory->index = (uint8_t)(index == GPR_RSP ? INDEX_NONE : index);
    memory->scale_shift = sib >> 6;
    return sib & 7;
}

/* SDM 2A, "32-Bit Addressing Forms with the ModR/M Byte"; REX.B does not select the form. */
static unsigned decode_modrm_32(struct decoder *d, struct memory_operand *memory)
{
    unsigned base = d->rm;

    memory->index = INDEX_NONE;
    if (base == GPR_RSP)
        base = decode_sib(d, memory);
    if (d->mod == 0 && base == GPR_RBP) {
        memory->base = d->mode == DECODE_64 && d->rm == GPR_RBP ? BASE_RIP : BASE_NONE;
        return 4;
    }
    memory->base = (uint8_t)(base | (d->prefixes & REX_B) << 3);
    return d->mod == 2 ? 4 : d->mod;
}

static unsigned set_implied_memory(unsigned flags, struct memory_operand *memory)
{
    memory->base = flags & AT_RSI ? GPR_RSI : flags & AT_RDI ? GPR_RDI : BASE_NONE;
    memory->index = INDEX_NONE;
    return flags & MOFFS ? memory->address_width : 0;
}

static uint8_t memory_segment(const struct decoder *d, unsigned flags, unsigned base)
{
    if ((flags & (AT_RSI | AT_RDI)) == AT_RDI)
        return SEG_ES;
    if (d->prefixes & PREFIX_SEGMENT)
        return (uint8_t)((d->prefixes >> PREFIX_SEGMENT_SHIFT) - 1);
    return base == GPR_RSP || base == GPR_RBP ? SEG_SS : SEG_DS;
}

static void decode_memory(struct decoder *d, unsigned flags, struct memory_operand *memory)
{
    unsigned displacement_width;

    memory->address_width = (uint8_t)address_width(d);
    memory->scale_shift = 0;
    if (flags & NO_MODRM)
        displacement_width = set_implied_memory(flags, memory);
    else if (memory->address_width == 2)
        displacement_width = decode_modrm_16(d, memory);
    else
        displacement_width = decode_modrm_32(d, memory);
    memory->displacement = displacement_width ? fetch_number(d, displacement_width) : 0;
    memory->segment = memory_segment(d, flags, memory->base);
}

/* --- The other operand, and the whole --- */

static void decode_other(struct decoder *d, unsigned flags, struct instruction *out)
{
    unsigned number = flags & NO_MODRM ? GPR_RAX : d->reg | (d->prefixes & REX_R) << 1;
    bool is_high_byte = (flags & BYTE) && !(d->prefixes & PREFIX_REX) && number >= GPR_RSP;

    out->register_number = (uint8_t)(is_high_byte ? number - GPR_RSP : number);
    out->register_shift = is_high_byte ? 8 : 0;
    out->immediate = 0;
    if (flags & (IMM | IMM8)) {
        out->other = OTHER_IMMEDIATE;
        out->immediate = (int32_t)fetch_number(d, flags & IMM8 ? 1 : MIN(out->memory_width, 4));
    } else {
        out->other = flags & REG ? OTHER_REGISTER : OTHER_NONE;
    }
}

static bool is_emulated(const struct decoder *d, unsigned operation, unsigned flags)
{
    if (operation == OP_NONE || d->mod == 3)
        return false;
    if ((d->prefixes & PREFIX_LOCK) && !((flags & TO_MEM) && (LOCKABLE & BIT(operation))))
        return false;
    return !((flags & ONLY_64) && d->mode != DECODE_64) &&
           !((flags & WIDE) && (d->prefixes & PREFIX_OPERAND_SIZE)) &&
           !((flags & NO_REPEAT) && (d->prefixes & PREFIX_REPEAT));
}

static bool is_plain_move(const struct instruction *insn)
{
    const struct memory_operand *memory = &insn->memory;
    bool has_segment_base = memory->segment == SEG_FS || memory->segment == SEG_GS;
    bool needs_rsp = memory->base == GPR_RSP || (insn->other == OTHER_REGISTER && insn->register_number == GPR_RSP);

    return insn->operation == OP_MOV && insn->mode == DECODE_64 && memory->address_width == 8 && !has_segment_base &&
           !needs_rsp;
}

static int decode(struct decoder *d, struct instruction *out)
{
    const struct opcode *opcode = fetch_opcode(d);
    unsigned operation = opcode->operation, flags = opcode->flags;

    if (flags == 0)
        return -EINVAL;
    if (!(flags & NO_MODRM))
        fetch_modrm(d);
    if (flags & GROUP) {
        operation = groups[opcode->operation][d->reg].operation;
        flags |= groups[opcode->operation][d->reg].flags;
    }
    if (!is_emulated(d, operation, flags))
        return -EINVAL;
    out->operation = (uint8_t)operation;
    out->mode = (uint8_t)d->mode;
    out->repeat = (uint8_t)((d->prefixes & PREFIX_REPEAT) >> PREFIX_REPEAT_SHIFT);
    out->lock = d->prefixes & PREFIX_LOCK;
    out->memory_is_first = flags & TO_MEM;
    out->register_width = (uint8_t)operand_width(d, flags);
    out->memory_width = (uint8_t)memory_width(out->register_width, flags);
    decode_memory(d, flags, &out->memory);
    decode_other(d, flags, out);
    out->is_plain_move = is_plain_move(out);
    return 0;
}

int decode_instruction(const uint8_t *bytes, size_t available, enum decode_mode mode,
                       struct instruction *out)
{
    struct decoder d = {
        .bytes = bytes,
        .available = MIN(available, (size_t)INSTRUCTION_BYTES_MAX),
        .mode = mode,
    };
    int status = decode(&d, out);

    if (d.position > d.available)
        return d.available < INSTRUCTION_BYTES_MAX ? -EAGAIN : -EINVAL;
    out->length = (uint8_t)d.position;
    return status;
}

int decode_cache_fill(struct decode_cache_entry *entry, const uint8_t bytes[INSTRUCTION_BYTES_MAX],
                      enum decode_mode mode)
{
    int status = decode_instruction(bytes, INSTRUCTION_BYTES_MAX, mode, &entry->insn);

    if (status != 0)
        entry->insn.mode = 0;
    entry->first = decode_cache_first(bytes);
    entry->last = decode_cache_last(bytes);
    return status;
}
