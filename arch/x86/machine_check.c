/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/machine_check.h"
#include "arch/x86/cpu.h"
#include "arch/x86/msr.h"
#include "arch/x86/regs.h"
#include "kernel/lib/types.h"
#include "kernel/log.h"

static uint64_t value_of(uint64_t status, uint64_t valid_bit, uint32_t index)
{
    return status & valid_bit ? rdmsr(index) : 0;
}

static void tell(unsigned bank, uint64_t status)
{
    log_error("machine-check", "bank %u: status %016lx address %lx misc %lx", bank, status,
              value_of(status, MC_STATUS_ADDRV, MSR_IA32_MC_ADDR(bank)),
              value_of(status, MC_STATUS_MISCV, MSR_IA32_MC_MISC(bank)));
}

/*
 * SDM 3B, "UCR Error Classification": with recovery, an uncorrected error says by AR if somebody needs the data now, and
 * the CPU by EIPV if that is who runs here: all CPUs get the machine check. Without it, the data may be anybody's. An error that
 * came on top of another has overwritten its record.
 */
static enum machine_check_loss loss_of(uint64_t status, bool has_recovery)
{
    if (!(status & MC_STATUS_UC))
        return MACHINE_CHECK_NOTHING;
    if (status & (MC_STATUS_PCC | MC_STATUS_OVER))
        return MACHINE_CHECK_CPU;
    if (has_recovery && !(status & MC_STATUS_AR && rdmsr(MSR_IA32_MCG_STATUS) & MCG_STATUS_EIPV))
        return MACHINE_CHECK_NOTHING;
    return MACHINE_CHECK_WORK;
}

static enum machine_check_loss look_at_banks(unsigned banks, bool has_recovery)
{
    enum machine_check_loss worst = MACHINE_CHECK_NOTHING;

    for (unsigned bank = 0; bank < banks; bank++) {
        uint64_t status = rdmsr(MSR_IA32_MC_STATUS(bank));
        enum machine_check_loss loss;

        if (!(status & MC_STATUS_VAL))
            continue;
        tell(bank, status);
        loss = loss_of(status, has_recovery);
        worst = MAX(worst, loss);
    }
    return worst;
}

static void clear(unsigned banks)
{
    for (unsigned bank = 0; bank < banks; bank++)
        if (rdmsr(MSR_IA32_MC_STATUS(bank)) & MC_STATUS_VAL)
            wrmsr(MSR_IA32_MC_STATUS(bank), 0);
    wrmsr(MSR_IA32_MCG_STATUS, 0);
}

enum machine_check_loss machine_check_take(void)
{
    enum machine_check_loss loss;
    uint64_t capabilities;
    unsigned banks;

    if (!(cpuid(1, 0).edx & CPUID_1_EDX_MCA)) /* there is nothing that says what it was */
        return MACHINE_CHECK_CPU;
    capabilities = rdmsr(MSR_IA32_MCG_CAP);
    banks = capabilities & MCG_CAP_COUNT;
    loss = look_at_banks(banks, capabilities & MCG_CAP_SER_P);
    if (loss == MACHINE_CHECK_NOTHING && !(rdmsr(MSR_IA32_MCG_STATUS) & MCG_STATUS_RIPV))
        loss = MACHINE_CHECK_WORK; /* it stands behind what it has not done */
    if (loss != MACHINE_CHECK_CPU)
        clear(banks);
    return loss;
}
