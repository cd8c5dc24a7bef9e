/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processor in each mode: descriptor tables, gates and tasks for long mode and for legacy modes, and a run of a case.
 * Page tables are tables.c. What switches is switch.asm; what a case is, and what comes out of it, nobody here knows.
 */
#include "arch/x86/apic_regs.h"
#include "arch/x86/msr.h"
#include "arch/x86/regs.h"
#include "guests/common/guest.h"
#include "guests/popek/asm.h"
#include "guests/popek/popek.h"
#include "guests/popek/tables.h"

#define VECTORS     256
#define STUB_BYTES  16
#define REAL_STUB_BYTES 8
#define ICR_SELF    0x40000u
#define ICR_ASSERT  0x4000u
#define ICR_NMI     0x400u

#define GATE_CALL16      0x84
#define GATE_TASK        0x85
#define GATE_CALL        0x8c /* of the mode's size: 32-bit, or 64-bit in long mode */
#define GATE_INTERRUPT   0x8e
#define GATE_TRAP        0x8f
#define GATE_USER        0x60
#define DESCRIPTOR_LDT   0x82
#define DESCRIPTOR_TASK  0x89
#define DESCRIPTOR_TASK16 0x81
#define DESCRIPTOR_BUSY  BIT(41)
#define PORTS_ALLOWED    0x3ffu
#define PORTS_HALF       0x4feu

static const uint64_t plain_descriptors[DESCRIPTORS] = {
    [SEL_CODE64 / 8] = 0x00af9b000000ffff,
    [SEL_DATA / 8] = 0x00cf93000000ffff,
    [SEL_CODE32 / 8] = 0x00cf9b000000ffff,
    [SEL_CODE16 / 8] = 0x00009b010000ffff, /* the low segment */
    [SEL_DATA16 / 8] = 0x000093010000ffff,
    [SEL_USER_DATA / 8] = 0x00cff3000000ffff,
    [SEL_USER_CODE64 / 8] = 0x00affb000000ffff,
    [SEL_USER_CODE32 / 8] = 0x00cffb000000ffff,
    [SEL_USER_CODE16 / 8] = 0x0000fb010000ffff,
    [SEL_USER_DATA16 / 8] = 0x0000f3010000ffff,
    [SEL_ABSENT / 8] = 0x00cf73000000ffff,
    [SEL_READ_ONLY / 8] = 0x00cff1000000ffff,
    [SEL_EXECUTE_ONLY / 8] = 0x00cff9000000ffff,
    [SEL_CONFORMING / 8] = 0x00cf9f000000ffff,
    [SEL_EXPAND_DOWN / 8] = 0x00cff7000000ffff,
};

struct PACKED long_gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

struct PACKED legacy_gate {
    uint16_t offset_low, selector;
    uint8_t reserved, type;
    uint16_t offset_high;
};

struct PACKED table {
    uint16_t limit;
    uint64_t base;
};

struct PACKED long_task {
    uint32_t reserved;
    uint64_t rsp[3], reserved2, ist[7], reserved3;
    uint16_t reserved4, map;
    uint8_t bitmap[8192], end;
};

struct PACKED legacy_task {
    uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags, reg[8], seg[6], ldt;
    uint16_t trap, map;
    uint8_t redirection[32], bitmap[8192], end;
};

/* The 16-bit task. */
struct PACKED small_task {
    uint16_t link, stacks[6], ip, flags, reg[8], seg[4], ldt;
};

struct PACKED long_frame {
    uint64_t seg[SEGMENTS], reg[REGS], ip, cs, flags, sp, ss;
};

struct PACKED long_caught {
    uint64_t seg[SEGMENTS], reg[REGS], vector, error, ip, cs, flags, sp, ss;
};

struct PACKED legacy_frame {
    uint32_t seg[SEGMENTS], reg[REGS], ip, cs, flags, sp, ss, es, ds, fs, gs;
};

struct PACKED legacy_caught {
    uint32_t seg[SEGMENTS], reg[REGS], vector, error, ip, cs, flags, sp, ss, es, ds, fs, gs;
};

struct PACKED real_frame {
    uint32_t seg[SEGMENTS], reg[REGS];
    uint16_t ip, cs, flags;
};

struct PACKED real_caught {
    uint16_t seg[SEGMENTS];
    uint32_t reg[REGS];
    uint16_t vector, ip, cs, flags;
};

static uint64_t long_descriptors[DESCRIPTORS];
uint64_t legacy_descriptors[DESCRIPTORS];
static uint64_t local_descriptors[2];
static struct long_gate long_idt[VECTORS];
static struct legacy_gate legacy_idt[VECTORS];
static struct long_task long_task;
static struct legacy_task legacy_task, other_task;
static struct small_task small_task;
static uint8_t catch_stack[4096] __attribute__((aligned(16)));
static uint8_t ring0_stack[4096] __attribute__((aligned(16)));

/* What switch.asm reads. */
struct table long_table, long_interrupts;
struct table legacy_table, legacy_interrupts;
struct PACKED far_pointer legacy_sp, real_entry;
uint32_t is_real, root, legacy_cr0, legacy_cr3, legacy_cr4;
const void *caught;
uint32_t caught_cr3;
uint16_t caught_ss, caught_task;

uint32_t cpu_cr0_tried = UINT32_MAX, cpu_cr4_tried = UINT32_MAX;
bool cpu_is_tcg;

void cpu_spare_tcg(void)
{
    cpu_is_tcg = true;
    cpu_cr0_tried = CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_CD;
    cpu_cr4_tried = CR4_TSD | CR4_DE | CR4_PSE | CR4_MCE | CR4_PGE | CR4_PCE | CR4_OSFXSR |
                    CR4_OSXMMEXCPT | CR4_UMIP | CR4_FSGSBASE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP | CR4_PKE;
}

static struct {
    uint64_t cr0, cr3, cr4, efer;
} defaults;

#define READER(name, instruction)                                                                                    \
    static inline uint64_t name(void)                                                                                \
    {                                                                                                                \
        uint64_t value;                                                                                              \
                                                                                                                     \
        __asm__ volatile(instruction : "=r"(value));                                                                 \
        return value;                                                                                                \
    }
#define WRITER(name, instruction)                                                                                    \
    static inline void name(uint64_t value)                                                                          \
    {                                                                                                                \
        __asm__ volatile(instruction : : "r"(value) : "memory");                                                     \
    }
READER(read_cr0, "mov %%cr0, %0")
READER(read_cr2, "mov %%cr2, %0")
READER(read_cr3, "mov %%cr3, %0")
READER(read_cr4, "mov %%cr4, %0")
READER(read_cr8, "mov %%cr8, %0")
READER(read_dr6, "mov %%dr6, %0")
READER(read_dr7, "mov %%dr7, %0")
WRITER(write_cr0, "mov %0, %%cr0")
WRITER(write_cr2, "mov %0, %%cr2")
WRITER(write_cr3, "mov %0, %%cr3")
WRITER(write_cr4, "mov %0, %%cr4")
WRITER(write_cr8, "mov %0, %%cr8")
WRITER(write_dr0, "mov %0, %%dr0")
WRITER(write_dr6, "mov %0, %%dr6")
WRITER(write_dr7, "mov %0, %%dr7")

static inline uint64_t rdmsr(uint32_t index)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return low | (uint64_t)high << 32;
}

static inline void wrmsr(uint32_t index, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static volatile uint32_t *apic(uint32_t offset)
{
    return (volatile uint32_t *)(uintptr_t)(0xfee00000u + offset);
}

/* --- descriptors and gates --- */

static uint32_t low_address(const uint8_t *symbol)
{
    return LOW_BASE + (uint32_t)(symbol - low_start);
}

static void set_system_descriptor(uint64_t *table, unsigned selector, const void *base, uint64_t type_and_limit)
{
    uint64_t address = (uintptr_t)base, type = type_and_limit >> 32, limit = (uint32_t)type_and_limit;

    table[selector / 8] = (limit & 0xffff) | (address & 0xffffff) << 16 | type << 40 | (limit >> 16 & 15) << 48 |
                          (address >> 24 & 0xff) << 56;
}

#define TYPE_AND_LIMIT(type, object_bytes) ((uint64_t)(type) << 32 | ((object_bytes) - 1))

static void set_descriptors(void)
{
    for (unsigned i = 0; i < DESCRIPTORS; i++)
        long_descriptors[i] = legacy_descriptors[i] = plain_descriptors[i];
    local_descriptors[0] = local_descriptors[1] = plain_descriptors[SEL_DATA / 8];

    uint64_t *const tables[] = {long_descriptors, legacy_descriptors};
    for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
        set_system_descriptor(tables[i], SEL_LDT, local_descriptors,
                              TYPE_AND_LIMIT(DESCRIPTOR_LDT, sizeof local_descriptors));
        set_system_descriptor(tables[i], SEL_TASK, i == 0 ? (void *)&long_task : &legacy_task,
                              TYPE_AND_LIMIT(DESCRIPTOR_TASK, i == 0 ? sizeof long_task : sizeof legacy_task));
        set_system_descriptor(tables[i], SEL_OTHER_TASK, i == 0 ? (void *)&long_task : &other_task,
                              TYPE_AND_LIMIT(DESCRIPTOR_TASK, i == 0 ? sizeof long_task : sizeof legacy_task));
    }
    uint64_t target = low_address(case_target);
    uint64_t gate = (target & 0xffff) | (uint64_t)(GATE_CALL | GATE_USER) << 40 | (target >> 16) << 48;
    long_descriptors[SEL_CALL_GATE / 8] = gate | (uint64_t)SEL_CODE64 << 16;
    legacy_descriptors[SEL_CALL_GATE / 8] = gate | (uint64_t)SEL_CODE32 << 16;
    set_system_descriptor(legacy_descriptors, SEL_PARKED_TASK, &legacy_task,
                          TYPE_AND_LIMIT(DESCRIPTOR_TASK, sizeof legacy_task));
    set_system_descriptor(legacy_descriptors, SEL_TASK16, &small_task,
                          TYPE_AND_LIMIT(DESCRIPTOR_TASK16, sizeof small_task));
    legacy_descriptors[SEL_TASK_GATE / 8] = (uint64_t)SEL_OTHER_TASK << 16 | (uint64_t)(GATE_TASK | GATE_USER) << 40;
}

/* What the vectors of cases are; all else is a kernel's interrupt gate. */
static const struct {
    uint8_t vector, type;
    uint16_t selector;
} special_gates[] = {
    {VECTOR_END, GATE_INTERRUPT | GATE_USER, 0},
    {VECTOR_USER, GATE_INTERRUPT | GATE_USER, 0},
    {VECTOR_TRAP_GATE, GATE_TRAP | GATE_USER, 0},
    {VECTOR_ABSENT, (GATE_INTERRUPT | GATE_USER) & 0x7f, 0},
    {VECTOR_BAD_CODE, GATE_INTERRUPT | GATE_USER, SEL_DATA},
    {X86_OF, GATE_INTERRUPT | GATE_USER, 0},
};

static void set_gate(unsigned vector, uint8_t type, uint16_t selector)
{
    uint64_t address = (uintptr_t)long_stubs + STUB_BYTES * vector;
    uint32_t legacy = (uint32_t)(uintptr_t)legacy_stubs + STUB_BYTES * vector;

    long_idt[vector] = (struct long_gate){(uint16_t)address, selector ? selector : SEL_CODE64, 1, type,
                                          (uint16_t)(address >> 16), 0, 0};
    legacy_idt[vector] = (struct legacy_gate){(uint16_t)legacy, selector ? selector : SEL_CODE32, 0, type,
                                              (uint16_t)(legacy >> 16)};
}

static void set_task_gate(unsigned vector, uint8_t type)
{
    legacy_idt[vector] = (struct legacy_gate){.selector = SEL_OTHER_TASK, .type = type};
}

static void set_gates(uint32_t options)
{
    static const struct {
        uint32_t option;
        uint8_t vector;
    } absent[] = {{WITHOUT_GATE_DB, X86_DB}, {WITHOUT_GATE_UD, X86_UD}, {WITHOUT_GATE_NP, X86_NP},
                  {WITHOUT_GATE_GP, X86_GP}, {WITHOUT_GATE_PF, X86_PF}};

    for (unsigned i = 0; i < ARRAY_SIZE(special_gates); i++)
        set_gate(special_gates[i].vector, special_gates[i].type, special_gates[i].selector);
    for (unsigned i = 0; i < ARRAY_SIZE(absent); i++)
        set_gate(absent[i].vector, options & absent[i].option ? GATE_INTERRUPT & 0x7f : GATE_INTERRUPT, 0);
    set_task_gate(VECTOR_TASK, GATE_TASK | GATE_USER);
    if (options & TASK_GATE_UD)
        set_task_gate(X86_UD, GATE_TASK);
    if (options & TASK_GATE_GP)
        set_task_gate(X86_GP, GATE_TASK);
}

/* All ports are denied but 2f8H to 2fbH, 3ffH, and the lower half of the word at 4feH. */
static void set_bitmap(uint8_t *bitmap, uint8_t *end)
{
    for (unsigned i = 0; i < 8192; i++)
        bitmap[i] = 0xff;
    bitmap[0x2f8 / 8] = 0xf0;
    bitmap[PORTS_ALLOWED / 8] &= (uint8_t)~(1u << PORTS_ALLOWED % 8);
    bitmap[PORTS_HALF / 8] &= (uint8_t)~(1u << PORTS_HALF % 8);
    *end = 0xff;
}

#define TASK_VALUE 0x7a5c0000u

/* Both run into an INT3 at once. */
static void set_other_tasks(uint32_t options)
{
    const uint16_t segments[] = {SEL_DATA, SEL_CODE32, SEL_DATA, options & TASK_BAD_DS ? SEL_ABSENT : SEL_DATA, 0, 0};

    other_task.link = small_task.link = 0;
    other_task.eip = low_address(case_target);
    other_task.eflags = RFLAGS_ONE | RFLAGS_ZF;
    other_task.trap = options & TASK_TRAP ? 1 : 0;
    for (unsigned i = 0; i < REGS; i++) {
        other_task.reg[i] = TASK_VALUE + i;
        small_task.reg[i] = (uint16_t)(0x100 + i);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(segments); i++)
        other_task.seg[i] = segments[i];
    other_task.reg[4] = LOW_BASE + LOW_TASK_STACK;
    small_task.reg[4] = LOW_TASK_STACK;
    small_task.ip = (uint16_t)(low_address(case_target) - LOW_BASE);
    small_task.flags = RFLAGS_ONE | RFLAGS_SF;
    small_task.seg[0] = small_task.seg[2] = small_task.seg[3] = SEL_DATA16;
    small_task.seg[1] = SEL_CODE16;
}

/* INT n of a virtual-8086 task goes through the IDT, or where real mode would go. */
static void set_redirection(uint32_t options)
{
    const uint8_t bit = 1u << VECTOR_USER % 8;

    for (unsigned i = 0; i < sizeof legacy_task.redirection; i++)
        legacy_task.redirection[i] = 0xff;
    if (options & REDIRECTED)
        legacy_task.redirection[VECTOR_USER / 8] &= (uint8_t)~bit;
}

/* What a switch saves is cleared, so that it shows. */
static void reset_tasks(const struct mode *mode, uint32_t options)
{
    legacy_task.cr3 = tables_root(mode);
    other_task.cr3 = tables_other_root(mode);
    set_redirection(options);
    legacy_task.eip = legacy_task.eflags = legacy_task.link = 0;
    for (unsigned i = 0; i < REGS; i++)
        legacy_task.reg[i] = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(legacy_task.seg); i++)
        legacy_task.seg[i] = 0;
    set_other_tasks(options);
    if (!(options & TASK_NESTED))
        return;
    legacy_task.link = SEL_OTHER_TASK;
    legacy_descriptors[SEL_OTHER_TASK / 8] |= DESCRIPTOR_BUSY;
}

void cpu_left_task(struct left_task *left)
{
    *left = (struct left_task){
        .ip = legacy_task.eip,
        .flags = legacy_task.eflags,
        .link = (uint16_t)(other_task.link | small_task.link),
        .is_busy = legacy_descriptors[SEL_TASK / 8] & DESCRIPTOR_BUSY,
        .is_other_busy = legacy_descriptors[SEL_OTHER_TASK / 8] & DESCRIPTOR_BUSY,
        .is_16_bit_busy = legacy_descriptors[SEL_TASK16 / 8] & DESCRIPTOR_BUSY,
    };
    for (unsigned i = 0; i < REGS; i++)
        left->reg[i] = legacy_task.reg[i];
    for (unsigned i = 0; i < ARRAY_SIZE(left->seg); i++)
        left->seg[i] = (uint16_t)legacy_task.seg[i];
}

static void set_tasks(void)
{
    long_task.rsp[0] = (uintptr_t)ring0_stack + sizeof ring0_stack;
    long_task.ist[0] = (uintptr_t)catch_stack + sizeof catch_stack;
    long_task.map = offsetof(struct long_task, bitmap);
    legacy_task.esp0 = (uint32_t)long_task.rsp[0];
    legacy_task.ss0 = SEL_DATA;
    legacy_task.map = offsetof(struct legacy_task, bitmap);
    set_bitmap(long_task.bitmap, &long_task.end);
    set_bitmap(legacy_task.bitmap, &legacy_task.end);
}

static struct table table_of(const void *base, size_t bytes)
{
    return (struct table){(uint16_t)(bytes - 1), (uintptr_t)base};
}

static void load_task(void)
{
    set_descriptors();
    __asm__ volatile("lgdt %0; lidt %1; lldt %w2; ltr %w3"
                     : : "m"(long_table), "m"(long_interrupts), "r"(0), "r"(SEL_TASK) : "memory");
}

static void copy_low(void)
{
    uint8_t *low = (uint8_t *)LOW_BASE;
    uint32_t *vectors = (uint32_t *)(LOW_BASE + LOW_IVT);

    for (size_t i = 0; i < (size_t)(low_end - low_start); i++)
        low[i] = low_start[i];
    for (unsigned i = 0; i < VECTORS; i++)
        vectors[i] = (uint32_t)LOW_SEGMENT << 16 |
                     (low_address(real_stubs) - LOW_BASE + REAL_STUB_BYTES * i);
    __asm__ volatile("movl %0, (%1)" /* of virtual-8086 tasks; to GCC there is nothing at so low an address */
                     : : "r"((uint32_t)LOW_SEGMENT << 16 | (low_address(case_target) - LOW_BASE)), "r"(4ul * VECTOR_USER)
                     : "memory");
    real_entry = (struct far_pointer){low_address(real_enter) - LOW_BASE, SEL_CODE16};
}

/* As firmware may have left it, or never set it: 115200 baud, 8 bits. */
static void start_uart(void)
{
    outb(0x3fb, 0x80);
    outb(0x3f8, 1);
    outb(0x3f9, 0);
    outb(0x3fb, 3);
}

static void start_apic(void)
{
    outb(0x21, 0xff); /* the PICs are masked: what comes is what a case asked for */
    outb(0xa1, 0xff);
    *apic(APIC_SVR) = 0x1ff;
}

void cpu_init(void)
{
    wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) | EFER_NXE | EFER_SCE);
    write_cr0((read_cr0() & ~(CR0_TS | CR0_EM | CR0_MP | CR0_WP | CR0_AM | CR0_CD | CR0_NW)) | CR0_NE);
    write_cr4(read_cr4() & CR4_PAE);
    tables_init();
    copy_low();
    set_tasks();
    for (unsigned i = 0; i < VECTORS; i++)
        set_gate(i, GATE_INTERRUPT, 0);
    long_table = table_of(long_descriptors, sizeof long_descriptors);
    long_interrupts = table_of(long_idt, sizeof long_idt);
    legacy_table = table_of(legacy_descriptors, sizeof legacy_descriptors);
    legacy_interrupts = table_of(legacy_idt, sizeof legacy_idt);
    start_uart();
    start_apic();
    defaults.cr0 = read_cr0();
    defaults.cr3 = read_cr3();
    defaults.cr4 = read_cr4();
    defaults.efer = rdmsr(MSR_IA32_EFER);
    root = (uint32_t)defaults.cr3;
}

/* --- a run --- */

static void run_in_long_mode(const struct cpu_state *state, struct outcome *outcome)
{
    struct long_frame frame = {.ip = state->ip, .cs = state->cs, .flags = state->flags, .ss = state->ss,
                               .sp = state->reg[REG_SP]};
    const struct long_caught *end;

    for (unsigned i = 0; i < SEGMENTS; i++)
        frame.seg[i] = state->seg[i];
    for (unsigned i = 0; i < REGS; i++)
        frame.reg[i] = state->reg[i];
    run_long(&frame);
    end = caught;
    outcome->vector = (uint8_t)end->vector;
    outcome->error = (uint32_t)end->error;
    for (unsigned i = 0; i < SEGMENTS; i++)
        outcome->after.seg[i] = (uint16_t)end->seg[i];
    for (unsigned i = 0; i < REGS; i++)
        outcome->after.reg[i] = end->reg[i];
    outcome->after.ip = end->ip;
    outcome->after.cs = (uint16_t)end->cs;
    outcome->after.flags = end->flags;
    outcome->after.ss = (uint16_t)end->ss;
    outcome->after.reg[REG_SP] = end->sp;
}

/* The way there and the way back load TR, which makes the task busy. */
static void run_switched(const struct mode *mode)
{
    is_real = mode->world == WORLD_REAL;
    legacy_cr0 = (uint32_t)read_cr0();
    legacy_cr3 = tables_root(mode);
    legacy_cr4 = (uint32_t)cpu_cr4(mode) | (uint32_t)(read_cr4() & ~CR4_PAE);
    long_descriptors[SEL_TASK / 8] &= ~DESCRIPTOR_BUSY;
    legacy_descriptors[SEL_TASK / 8] &= ~DESCRIPTOR_BUSY;
    legacy_descriptors[SEL_PARKED_TASK / 8] &= ~DESCRIPTOR_BUSY;
    run_legacy();
}

/* Where the frame must lie so that, popped, it leaves the stack pointer of the case. */
static void *place_frame(const void *frame, size_t bytes, uint32_t linear_sp)
{
    uint8_t *place = (uint8_t *)(uintptr_t)(linear_sp - bytes);

    for (size_t i = 0; i < bytes; i++)
        place[i] = ((const uint8_t *)frame)[i];
    return place;
}

/* Another ring is entered by a frame with its stack; the same ring by one without, on the stack of the case. */
static void enter_legacy_mode(const struct mode *mode, const struct cpu_state *state)
{
    bool is_vm86 = mode->world == WORLD_VM86;
    uint32_t base = state->ss == SEL_DATA16 ? LOW_BASE : 0, sp = (uint32_t)state->reg[REG_SP];
    struct legacy_frame frame = {.ip = (uint32_t)state->ip, .cs = state->cs, .sp = sp, .ss = state->ss,
                                 .flags = (uint32_t)(state->flags | (is_vm86 ? RFLAGS_VM : 0)),
                                 .es = state->seg[SEGMENT_ES], .ds = state->seg[SEGMENT_DS],
                                 .fs = state->seg[SEGMENT_FS], .gs = state->seg[SEGMENT_GS]};

    for (unsigned i = 0; i < SEGMENTS; i++)
        frame.seg[i] = is_vm86 ? 0 : state->seg[i];
    for (unsigned i = 0; i < REGS; i++)
        frame.reg[i] = (uint32_t)state->reg[i];
    if (mode->cpl == 0) {
        uint8_t *place = place_frame(&frame, offsetof(struct legacy_frame, sp), base + sp);

        legacy_sp = (struct far_pointer){(uint32_t)(uintptr_t)place - base, state->ss};
    } else {
        void *place = place_frame(&frame, sizeof frame, LOW_BASE + LOW_FRAME);

        legacy_sp = (struct far_pointer){(uint32_t)(uintptr_t)place, SEL_DATA};
    }
    run_switched(mode);
}

static void run_in_legacy_mode(const struct mode *mode, const struct cpu_state *state, struct outcome *outcome)
{
    const struct legacy_caught *end;
    struct cpu_state *after = &outcome->after;
    bool is_same_ring;

    enter_legacy_mode(mode, state);
    end = caught;
    is_same_ring = !(end->flags & RFLAGS_VM) && (end->cs & 3) == 0;
    outcome->vector = (uint8_t)end->vector;
    outcome->error = end->error;
    for (unsigned i = 0; i < SEGMENTS; i++)
        after->seg[i] = (uint16_t)end->seg[i];
    for (unsigned i = 0; i < REGS; i++)
        after->reg[i] = end->reg[i];
    after->ip = end->ip;
    after->cs = (uint16_t)end->cs;
    after->flags = end->flags;
    after->ss = is_same_ring ? caught_ss : (uint16_t)end->ss;
    after->reg[REG_SP] = is_same_ring ? (uint32_t)(uintptr_t)&end->sp - (caught_ss == SEL_DATA16 ? LOW_BASE : 0) : end->sp;
    if (end->flags & RFLAGS_VM) {
        after->seg[SEGMENT_ES] = (uint16_t)end->es;
        after->seg[SEGMENT_DS] = (uint16_t)end->ds;
        after->seg[SEGMENT_FS] = (uint16_t)end->fs;
        after->seg[SEGMENT_GS] = (uint16_t)end->gs;
    }
}

static void run_in_real_mode(const struct mode *mode, const struct cpu_state *state, struct outcome *outcome)
{
    struct real_frame frame = {.ip = (uint16_t)state->ip, .cs = state->cs, .flags = (uint16_t)state->flags};
    const struct real_caught *end;
    uint8_t *place;

    for (unsigned i = 0; i < SEGMENTS; i++)
        frame.seg[i] = state->seg[i];
    for (unsigned i = 0; i < REGS; i++)
        frame.reg[i] = (uint32_t)state->reg[i];
    place = place_frame(&frame, sizeof frame, LOW_BASE + (uint16_t)state->reg[REG_SP]);
    *(uint16_t *)(LOW_BASE + LOW_REAL_SP) = (uint16_t)(uintptr_t)(place - LOW_BASE);
    run_switched(mode);
    end = caught;
    outcome->vector = (uint8_t)end->vector;
    outcome->error = 0;
    for (unsigned i = 0; i < SEGMENTS; i++)
        outcome->after.seg[i] = end->seg[i];
    for (unsigned i = 0; i < REGS; i++)
        outcome->after.reg[i] = end->reg[i];
    outcome->after.ip = end->ip;
    outcome->after.cs = end->cs;
    outcome->after.flags = end->flags;
    outcome->after.ss = LOW_SEGMENT;
    outcome->after.reg[REG_SP] = (uint16_t)(uintptr_t)(end + 1);
}

/* --- each case finds the same --- */

static const struct {
    uint32_t index;
    uint64_t value;
} msr_defaults[] = {
    {MSR_IA32_SYSENTER_CS, SEL_CODE64},
    {MSR_IA32_SYSENTER_ESP, LOW_BASE + LOW_FRAME},
    {MSR_IA32_FMASK, 0},
    {MSR_IA32_FS_BASE, 0},
    {MSR_IA32_GS_BASE, 0},
    {MSR_IA32_KERNEL_GS_BASE, 0x1234},
    {MSR_IA32_PAT, PAT_RESET},
};

static void reset_registers(void)
{
    write_cr3(defaults.cr3);
    write_cr4(defaults.cr4);
    write_cr0(defaults.cr0);
    write_cr2(0);
    if (read_cr8() != 0)
        write_cr8(0);
    if (rdmsr(MSR_IA32_EFER) != defaults.efer)
        wrmsr(MSR_IA32_EFER, defaults.efer);
    if (read_dr7() != DR7_INIT) {
        write_dr7(DR7_INIT);
        write_dr0(0);
    }
    write_dr6(DR6_INIT);
    for (unsigned i = 0; i < ARRAY_SIZE(msr_defaults); i++)
        wrmsr(msr_defaults[i].index, msr_defaults[i].value);
    wrmsr(MSR_IA32_SYSENTER_EIP, low_address(case_target));
    wrmsr(MSR_IA32_STAR, (uint64_t)SEL_DATA16 << 48 | (uint64_t)SEL_CODE64 << 32 | low_address(case_target));
    wrmsr(MSR_IA32_LSTAR, low_address(case_target));
    wrmsr(MSR_IA32_CSTAR, low_address(case_target));
}

static bool is_at_apic(uint32_t registers)
{
    return *apic(registers + VECTOR_INTERRUPT / 32 * 0x10) & 1u << VECTOR_INTERRUPT % 32;
}

/* Takes what a case left pending, and ends what is in service. */
static void drain_apic(void)
{
    struct cpu_state idle = {.ip = low_address(case_target), .cs = SEL_CODE64, .ss = SEL_DATA,
                             .flags = RFLAGS_ONE | RFLAGS_IF, .reg[REG_SP] = LOW_BASE + LOW_STACK};
    struct outcome outcome;

    if (is_at_apic(APIC_ISR))
        *apic(APIC_EOI) = 0;
    if (is_at_apic(APIC_IRR)) {
        run_in_long_mode(&idle, &outcome);
        *apic(APIC_EOI) = 0;
    }
}

void cpu_prepare(uint64_t cr0, uint64_t cr4)
{
    write_cr0(read_cr0() | cr0);
    write_cr4(read_cr4() | cr4);
    if (cr4 & CR4_PKE)
        __asm__ volatile("wrpkru" : : "a"(0), "c"(0), "d"(0));
    write_dr6(DR6_INIT);
}

void cpu_reset(const struct mode *mode, uint32_t options)
{
    tables_reset(mode);
    reset_registers();
    set_gates(0);
    load_task();
    reset_tasks(mode, options);
    drain_apic();
    set_gates(options);
    if (options & WITH_INTERRUPT)
        *apic(APIC_ICR_LOW) = ICR_ASSERT | ICR_SELF | VECTOR_INTERRUPT;
}

void cpu_run(const struct mode *mode, const struct cpu_state *state, struct outcome *outcome)
{
    caught = NULL;
    if (mode->world == WORLD_LONG)
        run_in_long_mode(state, outcome);
    else if (mode->world == WORLD_REAL)
        run_in_real_mode(mode, state, outcome);
    else
        run_in_legacy_mode(mode, state, outcome);
    outcome->has_error = mode->world != WORLD_REAL && outcome->vector < X86_EXCEPTIONS &&
                         (X86_EXCEPTIONS_WITH_ERROR_CODE >> outcome->vector & 1);
    outcome->task = caught_task;
    outcome->root = mode->world == WORLD_LONG ? read_cr3() : caught_cr3;
    outcome->ts = read_cr0() & CR0_TS;
    outcome->cr2 = read_cr2();
    outcome->dr6 = read_dr6();
    if (read_dr7() != DR7_INIT)
        write_dr7(DR7_INIT); /* what the log needs must not hit a breakpoint */
}

uint64_t cpu_cr0(const struct mode *mode)
{
    return mode->paging == PAGING_NONE ? defaults.cr0 & ~CR0_PG : defaults.cr0;
}

uint64_t cpu_cr4(const struct mode *mode)
{
    return mode->paging == PAGING_32 ? (defaults.cr4 & ~CR4_PAE) | CR4_PSE : defaults.cr4;
}

uint64_t cpu_efer(void)
{
    return defaults.efer;
}
