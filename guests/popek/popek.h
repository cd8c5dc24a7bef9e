/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A case is a few instructions that end with INT3. It is run in one of the CPU's modes by cpu_run(), and comes back with
 * whatever it ran into: the INT3, an exception, an interrupt, and the registers at that point.
 */
#ifndef GUESTS_POPEK_POPEK_H
#define GUESTS_POPEK_POPEK_H

#include "guests/popek/layout.h"
#include "kernel/lib/types.h"

/* In the order of PUSHAD, so that legacy code gets and leaves them as they are. */
enum reg { REG_DI, REG_SI, REG_BP, REG_SP, REG_BX, REG_DX, REG_CX, REG_AX, REGS };
enum seg { SEGMENT_GS, SEGMENT_FS, SEGMENT_ES, SEGMENT_DS, SEGMENTS };

struct cpu_state {
    uint64_t reg[REGS];
    uint64_t ip, flags;
    uint16_t cs, ss, seg[SEGMENTS];
};

struct mode {
    const char *name;
    uint32_t bit;
    unsigned bits, cpl;
    enum { WORLD_LONG, WORLD_LEGACY, WORLD_VM86, WORLD_REAL } world;
    enum paging { PAGING_NONE, PAGING_LONG, PAGING_32, PAGING_PAE } paging;
    uint16_t code, data, other; /* selectors: CS; DS, ES, SS; FS, GS */
    uint32_t origin;            /* what must be added to an offset in the low segment for an IP or a pointer */
};

/* A row of the assembly tables; offset and length are the code's in the low segment. */
struct row {
    const char *name;
    uint32_t offset, length;
    uint32_t modes;
    uint32_t flags, cr0, cr4; /* flags at the entry; bits that are set in the registers */
    uint32_t input, options;
};

struct outcome {
    struct cpu_state after;
    uint32_t vector, error;
    bool has_error;
    uint64_t cr2, dr6;
    uint16_t task; /* TR's selector */
    uint64_t root; /* CR3 */
    bool ts;
};

/* What a task switch leaves of the task that it left; ip is 0 if there was none. */
struct left_task {
    uint32_t ip, flags, reg[REGS];
    uint16_t seg[6], link; /* ES CS SS DS FS GS; the back link of the other one */
    bool is_busy, is_other_busy, is_16_bit_busy;
};

void cpu_init(void);

/* The processor as each case finds it: descriptors, gates, MSRs, control and debug registers. */
void cpu_reset(const struct mode *mode, uint32_t options);

/* Sets further bits of the control registers for a case, after cpu_reset. */
void cpu_prepare(uint64_t cr0, uint64_t cr4);

/* Bits that are toggled, and whether bits are tried that do not exist. */
extern uint32_t cpu_cr0_tried, cpu_cr4_tried;
extern bool cpu_is_tcg;
/* The bare machine is QEMU's TCG, which hangs when a reserved bit is set, or a combination that is not allowed. */
void cpu_spare_tcg(void);

/* What a mode has of them, before a row's own bits. */
uint64_t cpu_cr0(const struct mode *mode);
uint64_t cpu_cr4(const struct mode *mode);
uint64_t cpu_efer(void);

void cpu_run(const struct mode *mode, const struct cpu_state *state, struct outcome *outcome);

void cpu_left_task(struct left_task *left);

/* All rows in each mode, a line an observation. */
void report_all(void);

#endif
