/* SPDX-License-Identifier: BSD-2-Clause */
/* See smp.h. SDM 3A, "Multiple-Processor (MP) Initialization". */
#include "guests/common/smp.h"
#include "guests/common/apic.h"

#define ICR_INIT    (APIC_ICR_DELIVERY_INIT | APIC_ICR_ASSERT)
#define ICR_SIPI    (APIC_ICR_DELIVERY_STARTUP | APIC_ICR_ASSERT)
#define STACK_BYTES 8192u
#define WAIT_TICKS  200000000u

extern const uint8_t ap_start[], ap_start_end[];
extern uint32_t ap_cr3;
extern uint64_t ap_stack, ap_argument;
extern void (*ap_main)(unsigned id);

static uint8_t stacks[SMP_CPUS_MAX][STACK_BYTES] __attribute__((aligned(16)));
static void (*wanted_main)(unsigned id);
static volatile bool has_begun;

static void begin(unsigned id)
{
    has_begun = true;
    wanted_main(id);
}

static void copy_start(void)
{
    volatile uint8_t *page = (volatile uint8_t *)(uintptr_t)SMP_AP_PAGE;
    uint64_t cr3;

    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    ap_cr3 = (uint32_t)cr3;
    for (unsigned i = 0; i < (unsigned)(ap_start_end - ap_start); i++)
        page[i] = ap_start[i];
}

void smp_send_init_sipi(unsigned id, uint8_t page)
{
    apic_send_ipi((uint8_t)id, ICR_INIT);
    apic_send_ipi((uint8_t)id, ICR_SIPI | page);
}

bool smp_start(unsigned id, void (*main)(unsigned id))
{
    uint64_t end = read_tsc() + WAIT_TICKS;

    wanted_main = main;
    has_begun = false;
    ap_main = begin;
    ap_argument = id;
    ap_stack = (uint64_t)stacks[id % SMP_CPUS_MAX] + STACK_BYTES;
    copy_start();
    smp_send_init_sipi(id, SMP_AP_PAGE >> PAGE_SHIFT);
    while (!has_begun && read_tsc() < end)
        __asm__ volatile("pause");
    return has_begun;
}
