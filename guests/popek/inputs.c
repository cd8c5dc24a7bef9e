/* SPDX-License-Identifier: BSD-2-Clause */
/* The values with which a case is run one after the other; see `input` of struct row. */
#include "guests/popek/inputs.h"
#include "arch/x86/msr.h"
#include "arch/x86/regs.h"

struct named {
    uint32_t index;
    const char *name;
    bool is_hidden;
};

#define NULL_SELECTORS 3
static const uint16_t selectors[] = {
    0, 1, 3, 4, SEL_CODE64, SEL_DATA, SEL_DATA | 3, SEL_CODE32, SEL_CODE16, SEL_DATA16, SEL_USER_DATA,
    SEL_USER_DATA & ~3, SEL_USER_CODE64, SEL_USER_CODE32, SEL_USER_CODE16, SEL_TASK, SEL_TASK + 8, SEL_LDT,
    SEL_OTHER_TASK, SEL_CALL_GATE, SEL_CALL_GATE | 3, SEL_TASK_GATE, SEL_ABSENT | 3, SEL_READ_ONLY | 3,
    SEL_EXECUTE_ONLY | 3, SEL_CONFORMING, SEL_CONFORMING | 3, SEL_EXPAND_DOWN | 3, SEL_OUTSIDE, 0xfff8,
};

/* SDM 4, "Architectural MSRs", and those of AMD (APM 2, "MSR Cross-Reference"). */
static const struct named msrs[] = {
    {0x0, "IA32_P5_MC_ADDR", false}, {0x1, "IA32_P5_MC_TYPE", false}, {0x6, "IA32_MONITOR_FILTER_SIZE", false},
    {0x3b, "IA32_TSC_ADJUST", false}, /* before its counter is written */
    {0x10, "IA32_TIME_STAMP_COUNTER", true}, {0x17, "IA32_PLATFORM_ID", false}, {0x1b, "IA32_APIC_BASE", false},
    {0x3a, "IA32_FEATURE_CONTROL", false}, {0x48, "IA32_SPEC_CTRL", false},
    {0x49, "IA32_PRED_CMD", false}, {0x79, "IA32_BIOS_UPDT_TRIG", false}, {0x8b, "IA32_BIOS_SIGN_ID", false},
    {0x8c, "IA32_SGXLEPUBKEYHASH0", false}, {0x9b, "IA32_SMM_MONITOR_CTL", false}, {0x9e, "IA32_SMBASE", false},
    {0xc1, "IA32_PMC0", true}, {0xcf, "IA32_CORE_CAPABILITIES", false}, {0xe1, "IA32_UMWAIT_CONTROL", false},
    {0xe7, "IA32_MPERF", true}, {0xe8, "IA32_APERF", true}, {0xfe, "IA32_MTRRCAP", false},
    {0x10a, "IA32_ARCH_CAPABILITIES", false}, {0x10b, "IA32_FLUSH_CMD", false}, {0x122, "IA32_TSX_CTRL", false},
    {0x174, "IA32_SYSENTER_CS", false}, {0x175, "IA32_SYSENTER_ESP", false}, {0x176, "IA32_SYSENTER_EIP", false},
    {0x179, "IA32_MCG_CAP", false}, {0x17a, "IA32_MCG_STATUS", false}, {0x17b, "IA32_MCG_CTL", false},
    {0x186, "IA32_PERFEVTSEL0", false}, {0x198, "IA32_PERF_STATUS", false}, {0x199, "IA32_PERF_CTL", false},
    {0x19a, "IA32_CLOCK_MODULATION", false}, {0x19b, "IA32_THERM_INTERRUPT", false},
    {0x19c, "IA32_THERM_STATUS", false}, {0x1a0, "IA32_MISC_ENABLE", false},
    {0x1b0, "IA32_ENERGY_PERF_BIAS", false}, {0x1d9, "IA32_DEBUGCTL", false}, {0x1f2, "IA32_SMRR_PHYSBASE", false},
    {0x1f8, "IA32_PLATFORM_DCA_CAP", false}, {0x200, "IA32_MTRR_PHYSBASE0", false},
    {0x201, "IA32_MTRR_PHYSMASK0", false}, {0x250, "IA32_MTRR_FIX64K_00000", false},
    {0x258, "IA32_MTRR_FIX16K_80000", false}, {0x268, "IA32_MTRR_FIX4K_C0000", false}, {0x277, "IA32_PAT", false},
    {0x280, "IA32_MC0_CTL2", false}, {0x2ff, "IA32_MTRR_DEF_TYPE", false}, {0x309, "IA32_FIXED_CTR0", true},
    {0x345, "IA32_PERF_CAPABILITIES", false}, {0x38d, "IA32_FIXED_CTR_CTRL", false},
    {0x38e, "IA32_PERF_GLOBAL_STATUS", false}, {0x38f, "IA32_PERF_GLOBAL_CTRL", false},
    {0x3f1, "IA32_PEBS_ENABLE", false}, {0x400, "IA32_MC0_CTL", false}, {0x401, "IA32_MC0_STATUS", false},
    {0x480, "IA32_VMX_BASIC", false}, {0x481, "IA32_VMX_PINBASED_CTLS", false}, {0x486, "IA32_VMX_CR0_FIXED0", false},
    {0x48b, "IA32_VMX_PROCBASED_CTLS2", false}, {0x491, "IA32_VMX_VMFUNC", false}, {0x4c1, "IA32_A_PMC0", false},
    {0x500, "IA32_SGX_SVN_STATUS", false}, {0x560, "IA32_RTIT_OUTPUT_BASE", false}, {0x600, "IA32_DS_AREA", false},
    {0x6a0, "IA32_U_CET", false}, {0x6a2, "IA32_S_CET", false}, {0x6e0, "IA32_TSC_DEADLINE", false},
    {0x6e1, "IA32_PKRS", false}, {0x770, "IA32_PM_ENABLE", false}, {0x802, "IA32_X2APIC_APICID", false},
    {0x80b, "IA32_X2APIC_EOI", false}, {0x830, "IA32_X2APIC_ICR", false}, {0xc80, "IA32_DEBUG_INTERFACE", false},
    {0xc81, "IA32_L3_QOS_CFG", false}, {0xc8f, "IA32_PQR_ASSOC", false}, {0xd90, "IA32_BNDCFGS", false},
    {0xda0, "IA32_XSS", false}, {0xdb0, "IA32_PKG_HDC_CTL", false}, {0x12345, "unknown", false},
    {0x40000000, "hypervisor's", false}, {0xc0000080, "IA32_EFER", false}, {0xc0000081, "IA32_STAR", false},
    {0xc0000082, "IA32_LSTAR", false}, {0xc0000083, "IA32_CSTAR", false}, {0xc0000084, "IA32_FMASK", false},
    {0xc0000100, "IA32_FS_BASE", false}, {0xc0000101, "IA32_GS_BASE", false},
    {0xc0000102, "IA32_KERNEL_GS_BASE", false}, {0xc0000103, "IA32_TSC_AUX", false}, {0xc0000104, "TSC_RATIO", false},
    {0xc0010010, "SYSCFG", false}, {0xc0010015, "HWCR", false}, {0xc0010114, "VM_CR", false},
    {0xc0010117, "VM_HSAVE_PA", false}, {0xffffffff, "the last", false},
    {0xbc, "IA32_MISC_PACKAGE_CTLS", false}, {0xbd, "IA32_XAPIC_DISABLE_STATUS", false}, {0xc2, "IA32_PMC1", true},
    {0x187, "IA32_PERFEVTSEL1", false}, {0x1b1, "IA32_PACKAGE_THERM_STATUS", false},
    {0x1b2, "IA32_PACKAGE_THERM_INTERRUPT", false}, {0x1c4, "IA32_XFD", false}, {0x1c5, "IA32_XFD_ERR", false},
    {0x1f3, "IA32_SMRR_PHYSMASK", false}, {0x1f9, "IA32_CPU_DCA_CAP", false}, {0x1fa, "IA32_DCA_0_CAP", false},
    {0x20f, "IA32_MTRR_PHYSMASK7", false}, {0x210, "IA32_MTRR_PHYSBASE8", false},
    {0x259, "IA32_MTRR_FIX16K_A0000", false}, {0x26f, "IA32_MTRR_FIX4K_F8000", false},
    {0x281, "IA32_MC1_CTL2", false}, {0x30a, "IA32_FIXED_CTR1", true},
    {0x390, "IA32_PERF_GLOBAL_STATUS_RESET", false}, {0x391, "IA32_PERF_GLOBAL_STATUS_SET", false},
    {0x392, "IA32_PERF_GLOBAL_INUSE", false}, {0x402, "IA32_MC0_ADDR", false}, {0x403, "IA32_MC0_MISC", false},
    {0x404, "IA32_MC1_CTL", false}, {0x482, "IA32_VMX_PROCBASED_CTLS", false},
    {0x48c, "IA32_VMX_EPT_VPID_CAP", false}, {0x492, "IA32_VMX_PROCBASED_CTLS3", false},
    {0x561, "IA32_RTIT_OUTPUT_MASK_PTRS", false}, {0x570, "IA32_RTIT_CTL", false},
    {0x580, "IA32_RTIT_ADDR0_A", false}, {0x6a4, "IA32_PL0_SSP", false},
    {0x6a8, "IA32_INTERRUPT_SSP_TABLE_ADDR", false}, {0x771, "IA32_HWP_CAPABILITIES", false},
    {0x774, "IA32_HWP_REQUEST", false}, {0x803, "IA32_X2APIC_VERSION", false}, {0x808, "IA32_X2APIC_TPR", false},
    {0x80f, "IA32_X2APIC_SIVR", false}, {0x832, "IA32_X2APIC_LVT_TIMER", false},
    {0x83f, "IA32_X2APIC_SELF_IPI", false}, {0xc82, "IA32_L2_QOS_CFG", false}, {0xc8d, "IA32_QM_EVTSEL", false},
    {0xc8e, "IA32_QM_CTR", false}, {0xdb1, "IA32_PM_CTL1", false}, {0x1200, "IA32_LBR_0_INFO", false},
    {0x14ce, "IA32_LBR_CTL", false}, {0xc0010000, "PERF_CTL0", false}, {0xc0010016, "IORR_BASE0", false},
    {0xc001001a, "TOP_MEM", false}, {0xc001001f, "NB_CFG", false}, {0xc0010055, "INT_PENDING", false},
    {0xc0010062, "PSTATE_CTL", false}, {0xc0010112, "SMM_ADDR", false}, {0xc0010115, "IGNNE", false},
    {0xc0010118, "SVM_KEY", false}, {0xc0010131, "SEV_STATUS", false}, {0xc0010140, "OSVW_ID_LENGTH", false},
    {0xc0011029, "DE_CFG", false},
};

#define NOT_CANONICAL UINT64_C(0x800000000000)
#define APIC_MODE_NONE 0xfee00500u /* x2APIC without the APIC */

/* Values that must fail, and values that change nothing that matters here. */
static const struct {
    uint32_t index;
    uint64_t value;
} msr_writes[] = {
    {MSR_IA32_SYSENTER_CS, UINT64_MAX}, {MSR_IA32_SYSENTER_ESP, NOT_CANONICAL},
    {MSR_IA32_SYSENTER_EIP, NOT_CANONICAL}, {MSR_IA32_LSTAR, NOT_CANONICAL}, {MSR_IA32_CSTAR, NOT_CANONICAL},
    {MSR_IA32_FS_BASE, NOT_CANONICAL}, {MSR_IA32_GS_BASE, NOT_CANONICAL},
    {MSR_IA32_KERNEL_GS_BASE, NOT_CANONICAL}, {MSR_IA32_FS_BASE, 0x12345678}, {MSR_IA32_FMASK, UINT64_MAX},
    {MSR_IA32_STAR, UINT64_MAX}, {MSR_IA32_PAT, 0x0007040600070402}, {MSR_IA32_PAT, 0x0807040600070406},
    {MSR_IA32_PAT, 0x0107040500070406}, {MSR_IA32_APIC_BASE, UINT64_C(1) << 60 | 0xfee00900},
    {MSR_IA32_APIC_BASE, APIC_MODE_NONE}, {MSR_IA32_DEBUGCTL, UINT64_C(1) << 40},
    {MSR_IA32_MTRRCAP, 0}, {MSR_IA32_MTRR_PHYSBASE0, 0x2}, {MSR_IA32_MTRR_PHYSBASE0, 0},
    {MSR_IA32_MTRR_DEF_TYPE, 0x2}, {MSR_IA32_MTRR_FIX64K_00000, 0x0202020202020202},
    {MSR_IA32_TSC_AUX, UINT64_C(1) << 32}, {MSR_IA32_TSC_AUX, 0}, {MSR_IA32_FEATURE_CONTROL, 0},
    {MSR_IA32_MISC_ENABLE, UINT64_MAX}, {MSR_IA32_EFER, UINT64_MAX}, {MSR_IA32_MCG_STATUS, UINT64_MAX},
    {MSR_IA32_XSS, UINT64_MAX}, {MSR_IA32_TSC_DEADLINE, 0}, {0x830, 0}, {0x12345, 0},
};

static const struct {
    uint32_t leaf, subleaf;
} cpuids[] = {
    {0x0, 0}, {0x1, 0}, {0x2, 0}, {0x3, 0}, {0x4, 0}, {0x4, 1}, {0x4, 2}, {0x4, 3}, {0x4, 4}, {0x5, 0}, {0x6, 0},
    {0x7, 0}, {0x7, 1}, {0x8, 0}, {0x9, 0}, {0xa, 0}, {0xb, 0}, {0xb, 1}, {0xb, 2}, {0xd, 0}, {0xd, 1}, {0xd, 2},
    {0xd, 3}, {0xd, 5}, {0xd, 6}, {0xd, 7}, {0xd, 9}, {0xf, 0}, {0x10, 0}, {0x12, 0}, {0x14, 0}, {0x15, 0}, {0x16, 0},
    {0x20, 0}, {0x40000000, 0}, {0x40000001, 0}, {0x40000100, 0}, {0x80000000, 0}, {0x80000001, 0}, {0x80000002, 0},
    {0x80000003, 0}, {0x80000004, 0}, {0x80000005, 0}, {0x80000006, 0}, {0x80000007, 0}, {0x80000008, 0},
    {0x8000000a, 0}, {0x80000020, 0}, {0xffffffff, 0},
};

static const uint64_t numbers[] = {
    0, 1, 2, 3, 4, 15, 16, 0xffffffff, UINT64_C(0x100000000), UINT64_C(0x7fffffffffff), NOT_CANONICAL, UINT64_MAX,
};

static bool selector(const struct mode *mode UNUSED, unsigned i, struct input *input)
{
    if (i >= ARRAY_SIZE(selectors))
        return false;
    input->label = input->reg[REG_AX] = selectors[i];
    return true;
}

static bool some_selector(const struct mode *mode, unsigned i, struct input *input)
{
    return selector(mode, i + NULL_SELECTORS, input);
}

static bool msr(const struct mode *mode UNUSED, unsigned i, struct input *input)
{
    if (i >= ARRAY_SIZE(msrs))
        return false;
    input->label = input->reg[REG_CX] = msrs[i].index;
    input->name = msrs[i].name;
    input->options = msrs[i].is_hidden ? HIDE_AX | HIDE_DX : 0;
    return true;
}

static bool msr_write(const struct mode *mode UNUSED, unsigned i, struct input *input)
{
    if (i >= ARRAY_SIZE(msr_writes))
        return false;
    input->label = input->reg[REG_CX] = msr_writes[i].index;
    input->reg[REG_AX] = (uint32_t)msr_writes[i].value;
    input->reg[REG_DX] = msr_writes[i].value >> 32;
    input->value = msr_writes[i].value;
    input->has_value = true;
    input->is_skipped = cpu_is_tcg && msr_writes[i].value == APIC_MODE_NONE; /* turns its APIC off for good */
    return true;
}

static bool cpuid_leaf(const struct mode *mode UNUSED, unsigned i, struct input *input)
{
    if (i >= ARRAY_SIZE(cpuids))
        return false;
    input->label = input->reg[REG_AX] = cpuids[i].leaf;
    input->value = input->reg[REG_CX] = cpuids[i].subleaf;
    input->has_value = true;
    return true;
}

static bool is_tried(uint32_t tried, unsigned bit)
{
    return bit < 32 ? tried & BIT(bit) : !cpu_is_tcg;
}

/*
 * Paging and protection are left only where it is refused, or where the handler is found without: protection from 64-bit mode
 * and under a legacy mode's paging, paging there as well.
 */
static bool cr0(const struct mode *mode, unsigned i, struct input *input)
{
    bool is_refused = mode->paging == PAGING_LONG ? mode->bits == 64 : mode->paging != PAGING_NONE;

    if (i >= 34)
        return false;
    input->reg[REG_AX] = cpu_cr0(mode) ^ BIT(i);
    if (mode->world == WORLD_REAL)
        input->reg[REG_AX] &= ~CR0_PE;
    input->is_skipped = ((BIT(i) & (CR0_PE | CR0_PG)) && !is_refused) || !is_tried(cpu_cr0_tried, i);
    input->label = i;
    return !(mode->bits != 64 && i >= 32);
}

/* What makes another format of the tables that are in use leads nowhere. */
static bool cr4(const struct mode *mode, unsigned i, struct input *input)
{
    uint64_t unsafe = mode->paging == PAGING_32 ? CR4_PSE : mode->paging == PAGING_PAE ? CR4_PAE : 0;

    if (i >= (mode->bits == 64 ? 34 : 32))
        return false;
    input->label = i;
    input->reg[REG_AX] = cpu_cr4(mode) ^ BIT(i);
    input->is_skipped = (BIT(i) & unsafe) || !is_tried(cpu_cr4_tried, i);
    return true;
}

static bool efer(const struct mode *mode UNUSED, unsigned i, struct input *input)
{
    if (i >= 18)
        return false;
    input->label = i;
    input->reg[REG_CX] = MSR_IA32_EFER;
    input->reg[REG_DX] = 0;
    input->reg[REG_AX] = (uint32_t)(cpu_efer() ^ BIT(i));
    if (mode->world != WORLD_LONG) /* as it is there */
        input->reg[REG_AX] &= ~(uint64_t)(EFER_LME | EFER_LMA);
    input->is_skipped = mode->world != WORLD_LONG && (BIT(i) & (EFER_LME | EFER_LMA));
    return true;
}

static bool number(const struct mode *mode UNUSED, unsigned i, struct input *input)
{
    if (i >= ARRAY_SIZE(numbers))
        return false;
    input->label = input->reg[REG_AX] = numbers[i];
    return true;
}

static bool page(const struct mode *mode, unsigned i, struct input *input)
{
    bool is_there;

    input->page = tables_kind(mode, i, &input->name, &is_there);
    input->label = i;
    input->is_skipped = !is_there;
    return input->page;
}

/* Each of the low ones, and the edges of addresses of 36, 40 and 52 bits. */
static bool bit(const struct mode *mode UNUSED, unsigned i, struct input *input)
{
    static const uint8_t bits[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 35, 36, 39, 40, 51, 52, 62, 63};

    if (i >= ARRAY_SIZE(bits))
        return false;
    input->label = bits[i];
    input->reg[REG_AX] = (uint32_t)BIT(bits[i]);
    input->reg[REG_DX] = BIT(bits[i]) >> 32;
    return true;
}

bool (*const inputs[INPUTS])(const struct mode *mode, unsigned i, struct input *input) = {
    [INPUT_SELECTORS] = selector, [INPUT_MSRS] = msr, [INPUT_MSR_WRITES] = msr_write, [INPUT_CPUID] = cpuid_leaf,
    [INPUT_CR0] = cr0,            [INPUT_CR4] = cr4,  [INPUT_NUMBERS] = number,       [INPUT_EFER] = efer,
    [INPUT_SOME_SELECTORS] = some_selector, [INPUT_PAGES] = page, [INPUT_BITS] = bit,
};
