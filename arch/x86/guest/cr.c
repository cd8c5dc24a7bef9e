/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes of control registers that exit: bits that the host keeps (CR0.NE, CD, NW), bits that CPUID follows
 * (CR4.OSXSAVE, PKE), bits that the guest does not have (#GP). SDM 3A, "Control Registers".
 */
#include "arch/x86/guest/cr.h"
#include "arch/x86/cpu.h"
#include "arch/x86/guest/cpuid.h"
#include "arch/x86/paging_format.h"
#include "drivers/virt/lapic.h"
#include "kernel/lib/bytes.h"

#define CR0_DEFINED (CR0_GUEST_OWNED | CR0_NE | CR0_NW | CR0_CD)
#define CR4_FOLLOWED (CR4_OSXSAVE | CR4_PKE)

/* Bits of CR4 and the CPUID bit that announces each; leaf 0: always there. */
static const struct {
    uint64_t cr4;
    uint32_t leaf;
    enum { IN_EBX, IN_ECX, IN_EDX } where;
    uint32_t bit;
} cr4_rows[] = {
    {CR4_VME | CR4_PVI, 1, IN_EDX, 1u << 1},
    {CR4_TSD, 1, IN_EDX, 1u << 4},
    {CR4_DE, 1, IN_EDX, 1u << 2},
    {CR4_PSE, 1, IN_EDX, 1u << 3},
    {CR4_PAE, 1, IN_EDX, 1u << 6},
    {CR4_MCE, 0, IN_EDX, 0},
    {CR4_PGE, 1, IN_EDX, 1u << 13},
    {CR4_PCE, 0, IN_EDX, 0},
    {CR4_OSFXSR, 1, IN_EDX, 1u << 24},
    {CR4_OSXMMEXCPT, 1, IN_EDX, 1u << 25},
    {CR4_UMIP, 7, IN_ECX, 1u << 2},
    {CR4_FSGSBASE, 7, IN_EBX, 1u << 0},
    {CR4_PCIDE, 1, IN_ECX, 1u << 17},
    {CR4_OSXSAVE, 1, IN_ECX, 1u << 26},
    {CR4_SMEP, 7, IN_EBX, 1u << 7},
    {CR4_SMAP, 7, IN_EBX, 1u << 20},
};

static bool is_announced(const struct vcpu *vcpu, unsigned row)
{
    const struct cpuid_result *r;

    if (cr4_rows[row].leaf == 0)
        return true;
    r = guest_cpuid_find(vcpu->cpuid, cr4_rows[row].leaf, 0);
    switch (cr4_rows[row].where) {
    case IN_EBX:
        return r->ebx & cr4_rows[row].bit;
    case IN_ECX:
        return r->ecx & cr4_rows[row].bit;
    default:
        return r->edx & cr4_rows[row].bit;
    }
}

uint64_t cr4_allowed(const struct vcpu *vcpu)
{
    uint64_t allowed = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(cr4_rows); i++)
        if (is_announced(vcpu, i))
            allowed |= cr4_rows[i].cr4;
    return allowed;
}

/* CR4.MCE stays the host's: a machine check is for the host, whatever the guest thinks of it. */
uint64_t cr4_guest_owned(const struct vcpu *vcpu)
{
    return cr4_allowed(vcpu) & ~(CR4_FOLLOWED | CR4_MCE);
}

/* --- PAE paging without long mode: where the CPU holds the four entries, an engine loads them --- */

#define PDPTES         4
#define PDPTE_RESERVED (PTE_RW | PTE_US | PTE_A | PTE_D | PTE_PS | PTE_G)

/* Writes that load them while PAE paging is on (SDM 3A, "PDPTE Registers"). */
#define CR0_LOADS_PDPTES (CR0_PG | CR0_CD | CR0_NW)
#define CR4_LOADS_PDPTES (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)

/* Those, and all above the addresses that this guest can have. */
static uint64_t reserved_in_pdpte(const struct vcpu *vcpu)
{
    return ~(BIT(vcpu->physical_bits) - 1) | PDPTE_RESERVED;
}

/* All four or none. VM entry would refuse what is refused here. */
static bool load_pdptes(struct vcpu *vcpu)
{
    uint8_t bytes[PDPTES * sizeof(uint64_t)];
    uint64_t cr3 = vcpu_ops->get(vcpu, VCPU_CR3) & 0xffffffe0u, reserved = reserved_in_pdpte(vcpu);

    if (guest_mem_read(&vcpu->vm->mem, GPA(cr3), bytes, sizeof bytes) != 0)
        return false;
    for (unsigned i = 0; i < PDPTES; i++) {
        uint64_t entry = get_le64(bytes + sizeof entry * i);

        if ((entry & PTE_P) && (entry & reserved))
            return false;
    }
    for (unsigned i = 0; i < PDPTES; i++)
        vcpu_ops->set(vcpu, VCPU_PDPTE0 + i, get_le64(bytes + sizeof(uint64_t) * i));
    return true;
}

static bool uses_pdptes(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    return vcpu_ops->keeps_pdptes && (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LMA);
}

bool cr_load_cr3(struct vcpu *vcpu, uint64_t value)
{
    uint64_t cr0 = vcpu_ops->get(vcpu, VCPU_CR0), cr4 = vcpu_ops->get(vcpu, VCPU_CR4);

    vcpu_ops->set(vcpu, VCPU_CR3, value);
    vcpu_ops->flush_linear(vcpu);
    return !uses_pdptes(cr0, cr4, vcpu_ops->get(vcpu, VCPU_EFER)) || load_pdptes(vcpu);
}

/* Entering and leaving IA-32e mode (SDM 3A, "Initializing IA-32e Mode"): neither from 64-bit code. */
static bool switch_long_mode(struct vcpu *vcpu, uint64_t cr0, uint64_t *efer)
{
    struct segment cs;

    if (!(*efer & EFER_LME))
        return true;
    vcpu_ops->get_segment(vcpu, SEG_CS, &cs);
    if (cs.attributes & SEG_ATTR_L)
        return false;
    if (!(cr0 & CR0_PG)) {
        *efer &= ~EFER_LMA;
        return true;
    }
    *efer |= EFER_LMA;
    return vcpu_ops->get(vcpu, VCPU_CR4) & CR4_PAE;
}

static bool is_valid_cr0(uint64_t value, uint64_t cr4)
{
    if (value >> 32 || ((value & CR0_NW) && !(value & CR0_CD)))
        return false;
    return value & CR0_PG ? value & CR0_PE : !(cr4 & CR4_PCIDE);
}

static bool write_cr0_value(struct vcpu *vcpu, uint64_t value)
{
    uint64_t changed = vcpu_ops->get(vcpu, VCPU_CR0) ^ value, cr4 = vcpu_ops->get(vcpu, VCPU_CR4);
    uint64_t efer = vcpu_ops->get(vcpu, VCPU_EFER);

    if (!is_valid_cr0(value, cr4))
        return false;
    if ((changed & CR0_PG) && !switch_long_mode(vcpu, value, &efer))
        return false;
    if ((changed & CR0_LOADS_PDPTES) && uses_pdptes(value, cr4, efer) && !load_pdptes(vcpu))
        return false;
    if (changed & CR0_PG)
        vcpu_ops->set(vcpu, VCPU_EFER, efer);
    vcpu_ops->set(vcpu, VCPU_CR0, (value & CR0_DEFINED) | CR0_ET);
    return true;
}

static bool write_cr4_value(struct vcpu *vcpu, uint64_t value)
{
    uint64_t old = vcpu_ops->get(vcpu, VCPU_CR4), cr0 = vcpu_ops->get(vcpu, VCPU_CR0);
    uint64_t efer = vcpu_ops->get(vcpu, VCPU_EFER);

    if (value & ~cr4_allowed(vcpu))
        return false;
    if ((efer & EFER_LMA) && !(value & CR4_PAE))
        return false;
    if ((value & ~old & CR4_PCIDE) && (!(efer & EFER_LMA) || (vcpu_ops->get(vcpu, VCPU_CR3) & 0xfff)))
        return false;
    if (((old ^ value) & CR4_LOADS_PDPTES) && uses_pdptes(cr0, value, efer) && !load_pdptes(vcpu))
        return false;
    vcpu_ops->set(vcpu, VCPU_CR4, value);
    guest_cpuid_update(vcpu->cpuid, value, vcpu->xcr0);
    return true;
}

static bool write_cr8_value(struct vcpu *vcpu, uint64_t value)
{
    if (value > 15)
        return false;
    lapic_set_tpr(vcpu->lapic, (uint8_t)(value << 4));
    vcpu_request(vcpu, REQUEST_EVENT);
    return true;
}

static bool write_cr(struct vcpu *vcpu, unsigned number, uint64_t value)
{
    switch (number) {
    case 0:
        return write_cr0_value(vcpu, value);
    case 4:
        return write_cr4_value(vcpu, value);
    case 8:
        return write_cr8_value(vcpu, value);
    default:
        return false;
    }
}

static bool read_cr(struct vcpu *vcpu, unsigned number, uint64_t *value)
{
    switch (number) {
    case 0:
        *value = vcpu_ops->get(vcpu, VCPU_CR0);
        return true;
    case 4:
        *value = vcpu_ops->get(vcpu, VCPU_CR4);
        return true;
    case 8:
        *value = lapic_tpr(vcpu->lapic) >> 4;
        return true;
    default:
        return false;
    }
}

/* 16 bits merge; 32 clear the upper half. */
static void set_gpr(struct vcpu *vcpu, const struct vcpu_exit *exit, uint64_t value)
{
    uint64_t *gpr = &vcpu->gpr[exit->cr.gpr], mask = bytes_mask(exit->cr.width);

    *gpr = exit->cr.width == 2 ? (*gpr & ~mask) | (value & mask) : value & mask;
    if (exit->cr.gpr == GPR_RSP)
        vcpu_ops->set(vcpu, VCPU_RSP, *gpr);
}

static bool perform(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    uint64_t value;

    if (!exit->cr.is_read)
        return write_cr(vcpu, exit->cr.number, exit->cr.value);
    if (!read_cr(vcpu, exit->cr.number, &value))
        return false;
    if (exit->cr.width > 0)
        set_gpr(vcpu, exit, value);
    return true;
}

enum verdict cr_handle(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    if (perform(vcpu, exit))
        return VERDICT_NEXT;
    vcpu_raise_with_code(vcpu, X86_GP, 0);
    return VERDICT_RESUME;
}

/* SDM 2C, "XSETBV": x87 always, AVX needs SSE, AVX-512 is all three parts and AVX. */
static bool is_valid_xcr0(uint64_t value, uint64_t allowed)
{
    const uint64_t avx512 = 0xe0;

    if (!(value & XCR0_X87) || (value & ~allowed))
        return false;
    if ((value & XCR0_AVX) && !(value & XCR0_SSE))
        return false;
    return !(value & avx512) || ((value & avx512) == avx512 && (value & XCR0_AVX));
}

/* Some CPUs exit before they look at the privilege. */
static bool is_user(struct vcpu *vcpu)
{
    struct segment ss;

    vcpu_ops->get_segment(vcpu, SEG_SS, &ss);
    return ss.attributes >> SEG_ATTR_DPL_SHIFT & 3;
}

/* The hypervisor uses no extended state: the guest's XCR0 stays loaded while it is this CPU's. */
enum verdict cr_handle_xsetbv(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    uint64_t value = (uint32_t)vcpu->gpr[GPR_RAX] | vcpu->gpr[GPR_RDX] << 32;

    (void)exit;
    if (is_user(vcpu) || (uint32_t)vcpu->gpr[GPR_RCX] != 0 || !is_valid_xcr0(value, vcpu->cpuid->xcr0_allowed)) {
        vcpu_raise_with_code(vcpu, X86_GP, 0);
        return VERDICT_RESUME;
    }
    vcpu->xcr0 = value;
    xsetbv0(value);
    guest_cpuid_update(vcpu->cpuid, vcpu_ops->get(vcpu, VCPU_CR4), value);
    return VERDICT_NEXT;
}

void cr_adopt_xcr0(struct vcpu *vcpu)
{
    uint64_t allowed = vcpu->cpuid->xcr0_allowed, value;

    if (allowed == 0)
        return;
    value = xgetbv0();
    if (likely(value == vcpu->xcr0))
        return;
    if (value & ~allowed)
        xsetbv0(value & allowed);
    vcpu->xcr0 = value & allowed;
    guest_cpuid_update(vcpu->cpuid, vcpu_ops->get(vcpu, VCPU_CR4), vcpu->xcr0);
}
