/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Port I/O. IN and OUT are a bus access and no more. INS and OUTS move through guest memory, a bounded
 * number of iterations an exit, so that a REP of 2^32 neither blocks nor delays anything (SDM 2A, "INS/INSB/INSW/INSD").
 */
#include "arch/x86/guest/io.h"
#include "arch/x86/guest/access.h"
#include "arch/x86/regs.h"
#include "kernel/lib/bytes.h"

#define ITERATIONS_MAX 64u

/* 8 and 16 bits merge into RAX, 32 bits clear its upper half. */
static void merge_rax(struct vcpu *vcpu, unsigned width, uint64_t value)
{
    if (width == 4)
        vcpu->gpr[GPR_RAX] = value;
    else
        vcpu->gpr[GPR_RAX] = (vcpu->gpr[GPR_RAX] & ~bytes_mask(width)) | value;
}

static uint64_t segment_base(struct vcpu *vcpu, enum segment_register which, enum decode_mode mode)
{
    struct segment s;

    if (mode == DECODE_64 && which != SEG_FS && which != SEG_GS)
        return 0;
    vcpu_ops->get_segment(vcpu, which, &s);
    return s.base;
}

struct string_io {
    struct vcpu *vcpu;
    const struct vcpu_exit *exit;
    struct gva_context gva;
    uint64_t base;           /* of the operand's segment */
    unsigned address_width;  /* bytes: which part of RCX, RSI, RDI counts */
    enum gpr pointer;
};

/* Prefixes: the address size and, for OUTS, the segment (SDM 2A, "Instruction Prefixes"). */
static void read_prefixes(struct string_io *s, enum decode_mode mode, const uint8_t *bytes, size_t count)
{
    static const struct {
        uint8_t prefix;
        enum segment_register segment;
    } overrides[] = {{0x26, SEG_ES}, {0x2e, SEG_CS}, {0x36, SEG_SS}, {0x3e, SEG_DS}, {0x64, SEG_FS}, {0x65, SEG_GS}};
    enum segment_register segment = s->exit->io.is_in ? SEG_ES : SEG_DS;
    bool has_address_prefix = false;

    for (size_t i = 0; i < count && (bytes[i] & 0xfc) != 0x6c; i++) {
        has_address_prefix |= bytes[i] == 0x67;
        for (unsigned n = 0; n < ARRAY_SIZE(overrides) && !s->exit->io.is_in; n++)
            if (bytes[i] == overrides[n].prefix)
                segment = overrides[n].segment;
    }
    s->address_width = mode;
    if (has_address_prefix)
        s->address_width = mode == DECODE_32 ? 2 : 4;
    s->base = segment_base(s->vcpu, segment, mode);
    s->pointer = s->exit->io.is_in ? GPR_RDI : GPR_RSI;
}

static void set_address_register(struct string_io *s, enum gpr which, uint64_t value)
{
    uint64_t *reg = &s->vcpu->gpr[which], mask = bytes_mask(s->address_width);

    *reg = s->address_width == 4 ? (uint32_t)value : (*reg & ~mask) | (value & mask);
}

static int move_one(struct string_io *s)
{
    struct vcpu *vcpu = s->vcpu;
    unsigned width = s->exit->io.width;
    uint64_t offset = vcpu->gpr[s->pointer] & bytes_mask(s->address_width), value = 0;
    gva_t linear = GVA(s->base + offset);
    int error;

    if (!(s->gva.efer & EFER_LMA))
        linear.value = (uint32_t)linear.value;
    if (s->exit->io.is_in) {
        io_bus_read(&vcpu->vm->ports, s->exit->io.port, width, &value);
        error = access_write(vcpu, &s->gva, linear, width, value);
    } else {
        error = access_read(vcpu, &s->gva, linear, width, &value);
        if (!error)
            io_bus_write(&vcpu->vm->ports, s->exit->io.port, width, value);
    }
    if (!error)
        set_address_register(s, s->pointer, offset + (s->gva.rflags & RFLAGS_DF ? -(uint64_t)width : width));
    return error;
}

static enum verdict repeat(struct string_io *s)
{
    uint64_t count = s->vcpu->gpr[GPR_RCX] & bytes_mask(s->address_width);

    for (unsigned i = 0; i < ITERATIONS_MAX && count > 0; i++) {
        if (move_one(s) != 0)
            return VERDICT_RESUME;
        set_address_register(s, GPR_RCX, --count);
    }
    return count == 0 ? VERDICT_NEXT : VERDICT_RESUME;
}

static enum verdict handle_string(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    struct string_io s = {.vcpu = vcpu, .exit = exit};
    uint8_t bytes[INSTRUCTION_BYTES_MAX];
    struct gva_fault fault;
    enum decode_mode mode;
    size_t fetched;
    gva_t rip;

    mode = access_begin(vcpu, &s.gva, &rip);
    fetched = gva_fetch(&s.gva, rip, bytes, sizeof bytes, &fault);
    if (fetched == 0) {
        access_fault(vcpu, fault.error, fault.address, fault.error_code);
        return VERDICT_RESUME;
    }
    read_prefixes(&s, mode, bytes, fetched);
    if (exit->io.has_rep)
        return repeat(&s);
    return move_one(&s) == 0 ? VERDICT_NEXT : VERDICT_RESUME;
}

enum verdict io_handle(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    uint64_t value;

    if (unlikely(exit->io.is_string))
        return handle_string(vcpu, exit);
    if (exit->io.is_in) {
        io_bus_read(&vcpu->vm->ports, exit->io.port, exit->io.width, &value);
        merge_rax(vcpu, exit->io.width, value);
    } else {
        io_bus_write(&vcpu->vm->ports, exit->io.port, exit->io.width, vcpu->gpr[GPR_RAX] & bytes_mask(exit->io.width));
    }
    return VERDICT_NEXT;
}
