/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The few instructions of which an exit needs to know more than AMD-V tells: how long they are, where the CPU does not
 * save the next RIP, and the operands of those that access control registers. The code is fetched once and decoded
 * from the copy; another vCPU may have changed it since the CPU executed it.
 */
#include "arch/x86/svm/svm_insn.h"
#include "arch/x86/guest/access.h"
#include "arch/x86/guest/emulate.h"
#include "arch/x86/regs.h"
#include "arch/x86/svm/svm_caps.h"
#include "arch/x86/svm/vmcb.h"
#include "kernel/lib/string.h"

#define PREFIX_TWO_BYTE 0x0f
#define PREFIX_LOCK     0xf0
#define PREFIX_WIDTH    0x66
#define REX_W           8u
#define REX_B           1u

struct code {
    struct vcpu *vcpu;
    struct gva_context gva;
    enum decode_mode mode;
    gva_t rip;
    uint8_t bytes[INSTRUCTION_BYTES_MAX + 1]; /* zeroes behind what could be read */
    unsigned opcode; /* where the prefixes end */
    uint8_t rex;
    bool has_width_prefix;
};

static bool is_legacy_prefix(uint8_t byte)
{
    static const uint8_t prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, PREFIX_WIDTH, 0x67, PREFIX_LOCK, 0xf2, 0xf3};

    for (unsigned i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (prefixes[i] == byte)
            return true;
    return false;
}

static void read_prefixes(struct code *c)
{
    c->opcode = 0;
    c->has_width_prefix = false;
    while (c->opcode < INSTRUCTION_BYTES_MAX && is_legacy_prefix(c->bytes[c->opcode]))
        c->has_width_prefix |= c->bytes[c->opcode++] == PREFIX_WIDTH;
    c->rex = 0;
    if (c->mode == DECODE_64 && (c->bytes[c->opcode] & 0xf0) == 0x40)
        c->rex = c->bytes[c->opcode++];
}

/* The n-th byte from the opcode on; what lies behind 15 bytes does not exist. */
static uint8_t code_byte(const struct code *c, unsigned n)
{
    return c->bytes[MIN(c->opcode + n, INSTRUCTION_BYTES_MAX)];
}

static bool fetch(struct vcpu *vcpu, struct code *c)
{
    struct gva_fault fault;
    size_t fetched;

    c->vcpu = vcpu;
    memset(c->bytes, 0, sizeof c->bytes);
    c->mode = access_begin(vcpu, &c->gva, &c->rip);
    fetched = gva_fetch(&c->gva, c->rip, c->bytes, INSTRUCTION_BYTES_MAX, &fault);
    if (fetched == 0) {
        access_fault(vcpu, fault.error, fault.address, fault.error_code);
        return false;
    }
    read_prefixes(c);
    return true;
}

/* length: from the opcode on. */
static void set_next_rip(const struct code *c, unsigned length)
{
    struct svm_vcpu *v = svm_of(c->vcpu);

    v->next_rip = v->vmcb->state.rip + c->opcode + length;
}

bool svm_insn_skip(struct vcpu *vcpu, uint8_t opcode, unsigned length)
{
    struct svm_vcpu *v = svm_of(vcpu);
    struct code c;

    if (svm_has(SVM_FEATURE_NRIPS)) {
        v->next_rip = v->vmcb->control.next_rip;
        return true;
    }
    if (!fetch(vcpu, &c) || code_byte(&c, 0) != opcode)
        return false;
    set_next_rip(&c, length);
    return true;
}

/* --- control registers (APM 3, "MOV CRn", "CLTS", "SMSW", "LMSW") --- */

static bool decode_mov(struct code *c, struct vcpu_exit *exit, bool is_read)
{
    exit->cr.is_read = is_read;
    exit->cr.gpr = (uint8_t)((code_byte(c, 2) & 7) | (c->rex & REX_B ? 8 : 0));
    exit->cr.width = c->mode == DECODE_64 ? 8 : 4;
    exit->cr.value = c->vcpu->gpr[exit->cr.gpr] & bytes_mask(exit->cr.width);
    set_next_rip(c, 3);
    return true;
}

static bool decode_clts(struct code *c, struct vcpu_exit *exit)
{
    exit->cr.is_read = false;
    exit->cr.value = vmcb_get_cr0(svm_of(c->vcpu)) & ~CR0_TS;
    set_next_rip(c, 2);
    return true;
}

static uint64_t segment_base(void *context, enum segment_register which)
{
    struct segment s;

    vmcb_get_segment(svm_of(context)->vmcb, which, &s);
    return s.base;
}

/* The operand of SMSW and LMSW in memory is that of a MOVZX with the same bytes behind its opcode, which the decoder knows. */
static bool find_operand(struct code *c, gva_t *linear)
{
    static const struct emulate_ops ops = {.segment_base = segment_base};
    struct emulate_cpu cpu = {.gpr = c->vcpu->gpr, .rip = svm_of(c->vcpu)->vmcb->state.rip, .ops = &ops, .context = c->vcpu};
    struct instruction insn;

    c->bytes[c->opcode + 1] = 0xb7;
    if (decode_instruction(c->bytes, INSTRUCTION_BYTES_MAX, c->mode, &insn) != 0)
        return false;
    *linear = emulate_effective_address(&insn, &cpu);
    set_next_rip(c, insn.length - c->opcode);
    return true;
}

/* Sets PE, but never clears it; of the rest of CR0 it writes MP, EM and TS. */
static void set_machine_status(struct code *c, struct vcpu_exit *exit, uint64_t status)
{
    const uint64_t written = CR0_PE | CR0_MP | CR0_EM | CR0_TS;
    uint64_t cr0 = vmcb_get_cr0(svm_of(c->vcpu));

    exit->cr.is_read = false;
    exit->cr.value = (cr0 & ~(written & ~CR0_PE)) | (status & written);
}

static bool decode_lmsw(struct code *c, struct vcpu_exit *exit, uint8_t modrm)
{
    gva_t linear;
    uint64_t status;

    if (modrm >> 6 == 3) {
        set_next_rip(c, 3);
        status = c->vcpu->gpr[(modrm & 7) | (c->rex & REX_B ? 8 : 0)];
    } else if (!find_operand(c, &linear) || access_read(c->vcpu, &c->gva, linear, 2, &status) != 0) {
        return false;
    }
    set_machine_status(c, exit, status);
    return true;
}

static bool decode_smsw(struct code *c, struct vcpu_exit *exit, uint8_t modrm)
{
    uint64_t status = vmcb_get_cr0(svm_of(c->vcpu)) & 0xffff;
    gva_t linear;

    exit->cr.is_read = true;
    exit->cr.width = 0;
    if (modrm >> 6 != 3)
        return find_operand(c, &linear) && access_write(c->vcpu, &c->gva, linear, 2, status) == 0;
    exit->cr.gpr = (uint8_t)((modrm & 7) | (c->rex & REX_B ? 8 : 0));
    exit->cr.width = (c->mode == DECODE_16) != c->has_width_prefix ? 2 : 4;
    if (c->rex & REX_W)
        exit->cr.width = 8;
    set_next_rip(c, 3);
    return true;
}

static bool decode_group_7(struct code *c, struct vcpu_exit *exit)
{
    enum { SMSW = 4, LMSW = 6 };
    uint8_t modrm = code_byte(c, 2);

    switch (modrm >> 3 & 7) {
    case SMSW:
        return decode_smsw(c, exit, modrm);
    case LMSW:
        return decode_lmsw(c, exit, modrm);
    default:
        return false;
    }
}

static bool decode(struct code *c, struct vcpu_exit *exit)
{
    if (code_byte(c, 0) != PREFIX_TWO_BYTE)
        return false;
    switch (code_byte(c, 1)) {
    case 0x01:
        return decode_group_7(c, exit);
    case 0x06:
        return decode_clts(c, exit);
    case 0x20:
        return decode_mov(c, exit, true);
    case 0x22:
        return decode_mov(c, exit, false);
    default:
        return false;
    }
}

/* With decode assists and the next RIP, a MOV needs no look at the code. */
static bool take_assist(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    struct svm_vcpu *v = svm_of(vcpu);
    const struct vmcb_control *control = &v->vmcb->control;

    if (!svm_has(SVM_FEATURE_NRIPS) || !svm_has(SVM_FEATURE_DECODE_ASSISTS) || !(control->exit_info1 & CR_INFO_IS_MOV))
        return false;
    exit->cr.gpr = control->exit_info1 & CR_INFO_GPR_MASK;
    exit->cr.is_read = control->exit_code <= VMEXIT_CR15_READ;
    exit->cr.width = vmcb_is_64_bit(v->vmcb) ? 8 : 4;
    exit->cr.value = vcpu->gpr[exit->cr.gpr] & bytes_mask(exit->cr.width);
    v->next_rip = control->next_rip;
    return true;
}

bool svm_insn_decode_cr(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    struct code c;

    vcpu->gpr[GPR_RSP] = svm_of(vcpu)->vmcb->state.rsp;
    return take_assist(vcpu, exit) || (fetch(vcpu, &c) && decode(&c, exit));
}
