/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors as a task switch reads and loads them: the CPU's own accesses to tables, made as supervisor, and the rules
 * for each segment register (SDM 3A, "Task Switching", "Segment Descriptors").
 */
#ifndef ARCH_X86_GUEST_TASK_SEGMENT_H
#define ARCH_X86_GUEST_TASK_SEGMENT_H

#include "arch/x86/guest/gva.h"
#include "kernel/vm.h"

#define SELECTOR_RPL   3u
#define SELECTOR_LOCAL 4u /* in the LDT */
#define SELECTOR_INDEX 0xfff8u
#define ERROR_CODE_EXT 1u /* the event came from outside of the program */

struct task_access {
    struct vcpu *vcpu;
    struct gva_context gva; /* as supervisor */
    struct descriptor_table gdt;
    uint32_t external; /* or'ed into error codes */
};

void task_access_begin(struct task_access *a, struct vcpu *vcpu, uint32_t external);

/* Linear addresses, of which 32 bits count. On a fault the exception is raised, and -EFAULT returned. */
MUST_CHECK int task_read(struct task_access *a, uint64_t linear, unsigned width, uint64_t *value);
MUST_CHECK int task_probe_write(struct task_access *a, uint64_t linear);
/* Of what was probed: if it is not there any more, nothing is written. */
void task_write(struct task_access *a, uint64_t linear, unsigned width, uint64_t value);
/* With the rights of the new task's own ring. */
MUST_CHECK int task_push(struct task_access *a, uint64_t linear, unsigned width, uint64_t value);

/* Raises the exception with the selector as its error code; returns -EFAULT. */
int task_raise(struct task_access *a, uint8_t vector, uint16_t selector);

/* -ENOENT: no table has it; -EFAULT: raised. Null is the GDT's first. */
MUST_CHECK int task_read_descriptor(struct task_access *a, uint16_t selector, struct segment *s, uint32_t *linear);

/* LDTR, then the six others, all of a new task. */
MUST_CHECK int task_load_segments(struct task_access *a, const uint16_t selectors[SEG_COUNT], bool is_virtual_8086);

/* Type and limit (SDM 3A, "Limit Checking", "Type Checking"): may an access of that width be made at offset? */
bool segment_allows(const struct segment *s, uint64_t offset, unsigned width, bool is_write);

#endif
