/* SPDX-License-Identifier: BSD-2-Clause */
/* One vCPU's VMCS: what VT-x keeps of a guest CPU. */
#ifndef ARCH_X86_VMX_VMCS_H
#define ARCH_X86_VMX_VMCS_H

#include "arch/x86/vmx/vmx.h"
#include "kernel/vm.h"

struct vmx_vcpu {
    hpa_t vmcs;
    uint32_t *msr_bitmap_page; /* where the hypervisor sees msr_bitmap */
    hpa_t msr_bitmap, virtual_apic, apic_access;
    hpa_t io_bitmaps; /* its own, A and behind it B; 0: vmx_io_bitmap is both */
    bool is_launched;
    uint16_t vpid;
    unsigned last_cpu; /* where it was loaded last; PCPU_MAX: nowhere */
    uint64_t eptp;
    uint64_t slice_end; /* that the preemption timer was set for */
    uint32_t proc_controls, proc2_controls; /* as they stand in the VMCS: spares VMREADs */
    uint64_t eoi_bitmap[4];
};

extern hpa_t vmx_io_bitmap;

static inline struct vmx_vcpu *vmx_of(const struct vcpu *vcpu)
{
    return vcpu->engine;
}

/* Writes every field of the current VMCS that does not depend on the guest's state. */
void vmcs_init(struct vcpu *vcpu);
/* Host fields that depend on the CPU: after a VMCS moved. */
void vmcs_set_host_cpu(void);
/* The guest-state area. */
void vmcs_set_start(struct vcpu *vcpu, const struct vcpu_start *start);

/* CR0 and CR4 have bits that VT-x, or the hypervisor, needs otherwise than the guest thinks. */
void vmcs_set_cr0(struct vcpu *vcpu, uint64_t value);
void vmcs_set_cr4(struct vcpu *vcpu, uint64_t value);
uint64_t vmcs_get_cr0(void);
uint64_t vmcs_get_cr4(void);

void vmcs_set_segment(enum segment_register which, const struct segment *s);

void vmcs_change_proc_controls(struct vcpu *vcpu, uint32_t set, uint32_t clear);

/* Opens what the MSR policy passes through, for the APIC mode that the guest is in. */
void vmcs_fill_msr_bitmap(struct vcpu *vcpu);
void vmcs_set_apic_mode(struct vcpu *vcpu);
/* Does the CPU serve the access from the virtual-APIC page, in the mode that the guest's APIC is in? */
bool vmcs_serves_msr(const struct vcpu *vcpu, uint32_t index, bool is_write);

unsigned vmcs_describe(struct vcpu *vcpu, struct named_value *values, unsigned count);

#endif
