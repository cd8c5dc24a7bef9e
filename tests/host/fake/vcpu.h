/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU on no engine: registers are variables, what is injected or asked for is recorded. Its VM
 * has a page-granular RAM at 0, a port bus with a recording port, the real local APIC and the real
 * PICs.
 */
#ifndef TESTS_HOST_FAKE_VCPU_H
#define TESTS_HOST_FAKE_VCPU_H

#include "arch/x86/guest/cpuid.h"
#include "kernel/machine.h"
#include "kernel/vm.h"
#include "tests/host/fake/privileged.h"

#define FAKE_VCPU_RAM_BYTES    KIB(64)
#define FAKE_VCPU_EVENTS       8u
#define FAKE_VCPU_PORT         0x70
#define FAKE_VCPU_PORT_BYTES   4u
#define FAKE_VCPU_ADDRESS_BITS 36u

struct fake_vcpu {
    struct vcpu vcpu;
    struct vm vm;
    struct platform platform;
    struct lapic lapic;
    struct guest_cpuid cpuid;
    uint8_t *ram;
    void *apic_page;

    uint64_t registers[VCPU_REGISTERS];
    struct segment segments[SEG_COUNT];
    struct descriptor_table gdtr;

    struct event injected[FAKE_VCPU_EVENTS];
    unsigned injected_count;
    bool is_open[WINDOWS], is_wanted[WINDOWS];
    bool delivers_itself; /* what sync_interrupts returns */
    unsigned syncs, mode_changes, crashes, flushes, resets;

    /* The port: reads count up from here, byte by byte; writes are kept. */
    uint8_t port_next;
    unsigned port_reads, port_writes, port_width;
    uint64_t port_written[FAKE_VCPU_RAM_BYTES / 64];
};

/* Protected mode, flat segments, no paging, interrupts on, every window open. */
void fake_vcpu_init(struct fake_vcpu *f);
void fake_vcpu_free(struct fake_vcpu *f);

/* The answer of a leaf, to be changed. */
struct cpuid_result *fake_vcpu_cpuid(struct fake_vcpu *f, uint32_t leaf);

/* The event that was injected as the n-th must be this one. */
void fake_vcpu_assert_injected(const struct fake_vcpu *f, unsigned n, enum event_type type,
                               uint8_t vector);

/* The exception that waits for the next entry. */
void fake_vcpu_assert_raised(const struct fake_vcpu *f, uint8_t vector);
void fake_vcpu_assert_raised_with_code(const struct fake_vcpu *f, uint8_t vector,
                                       uint32_t error_code);
void fake_vcpu_assert_nothing_raised(const struct fake_vcpu *f);

#endif
