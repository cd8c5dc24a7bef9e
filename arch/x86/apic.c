/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's local APIC, as MMIO or as x2APIC MSRs (SDM 3A, "Advanced Programmable Interrupt Controller").
 * The two differ in one read, one write and the ICR's shape; everything else is written once.
 */
#include "arch/x86/apic.h"
#include "arch/arch.h"
#include "arch/x86/apic_regs.h"
#include "arch/x86/cpu.h"
#include "arch/x86/msr.h"
#include "arch/x86/regs.h"
#include "arch/x86/trap.h"
#include "kernel/timer.h"

#define CALIBRATION_NS 2000000u

static volatile uint8_t *page;
static bool is_x2apic;
static bool has_tsc_deadline;
static uint64_t timer_hz; /* of the count-down timer, where there is no TSC deadline */

static uint32_t apic_read(unsigned offset)
{
    if (is_x2apic)
        return (uint32_t)rdmsr(MSR_IA32_X2APIC_FIRST + offset / 16);
    return *(volatile uint32_t *)(page + offset);
}

static void apic_write(unsigned offset, uint32_t value)
{
    if (is_x2apic)
        wrmsr(MSR_IA32_X2APIC_FIRST + offset / 16, value);
    else
        *(volatile uint32_t *)(page + offset) = value;
}

/* From disabled to x2APIC there is no way but through xAPIC (SDM 3A, "x2APIC State Transitions"). */
static void set_mode(uint64_t mode)
{
    wrmsr(MSR_IA32_APIC_BASE, rdmsr(MSR_IA32_APIC_BASE) | APIC_BASE_EN);
    wrmsr(MSR_IA32_APIC_BASE, rdmsr(MSR_IA32_APIC_BASE) | mode);
}

void apic_init(hpa_t base, bool allow_x2apic)
{
    struct cpuid_result leaf1 = cpuid(1, 0);

    has_tsc_deadline = leaf1.ecx & CPUID_1_ECX_TSC_DEADLINE;
    is_x2apic = (leaf1.ecx & CPUID_1_ECX_X2APIC) && (allow_x2apic || (rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_EXTD));
    if (is_x2apic) { /* some emulators advertise the mode but ignore the switch */
        set_mode(APIC_BASE_EN | APIC_BASE_EXTD);
        is_x2apic = rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_EXTD;
    }
    if (!is_x2apic)
        page = arch_map_device(base, PAGE_SIZE);
}

bool apic_is_x2apic(void)
{
    return is_x2apic;
}

void apic_enable(void)
{
    set_mode(APIC_BASE_EN | (is_x2apic ? APIC_BASE_EXTD : 0));
    apic_write(APIC_TPR, 0);
    /* Before the LVT: while disabled its entries stay masked. */
    apic_write(APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
    apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
    apic_write(APIC_LVT_LINT1, APIC_LVT_DELIVERY_NMI);
}

uint32_t apic_id(void)
{
    uint32_t id = apic_read(APIC_ID);

    return is_x2apic ? id : id >> 24;
}

void apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}

/*
 * WRMSR of the x2APIC's registers and of the TSC deadline does not serialise (SDM 3A, "x2APIC Register Address
 * Space"): without the fences an IPI could arrive before the stores that it announces.
 */
static void order_before_msr(void)
{
    __asm__ volatile("mfence; lfence" : : : "memory");
}

static void send(uint32_t id, uint32_t command)
{
    if (is_x2apic) {
        order_before_msr();
        wrmsr(MSR_IA32_X2APIC_FIRST + APIC_ICR_LOW / 16, (uint64_t)id << 32 | command);
        return;
    }
    while (apic_read(APIC_ICR_LOW) & APIC_ICR_PENDING)
        cpu_relax();
    apic_write(APIC_ICR_HIGH, id << 24);
    apic_write(APIC_ICR_LOW, command);
}

void apic_send_ipi(uint32_t id, uint8_t vector)
{
    send(id, APIC_ICR_ASSERT | vector);
}

void apic_send_nmi(uint32_t id)
{
    send(id, APIC_ICR_ASSERT | APIC_ICR_DELIVERY_NMI);
}

void apic_send_init(uint32_t id)
{
    send(id, APIC_ICR_ASSERT | APIC_ICR_DELIVERY_INIT);
}

void apic_send_startup(uint32_t id, uint8_t startup_page)
{
    send(id, APIC_ICR_ASSERT | APIC_ICR_DELIVERY_STARTUP | startup_page);
}

static void calibrate(void)
{
    uint64_t start, ticks = clock_ticks_from_ns(CALIBRATION_NS);

    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    apic_write(APIC_TIMER_DIVIDE, APIC_TIMER_DIVIDE_BY_1);
    apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
    start = clock_now();
    while (clock_now() - start < ticks)
        cpu_relax();
    timer_hz = mul_div(UINT32_MAX - apic_read(APIC_TIMER_CURRENT), clock_hz(), clock_now() - start);
    apic_write(APIC_TIMER_INITIAL, 0);
}

void apic_timer_init(void)
{
    if (has_tsc_deadline) {
        apic_write(APIC_LVT_TIMER, APIC_LVT_TIMER_TSC_DEADLINE | VECTOR_TIMER);
        order_before_msr(); /* the mode is set before the first deadline is */
        return;
    }
    if (timer_hz == 0)
        calibrate();
    apic_write(APIC_TIMER_DIVIDE, APIC_TIMER_DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
}

static uint32_t count_until(uint64_t deadline)
{
    uint64_t now = clock_now();
    uint64_t ticks = deadline > now ? deadline - now : 0;

    ticks = MIN(ticks, clock_hz()); /* fires early for the far future, and is set again then */
    return (uint32_t)MAX(1, MIN(mul_div(ticks, timer_hz, clock_hz()), UINT32_MAX));
}

/* A deadline of 0 would disarm it. */
void arch_timer_set(uint64_t deadline)
{
    if (has_tsc_deadline)
        wrmsr(MSR_IA32_TSC_DEADLINE, MAX(deadline, 1u));
    else
        apic_write(APIC_TIMER_INITIAL, count_until(deadline));
}
