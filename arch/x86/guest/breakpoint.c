/* SPDX-License-Identifier: BSD-2-Clause */
/* See breakpoint.h, and SDM 3B, "Debug Registers". Who uses none pays nothing for them: the first use exits. */
#include "arch/x86/guest/breakpoint.h"
#include "arch/x86/cpu.h"
#include "arch/x86/regs.h"

#define BREAKPOINTS 4u
enum breakpoint_type { BREAK_AT_CODE, BREAK_AT_WRITE, BREAK_AT_PORT, BREAK_AT_DATA };

static unsigned field(uint64_t dr7, unsigned n, unsigned shift)
{
    return dr7 >> (DR7_FIELDS_SHIFT + 4 * n + shift) & 3;
}

/* Its address is taken without the bits below its length. */
static bool covers(struct vcpu *vcpu, uint64_t dr7, unsigned n, uint64_t address, unsigned width)
{
    static const uint8_t lengths[] = {1, 2, 8, 4};
    uint64_t length = lengths[field(dr7, n, 2)], start = vcpu_ops->get(vcpu, VCPU_DR0 + n) & ~(length - 1);

    return address - start < length || start - address < width;
}

static bool is_enabled(uint64_t dr7, unsigned n)
{
    return dr7 >> 2 * n & 3;
}

/* types: bits by enum breakpoint_type. */
static uint64_t find(struct vcpu *vcpu, unsigned types, uint64_t address, unsigned width)
{
    uint64_t dr7 = vcpu_ops->get(vcpu, VCPU_DR7), found = 0;

    for (unsigned n = 0; n < BREAKPOINTS; n++)
        if (is_enabled(dr7, n) && (types >> field(dr7, n, 0) & 1) && covers(vcpu, dr7, n, address, width))
            found |= BIT(n);
    return found;
}

uint64_t breakpoint_find_port(struct vcpu *vcpu, uint16_t port, unsigned width)
{
    return vcpu_ops->get(vcpu, VCPU_CR4) & CR4_DE ? find(vcpu, 1u << BREAK_AT_PORT, port, width) : 0;
}

uint64_t breakpoint_find_data(struct vcpu *vcpu, gva_t linear, unsigned width, bool is_write)
{
    return find(vcpu, 1u << BREAK_AT_DATA | (is_write ? 1u << BREAK_AT_WRITE : 0), linear.value, width);
}

enum verdict breakpoint_handle_first_use(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)exit;
    breakpoint_load(vcpu);
    vcpu->may_have_breakpoints = true;
    return VERDICT_RESUME;
}

void breakpoint_load(const struct vcpu *vcpu)
{
    write_dr0(vcpu->dr[0]);
    write_dr1(vcpu->dr[1]);
    write_dr2(vcpu->dr[2]);
    write_dr3(vcpu->dr[3]);
}

void breakpoint_save(struct vcpu *vcpu)
{
    for (unsigned n = 0; n < BREAKPOINTS; n++)
        vcpu->dr[n] = cpu_read_dr(n);
}
