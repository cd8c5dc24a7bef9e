/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: an instruction that is decoded and emulated leaves registers, flags and memory as the CPU
 * that runs this test leaves them, for random operands, prefixes and addresses. The CPU is asked in
 * 64-bit mode.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/fake_guest.h"
#include "kernel/lib/bytes.h"
#include <cpuid.h>
#include <sys/mman.h>

#define ROUNDS       400u /* for each template */
#define STATUS_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* --- The CPU itself: the same instruction between a load and a store of all registers --- */

static struct native {
    uint64_t gpr[GPR_COUNT], rflags, host_rsp;
    uint8_t code[512];
    uint8_t stack[4096]; /* RSP points here unless the instruction needs it elsewhere */
    uint8_t memory[FAKE_GUEST_BYTES];
} * native; /* below 2 GiB, so that absolute and 32-bit addresses reach it */

static uint8_t *emit(uint8_t *at, const void *bytes, size_t size)
{
    memcpy(at, bytes, size);
    return at + size;
}

/* opcode with the operands "reg" and an absolute address; flags stay as they are with MOV, PUSH and
 * POP. */
static uint8_t *emit_absolute(uint8_t *at, uint8_t opcode, unsigned reg, const void *address)
{
    uint8_t bytes[8] = {(uint8_t)(0x48 | (reg & 8) >> 1), opcode, (uint8_t)(0x04 | (reg & 7) << 3),
                        0x25};

    put_le32(bytes + 4, (uint32_t)(uintptr_t)address);
    return emit(at, bytes, sizeof bytes);
}

enum { MOV_STORE = 0x89, MOV_LOAD = 0x8b, PUSH_GROUP = 0xff, PUSH_DIGIT = 6, POP_GROUP = 0x8f };

static uint8_t *emit_entry(uint8_t *at)
{
    at = emit(at, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57",
              10); /* PUSH of what the caller keeps */
    at = emit_absolute(at, MOV_STORE, GPR_RSP, &native->host_rsp);
    at = emit_absolute(at, PUSH_GROUP, PUSH_DIGIT, &native->rflags);
    at = emit(at, "\x9d", 1); /* POPF */
    for (unsigned i = 0; i < GPR_COUNT; i++)
        at = emit_absolute(at, MOV_LOAD, i, &native->gpr[i]);
    return at;
}

static void emit_exit(uint8_t *at)
{
    for (unsigned i = 0; i < GPR_COUNT; i++)
        at = emit_absolute(at, MOV_STORE, i, &native->gpr[i]);
    at = emit_absolute(at, MOV_LOAD, GPR_RSP, &native->host_rsp);
    at = emit(at, "\x9c", 1); /* PUSHF */
    at = emit_absolute(at, POP_GROUP, 0, &native->rflags);
    emit(at, "\xfc\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 12); /* CLD, POP, RET */
}

/* Where an instruction will run: RIP-relative operands need to know. */
static uint64_t native_rip(void)
{
    static uint8_t scratch[sizeof native->code];

    return (uint64_t)(uintptr_t)native->code + (uint64_t)(emit_entry(scratch) - scratch);
}

static void run_natively(const uint8_t *bytes, size_t size)
{
    emit_exit(emit(emit_entry(native->code), bytes, size));
    ((void (*)(void))(uintptr_t)native->code)();
}

static int map_native(void **state)
{
    (void)state;
    native = mmap(NULL, sizeof *native, PROT_READ | PROT_WRITE | PROT_EXEC,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    assert_ptr_not_equal(native, MAP_FAILED);
    return 0;
}

/* --- Random instructions for both --- */

static uint64_t random_state = 0x2545f4914f6cdd1d;

static uint64_t random_number(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1d;
}

static unsigned random_below(unsigned limit)
{
    return (unsigned)(random_number() >> 32) % limit;
}

/* Carries, signs and zeros live at the edges: half of the values come from there. */
static uint64_t random_value(void)
{
    static const uint64_t edges[] = {0,      1,      ~0ull,      0x7f,       0x80,
                                     0x7fff, 0x8000, 0x7fffffff, 0x80000000, 1ull << 63};

    if (random_below(2))
        return random_number() >> random_below(64);
    return edges[random_below(ARRAY_SIZE(edges))] + random_below(3) - 1;
}

struct template
{
    const char *opcode; /* bytes */
    int digit;          /* ModRM.reg, or ANY, or NO_MODRM */
    int immediate;      /* bytes, or AS_OPERAND */
};
enum { ANY = -1, NO_MODRM = -2, AS_OPERAND = -1 };

/* clang-format off */

/* Opcode 00 cannot be written as a string: of ADD group 1 stands in for it. */
#define ALU(base, digit)                                                                           \
    {(const char[]){base + 1, 0}, ANY, 0}, {(const char[]){base + 2, 0}, ANY, 0},                  \
    {(const char[]){base + 3, 0}, ANY, 0},                                                         \
    {"\x80", digit, 1}, {"\x81", digit, AS_OPERAND}, {"\x83", digit, 1}

static const struct template templates[] = {
    ALU(0x00, 0), ALU(0x08, 1), ALU(0x10, 2), ALU(0x18, 3),
    ALU(0x20, 4), ALU(0x28, 5), ALU(0x30, 6), ALU(0x38, 7),
    {"\x08", ANY, 0}, {"\x10", ANY, 0}, {"\x18", ANY, 0}, {"\x20", ANY, 0},
    {"\x28", ANY, 0}, {"\x30", ANY, 0}, {"\x38", ANY, 0}, {"\x63", ANY, 0},
    {"\x84", ANY, 0}, {"\x85", ANY, 0}, {"\x86", ANY, 0}, {"\x87", ANY, 0},
    {"\x88", ANY, 0}, {"\x89", ANY, 0}, {"\x8a", ANY, 0}, {"\x8b", ANY, 0},
    {"\xc6", 0, 1},   {"\xc7", 0, AS_OPERAND},
    {"\xf6", 0, 1},   {"\xf7", 0, AS_OPERAND},
    {"\xf6", 2, 0},   {"\xf7", 2, 0},   {"\xf6", 3, 0},   {"\xf7", 3, 0},
    {"\xfe", 0, 0},   {"\xff", 0, 0},   {"\xfe", 1, 0},   {"\xff", 1, 0},
    {"\x0f\xb0", ANY, 0}, {"\x0f\xb1", ANY, 0}, {"\x0f\xb6", ANY, 0}, {"\x0f\xb7", ANY, 0},
    {"\x0f\xbe", ANY, 0}, {"\x0f\xbf", ANY, 0}, {"\x0f\xc0", ANY, 0}, {"\x0f\xc1", ANY, 0},
    {"\x0f\xc3", ANY, 0}, {"\x0f\xa3", ANY, 0}, {"\x0f\xab", ANY, 0}, {"\x0f\xb3", ANY, 0},
    {"\x0f\xbb", ANY, 0},
    {"\x0f\xba", 4, 1},   {"\x0f\xba", 5, 1},   {"\x0f\xba", 6, 1},   {"\x0f\xba", 7, 1},
    {"\x0f\x38\xf0", ANY, 0}, {"\x0f\x38\xf1", ANY, 0},
    {"\xa4", NO_MODRM, 0}, {"\xa5", NO_MODRM, 0}, {"\xa6", NO_MODRM, 0}, {"\xa7", NO_MODRM, 0},
    {"\xaa", NO_MODRM, 0}, {"\xab", NO_MODRM, 0}, {"\xac", NO_MODRM, 0}, {"\xad", NO_MODRM, 0},
    {"\xae", NO_MODRM, 0}, {"\xaf", NO_MODRM, 0},
};

/* clang-format on */

struct sample {
    uint8_t bytes[32];
    size_t size;
    size_t displacement_at; /* of the 4 bytes without a base register; 0: there is one */
};

static void add_byte(struct sample *s, unsigned byte)
{
    s->bytes[s->size++] = (uint8_t)byte;
}

static void add_random(struct sample *s, unsigned count)
{
    while (count-- > 0)
        add_byte(s, random_below(256));
}

static void add_modrm(struct sample *s, int digit)
{
    unsigned reg = digit == ANY ? random_below(8) : (unsigned)digit, mod = random_below(3),
             rm = random_below(8);
    unsigned base = rm;

    add_byte(s, mod << 6 | reg << 3 | rm);
    if (rm == 4) {
        base = random_below(8);
        add_byte(s, random_below(4) << 6 | random_below(8) << 3 | base);
    }
    if (mod == 0 && base == 5)
        s->displacement_at = s->size;
    add_random(s, mod == 2 || s->displacement_at ? 4 : mod);
}

static struct sample random_sample(const struct template *t)
{
    struct sample s = {.size = 0};
    bool is_string = t->digit == NO_MODRM, has_66 = random_below(4) == 0;
    unsigned rex = random_below(2) ? 0x40 + random_below(16) : 0;

    if (has_66)
        add_byte(&s, 0x66);
    if (random_below(4) == 0)
        add_byte(&s, 0x67);
    if (random_below(8) == 0)
        add_byte(&s, 0xf0);
    if (random_below(is_string ? 2 : 16) == 0)
        add_byte(&s, 0xf2 + random_below(2));
    if (rex)
        add_byte(&s, rex);
    for (const char *byte = t->opcode; *byte; byte++)
        add_byte(&s, (uint8_t)*byte);
    if (!is_string)
        add_modrm(&s, t->digit);
    add_random(&s, t->immediate != AS_OPERAND ? (unsigned)t->immediate
                   : has_66 && !(rex & 8)     ? 2
                                              : 4);
    return s;
}

/* --- Operands for them --- */

static bool is_bit_test(const struct instruction *insn)
{
    return insn->operation >= OP_BT && insn->operation <= OP_BTC;
}

/* A value that is the same to whoever looks at width bytes of it. */
static uint64_t with_random_top(uint64_t value, unsigned width)
{
    return width == 8 ? value : (value & bytes_mask(width)) | random_number() << (8 * width);
}

static uint64_t middle(void)
{
    return (uint64_t)(uintptr_t)native->memory + FAKE_GUEST_BYTES / 2;
}

/* An index alone cannot bring an operand anywhere, and a base that is also the index not
 * everywhere. */
static bool aim_at(struct sample *s, struct instruction *insn, uint64_t target)
{
    struct memory_operand *m = &insn->memory;

    if (m->index != INDEX_NONE && (m->index == m->base || m->base == BASE_NONE))
        guest.gpr[m->index] &= 0xff;
    if (m->index != INDEX_NONE)
        target -= guest.gpr[m->index] << m->scale_shift;
    if (m->base < GPR_COUNT) {
        guest.gpr[m->base] = with_random_top(target - m->displacement, m->address_width);
        return m->base != m->index;
    }
    if (m->base == BASE_RIP)
        target -= native_rip() + s->size;
    put_le32(s->bytes + s->displacement_at, (uint32_t)target);
    m->displacement = (uint64_t)(int32_t)target;
    return true;
}

static void aim_string(const struct instruction *insn)
{
    unsigned width = insn->memory.address_width;

    guest.gpr[GPR_RSI] = with_random_top(middle() + random_below(64), width);
    guest.gpr[GPR_RDI] =
        with_random_top(middle() + random_below(2) * 0x1000 + random_below(64), width);
    guest.gpr[GPR_RCX] = with_random_top(1 + random_below(3 * EMULATE_REPEAT_MAX), width);
    guest.rflags |= random_below(2) ? RFLAGS_DF : 0;
}

/* False: this one cannot be aimed, or asks two things of one register. */
static bool prepare(struct sample *s, struct instruction *insn)
{
    for (unsigned i = 0; i < GPR_COUNT; i++)
        guest.gpr[i] = random_value();
    guest.gpr[GPR_RSP] = (uint64_t)(uintptr_t)native->stack + sizeof native->stack / 2;
    guest.rflags = 0x202 | (random_number() & STATUS_FLAGS);
    guest.rip = native_rip();
    guest.base = (uint64_t)(uintptr_t)native->memory;
    if (instruction_is_string(insn)) {
        aim_string(insn);
        return true;
    }
    if (is_bit_test(insn) && insn->other == OTHER_REGISTER) {
        guest.gpr[insn->register_number] =
            with_random_top(random_below(0x4000) - 0x2000ull, insn->memory_width);
        if (insn->register_number == insn->memory.base ||
            insn->register_number == insn->memory.index)
            return false;
    }
    return aim_at(s, insn, middle() + random_below(64));
}

/* Few values, so that comparisons find equal ones. */
static void fill_memory(void)
{
    uint64_t value = random_below(2) ? random_value() : guest.gpr[GPR_RAX];

    for (size_t i = 0; i < FAKE_GUEST_BYTES; i += 8)
        put_le64(guest.memory + i, value);
    for (unsigned i = 0; i < 16; i++)
        guest.memory[FAKE_GUEST_BYTES / 2 + random_below(512)] ^= (uint8_t)random_number();
}

/* What the manual leaves undefined. */
static uint64_t undefined_flags(const struct instruction *insn)
{
    switch (insn->operation) {
    case OP_OR:
    case OP_AND:
    case OP_XOR:
    case OP_TEST:
        return RFLAGS_AF;
    case OP_BT:
    case OP_BTS:
    case OP_BTR:
    case OP_BTC:
        return RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF;
    default:
        return 0;
    }
}

static void fail_sample(const struct sample *s, const char *what)
{
    for (size_t i = 0; i < s->size; i++)
        printf("%02x ", s->bytes[i]);
    printf(": %s\n", what);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        printf("r%-2u %016llx, the CPU %016llx\n", i, (unsigned long long)guest.gpr[i],
               (unsigned long long)native->gpr[i]);
    printf("flags %llx, the CPU %llx\n", (unsigned long long)guest.rflags,
           (unsigned long long)native->rflags);
    fail();
}

static void compare_with_cpu(const struct sample *s, const struct instruction *insn)
{
    enum emulate_result result;

    memcpy(native->gpr, guest.gpr, sizeof guest.gpr);
    native->rflags = guest.rflags;
    memcpy(native->memory, guest.memory, FAKE_GUEST_BYTES);
    do
        result = fake_guest_emulate(insn);
    while (result == EMULATE_AGAIN);
    run_natively(s->bytes, s->size);
    if (result != EMULATE_DONE)
        fail_sample(s, "not done");
    if (memcmp(native->gpr, guest.gpr, sizeof guest.gpr) != 0)
        fail_sample(s, "registers");
    if ((native->rflags ^ guest.rflags) & ~undefined_flags(insn))
        fail_sample(s, "flags");
    if (memcmp(native->memory, guest.memory, FAKE_GUEST_BYTES) != 0)
        fail_sample(s, "memory");
}

static bool has_movbe(void)
{
    unsigned eax, ebx, ecx, edx;

    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_MOVBE);
}

static void does_what_the_cpu_does(void **state)
{
    bool can_movbe = has_movbe();
    unsigned compared = 0;

    (void)state;
    fake_guest_reset();
    for (size_t i = 0; i < ARRAY_SIZE(templates); i++) {
        for (unsigned done = 0; done < ROUNDS;) {
            struct sample s = random_sample(&templates[i]);
            struct instruction insn;

            if (decode_instruction(s.bytes, s.size, DECODE_64, &insn) != 0)
                continue; /* LOCK, 66 or REP where it is illegal */
            assert_int_equal(insn.length, s.size);
            done++;
            if ((insn.operation == OP_MOVBE && !can_movbe) || !prepare(&s, &insn))
                continue;
            fill_memory();
            compare_with_cpu(&s, &insn);
            compared++;
        }
    }
    assert_true(compared > ARRAY_SIZE(templates) * ROUNDS * 3 / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(does_what_the_cpu_does, map_native),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
