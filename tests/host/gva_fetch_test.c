/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: of an instruction those bytes are fetched that the CPU could have fetched, across pages and slots, and the first
 * that it could not is the fault's address.
 */
#include "tests/host/fake/gva_rig.h"

static void fetches_across_pages(void **state)
{
    struct gva_fault fault;
    uint8_t bytes[15];

    (void)state;
    *entry(PT, I1 + 1) = 0x5000 | ALL; /* in the other slot */
    memcpy(guest_mem_at(&mem, GPA(PAGE + 0xff8), 8), "01234567", 8);
    memcpy(guest_mem_at(&mem, GPA(0x5000), 7), "89abcde", 7);
    assert_int_equal(gva_fetch(&ctx, GVA((ADDRESS & ~0xfffull) + 0xff8), bytes, 15, &fault), 15);
    assert_int_equal(fault.error, 0);
    assert_memory_equal(bytes, "0123456789abcde", 15);
    assert_int_equal(gva_fetch(&ctx, GVA((ADDRESS & ~0xfffull) + 0xff8), bytes, 8, &fault), 8);
    assert_int_equal(gva_fetch(&ctx, GVA(0), bytes, 0, &fault), 0);
    assert_int_equal(fault.error, 0);
}

static void fetches_what_can_be_had(void **state)
{
    uint64_t page = ADDRESS & ~0xfffull;
    struct gva_fault fault;
    uint8_t bytes[15];

    (void)state;
    ctx.cpl = 3;
    assert_int_equal(gva_fetch(&ctx, GVA(page + 0xffe), bytes, 15, &fault), 2);
    assert_int_equal(fault.error, -EFAULT);
    assert_int_equal(fault.address.value, page + 0x1000);
    assert_int_equal(fault.error_code, PFEC_US | PFEC_ID);
    *entry(PT, I1) |= XD;
    assert_int_equal(gva_fetch(&ctx, GVA(page + 0xffe), bytes, 15, &fault), 0);
    assert_int_equal(fault.error, -EFAULT);
    assert_int_equal(fault.address.value, page + 0xffe);
    assert_int_equal(fault.error_code, PFEC_P | PFEC_US | PFEC_ID);
    *entry(PT, I1) = HOLE | ALL;
    assert_int_equal(gva_fetch(&ctx, GVA(page), bytes, 15, &fault), 0);
    assert_int_equal(fault.error, -EIO);
}

/* Its short cut may say nothing but what the long way says, whatever the page and its neighbour are like. */
static void expect_same_fetch(uint64_t at, uint64_t value, uint64_t neighbour)
{
    uint8_t bytes[INSTRUCTION_BYTES_MAX] = {0}, expected[INSTRUCTION_BYTES_MAX] = {0};
    struct gva_fault fault = {0}, expected_fault;
    size_t count;

    *entry(PT, I1) = value;
    *entry(PT, I1 + 1) = neighbour;
    count = gva_fetch(&ctx, GVA(at), expected, sizeof expected, &expected_fault);
    *entry(PT, I1) = value; /* it may have been marked */
    *entry(PT, I1 + 1) = neighbour;
    assert_int_equal(gva_fetch_instruction(&ctx, GVA(at), bytes, &fault), count);
    assert_memory_equal(bytes, expected, sizeof bytes);
    if (count == sizeof bytes)
        return;
    assert_int_equal(fault.error, expected_fault.error);
    assert_int_equal(fault.address.value, expected_fault.address.value);
    assert_int_equal(fault.error_code, expected_fault.error_code);
}

static void an_instruction_is_fetched_as_any_bytes_are(void **state)
{
    const uint64_t values[] = {PAGE | ALL,        PAGE | (ALL & ~A), PAGE | (ALL & ~US), PAGE | ALL | XD,
                               PAGE | ALL | BIT(45), HOLE | ALL,     0x5000 | ALL,       0};

    (void)state;
    for (unsigned i = 0; i < PAGE_SIZE; i++)
        *(uint8_t *)guest_mem_at(&mem, GPA(PAGE + i), 1) = (uint8_t)(i * 7 + i / 256);
    for (unsigned i = 0; i < ARRAY_SIZE(values) * ARRAY_SIZE(values) * 2; i++) {
        ctx.cpl = i % 2 ? 3 : 0;
        for (unsigned offset = 0; offset < PAGE_SIZE; offset += offset < 0xfe0 ? 0x3f8 : 1)
            expect_same_fetch((ADDRESS & ~0xfffull) + offset, values[i / 2 % ARRAY_SIZE(values)],
                              values[i / 2 / ARRAY_SIZE(values)]);
    }
}

static void a_fetch_ends_where_canonical_addresses_end(void **state)
{
    struct gva_fault fault;
    uint8_t bytes[15];

    (void)state;
    *entry(PML4, 255) = PDPT | ALL;
    *entry(PDPT, 511) = PD | ALL;
    *entry(PD, 511) = PT | ALL;
    *entry(PT, 511) = PAGE | ALL;
    assert_int_equal(gva_fetch(&ctx, GVA(BIT(47) - 3), bytes, 15, &fault), 3);
    assert_int_equal(fault.error, -EINVAL);
    assert_int_equal(fault.address.value, BIT(47));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, gva_rig_set_up)
    const struct CMUnitTest tests[] = {
        TEST(fetches_across_pages),
        TEST(fetches_what_can_be_had),
        TEST(an_instruction_is_fetched_as_any_bytes_are),
        TEST(a_fetch_ends_where_canonical_addresses_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
