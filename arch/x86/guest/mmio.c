/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An access that second-level translation refused: the instruction is fetched, decoded and executed
 * with its memory operand on the VM's MMIO bus. Where nobody answers, reads are all ones, as on a PC.
 */
#include "arch/x86/guest/mmio.h"
#include "arch/x86/guest/access.h"
#include "arch/x86/guest/breakpoint.h"
#include "arch/x86/guest/emulate.h"
#include "arch/x86/guest/event.h"
#include "arch/x86/regs.h"
#include "kernel/guest_pages.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"

/* --- any instruction --- */

struct mmio {
    struct vcpu *vcpu;
    const struct gva_context *gva;
    gpa_t faulted;       /* the operand's guest-physical address, as the exit told it */
    bool is_write;       /* and whether the guest may write there */
    bool is_one_operand; /* every access of the instruction is at that address */
    uint64_t breakpoints; /* that were hit, as bits of DR6 */
};

/*
 * The exit already says where the operand is, and that it is not RAM: no walk for an instruction with one memory
 * operand that stays in its page. The bits within the page show that it is the same access. Another CPU may have replaced
 * the instruction since: a write that was a read then is looked up, for the page may be read-only.
 */
static inline bool is_the_faulted_one(gpa_t faulted, uint64_t linear, unsigned width)
{
    return (linear ^ faulted.value) % PAGE_SIZE == 0 && linear % PAGE_SIZE + width <= PAGE_SIZE;
}

static inline void find_breakpoints(struct mmio *m, gva_t linear, unsigned width, bool is_write)
{
    if (unlikely(m->vcpu->may_have_breakpoints))
        m->breakpoints |= breakpoint_find_data(m->vcpu, linear, width, is_write);
}

static int read_operand(void *context, gva_t linear, unsigned width, uint64_t *value)
{
    struct mmio *m = context;

    find_breakpoints(m, linear, width, false);
    if (!m->is_one_operand || !is_the_faulted_one(m->faulted, linear.value, width))
        return access_read(m->vcpu, m->gva, linear, width, value);
    *value = io_bus_read(&m->vcpu->vm->mmio, m->faulted.value, width);
    return 0;
}

static int write_operand(void *context, gva_t linear, unsigned width, uint64_t value)
{
    struct mmio *m = context;

    find_breakpoints(m, linear, width, true);
    if (!m->is_one_operand || !m->is_write || !is_the_faulted_one(m->faulted, linear.value, width))
        return access_write(m->vcpu, m->gva, linear, width, value);
    io_bus_write(&m->vcpu->vm->mmio, m->faulted.value, width, value);
    return 0;
}

static uint64_t segment_base(void *context, enum segment_register which)
{
    struct mmio *m = context;
    struct segment s;

    vcpu_ops->get_segment(m->vcpu, which, &s);
    return s.base;
}

static const struct emulate_ops operations = {read_operand, write_operand, segment_base};

/* A repetition that is not at its end traps as an instruction does. */
static enum verdict verdict_of(const struct mmio *m, enum emulate_result result, uint64_t rflags)
{
    uint64_t traps = m->breakpoints | (result == EMULATE_AGAIN && (rflags & RFLAGS_TF) ? DR6_BS : 0);

    if (traps)
        event_raise_debug(m->vcpu, traps);
    return result == EMULATE_DONE ? VERDICT_NEXT : result == EMULATE_AGAIN ? VERDICT_LEAVE : VERDICT_RESUME;
}

static __attribute__((noinline)) enum verdict execute(struct mmio *m, const struct instruction *insn, uint64_t rip)
{
    struct vcpu *vcpu = m->vcpu;
    bool uses_flags = instruction_uses_rflags(insn);
    uint64_t rflags = m->gva->rflags, rsp = vcpu_ops->get(vcpu, VCPU_RSP);
    struct emulate_cpu cpu = {vcpu->gpr, &rflags, rip, &operations, m};
    enum emulate_result result;

    vcpu->gpr[GPR_RSP] = rsp;
    m->is_one_operand = !instruction_is_string(insn);
    result = emulate_instruction(insn, &cpu);
    if (result == EMULATE_FAULT)
        return VERDICT_RESUME;
    if (uses_flags)
        vcpu_ops->set(vcpu, VCPU_RFLAGS, rflags);
    if (unlikely(vcpu->gpr[GPR_RSP] != rsp))
        vcpu_ops->set(vcpu, VCPU_RSP, vcpu->gpr[GPR_RSP]);
    return verdict_of(m, result, rflags);
}

/* --- the usual one --- */

/* emulate_instruction() in short, for a plain move of what the exit tells the address of. */
static inline enum verdict move(struct vcpu *vcpu, const struct instruction *insn, gpa_t address)
{
    struct io_bus *bus = &vcpu->vm->mmio;

    if (insn->memory_is_first)
        io_bus_write(bus, address.value, insn->memory_width, emulate_other_value(insn, vcpu->gpr));
    else
        emulate_write_operand(insn, vcpu->gpr, io_bus_read(bus, address.value, insn->memory_width));
    return VERDICT_NEXT;
}

/* --- from the exit to the instruction --- */

static COLD enum verdict give_up(struct vcpu *vcpu, const struct vcpu_exit *exit, const char *why)
{
    vcpu_crash(vcpu, STOP_ERROR, "%s at guest-physical %#lx: %s", exit->memory.is_write ? "write" : "read",
               exit->memory.address.value, why);
    return VERDICT_STOP;
}

/*
 * The code may have been unmapped meanwhile: the guest gets the fault that a fetch would have made. Where there is no
 * memory at all, no fetch succeeds, however often the guest is entered.
 */
static COLD enum verdict refetch(struct vcpu *vcpu, const struct vcpu_exit *exit, const struct gva_fault *fault)
{
    if (fault->error == -EIO)
        return give_up(vcpu, exit, "the guest's code is where there is no memory");
    access_fault(vcpu, fault->error, fault->address, fault->error_code);
    return VERDICT_RESUME;
}

/*
 * What a MOV to a control register wants of memory are the page-directory-pointer entries, and the bits that are reserved in
 * them are ones where there is no memory (SDM 3A, "PDPTE Registers").
 */
static COLD bool loads_pointers(const uint8_t bytes[INSTRUCTION_BYTES_MAX])
{
    return bytes[0] == 0x0f && bytes[1] == 0x22;
}

static COLD enum verdict refuse_instruction(struct vcpu *vcpu, const struct vcpu_exit *exit,
                                            const uint8_t bytes[INSTRUCTION_BYTES_MAX])
{
    if (!loads_pointers(bytes))
        return give_up(vcpu, exit, "an instruction that is not emulated");
    vcpu_raise_with_code(vcpu, X86_GP, 0);
    return VERDICT_RESUME;
}

/* A PC's bus gives all ones, which is #UD without end where a handler skips it; the dump helps more. */
static COLD enum verdict refuse(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    if (exit->memory.is_fetch && vcpu->event.type == EVENT_NONE)
        return give_up(vcpu, exit, "the guest jumped to where there is no memory");
    return give_up(vcpu, exit, "an interrupt's frame or table is where there is no memory");
}

/* Are fewer bytes than an instruction may have enough for this one? If so, zeroes make up for the others. */
static COLD bool is_complete(uint8_t bytes[INSTRUCTION_BYTES_MAX], size_t fetched, enum decode_mode mode)
{
    struct instruction insn;

    memset(bytes + fetched, 0, INSTRUCTION_BYTES_MAX - fetched);
    return decode_instruction(bytes, fetched, mode, &insn) != -EAGAIN;
}

/*
 * What the CPU itself fetched spares the walk, and is what it executed. It stops where a fetch would fault, and an
 * erratum makes it stop at once: then the guest's memory is asked.
 */
static __attribute__((noinline)) bool take_fetched(const struct vcpu_exit *exit, enum decode_mode mode,
                                                   uint8_t bytes[INSTRUCTION_BYTES_MAX])
{
    size_t count = exit->fetched_bytes;

    if (count > INSTRUCTION_BYTES_MAX)
        return false;
    memcpy(bytes, exit->fetched, count);
    return count == INSTRUCTION_BYTES_MAX || is_complete(bytes, count, mode);
}

static COLD bool is_ram(const struct vcpu *vcpu, gpa_t address)
{
    return guest_mem_find_slot(&vcpu->vm->mem, address);
}

/* RAM that the guest gave back and wants again: the access is made anew, unless there is no page and the VM ends. */
static COLD enum verdict make_page(struct vcpu *vcpu, gpa_t address)
{
    return guest_pages_at(vcpu->vm->mem.pages, address) ? VERDICT_RESUME : VERDICT_STOP;
}

enum verdict mmio_handle(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    struct gva_context gva;
    uint8_t bytes[INSTRUCTION_BYTES_MAX];
    const struct instruction *insn;
    gpa_t address = exit->memory.address;
    struct gva_fault fault;
    enum decode_mode mode;
    size_t fetched;
    gva_t rip;

    if (unlikely(vcpu->vm->mem.is_scattered) && is_ram(vcpu, address))
        return make_page(vcpu, address);
    if (unlikely(exit->memory.is_fetch || vcpu->event.type != EVENT_NONE)) /* the instruction at RIP has not begun */
        return refuse(vcpu, exit);
    mode = access_begin(vcpu, &gva, &rip);
    if (likely(exit->fetched_bytes == 0) || !take_fetched(exit, mode, bytes)) {
        fetched = gva_fetch_instruction(&gva, rip, bytes, &fault);
        if (unlikely(fetched < sizeof bytes) && !is_complete(bytes, fetched, mode))
            return refetch(vcpu, exit, &fault);
    }
    /* What was decoded before counts only as long as these bytes, of this moment, are the same. */
    if (unlikely(decode_cached(&vcpu->decode_cache, bytes, mode, &insn) != 0))
        return refuse_instruction(vcpu, exit, bytes);
    vcpu->emulated_length = insn->length;
    if (likely(instruction_is_plain_move(insn) && !vcpu->may_have_breakpoints &&
               is_the_faulted_one(address, emulate_offset(insn, vcpu->gpr, rip.value), insn->memory_width) &&
               (!insn->memory_is_first || exit->memory.is_write)))
        return move(vcpu, insn, address);
    return execute(&(struct mmio){.vcpu = vcpu, .gva = &gva, .faulted = address, .is_write = exit->memory.is_write}, insn,
                   rip.value);
}
