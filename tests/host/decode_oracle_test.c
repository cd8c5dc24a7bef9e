/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: on every byte string that begins with prefixes and an opcode of ours, the decoder agrees
 * with an independent disassembler (Capstone) on whether it is such an instruction with a memory
 * operand, on its length, and on each operand. The generator stays away from what Capstone 4 gets
 * wrong: LOCK (allowed where the CPU does not), F2 and F3 before anything but strings, 66 together
 * with them or with MOVNTI, MOVSXD without REX.W, a prefix twice. decode_test.c has those by hand,
 * and emulate_test.c asks the CPU.
 */
#include "tests/host/fake/fake.h"
#include "arch/x86/guest/decode.h"
#include "kernel/lib/bytes.h"
#include <capstone/capstone.h>

#define ROUNDS 300000u

/* --- Names of the one in terms of the other --- */

static const struct {
    x86_insn id;
    enum operation operation;
} operations[] = {
    {X86_INS_MOV, OP_MOV},     {X86_INS_MOVABS, OP_MOV},      {X86_INS_MOVZX, OP_MOV},
    {X86_INS_MOVNTI, OP_MOV},  {X86_INS_MOVSX, OP_MOVSX},     {X86_INS_MOVSXD, OP_MOVSX},
    {X86_INS_MOVBE, OP_MOVBE}, {X86_INS_XCHG, OP_XCHG},       {X86_INS_NOT, OP_NOT},
    {X86_INS_ADD, OP_ADD},     {X86_INS_OR, OP_OR},           {X86_INS_ADC, OP_ADC},
    {X86_INS_SBB, OP_SBB},     {X86_INS_AND, OP_AND},         {X86_INS_SUB, OP_SUB},
    {X86_INS_XOR, OP_XOR},     {X86_INS_CMP, OP_CMP},         {X86_INS_TEST, OP_TEST},
    {X86_INS_NEG, OP_NEG},     {X86_INS_INC, OP_INC},         {X86_INS_DEC, OP_DEC},
    {X86_INS_XADD, OP_XADD},   {X86_INS_CMPXCHG, OP_CMPXCHG}, {X86_INS_BT, OP_BT},
    {X86_INS_BTS, OP_BTS},     {X86_INS_BTR, OP_BTR},         {X86_INS_BTC, OP_BTC},
    {X86_INS_MOVSB, OP_MOVS},  {X86_INS_MOVSW, OP_MOVS},      {X86_INS_MOVSD, OP_MOVS},
    {X86_INS_MOVSQ, OP_MOVS},  {X86_INS_CMPSB, OP_CMPS},      {X86_INS_CMPSW, OP_CMPS},
    {X86_INS_CMPSD, OP_CMPS},  {X86_INS_CMPSQ, OP_CMPS},      {X86_INS_STOSB, OP_STOS},
    {X86_INS_STOSW, OP_STOS},  {X86_INS_STOSD, OP_STOS},      {X86_INS_STOSQ, OP_STOS},
    {X86_INS_LODSB, OP_LODS},  {X86_INS_LODSW, OP_LODS},      {X86_INS_LODSD, OP_LODS},
    {X86_INS_LODSQ, OP_LODS},  {X86_INS_SCASB, OP_SCAS},      {X86_INS_SCASW, OP_SCAS},
    {X86_INS_SCASD, OP_SCAS},  {X86_INS_SCASQ, OP_SCAS},
};

static enum operation operation_of(unsigned id)
{
    for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
        if (operations[i].id == id)
            return operations[i].operation;
    return OP_NONE;
}

/* Rows: 8, 16, 32, 64 bits; columns: enum gpr. */
static const x86_reg registers[4][GPR_COUNT] = {
    {X86_REG_AL, X86_REG_CL, X86_REG_DL, X86_REG_BL, X86_REG_SPL, X86_REG_BPL, X86_REG_SIL,
     X86_REG_DIL, X86_REG_R8B, X86_REG_R9B, X86_REG_R10B, X86_REG_R11B, X86_REG_R12B, X86_REG_R13B,
     X86_REG_R14B, X86_REG_R15B},
    {X86_REG_AX, X86_REG_CX, X86_REG_DX, X86_REG_BX, X86_REG_SP, X86_REG_BP, X86_REG_SI, X86_REG_DI,
     X86_REG_R8W, X86_REG_R9W, X86_REG_R10W, X86_REG_R11W, X86_REG_R12W, X86_REG_R13W, X86_REG_R14W,
     X86_REG_R15W},
    {X86_REG_EAX, X86_REG_ECX, X86_REG_EDX, X86_REG_EBX, X86_REG_ESP, X86_REG_EBP, X86_REG_ESI,
     X86_REG_EDI, X86_REG_R8D, X86_REG_R9D, X86_REG_R10D, X86_REG_R11D, X86_REG_R12D, X86_REG_R13D,
     X86_REG_R14D, X86_REG_R15D},
    {X86_REG_RAX, X86_REG_RCX, X86_REG_RDX, X86_REG_RBX, X86_REG_RSP, X86_REG_RBP, X86_REG_RSI,
     X86_REG_RDI, X86_REG_R8, X86_REG_R9, X86_REG_R10, X86_REG_R11, X86_REG_R12, X86_REG_R13,
     X86_REG_R14, X86_REG_R15},
};
static const x86_reg high_bytes[4] = {X86_REG_AH, X86_REG_CH, X86_REG_DH, X86_REG_BH};
static const x86_reg segments[] = {X86_REG_ES, X86_REG_CS, X86_REG_SS,
                                   X86_REG_DS, X86_REG_FS, X86_REG_GS};

static unsigned row_of(unsigned width)
{
    return width == 8 ? 3 : width / 2;
}

static x86_reg operand_register(const struct instruction *insn)
{
    if (insn->register_shift == 8)
        return high_bytes[insn->register_number];
    return registers[row_of(insn->register_width)][insn->register_number];
}

static x86_reg base_register(const struct memory_operand *memory)
{
    if (memory->base == BASE_NONE)
        return X86_REG_INVALID;
    if (memory->base == BASE_RIP)
        return memory->address_width == 8 ? X86_REG_RIP : X86_REG_EIP;
    return registers[row_of(memory->address_width)][memory->base];
}

static x86_reg index_register(const struct memory_operand *memory)
{
    if (memory->index == INDEX_NONE)
        return X86_REG_INVALID;
    return registers[row_of(memory->address_width)][memory->index];
}

/* --- Comparison: a failure names the first thing that differs --- */

#define AGREE(condition)       \
    do {                       \
        if (!(condition))      \
            return #condition; \
    } while (0)

static const cs_x86_op *find_operand(const cs_insn *theirs, x86_op_type type)
{
    const cs_x86 *x86 = &theirs->detail->x86;

    for (unsigned i = 0; i < x86->op_count; i++)
        if (x86->operands[i].type == type)
            return &x86->operands[i];
    return NULL;
}

/* Of the two memory operands of MOVS and CMPS ours names the one at rSI. */
static const cs_x86_op *find_memory(const struct instruction *ours, const cs_insn *theirs)
{
    const cs_x86 *x86 = &theirs->detail->x86;

    for (unsigned i = 0; i < x86->op_count; i++)
        if (x86->operands[i].type == X86_OP_MEM &&
            x86->operands[i].mem.base == base_register(&ours->memory))
            return &x86->operands[i];
    return find_operand(theirs, X86_OP_MEM);
}

static x86_reg default_segment(const x86_op_mem *memory)
{
    switch (memory->base) {
    case X86_REG_BP:
    case X86_REG_EBP:
    case X86_REG_ESP:
    case X86_REG_RBP:
    case X86_REG_RSP:
        return X86_REG_SS;
    default:
        return X86_REG_DS;
    }
}

/* Is its base 0 in 64-bit mode? Capstone names an override there that the CPU ignores. */
static bool is_flat(x86_reg segment)
{
    return segment != X86_REG_FS && segment != X86_REG_GS;
}

static const char *compare_memory(const struct memory_operand *ours, const x86_op_mem *theirs,
                                  enum decode_mode mode)
{
    x86_reg segment =
        theirs->segment == X86_REG_INVALID ? default_segment(theirs) : theirs->segment;
    x86_reg index = theirs->index == X86_REG_RIZ || theirs->index == X86_REG_EIZ ? X86_REG_INVALID
                                                                                 : theirs->index;
    uint64_t mask = bytes_mask(ours->address_width);

    AGREE(base_register(ours) == theirs->base);
    AGREE(index_register(ours) == index);
    AGREE(index == X86_REG_INVALID || 1 << ours->scale_shift == theirs->scale);
    AGREE((ours->displacement & mask) == ((uint64_t)theirs->disp & mask));
    AGREE(segments[ours->segment] == segment ||
          (mode == DECODE_64 && is_flat(segments[ours->segment]) && is_flat(segment)));
    return NULL;
}

static const char *compare(const struct instruction *ours, const cs_insn *theirs)
{
    const cs_x86_op *memory = find_memory(ours, theirs), *reg = find_operand(theirs, X86_OP_REG),
                    *immediate = find_operand(theirs, X86_OP_IMM);
    const cs_x86 *x86 = &theirs->detail->x86;
    bool is_bit_test = ours->operation >= OP_BT && ours->operation <= OP_BTC;
    uint64_t mask = is_bit_test ? 0xff : bytes_mask(ours->memory_width);

    AGREE(ours->length == theirs->size);
    AGREE(ours->operation == operation_of(theirs->id));
    AGREE(ours->memory_width == memory->size);
    AGREE(ours->memory.address_width == x86->addr_size);
    AGREE((ours->other == OTHER_REGISTER) == (reg != NULL));
    AGREE(!reg || operand_register(ours) == reg->reg);
    AGREE(!reg || ours->register_width == reg->size);
    AGREE((ours->other == OTHER_IMMEDIATE) == (immediate != NULL));
    AGREE(!immediate || ((uint64_t)ours->immediate & mask) == ((uint64_t)immediate->imm & mask));
    AGREE(instruction_is_string(ours) ||
          ours->memory_is_first == (x86->operands[0].type == X86_OP_MEM));
    AGREE(x86->prefix[0] == 0 ||
          (ours->repeat == REPEAT_WHILE_EQUAL) == (x86->prefix[0] == X86_PREFIX_REP));
    return compare_memory(&ours->memory, &memory->mem, ours->mode);
}

/* --- Generation --- */

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % limit;
}

static const uint8_t one_byte_opcodes[] = {
    0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x18, 0x19, 0x1a, 0x1b,
    0x20, 0x21, 0x22, 0x23, 0x28, 0x29, 0x2a, 0x2b, 0x30, 0x31, 0x32, 0x33, 0x38, 0x39, 0x3a, 0x3b,
    0x63, 0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0xa0, 0xa1, 0xa2, 0xa3,
    0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0xc6, 0xc7, 0xf6, 0xf7, 0xfe, 0xff,
};
static const uint8_t two_byte_opcodes[] = {0xa3, 0xab, 0xb0, 0xb1, 0xb3, 0xb6, 0xb7, 0xba,
                                           0xbb, 0xbe, 0xbf, 0xc0, 0xc1, 0xc3, 0x38};
static const uint8_t segment_prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};

static bool one_in(unsigned n)
{
    return random_below(n) == 0;
}

static bool is_string(const uint8_t *opcode)
{
    return opcode[0] >= 0xa4 && opcode[0] <= 0xaf;
}

static bool is_movnti(const uint8_t *opcode)
{
    return opcode[0] == 0x0f && opcode[1] == 0xc3;
}

static size_t generate_legacy_prefixes(uint8_t *bytes, const uint8_t *opcode)
{
    bool is_repeated = is_string(opcode) && one_in(2);
    size_t size = 0;

    if (one_in(3))
        bytes[size++] = segment_prefixes[random_below(sizeof segment_prefixes)];
    if (!is_repeated && !is_movnti(opcode) && one_in(3))
        bytes[size++] = 0x66;
    if (one_in(3))
        bytes[size++] = 0x67;
    if (is_repeated)
        bytes[size++] = (uint8_t)(0xf2 + random_below(2));
    if (size > 1 && one_in(2)) {
        uint8_t first = bytes[0];

        memmove(bytes, bytes + 1, size - 1);
        bytes[size - 1] = first;
    }
    return size;
}

static size_t generate_rex(uint8_t *bytes, const uint8_t *opcode)
{
    bool is_movsxd = opcode[0] == 0x63;

    if (!is_movsxd && one_in(2))
        return 0;
    bytes[0] = (uint8_t)(0x40 + random_below(16));
    if (is_movsxd)
        bytes[0] |= 8;
    return 1;
}

static size_t generate_opcode(uint8_t bytes[3])
{
    if (!one_in(3)) {
        bytes[0] = one_byte_opcodes[random_below(sizeof one_byte_opcodes)];
        return 1;
    }
    bytes[0] = 0x0f;
    bytes[1] = two_byte_opcodes[random_below(sizeof two_byte_opcodes)];
    bytes[2] = (uint8_t)(0xf0 + random_below(2));
    return bytes[1] == 0x38 ? 3 : 2;
}

static void generate(uint8_t bytes[INSTRUCTION_BYTES_MAX], enum decode_mode mode)
{
    uint8_t opcode[3];
    size_t opcode_size = generate_opcode(opcode), size = generate_legacy_prefixes(bytes, opcode);

    if (mode == DECODE_64)
        size += generate_rex(bytes + size, opcode);
    memcpy(bytes + size, opcode, opcode_size);
    for (size += opcode_size; size < INSTRUCTION_BYTES_MAX; size++)
        bytes[size] = (uint8_t)random_below(256);
}

/* --- The test --- */

static bool is_ours_by_capstone(const cs_insn *theirs)
{
    return operation_of(theirs->id) != OP_NONE && find_operand(theirs, X86_OP_MEM);
}

static unsigned compared;

static const char *check(csh capstone, cs_insn *theirs, const uint8_t bytes[INSTRUCTION_BYTES_MAX],
                         enum decode_mode mode)
{
    struct instruction ours;
    const uint8_t *at = bytes;
    size_t left = INSTRUCTION_BYTES_MAX;
    uint64_t address = 0;
    int status = decode_instruction(bytes, INSTRUCTION_BYTES_MAX, mode, &ours);
    bool is_theirs =
        cs_disasm_iter(capstone, &at, &left, &address, theirs) && is_ours_by_capstone(theirs);

    AGREE((status == 0) == is_theirs);
    if (status != 0)
        return NULL;
    compared++;
    return compare(&ours, theirs);
}

static void agrees(enum decode_mode mode, cs_mode capstone_mode)
{
    uint8_t bytes[INSTRUCTION_BYTES_MAX];
    csh capstone;
    cs_insn *theirs;
    unsigned failures = 0;

    compared = 0;
    assert_int_equal(cs_open(CS_ARCH_X86, capstone_mode, &capstone), CS_ERR_OK);
    cs_option(capstone, CS_OPT_DETAIL, CS_OPT_ON);
    theirs = cs_malloc(capstone);
    for (unsigned i = 0; i < ROUNDS; i++) {
        const char *difference;

        generate(bytes, mode);
        difference = check(capstone, theirs, bytes, mode);
        if (!difference)
            continue;
        printf("mode %d:", 8 * mode);
        for (unsigned j = 0; j < INSTRUCTION_BYTES_MAX; j++)
            printf(" %02x", bytes[j]);
        printf("  Capstone: %s %s (%u): %s\n", theirs->mnemonic, theirs->op_str, theirs->size,
               difference);
        if (++failures == 20)
            break;
    }
    cs_free(theirs, 1);
    cs_close(&capstone);
    assert_int_equal(failures, 0);
    assert_true(compared > ROUNDS / 2);
}

static void agrees_in_16_bit_mode(void **state)
{
    (void)state;
    agrees(DECODE_16, CS_MODE_16);
}

static void agrees_in_32_bit_mode(void **state)
{
    (void)state;
    agrees(DECODE_32, CS_MODE_32);
}

static void agrees_in_64_bit_mode(void **state)
{
    (void)state;
    agrees(DECODE_64, CS_MODE_64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_in_16_bit_mode),
        cmocka_unit_test(agrees_in_32_bit_mode),
        cmocka_unit_test(agrees_in_64_bit_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
