/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a task switch saves all of the old task and loads all of the new one, in either format, whoever asks for it,
 * with the busy bits, the back link, NT, TS and the trap bit of the manual's table. What is wrong with the new TSS is found
 * while nothing has changed; what is wrong with the new task's segments is the new task's fault, and leaves registers that
 * the CPU can be entered with.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/task_segment.h"
#include "arch/x86/guest/task_switch.h"
#include "arch/x86/paging_format.h"
#include "arch/x86/regs.h"
#include "kernel/lib/bytes.h"

#define GDT_AT    0x1000u
#define OLD_AT    0x2000u
#define NEW_AT    0x3000u
#define LDT_AT    0x4000u
#define STACK_AT  0x5000u
#define TABLE_AT  0x8000u
#define RIP       0x1234u
#define LENGTH    7u
#define NEW_IP    0x4567u

enum { NONE, CODE, DATA, OLD, NEW, LOCAL, ABSENT, SYSTEM, USER_DATA, USER_CODE, CONFORMING, READ_ONLY, DESCRIPTORS };
#define SELECTOR(n) ((uint16_t)((n) << 3))

static struct fake_vcpu f;
static struct vcpu *const vcpu = &f.vcpu;
static uint16_t format; /* 32, 16 */

static uint64_t descriptor(uint32_t base, uint32_t limit, unsigned type)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)type << 40 | (uint64_t)(limit >> 16 & 15) << 48 |
           (uint64_t)(base >> 24) << 56;
}

#define FLAT (BIT(55) | BIT(54)) /* G and D */

static uint64_t *gdt(void)
{
    return (uint64_t *)(f.ram + GDT_AT);
}

static void build_gdt(void)
{
    unsigned bits = format == 32 ? 8 : 0;

    gdt()[CODE] = descriptor(0, 0xfffff, 0x9a) | FLAT;
    gdt()[DATA] = descriptor(0, 0xfffff, 0x92) | FLAT;
    gdt()[OLD] = descriptor(OLD_AT, 0x67, 0x83 | bits);
    gdt()[NEW] = descriptor(NEW_AT, format == 32 ? 0x67 : 0x2b, 0x81 | bits);
    gdt()[LOCAL] = descriptor(LDT_AT, 15, 0x82);
    gdt()[ABSENT] = descriptor(0, 0xfffff, 0x12) | FLAT;
    gdt()[SYSTEM] = descriptor(0, 0, 0x8c);
    gdt()[USER_DATA] = descriptor(0, 0xfffff, 0xf2) | FLAT;
    gdt()[USER_CODE] = descriptor(0, 0xfffff, 0xfa) | FLAT;
    gdt()[CONFORMING] = descriptor(0, 0xfffff, 0x9e) | FLAT;
    gdt()[READ_ONLY] = descriptor(0, 0xfffff, 0xf0) | FLAT;
    f.gdtr = (struct descriptor_table){GDT_AT, DESCRIPTORS * 8 - 1};
}

/* Offsets of the two formats. */
static unsigned at(unsigned of_32, unsigned of_16)
{
    return format == 32 ? of_32 : of_16;
}
#define IP     at(32, 14)
#define FLAGS  at(36, 16)
#define GPR(n) at(40 + 4 * (n), 18 + 2 * (n))
#define SEG(n) at(72 + 4 * (n), 34 + 2 * (n))
#define LDT    at(96, 42)

static uint32_t get_field(unsigned tss, unsigned offset)
{
    return format == 32 ? get_le32(f.ram + tss + offset) : get_le16(f.ram + tss + offset);
}

static void put_field(unsigned offset, uint32_t value)
{
    if (format == 32)
        put_le32(f.ram + NEW_AT + offset, value);
    else
        put_le16(f.ram + NEW_AT + offset, (uint16_t)value);
}

static void build_new_task(void)
{
    put_field(IP, NEW_IP);
    put_field(FLAGS, RFLAGS_ONE | RFLAGS_ZF);
    for (unsigned i = 0; i <= GPR_RDI; i++)
        put_field(GPR(i), 0x4000 + i);
    put_field(GPR(GPR_RSP), STACK_AT);
    for (unsigned i = 0; i < (format == 32 ? 6 : 4); i++)
        put_field(SEG(i), SELECTOR(i == SEG_CS ? CODE : DATA));
}

static void begin(uint16_t with_format)
{
    format = with_format;
    memset(f.ram, 0, FAKE_VCPU_RAM_BYTES);
    vcpu->event.type = EVENT_NONE;
    build_gdt();
    build_new_task();
    for (unsigned i = 0; i <= SEG_GS; i++)
        f.segments[i].selector = SELECTOR(i == SEG_CS ? CODE : DATA);
    f.segments[SEG_TR] = (struct segment){SELECTOR(OLD), (uint16_t)(SEG_ATTR_P | (format == 32 ? 11 : 3)), 0x67, OLD_AT};
    f.registers[VCPU_RIP] = RIP;
    f.registers[VCPU_RSP] = 0x6000;
    f.registers[VCPU_RFLAGS] = RFLAGS_ONE | RFLAGS_NT | RFLAGS_CF;
    f.registers[VCPU_CR0] = CR0_PE | CR0_ET;
    f.registers[VCPU_CR4] = f.registers[VCPU_CR3] = 0;
    f.registers[VCPU_DR7] = 0x7ff;
    for (unsigned i = 0; i <= GPR_RDI; i++)
        vcpu->gpr[i] = 0x10000 + i;
}

static int setup(void **state)
{
    (void)state;
    fake_vcpu_init(&f);
    begin(32);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_vcpu_free(&f);
    return 0;
}

static struct vcpu_exit exit_of(enum task_source source)
{
    struct vcpu_exit exit = {.kind = EXIT_TASK_SWITCH};

    exit.task.selector = SELECTOR(NEW);
    exit.task.source = source;
    exit.task.length = LENGTH;
    return exit;
}

static void change(enum task_source source)
{
    struct vcpu_exit exit = exit_of(source);

    assert_int_equal(task_switch_handle(vcpu, &exit), VERDICT_RESUME);
}

static bool is_busy(unsigned n)
{
    return gdt()[n] & BIT(41);
}

static void assert_is_in_new_task(void)
{
    assert_int_equal(f.segments[SEG_TR].selector, SELECTOR(NEW));
    assert_int_equal(f.segments[SEG_TR].base, NEW_AT);
    assert_int_equal(f.segments[SEG_TR].attributes & SEG_ATTR_TYPE_MASK, format == 32 ? 11 : 3);
    assert_int_equal(f.registers[VCPU_RIP], NEW_IP);
    assert_true(f.registers[VCPU_CR0] & CR0_TS);
}

static void assert_is_in_old_task(void)
{
    static const uint8_t nothing[104];

    assert_int_equal(f.segments[SEG_TR].selector, SELECTOR(OLD));
    assert_int_equal(f.registers[VCPU_RIP], RIP);
    assert_int_equal(vcpu->gpr[GPR_RAX], 0x10000);
    assert_false(f.registers[VCPU_CR0] & CR0_TS);
    assert_memory_equal(f.ram + OLD_AT, nothing, sizeof nothing);
}

/* --- the four ways, in both formats --- */

static void assert_saved_and_loaded(void)
{
    uint32_t ones = format == 32 ? 0 : 0xffff0000;

    assert_int_equal(get_field(OLD_AT, IP), RIP + LENGTH);
    for (unsigned i = 0; i <= GPR_RDI; i++) {
        assert_int_equal(get_field(OLD_AT, GPR(i)), (uint32_t)(i == GPR_RSP ? 0x6000 : 0x10000 + i) & ~ones);
        assert_int_equal(vcpu->gpr[i], ones | (i == GPR_RSP ? STACK_AT : 0x4000 + i));
    }
    assert_int_equal(f.registers[VCPU_RSP], vcpu->gpr[GPR_RSP]);
    for (unsigned i = 0; i < (format == 32 ? 6 : 4); i++) {
        assert_int_equal(get_field(OLD_AT, SEG(i)), SELECTOR(i == SEG_CS ? CODE : DATA));
        assert_int_equal(f.segments[i].selector, SELECTOR(i == SEG_CS ? CODE : DATA));
        assert_int_equal(f.segments[i].limit, UINT32_MAX);
    }
    assert_false(f.segments[SEG_LDTR].attributes & SEG_ATTR_P);
    assert_int_equal(f.registers[VCPU_DR7], 0x7ff & ~0x155);
}

static void test_each_way_in_both_formats(void **state)
{
    static const struct {
        enum task_source source;
        bool old_stays_busy, is_linked, old_keeps_nt;
    } ways[] = {
        {TASK_CALL, true, true, true}, {TASK_JMP, false, false, true}, {TASK_IRET, false, false, false}, {TASK_GATE, true, true, true},
    };
    (void)state;
    for (unsigned i = 0; i < 2 * ARRAY_SIZE(ways); i++) {
        begin(i % 2 ? 16 : 32);
        if (ways[i / 2].source == TASK_IRET)
            gdt()[NEW] |= BIT(41);
        change(ways[i / 2].source);
        fake_vcpu_assert_nothing_raised(&f);
        assert_is_in_new_task();
        assert_saved_and_loaded();
        assert_int_equal(is_busy(OLD), ways[i / 2].old_stays_busy);
        assert_true(is_busy(NEW));
        assert_int_equal(get_le16(f.ram + NEW_AT), ways[i / 2].is_linked ? SELECTOR(OLD) : 0);
        assert_int_equal(f.registers[VCPU_RFLAGS], RFLAGS_ONE | RFLAGS_ZF | (ways[i / 2].is_linked ? RFLAGS_NT : 0));
        assert_int_equal(get_field(OLD_AT, FLAGS), RFLAGS_ONE | RFLAGS_CF | (ways[i / 2].old_keeps_nt ? RFLAGS_NT : 0));
    }
}

/* --- events through a gate --- */

static void test_an_events_error_code_is_on_the_new_stack(void **state)
{
    struct vcpu_exit exit = exit_of(TASK_GATE);

    (void)state;
    vcpu->event = (struct event){.type = EVENT_EXCEPTION, .vector = X86_DF, .has_error_code = true};
    exit.task.length = 0;
    exit.task.is_external = exit.task.has_error_code = true;
    exit.task.error_code = 0xabcd;
    task_switch_handle(vcpu, &exit);
    assert_is_in_new_task();
    assert_int_equal(vcpu->event.type, EVENT_NONE); /* it is delivered */
    assert_int_equal(get_field(OLD_AT, IP), RIP);
    assert_int_equal(vcpu->gpr[GPR_RSP], STACK_AT - 4);
    assert_int_equal(f.registers[VCPU_RSP], STACK_AT - 4);
    assert_int_equal(get_le32(f.ram + STACK_AT - 4), 0xabcd);
}

static void test_a_stack_that_is_too_small_is_the_new_tasks_fault(void **state)
{
    struct vcpu_exit exit = exit_of(TASK_GATE);

    (void)state;
    gdt()[DATA] = descriptor(0, 0x100, 0x92) | BIT(54);
    exit.task.has_error_code = exit.task.is_external = true;
    task_switch_handle(vcpu, &exit);
    fake_vcpu_assert_raised_with_code(&f, X86_SS, ERROR_CODE_EXT);
    assert_is_in_new_task();
}

static void test_a_fault_on_the_way_of_a_fault_is_a_double_fault(void **state)
{
    struct vcpu_exit exit = exit_of(TASK_GATE);

    (void)state;
    vcpu->event = (struct event){.type = EVENT_EXCEPTION, .vector = X86_GP, .has_error_code = true};
    exit.task.is_external = true;
    put_field(SEG(SEG_SS), 0);
    task_switch_handle(vcpu, &exit);
    fake_vcpu_assert_raised_with_code(&f, X86_DF, 0);
}

/* --- the new TSS is wrong: nothing has happened --- */

static void test_a_new_task_that_is_none(void **state)
{
    static const struct {
        enum task_source source;
        uint16_t selector;
        uint64_t descriptor;
        uint8_t vector;
    } cases[] = {
        {TASK_CALL, SELECTOR(NEW), BIT(41), X86_GP}, /* is busy: recursion */
        {TASK_IRET, SELECTOR(NEW), 0, X86_TS},       /* is not */
        {TASK_JMP, SELECTOR(DATA), 0, X86_GP},
        {TASK_IRET, SELECTOR(DATA), 0, X86_TS},
        {TASK_CALL, SELECTOR(DESCRIPTORS), 0, X86_GP}, /* behind the table */
        {TASK_CALL, SELECTOR(NEW) | SELECTOR_LOCAL, 0, X86_GP},
        {TASK_CALL, SELECTOR(NEW), BIT(47), X86_NP},
        {TASK_CALL, SELECTOR(NEW), 1, X86_TS}, /* a byte too short */
    };
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vcpu_exit exit = exit_of(cases[i].source);

        begin(32);
        gdt()[NEW] ^= cases[i].descriptor;
        exit.task.selector = cases[i].selector;
        task_switch_handle(vcpu, &exit);
        fake_vcpu_assert_raised_with_code(&f, cases[i].vector, cases[i].selector & ~SELECTOR_RPL);
        assert_is_in_old_task();
        assert_true(is_busy(OLD));
    }
}

/* Identity, by 4 KiB pages. */
static void turn_paging_on(void)
{
    uint32_t *directory = (uint32_t *)(f.ram + TABLE_AT), *table = directory + 1024;

    directory[0] = (TABLE_AT + PAGE_SIZE) | PTE_P | PTE_RW;
    for (unsigned i = 0; i < 1024; i++)
        table[i] = i << PAGE_SHIFT | PTE_P | PTE_RW;
    f.registers[VCPU_CR3] = TABLE_AT;
    f.registers[VCPU_CR0] |= CR0_PG | CR0_WP;
    put_le32(f.ram + NEW_AT + 28, TABLE_AT);
}

static void test_a_page_fault_changes_nothing(void **state)
{
    static const struct {
        uint32_t address;
        bool is_absent;
    } pages[] = {{OLD_AT, true}, {NEW_AT, true}, {GDT_AT, true}, {OLD_AT, false}, {NEW_AT, false}, {GDT_AT, false}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
        uint32_t *table = (uint32_t *)(f.ram + TABLE_AT) + 1024;

        begin(32);
        turn_paging_on();
        table[pages[i].address >> PAGE_SHIFT] &= ~(uint32_t)(pages[i].is_absent ? PTE_P : PTE_RW);
        change(TASK_CALL);
        assert_int_equal(vcpu->event.vector, X86_PF);
        assert_int_equal(f.registers[VCPU_CR2] >> PAGE_SHIFT, pages[i].address >> PAGE_SHIFT);
        assert_is_in_old_task();
    }
}

static void test_cr3_is_the_new_tasks(void **state)
{
    (void)state;
    turn_paging_on();
    memcpy(f.ram + 0xa000, f.ram + TABLE_AT, PAGE_SIZE);
    put_le32(f.ram + NEW_AT + 28, 0xa000);
    change(TASK_CALL);
    fake_vcpu_assert_nothing_raised(&f);
    assert_int_equal(f.registers[VCPU_CR3], 0xa000);
    assert_int_equal(f.flushes, 1);
}

static void test_pdptes_that_cannot_be_are_the_new_tasks_fault(void **state)
{
    uint64_t *pointers = (uint64_t *)(f.ram + 0xa000);

    (void)state;
    f.registers[VCPU_CR0] |= CR0_PG;
    f.registers[VCPU_CR4] = CR4_PAE;
    pointers[0] = UINT64_C(0xb000) | PTE_P;
    *(uint64_t *)(f.ram + 0xb000) = PTE_P | PTE_RW | PTE_PS;
    f.registers[VCPU_CR3] = 0xa000;
    f.registers[VCPU_PDPTE0] = pointers[0];
    put_le32(f.ram + NEW_AT + 28, 0xc000);
    *(uint64_t *)(f.ram + 0xc000) = PTE_P | PTE_RW; /* reserved there */
    change(TASK_CALL);
    fake_vcpu_assert_raised_with_code(&f, X86_TS, SELECTOR(NEW));
    assert_int_equal(f.segments[SEG_TR].selector, SELECTOR(NEW));
}

/* --- the new task's segments --- */

static void test_segments_that_cannot_be_loaded(void **state)
{
    static const struct {
        enum segment_register which;
        uint16_t selector;
        uint8_t vector;
    } cases[] = {
        {SEG_CS, SELECTOR(NONE), X86_TS},          {SEG_CS, SELECTOR(DATA), X86_TS},
        {SEG_CS, SELECTOR(USER_CODE), X86_TS},     {SEG_CS, SELECTOR(DESCRIPTORS), X86_TS},
        {SEG_SS, SELECTOR(NONE), X86_TS},          {SEG_SS, SELECTOR(CODE), X86_TS},
        {SEG_SS, SELECTOR(USER_DATA), X86_TS},     {SEG_SS, SELECTOR(DATA) | 3, X86_TS},
        {SEG_SS, SELECTOR(READ_ONLY), X86_TS},     {SEG_SS, SELECTOR(ABSENT), X86_SS},
        {SEG_DS, SELECTOR(SYSTEM), X86_TS},        {SEG_DS, SELECTOR(DATA) | 3, X86_TS},
        {SEG_ES, SELECTOR(ABSENT), X86_NP},        {SEG_FS, SELECTOR(1) | SELECTOR_LOCAL, X86_TS}, /* there is no LDT */
        {SEG_GS, SELECTOR(DESCRIPTORS), X86_TS},
    };
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        begin(32);
        put_field(SEG(cases[i].which), cases[i].selector);
        change(TASK_CALL);
        fake_vcpu_assert_raised_with_code(&f, cases[i].vector, cases[i].selector & ~SELECTOR_RPL);
        assert_is_in_new_task();
        assert_int_equal(f.segments[cases[i].which].selector, cases[i].selector);
        assert_true(f.segments[SEG_CS].attributes & f.segments[SEG_SS].attributes & SEG_ATTR_P);
        assert_int_equal((f.segments[SEG_CS].attributes ^ f.segments[SEG_SS].attributes) & SEG_ATTR_DPL_MASK, 0);
    }
}

static void test_an_absent_code_segment(void **state)
{
    (void)state;
    gdt()[CODE] &= ~BIT(47);
    change(TASK_JMP);
    fake_vcpu_assert_raised_with_code(&f, X86_NP, SELECTOR(CODE));
}

static void test_segments_that_can_be(void **state)
{
    (void)state;
    put_field(SEG(SEG_CS), SELECTOR(USER_CODE) | 3);
    put_field(SEG(SEG_SS), SELECTOR(USER_DATA) | 3);
    put_field(SEG(SEG_DS), SELECTOR(NONE));
    put_field(SEG(SEG_ES), SELECTOR(CONFORMING) | 3);
    put_field(SEG(SEG_FS), SELECTOR(1) | SELECTOR_LOCAL | 3);
    put_field(SEG(SEG_GS), SELECTOR(READ_ONLY) | 3);
    put_field(LDT, SELECTOR(LOCAL));
    *(uint64_t *)(f.ram + LDT_AT + 8) = descriptor(0x7000, 0xfff, 0xf2);
    change(TASK_CALL);
    fake_vcpu_assert_nothing_raised(&f);
    assert_int_equal(f.segments[SEG_CS].attributes & SEG_ATTR_DPL_MASK, SEG_ATTR_DPL_MASK);
    assert_false(f.segments[SEG_DS].attributes & SEG_ATTR_P);
    assert_int_equal(f.segments[SEG_FS].base, 0x7000);
    assert_int_equal(f.segments[SEG_FS].limit, 0xfff);
    assert_int_equal(f.segments[SEG_LDTR].base, LDT_AT);
    assert_true(gdt()[USER_CODE] & gdt()[USER_DATA] & gdt()[CONFORMING] & gdt()[READ_ONLY] & BIT(40)); /* accessed */
    assert_false(gdt()[LOCAL] & BIT(40));
}

static void test_an_ldt_that_is_none(void **state)
{
    static const uint16_t selectors[] = {SELECTOR(DATA), SELECTOR(SYSTEM), SELECTOR(LOCAL) | SELECTOR_LOCAL, SELECTOR(DESCRIPTORS)};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(selectors); i++) {
        begin(32);
        put_field(LDT, selectors[i]);
        change(TASK_CALL);
        fake_vcpu_assert_raised_with_code(&f, X86_TS, selectors[i]);
    }
}

static void test_a_virtual_8086_task(void **state)
{
    (void)state;
    put_field(FLAGS, RFLAGS_ONE | RFLAGS_VM);
    for (unsigned i = 0; i <= SEG_GS; i++)
        put_field(SEG(i), 0x100 * (i + 1));
    change(TASK_JMP);
    fake_vcpu_assert_nothing_raised(&f);
    for (unsigned i = 0; i <= SEG_GS; i++) {
        assert_int_equal(f.segments[i].base, 0x1000 * (i + 1));
        assert_int_equal(f.segments[i].limit, 0xffff);
        assert_int_equal(f.segments[i].attributes, 0xf3);
    }
}

static void test_an_instruction_pointer_beyond_its_segment(void **state)
{
    (void)state;
    gdt()[CODE] = descriptor(0, 0xfff, 0x9a) | BIT(54);
    change(TASK_JMP);
    fake_vcpu_assert_raised_with_code(&f, X86_GP, 0);
    assert_is_in_new_task();
}

static void test_the_trap_bit(void **state)
{
    (void)state;
    f.ram[NEW_AT + 100] = 1;
    change(TASK_JMP);
    fake_vcpu_assert_raised(&f, X86_DB);
    assert_true(f.registers[VCPU_DR6] & DR6_BT);
}

/* Flags that do not exist are not loaded, and one that always does is. */
static void test_flags_are_what_they_can_be(void **state)
{
    (void)state;
    put_field(FLAGS, UINT32_MAX & ~(uint32_t)(RFLAGS_ONE | RFLAGS_VM));
    change(TASK_JMP);
    assert_int_equal(f.registers[VCPU_RFLAGS], 0x3d7fd7);
}

/* Addresses that a guest can have in its descriptors, with no RAM behind them. */
static void test_tables_where_nothing_is(void **state)
{
    (void)state;
    gdt()[NEW] = descriptor(0xfffffff0, 0x67, 0x89);
    change(TASK_CALL);
    begin(32);
    f.segments[SEG_TR].base = 0xffffffc0;
    change(TASK_CALL);
    begin(32);
    f.gdtr = (struct descriptor_table){0xfffffff0, 0xffff};
    change(TASK_CALL);
    assert_int_equal(vcpu->event.type, EVENT_EXCEPTION);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_way_in_both_formats),
        TEST(test_an_events_error_code_is_on_the_new_stack),
        TEST(test_a_stack_that_is_too_small_is_the_new_tasks_fault),
        TEST(test_a_fault_on_the_way_of_a_fault_is_a_double_fault),
        TEST(test_a_new_task_that_is_none),
        TEST(test_a_page_fault_changes_nothing),
        TEST(test_cr3_is_the_new_tasks),
        TEST(test_pdptes_that_cannot_be_are_the_new_tasks_fault),
        TEST(test_segments_that_cannot_be_loaded),
        TEST(test_an_absent_code_segment),
        TEST(test_segments_that_can_be),
        TEST(test_an_ldt_that_is_none),
        TEST(test_a_virtual_8086_task),
        TEST(test_an_instruction_pointer_beyond_its_segment),
        TEST(test_the_trap_bit),
        TEST(test_flags_are_what_they_can_be),
        TEST(test_tables_where_nothing_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
