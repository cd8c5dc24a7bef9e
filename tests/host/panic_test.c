/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: each text address finds the function that holds it, as a linear search says, at the
 * table's ends and beside them too; what is no text, or has no table, is "?". A panic names the
 * callers; a second panic, on this CPU or another, just halts.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/pcpu.h"
#include "arch/arch.h"
#include "kernel/console.h"
#include "kernel/lib/assert.h"
#include "kernel/panic.h"
#include "kernel/vm.h"

/* --- the linker's and scripts/symbols' part --- */

#define TEXT_BYTES 0x1000u

__asm__(".section .rodata\n"
        ".globl text_start, text_end\n"
        "text_start: .skip 0x1000\n"
        "text_end: .byte 0\n"
        ".previous\n");
extern const char text_start[];

extern const uint32_t symbol_count;
extern const uint8_t symbol_pairs[256][2], symbol_table[];

static const struct {
    uint32_t text_offset;
    const char *name;
} symbols[] = {{0x10, "first"}, {0x40, "fired"}, {0x41, "fire"}, {0x800, "last"}, {0x800, "lasting"}};

#define ITSELF(code) [code] = {code}
#define FI   0x80
#define FIR  0x81 /* of another one and a character */
#define ED   0x82
#define ED_0 0x83 /* with the name's end */
#define _1_L 0x84 /* with its head */

const uint8_t symbol_pairs[256][2] = {
    ITSELF(0),   ITSELF(1),   ITSELF(4),   ITSELF(5),   ITSELF('a'), ITSELF('d'), ITSELF('e'),       ITSELF('f'),
    ITSELF('g'), ITSELF('i'), ITSELF('l'), ITSELF('n'), ITSELF('r'), ITSELF('s'), ITSELF('t'),       [FI] = {'f', 'i'},
    [FIR] = {FI, 'r'},        [ED] = {'e', 'd'},        [ED_0] = {ED, 0},         [_1_L] = {1, 'l'},
};

const uint8_t symbol_table[] = {
    0x10, 1, FIR, 's', 't', 0,          /* first */
    0x30, 4, ED_0,                      /* fired */
    0x01, 5, 0,                         /* fire */
    0xbf, 0x0f, _1_L, 'a', 's', 't', 0, /* last, 0x7bf further */
    0x00, 5, 'i', 'n', 'g', 0,          /* lasting */
};
const uint32_t symbol_count = ARRAY_SIZE(symbols);

/* --- the CPU's part --- */

static jmp_buf end;
enum { HALTED = 1, POWERED_OFF };
static unsigned exit_status, breaks, stops;
static uint64_t callers[2];

uint64_t arch_irq_save(void)
{
    return 0;
}

void arch_halt(void)
{
    longjmp(end, HALTED);
}

void arch_power_off(unsigned status)
{
    exit_status = status;
    longjmp(end, POWERED_OFF);
}

void arch_stop_others(void)
{
    stops++;
}

void arch_backtrace(uint64_t address, uint64_t sp, void (*visit)(void *context, uint64_t address), void *context)
{
    (void)address;
    (void)sp;
    for (unsigned i = 0; i < ARRAY_SIZE(callers) && callers[i]; i++)
        visit(context, callers[i]);
}

void arch_log_registers(void)
{
}

void console_break_locks(void)
{
    breaks++;
}

static char last_caller[sizeof fake_log_last];

/* Comes after the backtrace. */
void dump_log_last_exits(const struct vcpu *vcpu)
{
    assert_ptr_equal(vcpu, pcpus[1].current);
    strcpy(last_caller, fake_log_last);
}

/* --- symbols --- */

static uint64_t text(uint64_t offset)
{
    return (uint64_t)text_start + offset;
}

static void assert_symbol(uint64_t offset, const char *name, uint64_t offset_in_it)
{
    uint64_t found_offset;

    assert_string_equal(panic_symbol(text(offset), &found_offset), name);
    assert_int_equal(found_offset, offset_in_it);
}

static void test_every_address_finds_its_function(void **state)
{
    (void)state;
    for (uint64_t offset = symbols[0].text_offset; offset < TEXT_BYTES; offset++) {
        unsigned i = symbol_count - 1;

        while (symbols[i].text_offset > offset)
            i--;
        assert_symbol(offset, symbols[i].name, offset - symbols[i].text_offset);
    }
}

static void test_what_no_function_holds(void **state)
{
    static const int64_t offsets[] = {-1, TEXT_BYTES, TEXT_BYTES + 100, INT64_MIN};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++)
        assert_symbol((uint64_t)offsets[i], "?", 0);
    assert_symbol(-text(0), "?", 0); /* address 0 */
    for (uint64_t offset = 0; offset < symbols[0].text_offset; offset++)
        assert_symbol(offset, "?", 0);
}

/* --- the panic --- */

/* The first one of this program; the flags that it leaves are the theory of the second test. */
static void test_a_panic_ends_the_machine(void **state)
{
    static int somebody;

    (void)state;
    fake_pcpus_reset(2);
    pcpus[1].current = (struct vcpu *)&somebody;
    callers[0] = text(0x3f);
    callers[1] = 0;
    fake_log_count = 0;
    if (setjmp(end) == 0)
        panic("number %d", 7);
    assert_int_equal(exit_status, 3);
    assert_int_equal(breaks, 1);
    assert_int_equal(stops, 1);
    assert_true(pcpus[0].is_panicking);
    assert_non_null(strstr(last_caller, " first+0x2f"));
    assert_string_equal(fake_log_last, "event=panic");
    assert_true(fake_log_count >= 4);
}

static void test_the_next_panic_halts(void **state)
{
    int how;

    (void)state;
    how = setjmp(end);
    if (how == 0)
        panic("on the same CPU");
    assert_int_equal(how, HALTED);
    fake_pcpu_become(1);
    how = setjmp(end);
    if (how == 0)
        panic("on another CPU");
    assert_int_equal(how, HALTED);
    how = setjmp(end);
    if (how == 0)
        panic_stop_if_asked();
    assert_int_equal(how, HALTED);
    assert_int_equal(stops, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_address_finds_its_function),
        cmocka_unit_test(test_what_no_function_holds),
        cmocka_unit_test(test_a_panic_ends_the_machine),
        cmocka_unit_test(test_the_next_panic_halts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
