/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever registers, tables, descriptors and code a guest has when it exits, the handlers come to a verdict, make
 * accesses of proper widths only, and leave a state that the CPU can be entered with: what is wrong with it becomes
 * the guest's exception. Input: a byte that picks a mode, then records of 12 bytes {what, which, where, value}.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/breakpoint.h"
#include "arch/x86/guest/cr.h"
#include "arch/x86/guest/io.h"
#include "arch/x86/guest/mmio.h"
#include "arch/x86/guest/startup.h"
#include "arch/x86/guest/task_switch.h"
#include "arch/x86/paging_format.h"
#include "arch/x86/regs.h"
#include "kernel/lib/bytes.h"

#define RECORD_BYTES 12u
#define GDT_AT       0x1000u
#define TSS_AT       0x2000u /* of the old task; the new ones follow */
#define TSS_STRIDE   0x100u
#define LDT_AT       0x3000u
#define CODE_AT      0x4000u
#define TABLES_AT    0x8000u
#define DEVICE       UINT64_C(0xd0000000)
#define PORT         0x80u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fake_vcpu f;
static struct vcpu *const vcpu = &f.vcpu;

/* --- devices that look at how they are accessed --- */

static uint64_t device_read(void *context, uint64_t offset, unsigned width)
{
    (void)context;
    if (width != 1 && width != 2 && width != 4 && width != 8)
        abort();
    return (offset + 1) * UINT64_C(0x0102030405060708) & bytes_mask(width);
}

static void device_write(void *context, uint64_t offset, unsigned width, uint64_t value)
{
    (void)context, (void)offset;
    if ((width != 1 && width != 2 && width != 4 && width != 8) || value & ~bytes_mask(width))
        abort();
}

static const struct io_region_ops device_ops = {device_read, device_write};

static void add_device(struct io_bus *bus, uint64_t base, unsigned size)
{
    struct io_region region = {"device", base, size, bus == &f.vm.ports ? 7 : IO_WIDTH_ANY, &device_ops, NULL, NULL};

    bus->frozen = false;
    if (io_bus_add(bus, &region) != 0)
        abort();
    io_bus_freeze(bus);
}

/* --- the guest --- */

static uint64_t descriptor(uint32_t base, uint32_t limit, unsigned type, unsigned flags)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)type << 40 | (uint64_t)(limit >> 16 & 15) << 48 |
           (uint64_t)flags << 52 | (uint64_t)(base >> 24) << 56;
}

/* Code and data of both rings, an LDT, and TSSs of both formats from entry 8 on. */
static void build_gdt(void)
{
    static const uint8_t types[] = {0, 0x9a, 0x92, 0xfa, 0xf2, 0x9e, 0x96, 0x90};

    for (unsigned i = 1; i < ARRAY_SIZE(types); i++)
        put_le64(f.ram + GDT_AT + 8 * i, descriptor(0, 0xfffff, types[i], 0xc));
    for (unsigned i = 0; i < 4; i++)
        put_le64(f.ram + GDT_AT + 8 * (8 + i), descriptor(TSS_AT + i * TSS_STRIDE, 0x67, i & 1 ? 0x81 : 0x89, 0));
    put_le64(f.ram + GDT_AT + 8 * 12, descriptor(LDT_AT, 0xff, 0x82, 0));
    f.gdtr = (struct descriptor_table){GDT_AT, 16 * 8 - 1};
}

/* A 32-bit task in ring 0, so that a switch to it has a chance. */
static void build_task(uint8_t *tss)
{
    static const uint16_t selectors[] = {0x10, 0x08, 0x10, 0x10, 0x10, 0x10};

    put_le32(tss + 28, TABLES_AT);
    put_le32(tss + 32, CODE_AT);
    put_le32(tss + 36, RFLAGS_ONE);
    put_le32(tss + 56, 0x7000);
    for (unsigned i = 0; i < ARRAY_SIZE(selectors); i++)
        put_le16(tss + 72 + 4 * i, selectors[i]);
}

/* What lies in RAM maps to itself, and so does the device: in long mode 4 levels, in the others what looks alike. */
static void build_tables(void)
{
    const uint64_t all = PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D;

    put_le64(f.ram + TABLES_AT, (TABLES_AT + 0x1000) | all);
    for (unsigned i = 0; i < 4; i++)
        put_le64(f.ram + TABLES_AT + 0x1000 + 8 * i, (TABLES_AT + 0x2000) | all);
    put_le64(f.ram + TABLES_AT + 0x2000, (TABLES_AT + 0x3000) | all);
    for (unsigned i = 0; i < FAKE_VCPU_RAM_BYTES / PAGE_SIZE; i++)
        put_le64(f.ram + TABLES_AT + 0x3000 + 8 * i, i * PAGE_SIZE | all);
    put_le64(f.ram + TABLES_AT + 0x3000 + 8 * 100, DEVICE | all);
}

static void set_mode(unsigned mode)
{
    f.segments[SEG_CS].selector = 8;
    if (mode == 0)
        f.registers[VCPU_CR0] = CR0_ET;
    if (mode < 2)
        return;
    f.registers[VCPU_CR0] |= CR0_PG | CR0_WP;
    f.registers[VCPU_CR4] = CR4_PAE;
    f.registers[VCPU_CR3] = TABLES_AT + (mode == 2 ? 0x1000 : 0);
    if (mode == 2)
        return;
    f.registers[VCPU_EFER] = EFER_LME | EFER_LMA | EFER_NXE;
    f.segments[SEG_CS].attributes = SEG_TYPE_CODE_RX_A | SEG_ATTR_S | SEG_ATTR_P | SEG_ATTR_L;
}

static void start(unsigned mode)
{
    fake_vcpu_init(&f);
    fake_cpu_begin();
    add_device(&f.vm.mmio, DEVICE, 2 * PAGE_SIZE);
    add_device(&f.vm.ports, PORT, 0x20);
    build_gdt();
    for (unsigned i = 0; i < 4; i++)
        build_task(f.ram + TSS_AT + i * TSS_STRIDE);
    build_tables();
    f.segments[SEG_TR] = (struct segment){8 * 8, SEG_ATTR_P | 11, 0x67, TSS_AT};
    f.registers[VCPU_RIP] = CODE_AT;
    f.registers[VCPU_RSP] = 0x7000;
    vcpu->xcr0 = 1;
    set_mode(mode % 4);
}

/* --- exits --- */

static void exit_io(const uint8_t record[RECORD_BYTES])
{
    struct vcpu_exit exit = {.kind = EXIT_IO};

    exit.io.port = (uint16_t)(PORT + record[2] % 0x30);
    exit.io.width = (uint8_t)(1u << record[1] % 3);
    exit.io.is_in = record[3] & 1;
    exit.io.is_string = record[3] & 2;
    exit.io.has_rep = record[3] & 2 && record[3] & 4;
    (void)io_handle(vcpu, &exit);
}

static void exit_memory(const uint8_t record[RECORD_BYTES])
{
    struct vcpu_exit exit = {.kind = EXIT_MEMORY};

    exit.memory.address = GPA(DEVICE + get_le16(record + 2) % (3 * PAGE_SIZE));
    exit.memory.is_fetch = record[1] == 0xff;
    if (record[1] & 1) {
        exit.fetched = record + 4;
        exit.fetched_bytes = 8;
    }
    (void)mmio_handle(vcpu, &exit);
}

static void exit_cr(const uint8_t record[RECORD_BYTES])
{
    static const uint8_t numbers[] = {0, 3, 4, 8};
    struct vcpu_exit exit = {.kind = EXIT_CR};

    exit.cr.number = numbers[record[1] % ARRAY_SIZE(numbers)];
    exit.cr.gpr = record[2] % GPR_COUNT;
    exit.cr.width = (uint8_t)(record[3] & 3 ? 8 : 2);
    exit.cr.is_read = record[3] & 4;
    exit.cr.value = get_le64(record + 4);
    if (record[3] & 8)
        exit.cr.value ^= f.registers[exit.cr.number == 0 ? VCPU_CR0 : exit.cr.number == 3 ? VCPU_CR3 : VCPU_CR4];
    (void)cr_handle(vcpu, &exit);
}

static void exit_xsetbv(const uint8_t record[RECORD_BYTES])
{
    static const struct vcpu_exit exit = {.kind = EXIT_XSETBV};

    vcpu->gpr[GPR_RCX] = record[1] % 3;
    vcpu->gpr[GPR_RAX] = get_le32(record + 4);
    vcpu->gpr[GPR_RDX] = record[8];
    (void)cr_handle_xsetbv(vcpu, &exit);
}

static void exit_task(const uint8_t record[RECORD_BYTES])
{
    struct vcpu_exit exit = {.kind = EXIT_TASK_SWITCH};

    if (f.registers[VCPU_EFER] & EFER_LMA)
        return; /* there are none, and no engine tells of one */
    exit.task.selector = record[1] & 0x80 ? get_le16(record + 2) : (uint16_t)(8 * (8 + record[2] % 4));
    exit.task.source = (enum task_source)(record[1] % 4);
    exit.task.length = record[4] % 16;
    exit.task.is_external = record[5] & 1;
    exit.task.has_error_code = exit.task.source == TASK_GATE && record[5] & 2;
    exit.task.error_code = record[6];
    (void)task_switch_handle(vcpu, &exit);
}

static void exit_debug(const uint8_t record[RECORD_BYTES])
{
    static const struct vcpu_exit exit = {.kind = EXIT_DEBUG_REGISTER};

    f.registers[VCPU_DR7] = get_le32(record + 4);
    vcpu->dr[record[1] % 4] = get_le16(record + 2);
    vcpu->may_have_breakpoints = true;
    (void)breakpoint_handle_first_use(vcpu, &exit);
}

/* --- what the guest does between its exits --- */

static void change_register(const uint8_t record[RECORD_BYTES])
{
    unsigned which = record[1] % (GPR_COUNT + 2);
    uint64_t value = get_le64(record + 4);

    if (record[2] & 1)
        value %= FAKE_VCPU_RAM_BYTES;
    else if (record[2] & 2)
        value = DEVICE + value % (2 * PAGE_SIZE);
    if (which < GPR_COUNT)
        vcpu->gpr[which] = value;
    else if (which == GPR_COUNT)
        f.registers[VCPU_RFLAGS] = (value & (RFLAGS_CF | RFLAGS_ZF | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_NT)) | RFLAGS_ONE;
    else
        f.registers[VCPU_RIP] = value;
}

static void write_ram(const uint8_t record[RECORD_BYTES])
{
    memcpy(f.ram + get_le16(record + 2) % (FAKE_VCPU_RAM_BYTES - 8), record + 4, 1u + record[1] % 8);
}

/* Instructions where RIP is at first. */
static void write_code(const uint8_t record[RECORD_BYTES])
{
    f.registers[VCPU_RIP] = CODE_AT;
    memcpy(f.ram + CODE_AT, record + 2, RECORD_BYTES - 2);
}

static void write_descriptor(const uint8_t record[RECORD_BYTES])
{
    memcpy(f.ram + (record[1] & 0x80 ? LDT_AT : GDT_AT) + record[1] % 16 * 8, record + 4, 8);
}

static void step(const uint8_t record[RECORD_BYTES])
{
    static void (*const actions[])(const uint8_t record[RECORD_BYTES]) = {
        exit_io, exit_memory, exit_memory, exit_cr, exit_xsetbv, exit_task, exit_task, exit_debug,
        change_register, change_register, write_ram, write_ram, write_code, write_descriptor,
    };

    actions[record[0] % ARRAY_SIZE(actions)](record);
}

/* SDM 3C, "Checks on Guest Segment Registers", as far as no engine makes it so itself; an event is one that there is. */
static void check_state(void)
{
    const struct segment *cs = &f.segments[SEG_CS];
    bool is_virtual_8086 = f.registers[VCPU_RFLAGS] & RFLAGS_VM;

    if (!(f.registers[VCPU_RFLAGS] & RFLAGS_ONE) || !(f.segments[SEG_TR].attributes & SEG_ATTR_P))
        abort();
    if (!(f.registers[VCPU_CR0] & CR0_PE) && f.registers[VCPU_CR0] & CR0_PG)
        abort();
    if (is_virtual_8086 && cs->base != (uint64_t)cs->selector << 4)
        abort();
    if (!is_virtual_8086 && (!(cs->attributes & SEG_ATTR_P) || !(cs->attributes & SEG_ATTR_S) || !(cs->attributes & 8)))
        abort();
    if (vcpu->event.type == EVENT_EXCEPTION && vcpu->event.vector > 31)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 + RECORD_BYTES)
        return 0;
    start(data[0]);
    for (size_t at = 1; at + RECORD_BYTES <= size; at += RECORD_BYTES) {
        step(data + at);
        check_state();
        vcpu->event.type = EVENT_NONE; /* delivered */
    }
    fake_vcpu_free(&f);
    return 0;
}
