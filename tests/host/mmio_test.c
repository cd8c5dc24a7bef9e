/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: an access that the exit tells of is done as the instruction says that is at RIP now: whatever
 * was fetched and decoded there before. The short way of a plain move gives what the emulator gives. An
 * operand that is not the one that the exit tells of is found by the guest's tables. A trap flag traps
 * between iterations. What cannot be done stops the VM and nothing else.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/emulate.h"
#include "arch/x86/guest/gva.h"
#include "arch/x86/guest/mmio.h"
#include "arch/x86/paging_format.h"
#include "arch/x86/regs.h"
#include "kernel/lib/bytes.h"

#define CODE      UINT64_C(0x400000) /* linear */
#define CODE_PAGE 0x1000u            /* where it is mapped at first */
#define OTHER     0x2000u
#define DATA      UINT64_C(0x401000)
#define DATA_PAGE 0x3000u
#define DEVICE    UINT64_C(0xd0000000) /* linear and physical: not mapped, the exit tells */
#define MAPPED    UINT64_C(0x402000)   /* as drivers have it, for what is accessed again and again */
#define PML4      0x8000u
#define PDPT      0x9000u
#define PD        0xa000u
#define PT        0xb000u
#define MARKED    (PTE_P | PTE_RW | PTE_A | PTE_D)

static struct fake_vcpu f;
static struct vcpu *const vcpu = &f.vcpu;

/* --- a device that counts up from what it was told --- */

static struct {
    uint64_t value, offset;
    unsigned reads, writes, width;
} device;

static uint64_t device_read(void *context, uint64_t offset, unsigned width)
{
    (void)context;
    device.reads++;
    device.offset = offset;
    device.width = width;
    return device.value;
}

static void device_write(void *context, uint64_t offset, unsigned width, uint64_t value)
{
    (void)context;
    device.writes++;
    device.offset = offset;
    device.width = width;
    device.value = value;
}

static const struct io_region_ops device_ops = {device_read, device_write};

/* --- a guest in 64-bit mode, its code in a page of 4 KiB --- */

static uint64_t *entry(uint64_t table, uint64_t index)
{
    return (uint64_t *)(f.ram + table) + index;
}

static void map(uint64_t linear, uint64_t physical)
{
    *entry(PML4, 0) = PDPT | MARKED;
    *entry(PDPT, 0) = PD | MARKED;
    *entry(PD, linear >> 21 & 511) = PT | MARKED;
    *entry(PT, linear >> 12 & 511) = physical | MARKED;
}

static int setup(void **state)
{
    struct io_region region = {"device", DEVICE, PAGE_SIZE, IO_WIDTH_ANY, &device_ops, NULL, NULL};

    (void)state;
    fake_vcpu_init(&f);
    memset(&device, 0, sizeof device);
    f.vm.mmio.frozen = false;
    assert_int_equal(io_bus_add(&f.vm.mmio, &region), 0);
    io_bus_freeze(&f.vm.mmio);
    map(CODE, CODE_PAGE);
    map(DATA, DATA_PAGE);
    f.registers[VCPU_CR0] |= CR0_PG | CR0_WP;
    f.registers[VCPU_CR3] = PML4;
    f.registers[VCPU_CR4] = CR4_PAE;
    f.registers[VCPU_EFER] = EFER_LME | EFER_LMA | EFER_NXE;
    f.registers[VCPU_RIP] = CODE;
    f.segments[SEG_CS].attributes = SEG_TYPE_CODE_RX_A | SEG_ATTR_S | SEG_ATTR_P | SEG_ATTR_L;
    f.segments[SEG_FS].base = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_vcpu_free(&f);
    return 0;
}

static void put_code(uint64_t physical, const void *bytes, size_t count)
{
    memset(f.ram + physical, 0xcc, INSTRUCTION_BYTES_MAX + 1);
    memcpy(f.ram + physical, bytes, count);
}

static enum verdict fault_at(uint64_t address, bool is_write)
{
    struct vcpu_exit exit = {.kind = EXIT_MEMORY};

    exit.memory.address = GPA(address);
    exit.memory.is_write = is_write;
    return mmio_handle(vcpu, &exit);
}

/* What may be written there may be read there. */
static enum verdict access_at(uint64_t address)
{
    return fault_at(address, true);
}

#define RUN(code) (put_code(CODE_PAGE, code, sizeof(code) - 1), access_at(DEVICE))

#define LOAD_EAX_RBX   "\x8b\x03"
#define LOAD_ECX_RBX   "\x8b\x0b"
#define STORE_RBX_EAX  "\x89\x03"
#define STORE_RBX_IMM  "\xc7\x03\x44\x33\x22\x11"
#define LOAD_EAX_RSP   "\x8b\x04\x24"
#define STORE_RBX_RSP  "\x48\x89\x23"
#define REP_STOSD      "\xf3\xab"
#define ADD_RBX_EAX    "\x01\x03"

/* The exit brings the bytes that the CPU fetched. */
static enum verdict access_with(const void *fetched, unsigned count)
{
    struct vcpu_exit exit = {.kind = EXIT_MEMORY, .fetched = fetched, .fetched_bytes = (uint8_t)count};

    exit.memory.address = GPA(DEVICE);
    exit.memory.is_write = true;
    return mmio_handle(vcpu, &exit);
}

/* --- moves --- */

static void a_load_and_a_store(void **state)
{
    (void)state;
    vcpu->gpr[GPR_RBX] = DEVICE;
    vcpu->gpr[GPR_RAX] = UINT64_MAX;
    device.value = 0x1122334455667788;
    assert_int_equal(RUN(LOAD_EAX_RBX), VERDICT_NEXT);
    assert_int_equal(vcpu->gpr[GPR_RAX], 0x55667788);
    assert_int_equal(vcpu->emulated_length, 2);
    assert_int_equal(RUN(STORE_RBX_IMM), VERDICT_NEXT);
    assert_int_equal(device.value, 0x11223344);
    assert_int_equal(device.width, 4);
    assert_int_equal(vcpu->emulated_length, 6);
    fake_vcpu_assert_nothing_raised(&f);
}

/* An FS override with base 0 means the same and is not plain. */
struct outcome {
    uint64_t gpr[GPR_COUNT], value, offset;
    unsigned reads, writes, width, length;
};

static struct outcome outcome_of(const uint8_t *code, size_t length)
{
    struct outcome o;

    memset(&device, 0, sizeof device);
    device.value = 0x8899aabbccddeeff;
    for (unsigned i = 0; i < GPR_COUNT; i++)
        vcpu->gpr[i] = f.registers[VCPU_RSP] = UINT64_C(0x0102030405060708) * (i + 1);
    vcpu->gpr[GPR_RBX] = DEVICE + 0x10;
    vcpu->gpr[GPR_R9] = DEVICE + 0x10;
    vcpu->gpr[GPR_RSI] = 4;
    put_code(CODE_PAGE, code, length);
    assert_int_equal(access_at(DEVICE + 0x20), VERDICT_NEXT);
    o = (struct outcome){.value = device.value, .offset = device.offset, .reads = device.reads,
                         .writes = device.writes, .width = device.width, .length = vcpu->emulated_length};
    memcpy(o.gpr, vcpu->gpr, sizeof o.gpr);
    o.gpr[GPR_RSP] = 0;
    return o;
}

static void the_short_way_is_the_emulators(void **state)
{
    static const struct {
        uint8_t length, bytes[10];
    } moves[] = {
        {3, {0x8b, 0x43, 0x10}},             /* mov eax, [rbx+16] */
        {4, {0x48, 0x8b, 0x43, 0x10}},       /* mov rax, [rbx+16] */
        {4, {0x66, 0x8b, 0x43, 0x10}},       /* mov ax, [rbx+16] */
        {3, {0x8a, 0x63, 0x10}},             /* mov ah, [rbx+16] */
        {4, {0x40, 0x8a, 0x6b, 0x10}},       /* mov bpl, [rbx+16] */
        {3, {0x88, 0x7b, 0x10}},             /* mov [rbx+16], bh */
        {4, {0x41, 0x8b, 0x41, 0x10}},       /* mov eax, [r9+16] */
        {4, {0x0f, 0xb6, 0x4b, 0x10}},       /* movzx ecx, byte [rbx+16] */
        {5, {0x48, 0x0f, 0xb7, 0x4b, 0x10}}, /* movzx rcx, word [rbx+16] */
        {3, {0x89, 0x53, 0x10}},             /* mov [rbx+16], edx */
        {4, {0x4c, 0x89, 0x7b, 0x10}},       /* mov [rbx+16], r15 */
        {7, {0xc7, 0x43, 0x10, 1, 2, 3, 4}}, /* mov dword [rbx+16], imm */
        {4, {0xc6, 0x43, 0x10, 9}},          /* mov byte [rbx+16], imm */
        {3, {0x8b, 0x04, 0xb3}},             /* mov eax, [rbx+rsi*4] */
        {4, {0x0f, 0xc3, 0x43, 0x10}},       /* movnti [rbx+16], eax */
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(moves); i++) {
        uint8_t code[11] = {0x64};
        struct instruction insn;
        struct outcome quick, general;

        memcpy(code + 1, moves[i].bytes, moves[i].length);
        assert_int_equal(decode_instruction(code + 1, sizeof code - 1, DECODE_64, &insn), 0);
        assert_int_equal(instruction_is_plain_move(&insn), true);
        assert_int_equal(decode_instruction(code, sizeof code, DECODE_64, &insn), 0);
        assert_false(instruction_is_plain_move(&insn));
        quick = outcome_of(moves[i].bytes, moves[i].length);
        if (i == 13) /* its operand is where the exit says only if rsi is scaled */
            assert_int_equal(quick.offset, 0x20);
        general = outcome_of(code, moves[i].length + 1u);
        assert_int_equal(general.length--, quick.length + 1);
        assert_memory_equal(&quick, &general, sizeof quick);
        assert_int_equal(quick.reads + quick.writes, 1);
    }
}

static void rip_counts_from_the_next_instruction(void **state)
{
    uint8_t code[] = {0x8b, 0x05, 0, 0, 0, 0};

    (void)state;
    device.value = 77;
    put_le32(code + 2, (uint32_t)(DEVICE - CODE - sizeof code));
    put_code(CODE_PAGE, code, sizeof code);
    assert_int_equal(access_at(DEVICE), VERDICT_NEXT);
    assert_int_equal(vcpu->gpr[GPR_RAX], 77);
}

static void rsp_is_the_engines(void **state)
{
    (void)state;
    vcpu->gpr[GPR_RSP] = 0xdead;
    f.registers[VCPU_RSP] = DEVICE;
    device.value = 5;
    assert_int_equal(RUN(LOAD_EAX_RSP), VERDICT_NEXT);
    assert_int_equal(vcpu->gpr[GPR_RAX], 5);
    vcpu->gpr[GPR_RBX] = DEVICE;
    vcpu->gpr[GPR_RSP] = 0xdead;
    assert_int_equal(RUN(STORE_RBX_RSP), VERDICT_NEXT);
    assert_int_equal(device.value, DEVICE);
}

/* --- what lies at RIP changes --- */

static void new_code_at_the_same_place_counts(void **state)
{
    (void)state;
    vcpu->gpr[GPR_RBX] = DEVICE;
    for (unsigned i = 0; i < 3; i++) {
        device.value = 100 + i;
        assert_int_equal(RUN(LOAD_EAX_RBX), VERDICT_NEXT);
        assert_int_equal(vcpu->gpr[GPR_RAX], 100 + i);
        vcpu->gpr[GPR_RAX] = 200 + i;
        assert_int_equal(RUN(STORE_RBX_EAX), VERDICT_NEXT);
        assert_int_equal(device.value, 200 + i);
        assert_int_equal(RUN(LOAD_ECX_RBX), VERDICT_NEXT);
        assert_int_equal(vcpu->gpr[GPR_RCX], 200 + i);
    }
}

/* Also when only the last byte of an instruction, or what is behind it, differs. */
static void every_byte_of_an_instruction_counts(void **state)
{
    uint8_t code[] = {0x48, 0xc7, 0x83, 0, 0, 0, 0, 1, 2, 3, 4}; /* mov qword [rbx+0], imm32 */

    (void)state;
    vcpu->gpr[GPR_RBX] = DEVICE;
    for (unsigned i = 0; i < 256; i++) { /* more than a cache can keep apart */
        code[7 + i % 4] ^= (uint8_t)(i + 1);
        put_code(CODE_PAGE, code, sizeof code);
        assert_int_equal(access_at(DEVICE), VERDICT_NEXT);
        assert_int_equal(device.value, (uint64_t)(int32_t)get_le32(code + 7));
    }
}

static void a_new_mapping_of_the_same_place_counts(void **state)
{
    (void)state;
    vcpu->gpr[GPR_RBX] = DEVICE;
    put_code(OTHER, LOAD_ECX_RBX, 2);
    device.value = 1;
    assert_int_equal(RUN(LOAD_EAX_RBX), VERDICT_NEXT);
    map(CODE, OTHER);
    device.value = 2;
    assert_int_equal(access_at(DEVICE), VERDICT_NEXT);
    assert_int_equal(vcpu->gpr[GPR_RAX], 1);
    assert_int_equal(vcpu->gpr[GPR_RCX], 2);
}

static void expect_fetch_fault(uint64_t table, uint64_t index, uint64_t value, uint32_t error_code)
{
    uint64_t before = *entry(table, index);

    vcpu->event.type = EVENT_NONE;
    *entry(table, index) = value;
    assert_int_equal(access_at(DEVICE), VERDICT_RESUME);
    fake_vcpu_assert_raised_with_code(&f, X86_PF, error_code);
    assert_int_equal(f.registers[VCPU_CR2], CODE);
    assert_int_equal(device.reads, 1); /* the one before */
    *entry(table, index) = before;
}

static void code_that_is_gone_faults(void **state)
{
    uint64_t page = CODE >> 12 & 511;

    (void)state;
    fake_cpu_begin();
    vcpu->gpr[GPR_RBX] = DEVICE;
    assert_int_equal(RUN(LOAD_EAX_RBX), VERDICT_NEXT);
    expect_fetch_fault(PT, page, 0, 0x10);
    expect_fetch_fault(PT, page, CODE_PAGE | MARKED | PTE_XD, 0x11);
    expect_fetch_fault(PD, CODE >> 21 & 511, 0, 0x10);
    expect_fetch_fault(PML4, 0, 0, 0x10);
    f.registers[VCPU_CR3] = OTHER; /* a page without tables */
    expect_fetch_fault(PML4, 0, *entry(PML4, 0), 0x10);
}

/* The second page of an instruction that crosses is asked for only if the instruction reaches it. */
static void an_instruction_may_end_with_its_page(void **state)
{
    static const uint8_t load[] = {0x8b, 0x03};

    (void)state;
    fake_cpu_begin();
    *entry(PT, DATA >> 12 & 511) = 0;
    vcpu->gpr[GPR_RBX] = DEVICE;
    f.registers[VCPU_RIP] = CODE + PAGE_SIZE - sizeof load;
    memcpy(f.ram + CODE_PAGE + PAGE_SIZE - sizeof load, load, sizeof load);
    device.value = 6;
    assert_int_equal(access_at(DEVICE), VERDICT_NEXT);
    assert_int_equal(vcpu->gpr[GPR_RAX], 6);
    f.registers[VCPU_RIP]++;
    f.ram[CODE_PAGE + PAGE_SIZE - 1] = 0x8b;
    assert_int_equal(access_at(DEVICE), VERDICT_RESUME);
    fake_vcpu_assert_raised_with_code(&f, X86_PF, 0x10);
    assert_int_equal(f.registers[VCPU_CR2], CODE + PAGE_SIZE);
}

/* --- operands --- */

static void another_operand_is_found_by_the_tables(void **state)
{
    (void)state;
    vcpu->gpr[GPR_RBX] = DATA + 8;
    put_le32(f.ram + DATA_PAGE + 8, 0x600d);
    assert_int_equal(RUN(LOAD_EAX_RBX), VERDICT_NEXT); /* the exit says offset 0 */
    assert_int_equal(vcpu->gpr[GPR_RAX], 0x600d);
    assert_int_equal(device.reads, 0);
}

/* The exit tells of the second page; the operand begins in the first. */
static void an_operand_across_two_pages(void **state)
{
    (void)state;
    map(DATA + PAGE_SIZE, DEVICE);
    f.ram[DATA_PAGE + PAGE_SIZE - 1] = 0x5a;
    vcpu->gpr[GPR_RBX] = DATA + PAGE_SIZE - 1;
    device.value = 0x77;
    assert_int_equal(RUN(LOAD_EAX_RBX), VERDICT_NEXT);
    assert_int_equal(vcpu->gpr[GPR_RAX], 0x7777775a);
    assert_int_equal(device.reads, 3);
}

static void flags_are_read_and_written(void **state)
{
    (void)state;
    vcpu->gpr[GPR_RBX] = DEVICE;
    vcpu->gpr[GPR_RAX] = 1;
    device.value = UINT32_MAX;
    assert_int_equal(RUN(ADD_RBX_EAX), VERDICT_NEXT);
    assert_int_equal(device.value, 0);
    assert_true(f.registers[VCPU_RFLAGS] & RFLAGS_ZF);
    assert_true(f.registers[VCPU_RFLAGS] & RFLAGS_CF);
}

static void code_of_32_bits(void **state)
{
    (void)state;
    f.segments[SEG_CS].attributes = SEG_TYPE_CODE_RX_A | SEG_ATTR_S | SEG_ATTR_P | SEG_ATTR_DB;
    vcpu->gpr[GPR_RBX] = DEVICE | BIT(32);
    device.value = 3;
    assert_int_equal(RUN(LOAD_EAX_RBX), VERDICT_NEXT);
    assert_int_equal(vcpu->gpr[GPR_RAX], 3);
}

/* --- single steps --- */

static void a_trap_flag_traps_between_iterations(void **state)
{
    (void)state;
    fake_cpu_begin();
    f.registers[VCPU_DR6] = DR6_INIT;
    f.registers[VCPU_RFLAGS] |= RFLAGS_TF;
    f.registers[VCPU_DR7] = DR7_INIT | DR7_GD;
    vcpu->gpr[GPR_RDI] = MAPPED;
    vcpu->gpr[GPR_RCX] = 2;
    map(MAPPED, DEVICE);
    assert_int_equal(RUN(REP_STOSD), VERDICT_LEAVE);
    assert_int_equal(device.writes, 1);
    assert_int_equal(vcpu->gpr[GPR_RCX], 1);
    fake_vcpu_assert_raised(&f, X86_DB);
    assert_int_equal(f.registers[VCPU_DR6], DR6_INIT | DR6_BS);
    assert_int_equal(f.registers[VCPU_DR7], DR7_INIT);
    vcpu->event.type = EVENT_NONE;
    assert_int_equal(access_at(DEVICE + 4), VERDICT_NEXT); /* the last one's trap is the engine's, as any instruction's */
    assert_int_equal(vcpu->gpr[GPR_RCX], 0);
    fake_vcpu_assert_nothing_raised(&f);
}

static void without_it_iterations_follow_each_other(void **state)
{
    (void)state;
    vcpu->gpr[GPR_RDI] = MAPPED;
    vcpu->gpr[GPR_RCX] = EMULATE_REPEAT_MAX + 1;
    map(MAPPED, DEVICE);
    assert_int_equal(RUN(REP_STOSD), VERDICT_LEAVE);
    assert_int_equal(vcpu->gpr[GPR_RCX], 1);
    fake_vcpu_assert_nothing_raised(&f);
}

/* --- what cannot be done --- */

static void expect_stop(enum verdict verdict)
{
    assert_int_equal(verdict, VERDICT_STOP);
    assert_int_equal(f.vm.stop_reason, STOP_ERROR);
    assert_int_equal(f.crashes, 1);
    assert_int_equal(device.reads + device.writes, 0);
}

static void an_instruction_that_nobody_knows(void **state)
{
    (void)state;
    expect_stop(RUN("\x0f\x0b"));
}

static void a_jump_to_where_nothing_is(void **state)
{
    struct vcpu_exit exit = {.kind = EXIT_MEMORY};

    (void)state;
    exit.memory.is_fetch = true;
    expect_stop(mmio_handle(vcpu, &exit));
}

static void an_event_whose_frame_is_nowhere(void **state)
{
    (void)state;
    vcpu->event.type = EVENT_INTERRUPT;
    expect_stop(RUN(LOAD_EAX_RBX));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* --- what the CPU fetched --- */

/* Not a byte of the guest's memory is read: nothing is mapped there. */
static void code_that_the_cpu_brings_needs_no_walk(void **state)
{
    uint8_t fetched[INSTRUCTION_BYTES_MAX] = LOAD_EAX_RBX;

    (void)state;
    vcpu->gpr[GPR_RBX] = DEVICE;
    *entry(PML4, 0) = 0;
    device.value = 0x77;
    assert_int_equal(access_with(fetched, sizeof fetched), VERDICT_NEXT);
    assert_int_equal(vcpu->gpr[GPR_RAX], 0x77);
    assert_int_equal(vcpu->emulated_length, 2);
    vcpu->gpr[GPR_RAX] = 0;
    assert_int_equal(access_with(fetched, 2), VERDICT_NEXT); /* just enough */
    assert_int_equal(vcpu->gpr[GPR_RAX], 0x77);
    fake_vcpu_assert_nothing_raised(&f);
}

/* The mapped code is another instruction, so that it shows which one was executed. */
static void too_little_or_too_much_is_fetched_again(void **state)
{
    static const uint8_t counts[] = {0, 1, 2, 16, 200, 255};
    uint8_t fetched[256] = STORE_RBX_IMM;

    (void)state;
    vcpu->gpr[GPR_RBX] = DEVICE;
    put_code(CODE_PAGE, LOAD_ECX_RBX, 2);
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
        device.value = i + 1;
        assert_int_equal(access_with(fetched, counts[i]), VERDICT_NEXT);
        assert_int_equal(vcpu->gpr[GPR_RCX], i + 1);
    }
    assert_int_equal(device.writes, 0);
}

static void what_the_cpu_brings_may_be_no_instruction_of_ours(void **state)
{
    uint8_t fetched[INSTRUCTION_BYTES_MAX] = "\x0f\x0b";

    (void)state;
    assert_int_equal(access_with(fetched, sizeof fetched), VERDICT_STOP);
    assert_int_equal(f.vm.stop_reason, STOP_ERROR);
}

/* Of a MOV to a control register the exit is for the page-directory-pointer entries: all ones, with reserved bits. */
static void pointers_that_are_nowhere_are_refused(void **state)
{
    (void)state;
    assert_int_equal(RUN("\x0f\x22\xd8"), VERDICT_RESUME); /* mov cr3, rax */
    fake_vcpu_assert_raised_with_code(&f, X86_GP, 0);
    assert_int_equal(f.crashes, 0);
}

/* The exit was for a page table on the way to it: the fetch cannot succeed, and would be tried for ever. */
static void code_behind_a_table_that_is_nowhere(void **state)
{
    (void)state;
    map(CODE, DEVICE);
    assert_int_equal(access_at(DEVICE), VERDICT_STOP);
    assert_int_equal(f.vm.stop_reason, STOP_ERROR);
}

/* By another CPU, in the page of a device that this one may only read. */
static void a_load_that_has_become_a_store(void **state)
{
    (void)state;
    map(MAPPED, DEVICE);
    *entry(PT, MAPPED >> 12 & 511) &= ~PTE_RW;
    f.registers[VCPU_CR0] |= CR0_WP;
    vcpu->gpr[GPR_RBX] = MAPPED;
    put_code(CODE_PAGE, STORE_RBX_IMM, sizeof STORE_RBX_IMM - 1);
    assert_int_equal(fault_at(DEVICE, false), VERDICT_RESUME);
    assert_int_equal(device.writes, 0);
    fake_vcpu_assert_raised_with_code(&f, X86_PF, PFEC_P | PFEC_WR);
    vcpu->event.type = EVENT_NONE;
    *entry(PT, MAPPED >> 12 & 511) |= PTE_RW;
    assert_int_equal(fault_at(DEVICE, false), VERDICT_NEXT);
    assert_int_equal(device.writes, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_load_and_a_store),
        TEST(a_load_that_has_become_a_store),
        TEST(the_short_way_is_the_emulators),
        TEST(rip_counts_from_the_next_instruction),
        TEST(rsp_is_the_engines),
        TEST(new_code_at_the_same_place_counts),
        TEST(every_byte_of_an_instruction_counts),
        TEST(a_new_mapping_of_the_same_place_counts),
        TEST(code_that_is_gone_faults),
        TEST(an_instruction_may_end_with_its_page),
        TEST(another_operand_is_found_by_the_tables),
        TEST(an_operand_across_two_pages),
        TEST(flags_are_read_and_written),
        TEST(code_of_32_bits),
        TEST(a_trap_flag_traps_between_iterations),
        TEST(without_it_iterations_follow_each_other),
        TEST(an_instruction_that_nobody_knows),
        TEST(pointers_that_are_nowhere_are_refused),
        TEST(code_behind_a_table_that_is_nowhere),
        TEST(a_jump_to_where_nothing_is),
        TEST(an_event_whose_frame_is_nowhere),
        TEST(code_that_the_cpu_brings_needs_no_walk),
        TEST(too_little_or_too_much_is_fetched_again),
        TEST(what_the_cpu_brings_may_be_no_instruction_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
