/* SPDX-License-Identifier: BSD-2-Clause */
/* What this CPU's VT-x can do, and the control fields that follow from that and from the command line. */
#ifndef ARCH_X86_VMX_VMX_CAPS_H
#define ARCH_X86_VMX_VMX_CAPS_H

#include "kernel/lib/types.h"

struct host_config;

enum vmx_control { CONTROL_PIN, CONTROL_PROC, CONTROL_PROC2, CONTROL_EXIT, CONTROL_ENTRY, CONTROLS };

struct vmx_caps {
    uint32_t revision;
    uint32_t controls[CONTROLS]; /* negotiated */
    uint64_t ept_vpid;           /* IA32_VMX_EPT_VPID_CAP */
    uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
    unsigned preemption_timer_shift;
    unsigned leaf_levels; /* PT_LEAF_* of EPT */
};

extern struct vmx_caps vmx_caps; /* written by vmx_probe(), read by everyone */

static inline bool vmx_has(enum vmx_control field, uint32_t bit)
{
    return vmx_caps.controls[field] & bit;
}

bool vmx_is_present(void);
/* Fills vmx_caps and prints the report. False: this machine cannot be used, and a line said what is missing. */
bool vmx_probe(const struct host_config *config);

#endif
