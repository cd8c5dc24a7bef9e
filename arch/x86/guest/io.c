/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Port I/O. IN and OUT are a bus access and no more. INS and OUTS move through guest memory, a
 * bounded number of iterations an exit, so that a REP of 2^32 neither blocks nor delays anything
 * (SDM 2A, "INS/INSB/INSW/INSD").
 */
#include "arch/x86/guest/io.h"
#include "arch/x86/guest/access.h"
#include "arch/x86/guest/breakpoint.h"
#include "arch/x86/guest/event.h"
#include "arch/x86/guest/task_segment.h"
#include "arch/x86/regs.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/errno.h"

#define ITERATIONS_MAX 64u

/* 8 and 16 bits merge into RAX, 32 bits clear its upper half. */
static void merge_rax(struct vcpu *vcpu, unsigned width, uint64_t value)
{
    if (width == 4)
        vcpu->gpr[GPR_RAX] = value;
    else
        vcpu->gpr[GPR_RAX] = (vcpu->gpr[GPR_RAX] & ~bytes_mask(width)) | value;
}

struct string_io {
    struct vcpu *vcpu;
    const struct vcpu_exit *exit;
    struct gva_context gva;
    enum decode_mode mode;
    enum segment_register segment_register;
    struct segment segment; /* the operand's; of it counts only the base in 64-bit mode */
    unsigned address_width; /* bytes: which part of RCX, RSI, RDI counts */
    enum gpr pointer;
    uint64_t breakpoints; /* that were hit, as bits of DR6 */
};

static bool has_segments(const struct string_io *s)
{
    return s->mode != DECODE_64;
}

/* Prefixes: the address size and, for OUTS, the segment (SDM 2A, "Instruction Prefixes"). */
static void read_prefixes(struct string_io *s, const uint8_t *bytes, size_t count)
{
    static const struct {
        uint8_t prefix;
        enum segment_register segment;
        bool is_null_in_64_bit_mode;
    } overrides[] = {{0x26, SEG_ES, true}, {0x2e, SEG_CS, true},  {0x36, SEG_SS, true},
                     {0x3e, SEG_DS, true}, {0x64, SEG_FS, false}, {0x65, SEG_GS, false}};
    bool has_address_prefix = false;

    s->segment_register = s->exit->io.is_in ? SEG_ES : SEG_DS;
    for (size_t i = 0; i < count && (bytes[i] & 0xfc) != 0x6c; i++) {
        has_address_prefix |= bytes[i] == 0x67;
        for (unsigned n = 0; n < ARRAY_SIZE(overrides) && !s->exit->io.is_in; n++)
            if (bytes[i] == overrides[n].prefix && (has_segments(s) || !overrides[n].is_null_in_64_bit_mode))
                s->segment_register = overrides[n].segment;
    }
    s->address_width = s->mode;
    if (has_address_prefix)
        s->address_width = s->mode == DECODE_32 ? 2 : 4;
}

static void find_operand(struct string_io *s)
{
    s->pointer = s->exit->io.is_in ? GPR_RDI : GPR_RSI;
    vcpu_ops->get_segment(s->vcpu, s->segment_register, &s->segment);
    if (!has_segments(s) && s->segment_register != SEG_FS && s->segment_register != SEG_GS)
        s->segment.base = 0;
}

/* Outside of 64-bit mode linear addresses have 32 bits, and segments limits; the exit comes before the CPU looks at them. */
static int linear_address(struct string_io *s, uint64_t offset, gva_t *linear)
{
    *linear = GVA(s->segment.base + offset);
    if (!has_segments(s))
        return 0;
    if (!segment_allows(&s->segment, offset, s->exit->io.width, s->exit->io.is_in)) {
        vcpu_raise_with_code(s->vcpu, s->segment_register == SEG_SS ? X86_SS : X86_GP, 0);
        return -EFAULT;
    }
    linear->value = (uint32_t)linear->value;
    return 0;
}

static void set_address_register(struct string_io *s, enum gpr which, uint64_t value)
{
    uint64_t *reg = &s->vcpu->gpr[which], mask = bytes_mask(s->address_width);

    *reg = s->address_width == 4 ? (uint32_t)value : (*reg & ~mask) | (value & mask);
}

/* What a device gives, it has given: it is asked only when the byte has a place to go. */
static int move_in(struct string_io *s, gva_t linear)
{
    struct vcpu *vcpu = s->vcpu;
    unsigned width = s->exit->io.width;
    int error = access_probe_write(vcpu, &s->gva, linear, width);

    if (error)
        return error;
    return access_write(vcpu, &s->gva, linear, width, io_bus_read(&vcpu->vm->ports, s->exit->io.port, width));
}

static int move_out(struct string_io *s, gva_t linear)
{
    struct vcpu *vcpu = s->vcpu;
    uint64_t value;
    int error = access_read(vcpu, &s->gva, linear, s->exit->io.width, &value);

    if (!error)
        io_bus_write(&vcpu->vm->ports, s->exit->io.port, s->exit->io.width, value);
    return error;
}

static COLD void find_breakpoints(struct string_io *s, gva_t linear)
{
    const struct vcpu_exit *exit = s->exit;

    s->breakpoints = breakpoint_find_port(s->vcpu, exit->io.port, exit->io.width) |
                     breakpoint_find_data(s->vcpu, linear, exit->io.width, exit->io.is_in);
    if (s->breakpoints)
        event_raise_debug(s->vcpu, s->breakpoints);
}

static int move_one(struct string_io *s)
{
    uint64_t offset = s->vcpu->gpr[s->pointer] & bytes_mask(s->address_width), width = s->exit->io.width;
    gva_t linear;
    int error = linear_address(s, offset, &linear);

    if (!error)
        error = s->exit->io.is_in ? move_in(s, linear) : move_out(s, linear);
    if (error)
        return error;
    set_address_register(s, s->pointer, offset + (s->gva.rflags & RFLAGS_DF ? -width : width));
    if (s->vcpu->may_have_breakpoints)
        find_breakpoints(s, linear);
    return 0;
}

static enum verdict repeat(struct string_io *s)
{
    uint64_t count = s->vcpu->gpr[GPR_RCX] & bytes_mask(s->address_width);
    bool is_stepping = s->gva.rflags & RFLAGS_TF;

    for (unsigned i = 0; i < (is_stepping ? 1 : ITERATIONS_MAX) && count > 0 && !s->breakpoints; i++) {
        if (move_one(s) != 0)
            return VERDICT_RESUME;
        set_address_register(s, GPR_RCX, --count);
    }
    if (count == 0)
        return VERDICT_NEXT;
    if (is_stepping) /* a trap flag traps between iterations, too */
        event_raise_debug(s->vcpu, DR6_BS);
    return VERDICT_LEAVE; /* a long string is no way to keep the CPU, not even where its IF holds interrupts off */
}

static COLD enum verdict handle_string(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    struct string_io s = {.vcpu = vcpu, .exit = exit};
    uint8_t bytes[INSTRUCTION_BYTES_MAX];
    struct gva_fault fault;
    size_t fetched;
    gva_t rip;

    s.mode = access_begin(vcpu, &s.gva, &rip);
    fetched = gva_fetch(&s.gva, rip, bytes, sizeof bytes, &fault);
    if (fetched == 0) {
        access_fault(vcpu, fault.error, fault.address, fault.error_code);
        return VERDICT_RESUME;
    }
    read_prefixes(&s, bytes, fetched);
    find_operand(&s);
    if (exit->io.has_rep)
        return repeat(&s);
    return move_one(&s) == 0 ? VERDICT_NEXT : VERDICT_RESUME;
}

static inline void move_plain(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    unsigned width = exit->io.width;

    if (exit->io.is_in)
        merge_rax(vcpu, width, io_bus_read(&vcpu->vm->ports, exit->io.port, width));
    else
        io_bus_write(&vcpu->vm->ports, exit->io.port, width, vcpu->gpr[GPR_RAX]);
}

/* #DB is a trap: the instruction is done. */
static COLD enum verdict handle_rare(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    uint64_t found;

    if (exit->io.is_string)
        return handle_string(vcpu, exit);
    move_plain(vcpu, exit);
    found = breakpoint_find_port(vcpu, exit->io.port, exit->io.width);
    if (found)
        event_raise_debug(vcpu, found);
    return VERDICT_NEXT;
}

enum verdict io_handle(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    if (unlikely(exit->io.is_string | vcpu->may_have_breakpoints)) /* one test for both */
        return handle_rare(vcpu, exit);
    move_plain(vcpu, exit);
    return VERDICT_NEXT;
}
