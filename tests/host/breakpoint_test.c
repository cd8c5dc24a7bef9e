/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a breakpoint is hit by an access that shares a byte with it, of its type, if it is enabled, locally or globally;
 * one at a port needs CR4.DE. What is emulated traps behind the instruction, or the iteration, once for all reasons.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/privileged.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/breakpoint.h"
#include "arch/x86/guest/event.h"
#include "arch/x86/guest/io.h"
#include "arch/x86/regs.h"

#define CODE_AT 0x1000u
#define DATA_AT 0x2000u

enum { CODE, WRITE, PORT, DATA };

static struct fake_vcpu f;
static struct vcpu *const vcpu = &f.vcpu;

static int setup(void **state)
{
    (void)state;
    fake_vcpu_init(&f);
    f.registers[VCPU_CR4] = CR4_DE;
    f.registers[VCPU_DR7] = DR7_INIT;
    f.registers[VCPU_DR6] = DR6_INIT;
    f.registers[VCPU_RIP] = CODE_AT;
    vcpu->may_have_breakpoints = true;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_vcpu_free(&f);
    return 0;
}

/* length: as in DR7, 0 to 3 for 1, 2, 8, 4 bytes. */
static void set(unsigned n, uint64_t address, unsigned type, unsigned length)
{
    f.registers[VCPU_DR0 + n] = address;
    f.registers[VCPU_DR7] &= ~(UINT64_C(15) << (16 + 4 * n));
    f.registers[VCPU_DR7] |= 1u << 2 * n | (uint64_t)(type | length << 2) << (16 + 4 * n);
}

static uint64_t data(uint64_t address, unsigned width, bool is_write)
{
    return breakpoint_find_data(vcpu, GVA(address), width, is_write);
}

static void test_types(void **state)
{
    (void)state;
    set(0, DATA_AT, CODE, 0);
    set(1, DATA_AT, WRITE, 0);
    set(2, DATA_AT, PORT, 0);
    set(3, DATA_AT, DATA, 0);
    assert_int_equal(data(DATA_AT, 1, false), 8);
    assert_int_equal(data(DATA_AT, 1, true), 2 | 8);
    assert_int_equal(breakpoint_find_port(vcpu, DATA_AT, 1), 4);
    f.registers[VCPU_CR4] = 0;
    assert_int_equal(breakpoint_find_port(vcpu, DATA_AT, 1), 0);
}

static void test_enabled_locally_or_globally(void **state)
{
    (void)state;
    set(0, DATA_AT, DATA, 0);
    f.registers[VCPU_DR7] ^= 3; /* G0 instead of L0 */
    assert_int_equal(data(DATA_AT, 1, false), 1);
    f.registers[VCPU_DR7] ^= 2;
    assert_int_equal(data(DATA_AT, 1, false), 0);
}

static void test_a_byte_in_common_is_enough(void **state)
{
    static const struct {
        unsigned length, bytes;
    } lengths[] = {{0, 1}, {1, 2}, {3, 4}, {2, 8}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
        uint64_t end = DATA_AT + lengths[i].bytes;

        set(0, DATA_AT + lengths[i].bytes - 1, DATA, lengths[i].length); /* the low bits do not count */
        assert_int_equal(data(DATA_AT, 1, false), 1);
        assert_int_equal(data(end - 1, 1, false), 1);
        assert_int_equal(data(end - 1, 8, false), 1);
        assert_int_equal(data(DATA_AT - 7, 8, false), 1);
        assert_int_equal(data(end, 8, false), 0);
        assert_int_equal(data(DATA_AT - 8, 8, false), 0);
    }
}

static enum verdict io(const char *code, bool is_in)
{
    struct vcpu_exit exit = {.kind = EXIT_IO};

    exit.io.port = FAKE_VCPU_PORT;
    exit.io.width = 1;
    exit.io.is_in = is_in;
    exit.io.is_string = code;
    exit.io.has_rep = code && code[0] == '\xf3';
    if (code)
        memcpy(f.ram + CODE_AT, code, strlen(code));
    return io_handle(vcpu, &exit);
}

static void test_a_port_traps_behind_the_instruction(void **state)
{
    (void)state;
    set(2, FAKE_VCPU_PORT, PORT, 0);
    assert_int_equal(io(NULL, true), VERDICT_NEXT);
    assert_int_equal(f.port_reads, 1);
    fake_vcpu_assert_raised(&f, X86_DB);
    assert_int_equal(f.registers[VCPU_DR6], DR6_INIT | 4);
}

static void test_a_string_stops_where_it_hits(void **state)
{
    (void)state;
    set(0, DATA_AT + 1, WRITE, 0);
    vcpu->gpr[GPR_RDI] = DATA_AT;
    vcpu->gpr[GPR_RCX] = 5;
    assert_int_equal(io("\xf3\x6c", true), VERDICT_LEAVE);
    assert_int_equal(vcpu->gpr[GPR_RCX], 3);
    fake_vcpu_assert_raised(&f, X86_DB);
    assert_int_equal(f.registers[VCPU_DR6], DR6_INIT | 1);
}

/* The breakpoint and the step are one exception. */
static void test_a_step_joins(void **state)
{
    (void)state;
    set(0, FAKE_VCPU_PORT, PORT, 0);
    (void)io(NULL, false);
    event_raise_debug(vcpu, DR6_BS);
    fake_vcpu_assert_raised(&f, X86_DB);
    assert_int_equal(f.registers[VCPU_DR6], DR6_INIT | DR6_BS | 1);
}

static void test_nothing_is_asked_before_the_first_use(void **state)
{
    (void)state;
    set(0, FAKE_VCPU_PORT, PORT, 0);
    fake_cpu_begin();
    vcpu->may_have_breakpoints = false;
    assert_int_equal(io(NULL, true), VERDICT_NEXT);
    fake_vcpu_assert_nothing_raised(&f);
    assert_int_equal(breakpoint_handle_first_use(vcpu, &(struct vcpu_exit){.kind = EXIT_DEBUG_REGISTER}), VERDICT_RESUME);
    assert_int_equal(io(NULL, true), VERDICT_NEXT);
    fake_vcpu_assert_raised(&f, X86_DB);
}

/* Theory: another vCPU's breakpoints are in the CPU until the first use; from then on to the save, the guest's own. */
static void test_the_cpu_has_them_from_the_first_use_on(void **state)
{
    (void)state;
    fake_cpu_begin();
    vcpu->may_have_breakpoints = false;
    for (unsigned n = 0; n < 4; n++) {
        fake_cpu.dr[n] = 0xbad0 + n;
        vcpu->dr[n] = 0x1000 + n;
    }
    breakpoint_handle_first_use(vcpu, &(struct vcpu_exit){.kind = EXIT_DEBUG_REGISTER});
    for (unsigned n = 0; n < 4; n++) {
        assert_int_equal(fake_cpu.dr[n], 0x1000 + n);
        fake_cpu.dr[n] = 0x2000 + n;
    }
    breakpoint_save(vcpu);
    for (unsigned n = 0; n < 4; n++)
        assert_int_equal(vcpu->dr[n], 0x2000 + n);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_types),
        TEST(test_enabled_locally_or_globally),
        TEST(test_a_byte_in_common_is_enough),
        TEST(test_a_port_traps_behind_the_instruction),
        TEST(test_a_string_stops_where_it_hits),
        TEST(test_a_step_joins),
        TEST(test_nothing_is_asked_before_the_first_use),
        TEST(test_the_cpu_has_them_from_the_first_use_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
