/* SPDX-License-Identifier: BSD-2-Clause */
/* What the permission maps of a vCPU let through, read back bit by bit from where its VMCB says they are. */
#include "arch/arch.h"
#include "arch/x86/svm/svm_avic.h"
#include "arch/x86/svm/svm_ops.h"
#include "kernel/pt.h"

#define PORTS       0x10000u
#define MSRS        0x2000u /* in each part of the map: two bits each, reads in the lower one */
#define ALL_TAKEN   (MISC1_IOIO_PROT | MISC1_MSR_PROT)
#define MSRPM_BYTES (3 * MSRS / 4)

static bool is_in_force(const struct vcpu *vcpu, const struct vmcb_control *c)
{
    return (c->intercepts[INTERCEPT_MISC1] & ALL_TAKEN) == ALL_TAKEN && (c->np_enable & NP_ENABLE) &&
           c->n_cr3 == vcpu->vm->stage2->root.value;
}

/* The first bit from there on that is clear, or limit: nearly all are set. */
static unsigned next_open(const uint8_t *map, unsigned bit, unsigned limit)
{
    while (bit < limit && (map[bit / 8] & 1u << bit % 8))
        bit = map[bit / 8] == 0xff ? (bit | 7) + 1 : bit + 1;
    return bit;
}

uint64_t svm_visit_passed(const struct vcpu *vcpu, void (*visit)(void *context, enum passed what, uint32_t index), void *context)
{
    static const uint32_t first[] = {0, 0xc0000000u, 0xc0010000u};
    const struct vmcb_control *c = &svm_of(vcpu)->vmcb->control;
    const uint8_t *ports = phys_to_virt(HPA(c->iopm_base_pa)), *msrs = phys_to_virt(HPA(c->msrpm_base_pa));

    if (!is_in_force(vcpu, c))
        return 0;
    for (unsigned port = 0; (port = next_open(ports, port, PORTS)) < PORTS; port++)
        visit(context, PASSED_PORT, port);
    for (unsigned bit = 0; (bit = next_open(msrs, bit, 8 * MSRPM_BYTES)) < 8 * MSRPM_BYTES; bit++)
        visit(context, bit % 2 ? PASSED_MSR_WRITE : PASSED_MSR_READ, first[bit / 2 / MSRS] + bit / 2 % MSRS);
    return PORTS + 8 * MSRPM_BYTES;
}

/* With AVIC the x2APIC's registers make exits all the same. */
bool svm_serves_msr(const struct vcpu *vcpu, enum passed what, uint32_t index)
{
    (void)vcpu;
    (void)what;
    (void)index;
    return false;
}

hpa_t svm_apic_page(const struct vm *vm)
{
    return svm_avic_page(vm->vcpus[0]);
}
