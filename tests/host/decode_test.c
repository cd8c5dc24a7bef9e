/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: each rule of the instruction format gives the operand that the manual says, in every
 * mode; whatever the bytes are, and however few, the decoder reads no other ones and returns one of
 * its three answers.
 */
#include "tests/host/fake/fake.h"
#include "arch/x86/guest/decode.h"
#include <errno.h>

/* --- A decoded instruction as text: "add ds:[rbx+rsi*4+0x10]:8/4, rcx/4" --- */

static const char *const operation_names[OP_COUNT] = {
    [OP_MOV] = "mov",   [OP_MOVSX] = "movsx", [OP_MOVBE] = "movbe", [OP_XCHG] = "xchg",
    [OP_NOT] = "not",   [OP_ADD] = "add",     [OP_OR] = "or",       [OP_ADC] = "adc",
    [OP_SBB] = "sbb",   [OP_AND] = "and",     [OP_SUB] = "sub",     [OP_XOR] = "xor",
    [OP_CMP] = "cmp",   [OP_TEST] = "test",   [OP_NEG] = "neg",     [OP_INC] = "inc",
    [OP_DEC] = "dec",   [OP_XADD] = "xadd",   [OP_BT] = "bt",       [OP_BTS] = "bts",
    [OP_BTR] = "btr",   [OP_BTC] = "btc",     [OP_MOVS] = "movs",   [OP_CMPS] = "cmps",
    [OP_STOS] = "stos", [OP_LODS] = "lods",   [OP_SCAS] = "scas",   [OP_CMPXCHG] = "cmpxchg",
};
static const char *const register_names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                             "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                             "r12", "r13", "r14", "r15", "",    "rip"};
static const char *const high_names[] = {"ah", "ch", "dh", "bh"};
static const char *const segment_names[] = {"es", "cs", "ss", "ds", "fs", "gs"};
static const char *const repeat_names[] = {"", "repne ", "rep "};

static void describe_memory(const struct instruction *insn, char *text, size_t size)
{
    const struct memory_operand *m = &insn->memory;
    char index[16] = "";

    if (m->index != INDEX_NONE)
        snprintf(index, sizeof index, "+%s*%d", register_names[m->index], 1 << m->scale_shift);
    snprintf(text, size, "%s:[%s%s%+lld]:%d/%d", segment_names[m->segment], register_names[m->base],
             index, (long long)m->displacement, m->address_width, insn->memory_width);
}

static void describe_other(const struct instruction *insn, char *text, size_t size)
{
    if (insn->other == OTHER_IMMEDIATE)
        snprintf(text, size, "%d", insn->immediate);
    else if (insn->register_shift)
        snprintf(text, size, "%s/%d", high_names[insn->register_number], insn->register_width);
    else
        snprintf(text, size, "%s/%d", register_names[insn->register_number], insn->register_width);
}

static const char *describe(const struct instruction *insn)
{
    static char text[160];
    char memory[64], other[32] = "";

    describe_memory(insn, memory, sizeof memory);
    if (insn->other != OTHER_NONE)
        describe_other(insn, other, sizeof other);
    snprintf(text, sizeof text, "%s%s%s %s%s%s", insn->lock ? "lock " : "",
             repeat_names[insn->repeat], operation_names[insn->operation],
             insn->memory_is_first ? memory : other, *other ? ", " : "",
             insn->memory_is_first ? other : memory);
    return text;
}

/* --- Instructions by hand --- */

struct example {
    enum decode_mode mode;
    const char *bytes; /* hexadecimal */
    const char *text;  /* NULL: -EINVAL */
};

static const struct example examples[] = {
    /* MOV, every form */
    {DECODE_64, "88 07", "mov ds:[rdi+0]:8/1, rax/1"},
    {DECODE_64, "89 07", "mov ds:[rdi+0]:8/4, rax/4"},
    {DECODE_64, "8a 0f", "mov rcx/1, ds:[rdi+0]:8/1"},
    {DECODE_64, "8b 4f 10", "mov rcx/4, ds:[rdi+16]:8/4"},
    {DECODE_64, "48 8b 8f 00 ff ff ff", "mov rcx/8, ds:[rdi-256]:8/8"},
    {DECODE_64, "66 89 02", "mov ds:[rdx+0]:8/2, rax/2"},
    {DECODE_64, "c6 00 80", "mov ds:[rax+0]:8/1, -128"},
    {DECODE_64, "c7 00 78 56 34 12", "mov ds:[rax+0]:8/4, 305419896"},
    {DECODE_64, "66 c7 00 34 12", "mov ds:[rax+0]:8/2, 4660"},
    {DECODE_64, "48 c7 00 ff ff ff ff", "mov ds:[rax+0]:8/8, -1"},
    {DECODE_64, "a0 88 77 66 55 44 33 22 11", "mov rax/1, ds:[+1234605616436508552]:8/1"},
    {DECODE_64, "48 a3 08 00 00 00 00 00 00 80", "mov ds:[-9223372036854775800]:8/8, rax/8"},
    {DECODE_64, "67 a1 00 00 e0 fe", "mov rax/4, ds:[-18874368]:4/4"},
    {DECODE_32, "a3 00 00 e0 fe", "mov ds:[-18874368]:4/4, rax/4"},
    {DECODE_16, "a2 34 12", "mov ds:[+4660]:2/1, rax/1"},
    {DECODE_64, "c7 08 78 56 34 12", NULL}, /* /1 */
    {DECODE_64, "0f c3 07", "mov ds:[rdi+0]:8/4, rax/4"},
    {DECODE_64, "48 0f c3 07", "mov ds:[rdi+0]:8/8, rax/8"},
    {DECODE_16, "0f c3 07", "mov ds:[rbx+0]:2/4, rax/4"},
    {DECODE_64, "66 0f c3 07", NULL},
    {DECODE_64, "f2 0f c3 07", NULL},
    {DECODE_64, "f3 0f c3 07", NULL},
    /* Widening */
    {DECODE_64, "0f b6 07", "mov rax/4, ds:[rdi+0]:8/1"},
    {DECODE_64, "48 0f b7 07", "mov rax/8, ds:[rdi+0]:8/2"},
    {DECODE_64, "66 0f b7 07", "mov rax/2, ds:[rdi+0]:8/2"},
    {DECODE_64, "66 0f be 07", "movsx rax/2, ds:[rdi+0]:8/1"},
    {DECODE_16, "0f bf 07", "movsx rax/2, ds:[rbx+0]:2/2"},
    {DECODE_64, "48 63 07", "movsx rax/8, ds:[rdi+0]:8/4"},
    {DECODE_64, "63 07", "movsx rax/4, ds:[rdi+0]:8/4"},
    {DECODE_64, "66 63 07", "movsx rax/2, ds:[rdi+0]:8/2"},
    {DECODE_32, "63 07", NULL}, /* ARPL */
    /* MOVBE, and CRC32 at the same place */
    {DECODE_64, "0f 38 f0 07", "movbe rax/4, ds:[rdi+0]:8/4"},
    {DECODE_64, "66 0f 38 f1 07", "movbe ds:[rdi+0]:8/2, rax/2"},
    {DECODE_64, "f2 0f 38 f0 07", NULL},
    {DECODE_64, "66 f2 0f 38 f1 07", NULL},
    /* Byte registers */
    {DECODE_64, "88 27", "mov ds:[rdi+0]:8/1, ah/1"},
    {DECODE_64, "40 88 27", "mov ds:[rdi+0]:8/1, rsp/1"},
    {DECODE_64, "44 88 3f", "mov ds:[rdi+0]:8/1, r15/1"},
    {DECODE_64, "0f b6 3f", "mov rdi/4, ds:[rdi+0]:8/1"},
    {DECODE_32, "8a 3f", "mov bh/1, ds:[rdi+0]:4/1"},
    {DECODE_64, "0f b0 37", "cmpxchg ds:[rdi+0]:8/1, dh/1"},
    /* 64-bit addresses */
    {DECODE_64, "89 44 8b 10", "mov ds:[rbx+rcx*4+16]:8/4, rax/4"},
    {DECODE_64, "4f 89 44 cb 80", "mov ds:[r11+r9*8-128]:8/8, r8/8"},
    {DECODE_64, "89 04 24", "mov ss:[rsp+0]:8/4, rax/4"},
    {DECODE_64, "89 45 00", "mov ss:[rbp+0]:8/4, rax/4"},
    {DECODE_64, "41 89 45 00", "mov ds:[r13+0]:8/4, rax/4"},
    {DECODE_64, "41 89 04 24", "mov ds:[r12+0]:8/4, rax/4"},
    {DECODE_64, "42 89 04 23", "mov ds:[rbx+r12*1+0]:8/4, rax/4"},
    {DECODE_64, "89 04 25 00 10 00 00", "mov ds:[+4096]:8/4, rax/4"},
    {DECODE_64, "41 89 04 25 00 10 00 00", "mov ds:[+4096]:8/4, rax/4"},
    {DECODE_64, "89 04 8d 00 10 00 00", "mov ds:[+rcx*4+4096]:8/4, rax/4"},
    {DECODE_64, "89 05 fc ff ff ff", "mov ds:[rip-4]:8/4, rax/4"},
    {DECODE_64, "41 89 05 fc ff ff ff", "mov ds:[rip-4]:8/4, rax/4"},
    {DECODE_64, "67 89 05 fc ff ff ff", "mov ds:[rip-4]:4/4, rax/4"},
    {DECODE_64, "67 89 03", "mov ds:[rbx+0]:4/4, rax/4"},
    /* 32-bit and 16-bit addresses */
    {DECODE_32, "89 05 00 00 e0 fe", "mov ds:[-18874368]:4/4, rax/4"},
    {DECODE_32, "89 44 8b 10", "mov ds:[rbx+rcx*4+16]:4/4, rax/4"},
    {DECODE_32, "67 89 00", "mov ds:[rbx+rsi*1+0]:2/4, rax/4"},
    {DECODE_32, "67 89 02", "mov ss:[rbp+rsi*1+0]:2/4, rax/4"},
    {DECODE_16, "89 01", "mov ds:[rbx+rdi*1+0]:2/2, rax/2"},
    {DECODE_16, "89 43 fe", "mov ss:[rbp+rdi*1-2]:2/2, rax/2"},
    {DECODE_16, "89 04", "mov ds:[rsi+0]:2/2, rax/2"},
    {DECODE_16, "89 85 00 01", "mov ds:[rdi+256]:2/2, rax/2"},
    {DECODE_16, "89 06 00 80", "mov ds:[-32768]:2/2, rax/2"},
    {DECODE_16, "89 46 00", "mov ss:[rbp+0]:2/2, rax/2"},
    {DECODE_16, "67 66 89 04 24", "mov ss:[rsp+0]:4/4, rax/4"},
    /* Prefixes: the last of its kind, REX only before the opcode, null overrides in 64-bit mode */
    {DECODE_32, "26 64 89 07", "mov fs:[rdi+0]:4/4, rax/4"},
    {DECODE_32, "64 26 89 07", "mov es:[rdi+0]:4/4, rax/4"},
    {DECODE_32, "36 89 07", "mov ss:[rdi+0]:4/4, rax/4"},
    {DECODE_32, "3e 89 45 00", "mov ds:[rbp+0]:4/4, rax/4"},
    {DECODE_16, "2e 8b 07", "mov rax/2, cs:[rbx+0]:2/2"},
    {DECODE_64, "65 89 07", "mov gs:[rdi+0]:8/4, rax/4"},
    {DECODE_64, "64 2e 89 07", "mov fs:[rdi+0]:8/4, rax/4"},
    {DECODE_64, "26 89 45 00", "mov ss:[rbp+0]:8/4, rax/4"},
    {DECODE_64, "48 66 89 07", "mov ds:[rdi+0]:8/2, rax/2"},
    {DECODE_64, "48 2e 89 07", "mov ds:[rdi+0]:8/4, rax/4"},
    {DECODE_64, "66 48 89 07", "mov ds:[rdi+0]:8/8, rax/8"},
    {DECODE_64, "48 44 89 07", "mov ds:[rdi+0]:8/4, r8/4"},
    {DECODE_64, "66 66 67 67 89 07", "mov ds:[rdi+0]:4/2, rax/2"},
    {DECODE_32, "48 89 07", NULL}, /* DEC EAX */
    {DECODE_64, "f3 89 07", "rep mov ds:[rdi+0]:8/4, rax/4"},
    /* ALU: both directions, immediates */
    {DECODE_64, "00 0f", "add ds:[rdi+0]:8/1, rcx/1"},
    {DECODE_64, "09 0f", "or ds:[rdi+0]:8/4, rcx/4"},
    {DECODE_64, "12 0f", "adc rcx/1, ds:[rdi+0]:8/1"},
    {DECODE_64, "48 1b 0f", "sbb rcx/8, ds:[rdi+0]:8/8"},
    {DECODE_64, "80 27 80", "and ds:[rdi+0]:8/1, -128"},
    {DECODE_64, "81 2f 00 00 00 80", "sub ds:[rdi+0]:8/4, -2147483648"},
    {DECODE_16, "81 37 00 80", "xor ds:[rbx+0]:2/2, -32768"},
    {DECODE_64, "48 83 3f ff", "cmp ds:[rdi+0]:8/8, -1"},
    {DECODE_64, "83 0d 10 00 00 00 01", "or ds:[rip+16]:8/4, 1"},
    {DECODE_64, "82 27 80", NULL},
    {DECODE_64, "05 01 02 03 04", NULL}, /* no memory operand */
    /* One operand, and exchanges */
    {DECODE_64, "f6 07 01", "test ds:[rdi+0]:8/1, 1"},
    {DECODE_64, "48 f7 07 01 00 00 80", "test ds:[rdi+0]:8/8, -2147483647"},
    {DECODE_64, "f7 0f 01 00 00 00", "test ds:[rdi+0]:8/4, 1"},
    {DECODE_64, "85 0f", "test ds:[rdi+0]:8/4, rcx/4"},
    {DECODE_64, "f7 17", "not ds:[rdi+0]:8/4"},
    {DECODE_64, "f6 1f", "neg ds:[rdi+0]:8/1"},
    {DECODE_64, "f7 27", NULL}, /* MUL */
    {DECODE_64, "66 ff 07", "inc ds:[rdi+0]:8/2"},
    {DECODE_64, "fe 0f", "dec ds:[rdi+0]:8/1"},
    {DECODE_64, "ff 17", NULL}, /* CALL */
    {DECODE_64, "ff 37", NULL}, /* PUSH */
    {DECODE_64, "87 0f", "xchg ds:[rdi+0]:8/4, rcx/4"},
    {DECODE_64, "0f c1 0f", "xadd ds:[rdi+0]:8/4, rcx/4"},
    {DECODE_64, "48 0f b1 0f", "cmpxchg ds:[rdi+0]:8/8, rcx/8"},
    {DECODE_64, "0f c7 0f", NULL}, /* CMPXCHG8B */
    /* Bits */
    {DECODE_64, "0f a3 0f", "bt ds:[rdi+0]:8/4, rcx/4"},
    {DECODE_16, "0f ab 0f", "bts ds:[rbx+0]:2/2, rcx/2"},
    {DECODE_64, "0f b3 0f", "btr ds:[rdi+0]:8/4, rcx/4"},
    {DECODE_64, "48 0f bb 0f", "btc ds:[rdi+0]:8/8, rcx/8"},
    {DECODE_64, "0f ba 27 1f", "bt ds:[rdi+0]:8/4, 31"},
    {DECODE_64, "f0 0f ba 2f 07", "lock bts ds:[rdi+0]:8/4, 7"},
    {DECODE_64, "0f ba 1f 07", NULL},
    /* Strings */
    {DECODE_64, "a4", "movs ds:[rsi+0]:8/1"},
    {DECODE_64, "f3 48 a5", "rep movs ds:[rsi+0]:8/8"},
    {DECODE_64, "f3 66 a5", "rep movs ds:[rsi+0]:8/2"},
    {DECODE_64, "65 67 a5", "movs gs:[rsi+0]:4/4"},
    {DECODE_16, "2e a5", "movs cs:[rsi+0]:2/2"},
    {DECODE_32, "f3 ab", "rep stos es:[rdi+0]:4/4, rax/4"},
    {DECODE_32, "64 aa", "stos es:[rdi+0]:4/1, rax/1"},
    {DECODE_64, "4d ad", "lods rax/8, ds:[rsi+0]:8/8"},
    {DECODE_64, "44 ac", "lods rax/1, ds:[rsi+0]:8/1"},
    {DECODE_32, "f2 f3 ae", "rep scas rax/1, es:[rdi+0]:4/1"},
    {DECODE_32, "f3 f2 a7", "repne cmps ds:[rsi+0]:4/4"},
    {DECODE_64, "6d", NULL}, /* INS */
    {DECODE_64, "6f", NULL}, /* OUTS */
    /* LOCK */
    {DECODE_64, "f0 01 0f", "lock add ds:[rdi+0]:8/4, rcx/4"},
    {DECODE_64, "f0 f7 17", "lock not ds:[rdi+0]:8/4"},
    {DECODE_64, "f0 87 0f", "lock xchg ds:[rdi+0]:8/4, rcx/4"},
    {DECODE_64, "f0 0f b1 0f", "lock cmpxchg ds:[rdi+0]:8/4, rcx/4"},
    {DECODE_64, "f0 03 0f", NULL},
    {DECODE_64, "f0 39 0f", NULL},
    {DECODE_64, "f0 89 0f", NULL},
    {DECODE_64, "f0 85 0f", NULL},
    {DECODE_64, "f0 0f a3 0f", NULL},
    {DECODE_64, "f0 0f ba 27 01", NULL},
    {DECODE_64, "f0 a5", NULL},
    /* No memory operand, or not ours */
    {DECODE_64, "89 c0", NULL},
    {DECODE_64, "90", NULL},
    {DECODE_64, "0f 0b", NULL},
    {DECODE_64, "0f 10 07", NULL},
    {DECODE_64, "0f 38 00 07", NULL},
    {DECODE_64, "c5 f8 10 07", NULL},
    {DECODE_64, "ea 00", NULL},
    {DECODE_64, "d1 27", NULL}, /* shifts */
    {DECODE_64, "8c 07", NULL}, /* MOV from a segment register */
    /* At most 15 bytes */
    {DECODE_64, "26 26 26 26 26 26 26 26 26 81 07 01 00 00 00", "add ds:[rdi+0]:8/4, 1"},
    {DECODE_64, "26 26 26 26 26 26 26 26 26 26 81 07 01 00 00 00", NULL},
    {DECODE_64, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 89 07", NULL},
};

static size_t parse_hex(const char *text, uint8_t *bytes)
{
    size_t size = 0;
    char *end;

    for (; *text; text = *end ? end + 1 : end)
        bytes[size++] = (uint8_t)strtoul(text, &end, 16);
    return size;
}

static void decodes_each_form(void **state)
{
    uint8_t bytes[32];
    struct instruction insn;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
        const struct example *e = &examples[i];
        size_t size = parse_hex(e->bytes, bytes);
        int status = decode_instruction(bytes, size, e->mode, &insn);

        if (status != (e->text ? 0 : -EINVAL))
            fail_msg("%d: %s: status %d", 8 * e->mode, e->bytes, status);
        if (e->text &&
            (strcmp(describe(&insn), e->text) != 0 || insn.length != size || insn.mode != e->mode))
            fail_msg("%d: %s: %s, not %s", 8 * e->mode, e->bytes, describe(&insn), e->text);
    }
}

/* --- Truncated and hostile bytes --- */

/* The copy is exactly as large as what is available: AddressSanitizer sees a byte too many. */
static int decode_exactly(const uint8_t *bytes, size_t size, enum decode_mode mode,
                          struct instruction *insn)
{
    uint8_t *copy = malloc(size ? size : 1);
    int status;

    memcpy(copy, bytes, size);
    status = decode_instruction(size ? copy : copy + 1, size, mode, insn);
    free(copy);
    return status;
}

static void asks_for_more_exactly_while_more_is_needed(void **state)
{
    uint8_t bytes[32] = {0};
    struct instruction insn, longer;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
        size_t size = parse_hex(examples[i].bytes, bytes);

        if (!examples[i].text)
            continue;
        for (size_t available = 0; available < size; available++)
            assert_int_equal(decode_exactly(bytes, available, examples[i].mode, &insn), -EAGAIN);
        memset(&insn, 0, sizeof insn);
        memset(&longer, 0, sizeof longer);
        assert_int_equal(decode_exactly(bytes, size, examples[i].mode, &insn), 0);
        memset(bytes + size, 0xf0, sizeof bytes - size);
        assert_int_equal(decode_exactly(bytes, sizeof bytes, examples[i].mode, &longer), 0);
        assert_memory_equal(&insn, &longer, sizeof insn);
    }
}

static void refuses_what_prefixes_fill(void **state)
{
    uint8_t bytes[32];
    struct instruction insn;

    (void)state;
    memset(bytes, 0x66, sizeof bytes);
    for (size_t available = 0; available < INSTRUCTION_BYTES_MAX; available++)
        assert_int_equal(decode_exactly(bytes, available, DECODE_32, &insn), -EAGAIN);
    assert_int_equal(decode_exactly(bytes, INSTRUCTION_BYTES_MAX, DECODE_32, &insn), -EINVAL);
    assert_int_equal(decode_exactly(bytes, sizeof bytes, DECODE_32, &insn), -EINVAL);
}

static void check_ranges(const struct instruction *insn, size_t size)
{
    assert_in_range(insn->length, 1, size);
    assert_in_range(insn->operation, OP_NONE + 1, OP_COUNT - 1);
    assert_in_range(insn->memory.base, 0, BASE_RIP);
    assert_in_range(insn->memory.index, 0, INDEX_NONE);
    assert_in_range(insn->memory.segment, SEG_ES, SEG_GS);
    assert_in_range(insn->memory.scale_shift, 0, 3);
    assert_in_range(insn->register_number, 0, GPR_COUNT - 1);
    assert_true(strchr("\1\2\4\10", insn->memory_width) &&
                insn->memory_width <= insn->register_width);
    assert_true(strchr("\1\2\4\10", insn->register_width) &&
                strchr("\2\4\10", insn->memory.address_width));
    assert_true(insn->register_shift == 0 ||
                (insn->register_shift == 8 && insn->register_width == 1));
}

static void survives_any_bytes(void **state)
{
    static const enum decode_mode modes[] = {DECODE_16, DECODE_32, DECODE_64};
    uint64_t random = 1;
    unsigned decoded = 0;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        struct instruction insn;
        uint8_t bytes[16];
        size_t size;
        int status;

        for (unsigned j = 0; j < sizeof bytes; j++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            bytes[j] = (uint8_t)(random >> 56);
        }
        size = (random >> 32) % (sizeof bytes + 1);
        status = decode_exactly(bytes, size, modes[i % 3], &insn);
        assert_true(status == 0 || status == -EINVAL ||
                    (status == -EAGAIN && size < INSTRUCTION_BYTES_MAX));
        if (status == 0) {
            check_ranges(&insn, size);
            decoded++;
        }
    }
    assert_true(decoded > 10000);
}

/* --- Cache --- */

static void cache_answers_as_the_decoder_does(void **state)
{
    static struct decode_cache cache;
    uint8_t bytes[32] = {0};
    struct instruction insn;
    const struct instruction *cached;

    (void)state;
    for (size_t i = 0; i < 4 * ARRAY_SIZE(examples); i++) {
        const struct example *e =
            &examples[(i / 2) % ARRAY_SIZE(examples)]; /* twice in a row: a hit */
        int status;

        memset(bytes, 0, sizeof bytes);
        parse_hex(e->bytes, bytes);
        memset(&insn, 0, sizeof insn);
        status = decode_instruction(bytes, INSTRUCTION_BYTES_MAX, e->mode, &insn);
        assert_int_equal(decode_cached(&cache, bytes, e->mode, &cached), status);
        if (status == 0)
            assert_string_equal(describe(cached), e->text);
        assert_true(status != 0 || cached->length == insn.length);
    }
}

static void cache_tells_modes_and_last_bytes_apart(void **state)
{
    static struct decode_cache cache;
    uint8_t bytes[INSTRUCTION_BYTES_MAX] = {[0 ... 8] = 0x26, 0x81, 0x07, 0x01};
    const struct instruction *first, *second;

    (void)state;
    assert_int_equal(decode_cached(&cache, bytes, DECODE_64, &first), 0);
    assert_int_equal(first->memory.segment, SEG_DS);
    assert_int_equal(decode_cached(&cache, bytes, DECODE_32, &second), 0);
    assert_int_equal(second->memory.segment, SEG_ES);
    assert_ptr_equal(first, second); /* the same place, another mode */
    bytes[14] = 0x7f;
    assert_int_equal(decode_cached(&cache, bytes, DECODE_32, &second), 0);
    assert_int_equal(second->immediate, 0x7f000001);
    assert_int_equal(decode_cached(&cache, bytes, DECODE_32, &first), 0);
    assert_ptr_equal(first, second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_each_form),
        cmocka_unit_test(asks_for_more_exactly_while_more_is_needed),
        cmocka_unit_test(refuses_what_prefixes_fill),
        cmocka_unit_test(survives_any_bytes),
        cmocka_unit_test(cache_answers_as_the_decoder_does),
        cmocka_unit_test(cache_tells_modes_and_last_bytes_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
