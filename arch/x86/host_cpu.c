/* SPDX-License-Identifier: BSD-2-Clause */
/* The rest of arch/arch.h: interrupts on and off, random seeds, what a panic prints of this CPU. */
#include "arch/arch.h"
#include "arch/x86/cpu.h"
#include "arch/x86/paging.h"
#include "arch/x86/regs.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

#define RANDOM_TRIES     10u /* SDM 1, "RDRAND": that many failures in a row mean a broken generator */

/* STI's shadow closes the race: an interrupt that is pending ends the HLT. */
void arch_wait_for_interrupt(void)
{
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}

void arch_take_interrupts(void)
{
    __asm__ volatile("sti; nop; cli" : : : "memory");
}

uint64_t arch_irq_save(void)
{
    return irq_save();
}

void arch_irq_restore(uint64_t flags)
{
    irq_restore(flags);
}

static bool rdseed64(uint64_t *value)
{
    bool ok;
    __asm__ volatile("rdseed %0" : "=r"(*value), "=@ccc"(ok));
    return ok;
}

static bool rdrand64(uint64_t *value)
{
    bool ok;
    __asm__ volatile("rdrand %0" : "=r"(*value), "=@ccc"(ok));
    return ok;
}

static bool try_often(bool (*generate)(uint64_t *), uint64_t *value)
{
    for (unsigned i = 0; i < RANDOM_TRIES; i++)
        if (generate(value))
            return true;
    return false;
}

bool arch_random_seed(void *to, size_t size)
{
    bool has_rdseed = cpuid(0, 0).eax >= 7 && (cpuid(7, 0).ebx & CPUID_7_EBX_RDSEED);
    bool has_rdrand = cpuid(1, 0).ecx & CPUID_1_ECX_RDRAND;
    uint8_t *out = to;

    while (size > 0) {
        size_t chunk = MIN(size, sizeof(uint64_t));
        uint64_t value;

        if (!(has_rdseed && try_often(rdseed64, &value)) && !(has_rdrand && try_often(rdrand64, &value)))
            return false;
        memcpy(out, &value, chunk);
        out += chunk;
        size -= chunk;
    }
    return true;
}

void arch_log_registers(void)
{
    uint64_t rsp, rbp;

    __asm__("mov %%rsp, %0" : "=r"(rsp));
    __asm__("mov %%rbp, %0" : "=r"(rbp));
    log_error("panic", "rsp %016lx rbp %016lx cr0 %lx cr2 %lx cr3 %lx cr4 %lx", rsp, rbp, read_cr0(), read_cr2(),
              read_cr3(), read_cr4());
}
