/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last exits of a vCPU in detail: when, where, what for and how long it took. Recorded only while somebody
 * asks for it: the path of an exit pays for one addition otherwise. The vCPU's own CPU writes its ring;
 * the control thread reads it at any time.
 */
#ifndef KERNEL_TRACE_H
#define KERNEL_TRACE_H

#include "kernel/exit.h"
#include "kernel/lib/types.h"

#define EXIT_RING_RECORDS 128u /* a power of two */

struct vcpu;

struct exit_record {
    uint64_t tsc;   /* when it was */
    uint64_t rip;
    uint64_t info;  /* what it was for: port, address, register; see trace_describe() */
    uint32_t ticks; /* until it was handled; 0: not yet, or more than 2^32 */
    uint8_t kind;   /* enum exit_kind */
};

struct exit_ring {
    uint64_t next; /* free running; written behind the record */
    struct exit_record records[EXIT_RING_RECORDS];
    uint64_t handled[EXIT_KINDS], ticks[EXIT_KINDS]; /* since tracing began */
};

/* The control thread's. A ring stays until its vCPU is destroyed, which trace_free() is a part of. */
MUST_CHECK int trace_start(struct vcpu *vcpu);
void trace_stop(struct vcpu *vcpu);
void trace_free(struct vcpu *vcpu);

/* The vCPU's own CPU: at an exit, and when it has been handled. */
void trace_exit(struct vcpu *vcpu, const struct vcpu_exit *exit);
void trace_handled(struct vcpu *vcpu);

/* Copies up to count of the last records, oldest first, and returns how many. */
unsigned trace_read(const struct vcpu *vcpu, struct exit_record *records, unsigned count);

/* "io", "out 0x3f8 width 1": what the record's kind and info say. */
void trace_describe(const struct exit_record *record, char *text, size_t size);

#endif
