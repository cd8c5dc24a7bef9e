/* SPDX-License-Identifier: BSD-2-Clause */
/* GDT and TSS for each CPU, one IDT for all; see descriptors.h. */
#include "arch/x86/descriptors.h"
#include "arch/x86/cpu.h"
#include "arch/x86/msr.h"
#include "arch/x86/regs.h"
#include "arch/x86/trap.h"
#include "kernel/pcpu.h"

#define GDT_CODE64      0x00af9b000000ffffull
#define GDT_DATA        0x00cf93000000ffffull
#define GDT_TYPE_TSS    0x89ull
#define GATE_INTERRUPT  0x8eull

struct gate {
    uint64_t low, high;
};

static struct gate idt[256];
extern const uint8_t trap_stubs[256][TRAP_STUB_BYTES]; /* trap.asm */

static uint8_t ist_of(unsigned vector)
{
    switch (vector) {
    case X86_NMI:
        return IST_NMI;
    case X86_DF:
        return IST_DF;
    case X86_MC:
        return IST_MC;
    default:
        return IST_NONE;
    }
}

void idt_init(void)
{
    for (unsigned v = 0; v < ARRAY_SIZE(idt); v++) {
        uint64_t entry = (uint64_t)trap_stubs[v];

        idt[v].low = (entry & 0xffff) | (uint64_t)HOST_CS << 16 | (uint64_t)ist_of(v) << 32 |
                     GATE_INTERRUPT << 40 | (entry >> 16 & 0xffff) << 48;
        idt[v].high = entry >> 32;
    }
}

uint64_t idt_base(void)
{
    return (uint64_t)idt;
}

void idt_load(void)
{
    struct descriptor_register r = {sizeof idt - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(r));
}

static void set_tss_descriptor(uint64_t *slot, const struct tss *tss)
{
    uint64_t base = (uint64_t)tss, limit = sizeof *tss - 1;

    slot[0] = limit | (base & 0xffffff) << 16 | GDT_TYPE_TSS << 40 | (base >> 24 & 0xff) << 56;
    slot[1] = base >> 32;
}

static void load_segments(void)
{
    __asm__ volatile("pushq %0\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "mov %1, %%ds\n\tmov %1, %%es\n\tmov %1, %%ss\n\t"
                     "xor %%eax, %%eax\n\tmov %%eax, %%fs\n\tmov %%eax, %%gs\n\t"
                     "ltr %w2"
                     :
                     : "i"(HOST_CS), "r"(HOST_DS), "r"(HOST_TR)
                     : "rax", "memory");
}

void descriptors_load(struct pcpu *cpu)
{
    struct arch_cpu *arch = cpu->arch;
    struct descriptor_register r = {sizeof arch->gdt - 1, (uint64_t)arch->gdt};

    arch->gdt[0] = 0;
    arch->gdt[HOST_CS / 8] = GDT_CODE64;
    arch->gdt[HOST_DS / 8] = GDT_DATA;
    arch->tss.iomap_base = sizeof arch->tss;
    set_tss_descriptor(&arch->gdt[HOST_TR / 8], &arch->tss);
    __asm__ volatile("lgdt %0" : : "m"(r));
    load_segments();
    idt_load();
    wrmsr(MSR_IA32_GS_BASE, (uint64_t)cpu);
}
