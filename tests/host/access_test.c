/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: an operand reaches RAM or the bus at its own width; one that crosses a page goes byte by
 * byte to where each page leads, or faults and leaves nothing behind; a probe raises what the write
 * would.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/access.h"
#include "arch/x86/paging_format.h"
#include "arch/x86/regs.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/errno.h"

#define TABLE_AT 0x8000u
#define ALL      UINT64_C(0x8877665544332211)

static struct fake_vcpu f;
static struct gva_context context;
static uint32_t *table; /* of the first 4 MiB: what is where it is, but for what a test changes */

static int setup(void **state)
{
    uint32_t *directory;
    gva_t rip;

    (void)state;
    fake_vcpu_init(&f);
    directory = (uint32_t *)(f.ram + TABLE_AT);
    table = directory + 1024;
    directory[0] = (uint32_t)((TABLE_AT + 0x1000) | PTE_P | PTE_RW);
    for (unsigned i = 0; i < 1024; i++)
        table[i] = (uint32_t)(i << 12 | PTE_P | PTE_RW);
    f.registers[VCPU_CR0] |= CR0_PG | CR0_WP;
    f.registers[VCPU_CR3] = TABLE_AT;
    assert_int_equal(access_begin(&f.vcpu, &context, &rip), DECODE_32);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_vcpu_free(&f);
    return 0;
}

static void test_each_width_within_and_across_pages(void **state)
{
    (void)state;
    table[3] = 0x6000 | PTE_P | PTE_RW;
    for (unsigned width = 1; width <= 8; width *= 2)
        for (uint64_t at = 0x3000 - 8; at <= 0x3000; at++) {
            uint64_t value;

            memset(f.ram + 0x2000, 0, 0x1000);
            memset(f.ram + 0x6000, 0, 0x1000);
            assert_int_equal(
                access_write(&f.vcpu, &context, GVA(at), width, ALL & bytes_mask(width)), 0);
            for (unsigned i = 0; i < width; i++)
                assert_int_equal(f.ram[at + i < 0x3000 ? at + i : at + i + 0x3000], 0x11 * (i + 1));
            assert_int_equal(access_read(&f.vcpu, &context, GVA(at), width, &value), 0);
            assert_int_equal(value, ALL & bytes_mask(width));
        }
    fake_vcpu_assert_nothing_raised(&f);
}

/* Read-only, and the second page of two: the first keeps its bytes. */
static void test_a_write_that_faults_leaves_nothing(void **state)
{
    (void)state;
    fake_cpu_begin();
    table[3] = 0x3000 | PTE_P;
    assert_int_equal(access_write(&f.vcpu, &context, GVA(0x2ffe), 4, UINT32_MAX), -EFAULT);
    fake_vcpu_assert_raised_with_code(&f, X86_PF, PFEC_P | PFEC_WR);
    assert_int_equal(f.registers[VCPU_CR2], 0x3000);
    assert_int_equal(get_le32(f.ram + 0x2ffe), 0);
    f.vcpu.event.type = EVENT_NONE;
    assert_int_equal(access_probe_write(&f.vcpu, &context, GVA(0x2ffe), 4), -EFAULT);
    fake_vcpu_assert_raised_with_code(&f, X86_PF, PFEC_P | PFEC_WR);
    f.vcpu.event.type = EVENT_NONE;
    assert_int_equal(access_probe_write(&f.vcpu, &context, GVA(0x2ffc), 4), 0);
    fake_vcpu_assert_nothing_raised(&f);
}

static void test_a_write_marks_the_page_dirty_and_a_read_does_not(void **state)
{
    uint64_t value;

    (void)state;
    assert_int_equal(access_read(&f.vcpu, &context, GVA(0x2000), 4, &value), 0);
    assert_int_equal(table[2] & (PTE_A | PTE_D), PTE_A);
    assert_int_equal(access_write(&f.vcpu, &context, GVA(0x2000), 4, 1), 0);
    assert_int_equal(table[2] & (PTE_A | PTE_D), PTE_A | PTE_D);
}

static void test_what_is_not_ram_is_the_bus(void **state)
{
    uint64_t value;

    (void)state;
    table[3] = (uint32_t)(FAKE_VCPU_RAM_BYTES | PTE_P | PTE_RW); /* behind the end of RAM */
    f.ram[0x2fff] = 0x77;
    assert_int_equal(access_read(&f.vcpu, &context, GVA(0x3010), 4, &value), 0);
    assert_int_equal(value, UINT32_MAX);
    assert_int_equal(access_read(&f.vcpu, &context, GVA(0x2fff), 2, &value), 0);
    assert_int_equal(value, 0xff77);
    assert_int_equal(access_write(&f.vcpu, &context, GVA(0x2fff), 2, 0x1234), 0);
    assert_int_equal(f.ram[0x2fff], 0x34);
}

static void test_code_is_fetched_as_far_as_it_is_there(void **state)
{
    uint8_t bytes[15];

    (void)state;
    f.registers[VCPU_RIP] = 0x2ffa;
    memset(f.ram + 0x2ffa, 0x90, 6);
    assert_int_equal(vcpu_fetch(&f.vcpu, bytes, sizeof bytes), 15);
    table[3] = 0;
    assert_int_equal(vcpu_fetch(&f.vcpu, bytes, sizeof bytes), 6);
    assert_int_equal(bytes[5], 0x90);
    fake_vcpu_assert_nothing_raised(&f); /* a look, not an access of the guest's */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_width_within_and_across_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_write_that_faults_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_write_marks_the_page_dirty_and_a_read_does_not,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_ram_is_the_bus, setup, teardown),
        cmocka_unit_test_setup_teardown(test_code_is_fetched_as_far_as_it_is_there, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
