/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How an operation is run and survived: descriptor tables and stacks that no operation changes for good, and an arena
 * of pages whose page table is the attacks' own.
 */
#include "guests/chaos/chaos.h"
#include "guests/common/apic.h"
#include "guests/common/guest.h"
#include "arch/x86/apic_regs.h"
#include "arch/x86/regs.h"

#define EMPTY_IST      4096u /* IST1: exceptions; they never return */
#define NMI_IST        3072u
#define INTERRUPT_IST  2048u
#define SELECTOR_TSS   64u
#define INT3           0xccu
#define BREAKPOINT     3u
#define NMI_VECTOR     2u
#define FIRST_INTERRUPT 32u
#define GATE_FOR_ALL   0xeeu /* present, DPL 3, 64-bit interrupt gate */
#define AUTH           0x68747541u /* enticAMD */
#define TSS_AVAILABLE  0x89u
#define APIC_BASE_BSP  BIT(8)
#define APIC_BASE_ON   BIT(11)

struct PACKED tss {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, io_map;
};

/* The stacks are behind it in the page: that is how an exception finds it. */
struct cpu {
    uint64_t rsp, cr3, interrupts; /* enter.asm knows these */
    struct tss tss;
    uint8_t stacks[] __attribute__((aligned(16)));
};
_Static_assert(offsetof(struct cpu, rsp) == 0 && offsetof(struct cpu, cr3) == 8 && offsetof(struct cpu, interrupts) == 16,
               "as enter.asm has it");
_Static_assert(offsetof(struct registers, rip) == 128 && offsetof(struct registers, rflags) == 136, "likewise");
_Static_assert(sizeof(struct cpu) < INTERRUPT_IST - 1024, "room for the lowest stack");

struct PACKED gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

struct PACKED table {
    uint16_t limit;
    uint64_t base;
};

unsigned cpu_enter(struct cpu *cpu, const struct registers *registers);
extern const uint64_t vector_stubs[256];

static uint8_t cpu_pages[ARENA_CPUS][PAGE_SIZE] __attribute__((aligned(4096)));
static uint8_t good_stacks[ARENA_CPUS][4096] __attribute__((aligned(4096)));
static uint64_t pointers[512] __attribute__((aligned(4096)));
static uint64_t directory[512] __attribute__((aligned(4096)));
static volatile uint64_t entries[ARENA_PAGES] __attribute__((aligned(4096)));
static uint64_t good_cr0, good_cr4, ram_bytes;

static const uint64_t flat_descriptors[] = {
    0,
    0x00af9b000000ffff, /* 64-bit code */
    0x00cf93000000ffff, /* data */
    0x00cf9b000000ffff, /* 32-bit code */
    0x008f9b000000ffff, /* 16-bit code; begins at the CPU's code page */
    0x00cff3000000ffff, /* user data */
    0x00affb000000ffff, /* user code */
    0x00cffb000000ffff, /* user 32-bit code */
};
static uint64_t descriptors[ARENA_CPUS][ARRAY_SIZE(flat_descriptors) + 2];
static struct gate idt[256];

/* Page tables that are devices' registers, nothing, or beyond what the CPU addresses. */
static const uint64_t lost_tables[] = {GUEST_LAPIC_BASE, GUEST_VIRTIO_BASE, GUEST_IOAPIC_BASE, GUEST_PCI_BASE, GIB(64), BIT(45)};

static struct cpu *cpu_of(unsigned number)
{
    return (struct cpu *)cpu_pages[number];
}

uint64_t machine_ram_bytes(void)
{
    return ram_bytes;
}

/* Its CPU is one of AMD's. */
bool machine_may_be_qemu(void)
{
    static bool is_known, is_amd;
    uint32_t eax = 0, ebx, ecx, edx;

    if (is_known)
        return is_amd;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    is_amd = ebx == AUTH;
    is_known = true;
    return is_amd;
}

/* --- the arena --- */

uint64_t arena_address(unsigned page)
{
    return ARENA_BASE + page * PAGE_SIZE;
}

volatile uint64_t *arena_entry(unsigned page)
{
    return &entries[page];
}

void arena_restore(unsigned page)
{
    entries[page] = (ARENA_PHYSICAL + page * PAGE_SIZE) | PTE_ALL;
}

void flush_page(uint64_t address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

uint64_t lost_address(struct chaos *c)
{
    return ARENA_BASE + (1 + below(c, ARRAY_SIZE(lost_tables))) * MIB(2);
}

/* Programs reach the first 2 MiB of it where they physically are, too: 32-bit code has no other address for them. */
static void open_to_programs(uint64_t *top)
{
    uint64_t *low = (uint64_t *)(top[0] & ~(PAGE_SIZE - 1)), *pages = (uint64_t *)(low[0] & ~(PAGE_SIZE - 1));

    top[0] |= PTE_US;
    low[0] |= PTE_US;
    pages[ARENA_PHYSICAL / MIB(2)] |= PTE_US;
}

/* The same tables a second time at the upper end of canonical addresses. */
static void make_arena(void)
{
    uint64_t *top;

    __asm__ volatile("mov %%cr3, %0" : "=r"(top));
    for (unsigned i = 0; i < ARENA_PAGES; i++)
        arena_restore(i);
    directory[0] = directory[511] = (uint64_t)entries | PTE_ALL;
    for (unsigned i = 0; i < ARRAY_SIZE(lost_tables); i++)
        directory[1 + i] = lost_tables[i] | PTE_ALL;
    pointers[ARENA_BASE >> 30 & 511] = pointers[511] = (uint64_t)directory | PTE_ALL;
    open_to_programs(top);
    top[ARENA_BASE >> 39] = top[255] = (uint64_t)pointers | PTE_ALL;
}

/* --- descriptor tables --- */

static unsigned ist_of(unsigned vector)
{
    if (vector == NMI_VECTOR)
        return 2;
    return vector >= FIRST_INTERRUPT ? 3 : 1;
}

static void make_idt(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t stub = vector_stubs[i];

        idt[i] = (struct gate){(uint16_t)stub, SELECTOR_CODE, (uint8_t)ist_of(i), GATE_FOR_ALL, (uint16_t)(stub >> 16), 0, 0};
    }
}

static void make_descriptors(unsigned number)
{
    struct tss *tss = &cpu_of(number)->tss;
    uint64_t page = (uint64_t)cpu_pages[number], base = (uint64_t)tss, limit = sizeof *tss - 1;
    uint64_t *gdt = descriptors[number];

    for (unsigned i = 0; i < ARRAY_SIZE(flat_descriptors); i++)
        gdt[i] = flat_descriptors[i];
    gdt[SELECTOR_CODE16 / 8] |= (uint64_t)code_page_physical(number) << 16;
    gdt[SELECTOR_TSS / 8] = limit | (base & 0xffffff) << 16 | (uint64_t)TSS_AVAILABLE << 40 | (base >> 24 & 0xff) << 56;
    gdt[SELECTOR_TSS / 8 + 1] = base >> 32;
    *tss = (struct tss){.ist = {page + EMPTY_IST, page + NMI_IST, page + INTERRUPT_IST}, .io_map = sizeof *tss};
}

void machine_init_cpu(unsigned number)
{
    struct table gdtr = {sizeof descriptors[number] - 1, (uint64_t)descriptors[number]};
    struct table idtr = {sizeof idt - 1, (uint64_t)idt};

    __asm__ volatile("cli");
    make_descriptors(number);
    __asm__ volatile("lgdt %0; lidt %1; ltr %w2" : : "m"(gdtr), "m"(idtr), "r"(SELECTOR_TSS) : "memory");
}

void lose_idt(void)
{
    struct table idtr = {sizeof idt - 1, GUEST_VIRTIO_BASE};

    __asm__ volatile("lidt %0" : : "m"(idtr));
}

void machine_init(uint64_t ram)
{
    ram_bytes = ram;
    make_arena();
    make_idt();
    __asm__ volatile("mov %%cr0, %0; mov %%cr4, %1" : "=r"(good_cr0), "=r"(good_cr4));
}

/* --- operations --- */

uint32_t code_page_physical(unsigned cpu)
{
    return ARENA_PHYSICAL + (uint32_t)((cpu * PAGES_OF_CPU + CODE_PAGE) * PAGE_SIZE);
}

uint8_t *code_page(const struct chaos *c)
{
    return (uint8_t *)arena_address(c->cpu * PAGES_OF_CPU + CODE_PAGE);
}

static void restore_control(void)
{
    __asm__ volatile("mov %0, %%cr4; mov %1, %%cr0" : : "r"(good_cr4), "r"(good_cr0));
}

void machine_restore_apic(void)
{
    uint64_t base = APIC_DEFAULT_BASE | APIC_BASE_ON, old = rdmsr(IA32_APIC_BASE);

    base |= old & APIC_BASE_BSP;
    if (old & APIC_BASE_EXTD) /* the way back is by off */
        wrmsr(IA32_APIC_BASE, base & ~APIC_BASE_ON);
    wrmsr(IA32_APIC_BASE, base);
    *(volatile uint32_t *)(APIC_DEFAULT_BASE + APIC_SVR) = APIC_SVR_ENABLE | 0xff;
}

/* From the start of its page, or so that it ends behind it. */
static uint64_t offset_of_code(const struct chaos *c, const struct operation *o)
{
    return o->straddles && o->length ? PAGE_SIZE - 1 - c->operations % o->length : 0;
}

/* Written where it physically is: the other CPU may have taken its page away. */
static void write_code(const struct chaos *c, const struct operation *o)
{
    uint8_t *at = (uint8_t *)(code_page_physical(c->cpu) + offset_of_code(c, o));

    for (unsigned i = 0; i < o->length; i++)
        at[i] = o->code[i];
    for (unsigned i = o->length; i < CODE_BYTES_MAX; i++)
        at[i] = INT3;
}

unsigned run(struct chaos *c, struct operation *o)
{
    unsigned vector;

    write_code(c, o);
    o->registers.rip = (uint64_t)code_page(c) + offset_of_code(c, o);
    vector = cpu_enter(cpu_of(c->cpu), &o->registers);
    if (o->is_dirty)
        restore_control();
    c->operations++;
    c->faults += vector != BREAKPOINT;
    return vector;
}

uint64_t interrupts_taken(void)
{
    return cpu_of(0)->interrupts + cpu_of(1)->interrupts;
}

/* --- building --- */

void put8(struct operation *o, uint8_t byte)
{
    if (o->length < CODE_BYTES_MAX)
        o->code[o->length++] = byte;
}

void put(struct operation *o, const void *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        put8(o, ((const uint8_t *)bytes)[i]);
}

void put32(struct operation *o, uint32_t value)
{
    put(o, &value, sizeof value);
}

void begin(struct chaos *c, struct operation *o)
{
    *o = (struct operation){.length = 0};
    for (unsigned i = 0; i < REGISTERS; i++)
        o->registers.gpr[i] = odd_value(c);
    o->registers.gpr[RSP] = (uint64_t)good_stacks[c->cpu] + sizeof good_stacks[0] / 2;
    o->registers.rflags = RFLAGS_ONE;
}
