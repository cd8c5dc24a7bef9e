/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: of all that lies on a stack the caller is the first return address of a call of this very function, by whichever of
 * its parts we are in; else that of a call by a pointer, else that of any call. Nothing outside of the stack is read,
 * and an interrupt's frame leads to what it interrupted.
 */
#include "tests/host/fake/fake.h"
#include "arch/arch.h"
#include "arch/x86/paging.h"
#include "arch/x86/trap.h"
#include "kernel/panic.h"

/* --- the text: functions of 256 bytes --- */

__asm__(".data\n"
        ".globl text_start, trap_common, text_end\n"
        "text_start: .skip 0x500\n"
        "trap_common: .skip 0x100\n"
        "text_end: .byte 0\n"
        ".text\n");
extern uint8_t text_start[], text_end[];

enum { OUTER, INNER, INNER_COLD, BY_POINTER, OTHER, TRAP_COMMON, FUNCTIONS };
static const char *const names[FUNCTIONS] = {"outer", "inner", "inner", "by_pointer", "other", "trap_common"};

#define FUNCTION_BYTES 0x100u

static uint64_t at(unsigned function, unsigned offset)
{
    return (uint64_t)text_start + function * FUNCTION_BYTES + offset;
}

const char *panic_symbol(uint64_t address, uint64_t *offset)
{
    static char name[SYMBOL_NAME_BYTES];

    *offset = 0;
    if (address < (uint64_t)text_start || address >= (uint64_t)text_end)
        return strcpy(name, "?");
    *offset = (address - (uint64_t)text_start) % FUNCTION_BYTES;
    return strcpy(name, names[(address - (uint64_t)text_start) / FUNCTION_BYTES]);
}

/* Puts a call there; returns its return address. */
static uint64_t call(uint64_t from, uint64_t target)
{
    int32_t distance = (int32_t)(target - (from + 5));

    *(uint8_t *)from = 0xe8;
    memcpy((uint8_t *)from + 1, &distance, sizeof distance);
    return from + 5;
}

static uint64_t pointer_call(uint64_t from)
{
    memcpy((uint8_t *)from, (uint8_t[]){0xff, 0x14, 0xc5, 0, 0, 0, 0x80}, 7); /* CALL [8 * RAX + table] */
    return from + 7;
}

/* --- the stack --- */

static uint64_t stack[64];
static unsigned words; /* of it are mapped */

bool paging_is_stack(uint64_t address)
{
    return address >= (uint64_t)stack && address < (uint64_t)(stack + words);
}

static uint64_t callers[32];
static unsigned count;

static void visit(void *context, uint64_t address)
{
    assert_ptr_equal(context, &count);
    assert_true(count < ARRAY_SIZE(callers));
    callers[count++] = address;
}

static void trace(uint64_t from)
{
    count = 0;
    arch_backtrace(from, (uint64_t)stack, visit, &count);
}

static int setup(void **state)
{
    (void)state;
    memset(text_start, 0x90, (size_t)(text_end - text_start));
    memset(stack, 0, sizeof stack);
    words = ARRAY_SIZE(stack);
    return 0;
}

/* --- the tests --- */

static void test_the_call_of_the_function_counts(void **state)
{
    (void)state;
    stack[2] = call(at(OTHER, 0x20), at(OTHER, 0)); /* left by others */
    stack[3] = pointer_call(at(OTHER, 0x40));
    stack[5] = call(at(OUTER, 0xfb), at(INNER, 0)); /* by its last instruction */
    trace(at(INNER, 0x30));
    assert_int_equal(count, 1);
    assert_int_equal(callers[0], at(OUTER, 0xff));
}

static void test_one_after_the_other(void **state)
{
    (void)state;
    stack[1] = call(at(OUTER, 0x10), at(INNER, 0));
    stack[4] = call(at(OTHER, 0x10), at(OUTER, 0));
    trace(at(INNER, 1));
    assert_int_equal(count, 2);
    assert_int_equal(callers[0], at(OUTER, 0x14));
    assert_int_equal(callers[1], at(OTHER, 0x14));
}

static void test_nobody_calls_a_cold_part(void **state)
{
    (void)state;
    stack[1] = call(at(OTHER, 0x10), at(BY_POINTER, 0));
    stack[4] = call(at(OUTER, 0x10), at(INNER, 0));
    trace(at(INNER_COLD, 0x10));
    assert_int_equal(callers[0], at(OUTER, 0x14));
}

static void test_a_call_by_a_pointer_comes_before_others(void **state)
{
    (void)state;
    stack[1] = call(at(OTHER, 0x10), at(INNER, 0));
    stack[3] = pointer_call(at(OUTER, 0x50));
    trace(at(BY_POINTER, 0x10));
    assert_int_equal(callers[0], at(OUTER, 0x56));
    stack[3] = 0;
    trace(at(BY_POINTER, 0x10)); /* reached by a jump */
    assert_int_equal(callers[0], at(OTHER, 0x14));
}

static void test_what_is_no_return_address(void **state)
{
    (void)state;
    call(at(OUTER, 0x10), at(INNER, 0));
    stack[0] = at(OUTER, 0x10);             /* the call itself */
    stack[1] = (uint64_t)text_start;        /* nothing before it */
    stack[2] = (uint64_t)text_end + 1;
    stack[3] = call(at(OUTER, 0x40), (uint64_t)text_end + 0x1000); /* E8 by chance */
    stack[4] = UINT64_MAX;
    trace(at(INNER, 0x10));
    assert_int_equal(count, 0);
}

static void test_the_stack_has_an_end(void **state)
{
    (void)state;
    stack[5] = call(at(OUTER, 0x10), at(INNER, 0));
    words = 5;
    trace(at(INNER, 0x10));
    assert_int_equal(count, 0);
    words = 0;
    trace(at(INNER, 0x10));
    assert_int_equal(count, 0);
}

static void test_an_endless_stack_has_one_too(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(stack); i++)
        stack[i] = call(at(INNER, 0x10), at(INNER, 0));
    trace(at(INNER, 0x20));
    assert_int_equal(count, 24);
}

static void test_an_interrupt_leads_to_what_it_interrupted(void **state)
{
    struct trap_frame frame = {.rip = at(INNER, 0x33), .rsp = (uint64_t)(stack + 60)};

    (void)state;
    stack[1] = call(at(TRAP_COMMON, 0x10), at(OTHER, 0));
    memcpy(&stack[2], &frame, sizeof frame);
    stack[61] = call(at(OUTER, 0x10), at(INNER, 0));
    trace(at(OTHER, 0x10));
    assert_int_equal(count, 3);
    assert_int_equal(callers[0], at(TRAP_COMMON, 0x14));
    assert_int_equal(callers[1], at(INNER, 0x33));
    assert_int_equal(callers[2], at(OUTER, 0x14));
    words = 2 + sizeof frame / sizeof stack[0] - 1; /* a part of it */
    trace(at(OTHER, 0x10));
    assert_int_equal(count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_call_of_the_function_counts, setup),
        cmocka_unit_test_setup(test_one_after_the_other, setup),
        cmocka_unit_test_setup(test_nobody_calls_a_cold_part, setup),
        cmocka_unit_test_setup(test_a_call_by_a_pointer_comes_before_others, setup),
        cmocka_unit_test_setup(test_what_is_no_return_address, setup),
        cmocka_unit_test_setup(test_the_stack_has_an_end, setup),
        cmocka_unit_test_setup(test_an_endless_stack_has_one_too, setup),
        cmocka_unit_test_setup(test_an_interrupt_leads_to_what_it_interrupted, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
