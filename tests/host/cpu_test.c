/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: before a vCPU's x87 is loaded, nothing is left there of the one before, not even on a CPU that leaves its
 * pointers alone when it loads. These instructions are not privileged: they run on this CPU.
 */
#include "tests/host/fake/fake.h"
#include "arch/x86/cpu.h"

struct environment { /* SDM 1, "Protected Mode x87 FPU State Image in Memory, 32-Bit Format" */
    uint32_t control, status, tags, instruction, opcode, operand, operand_selector;
};
#define STATUS_ERRORS 0x00bfu

/* FXSAVE would keep back what is asked for here. */
static struct environment save(void)
{
    struct environment e;

    __asm__ volatile("fnstenv %0" : "=m"(e));
    return e;
}

static void test_the_x87_forgets_what_it_executed(void **state)
{
    static const uint32_t secret = 0;
    struct environment before, after;

    (void)state;
    __asm__ volatile("fninit\n\tfld1\n\tfdivl %0" : : "m"((const double){0})); /* its error stays in the status word */
    __asm__ volatile("fildl %0" : : "m"(secret));
    before = save();
    x87_forget_pointers();
    after = save();
    __asm__ volatile("fninit");
    assert_int_equal(after.status & STATUS_ERRORS, 0);
    assert_true(after.instruction != before.instruction || before.instruction == 0); /* 0: a CPU that keeps none */
    assert_true(after.operand != before.operand || before.operand == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_x87_forgets_what_it_executed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
