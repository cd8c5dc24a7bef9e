/* SPDX-License-Identifier: BSD-2-Clause */
/* What CPUID tells a guest: the host's answers through a policy table, made once for each vCPU. */
#ifndef ARCH_X86_GUEST_CPUID_H
#define ARCH_X86_GUEST_CPUID_H

#include "arch/x86/cpu.h"

struct vcpu;

#define GUEST_CPUID_ENTRIES 48u
#define GUEST_CPUID_DIRECT  32u

struct guest_cpuid_entry {
    uint32_t leaf, subleaf;
    bool has_subleaves;
    struct cpuid_result result;
};

struct guest_cpuid {
    struct guest_cpuid_entry entries[GUEST_CPUID_ENTRIES]; /* by ascending leaf and subleaf */
    unsigned count;
    uint32_t max_basic;
    uint8_t direct[GUEST_CPUID_DIRECT]; /* of a basic leaf without subleaves: its entry; else beyond all */
    uint64_t xcr0_allowed, xcr0_bytes;
};

/* Fills the table; vcpus: how many the VM has. */
void guest_cpuid_init(struct guest_cpuid *table, unsigned apic_id, unsigned vcpus);

/* The CPU does not end interrupts by itself: an EOI without an exit is worth having (pv_eoi.h). */
void guest_cpuid_offer_pv_eoi(struct guest_cpuid *table);

/* The CPU does by itself what is asked of an xAPIC's page, but nothing of x2APIC's: the guest sees none, nor IPIs by hypercall. */
void guest_cpuid_prefer_xapic(struct guest_cpuid *table);

/* Leaves beyond the last basic one answer as the last one, as Intel's CPUs do. */
const struct cpuid_result *guest_cpuid_find(const struct guest_cpuid *table, uint32_t leaf, uint32_t subleaf);

/* The same for what guests ask most, such as leaf 0 to serialize; NULL: it takes a search. */
static inline const struct cpuid_result *guest_cpuid_find_direct(const struct guest_cpuid *table, uint32_t leaf)
{
    if (unlikely(leaf >= GUEST_CPUID_DIRECT || table->direct[leaf] >= GUEST_CPUID_ENTRIES))
        return NULL;
    return &table->entries[table->direct[leaf]].result;
}

/* The bits that follow guest registers: CR4.OSXSAVE, CR4.PKE, and the size of what XCR0 enables. */
void guest_cpuid_update(struct guest_cpuid *table, uint64_t cr4, uint64_t xcr0);

#endif
