/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Machine checks: what the CPU's banks say has happened, told in the log, and what is lost by it (SDM 3B,
 * "Machine-Check Architecture").
 */
#ifndef ARCH_X86_MACHINE_CHECK_H
#define ARCH_X86_MACHINE_CHECK_H

enum machine_check_loss {
    MACHINE_CHECK_NOTHING, /* corrected, or to be met later, if ever: who was interrupted goes on */
    MACHINE_CHECK_WORK,    /* of who was interrupted: it cannot go on, others can */
    MACHINE_CHECK_CPU,     /* the CPU's own state is not to be trusted, nor what anybody has computed on it */
};

/*
 * The CPU that had the machine check: logs each bank that has one and clears it, and MCG_STATUS with it, so that the next
 * one is no shutdown. But if the CPU is lost all is left for firmware to find.
 */
enum machine_check_loss machine_check_take(void);

#endif
