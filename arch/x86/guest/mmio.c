/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An access that second-level translation refused: the instruction is fetched, decoded and executed
 * with its memory operand on the VM's MMIO bus. Where nobody answers, reads are all ones, as on a PC.
 */
#include "arch/x86/guest/mmio.h"
#include "arch/x86/guest/access.h"
#include "arch/x86/guest/emulate.h"
#include "arch/x86/regs.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

struct mmio {
    struct vcpu *vcpu;
    struct gva_context gva;
    gpa_t faulted;      /* the operand's guest-physical address, as the exit told it */
    bool is_one_operand; /* every access of the instruction is at that address */
};

/*
 * The exit already says where the operand is, and that it is not RAM: no walk for an instruction with one memory operand that
 * stays in its page. The bits within the page show that it is the same access.
 */
static bool is_the_faulted_one(const struct mmio *m, gva_t linear, unsigned width)
{
    uint64_t in_page = linear.value % PAGE_SIZE;

    return m->is_one_operand && in_page == m->faulted.value % PAGE_SIZE && in_page + width <= PAGE_SIZE;
}

static int read_operand(void *context, gva_t linear, unsigned width, uint64_t *value)
{
    struct mmio *m = context;

    if (!is_the_faulted_one(m, linear, width))
        return access_read(m->vcpu, &m->gva, linear, width, value);
    *value = io_bus_read(&m->vcpu->vm->mmio, m->faulted.value, width);
    return 0;
}

static int write_operand(void *context, gva_t linear, unsigned width, uint64_t value)
{
    struct mmio *m = context;

    if (!is_the_faulted_one(m, linear, width))
        return access_write(m->vcpu, &m->gva, linear, width, value);
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

static enum verdict give_up(struct vcpu *vcpu, const struct vcpu_exit *exit, const char *why)
{
    log_warn("mmio", "%s at guest-physical %#lx: %s", exit->memory.is_write ? "write" : "read",
             exit->memory.address.value, why);
    vcpu_dump(vcpu, why);
    vm_stop(vcpu->vm, STOP_ERROR);
    return VERDICT_STOP;
}

/* The code may have been unmapped meanwhile: the guest gets the fault that a fetch would have made. */
static enum verdict refetch(struct vcpu *vcpu, const struct gva_fault *fault)
{
    access_fault(vcpu, fault->error, fault->address, fault->error_code);
    return VERDICT_RESUME;
}

static enum verdict execute(struct mmio *m, const struct instruction *insn, uint64_t rip)
{
    struct vcpu *vcpu = m->vcpu;
    bool uses_flags = instruction_uses_rflags(insn);
    uint64_t rflags = m->gva.rflags, rsp = vcpu_ops->get(vcpu, VCPU_RSP);
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
    return result == EMULATE_DONE ? VERDICT_NEXT : VERDICT_RESUME;
}

enum verdict mmio_handle(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    struct mmio m;
    uint8_t bytes[INSTRUCTION_BYTES_MAX];
    const struct instruction *insn;
    struct gva_fault fault;
    enum decode_mode mode;
    size_t fetched;
    gva_t rip;

    if (exit->memory.is_fetch)
        return give_up(vcpu, exit, "the guest jumped to where there is no memory");
    if (unlikely(vcpu->event.type != EVENT_NONE)) /* the instruction at RIP has not begun */
        return give_up(vcpu, exit, "an interrupt's frame or table is where there is no memory");
    m.vcpu = vcpu;
    m.faulted = exit->memory.address;
    mode = access_begin(vcpu, &m.gva, &rip);
    fetched = gva_fetch(&m.gva, rip, bytes, sizeof bytes, &fault);
    if (unlikely(fetched < sizeof bytes)) {
        if (fetched == 0)
            return refetch(vcpu, &fault);
        memset(bytes + fetched, 0, sizeof bytes - fetched);
    }
    if (decode_cached(&vcpu->decode_cache, bytes, mode, &insn) != 0)
        return give_up(vcpu, exit, "an instruction that is not emulated");
    if (insn->length > fetched)
        return refetch(vcpu, &fault);
    vcpu->emulated_length = insn->length;
    return execute(&m, insn, rip.value);
}
