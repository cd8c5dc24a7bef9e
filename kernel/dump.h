/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a vCPU is at one moment: its registers, its last exits, the bytes at RIP. It is taken on the vCPU's own CPU, which
 * has other guests to run and so does no more than that; the control thread makes lines of it.
 */
#ifndef KERNEL_DUMP_H
#define KERNEL_DUMP_H

#include "arch/x86/guest/state.h"
#include "kernel/lib/types.h"

#define DUMP_WHY_BYTES     96u
#define DUMP_CODE_BYTES    15u /* the longest instruction */
#define DUMP_EXITS         32u
#define DUMP_ENGINE_VALUES 12u

struct vcpu;

/* What only the engine knows: its hardware's name for it. */
struct named_value {
    const char *name;
    uint64_t value;
};

struct dump {
    char why[DUMP_WHY_BYTES];
    unsigned vcpu, cpu;
    uint64_t gpr[GPR_COUNT];
    uint64_t rip, rflags, cr0, cr2, cr3, cr4, efer;
    struct segment segment[SEG_COUNT];
    struct named_value engine[DUMP_ENGINE_VALUES];
    unsigned engine_count;
    uint8_t code[DUMP_CODE_BYTES];
    size_t code_bytes;
    uint8_t exits[DUMP_EXITS]; /* their kinds, oldest first */
};

/* All but why, which is the caller's; the vCPU's own CPU. */
void dump_take(struct dump *dump, struct vcpu *vcpu);

/* name: the VM's. The control thread, which yields between lines. */
void dump_print(const struct dump *dump, const char *name);
/* How often the vCPU had each kind of exit; likewise. */
void dump_print_counts(const struct vcpu *vcpu);

/* The last exits of the vCPU, as one line; any CPU, at any time. */
void dump_log_last_exits(const struct vcpu *vcpu);

#endif
