/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest state that the hypervisor never uses and that therefore stays in the CPU from one exit to the
 * next: extended registers, SYSCALL and debug registers. Switched only when another vCPU is loaded.
 */
#ifndef ARCH_X86_GUEST_WORLD_H
#define ARCH_X86_GUEST_WORLD_H

struct vcpu;

#define XSAVE_AREA_PAGES_ORDER 0 /* a page holds x87, SSE, AVX and AVX-512: 2688 bytes */

/* As after power-up. Not while a CPU holds it, or world_load follows. */
void world_reset(struct vcpu *vcpu);
void world_load(struct vcpu *vcpu);
void world_save(struct vcpu *vcpu);

#endif
