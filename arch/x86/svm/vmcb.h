/* SPDX-License-Identifier: BSD-2-Clause */
/* One vCPU's VMCB: what AMD-V keeps of a guest CPU, and what the engine knows besides. */
#ifndef ARCH_X86_SVM_VMCB_H
#define ARCH_X86_SVM_VMCB_H

#include "arch/x86/regs.h"
#include "arch/x86/svm/svm.h"
#include "kernel/timer.h"
#include "kernel/vm.h"

struct svm_avic;

/* Why the guest runs with our TF: until the trap, an NMI must wait. */
enum step { STEP_NONE, STEP_SHADOW, STEP_IRET };

struct svm_vcpu {
    struct vmcb *vmcb;
    hpa_t vmcb_address;
    hpa_t iopm;          /* its own port permission map; 0: it has the common one, in which every port makes an exit */
    uint64_t cr0, cr4;   /* as the guest wrote them; the VMCB's may differ */
    uint64_t next_rip;   /* of the instruction that made this exit, if it has one */

    unsigned cpu;        /* the last one that ran it, if asid_generation is not 0 */
    uint64_t asid_generation;
    bool needs_flush;    /* translations that the TLB may hold of it are wrong */

    bool looks_again;    /* after the next exit: an NMI waits for the event that goes first */
    bool is_nmi_blocked; /* between an NMI and its IRET */
    enum step step;
    bool had_tf;         /* the guest's own, while we step */
    bool is_held_back;   /* an interrupt, by the TPR */

    struct svm_avic *avic;     /* the VM's; NULL: not used */
    struct timer window_timer; /* armed: with AVIC there is something to inject as soon as the guest takes it */
    bool is_avic_stale;        /* the guest has changed what svm_avic_update() goes by */
};

/* Until the guest has used DR0 to DR3, or written DR7: see breakpoint.h. DR6 and DR7 are in the VMCB. */
#define VMCB_DR_INTERCEPTS (0xf * DR_READ(0) | 0xf * DR_WRITE(0) | DR_WRITE(7))

static inline struct svm_vcpu *svm_of(const struct vcpu *vcpu)
{
    return vcpu->engine;
}

/* Permission maps by the MSR policy, the same for every vCPU; once, before the first one. -ENOMEM */
MUST_CHECK int vmcb_make_permission_maps(void);

/* vcpu_ops' own_ports and pass_ports, and the end of it. */
MUST_CHECK int vmcb_make_port_map(struct vcpu *vcpu);
void vmcb_free_port_map(struct svm_vcpu *v);
void vmcb_pass_ports(struct vcpu *vcpu, uint16_t first, unsigned count, bool is_passed);

/* Everything: controls from tables, the guest's state from start. */
void vmcb_init(struct vcpu *vcpu, const struct vcpu_start *start);

/* CR0 and CR4 have bits that the hypervisor needs otherwise than the guest thinks; it is asked to read them then. */
uint64_t vmcb_get_cr0(const struct svm_vcpu *v);
void vmcb_set_cr0(struct svm_vcpu *v, uint64_t value);
void vmcb_set_cr4(struct svm_vcpu *v, uint64_t value);

void vmcb_get_segment(const struct vmcb *vmcb, enum segment_register which, struct segment *segment);
void vmcb_set_segment(struct vmcb *vmcb, enum segment_register which, const struct segment *s);

static inline bool vmcb_is_64_bit(const struct vmcb *vmcb)
{
    return (vmcb->state.efer & EFER_LMA) && (vmcb->state.cs.attributes & VMCB_ATTR_L);
}

void vmcb_change_intercepts(struct vmcb *vmcb, enum intercept_word word, uint32_t bits, bool wanted);

unsigned vmcb_describe(struct vcpu *vcpu, struct named_value *values, unsigned count);

#endif
