/* SPDX-License-Identifier: BSD-2-Clause */
/* The MSR policy: one row an MSR drives the bitmap and both handlers. */
#ifndef ARCH_X86_GUEST_MSR_H
#define ARCH_X86_GUEST_MSR_H

#include "kernel/exit.h"

struct vcpu;

/* The guest reads, or writes, the CPU's register, no exit; where an engine cannot leave it to the guest, read and write count. */
#define MSR_PASS_READ  1u
#define MSR_PASS_WRITE 2u
#define MSR_PASS       (MSR_PASS_READ | MSR_PASS_WRITE)
/* Likewise if the engine's run() switches it: vcpu_ops.switches_syscall_msrs. Else writes make an exit, and we know its value. */
#define MSR_PASS_WRITE_IF_SWITCHED 4u

struct msr_row {
    uint32_t index, last; /* a range */
    unsigned flags;
    /* NULL: #GP. Return false for #GP. */
    bool (*read)(struct vcpu *vcpu, uint32_t index, uint64_t *value);
    bool (*write)(struct vcpu *vcpu, uint32_t index, uint64_t value);
    const char *name;
};

/* The table, by ascending index. */
const struct msr_row *msr_rows(unsigned *count);
/* MSR_PASS_READ and MSR_PASS_WRITE, of this machine's engine. */
unsigned msr_passes(const struct msr_row *row);

/* Handlers for registers that need none of their own; an engine's rows use them, too. */
bool msr_read_zero(struct vcpu *vcpu, uint32_t index, uint64_t *value);
bool msr_write_nothing(struct vcpu *vcpu, uint32_t index, uint64_t value);
bool msr_write_zero_only(struct vcpu *vcpu, uint32_t index, uint64_t value);

/* By the table, may the guest have the CPU's own register? */
bool msr_may_pass(uint32_t index, bool is_write);

/* Once, before the first guest. */
void msr_init(void);

enum verdict msr_handle_read(struct vcpu *vcpu, const struct vcpu_exit *exit);
enum verdict msr_handle_write(struct vcpu *vcpu, const struct vcpu_exit *exit);

/* What these do beside moving registers. False: the guest gets #GP(0). */
bool msr_read(struct vcpu *vcpu, uint32_t index, uint64_t *value);
bool msr_write(struct vcpu *vcpu, uint32_t index, uint64_t value);

#endif
