/* SPDX-License-Identifier: BSD-2-Clause */
/* Single instructions of the host CPU as inline functions. */
#ifndef ARCH_X86_CPU_H
#define ARCH_X86_CPU_H

#include "kernel/lib/types.h"

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_result cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static inline uint64_t rdmsr(uint32_t index)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t index, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(index) : "memory");
}

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

#define CPU_DEFINE_REGISTER(name)                                                                  \
    static inline uint64_t read_##name(void)                                                       \
    {                                                                                              \
        uint64_t v;                                                                                \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(v));                                         \
        return v;                                                                                  \
    }                                                                                              \
    static inline void write_##name(uint64_t v)                                                    \
    {                                                                                              \
        __asm__ volatile("mov %0, %%" #name : : "r"(v) : "memory");                                \
    }
CPU_DEFINE_REGISTER(cr0)
CPU_DEFINE_REGISTER(cr2)
CPU_DEFINE_REGISTER(cr3)
CPU_DEFINE_REGISTER(cr4)
CPU_DEFINE_REGISTER(dr0)
CPU_DEFINE_REGISTER(dr1)
CPU_DEFINE_REGISTER(dr2)
CPU_DEFINE_REGISTER(dr3)
CPU_DEFINE_REGISTER(dr6)
CPU_DEFINE_REGISTER(dr7)
#undef CPU_DEFINE_REGISTER

static inline uint64_t xgetbv0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/*
 * AMD's CPUs load the x87's last instruction and operand pointers only together with an exception that is pending
 * (APM 2, "FXSAVE and FXRSTOR Instructions"): what executed last would show through to who is loaded next. This puts an
 * operand of no interest there. The x87's state is lost.
 */
static inline void x87_forget_pointers(void)
{
    static const uint32_t nothing;

    __asm__ volatile("fnclex\n\t" /* a pending exception would come at the next one */
                     "emms\n\t"
                     "fildl %0"
                     :
                     : "m"(nothing));
}

static inline void xsetbv0(uint64_t value)
{
    __asm__ volatile("xsetbv" : : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(0));
}

static inline void invlpg(const void *address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

#define CPU_CACHE_LINE_BYTES 64u

/* Writes [at, +bytes) back to memory, for who reads it past the caches. */
static inline void cpu_flush_range(const void *at, size_t bytes)
{
    const uint8_t *line = (const uint8_t *)ALIGN_DOWN((uint64_t)at, CPU_CACHE_LINE_BYTES);

    for (; line < (const uint8_t *)at + bytes; line += CPU_CACHE_LINE_BYTES)
        __asm__ volatile("clflush (%0)" : : "r"(line) : "memory");
    __asm__ volatile("mfence" : : : "memory");
}

/* DR0 to DR3 */
static inline uint64_t cpu_read_dr(unsigned n)
{
    return n == 0 ? read_dr0() : n == 1 ? read_dr1() : n == 2 ? read_dr2() : read_dr3();
}

static inline void cpu_relax(void)
{
    __builtin_ia32_pause();
}

static inline uint64_t irq_save(void)
{
    uint64_t flags;
    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
    return flags;
}

static inline void irq_restore(uint64_t flags)
{
    __asm__ volatile("pushq %0; popfq" : : "r"(flags) : "memory", "cc");
}

static inline void irq_disable(void)
{
    __asm__ volatile("cli" : : : "memory");
}

static inline NORETURN void cpu_halt_forever(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

#endif
