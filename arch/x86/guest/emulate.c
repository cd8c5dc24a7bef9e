/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One handler for each kind of operation, chosen by a table. Flags are computed from the operands
 * and the result alone, so that nothing here depends on the host's CPU.
 *
 * Invariant: a handler accesses all memory that it must before it changes a register or a flag;
 * what a failed access leaves behind is what was there before.
 */
#include "arch/x86/guest/emulate.h"
#include "kernel/lib/bytes.h"

#define STATUS_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* address: emulate_effective_address(), so that what reads and writes memory computes it once. */
typedef enum emulate_result emulate_handler(const struct instruction *insn,
                                            const struct emulate_cpu *cpu, gva_t address);

static uint64_t sign_extend(uint64_t value, unsigned width)
{
    unsigned unused_bits = 64 - 8 * width;

    return (uint64_t)((int64_t)(value << unused_bits) >> unused_bits);
}

/* --- Registers --- */

static void write_register(uint64_t *reg, unsigned width, unsigned shift, uint64_t value)
{
    emulate_write_register(reg, width, shift, value);
}

static void write_operand_register(const struct instruction *insn, const struct emulate_cpu *cpu,
                                   uint64_t value)
{
    emulate_write_operand(insn, cpu->gpr, value);
}

static uint64_t other_value(const struct instruction *insn, const struct emulate_cpu *cpu)
{
    return emulate_other_value(insn, cpu->gpr);
}

/* --- Addresses and memory --- */

static bool is_bit_test_by_register(const struct instruction *insn)
{
    return insn->operation >= OP_BT && insn->operation <= OP_BTC && insn->other == OTHER_REGISTER;
}

/* SDM 1, "Bit Strings": the register is a signed distance in bits, accessed in whole operands. */
static uint64_t bit_distance_bytes(const struct instruction *insn, const struct emulate_cpu *cpu)
{
    int64_t bits = (int64_t)sign_extend(cpu->gpr[insn->register_number], insn->memory_width);

    return ALIGN_DOWN((uint64_t)(bits >> 3), (uint64_t)insn->memory_width);
}

static uint64_t effective_offset(const struct instruction *insn, const struct emulate_cpu *cpu)
{
    uint64_t offset = emulate_offset(insn, cpu->gpr, cpu->rip);

    if (is_bit_test_by_register(insn))
        offset += bit_distance_bytes(insn, cpu);
    return offset & bytes_mask(insn->memory.address_width);
}

static gva_t linear_address(const struct instruction *insn, const struct emulate_cpu *cpu,
                            enum segment_register segment, uint64_t offset)
{
    if (unlikely(insn->mode != DECODE_64))
        return GVA((uint32_t)(cpu->ops->segment_base(cpu->context, segment) + offset));
    if (unlikely(segment == SEG_FS || segment == SEG_GS))
        offset += cpu->ops->segment_base(cpu->context, segment);
    return GVA(offset);
}

static inline gva_t effective_address(const struct instruction *insn, const struct emulate_cpu *cpu)
{
    return linear_address(insn, cpu, insn->memory.segment, effective_offset(insn, cpu));
}

gva_t emulate_effective_address(const struct instruction *insn, const struct emulate_cpu *cpu)
{
    return effective_address(insn, cpu);
}

static bool read_memory(const struct instruction *insn, const struct emulate_cpu *cpu,
                        gva_t address, uint64_t *value)
{
    return cpu->ops->read(cpu->context, address, insn->memory_width, value) == 0;
}

static bool write_memory(const struct instruction *insn, const struct emulate_cpu *cpu,
                         gva_t address, uint64_t value)
{
    unsigned width = insn->memory_width;

    return cpu->ops->write(cpu->context, address, width, value & bytes_mask(width)) == 0;
}

static enum emulate_result done_if(bool is_done)
{
    return is_done ? EMULATE_DONE : EMULATE_FAULT;
}

/* --- Moves --- */

static enum emulate_result emulate_mov(const struct instruction *insn,
                                       const struct emulate_cpu *cpu, gva_t address)
{
    uint64_t value;

    if (insn->memory_is_first)
        return done_if(write_memory(insn, cpu, address, other_value(insn, cpu)));
    if (!read_memory(insn, cpu, address, &value))
        return EMULATE_FAULT;
    write_operand_register(insn, cpu, value);
    return EMULATE_DONE;
}

static enum emulate_result emulate_movsx(const struct instruction *insn,
                                         const struct emulate_cpu *cpu, gva_t address)
{
    uint64_t value;

    if (!read_memory(insn, cpu, address, &value))
        return EMULATE_FAULT;
    write_operand_register(insn, cpu, sign_extend(value, insn->memory_width));
    return EMULATE_DONE;
}

static uint64_t swap_bytes(uint64_t value, unsigned width)
{
    return __builtin_bswap64(value) >> (64 - 8 * width);
}

static enum emulate_result emulate_movbe(const struct instruction *insn,
                                         const struct emulate_cpu *cpu, gva_t address)
{
    unsigned width = insn->memory_width;
    uint64_t value = swap_bytes(other_value(insn, cpu), width);

    if (insn->memory_is_first)
        return done_if(write_memory(insn, cpu, address, value));
    if (!read_memory(insn, cpu, address, &value))
        return EMULATE_FAULT;
    write_operand_register(insn, cpu, swap_bytes(value, width));
    return EMULATE_DONE;
}

static enum emulate_result emulate_xchg(const struct instruction *insn,
                                        const struct emulate_cpu *cpu, gva_t address)
{
    uint64_t memory;

    if (!read_memory(insn, cpu, address, &memory) ||
        !write_memory(insn, cpu, address, other_value(insn, cpu)))
        return EMULATE_FAULT;
    write_operand_register(insn, cpu, memory);
    return EMULATE_DONE;
}

/* --- Arithmetic --- */

/* Bit n: did a + b carry out of bit n, given their sum with whatever was carried in? */
static uint64_t carries_of(uint64_t a, uint64_t b, uint64_t sum)
{
    return (a & b) | ((a | b) & ~sum);
}

static uint64_t status_flags(uint64_t result, uint64_t carries, unsigned width)
{
    unsigned sign = 8 * width - 1;
    bool carry = (carries >> sign) & 1, carry_into_sign = (carries >> (sign - 1)) & 1;

    return (carry ? RFLAGS_CF : 0) | (__builtin_parity((uint8_t)result) ? 0 : RFLAGS_PF) |
           (carries & BIT(3) ? RFLAGS_AF : 0) | (result & bytes_mask(width) ? 0 : RFLAGS_ZF) |
           (result & BIT(sign) ? RFLAGS_SF : 0) | (carry != carry_into_sign ? RFLAGS_OF : 0);
}

/* Logic clears AF, which the manual leaves undefined, as CPUs do. The result is not cut to width. */
static uint64_t compute(enum operation operation, unsigned width, const uint64_t operands[2],
                        uint64_t *rflags)
{
    uint64_t a = operands[0], b = operands[1], result, carries = 0;
    bool carry_in = (operation == OP_ADC || operation == OP_SBB) && (*rflags & RFLAGS_CF);

    switch (operation) {
    case OP_OR:
        result = a | b;
        break;
    case OP_AND:
    case OP_TEST:
        result = a & b;
        break;
    case OP_XOR:
        result = a ^ b;
        break;
    case OP_ADD:
    case OP_ADC:
        result = a + b + carry_in;
        carries = carries_of(a, b, result);
        break;
    default: /* a - b is a + ~b + 1, and a borrow is a carry that is missing */
        result = a - b - carry_in;
        carries = ~carries_of(a, ~b, result);
        break;
    }
    *rflags = (*rflags & ~STATUS_FLAGS) | status_flags(result, carries, width);
    return result;
}

static enum emulate_result emulate_alu(const struct instruction *insn,
                                       const struct emulate_cpu *cpu, gva_t address)
{
    uint64_t operands[2], rflags = *cpu->rflags, result;
    bool is_memory_first = insn->memory_is_first;

    if (!read_memory(insn, cpu, address, &operands[!is_memory_first]))
        return EMULATE_FAULT;
    operands[is_memory_first] = other_value(insn, cpu);
    result = compute(insn->operation, insn->memory_width, operands, &rflags);
    if (insn->operation != OP_CMP && insn->operation != OP_TEST) {
        if (!is_memory_first)
            write_operand_register(insn, cpu, result);
        else if (!write_memory(insn, cpu, address, result))
            return EMULATE_FAULT;
    }
    *cpu->rflags = rflags;
    return EMULATE_DONE;
}

static enum emulate_result emulate_not(const struct instruction *insn,
                                       const struct emulate_cpu *cpu, gva_t address)
{
    uint64_t memory;

    return done_if(read_memory(insn, cpu, address, &memory) &&
                   write_memory(insn, cpu, address, ~memory));
}

static enum emulate_result emulate_neg(const struct instruction *insn,
                                       const struct emulate_cpu *cpu, gva_t address)
{
    uint64_t operands[2] = {0}, rflags = *cpu->rflags;

    if (!read_memory(insn, cpu, address, &operands[1]) ||
        !write_memory(insn, cpu, address, compute(OP_SUB, insn->memory_width, operands, &rflags)))
        return EMULATE_FAULT;
    *cpu->rflags = rflags;
    return EMULATE_DONE;
}

/* INC and DEC: an addition and a subtraction that keep CF. */
static enum emulate_result emulate_inc(const struct instruction *insn,
                                       const struct emulate_cpu *cpu, gva_t address)
{
    uint64_t operands[2] = {0, 1}, rflags = *cpu->rflags;
    enum operation operation = insn->operation == OP_INC ? OP_ADD : OP_SUB;

    if (!read_memory(insn, cpu, address, &operands[0]) ||
        !write_memory(insn, cpu, address,
                      compute(operation, insn->memory_width, operands, &rflags)))
        return EMULATE_FAULT;
    *cpu->rflags = (rflags & ~RFLAGS_CF) | (*cpu->rflags & RFLAGS_CF);
    return EMULATE_DONE;
}

static enum emulate_result emulate_xadd(const struct instruction *insn,
                                        const struct emulate_cpu *cpu, gva_t address)
{
    uint64_t operands[2] = {0, other_value(insn, cpu)}, rflags = *cpu->rflags;

    if (!read_memory(insn, cpu, address, &operands[0]) ||
        !write_memory(insn, cpu, address, compute(OP_ADD, insn->memory_width, operands, &rflags)))
        return EMULATE_FAULT;
    write_operand_register(insn, cpu, operands[0]);
    *cpu->rflags = rflags;
    return EMULATE_DONE;
}

/* Memory is written whatever the comparison says: SDM 2A, "CMPXCHG", promises that cycle. */
static enum emulate_result emulate_cmpxchg(const struct instruction *insn,
                                           const struct emulate_cpu *cpu, gva_t address)
{
    unsigned width = insn->memory_width;
    uint64_t operands[2] = {cpu->gpr[GPR_RAX]}, rflags = *cpu->rflags;
    bool are_equal;

    if (!read_memory(insn, cpu, address, &operands[1]))
        return EMULATE_FAULT;
    compute(OP_CMP, width, operands, &rflags);
    are_equal = rflags & RFLAGS_ZF;
    if (!write_memory(insn, cpu, address, are_equal ? other_value(insn, cpu) : operands[1]))
        return EMULATE_FAULT;
    if (!are_equal)
        write_register(&cpu->gpr[GPR_RAX], width, 0, operands[1]);
    *cpu->rflags = rflags;
    return EMULATE_DONE;
}

static uint64_t change_bit(enum operation operation, uint64_t value, uint64_t bit)
{
    switch (operation) {
    case OP_BTS:
        return value | bit;
    case OP_BTR:
        return value & ~bit;
    default:
        return value ^ bit;
    }
}

/* Only CF changes; the manual leaves the other flags but ZF undefined. */
static enum emulate_result emulate_bit_test(const struct instruction *insn,
                                            const struct emulate_cpu *cpu, gva_t address)
{
    uint64_t bit = BIT(other_value(insn, cpu) % (8u * insn->memory_width)), memory;

    if (!read_memory(insn, cpu, address, &memory))
        return EMULATE_FAULT;
    if (insn->operation != OP_BT &&
        !write_memory(insn, cpu, address, change_bit(insn->operation, memory, bit)))
        return EMULATE_FAULT;
    *cpu->rflags = (*cpu->rflags & ~RFLAGS_CF) | (memory & bit ? RFLAGS_CF : 0);
    return EMULATE_DONE;
}

/* --- Strings --- */

static bool uses_rsi(const struct instruction *insn)
{
    return insn->memory.base == GPR_RSI;
}

static bool uses_rdi(const struct instruction *insn)
{
    return insn->operation != OP_LODS;
}

static bool is_comparison(const struct instruction *insn)
{
    return insn->operation == OP_CMPS || insn->operation == OP_SCAS;
}

static gva_t destination_address(const struct instruction *insn, const struct emulate_cpu *cpu)
{
    return linear_address(insn, cpu, SEG_ES,
                          cpu->gpr[GPR_RDI] & bytes_mask(insn->memory.address_width));
}

static void step_register(const struct instruction *insn, const struct emulate_cpu *cpu,
                          enum gpr number, int64_t step)
{
    write_register(&cpu->gpr[number], insn->memory.address_width, 0,
                   cpu->gpr[number] + (uint64_t)step);
}

/* What is at rSI or in the accumulator is compared with what is at rDI, stored there, or loaded. */
static bool iterate_once(const struct instruction *insn, const struct emulate_cpu *cpu)
{
    unsigned width = insn->memory_width;
    int64_t step = *cpu->rflags & RFLAGS_DF ? -(int64_t)width : (int64_t)width;
    uint64_t operands[2] = {cpu->gpr[GPR_RAX]};

    if (uses_rsi(insn) && !read_memory(insn, cpu, effective_address(insn, cpu), &operands[0]))
        return false;
    if (is_comparison(insn)) {
        if (!read_memory(insn, cpu, destination_address(insn, cpu), &operands[1]))
            return false;
        compute(OP_CMP, width, operands, cpu->rflags);
    } else if (!uses_rdi(insn)) {
        write_register(&cpu->gpr[GPR_RAX], width, 0, operands[0]);
    } else if (!write_memory(insn, cpu, destination_address(insn, cpu), operands[0])) {
        return false;
    }
    if (uses_rsi(insn))
        step_register(insn, cpu, GPR_RSI, step);
    if (uses_rdi(insn))
        step_register(insn, cpu, GPR_RDI, step);
    return true;
}

static bool is_string_finished(const struct instruction *insn, const struct emulate_cpu *cpu)
{
    bool are_equal = *cpu->rflags & RFLAGS_ZF;

    if ((cpu->gpr[GPR_RCX] & bytes_mask(insn->memory.address_width)) == 0)
        return true;
    return is_comparison(insn) && are_equal != (insn->repeat == REPEAT_WHILE_EQUAL);
}

static enum emulate_result emulate_repeated(const struct instruction *insn,
                                            const struct emulate_cpu *cpu)
{
    /* A trap flag traps between iterations, too. */
    unsigned limit = *cpu->rflags & RFLAGS_TF ? 1 : EMULATE_REPEAT_MAX;

    if ((cpu->gpr[GPR_RCX] & bytes_mask(insn->memory.address_width)) == 0)
        return EMULATE_DONE;
    for (unsigned i = 0; i < limit; i++) {
        if (!iterate_once(insn, cpu))
            return EMULATE_FAULT;
        step_register(insn, cpu, GPR_RCX, -1);
        if (is_string_finished(insn, cpu))
            return EMULATE_DONE;
    }
    return EMULATE_AGAIN;
}

static enum emulate_result emulate_string(const struct instruction *insn,
                                          const struct emulate_cpu *cpu)
{
    if (insn->repeat != REPEAT_NONE)
        return emulate_repeated(insn, cpu);
    return done_if(iterate_once(insn, cpu));
}

/* --- The table: what is not a string instruction --- */

/* clang-format off */
static emulate_handler *const handlers[OP_COUNT] = {
    [OP_MOV] = emulate_mov,
    [OP_MOVSX] = emulate_movsx,
    [OP_MOVBE] = emulate_movbe,
    [OP_XCHG] = emulate_xchg,
    [OP_NOT] = emulate_not,
    [OP_ADD ... OP_TEST] = emulate_alu,
    [OP_NEG] = emulate_neg,
    [OP_INC ... OP_DEC] = emulate_inc,
    [OP_XADD] = emulate_xadd,
    [OP_CMPXCHG] = emulate_cmpxchg,
    [OP_BT ... OP_BTC] = emulate_bit_test,
};
/* clang-format on */

enum emulate_result emulate_instruction(const struct instruction *insn,
                                        const struct emulate_cpu *cpu)
{
    gva_t address;

    if (instruction_is_string(insn))
        return emulate_string(insn, cpu);
    address = effective_address(insn, cpu);
    if (likely(insn->operation == OP_MOV)) /* by far the most frequent: saves the indirect call */
        return emulate_mov(insn, cpu, address);
    return handlers[insn->operation](insn, cpu, address);
}
