/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What makes the hypervisor decode instructions: accesses to where there is no RAM, in every form and from every place,
 * while the code and the page tables change under it.
 */
#include "guests/chaos/chaos.h"
#include "arch/x86/regs.h"

#define INSTRUCTION_BYTES_MAX 15u

/* --- operations with an operand in memory, as the emulator knows them --- */

enum { MODRM = 1, IMM8 = 2, IMM = 4, LOCKABLE = 8, STRING = 16, TWO_BYTES = 32, BYTE_SIZED = 64, REG_FIXED = 128 };

static const struct form {
    uint8_t opcode;
    uint8_t flags;
    uint8_t registers; /* with REG_FIXED: a bit for each value of ModRM.reg */
} forms[] = {
    {0x88, MODRM | BYTE_SIZED, 0}, {0x89, MODRM, 0}, {0x8a, MODRM | BYTE_SIZED, 0}, {0x8b, MODRM, 0},
    {0x00, MODRM | LOCKABLE, 0}, {0x01, MODRM | LOCKABLE, 0}, {0x03, MODRM, 0}, {0x09, MODRM | LOCKABLE, 0}, {0x11, MODRM | LOCKABLE, 0},
    {0x19, MODRM | LOCKABLE, 0}, {0x21, MODRM | LOCKABLE, 0}, {0x2b, MODRM, 0}, {0x31, MODRM | LOCKABLE, 0}, {0x39, MODRM, 0},
    {0x3a, MODRM, 0}, {0x63, MODRM, 0}, {0x84, MODRM, 0}, {0x85, MODRM, 0}, {0x86, MODRM | LOCKABLE, 0}, {0x87, MODRM | LOCKABLE, 0},
    {0x80, MODRM | IMM8 | REG_FIXED, 0xff}, {0x81, MODRM | IMM | REG_FIXED, 0xff}, {0x83, MODRM | IMM8 | REG_FIXED, 0xff},
    {0xc6, MODRM | IMM8 | REG_FIXED, 1}, {0xc7, MODRM | IMM | REG_FIXED, 1},
    {0xf6, MODRM | IMM8 | REG_FIXED, 3}, {0xf7, MODRM | LOCKABLE | REG_FIXED, 0x0c}, {0xfe, MODRM | LOCKABLE | REG_FIXED, 3},
    {0xff, MODRM | LOCKABLE | REG_FIXED, 3},
    {0xa4, STRING, 0}, {0xa5, STRING, 0}, {0xa6, STRING, 0}, {0xa7, STRING, 0}, {0xaa, STRING, 0}, {0xab, STRING, 0},
    {0xac, STRING, 0}, {0xad, STRING, 0}, {0xae, STRING, 0}, {0xaf, STRING, 0},
    {0xa3, TWO_BYTES | MODRM, 0}, {0xab, TWO_BYTES | MODRM | LOCKABLE, 0}, {0xb0, TWO_BYTES | MODRM | LOCKABLE, 0},
    {0xb1, TWO_BYTES | MODRM | LOCKABLE, 0}, {0xb3, TWO_BYTES | MODRM | LOCKABLE, 0}, {0xb6, TWO_BYTES | MODRM, 0},
    {0xb7, TWO_BYTES | MODRM, 0}, {0xbb, TWO_BYTES | MODRM | LOCKABLE, 0}, {0xbe, TWO_BYTES | MODRM, 0}, {0xbf, TWO_BYTES | MODRM, 0},
    {0xba, TWO_BYTES | MODRM | IMM8 | REG_FIXED, 0xf0}, {0xc0, TWO_BYTES | MODRM | LOCKABLE, 0}, {0xc1, TWO_BYTES | MODRM | LOCKABLE, 0},
};

/* What the emulator does not know: far control transfers, the stack, x87, SSE, descriptor tables, big compares. */
static const uint8_t unknown[][4] = {
    {0xff, 0x16, 0x90, 0x90}, {0xff, 0x26, 0x90, 0x90}, {0xff, 0x1e, 0x90, 0x90}, {0xff, 0x2e, 0x90, 0x90}, {0xff, 0x36, 0x90, 0x90},
    {0x8f, 0x06, 0x90, 0x90}, {0xd8, 0x06, 0x90, 0x90}, {0xdd, 0x36, 0x90, 0x90}, {0x0f, 0xae, 0x06, 0x90}, {0x0f, 0xc7, 0x0e, 0x90},
    {0x48, 0x0f, 0xc7, 0x0e}, {0x0f, 0x01, 0x06, 0x90}, {0x0f, 0x01, 0x16, 0x90}, {0x0f, 0x01, 0x1e, 0x90}, {0x0f, 0x6f, 0x06, 0x90},
    {0xf3, 0x0f, 0x6f, 0x06}, {0x66, 0x0f, 0x7f, 0x06}, {0x0f, 0x28, 0x06, 0x90}, {0xd7, 0x90, 0x90, 0x90}, {0x0f, 0x00, 0x16, 0x90},
    {0x0f, 0x00, 0x1e, 0x90}, {0x8e, 0x06, 0x90, 0x90}, {0x8c, 0x06, 0x90, 0x90}, {0xf7, 0x26, 0x90, 0x90}, {0xd1, 0x26, 0x90, 0x90},
    {0x0f, 0xa5, 0x06, 0x90}, {0x0f, 0xbc, 0x06, 0x90}, {0x6b, 0x06, 0x05, 0x90}, {0x0f, 0x44, 0x06, 0x90}, {0x0f, 0x94, 0x06, 0x90},
};

/* As many prefixes as there is room for: those of one kind again and again, with a REX that counts or does not. */
static void put_prefixes(struct chaos *c, struct operation *o, unsigned count)
{
    static const uint8_t prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf2, 0xf3, 0x40, 0x48, 0x4f};

    while (count-- > 0)
        put8(o, prefixes[below(c, ARRAY_SIZE(prefixes))]);
}

/* ModRM.reg; RSP as a source is fine, as a destination it is no more than another odd stack. */
static unsigned choose_register(struct chaos *c, const struct form *f)
{
    unsigned reg = below(c, 8);

    while ((f->flags & REG_FIXED) && !(f->registers >> reg & 1))
        reg = below(c, 8);
    return reg;
}

/* Base RBX, RSI or RDI with no, a short or a long displacement, or base and index. */
static void put_modrm(struct chaos *c, struct operation *o, unsigned reg)
{
    static const uint8_t bases[] = {3, 6, 7};
    unsigned mod = below(c, 3), base = bases[below(c, 3)];
    bool has_index = one_in(c, 4);

    put8(o, (uint8_t)(mod << 6 | reg << 3 | (has_index ? 4 : base)));
    if (has_index)
        put8(o, (uint8_t)(below(c, 4) << 6 | 4 << 3 | base)); /* no index: 4 */
    if (mod == 1)
        put8(o, (uint8_t)below(c, 32));
    else if (mod == 2)
        put32(o, below(c, 64) - 32);
}

/* The most prefixes with which it has no more than 15 bytes; one in a few has more. */
static void put_form(struct chaos *c, struct operation *o, const struct form *f, unsigned prefixes)
{
    bool is_wide = !one_in(c, 2) || (f->flags & IMM);

    put_prefixes(c, o, prefixes);
    if ((f->flags & LOCKABLE) && one_in(c, 4))
        put8(o, 0xf0);
    if ((f->flags & STRING) && one_in(c, 2))
        put8(o, one_in(c, 2) ? 0xf2 : 0xf3);
    if (!is_wide)
        put8(o, 0x48);
    if (f->flags & TWO_BYTES)
        put8(o, 0x0f);
    put8(o, f->opcode);
    if (f->flags & MODRM)
        put_modrm(c, o, choose_register(c, f));
    if (f->flags & (IMM8 | IMM))
        put8(o, (uint8_t)chance(c));
    if (f->flags & IMM)
        put(o, &c->state, 3);
}

/* --- where the operand is --- */

/* Of this CPU's two pages for that; with a neighbour that is RAM, another hole, or not there at all. */
static uint64_t spare_address(struct chaos *c)
{
    unsigned page = c->cpu * PAGES_OF_CPU + SPARE_PAGE;
    uint64_t physical = one_in(c, 3) ? odd_address(c) : device_address(c);

    *arena_entry(page) = (physical & 0xffffffffff000) | PTE_ALL;
    *arena_entry(page + 1) = one_in(c, 3) ? 0 : (odd_address(c) & 0xffffffffff000) | PTE_ALL;
    flush_page(arena_address(page));
    flush_page(arena_address(page + 1));
    return arena_address(page) + (one_in(c, 3) ? PAGE_SIZE - below(c, 9) : physical & 0xff8);
}

static void set_operands(struct chaos *c, struct operation *o)
{
    static const uint8_t pointers[] = {RBX, RSI, RDI};

    for (unsigned i = 0; i < ARRAY_SIZE(pointers); i++)
        o->registers.gpr[pointers[i]] = one_in(c, 2) ? device_address(c) : spare_address(c);
    if (one_in(c, 4))
        o->registers.gpr[one_in(c, 2) ? RSI : RDI] = arena_address(DATA_PAGE + below(c, 8)) + below(c, 4096);
    o->registers.gpr[RCX] = one_in(c, 16) ? odd_value(c) & 0xffff : below(c, 40);
    o->registers.rflags |= one_in(c, 4) ? RFLAGS_DF : 0;
}

void attack_mmio(struct chaos *c)
{
    struct operation o;

    begin(c, &o);
    set_operands(c, &o);
    put_form(c, &o, &forms[below(c, 4)], one_in(c, 4));
    run(c, &o);
}

/* --- the decoder --- */

void attack_decoder(struct chaos *c)
{
    struct operation o;

    begin(c, &o);
    set_operands(c, &o);
    put_form(c, &o, &forms[below(c, ARRAY_SIZE(forms))], one_in(c, 3) ? below(c, 15) : below(c, 3));
    o.registers.rflags |= one_in(c, 16) ? RFLAGS_AC : 0;
    o.straddles = one_in(c, 2);
    if (o.length <= INSTRUCTION_BYTES_MAX || !machine_may_be_qemu())
        run(c, &o);
}

/* Page tables where there is no memory: the CPU's own walk ends there before the operand is known. */
void attack_walk(struct chaos *c)
{
    struct operation o;

    begin(c, &o);
    set_operands(c, &o);
    o.registers.gpr[RBX] = o.registers.gpr[RSI] = lost_address(c) + below(c, 2 * PAGE_SIZE);
    put_form(c, &o, &forms[below(c, ARRAY_SIZE(forms))], 0);
    run(c, &o);
}

/*
 * The other CPU's code: the second of its pages comes and goes, its page table's entries are anything, and bytes of
 * displacements and immediates change. (Another opcode could be one that is not emulated: undecodable's.)
 */
void race_decoder(struct chaos *c)
{
    unsigned victim = (1 - c->cpu) * PAGES_OF_CPU;
    volatile uint64_t *entry = arena_entry(victim + CODE_PAGE + 1);
    volatile uint64_t *spare = arena_entry(victim + SPARE_PAGE + below(c, 2));
    uint64_t good = *entry;

    switch (below(c, 4)) {
    case 0:
        *entry = 0;
        break;
    case 1:
        *entry = good & ~(PTE_P | (one_in(c, 2) ? PTE_US : 0));
        break;
    case 2:
        *spare = odd_value(c) | BIT(45); /* any bits, but no RAM */
        break;
    default:
        *spare = (odd_address(c) & 0xffffffffff000) | (chance(c) & 0x67) | PTE_P;
    }
    for (unsigned i = below(c, 200); i > 0; i--)
        __asm__ volatile("pause");
    arena_restore(victim + CODE_PAGE + 1);
    arena_restore(victim + CODE_PAGE);
    c->operations++;
}

void attack_undecodable(struct chaos *c)
{
    struct operation o;

    begin(c, &o);
    set_operands(c, &o);
    put(&o, unknown[below(c, ARRAY_SIZE(unknown))], 4);
    run(c, &o);
}

/* Where a bare machine is lost: it runs, pushes, or looks for its interrupt table where there is no memory. */
void attack_lost(struct chaos *c)
{
    struct operation o;

    begin(c, &o);
    set_operands(c, &o);
    switch (below(c, 4)) {
    case 0:
        PUT(&o, 0xff, 0xe3); /* JMP RBX */
        break;
    case 1:
        PUT(&o, 0x48, 0x89, 0xdc, 0x50); /* MOV RSP, RBX; PUSH RAX */
        break;
    case 2:
        PUT(&o, 0x48, 0x89, 0xdc, 0xc3); /* and RET */
        break;
    default:
        lose_idt();
        PUT(&o, 0x0f, 0x0b);
    }
    run(c, &o);
}
