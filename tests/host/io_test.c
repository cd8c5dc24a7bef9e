/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: IN and OUT move what their width says. INS and OUTS do what the manual says of prefixes,
 * address sizes, direction, segments and paging; at a fault, what was done before it is done, the
 * registers say how far it came, and no device was asked for a byte that had no place to go. A REP
 * takes a bounded time.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/io.h"
#include "arch/x86/paging_format.h"
#include "arch/x86/regs.h"
#include "kernel/lib/bytes.h"

#define CODE_AT  0x1000u
#define DATA_AT  0x2000u
#define TABLE_AT 0x8000u /* page directory, page table */
#define ABOVE    UINT64_C(0xaaaaaaaa00000000)

static struct fake_vcpu f;
static struct vcpu *const vcpu = &f.vcpu;

static int setup(void **state)
{
    (void)state;
    fake_vcpu_init(&f);
    f.registers[VCPU_RIP] = CODE_AT;
    f.port_next = 0x11;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_vcpu_free(&f);
    return 0;
}

static enum verdict plain(bool is_in, unsigned width, uint16_t port)
{
    struct vcpu_exit exit = {.kind = EXIT_IO};

    exit.io.port = port;
    exit.io.width = (uint8_t)width;
    exit.io.is_in = is_in;
    return io_handle(vcpu, &exit);
}

/* Runs one INS or OUTS of these bytes; the width, direction and REP are what a CPU would tell of
 * them. */
static enum verdict string(const char *code, unsigned width)
{
    struct vcpu_exit exit = {.kind = EXIT_IO};
    size_t length = strlen(code);

    memcpy(f.ram + CODE_AT, code, length);
    exit.io.port = FAKE_VCPU_PORT;
    exit.io.width = (uint8_t)width;
    exit.io.is_string = true;
    exit.io.is_in = (code[length - 1] & 2) == 0;
    exit.io.has_rep = strchr(code, '\xf3') || strchr(code, '\xf2');
    return io_handle(vcpu, &exit);
}

#define INSB    "\x6c"
#define INSD    "\x6d"
#define OUTSB   "\x6e"
#define OUTSD   "\x6f"
#define REP     "\xf3"
#define ADDRESS "\x67" /* the other address size */
#define OPERAND "\x66"

static void enter_16_bit(void)
{
    f.segments[SEG_CS].attributes &= (uint16_t)~SEG_ATTR_DB;
}

static void enter_long_mode(bool is_64_bit)
{
    uint64_t *pml4 = (uint64_t *)(f.ram + 0xa000), *pdpt = (uint64_t *)(f.ram + 0xb000);
    uint64_t *pd = (uint64_t *)(f.ram + 0xc000);

    f.registers[VCPU_CR0] |= CR0_PG;
    f.registers[VCPU_CR4] |= CR4_PAE;
    f.registers[VCPU_EFER] = EFER_LME | EFER_LMA;
    f.registers[VCPU_CR3] = 0xa000;
    pml4[0] = 0xb000 | PTE_P | PTE_RW;
    pdpt[0] = 0xc000 | PTE_P | PTE_RW;
    pd[0] = PTE_P | PTE_RW | PTE_PS; /* the first 2 MiB; nothing else is mapped */
    if (is_64_bit)
        f.segments[SEG_CS].attributes =
            (f.segments[SEG_CS].attributes & (uint16_t)~SEG_ATTR_DB) | SEG_ATTR_L;
}

/* 32-bit paging; the first 64 KiB are mapped where they are. */
static uint32_t *enter_paging(void)
{
    uint32_t *directory = (uint32_t *)(f.ram + TABLE_AT), *table = directory + 1024;

    for (unsigned i = 0; i < FAKE_VCPU_RAM_BYTES / PAGE_SIZE; i++)
        table[i] = (uint32_t)(i << 12 | PTE_P | PTE_RW);
    directory[0] = (uint32_t)((TABLE_AT + 0x1000) | PTE_P | PTE_RW);
    f.registers[VCPU_CR0] |= CR0_PG;
    f.registers[VCPU_CR3] = TABLE_AT;
    return table;
}

/* --- IN and OUT --- */

static void test_in_merges_into_rax(void **state)
{
    (void)state;
    vcpu->gpr[GPR_RAX] = 0x8877665544332211;
    f.port_next = 0xa0;
    assert_int_equal(plain(true, 1, FAKE_VCPU_PORT), VERDICT_NEXT);
    assert_int_equal(vcpu->gpr[GPR_RAX], 0x88776655443322a0);
    plain(true, 2, FAKE_VCPU_PORT);
    assert_int_equal(vcpu->gpr[GPR_RAX], 0x887766554433a2a1);
    plain(true, 4, FAKE_VCPU_PORT);
    assert_int_equal(vcpu->gpr[GPR_RAX], 0xa6a5a4a3);
}

static void test_out_writes_the_low_part(void **state)
{
    (void)state;
    vcpu->gpr[GPR_RAX] = 0x8877665544332211;
    plain(false, 1, FAKE_VCPU_PORT);
    plain(false, 2, FAKE_VCPU_PORT);
    plain(false, 4, FAKE_VCPU_PORT);
    assert_int_equal(f.port_written[0], 0x11);
    assert_int_equal(f.port_written[1], 0x2211);
    assert_int_equal(f.port_written[2], 0x44332211);
    assert_int_equal(vcpu->gpr[GPR_RAX], 0x8877665544332211);
}

static void test_a_port_that_nobody_has(void **state)
{
    (void)state;
    for (uint32_t port = 0; port < 0x10000; port += 0xfff) {
        vcpu->gpr[GPR_RAX] = 0;
        assert_int_equal(plain(true, 4, (uint16_t)port), VERDICT_NEXT);
        assert_int_equal(vcpu->gpr[GPR_RAX], UINT32_MAX);
        assert_int_equal(plain(false, 4, (uint16_t)port), VERDICT_NEXT);
    }
    assert_int_equal(f.port_writes, 0);
}

/* --- one element --- */

static void test_ins_and_outs_of_each_width(void **state)
{
    (void)state;
    vcpu->gpr[GPR_RDI] = vcpu->gpr[GPR_RSI] = DATA_AT;
    assert_int_equal(string(INSB, 1), VERDICT_NEXT);
    assert_int_equal(string(OPERAND INSD, 2), VERDICT_NEXT);
    assert_int_equal(string(INSD, 4), VERDICT_NEXT);
    assert_int_equal(vcpu->gpr[GPR_RDI], DATA_AT + 7);
    assert_memory_equal(f.ram + DATA_AT, "\x11\x12\x13\x14\x15\x16\x17\x00", 8);
    string(OUTSB, 1);
    string(OPERAND OUTSD, 2);
    string(OUTSD, 4);
    assert_int_equal(vcpu->gpr[GPR_RSI], DATA_AT + 7);
    assert_int_equal(f.port_written[0], 0x11);
    assert_int_equal(f.port_written[1], 0x1312);
    assert_int_equal(f.port_written[2], 0x17161514);
    assert_int_equal(vcpu->gpr[GPR_RCX], 0);
}

static void test_the_direction_flag(void **state)
{
    (void)state;
    f.registers[VCPU_RFLAGS] |= RFLAGS_DF;
    vcpu->gpr[GPR_RDI] = DATA_AT + 4;
    vcpu->gpr[GPR_RCX] = 2;
    assert_int_equal(string(REP INSD, 4), VERDICT_NEXT);
    assert_int_equal(vcpu->gpr[GPR_RDI], DATA_AT - 4);
    assert_memory_equal(f.ram + DATA_AT, "\x15\x16\x17\x18\x11\x12\x13\x14", 8);
}

/* --- prefixes --- */

static void test_segments_of_outs(void **state)
{
    static const struct {
        const char *code;
        enum segment_register segment;
    } rows[] = {{OUTSB, SEG_DS},        {"\x26" OUTSB, SEG_ES},    {"\x2e" OUTSB, SEG_CS},
                {"\x36" OUTSB, SEG_SS}, {"\x3e" OUTSB, SEG_DS},    {"\x64" OUTSB, SEG_FS},
                {"\x65" OUTSB, SEG_GS}, {"\x64\x26" OUTSB, SEG_ES}};

    (void)state;
    for (unsigned i = 0; i < SEG_LDTR; i++)
        if (i != SEG_CS)
            f.segments[i].base = 0x100 * i;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        vcpu->gpr[GPR_RSI] = DATA_AT;
        f.ram[DATA_AT + f.segments[rows[i].segment].base] = (uint8_t)(0x40 + i);
        assert_int_equal(string(rows[i].code, 1), VERDICT_NEXT);
        assert_int_equal(f.port_written[i], 0x40 + i);
    }
}

static void test_ins_has_no_segment_but_es(void **state)
{
    (void)state;
    f.segments[SEG_ES].base = 0x100;
    f.segments[SEG_FS].base = 0x200;
    vcpu->gpr[GPR_RDI] = DATA_AT;
    assert_int_equal(string("\x64" INSB, 1), VERDICT_NEXT);
    assert_int_equal(f.ram[DATA_AT + 0x100], 0x11);
}

/* SDM 2A, "Instruction Prefixes": CS, DS, ES and SS prefixes are null prefixes there.
 */
static void test_segments_in_64_bit_mode(void **state)
{
    (void)state;
    enter_long_mode(true);
    for (unsigned i = 0; i < SEG_LDTR; i++)
        f.segments[i] =
            (struct segment){.base = 0x100 * i}; /* unusable, and without a limit: no matter */
    f.segments[SEG_CS].attributes = SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_L | SEG_TYPE_CODE_RX_A;
    vcpu->gpr[GPR_RSI] = DATA_AT;
    f.ram[DATA_AT] = 0x77;
    f.ram[DATA_AT + 1 + 0x400] = 0x78;
    f.ram[DATA_AT + 2 + 0x400] = 0x79;
    assert_int_equal(string("\x36" OUTSB, 1), VERDICT_NEXT);
    assert_int_equal(string("\x64" OUTSB, 1), VERDICT_NEXT);
    assert_int_equal(string("\x64\x2e" OUTSB, 1), VERDICT_NEXT);
    assert_int_equal(f.port_written[0], 0x77);
    assert_int_equal(f.port_written[1], 0x78);
    assert_int_equal(f.port_written[2], 0x79);
}

static void test_address_sizes(void **state)
{
    static const struct {
        unsigned bits;
        const char *code;
        uint64_t mask; /* of RDI and RCX */
        bool clears_above;
    } rows[] = {
        {16, REP INSB, 0xffff, false},     {16, ADDRESS REP INSB, 0xffffffff, true},
        {32, REP INSB, 0xffffffff, true},  {32, REP ADDRESS INSB, 0xffff, false},
        {64, REP INSB, UINT64_MAX, false}, {64, REP ADDRESS INSB, 0xffffffff, true},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t above = ABOVE & ~rows[i].mask, kept = rows[i].clears_above ? 0 : above;

        teardown(NULL);
        setup(NULL);
        if (rows[i].bits == 16)
            enter_16_bit();
        else if (rows[i].bits == 64)
            enter_long_mode(true);
        vcpu->gpr[GPR_RDI] = above | DATA_AT;
        vcpu->gpr[GPR_RCX] = above | 2;
        assert_int_equal(string(rows[i].code, 1), VERDICT_NEXT);
        assert_memory_equal(f.ram + DATA_AT, "\x11\x12\x00", 3);
        assert_int_equal(vcpu->gpr[GPR_RDI], kept | (DATA_AT + 2));
        assert_int_equal(vcpu->gpr[GPR_RCX], kept);
    }
}

static void test_a_16_bit_pointer_wraps(void **state)
{
    (void)state;
    enter_16_bit();
    vcpu->gpr[GPR_RDI] = ABOVE | 0xffff;
    vcpu->gpr[GPR_RCX] = 2;
    assert_int_equal(string(REP INSB, 1), VERDICT_NEXT);
    assert_int_equal(vcpu->gpr[GPR_RDI], ABOVE | 1);
    assert_int_equal(f.ram[0xffff], 0x11);
    assert_int_equal(f.ram[0], 0x12);
}

/* Whatever the guest puts there after the CPU has decoded: prefixes for ever, or no INS at all. */
static void test_code_that_has_changed_meanwhile(void **state)
{
    struct vcpu_exit exit = {.kind = EXIT_IO, .io = {FAKE_VCPU_PORT, 1, true, true, false}};

    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        memset(f.ram + CODE_AT, (int)byte, 32);
        vcpu->gpr[GPR_RDI] = DATA_AT;
        (void)io_handle(vcpu, &exit);
    }
}

/* --- REP --- */

static void test_rep_zero_times(void **state)
{
    (void)state;
    vcpu->gpr[GPR_RDI] = DATA_AT;
    assert_int_equal(string(REP INSB, 1), VERDICT_NEXT);
    assert_int_equal(f.port_reads, 0);
    assert_int_equal(vcpu->gpr[GPR_RDI], DATA_AT);
}

static void test_a_long_rep_takes_several_exits(void **state)
{
    unsigned exits = 1;

    (void)state;
    vcpu->gpr[GPR_RSI] = DATA_AT;
    vcpu->gpr[GPR_RCX] = 1000;
    for (unsigned i = 0; i < 1000; i++)
        f.ram[DATA_AT + i] = (uint8_t)(i * 3);
    while (string(REP OUTSB, 1) == VERDICT_LEAVE) {
        fake_vcpu_assert_nothing_raised(&f);
        assert_int_equal(vcpu->gpr[GPR_RSI] + vcpu->gpr[GPR_RCX], DATA_AT + 1000);
        exits++;
    }
    assert_true(exits >= 8 && exits <= 100);
    assert_int_equal(f.port_writes, 1000);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(f.port_written[i], (uint8_t)(i * 3));
}

static void test_an_endless_rep_returns(void **state)
{
    (void)state;
    enter_long_mode(true);
    vcpu->gpr[GPR_RSI] = DATA_AT;
    vcpu->gpr[GPR_RCX] = UINT64_MAX;
    assert_int_equal(string(REP OUTSB, 1), VERDICT_LEAVE);
    assert_true(f.port_writes <= 256);
    assert_int_equal(vcpu->gpr[GPR_RCX], UINT64_MAX - f.port_writes);
}

/* --- paging --- */

static void test_an_element_that_crosses_pages(void **state)
{
    uint32_t *table = enter_paging();

    (void)state;
    table[4] = 0x6000 | PTE_P | PTE_RW; /* behind page 3 lies another frame */
    vcpu->gpr[GPR_RDI] = 0x3ffe;
    assert_int_equal(string(INSD, 4), VERDICT_NEXT);
    assert_memory_equal(f.ram + 0x3ffe, "\x11\x12", 2);
    assert_memory_equal(f.ram + 0x6000, "\x13\x14", 2);
    vcpu->gpr[GPR_RSI] = 0x3ffe;
    assert_int_equal(string(OUTSD, 4), VERDICT_NEXT);
    assert_int_equal(f.port_written[0], 0x14131211);
}

static void test_a_fault_in_the_middle_of_a_rep(void **state)
{
    uint32_t *table = enter_paging();

    (void)state;
    fake_cpu_begin();
    table[3] = 0;
    vcpu->gpr[GPR_RDI] = 0x2ffd;
    vcpu->gpr[GPR_RCX] = 10;
    assert_int_equal(string(REP INSB, 1), VERDICT_RESUME);
    fake_vcpu_assert_raised_with_code(&f, X86_PF, 2 /* write */);
    assert_int_equal(f.registers[VCPU_CR2], 0x3000);
    assert_int_equal(vcpu->gpr[GPR_RCX], 7);
    assert_int_equal(vcpu->gpr[GPR_RDI], 0x3000);
    table[3] = 0x3000 | PTE_P | PTE_RW;
    vcpu->event.type = EVENT_NONE;
    assert_int_equal(string(REP INSB, 1),
                     VERDICT_NEXT); /* the guest has paged it in: not a byte is lost */
    assert_memory_equal(f.ram + 0x2ffd, "\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a", 10);
}

static void test_a_fault_in_the_second_half_of_an_element(void **state)
{
    uint32_t *table = enter_paging();

    (void)state;
    fake_cpu_begin();
    table[3] = 0;
    vcpu->gpr[GPR_RDI] = 0x2ffe;
    assert_int_equal(string(INSD, 4), VERDICT_RESUME);
    fake_vcpu_assert_raised_with_code(&f, X86_PF, 2);
    assert_int_equal(f.registers[VCPU_CR2], 0x3000);
    assert_memory_equal(f.ram + 0x2ffe, "\0\0", 2);
    assert_int_equal(f.port_reads, 0);
    assert_int_equal(vcpu->gpr[GPR_RDI], 0x2ffe);
    vcpu->gpr[GPR_RSI] = 0x2ffe;
    vcpu->event.type = EVENT_NONE;
    assert_int_equal(string(OUTSD, 4), VERDICT_RESUME);
    fake_vcpu_assert_raised_with_code(&f, X86_PF, 0);
    assert_int_equal(f.port_writes, 0);
}

static void test_a_user_may_not_write_to_the_kernel(void **state)
{
    (void)state;
    fake_cpu_begin();
    uint32_t *table = enter_paging();
    ((uint32_t *)(f.ram + TABLE_AT))[0] |= PTE_US;
    table[CODE_AT >> 12] |= PTE_US;
    f.segments[SEG_SS].attributes |= SEG_ATTR_DPL_MASK;
    vcpu->gpr[GPR_RDI] = DATA_AT;
    assert_int_equal(string(INSB, 1), VERDICT_RESUME);
    fake_vcpu_assert_raised_with_code(&f, X86_PF, 7);
    assert_int_equal(f.port_reads, 0);
    table[DATA_AT >> 12] |= PTE_US;
    vcpu->event.type = EVENT_NONE;
    assert_int_equal(string(INSB, 1), VERDICT_NEXT);
}

static void test_code_that_is_gone(void **state)
{
    uint32_t *table = enter_paging();

    (void)state;
    fake_cpu_begin();
    table[CODE_AT >> 12] = 0;
    assert_int_equal(string(INSB, 1), VERDICT_RESUME);
    fake_vcpu_assert_raised_with_code(&f, X86_PF, 0);
    assert_int_equal(f.registers[VCPU_CR2], CODE_AT);
}

static void test_an_address_that_is_not_canonical(void **state)
{
    (void)state;
    enter_long_mode(true);
    vcpu->gpr[GPR_RDI] = BIT(47);
    assert_int_equal(string(INSB, 1), VERDICT_RESUME);
    fake_vcpu_assert_raised_with_code(&f, X86_GP, 0);
    assert_int_equal(f.port_reads, 0);
}

static void test_memory_that_is_not_ram(void **state)
{
    (void)state;
    vcpu->gpr[GPR_RSI] = vcpu->gpr[GPR_RDI] = 0xfed00000;
    assert_int_equal(string(OUTSD, 4), VERDICT_NEXT);
    assert_int_equal(f.port_written[0], UINT32_MAX);
    assert_int_equal(string(INSD, 4), VERDICT_NEXT);
}

/* --- segmentation --- */

/* Outside of 64-bit code a linear address has 32 bits, whatever the tables could map above. */
static void test_linear_addresses_wrap_in_compatibility_mode(void **state)
{
    (void)state;
    fake_cpu_begin();
    for (unsigned is_long = 0; is_long < 2; is_long++) {
        if (is_long)
            enter_long_mode(false);
        f.segments[SEG_DS].base = 0xfffff000;
        vcpu->gpr[GPR_RSI] = DATA_AT + 0x1000;
        f.ram[DATA_AT] = 0x66;
        assert_int_equal(string(OUTSB, 1), VERDICT_NEXT);
        assert_int_equal(f.port_written[is_long], 0x66);
    }
}

static void test_a_segments_limit(void **state)
{
    (void)state;
    f.segments[SEG_ES].limit = DATA_AT + 3;
    vcpu->gpr[GPR_RDI] = DATA_AT;
    assert_int_equal(string(INSD, 4), VERDICT_NEXT);
    vcpu->gpr[GPR_RDI] = DATA_AT + 1;
    assert_int_equal(string(INSD, 4), VERDICT_RESUME);
    fake_vcpu_assert_raised_with_code(&f, X86_GP, 0);
    assert_int_equal(f.port_reads, 1);
    vcpu->event.type = EVENT_NONE;
    f.segments[SEG_SS].limit = DATA_AT - 1;
    vcpu->gpr[GPR_RSI] = DATA_AT;
    assert_int_equal(string("\x36" OUTSB, 1), VERDICT_RESUME);
    fake_vcpu_assert_raised_with_code(&f, X86_SS, 0);
    assert_int_equal(f.port_writes, 0);
}

static void test_a_segment_that_expands_down(void **state)
{
    (void)state;
    f.segments[SEG_ES].attributes |= SEG_TYPE_EXPANDS_DOWN;
    f.segments[SEG_ES].limit = DATA_AT;
    vcpu->gpr[GPR_RDI] = DATA_AT + 1;
    assert_int_equal(string(INSB, 1), VERDICT_NEXT);
    vcpu->gpr[GPR_RDI] = DATA_AT;
    assert_int_equal(string(INSB, 1), VERDICT_RESUME);
    fake_vcpu_assert_raised_with_code(&f, X86_GP, 0);
    vcpu->event.type = EVENT_NONE;
    f.segments[SEG_ES].attributes &= (uint16_t)~SEG_ATTR_DB; /* its upper end is at 64 KiB then */
    vcpu->gpr[GPR_RDI] = 0xfffe;
    assert_int_equal(string(INSD, 4), VERDICT_RESUME);
    fake_vcpu_assert_raised_with_code(&f, X86_GP, 0);
}

static void test_a_segments_type(void **state)
{
    static const struct {
        const char *code;
        enum segment_register segment;
        uint16_t type;
        bool is_allowed;
    } rows[] = {
        {INSB, SEG_ES, 3, true},           {INSB, SEG_ES, 1, false},
        {INSB, SEG_ES, 0xb, false},        {OUTSB, SEG_DS, 1, true},
        {"\x2e" OUTSB, SEG_CS, 0xb, true}, {"\x2e" OUTSB, SEG_CS, 0x9, false},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint16_t *attributes = &f.segments[rows[i].segment].attributes, before = *attributes;

        vcpu->event.type = EVENT_NONE;
        vcpu->gpr[GPR_RDI] = vcpu->gpr[GPR_RSI] = DATA_AT;
        *attributes = (uint16_t)((before & ~SEG_ATTR_TYPE_MASK) | rows[i].type);
        assert_int_equal(string(rows[i].code, 1),
                         rows[i].is_allowed ? VERDICT_NEXT : VERDICT_RESUME);
        *attributes = before;
        if (!rows[i].is_allowed)
            fake_vcpu_assert_raised_with_code(&f, X86_GP, 0);
    }
}

static void test_an_unusable_segment(void **state)
{
    (void)state;
    f.segments[SEG_ES] = (struct segment){.limit = UINT32_MAX};
    vcpu->gpr[GPR_RDI] = DATA_AT;
    assert_int_equal(string(INSB, 1), VERDICT_RESUME);
    fake_vcpu_assert_raised_with_code(&f, X86_GP, 0);
}

/* --- single steps --- */

static void test_a_trap_flag_traps_between_iterations(void **state)
{
    (void)state;
    fake_cpu_begin();
    f.registers[VCPU_RFLAGS] |= RFLAGS_TF;
    vcpu->gpr[GPR_RSI] = DATA_AT;
    vcpu->gpr[GPR_RCX] = 2;
    assert_int_equal(string(REP OUTSB, 1), VERDICT_LEAVE);
    assert_int_equal(f.port_writes, 1);
    assert_int_equal(vcpu->gpr[GPR_RCX], 1);
    fake_vcpu_assert_raised(&f, X86_DB);
    assert_true(f.registers[VCPU_DR6] & DR6_BS);
    vcpu->event.type = EVENT_NONE;
    assert_int_equal(string(REP OUTSB, 1), VERDICT_NEXT); /* the last one's is the engine's, as any instruction's */
    fake_vcpu_assert_nothing_raised(&f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(in_merges_into_rax),
        T(out_writes_the_low_part),
        T(a_port_that_nobody_has),
        T(ins_and_outs_of_each_width),
        T(the_direction_flag),
        T(segments_of_outs),
        T(ins_has_no_segment_but_es),
        T(segments_in_64_bit_mode),
        T(address_sizes),
        T(a_16_bit_pointer_wraps),
        T(code_that_has_changed_meanwhile),
        T(rep_zero_times),
        T(a_long_rep_takes_several_exits),
        T(an_endless_rep_returns),
        T(an_element_that_crosses_pages),
        T(a_fault_in_the_middle_of_a_rep),
        T(a_fault_in_the_second_half_of_an_element),
        T(a_user_may_not_write_to_the_kernel),
        T(code_that_is_gone),
        T(an_address_that_is_not_canonical),
        T(memory_that_is_not_ram),
        T(linear_addresses_wrap_in_compatibility_mode),
        T(a_segments_limit),
        T(a_segment_that_expands_down),
        T(a_segments_type),
        T(an_unusable_segment),
        T(a_trap_flag_traps_between_iterations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
