/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports, MSRs, CPUID, hypercalls, control and debug registers. */
#include "guests/chaos/chaos.h"
#include "guests/common/apic.h"
#include "guests/common/guest.h"
#include "arch/x86/msr.h"
#include "arch/x86/regs.h"

#define COM1       0x3f8u
#define COM1_PORTS 8u

/* --- ports --- */

static const uint16_t known_ports[] = {
    0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x42, 0x43, 0x61, 0x70, 0x71, 0x60, 0x64, 0x92, 0x80, 0xe9, 0x402,
    0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3ff, 0x600, 0x602, 0x604, 0x608, 0xcf8, 0xcf9, 0xcfc, 0xcfe, 0xf4, 0xffff,
};

/* Writes to these may end the VM, or fill the console: attack_power() has the former. */
static const struct {
    uint16_t first, count;
} kept_ports[] = {{0x64, 1}, {0x92, 1}, {GUEST_PM1A_CNT_PORT, 2}, {GUEST_PCI_CONFIG_PORT, 8}, {DEBUG_EXIT_PORT, 4}, {COM1, 1},
                  {0xe9, 1}, {0x402, 1}};

static bool is_kept(unsigned port, unsigned width)
{
    for (unsigned i = 0; i < ARRAY_SIZE(kept_ports); i++)
        if (ranges_overlap(port, width, kept_ports[i].first, kept_ports[i].count))
            return true;
    return false;
}

static uint16_t odd_port(struct chaos *c)
{
    uint16_t port = known_ports[below(c, ARRAY_SIZE(known_ports))];

    return one_in(c, 3) ? (uint16_t)chance(c) : one_in(c, 3) ? (uint16_t)(port + below(c, 7) - 3) : port;
}

static void put_width(struct operation *o, unsigned width)
{
    if (width == 2)
        put8(o, 0x66);
}

/* IN, OUT, INS, OUTS, perhaps with REP; strings lie anywhere. */
static void port_operation(struct chaos *c, struct operation *o, uint16_t port, bool is_in)
{
    unsigned width = 1u << below(c, 3);
    bool is_string = one_in(c, 3);

    o->registers.gpr[RDX] = (o->registers.gpr[RDX] & ~UINT64_C(0xffff)) | port;
    if (is_string) {
        uint64_t data = arena_address(DATA_PAGE + below(c, 4)) + (one_in(c, 2) ? PAGE_SIZE - below(c, 16) : 0);

        o->registers.gpr[RSI] = o->registers.gpr[RDI] = one_in(c, 4) ? odd_address(c) : data;
        o->registers.gpr[RCX] = one_in(c, 8) ? odd_value(c) & 0xffff : below(c, 32);
        o->registers.rflags |= one_in(c, 4) ? RFLAGS_DF : 0;
        if (one_in(c, 2))
            put8(o, 0xf3);
        if (one_in(c, 8))
            put8(o, 0x67);
    }
    put_width(o, width);
    put8(o, (uint8_t)((is_string ? 0x6c : 0xec) | (is_in ? 0 : 2) | (width > 1)));
}

void attack_port(struct chaos *c)
{
    struct operation o;
    uint16_t port = odd_port(c);

    begin(c, &o);
    port_operation(c, &o, port, one_in(c, 2) || is_kept(port, 4));
    run(c, &o);
}

/* Whatever ends a VM. */
void attack_power(struct chaos *c)
{
    struct operation o;

    begin(c, &o);
    port_operation(c, &o, kept_ports[below(c, 5)].first, one_in(c, 4));
    run(c, &o);
}

/* --- MSRs --- */

static uint32_t odd_msr(struct chaos *c)
{
    static const struct {
        uint32_t first, count;
    } ranges[] = {
        {0, 0x1000},          {0, 0x300},         {0x1b, 1},          {MSR_IA32_X2APIC_FIRST, 0x100}, {0x40000000, 0x100},
        {0x4b564d00, 0x10},   {0xc0000080, 8},    {0xc0000100, 4},    {0xc0010000, 0x200},            {0xc0011000, 0x40},
        {0x11, 2},            {0x6e0, 1},         {0x277, 1},         {0x200, 0x10},                  {0x1ffe, 4},
        {0xbffffffe, 4},      {0xc0001ffe, 4},    {0xc0011ffe, 4},    {UINT32_MAX - 3, 4},
    };
    unsigned i = below(c, ARRAY_SIZE(ranges) + 1);

    return i == ARRAY_SIZE(ranges) ? (uint32_t)chance(c) : ranges[i].first + below(c, ranges[i].count);
}

/* Through the x2APIC an INIT could be sent: ipi's business. */
static bool is_command(uint32_t index)
{
    return index == MSR_IA32_X2APIC_FIRST + 0x30;
}

/* Registers that hold addresses of what the hypervisor writes are given such, perhaps with the bit that turns it on. */
void attack_msr(struct chaos *c)
{
    struct operation o;
    uint32_t index = odd_msr(c);
    uint64_t value = one_in(c, 2) ? odd_address(c) | below(c, 4) : odd_value(c);

    begin(c, &o);
    o.registers.gpr[RCX] = (machine_may_be_qemu() ? 0 : o.registers.gpr[RCX] & ~UINT64_C(0xffffffff)) | index;
    o.registers.gpr[RAX] = value;
    o.registers.gpr[RDX] = value >> 32;
    PUT(&o, 0x0f, one_in(c, 3) || is_command(index) ? 0x32 : 0x30);
    run(c, &o);
    if (index == IA32_APIC_BASE)
        machine_restore_apic();
}

/* --- CPUID and hypercalls --- */

void attack_cpuid(struct chaos *c)
{
    static const uint32_t leaves[] = {0, 1, 2, 4, 7, 0xb, 0xd, 0x14, 0x15, 0x1f, 0x40000000, 0x40000001, 0x80000000, 0x80000008};
    struct operation o;

    begin(c, &o);
    if (one_in(c, 2))
        o.registers.gpr[RAX] = leaves[below(c, ARRAY_SIZE(leaves))] + below(c, 3);
    if (one_in(c, 2))
        o.registers.gpr[RCX] = below(c, 66);
    PUT(&o, 0x0f, 0xa2);
    run(c, &o);
}

/* Both makers' instructions: one is undefined. */
void attack_hypercall(struct chaos *c)
{
    struct operation o;

    begin(c, &o);
    if (!one_in(c, 4))
        o.registers.gpr[RAX] = below(c, 16);
    if (one_in(c, 2))
        o.registers.gpr[RSI] = below(c, 0x1000); /* as an ICR */
    if (one_in(c, 2))
        o.registers.gpr[RDX] = below(c, 130); /* as a first APIC ID */
    PUT(&o, 0x0f, 0x01, one_in(c, 2) ? 0xc1 : 0xd9);
    run(c, &o);
}

/* --- control and debug registers --- */

static uint64_t own_cr3(void)
{
    uint64_t cr3;

    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    return cr3;
}

static uint64_t odd_cr(struct chaos *c, unsigned number)
{
    uint64_t now = 0;

    if (number == 3)
        return own_cr3() | (machine_may_be_qemu() || one_in(c, 2) ? chance(c) & 0xfff : BIT(52 + below(c, 12)));
    if (number == 0)
        __asm__ volatile("mov %%cr0, %0" : "=r"(now));
    if (number == 4)
        __asm__ volatile("mov %%cr4, %0" : "=r"(now));
    return one_in(c, 3) ? odd_value(c) : now ^ BIT(below(c, 32)) ^ (one_in(c, 2) ? BIT(below(c, 32)) : 0);
}

/* MOV to and from any of 16, CLTS, LMSW, SMSW, XSETBV, INVLPG, INVD, WBINVD and their kin. */
static void rare_control(struct chaos *c, struct operation *o)
{
    static const uint8_t codes[][3] = {
        {0x0f, 0x06, 0x90}, {0x0f, 0x01, 0xf0}, {0x0f, 0x01, 0xe0}, {0x0f, 0x01, 0xd1}, {0x0f, 0x01, 0xd0}, {0x0f, 0x01, 0x3e},
        {0x0f, 0x08, 0x90}, {0x0f, 0x09, 0x90}, {0x0f, 0x33, 0x90}, {0x0f, 0x31, 0x90}, {0x0f, 0x01, 0xf9}, {0x0f, 0x01, 0xc8},
        {0x0f, 0x01, 0xc9}, {0x0f, 0x37, 0x90}, {0x0f, 0xaa, 0x90}, {0x0f, 0x01, 0xc2}, {0x0f, 0x01, 0xd8}, {0x0f, 0x01, 0xda},
        {0x0f, 0x01, 0xdb}, {0x0f, 0x01, 0xdc}, {0x0f, 0x01, 0xdd}, {0x0f, 0x01, 0xde}, {0x0f, 0x01, 0xdf}, {0x0f, 0x01, 0xd4},
        {0x0f, 0x01, 0xcf}, {0x0f, 0x78, 0xc0}, {0x0f, 0x79, 0xc0}, {0x0f, 0xc7, 0x36}, {0x0f, 0xc7, 0x3e}, {0x0f, 0x00, 0x06},
        {0x0f, 0xae, 0x26}, {0xf3, 0x90, 0x90}, {0x0f, 0x01, 0xfa}, {0x0f, 0x01, 0xfb}, {0x0f, 0x01, 0xfc}, {0x0f, 0x01, 0xfd},
    };

    o->registers.gpr[RSI] = arena_address(DATA_PAGE) + below(c, 64);
    if (one_in(c, 2)) {
        o->registers.gpr[RCX] = below(c, 2);
        o->registers.gpr[RAX] = one_in(c, 2) ? below(c, 256) : odd_value(c);
        o->registers.gpr[RDX] = one_in(c, 2) ? 0 : odd_value(c);
    }
    put(o, codes[below(c, ARRAY_SIZE(codes))], 3);
}

void attack_cr(struct chaos *c)
{
    static const uint8_t usual[] = {0, 2, 3, 4, 8};
    unsigned number = one_in(c, 4) ? below(c, 16) : usual[below(c, ARRAY_SIZE(usual))];
    unsigned gpr = below(c, 8) == RSP ? RAX : below(c, 8);
    struct operation o;

    begin(c, &o);
    o.is_dirty = true;
    if (one_in(c, 3)) {
        rare_control(c, &o);
    } else {
        gpr = gpr == RSP ? RDI : gpr;
        if (number == 8 && machine_may_be_qemu())
            return;
        o.registers.gpr[gpr] = odd_cr(c, number);
        put8(&o, number > 7 ? 0x44 : 0x40);
        PUT(&o, 0x0f, one_in(c, 4) ? 0x20 : 0x22, (uint8_t)(0xc0 | (number & 7) << 3 | gpr));
    }
    run(c, &o);
}

/* Our own tables with bits that no address has. */
void attack_cr3(struct chaos *c)
{
    struct operation o;

    begin(c, &o);
    o.registers.gpr[RAX] = own_cr3() | BIT(52 + below(c, 12));
    PUT(&o, 0x0f, 0x22, 0xd8);
    run(c, &o);
}

/* Breakpoints on what is executed, written, and on ports; then things that exit under them. */
void attack_dr(struct chaos *c)
{
    static const uint8_t exits[][2] = {{0x0f, 0xa2}, {0xe4, 0x80}, {0xe6, 0x80}, {0x0f, 0x31}, {0x0f, 0x32}, {0x8b, 0x06}};
    uint64_t code = (uint64_t)code_page(c);
    struct operation o;

    begin(c, &o);
    o.registers.gpr[RAX] = one_in(c, 2) ? code + below(c, 24) : one_in(c, 2) ? 0x80 : odd_value(c);
    o.registers.gpr[RCX] = MSR_IA32_PAT;
    o.registers.gpr[RBX] = one_in(c, 2) ? (chance(c) & 0xffff00ff) | 0x400 : odd_value(c);
    if (machine_may_be_qemu()) {
        o.registers.gpr[RAX] &= ~DR7_ENABLED;
        o.registers.gpr[RBX] &= ~DR7_ENABLED;
    }
    o.registers.gpr[RSI] = device_address(c) & ~UINT64_C(3);
    PUT(&o, 0x0f, 0x23, (uint8_t)(0xc0 | below(c, 4) << 3)); /* MOV DRn, RAX */
    PUT(&o, 0x0f, 0x23, 0xfb);                               /* MOV DR7, RBX */
    for (unsigned i = below(c, 4); i > 0; i--)
        put(&o, exits[below(c, ARRAY_SIZE(exits))], 2);
    if (machine_may_be_qemu())
        PUT(&o, 0x24, (uint8_t)~DR7_ENABLED); /* AND AL, imm8: what came out of them may go to DR7 next */
    PUT(&o, 0x0f, one_in(c, 2) ? 0x21 : 0x23, (uint8_t)(0xc0 | below(c, 8) << 3)); /* and again, perhaps under GD */
    run(c, &o);
}
