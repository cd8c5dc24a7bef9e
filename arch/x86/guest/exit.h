/* SPDX-License-Identifier: BSD-2-Clause */
/* The one dispatch of neutral exits, for every engine. */
#ifndef ARCH_X86_GUEST_EXIT_H
#define ARCH_X86_GUEST_EXIT_H

#include "arch/x86/regs.h"
#include "kernel/vm.h"

/*
 * Exceptions that an engine takes: #DB and #AC because a guest can make the CPU deliver them for ever (CVE-2015-8104,
 * CVE-2015-5307); #MC because it is the machine's.
 */
#define EXCEPTIONS_TAKEN (1u << X86_DB | 1u << X86_AC | 1u << X86_MC)

struct exit_kind_row {
    const char *name;
    enum verdict (*handle)(struct vcpu *vcpu, const struct vcpu_exit *exit);
};
/* By kind, and behind them for each kind the row of a vCPU that is traced: who is not pays for no test of a flag. */
extern const struct exit_kind_row exit_kinds[2 * EXIT_KINDS];

/* Handles one exit; the engine acts on the verdict. */
static inline enum verdict exit_handle(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    return exit_kinds[vcpu->exit_rows + exit->kind].handle(vcpu, exit);
}

#endif
