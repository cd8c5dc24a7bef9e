/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power-off by ACPI S5, reset by the FADT's register, the keyboard controller or a triple fault, in
 * that order; an emulator is told an exit status first (QEMU's isa-debug-exit; Bochs's shutdown port).
 */
#include "arch/x86/power.h"
#include "arch/arch.h"
#include "arch/x86/acpi.h"
#include "arch/x86/cpu.h"
#include "arch/x86/descriptors.h"
#include "arch/x86/io.h"
#include "arch/x86/regs.h"
#include "drivers/host/e9.h"
#include "drivers/host/host_uart.h"
#include "kernel/pcpu.h"
#include "kernel/timer.h"

#define ISA_DEBUG_EXIT_PORT  0xf4
#define ISA_DEBUG_SUCCESS    0x10
#define BOCHS_SHUTDOWN_PORT  0x8900
#define I8042_COMMAND        0x64
#define I8042_RESET          0xfe
#define PM1_SLP_TYP_SHIFT    10
#define PM1_SLP_TYP          (7u << PM1_SLP_TYP_SHIFT)
#define PM1_SLP_EN           (1u << 13)
#define STOP_TIMEOUT_NS      100000000u

static const struct acpi_info *tables;
static void (*leave)(void);
static volatile bool is_ending;
static unsigned stopped;

void power_init(const struct acpi_info *acpi, void (*leave_virtualization)(void))
{
    tables = acpi;
    leave = leave_virtualization;
}

void power_stop_if_asked(void)
{
    if (!is_ending)
        return;
    leave();
    __atomic_fetch_add(&stopped, 1, __ATOMIC_RELEASE);
    cpu_halt_forever();
}

/* Every CPU leaves virtualization: an INIT that it might block is how the next system starts it. */
static void end_virtualization(void)
{
    uint64_t start = clock_now();

    irq_disable();
    is_ending = true;
    for (unsigned i = 0; i < pcpu_count; i++)
        if (&pcpus[i] != this_pcpu())
            arch_kick(i);
    while (__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) + 1 < pcpu_count &&
           clock_now() - start < clock_ticks_from_ns(STOP_TIMEOUT_NS))
        cpu_relax();
    if (leave)
        leave();
    host_uart_flush();
}

static bool is_emulated(void)
{
    return (cpuid(1, 0).ecx & CPUID_1_ECX_HYPERVISOR) || e9_is_present();
}

static void tell_emulator(unsigned status)
{
    static const char shutdown[] = "Shutdown";

    if (!is_emulated())
        return;
    io_out32(ISA_DEBUG_EXIT_PORT, ISA_DEBUG_SUCCESS | (status != 0));
    for (unsigned i = 0; i < sizeof shutdown - 1; i++)
        io_out8(BOCHS_SHUTDOWN_PORT, (uint8_t)shutdown[i]);
}

/* The other bits are firmware's, SCI_EN for one (ACPI, "PM1 Control Registers"). */
static void write_pm1(const struct acpi_gas *control, uint8_t slp_typ)
{
    unsigned value;

    if (control->address == 0)
        return;
    value = io_in16((uint16_t)control->address) & ~PM1_SLP_TYP;
    io_out16((uint16_t)control->address, (uint16_t)(value | slp_typ << PM1_SLP_TYP_SHIFT | PM1_SLP_EN));
}

void arch_power_off(unsigned status)
{
    end_virtualization();
    tell_emulator(status);
    if (tables && tables->has_fadt && tables->has_s5) {
        write_pm1(&tables->fadt.pm1b_control, tables->s5_slp_typ_b);
        write_pm1(&tables->fadt.pm1a_control, tables->s5_slp_typ_a);
    }
    cpu_halt_forever();
}

static void triple_fault(void)
{
    struct descriptor_register none = {0, 0};

    __asm__ volatile("lidt %0; int3" : : "m"(none));
}

void arch_reboot(void)
{
    end_virtualization();
    if (tables && tables->has_fadt && tables->fadt.has_reset && tables->fadt.reset.space_id == ACPI_GAS_SYSTEM_IO)
        io_out8((uint16_t)tables->fadt.reset.address, tables->fadt.reset_value);
    io_out8(I8042_COMMAND, I8042_RESET);
    triple_fault();
    cpu_halt_forever();
}

void arch_halt(void)
{
    cpu_halt_forever();
}
