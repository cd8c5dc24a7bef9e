/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: devices see the accesses that the instruction makes and no others; an access that fails
 * leaves nothing behind; addresses are formed by each mode's rules. What an instruction computes is
 * the matter of emulate_oracle_test.c.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/fake_guest.h"
#include "kernel/lib/bytes.h"

static int reset(void **state)
{
    (void)state;
    fake_guest_reset();
    return 0;
}

static struct instruction decode(enum decode_mode mode, const char *text)
{
    uint8_t bytes[16];
    struct instruction insn;
    size_t size = 0;
    char *end;

    for (; *text; text = *end ? end + 1 : end)
        bytes[size++] = (uint8_t)strtoul(text, &end, 16);
    assert_int_equal(decode_instruction(bytes, size, mode, &insn), 0);
    return insn;
}

static enum emulate_result run(enum decode_mode mode, const char *text)
{
    struct instruction insn = decode(mode, text);

    return fake_guest_emulate(&insn);
}

static uint64_t memory_at(uint64_t offset)
{
    return get_le64(guest.memory + offset);
}

static void a_store_does_not_read_and_a_load_does_not_write(void **state)
{
    (void)state;
    guest.gpr[GPR_RAX] = 0x1122334455667788;
    guest.gpr[GPR_RDI] = 0x100;
    assert_int_equal(run(DECODE_64, "66 89 07"), EMULATE_DONE);
    assert_int_equal(memory_at(0x100), 0x7788);
    assert_int_equal(guest.reads, 0);
    assert_int_equal(guest.writes, 1);
    assert_int_equal(run(DECODE_64, "8b 0f"), EMULATE_DONE);
    assert_int_equal(guest.gpr[GPR_RCX], 0x7788);
    assert_int_equal(guest.reads, 1);
    assert_int_equal(guest.writes, 1);
    assert_int_equal(guest.bases_asked, 0);
}

static void what_only_tests_does_not_write(void **state)
{
    static const char *const tests[] = {"39 07", "3b 07", "85 07", "f7 07 01 00 00 00",
                                        "0f ba 27 01"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++)
        assert_int_equal(run(DECODE_64, tests[i]), EMULATE_DONE);
    assert_int_equal(guest.reads, ARRAY_SIZE(tests));
    assert_int_equal(guest.writes, 0);
}

/* A device sees the write cycle of a CMPXCHG that finds another value, too. */
static void cmpxchg_always_writes(void **state)
{
    (void)state;
    guest.gpr[GPR_RAX] = 5;
    assert_int_equal(run(DECODE_64, "f0 0f b1 0f"), EMULATE_DONE);
    assert_int_equal(guest.writes, 1);
    assert_int_equal(guest.gpr[GPR_RAX], 0);
}

static void a_failed_access_leaves_nothing(void **state)
{
    static const char *const all[] = {
        "89 07",    "8b 07",    "48 0f be 07", "0f 38 f0 07", "0f 38 f1 07", "87 0f",    "f7 17",
        "01 0f",    "03 0f",    "39 0f",       "83 17 01",    "f7 1f",       "ff 07",    "ff 0f",
        "0f c1 0f", "0f b1 0f", "0f ab 0f",    "0f ba 27 01", "a5",          "a7",       "ab",
        "ad",       "af",       "f3 a4",       "f2 ae",       "85 07",       "f6 07 01",
    };
    (void)state;

    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        struct instruction insn = decode(DECODE_64, all[i]);
        unsigned accesses;

        fake_guest_reset();
        memset(guest.memory, 0x5a, sizeof guest.memory);
        guest.gpr[GPR_RCX] = 1;
        assert_int_equal(fake_guest_emulate(&insn), EMULATE_DONE);
        accesses = guest.reads + guest.writes;
        assert_in_range(accesses, 1, 2);
        for (unsigned allowed = 0; allowed < accesses; allowed++) {
            struct fake_guest before;

            fake_guest_reset();
            guest.gpr[GPR_RAX] = 0x1234;
            guest.gpr[GPR_RCX] = 1;
            guest.accesses_left = allowed;
            before = guest;
            assert_int_equal(fake_guest_emulate(&insn), EMULATE_FAULT);
            assert_memory_equal(guest.gpr, before.gpr, sizeof before.gpr);
            assert_int_equal(guest.rflags, before.rflags);
            assert_memory_equal(guest.memory, before.memory, sizeof before.memory);
        }
    }
}

static void a_fault_in_a_repetition_keeps_what_is_complete(void **state)
{
    (void)state;
    guest.gpr[GPR_RSI] = 0x100;
    guest.gpr[GPR_RDI] = 0x200;
    guest.gpr[GPR_RCX] = 10;
    guest.accesses_left = 7; /* three whole iterations and a read */
    assert_int_equal(run(DECODE_64, "f3 a5"), EMULATE_FAULT);
    assert_int_equal(guest.gpr[GPR_RCX], 7);
    assert_int_equal(guest.gpr[GPR_RSI], 0x10c);
    assert_int_equal(guest.gpr[GPR_RDI], 0x20c);
}

static void a_long_repetition_comes_in_pieces(void **state)
{
    (void)state;
    guest.gpr[GPR_RCX] = ~0ull;
    assert_int_equal(run(DECODE_64, "f3 aa"), EMULATE_AGAIN);
    assert_int_equal(guest.writes, EMULATE_REPEAT_MAX);
    assert_int_equal(guest.gpr[GPR_RCX], ~0ull - EMULATE_REPEAT_MAX);
    assert_int_equal(guest.gpr[GPR_RDI], EMULATE_REPEAT_MAX);
    guest.gpr[GPR_RCX] = EMULATE_REPEAT_MAX;
    assert_int_equal(run(DECODE_64, "f3 aa"), EMULATE_DONE);
    assert_int_equal(guest.gpr[GPR_RCX], 0);
    assert_int_equal(run(DECODE_64, "f3 aa"), EMULATE_DONE);
    assert_int_equal(guest.writes, 2 * EMULATE_REPEAT_MAX);
}

static void segment_bases_in_64_bit_mode(void **state)
{
    (void)state;
    guest.segment_bases[SEG_DS] = guest.segment_bases[SEG_ES] = 0x7777777;
    guest.segment_bases[SEG_FS] = 0x1000;
    guest.segment_bases[SEG_GS] = 0x2000;
    guest.gpr[GPR_RDI] = guest.gpr[GPR_RSI] = 0x10;
    assert_int_equal(run(DECODE_64, "64 c6 07 11"), EMULATE_DONE);
    assert_int_equal(memory_at(0x1010), 0x11);
    assert_int_equal(run(DECODE_64, "65 a4"), EMULATE_DONE);
    assert_int_equal(guest.last_address, 0x10);
    assert_int_equal(guest.bases_asked, 2);
}

static void addresses_wrap_in_16_bit_mode(void **state)
{
    (void)state;
    guest.base = 0xf0000;
    guest.segment_bases[SEG_DS] = 0xf0000;
    guest.segment_bases[SEG_SS] = 0xf8000;
    guest.gpr[GPR_RBX] = 0xabcdfff0;
    guest.gpr[GPR_RSI] = 0x12340020;
    assert_int_equal(run(DECODE_16, "c6 00 11"), EMULATE_DONE); /* [bx+si] */
    assert_int_equal(guest.last_address, 0xf0010);
    guest.gpr[GPR_RBP] = 0x10;
    assert_int_equal(run(DECODE_16, "c7 46 f0 34 12"), EMULATE_DONE); /* [bp-16] */
    assert_int_equal(guest.last_address, 0xf8000);
    assert_int_equal(memory_at(0x8000), 0x1234);
}

static void linear_addresses_wrap_in_32_bit_mode(void **state)
{
    (void)state;
    guest.segment_bases[SEG_DS] = 0xfffff000;
    guest.gpr[GPR_RAX] = 0x55aa;
    guest.gpr[GPR_RBX] = 0xdead000000001100;
    assert_int_equal(run(DECODE_32, "89 03"), EMULATE_DONE);
    assert_int_equal(guest.last_address, 0x100);
    assert_int_equal(memory_at(0x100), 0x55aa);
}

static void strings_wrap_and_keep_the_rest_in_16_bit_mode(void **state)
{
    (void)state;
    guest.base = 0x20000;
    guest.segment_bases[SEG_ES] = 0x20000;
    guest.gpr[GPR_RAX] = 0xbeef;
    guest.gpr[GPR_RDI] = 0x1234fffe;
    guest.gpr[GPR_RCX] = 0x56780002;
    assert_int_equal(run(DECODE_16, "f3 ab"), EMULATE_DONE);
    assert_int_equal(guest.gpr[GPR_RDI], 0x12340002);
    assert_int_equal(guest.gpr[GPR_RCX], 0x56780000);
    assert_int_equal(memory_at(0), 0xbeef);
    assert_int_equal(get_le16(guest.memory + 0xfffe), 0xbeef);
}

static void segment_overrides_move_only_the_source(void **state)
{
    (void)state;
    guest.segment_bases[SEG_CS] = 0x1000;
    guest.segment_bases[SEG_ES] = 0x2000;
    put_le32(guest.memory + 0x1010, 0xcafe);
    guest.gpr[GPR_RSI] = 0x10;
    guest.gpr[GPR_RDI] = 0x20;
    assert_int_equal(run(DECODE_32, "2e a5"), EMULATE_DONE);
    assert_int_equal(memory_at(0x2020), 0xcafe);
}

static void bits_beyond_the_operand(void **state)
{
    (void)state;
    guest.gpr[GPR_RBX] = 0x100;
    guest.gpr[GPR_RCX] = 0x1234ffff; /* -1 */
    assert_int_equal(run(DECODE_16, "0f ab 0f"), EMULATE_DONE);
    assert_int_equal(guest.last_address, 0xfe);
    assert_int_equal(get_le16(guest.memory + 0xfe), 0x8000);
    guest.gpr[GPR_RCX] = 33;
    assert_int_equal(run(DECODE_32, "0f ab 0b"), EMULATE_DONE);
    assert_int_equal(guest.last_address, 0x104);
    assert_int_equal(memory_at(0x104), 2);
    assert_int_equal(guest.rflags, 2);
    assert_int_equal(run(DECODE_32, "0f a3 0b"), EMULATE_DONE);
    assert_int_equal(guest.rflags, 2 | RFLAGS_CF);
}

static void effective_addresses(void **state)
{
    struct emulate_cpu cpu = {guest.gpr, &guest.rflags, 0xfffffffffffffff0, &fake_guest_ops,
                              &guest};
    struct instruction rip = decode(DECODE_64, "89 05 10 00 00 00"),
                       rip_32 = decode(DECODE_64, "67 89 05 10 00 00 00"),
                       absolute = decode(DECODE_64, "a1 01 02 03 04 05 06 07 f8"),
                       bits = decode(DECODE_64, "48 0f a3 0f"), stos = decode(DECODE_64, "ab"),
                       movs = decode(DECODE_64, "a5");

    (void)state;
    assert_int_equal(emulate_effective_address(&rip, &cpu).value, 6);
    assert_int_equal(emulate_effective_address(&rip_32, &cpu).value, 7);
    assert_int_equal(emulate_effective_address(&absolute, &cpu).value, 0xf807060504030201);
    guest.gpr[GPR_RDI] = 0x1000;
    guest.gpr[GPR_RSI] = 0x2000;
    guest.gpr[GPR_RCX] = (uint64_t)-65;
    assert_int_equal(emulate_effective_address(&bits, &cpu).value, 0xff0);
    assert_int_equal(emulate_effective_address(&stos, &cpu).value, 0x1000);
    assert_int_equal(emulate_effective_address(&movs, &cpu).value, 0x2000);
}

static void absolute_moves(void **state)
{
    (void)state;
    guest.base = 0xf807060504030000;
    guest.gpr[GPR_RAX] = 0xffffffffffffffff;
    assert_int_equal(run(DECODE_64, "a1 01 02 03 04 05 06 07 f8"), EMULATE_DONE);
    assert_int_equal(guest.gpr[GPR_RAX], 0);
    guest.gpr[GPR_RAX] = 0x99;
    assert_int_equal(run(DECODE_64, "a2 01 02 03 04 05 06 07 f8"), EMULATE_DONE);
    assert_int_equal(memory_at(0x201), 0x99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_store_does_not_read_and_a_load_does_not_write, reset),
        cmocka_unit_test_setup(what_only_tests_does_not_write, reset),
        cmocka_unit_test_setup(cmpxchg_always_writes, reset),
        cmocka_unit_test_setup(a_failed_access_leaves_nothing, reset),
        cmocka_unit_test_setup(a_fault_in_a_repetition_keeps_what_is_complete, reset),
        cmocka_unit_test_setup(a_long_repetition_comes_in_pieces, reset),
        cmocka_unit_test_setup(segment_bases_in_64_bit_mode, reset),
        cmocka_unit_test_setup(addresses_wrap_in_16_bit_mode, reset),
        cmocka_unit_test_setup(linear_addresses_wrap_in_32_bit_mode, reset),
        cmocka_unit_test_setup(strings_wrap_and_keep_the_rest_in_16_bit_mode, reset),
        cmocka_unit_test_setup(segment_overrides_move_only_the_source, reset),
        cmocka_unit_test_setup(bits_beyond_the_operand, reset),
        cmocka_unit_test_setup(effective_addresses, reset),
        cmocka_unit_test_setup(absolute_moves, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
