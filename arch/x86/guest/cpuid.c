/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUID by policy (SDM 2A, "CPUID—CPU Identification"): a row a leaf, what of the host's answer passes
 * and why. A leaf without a row answers zeroes: what we do not know, a guest does not get.
 */
#include "arch/x86/guest/cpuid.h"
#include "arch/x86/regs.h"
#include "kernel/lib/string.h"
#include "kernel/timer.h"

enum { EAX, EBX, ECX, EDX };

#define ALL 0xffffffffu

struct policy_row {
    uint32_t leaf;
    bool has_subleaves;
    uint32_t subleaf;
    uint32_t pass[4]; /* EAX, EBX, ECX, EDX: bits of the host that the guest sees */
};

/* Leaf 1: no DTES64 MONITOR DS-CPL VMX SMX EIST TM2 CNXT-ID SDBG xTPR PDCM DCA; no MCE MCA DS ACPI SS HTT TM PBE. */
#define LEAF1_ECX (1u << 0 | 1u << 1 | 1u << 9 | 1u << 12 | 1u << 13 | 1u << 17 | 1u << 19 | 1u << 20 | 1u << 21 |  \
                   1u << 22 | 1u << 23 | 1u << 24 | 1u << 25 | 1u << 26 | 1u << 28 | 1u << 29 | 1u << 30)
#define LEAF1_EDX (1u << 0 | 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 8 | 1u << 9 |       \
                   1u << 11 | 1u << 12 | 1u << 13 | 1u << 15 | 1u << 16 | 1u << 17 | 1u << 19 | 1u << 23 |         \
                   1u << 24 | 1u << 25 | 1u << 26)
/* Of leaf 1, what the hypervisor models whatever the host has: x2APIC, the APIC timer's TSC deadline. */
#define LEAF1_ECX_MODELLED (CPUID_1_ECX_X2APIC | CPUID_1_ECX_TSC_DEADLINE)
/* Leaf 7: FSGSBASE TSC_ADJUST BMI1 AVX2 FDP SMEP BMI2 ERMS INVPCID FCS AVX512* RDSEED ADX SMAP CLFLUSHOPT CLWB SHA. */
#define LEAF7_EBX (1u << 0 | 1u << 1 | 1u << 3 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 10 |      \
                   1u << 13 | 1u << 16 | 1u << 17 | 1u << 18 | 1u << 19 | 1u << 20 | 1u << 21 | 1u << 23 |         \
                   1u << 24 | 1u << 28 | 1u << 29 | 1u << 30 | 1u << 31)
#define LEAF7_ECX (1u << 1 | 1u << 2 | 1u << 6 | 1u << 8 | 1u << 9 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 14)
#define LEAF7_EDX (1u << 2 | 1u << 3 | 1u << 4 | 1u << 8) /* AVX512 4VNNIW 4FMAPS, fast short REP MOV, VP2INTERSECT */
/* LAHF LZCNT SSE4A MISALIGNSSE PREFETCHW XOP FMA4 TBM; the repetitions of leaf 1, SYSCALL NX MMXEXT PAGE1GB RDTSCP LM 3DNOW. */
#define LEAF81_ECX (1u << 0 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 11 | 1u << 16 | 1u << 21)
#define LEAF81_EDX                                                                                                  \
    ((LEAF1_EDX & 0x0183f3ffu) | 1u << 11 | 1u << 20 | 1u << 22 | 1u << 26 | 1u << 27 | 1u << 29 | 1u << 30 | 1u << 31)
#define XSAVE_FEATURES (1u << 0 | 1u << 1 | 1u << 2) /* XSAVEOPT, XSAVEC, XGETBV of 1; XSAVES would need IA32_XSS */
#define XCR0_KNOWN     0xe7u                         /* x87 SSE AVX, and the three parts of AVX-512 */

static const struct policy_row rows[] = {
    {0x00, false, 0, {0, ALL, ALL, ALL}}, /* vendor; the highest leaf is ours */
    {0x01, false, 0, {ALL, 0x0000ffff, LEAF1_ECX, LEAF1_EDX}}, /* features that need no more than we virtualize */
    {0x02, false, 0, {ALL, ALL, ALL, ALL}}, /* cache descriptors are harmless */
    {0x04, true, 0, {0x03ffffffu & ~0x03ffc000u, ALL, ALL, ALL}}, /* caches; sharing is left out: a vCPU is a core */
    {0x04, true, 1, {0x00003fff, ALL, ALL, ALL}}, /* likewise */
    {0x04, true, 2, {0x00003fff, ALL, ALL, ALL}}, /* likewise */
    {0x04, true, 3, {0x00003fff, ALL, ALL, ALL}}, /* likewise */
    {0x06, false, 0, {1u << 2, 0, 0, 0}}, /* ARAT: our APIC timer never stops; no thermal or power control */
    {0x07, true, 0, {0, LEAF7_EBX, LEAF7_ECX, LEAF7_EDX}}, /* no SGX RTM MPX PT RDT; speculation control MSRs are not given yet */
    {0x0b, true, 0, {0, 0, 0, 0}}, /* topology: filled in */
    {0x0b, true, 1, {0, 0, 0, 0}}, /* topology: filled in */
    {0x0b, true, 2, {0, 0, 0, 0}}, /* topology: the end */
    {0x0d, true, 0, {XCR0_KNOWN, 0, 0, 0}}, /* state components that a plain XSAVE area holds */
    {0x0d, true, 1, {XSAVE_FEATURES, 0, 0, 0}}, /* no supervisor state */
    {0x0d, true, 2, {ALL, ALL, ALL, 0}}, /* AVX: size and offset */
    {0x0d, true, 5, {ALL, ALL, ALL, 0}}, /* AVX-512 opmask */
    {0x0d, true, 6, {ALL, ALL, ALL, 0}}, /* AVX-512 upper halves */
    {0x0d, true, 7, {ALL, ALL, ALL, 0}}, /* AVX-512 upper registers */
    {0x40000000, false, 0, {0, 0, 0, 0}}, /* KVM's signature, so that stock kernels use its clock: filled in */
    {0x40000001, false, 0, {0, 0, 0, 0}}, /* KVM's features: filled in */
    {0x40000100, false, 0, {0, 0, 0, 0}}, /* our own signature: filled in */
    {0x80000000, false, 0, {0, 0, 0, 0}}, /* the highest leaf is ours */
    {0x80000001, false, 0, {ALL, 0, LEAF81_ECX, LEAF81_EDX}}, /* features that need no more than we virtualize */
    {0x80000002, false, 0, {ALL, ALL, ALL, ALL}}, /* brand string */
    {0x80000003, false, 0, {ALL, ALL, ALL, ALL}}, /* brand string */
    {0x80000004, false, 0, {ALL, ALL, ALL, ALL}}, /* brand string */
    {0x80000005, false, 0, {ALL, ALL, ALL, ALL}}, /* L1 and its TLBs are harmless */
    {0x80000006, false, 0, {ALL, ALL, ALL, ALL}}, /* L2, L3, likewise */
    {0x80000007, false, 0, {0, 0, 0, 1u << 8}}, /* the TSC is invariant, or we would not run by it */
    {0x80000008, false, 0, {0xffff, 0, 0, 0}}, /* address sizes; the number of cores is filled in */
};

#define BASIC_LAST 0x0du

static struct guest_cpuid_entry *entry(struct guest_cpuid *t, uint32_t leaf, uint32_t subleaf)
{
    for (unsigned i = 0; i < t->count; i++)
        if (t->entries[i].leaf == leaf && t->entries[i].subleaf == subleaf)
            return &t->entries[i];
    return NULL;
}

static struct cpuid_result host_answer(const struct policy_row *row)
{
    bool is_known = row->leaf < 0x40000000 ? row->leaf <= cpuid(0, 0).eax : row->leaf <= cpuid(0x80000000, 0).eax;
    struct cpuid_result r = {0, 0, 0, 0};

    if ((row->leaf & 0xf0000000) == 0x40000000 || !is_known)
        return r;
    r = cpuid(row->leaf, row->subleaf);
    r.eax &= row->pass[EAX];
    r.ebx &= row->pass[EBX];
    r.ecx &= row->pass[ECX];
    r.edx &= row->pass[EDX];
    return r;
}

/* Linux, arch/x86/include/uapi/asm/kvm_para.h: bits of leaf 40000001H, and why a guest gets them. */
static const struct kvm_feature {
    uint8_t bit;
    bool needs_vcpus; /* several, or there is nobody to be spared */
} kvm_features[] = {
    {0, false}, /* clock at its old MSRs, for old kernels */
    {1, false}, /* no delay after port I/O: our ports are never slow */
    {3, false}, /* clock at its new MSRs */
    {5, false}, /* steal time: what other VMs took is not the guest's own load */
    {7, true}, /* unhalt: who waits for a spin lock sleeps, and is kicked */
    {9, true}, /* TLB flush: a vCPU that does not run is not interrupted for it */
    {11, true}, /* send IPI: one exit for many targets */
    {13, true}, /* yield: to a vCPU that was preempted while others wait for it */
    {24, false}, /* clock stable: the vCPUs' TSCs agree */
};

#define KVM_FEATURE_PV_EOI   (1u << 6)
#define KVM_FEATURE_SEND_IPI (1u << 11)

static uint32_t kvm_feature_bits(unsigned vcpus)
{
    uint32_t bits = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(kvm_features); i++)
        if (vcpus > 1 || !kvm_features[i].needs_vcpus)
            bits |= 1u << kvm_features[i].bit;
    return bits;
}

static void copy_signature(struct cpuid_result *r, const char *twelve)
{
    memcpy(&r->ebx, twelve, 4);
    memcpy(&r->ecx, twelve + 4, 4);
    memcpy(&r->edx, twelve + 8, 4);
}

static void fill_hypervisor(struct guest_cpuid *t, unsigned vcpus)
{
    struct cpuid_result *kvm = &entry(t, 0x40000000, 0)->result, *own = &entry(t, 0x40000100, 0)->result;

    kvm->eax = 0x40000001;
    copy_signature(kvm, "KVMKVMKVM\0\0\0");
    entry(t, 0x40000001, 0)->result.eax = kvm_feature_bits(vcpus);
    own->eax = 0x40000100;
    copy_signature(own, "RingmasterVM");
    entry(t, 1, 0)->result.ecx |= CPUID_1_ECX_HYPERVISOR | LEAF1_ECX_MODELLED;
}

static unsigned bits_for(unsigned count)
{
    return count <= 1 ? 0 : 32 - (unsigned)__builtin_clz(count - 1);
}

/* A cache of the last level is the whole package's, as the vCPUs are on any CPU; the inner ones are each core's own. */
static void fill_caches(struct guest_cpuid *t, uint32_t last_id)
{
    enum { TYPE = 0x1f, LEVEL_SHIFT = 5, LEVEL = 7, SHARING_SHIFT = 14, CORES_SHIFT = 26 };

    for (uint32_t i = 0; i < 4; i++) {
        struct cpuid_result *cache = &entry(t, 4, i)->result;

        if (!(cache->eax & TYPE))
            continue;
        cache->eax |= last_id << CORES_SHIFT;
        if ((cache->eax >> LEVEL_SHIFT & LEVEL) == 3)
            cache->eax |= last_id << SHARING_SHIFT;
    }
}

/* One package of cores without hyper-threads; the APIC ID is the core's number. last_id: the highest in its bits. */
static void fill_topology(struct guest_cpuid *t, unsigned apic_id, unsigned vcpus)
{
    enum { NONE, SMT, CORE };
    unsigned bits = bits_for(vcpus);
    uint32_t last_id = (1u << bits) - 1;

    entry(t, 1, 0)->result.ebx |= apic_id << 24 | (last_id + 1) << 16;
    if (vcpus > 1)
        entry(t, 1, 0)->result.edx |= 1u << 28; /* HTT: the count is valid */
    fill_caches(t, last_id);
    entry(t, 0xb, 0)->result = (struct cpuid_result){0, 1, SMT << 8 | 0, apic_id};
    entry(t, 0xb, 1)->result = (struct cpuid_result){bits, vcpus, CORE << 8 | 1, apic_id};
    entry(t, 0xb, 2)->result = (struct cpuid_result){0, 0, NONE << 8 | 2, apic_id};
    entry(t, 0x80000008, 0)->result.ecx = bits << 12 | (vcpus - 1); /* for those that do not count by leaf 0BH */
}

static void fill_xsave(struct guest_cpuid *t)
{
    struct cpuid_result *r = &entry(t, 0xd, 0)->result;

    t->xcr0_allowed = r->eax;
    t->xcr0_bytes = 576;
    for (uint32_t i = 2; i < 8; i++) {
        const struct guest_cpuid_entry *part = entry(t, 0xd, i);

        if (part && (t->xcr0_allowed & BIT(i)))
            t->xcr0_bytes = MAX(t->xcr0_bytes, part->result.eax + part->result.ebx);
    }
    r->ecx = (uint32_t)t->xcr0_bytes;
    if (!(entry(t, 1, 0)->result.ecx & CPUID_1_ECX_XSAVE))
        t->xcr0_allowed = 0;
}

static void index_direct(struct guest_cpuid *t)
{
    memset(t->direct, GUEST_CPUID_ENTRIES, sizeof t->direct);
    for (unsigned i = 0; i < t->count; i++)
        if (t->entries[i].leaf < GUEST_CPUID_DIRECT && !t->entries[i].has_subleaves)
            t->direct[t->entries[i].leaf] = (uint8_t)i;
}

void guest_cpuid_init(struct guest_cpuid *t, unsigned apic_id, unsigned vcpus)
{
    _Static_assert(ARRAY_SIZE(rows) <= GUEST_CPUID_ENTRIES, "the table holds a row of each");
    memset(t, 0, sizeof *t);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        t->entries[t->count++] =
            (struct guest_cpuid_entry){rows[i].leaf, rows[i].subleaf, rows[i].has_subleaves, host_answer(&rows[i])};
    t->max_basic = MIN(cpuid(0, 0).eax, BASIC_LAST);
    entry(t, 0, 0)->result.eax = t->max_basic;
    entry(t, 0x80000000, 0)->result.eax = 0x80000008;
    fill_hypervisor(t, vcpus);
    fill_topology(t, apic_id, vcpus);
    fill_xsave(t);
    index_direct(t);
    guest_cpuid_update(t, 0, XCR0_X87);
}

void guest_cpuid_offer_pv_eoi(struct guest_cpuid *t)
{
    entry(t, 0x40000001, 0)->result.eax |= KVM_FEATURE_PV_EOI;
}

void guest_cpuid_prefer_xapic(struct guest_cpuid *t)
{
    entry(t, 1, 0)->result.ecx &= ~CPUID_1_ECX_X2APIC;
    entry(t, 0x40000001, 0)->result.eax &= ~KVM_FEATURE_SEND_IPI;
}

static const struct cpuid_result no_answer;

static const struct cpuid_result *find_subleaf(const struct guest_cpuid *t, unsigned i, uint32_t subleaf)
{
    uint32_t leaf;

    if (!t->entries[i].has_subleaves)
        return &t->entries[i].result;
    for (leaf = t->entries[i].leaf; i < t->count && t->entries[i].leaf == leaf; i++)
        if (t->entries[i].subleaf == subleaf)
            return &t->entries[i].result;
    return &no_answer;
}

const struct cpuid_result *guest_cpuid_find(const struct guest_cpuid *t, uint32_t leaf, uint32_t subleaf)
{
    for (unsigned i = 0; i < t->count; i++)
        if (t->entries[i].leaf == leaf)
            return find_subleaf(t, i, subleaf);
    if (leaf <= t->max_basic || (leaf >= 0x40000000 && leaf <= 0x80000008))
        return &no_answer;
    return guest_cpuid_find(t, t->max_basic, subleaf);
}

void guest_cpuid_update(struct guest_cpuid *t, uint64_t cr4, uint64_t xcr0)
{
    struct cpuid_result *leaf1 = &entry(t, 1, 0)->result, *leaf7 = &entry(t, 7, 0)->result;
    uint32_t bytes = 576;

    leaf1->ecx = (leaf1->ecx & ~CPUID_1_ECX_OSXSAVE) | (cr4 & CR4_OSXSAVE ? CPUID_1_ECX_OSXSAVE : 0);
    leaf7->ecx = (leaf7->ecx & ~(1u << 4)) | (cr4 & CR4_PKE ? 1u << 4 : 0);
    for (uint32_t i = 2; i < 8; i++) {
        const struct guest_cpuid_entry *part = entry(t, 0xd, i);

        if (part && (xcr0 & BIT(i)))
            bytes = MAX(bytes, part->result.eax + part->result.ebx);
    }
    entry(t, 0xd, 0)->result.ebx = bytes;
    entry(t, 0xd, 1)->result.ebx = bytes;
}
