/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE /* REG_RIP */
#include "tests/host/fake/privileged.h"
#include "kernel/lib/assert.h"
#include <signal.h>
#include <ucontext.h>

#define REX_B  0x41
#define ESCAPE 0x0f

struct fake_cpu fake_cpu;
static struct sigaction previous; /* takes a fault of another kind */

/* In the order of the instruction set's register numbers. */
static const int gregs[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                            REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

/* MOV r64, CRn (20), DRn (21); MOV CRn, r64 (22), DRn (23). */
static void move(greg_t *gpr, const uint8_t *opcode)
{
    unsigned number = opcode[1] >> 3 & 7;
    uint64_t *reg = opcode[0] & 1 ? &fake_cpu.dr[number] : &fake_cpu.cr[number];

    if (opcode[0] & 2)
        *reg = (uint64_t)*gpr;
    else
        *gpr = (greg_t)*reg;
}

static void set_xcr0(const greg_t *r)
{
    ASSERT((uint32_t)r[REG_RCX] == 0);
    fake_cpu.xcr0 = (uint64_t)r[REG_RDX] << 32 | (uint32_t)r[REG_RAX];
    fake_cpu.xsetbv_count++;
}

/* Returns the instruction's length; 0: none of those. */
static int emulate(greg_t *r, const uint8_t *at)
{
    int rex = at[0] == REX_B;
    const uint8_t *opcode = at + rex + 1;

    if (at[rex] != ESCAPE)
        return 0;
    if (opcode[0] == 0x01 && opcode[1] == 0xd1)
        set_xcr0(r);
    else if (opcode[0] >= 0x20 && opcode[0] <= 0x23)
        move(&r[gregs[(opcode[1] & 7) + 8 * rex]], opcode);
    else
        return 0;
    return rex + 3;
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    int length = emulate(r, (const uint8_t *)r[REG_RIP]);

    r[REG_RIP] += length;
    if (length == 0)
        previous.sa_sigaction(signal, info, context);
}

void fake_cpu_begin(void)
{
    const struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct sigaction old;

    fake_cpu = (struct fake_cpu){0};
    ASSERT(sigaction(SIGSEGV, &action, &old) == 0);
    if (old.sa_sigaction != on_fault)
        previous = old;
}
