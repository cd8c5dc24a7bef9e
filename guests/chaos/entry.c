/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * States of a CPU that VM entry checks, at an exit: flags, shadows of STI and MOV SS, traps that are pending, segments of
 * every size and privilege, RIP at the end of canonical addresses. What other modes have is odd.asm's.
 */
#include "guests/chaos/chaos.h"
#include "guests/common/apic.h"
#include "guests/common/smp.h"
#include "arch/x86/regs.h"

#define PATIENCE 20000u /* rounds: a state that is lost is left with the next INIT */
#define IRETQ 0x48, 0xcf

/* Instructions that exit, or fault, in any mode. */
static void put_exit(struct chaos *c, struct operation *o)
{
    static const uint8_t exits[][3] = {
        {0x0f, 0xa2, 0x90}, {0x0f, 0x32, 0x90}, {0x0f, 0x30, 0x90}, {0xe4, 0x80, 0x90}, {0xe6, 0x80, 0x90}, {0x0f, 0x01, 0xc1},
        {0x0f, 0x01, 0xd9}, {0x0f, 0x31, 0x90}, {0xf1, 0x90, 0x90}, {0xcd, 0x40, 0x90}, {0xcd, 0x02, 0x90}, {0xcd, 0x0e, 0x90},
        {0x0f, 0x0b, 0x90}, {0x0f, 0x20, 0xc0}, {0x0f, 0x06, 0x90}, {0x8b, 0x06, 0x90}, {0x89, 0x06, 0x90}, {0xa4, 0x90, 0x90},
        {0x6c, 0x90, 0x90}, {0x6e, 0x90, 0x90}, {0x0f, 0x01, 0xd0}, {0x0f, 0xa2, 0x9c}, {0x9c, 0x9d, 0x90}, {0x0f, 0x08, 0x90},
    };

    put(o, exits[below(c, ARRAY_SIZE(exits))], 3);
}

static void set_arguments(struct chaos *c, struct operation *o)
{
    o->registers.gpr[RCX] = one_in(c, 2) ? 0x277 : below(c, 64);
    o->registers.gpr[RDX] = one_in(c, 2) ? 0x80 : 0x3fd;
    o->registers.gpr[RAX] = below(c, 16);
    o->registers.gpr[RSI] = o->registers.gpr[RDI] = one_in(c, 2) ? device_address(c) : arena_address(DATA_PAGE);
    o->registers.gpr[RBX] = ((chance(c) & 0x257fd5) & ~(RFLAGS_IF | RFLAGS_TF)) | RFLAGS_ONE;
    if (one_in(c, 2))
        o->registers.gpr[RBX] |= RFLAGS_TF;
}

/* PUSH RBX; POPFQ: its flags, a step perhaps; then shadows over what exits. */
static void shadows(struct chaos *c, struct operation *o)
{
    static const uint8_t before[][3] = {{0x8e, 0xd2, 0x90}, {0x90, 0x90, 0xfb}, {0xfb, 0xfa, 0x90}, {0x8e, 0xd2, 0xfb},
                                        {0xfb, 0x8e, 0xd2},
                                        {0x90, 0x90, 0x90}};

    PUT(o, 0xba, SELECTOR_DATA, 0, 0, 0); /* MOV EDX, the selector for MOV SS, EDX */
    PUT(o, 0x53, 0x9d);
    put(o, before[below(c, ARRAY_SIZE(before))], 3);
    put_exit(c, o);
    put_exit(c, o);
}

/* Where a segment of that size finds the code page. */
static uint64_t code_address(const struct chaos *c, uint16_t selector)
{
    if (selector == SELECTOR_CODE16)
        return 0; /* it begins there */
    if (selector == SELECTOR_CODE32 || selector == SELECTOR_CODE323)
        return code_page_physical(c->cpu);
    return (uint64_t)code_page(c);
}

/* By IRETQ, to any of our segments, or to none, with any flags. Code of all sizes is the same bytes. */
static void other_segments(struct chaos *c, struct operation *o)
{
    static const uint16_t codes[] = {SELECTOR_CODE, SELECTOR_CODE32, SELECTOR_CODE16, SELECTOR_CODE3, SELECTOR_CODE323,
                                     0, 0xffff, 64, 16};
    static const uint16_t stacks[] = {SELECTOR_DATA, SELECTOR_DATA3, 0, 3, SELECTOR_CODE, 0xfff8};
    uint64_t *frame = (uint64_t *)(o->registers.gpr[RSP] - 5 * sizeof *frame);
    uint16_t code = codes[below(c, ARRAY_SIZE(codes))];
    bool is_user = (code & 3) == 3 && code != 0xffff;

    frame[0] = code_address(c, code) + sizeof (uint8_t[]){IRETQ};
    frame[1] = code;
    frame[2] = ((chance(c) & 0x257fd5) & ~RFLAGS_IF) | (one_in(c, 2) ? 0 : RFLAGS_TF);
    frame[3] = o->registers.gpr[RSP] - 256;
    frame[4] = is_user && !one_in(c, 4) ? SELECTOR_DATA3 : stacks[below(c, ARRAY_SIZE(stacks))];
    o->registers.gpr[RSP] = (uint64_t)frame;
    PUT(o, IRETQ);
    put_exit(c, o);
    put_exit(c, o);
}

/* Descriptor tables of any size at any address, good again before something needs them. */
static void other_tables(struct chaos *c, struct operation *o)
{
    uint8_t *at = (uint8_t *)arena_address(DATA_PAGE);
    uint64_t base = odd_value(c);

    __asm__ volatile("sgdt %0; sidt %1" : "=m"(*(uint8_t(*)[10])(at + 16)), "=m"(*(uint8_t(*)[10])(at + 32)));
    *(uint16_t *)at = (uint16_t)chance(c);
    *(uint64_t *)(at + 2) = base << 16 >> 16 | (base & BIT(47) ? 0xffff000000000000 : 0);
    o->registers.gpr[RSI] = (uint64_t)at;
    PUT(o, 0x0f, 0x01, one_in(c, 2) ? 0x16 : 0x1e); /* LGDT or LIDT [RSI] */
    PUT(o, 0x0f, 0xa2);
    PUT(o, 0x0f, 0x01, 0x56, 16); /* and both again */
    PUT(o, 0x0f, 0x01, 0x5e, 32);
}

/* Selectors into everything that takes one; LLDT and LTR of what is none. */
static void other_selectors(struct chaos *c, struct operation *o)
{
    static const uint8_t moves[] = {0xc0, 0xd0, 0xd8, 0xe0, 0xe8}; /* ES, SS, DS, FS, GS */

    o->registers.gpr[RAX] = one_in(c, 2) ? below(c, 80) : (uint32_t)chance(c);
    for (unsigned i = 0; i < 3; i++)
        PUT(o, 0x8e, moves[below(c, ARRAY_SIZE(moves))]);
    o->registers.gpr[RDX] = one_in(c, 2) ? 0 : 0xfff8;
    if (one_in(c, 2))
        PUT(o, 0x0f, 0x00, 0xd2); /* LLDT DX */
    o->registers.gpr[RCX] = one_in(c, 2) ? 0xc0000100 : 0xc0000101;
    put_exit(c, o);
}

/* The last instruction of the lower half: behind it there is no address. */
static void last_instruction(struct chaos *c, struct operation *o)
{
    uint8_t *page = (uint8_t *)arena_address(ARENA_PAGES - 1), *end = page + PAGE_SIZE;
    unsigned length;

    put_exit(c, o);
    length = o->code[2] == 0x90 ? 2 : 3;
    for (unsigned i = 0; i < length; i++)
        end[(int)i - (int)length] = o->code[i];
    o->length = 0;
    PUT(o, 0x53, 0x9d, 0x41, 0xff, 0xe6); /* PUSH RBX; POPFQ; JMP R14 */
    o->registers.gpr[R14] = CANONICAL_END - length;
}

/* Sleeps that something ends: an interrupt is on its way, or the trap of the step. */
static void sleep_shortly(struct chaos *c, struct operation *o)
{
    static const uint8_t sleeps[][3] = {{0xfb, 0xf4, 0xfa}, {0x90, 0xfb, 0xf4}, {0xfb, 0x90, 0xf4}};

    apic_send_ipi((uint8_t)c->cpu, APIC_ICR_ASSERT | 0x50);
    if (one_in(c, 2))
        apic_send_ipi((uint8_t)c->cpu, APIC_ICR_ASSERT | APIC_ICR_DELIVERY_NMI);
    put(o, sleeps[below(c, 2)], 3);
    put8(o, 0xfa);
}

void attack_entry(struct chaos *c)
{
    static void (*const states[])(struct chaos *, struct operation *) = {
        shadows, shadows, other_segments, other_segments, other_tables, other_selectors, last_instruction, sleep_shortly,
    };
    struct operation o;

    begin(c, &o);
    o.is_dirty = true;
    set_arguments(c, &o);
    states[below(c, ARRAY_SIZE(states) - machine_may_be_qemu())](c, &o); /* the last one sleeps */
    run(c, &o);
}

/* --- what is only in other modes: the second CPU starts there, again and again --- */

extern const uint8_t odd_start[], odd_end[];

/* Where odd.asm has them. */
enum { STATE = 8 / 4, STEPS = 12 / 4, IS_OVER = 16 / 4 };

void attack_odd(struct chaos *c)
{
    volatile uint8_t *page = (volatile uint8_t *)(uintptr_t)SMP_AP_PAGE;
    volatile uint32_t *words = (volatile uint32_t *)page;

    for (unsigned i = 0; i < (unsigned)(odd_end - odd_start); i++)
        page[i] = odd_start[i];
    words[STATE] = (uint32_t)chance(c);
    smp_send_init_sipi(1, SMP_AP_PAGE >> PAGE_SHIFT);
    for (unsigned i = 0; i < PATIENCE && !words[IS_OVER]; i++)
        __asm__ volatile("pause");
    c->operations += words[STEPS] + 2;
    c->faults += !words[IS_OVER];
}
