/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model-specific registers of a guest. What has no row does not exist: #GP, logged once. A register
 * passes through only if the hypervisor does not use it itself, or the engine switches it on exit.
 */
#include "arch/x86/guest/msr.h"
#include "arch/x86/guest/cpuid.h"
#include "arch/x86/guest/pv_eoi.h"
#include "arch/x86/guest/pvclock.h"
#include "arch/x86/guest/steal_time.h"
#include "arch/x86/guest/world_msr.h"
#include "arch/x86/msr.h"
#include "arch/x86/regs.h"
#include "drivers/virt/lapic.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/timer.h"
#include "kernel/vm.h"

#define MTRRCAP_VALUE       0x508u /* 8 variable ranges, fixed ranges, write-combining */
#define MISC_ENABLE_VALUE   1u     /* fast strings */
#define UCODE_REVISION      (1ull << 32)

bool msr_read_zero(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    (void)vcpu;
    (void)index;
    *value = 0;
    return true;
}

bool msr_write_nothing(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    (void)vcpu;
    (void)index;
    (void)value;
    return true;
}

bool msr_write_zero_only(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    (void)vcpu;
    (void)index;
    return value == 0;
}

static bool read_constant(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    (void)vcpu;
    switch (index) {
    case MSR_IA32_FEATURE_CONTROL:
        *value = FEATURE_CONTROL_LOCK;
        return true;
    case MSR_IA32_BIOS_SIGN_ID:
        *value = UCODE_REVISION;
        return true;
    case MSR_IA32_MTRRCAP:
        *value = MTRRCAP_VALUE;
        return true;
    case MSR_IA32_MISC_ENABLE:
        *value = MISC_ENABLE_VALUE;
        return true;
    default:
        return false;
    }
}

static bool read_apic_base(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    (void)index;
    *value = vcpu->lapic->base;
    return true;
}

static bool write_apic_base(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    bool has_x2apic = guest_cpuid_find(vcpu->cpuid, 1, 0)->ecx & CPUID_1_ECX_X2APIC;

    (void)index;
    if ((value & APIC_BASE_EXTD) && !has_x2apic)
        return false;
    if (!lapic_set_base(vcpu->lapic, value))
        return false;
    vcpu_ops->set_apic_mode(vcpu);
    vcpu_request(vcpu, REQUEST_EVENT);
    return true;
}

static bool read_x2apic(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    return lapic_msr_read(vcpu->lapic, index, value);
}

static bool write_x2apic(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    return lapic_msr_write(vcpu->lapic, index, value);
}

static bool read_tsc_deadline(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    (void)index;
    *value = lapic_tsc_deadline(vcpu->lapic);
    return true;
}

static bool write_tsc_deadline(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    (void)index;
    lapic_set_tsc_deadline(vcpu->lapic, value);
    return true;
}

/* After tsc_adjust: the guest's clock goes by both. */
static void set_tsc_offset(struct vcpu *vcpu, uint64_t offset)
{
    vcpu->tsc_offset = offset;
    lapic_set_tsc_offset(vcpu->lapic, (int64_t)offset);
    vcpu_ops->set(vcpu, VCPU_TSC_OFFSET, offset);
    pvclock_publish(vcpu);
}

/* SDM 3B, "IA32_TSC_ADJUST Register Support": a write of the one moves the other by as much. */
static bool write_tsc(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    uint64_t offset = value - clock_now();

    (void)index;
    vcpu->tsc_adjust += offset - vcpu->tsc_offset;
    set_tsc_offset(vcpu, offset);
    return true;
}

static bool read_tsc(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    (void)index;
    *value = clock_now() + vcpu->tsc_offset;
    return true;
}

static bool read_tsc_adjust(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    (void)index;
    *value = vcpu->tsc_adjust;
    return true;
}

static bool write_tsc_adjust(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    uint64_t offset = vcpu->tsc_offset + value - vcpu->tsc_adjust;

    (void)index;
    vcpu->tsc_adjust = value;
    set_tsc_offset(vcpu, offset);
    return true;
}

/* MTRRs are remembered, not obeyed: guests' RAM is write-back and devices are emulated, whatever they say. */
static uint64_t *mtrr_slot(struct vcpu *vcpu, uint32_t index)
{
    static const uint16_t fixed[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
                                     0x26b, 0x26c, 0x26d, 0x26e, 0x26f, 0x2ff};

    if (index <= MSR_IA32_MTRR_PHYSMASK7)
        return &vcpu->mtrr[index - MSR_IA32_MTRR_PHYSBASE0];
    for (unsigned i = 0; i < ARRAY_SIZE(fixed); i++)
        if (fixed[i] == index)
            return &vcpu->mtrr[16 + i];
    return NULL;
}

static bool read_mtrr(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    const uint64_t *slot = mtrr_slot(vcpu, index);

    if (slot)
        *value = *slot;
    return slot;
}

static bool is_memory_type(uint8_t type)
{
    return type <= MTRR_TYPE_WB && (BIT(type) & MTRR_TYPES);
}

static bool are_memory_types(uint64_t value)
{
    bool are = true;

    for (unsigned i = 0; i < sizeof value; i++)
        are &= is_memory_type((uint8_t)(value >> (8 * i)));
    return are;
}

/* SDM 3A, "Memory Type Range Registers": reserved bits and types that do not exist are #GP. */
static bool is_mtrr_value(const struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    uint64_t address_bits = BIT(vcpu->physical_bits) - PAGE_SIZE;

    if (index == MSR_IA32_MTRR_DEF_TYPE)
        return !(value & ~(MTRR_DEF_TYPE_E | MTRR_DEF_TYPE_FE | 0xffull)) && is_memory_type((uint8_t)value);
    if (index > MSR_IA32_MTRR_PHYSMASK7)
        return are_memory_types(value);
    if (index & 1)
        return !(value & ~(address_bits | MTRR_PHYSMASK_V));
    return !(value & ~(address_bits | 0xff)) && is_memory_type((uint8_t)value);
}

static bool write_mtrr(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    uint64_t *slot = mtrr_slot(vcpu, index);

    if (!slot || !is_mtrr_value(vcpu, index, value))
        return false;
    *slot = value;
    return true;
}

/* An engine that does not leave EFER to the guest asks here (SDM 3A, "Extended Feature Enable Register"). */
static bool read_efer(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    (void)index;
    *value = vcpu_ops->get(vcpu, VCPU_EFER);
    return true;
}

/* LMA is the CPU's own; LME must not change under paging. */
static bool write_efer(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    uint64_t old = vcpu_ops->get(vcpu, VCPU_EFER), allowed = EFER_SCE | EFER_LME | EFER_LMA;

    (void)index;
    if (guest_cpuid_find(vcpu->cpuid, 0x80000001, 0)->edx & CPUID_81_EDX_NX)
        allowed |= EFER_NXE;
    if (value & ~allowed)
        return false;
    if (((old ^ value) & EFER_LME) && (vcpu_ops->get(vcpu, VCPU_CR0) & CR0_PG))
        return false;
    vcpu_ops->set(vcpu, VCPU_EFER, (value & ~EFER_LMA) | (old & EFER_LMA));
    return true;
}

static bool read_pat(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    (void)index;
    *value = vcpu_ops->get(vcpu, VCPU_PAT);
    return true;
}

/* SDM 3A, "IA32_PAT MSR": types 2 and 3 and all above 7 do not exist. */
static bool write_pat(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    (void)index;
    for (unsigned i = 0; i < sizeof value; i++) {
        uint8_t type = (uint8_t)(value >> 8 * i);

        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    vcpu_ops->set(vcpu, VCPU_PAT, value);
    return true;
}

#define ONE(index) index, index
#define PASS_SYSCALL (MSR_PASS_READ | MSR_PASS_WRITE_IF_SWITCHED)

static const struct msr_row rows[] = {
    {ONE(0x00), 0, msr_read_zero, msr_write_nothing, "P5_MC_ADDR"}, /* ancient kernels read it */
    {ONE(0x01), 0, msr_read_zero, msr_write_nothing, "P5_MC_TYPE"}, /* likewise */
    {ONE(MSR_IA32_TIME_STAMP_COUNTER), MSR_PASS_READ, read_tsc, write_tsc, "IA32_TIME_STAMP_COUNTER"}, /* offset by the engine */
    {ONE(MSR_KVM_WALL_CLOCK), 0, NULL, pvclock_write_wall_clock, "KVM_WALL_CLOCK"}, /* old number of the clock */
    {ONE(MSR_KVM_SYSTEM_TIME), 0, NULL, pvclock_write_system_time, "KVM_SYSTEM_TIME"}, /* likewise */
    {ONE(MSR_IA32_PLATFORM_ID), 0, msr_read_zero, NULL, "IA32_PLATFORM_ID"}, /* for microcode loaders */
    {ONE(MSR_IA32_APIC_BASE), 0, read_apic_base, write_apic_base, "IA32_APIC_BASE"}, /* the virtual APIC's mode */
    {ONE(MSR_IA32_FEATURE_CONTROL), 0, read_constant, NULL, "IA32_FEATURE_CONTROL"}, /* locked: no VMX in a guest */
    {ONE(MSR_IA32_TSC_ADJUST), 0, read_tsc_adjust, write_tsc_adjust, "IA32_TSC_ADJUST"}, /* moves the TSC offset */
    {ONE(MSR_IA32_BIOS_UPDT_TRIG), 0, NULL, msr_write_nothing, "IA32_BIOS_UPDT_TRIG"}, /* microcode is the host's */
    {ONE(MSR_IA32_BIOS_SIGN_ID), 0, read_constant, msr_write_nothing, "IA32_BIOS_SIGN_ID"}, /* microcode is the host's */
    {ONE(MSR_IA32_MTRRCAP), 0, read_constant, NULL, "IA32_MTRRCAP"}, /* Linux has no PAT without MTRRs */
    {ONE(MSR_IA32_SYSENTER_CS), MSR_PASS, NULL, NULL, "IA32_SYSENTER_CS"}, /* switched by the engine */
    {ONE(MSR_IA32_SYSENTER_ESP), MSR_PASS, NULL, NULL, "IA32_SYSENTER_ESP"}, /* switched by the engine */
    {ONE(MSR_IA32_SYSENTER_EIP), MSR_PASS, NULL, NULL, "IA32_SYSENTER_EIP"}, /* switched by the engine */
    {ONE(MSR_IA32_MCG_CAP), 0, msr_read_zero, NULL, "IA32_MCG_CAP"}, /* no banks: machine checks are the host's */
    {ONE(MSR_IA32_MCG_STATUS), 0, msr_read_zero, msr_write_zero_only, "IA32_MCG_STATUS"}, /* likewise */
    {ONE(MSR_IA32_PERF_STATUS), 0, msr_read_zero, NULL, "IA32_PERF_STATUS"}, /* no frequency control */
    {ONE(MSR_IA32_MISC_ENABLE), 0, read_constant, msr_write_nothing, "IA32_MISC_ENABLE"}, /* nothing to switch */
    {ONE(MSR_IA32_DEBUGCTL), 0, msr_read_zero, msr_write_zero_only, "IA32_DEBUGCTL"}, /* no branch records */
    {MSR_IA32_MTRR_PHYSBASE0, MSR_IA32_MTRR_PHYSMASK7, 0, read_mtrr, write_mtrr, "IA32_MTRR_PHYS*"}, /* remembered */
    {MSR_IA32_MTRR_FIX64K_00000, MSR_IA32_MTRR_FIX4K_F8000, 0, read_mtrr, write_mtrr, "IA32_MTRR_FIX*"}, /* remembered */
    {ONE(MSR_IA32_PAT), MSR_PASS, read_pat, write_pat, "IA32_PAT"}, /* switched by the engine */
    {ONE(MSR_IA32_MTRR_DEF_TYPE), 0, read_mtrr, write_mtrr, "IA32_MTRR_DEF_TYPE"}, /* remembered */
    {ONE(MSR_IA32_TSC_DEADLINE), 0, read_tsc_deadline, write_tsc_deadline, "IA32_TSC_DEADLINE"}, /* the virtual APIC's timer */
    {MSR_IA32_X2APIC_FIRST, MSR_IA32_X2APIC_LAST, 0, read_x2apic, write_x2apic, "x2APIC"}, /* the virtual APIC */
    {ONE(MSR_KVM_WALL_CLOCK_NEW), 0, NULL, pvclock_write_wall_clock, "KVM_WALL_CLOCK_NEW"}, /* time of day */
    {ONE(MSR_KVM_SYSTEM_TIME_NEW), 0, NULL, pvclock_write_system_time, "KVM_SYSTEM_TIME_NEW"}, /* the TSC's rate */
    {ONE(MSR_KVM_STEAL_TIME), 0, steal_time_read, steal_time_write, "KVM_STEAL_TIME"}, /* what other VMs took */
    {ONE(MSR_KVM_PV_EOI), 0, pv_eoi_read, pv_eoi_write, "KVM_PV_EOI"}, /* spares exits where the CPU ends no interrupts */
    {ONE(MSR_IA32_EFER), MSR_PASS, read_efer, write_efer, "IA32_EFER"}, /* switched by the engine */
    {ONE(MSR_IA32_STAR), PASS_SYSCALL, NULL, world_msr_write, "IA32_STAR"}, /* the hypervisor has no SYSCALL */
    {ONE(MSR_IA32_LSTAR), PASS_SYSCALL, NULL, world_msr_write, "IA32_LSTAR"}, /* likewise */
    {ONE(MSR_IA32_CSTAR), PASS_SYSCALL, NULL, world_msr_write, "IA32_CSTAR"}, /* likewise */
    {ONE(MSR_IA32_FMASK), PASS_SYSCALL, NULL, world_msr_write, "IA32_FMASK"}, /* likewise */
    {ONE(MSR_IA32_FS_BASE), MSR_PASS, NULL, NULL, "IA32_FS_BASE"}, /* switched by the engine */
    {ONE(MSR_IA32_GS_BASE), MSR_PASS, NULL, NULL, "IA32_GS_BASE"}, /* switched by the engine */
    {ONE(MSR_IA32_KERNEL_GS_BASE), MSR_PASS, NULL, NULL, "IA32_KERNEL_GS_BASE"}, /* the hypervisor has no SWAPGS */
    {ONE(MSR_IA32_TSC_AUX), MSR_PASS_READ, NULL, world_msr_write, "IA32_TSC_AUX"}, /* the hypervisor has no RDTSCP */
    {ONE(UINT32_MAX), 0, NULL, NULL, "unknown"}, /* stands for all that have no row */
};

#define UNKNOWN_ROW (ARRAY_SIZE(rows) - 1)

const struct msr_row *msr_rows(unsigned *count)
{
    *count = UNKNOWN_ROW;
    return rows;
}

/* Which row a low MSR has: RDMSR and WRMSR of timers and the x2APIC are the most frequent exits. */
#define DIRECT_MSRS 0x900u
static uint8_t direct[DIRECT_MSRS];

void msr_init(void)
{
    memset(direct, UNKNOWN_ROW, sizeof direct);
    for (unsigned i = 0; i < UNKNOWN_ROW; i++)
        for (uint32_t index = rows[i].index; index <= rows[i].last && index < DIRECT_MSRS; index++)
            direct[index] = (uint8_t)i;
}

static const struct msr_row *bisect(const struct msr_row *table, unsigned count, uint32_t index)
{
    unsigned low = 0, high = count;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (index < table[middle].index)
            high = middle;
        else if (index > table[middle].last)
            low = middle + 1;
        else
            return &table[middle];
    }
    return NULL;
}

static COLD const struct msr_row *find_high(uint32_t index)
{
    const struct msr_row *row = bisect(rows, UNKNOWN_ROW, index);

    if (!row)
        row = bisect(vcpu_ops->msrs, vcpu_ops->msr_count, index);
    return row ? row : &rows[UNKNOWN_ROW];
}

static inline const struct msr_row *find(uint32_t index)
{
    return likely(index < DIRECT_MSRS) ? &rows[direct[index]] : find_high(index);
}

unsigned msr_passes(const struct msr_row *row)
{
    if ((row->flags & MSR_PASS_WRITE_IF_SWITCHED) && vcpu_ops->switches_syscall_msrs)
        return MSR_PASS;
    return row->flags & MSR_PASS;
}

bool msr_may_pass(uint32_t index, bool is_write)
{
    return msr_passes(find(index)) & (is_write ? MSR_PASS_WRITE : MSR_PASS_READ);
}

inline bool msr_read(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    const struct msr_row *row = find(index);

    return row->read && row->read(vcpu, index, value);
}

inline bool msr_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    const struct msr_row *row = find(index);

    return row->write && row->write(vcpu, index, value);
}

/* --- the exits --- */

static COLD enum verdict refuse(struct vcpu *vcpu, const char *instruction)
{
    uint32_t index = (uint32_t)vcpu->gpr[GPR_RCX];

    log_guest("msr", "%s %#x (%s) with EDX:EAX %#x:%#x: #GP", instruction, index, find(index)->name,
              (uint32_t)vcpu->gpr[GPR_RDX], (uint32_t)vcpu->gpr[GPR_RAX]);
    vcpu_raise_with_code(vcpu, X86_GP, 0);
    return VERDICT_RESUME;
}

enum verdict msr_handle_read(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    uint64_t value;

    (void)exit;
    if (unlikely(!msr_read(vcpu, (uint32_t)vcpu->gpr[GPR_RCX], &value)))
        return refuse(vcpu, "RDMSR");
    vcpu->gpr[GPR_RAX] = (uint32_t)value;
    vcpu->gpr[GPR_RDX] = value >> 32;
    return VERDICT_NEXT;
}

enum verdict msr_handle_write(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    uint64_t value = (uint32_t)vcpu->gpr[GPR_RAX] | vcpu->gpr[GPR_RDX] << 32;

    (void)exit;
    if (unlikely(!msr_write(vcpu, (uint32_t)vcpu->gpr[GPR_RCX], value)))
        return refuse(vcpu, "WRMSR");
    return VERDICT_NEXT;
}
