/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's memory as its instructions see it: linear addresses, to RAM or to the VM's MMIO bus. */
#ifndef ARCH_X86_GUEST_ACCESS_H
#define ARCH_X86_GUEST_ACCESS_H

#include "arch/x86/guest/decode.h"
#include "arch/x86/guest/gva.h"
#include "arch/x86/regs.h"
#include "kernel/vm.h"

/* For access_begin() alone: the modes without 64-bit code. */
COLD enum decode_mode access_begin_legacy(struct vcpu *vcpu, struct gva_context *context, const struct code_position *code,
                                          gva_t *rip);

/*
 * Reads what the walk depends on from the engine. Returns the default operand and address size at CS:RIP; *rip is
 * its linear address. Inline, as it is a part of every MMIO exit.
 */
static inline enum decode_mode access_begin(struct vcpu *vcpu, struct gva_context *context, gva_t *rip)
{
    struct code_position code;

    context->physical_bits = vcpu->physical_bits;
    context->has_1g_pages = vcpu->has_1g_pages;
    context->pkru = 0; /* CR4.PKE is not a guest's to set */
    context->mem = &vcpu->vm->mem;
    vcpu_ops->get_code_context(vcpu, context, &code);
    if (unlikely(!(context->efer & EFER_LMA) || !(code.cs_attributes & SEG_ATTR_L)))
        return access_begin_legacy(vcpu, context, &code, rip);
    *rip = GVA(code.rip);
    return DECODE_64;
}

/*
 * Up to 8 bytes, possibly across a page's end. On a fault the guest's exception is raised and -EFAULT
 * returned; of a write that crosses into a page that faults nothing is written.
 */
MUST_CHECK int access_read(struct vcpu *vcpu, const struct gva_context *context, gva_t linear, unsigned width,
                           uint64_t *value);
MUST_CHECK int access_write(struct vcpu *vcpu, const struct gva_context *context, gva_t linear, unsigned width,
                            uint64_t value);

/* Would a write go through? Raises what it would raise. */
MUST_CHECK int access_probe_write(struct vcpu *vcpu, const struct gva_context *context, gva_t linear, unsigned width);

/* At one guest-physical address, within a page: RAM, else the bus. */
uint64_t access_read_physical(struct vcpu *vcpu, gpa_t address, unsigned width);
void access_write_physical(struct vcpu *vcpu, gpa_t address, unsigned width, uint64_t value);

/* Raises what a failed walk asks for: #PF with CR2, or #GP(0). */
void access_fault(struct vcpu *vcpu, int error, gva_t linear, uint32_t error_code);

#endif
