/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x by the manual: field encodings, control bits, exit reasons, the instructions (SDM 3C, "VMX Non-Root
 * Operation" and appendices).
 */
#ifndef ARCH_X86_VMX_VMX_H
#define ARCH_X86_VMX_VMX_H

#include "kernel/lib/types.h"

/* SDM 4, VMX capability MSRs */
#define MSR_IA32_VMX_BASIC              0x480
#define MSR_IA32_VMX_MISC               0x485
#define MSR_IA32_VMX_CR0_FIXED0         0x486
#define MSR_IA32_VMX_CR0_FIXED1         0x487
#define MSR_IA32_VMX_CR4_FIXED0         0x488
#define MSR_IA32_VMX_CR4_FIXED1         0x489
#define MSR_IA32_VMX_PROCBASED_CTLS2    0x48b
#define MSR_IA32_VMX_EPT_VPID_CAP       0x48c
#define MSR_IA32_VMX_TRUE_PINBASED_CTLS 0x48d
#define MSR_IA32_VMX_TRUE_PROCBASED_CTLS 0x48e
#define MSR_IA32_VMX_TRUE_EXIT_CTLS     0x48f
#define MSR_IA32_VMX_TRUE_ENTRY_CTLS    0x490

#define VMX_BASIC_REVISION_MASK 0x7ffffffful
#define VMX_BASIC_TRUE_CTLS     (1ul << 55)
#define VMX_MISC_TIMER_SHIFT_MASK 0x1ful

#define EPT_CAP_WALK_4          (1ul << 6)
#define EPT_CAP_WB              (1ul << 14)
#define EPT_CAP_2M              (1ul << 16)
#define EPT_CAP_1G              (1ul << 17)
#define EPT_CAP_INVEPT          (1ul << 20)
#define EPT_CAP_AD              (1ul << 21)
#define EPT_CAP_INVEPT_SINGLE   (1ul << 25)
#define EPT_CAP_INVEPT_ALL      (1ul << 26)
#define VPID_CAP_INVVPID        (1ul << 32)
#define VPID_CAP_INVVPID_SINGLE (1ul << 41)

/* SDM 3C, "Field Encoding in VMCS" */
enum vmcs_field {
    VMCS_VPID = 0x0000,
    VMCS_GUEST_ES_SELECTOR = 0x0800, /* ES CS SS DS FS GS LDTR TR, 2 apart */
    VMCS_GUEST_INTERRUPT_STATUS = 0x0810,
    VMCS_HOST_ES_SELECTOR = 0x0c00,
    VMCS_HOST_CS_SELECTOR = 0x0c02,
    VMCS_HOST_SS_SELECTOR = 0x0c04,
    VMCS_HOST_DS_SELECTOR = 0x0c06,
    VMCS_HOST_FS_SELECTOR = 0x0c08,
    VMCS_HOST_GS_SELECTOR = 0x0c0a,
    VMCS_HOST_TR_SELECTOR = 0x0c0c,
    VMCS_IO_BITMAP_A = 0x2000,
    VMCS_IO_BITMAP_B = 0x2002,
    VMCS_MSR_BITMAP = 0x2004,
    VMCS_TSC_OFFSET = 0x2010,
    VMCS_VIRTUAL_APIC_ADDRESS = 0x2012,
    VMCS_APIC_ACCESS_ADDRESS = 0x2014,
    VMCS_EPT_POINTER = 0x201a,
    VMCS_EOI_EXIT_BITMAP0 = 0x201c, /* 4 of them, 2 apart */
    VMCS_XSS_EXITING_BITMAP = 0x202c,
    VMCS_ENCLS_EXITING_BITMAP = 0x202e,
    VMCS_GUEST_PHYSICAL_ADDRESS = 0x2400,
    VMCS_LINK_POINTER = 0x2800,
    VMCS_GUEST_DEBUGCTL = 0x2802,
    VMCS_GUEST_PAT = 0x2804,
    VMCS_GUEST_EFER = 0x2806,
    VMCS_GUEST_PDPTE0 = 0x280a, /* 4 of them, 2 apart */
    VMCS_HOST_PAT = 0x2c00,
    VMCS_HOST_EFER = 0x2c02,
    VMCS_PIN_BASED_CONTROLS = 0x4000,
    VMCS_PROC_BASED_CONTROLS = 0x4002,
    VMCS_EXCEPTION_BITMAP = 0x4004,
    VMCS_PAGE_FAULT_ERROR_MASK = 0x4006,
    VMCS_PAGE_FAULT_ERROR_MATCH = 0x4008,
    VMCS_CR3_TARGET_COUNT = 0x400a,
    VMCS_EXIT_CONTROLS = 0x400c,
    VMCS_EXIT_MSR_STORE_COUNT = 0x400e,
    VMCS_EXIT_MSR_LOAD_COUNT = 0x4010,
    VMCS_ENTRY_CONTROLS = 0x4012,
    VMCS_ENTRY_MSR_LOAD_COUNT = 0x4014,
    VMCS_ENTRY_INTERRUPTION_INFO = 0x4016,
    VMCS_ENTRY_EXCEPTION_ERROR_CODE = 0x4018,
    VMCS_ENTRY_INSTRUCTION_LENGTH = 0x401a,
    VMCS_TPR_THRESHOLD = 0x401c,
    VMCS_PROC_BASED_CONTROLS2 = 0x401e,
    VMCS_PLE_GAP = 0x4020,
    VMCS_PLE_WINDOW = 0x4022,
    VMCS_INSTRUCTION_ERROR = 0x4400,
    VMCS_EXIT_REASON = 0x4402,
    VMCS_EXIT_INTERRUPTION_INFO = 0x4404,
    VMCS_EXIT_INTERRUPTION_ERROR_CODE = 0x4406,
    VMCS_IDT_VECTORING_INFO = 0x4408,
    VMCS_IDT_VECTORING_ERROR_CODE = 0x440a,
    VMCS_EXIT_INSTRUCTION_LENGTH = 0x440c,
    VMCS_GUEST_ES_LIMIT = 0x4800,
    VMCS_GUEST_GDTR_LIMIT = 0x4810,
    VMCS_GUEST_IDTR_LIMIT = 0x4812,
    VMCS_GUEST_ES_ACCESS_RIGHTS = 0x4814,
    VMCS_GUEST_INTERRUPTIBILITY = 0x4824,
    VMCS_GUEST_ACTIVITY = 0x4826,
    VMCS_GUEST_SYSENTER_CS = 0x482a,
    VMCS_PREEMPTION_TIMER = 0x482e,
    VMCS_HOST_SYSENTER_CS = 0x4c00,
    VMCS_CR0_MASK = 0x6000,
    VMCS_CR4_MASK = 0x6002,
    VMCS_CR0_SHADOW = 0x6004,
    VMCS_CR4_SHADOW = 0x6006,
    VMCS_EXIT_QUALIFICATION = 0x6400,
    VMCS_GUEST_LINEAR_ADDRESS = 0x640a,
    VMCS_GUEST_CR0 = 0x6800,
    VMCS_GUEST_CR3 = 0x6802,
    VMCS_GUEST_CR4 = 0x6804,
    VMCS_GUEST_ES_BASE = 0x6806,
    VMCS_GUEST_FS_BASE = 0x680e,
    VMCS_GUEST_GS_BASE = 0x6810,
    VMCS_GUEST_GDTR_BASE = 0x6816,
    VMCS_GUEST_IDTR_BASE = 0x6818,
    VMCS_GUEST_DR7 = 0x681a,
    VMCS_GUEST_RSP = 0x681c,
    VMCS_GUEST_RIP = 0x681e,
    VMCS_GUEST_RFLAGS = 0x6820,
    VMCS_GUEST_PENDING_DEBUG = 0x6822,
    VMCS_GUEST_SYSENTER_ESP = 0x6824,
    VMCS_GUEST_SYSENTER_EIP = 0x6826,
    VMCS_HOST_CR0 = 0x6c00,
    VMCS_HOST_CR3 = 0x6c02,
    VMCS_HOST_CR4 = 0x6c04,
    VMCS_HOST_FS_BASE = 0x6c06,
    VMCS_HOST_GS_BASE = 0x6c08,
    VMCS_HOST_TR_BASE = 0x6c0a,
    VMCS_HOST_GDTR_BASE = 0x6c0c,
    VMCS_HOST_IDTR_BASE = 0x6c0e,
    VMCS_HOST_SYSENTER_ESP = 0x6c10,
    VMCS_HOST_SYSENTER_EIP = 0x6c12,
    VMCS_HOST_RSP = 0x6c14,
    VMCS_HOST_RIP = 0x6c16,
};

#define PIN_EXTERNAL_INTERRUPT_EXITING (1u << 0)
#define PIN_NMI_EXITING                (1u << 3)
#define PIN_VIRTUAL_NMIS               (1u << 5)
#define PIN_PREEMPTION_TIMER           (1u << 6)
#define PIN_POSTED_INTERRUPTS          (1u << 7)

#define PROC_INTERRUPT_WINDOW_EXITING (1u << 2)
#define PROC_USE_TSC_OFFSETTING       (1u << 3)
#define PROC_HLT_EXITING              (1u << 7)
#define PROC_INVLPG_EXITING           (1u << 9)
#define PROC_MWAIT_EXITING            (1u << 10)
#define PROC_RDPMC_EXITING            (1u << 11)
#define PROC_RDTSC_EXITING            (1u << 12)
#define PROC_CR3_LOAD_EXITING         (1u << 15)
#define PROC_CR3_STORE_EXITING        (1u << 16)
#define PROC_CR8_LOAD_EXITING         (1u << 19)
#define PROC_CR8_STORE_EXITING        (1u << 20)
#define PROC_USE_TPR_SHADOW           (1u << 21)
#define PROC_NMI_WINDOW_EXITING       (1u << 22)
#define PROC_MOV_DR_EXITING           (1u << 23)
#define PROC_UNCONDITIONAL_IO_EXITING (1u << 24)
#define PROC_USE_IO_BITMAPS           (1u << 25)
#define PROC_USE_MSR_BITMAPS          (1u << 28)
#define PROC_MONITOR_EXITING          (1u << 29)
#define PROC_PAUSE_EXITING            (1u << 30)
#define PROC_SECONDARY_CONTROLS       (1u << 31)

#define PROC2_VIRTUALIZE_APIC_ACCESSES (1u << 0)
#define PROC2_ENABLE_EPT               (1u << 1)
#define PROC2_ENABLE_RDTSCP            (1u << 3)
#define PROC2_VIRTUALIZE_X2APIC        (1u << 4)
#define PROC2_ENABLE_VPID              (1u << 5)
#define PROC2_WBINVD_EXITING           (1u << 6)
#define PROC2_UNRESTRICTED_GUEST       (1u << 7)
#define PROC2_APIC_REGISTER_VIRT       (1u << 8)
#define PROC2_VIRTUAL_INTERRUPTS       (1u << 9)
#define PROC2_PAUSE_LOOP_EXITING       (1u << 10)
#define PROC2_ENABLE_INVPCID           (1u << 12)
#define PROC2_ENCLS_EXITING            (1u << 15)
#define PROC2_ENABLE_XSAVES            (1u << 20)

#define EXIT_SAVE_DEBUG_CONTROLS        (1u << 2)
#define EXIT_HOST_ADDRESS_SPACE_SIZE    (1u << 9)
#define EXIT_ACKNOWLEDGE_INTERRUPT      (1u << 15)
#define EXIT_SAVE_PAT                   (1u << 18)
#define EXIT_LOAD_PAT                   (1u << 19)
#define EXIT_SAVE_EFER                  (1u << 20)
#define EXIT_LOAD_EFER                  (1u << 21)
#define EXIT_SAVE_PREEMPTION_TIMER      (1u << 22)

#define ENTRY_LOAD_DEBUG_CONTROLS (1u << 2)
#define ENTRY_IA32E_MODE_GUEST    (1u << 9)
#define ENTRY_LOAD_PAT            (1u << 14)
#define ENTRY_LOAD_EFER           (1u << 15)

#define INTERRUPTION_VECTOR_MASK 0xffu
#define INTERRUPTION_TYPE_SHIFT  8
#define INTERRUPTION_TYPE_MASK   (7u << 8)
#define INTERRUPTION_ERROR_CODE  (1u << 11)
#define INTERRUPTION_VALID       (1u << 31)
#define QUALIFICATION_NMI_UNBLOCKED (1u << 12) /* of an EPT violation */
enum interruption_type {
    INTERRUPTION_EXTERNAL = 0, INTERRUPTION_NMI = 2, INTERRUPTION_HARDWARE_EXCEPTION = 3,
    INTERRUPTION_SOFTWARE = 4, INTERRUPTION_PRIVILEGED_SOFTWARE_EXCEPTION = 5, INTERRUPTION_SOFTWARE_EXCEPTION = 6,
};

#define INTERRUPTIBILITY_STI    (1u << 0)
#define INTERRUPTIBILITY_MOV_SS (1u << 1)
#define INTERRUPTIBILITY_NMI    (1u << 3)

#define ACCESS_RIGHTS_UNUSABLE (1u << 16)

#define EXIT_REASON_BASIC_MASK   0xffffu
#define EXIT_REASON_ENTRY_FAILED (1u << 31)

/* SDM 3C, "VMX Basic Exit Reasons" */
enum vmx_exit_reason {
    VMX_EXIT_EXCEPTION_OR_NMI = 0, VMX_EXIT_EXTERNAL_INTERRUPT = 1, VMX_EXIT_TRIPLE_FAULT = 2, VMX_EXIT_INIT = 3,
    VMX_EXIT_SIPI = 4, VMX_EXIT_IO_SMI = 5, VMX_EXIT_SMI = 6, VMX_EXIT_INTERRUPT_WINDOW = 7, VMX_EXIT_NMI_WINDOW = 8,
    VMX_EXIT_TASK_SWITCH = 9, VMX_EXIT_CPUID = 10, VMX_EXIT_GETSEC = 11, VMX_EXIT_HLT = 12, VMX_EXIT_INVD = 13,
    VMX_EXIT_INVLPG = 14, VMX_EXIT_RDPMC = 15, VMX_EXIT_RDTSC = 16, VMX_EXIT_RSM = 17, VMX_EXIT_VMCALL = 18,
    VMX_EXIT_VMCLEAR = 19, VMX_EXIT_VMLAUNCH = 20, VMX_EXIT_VMPTRLD = 21, VMX_EXIT_VMPTRST = 22, VMX_EXIT_VMREAD = 23,
    VMX_EXIT_VMRESUME = 24, VMX_EXIT_VMWRITE = 25, VMX_EXIT_VMXOFF = 26, VMX_EXIT_VMXON = 27, VMX_EXIT_CR_ACCESS = 28,
    VMX_EXIT_MOV_DR = 29, VMX_EXIT_IO = 30, VMX_EXIT_RDMSR = 31, VMX_EXIT_WRMSR = 32, VMX_EXIT_BAD_GUEST_STATE = 33,
    VMX_EXIT_BAD_MSR_LOAD = 34, VMX_EXIT_MWAIT = 36, VMX_EXIT_MONITOR_TRAP = 37, VMX_EXIT_MONITOR = 39,
    VMX_EXIT_PAUSE = 40, VMX_EXIT_MACHINE_CHECK = 41, VMX_EXIT_TPR_BELOW_THRESHOLD = 43, VMX_EXIT_APIC_ACCESS = 44,
    VMX_EXIT_VIRTUALIZED_EOI = 45, VMX_EXIT_GDTR_IDTR = 46, VMX_EXIT_LDTR_TR = 47, VMX_EXIT_EPT_VIOLATION = 48,
    VMX_EXIT_EPT_MISCONFIGURATION = 49, VMX_EXIT_INVEPT = 50, VMX_EXIT_RDTSCP = 51, VMX_EXIT_PREEMPTION_TIMER = 52,
    VMX_EXIT_INVVPID = 53, VMX_EXIT_WBINVD = 54, VMX_EXIT_XSETBV = 55, VMX_EXIT_APIC_WRITE = 56, VMX_EXIT_RDRAND = 57,
    VMX_EXIT_INVPCID = 58, VMX_EXIT_VMFUNC = 59, VMX_EXIT_ENCLS = 60, VMX_EXIT_RDSEED = 61, VMX_EXIT_PML_FULL = 62,
    VMX_EXIT_XSAVES = 63, VMX_EXIT_XRSTORS = 64, VMX_EXIT_PCONFIG = 65, VMX_EXIT_SPP = 66, VMX_EXIT_UMWAIT = 67,
    VMX_EXIT_TPAUSE = 68, VMX_EXIT_LOADIWKEY = 69,
    VMX_EXIT_REASONS
};

/* VMREAD and VMWRITE of a field that does not exist are bugs of ours, found at the first run of the line. */
static inline uint64_t vmread(enum vmcs_field field)
{
    uint64_t value;
    __asm__ volatile("vmread %1, %0" : "=r"(value) : "r"((uint64_t)field) : "cc");
    return value;
}

void vmx_write_failed(enum vmcs_field field, uint64_t value) __attribute__((cold, noreturn));

static inline void vmwrite(enum vmcs_field field, uint64_t value)
{
    bool failed;
    __asm__ volatile("vmwrite %1, %2" : "=@ccna"(failed) : "r"(value), "r"((uint64_t)field) : "memory");
    if (unlikely(failed))
        vmx_write_failed(field, value);
}

/* Each returns whether the instruction succeeded. The operand is in memory: the address stays where it is. */
#define VMX_DEFINE_POINTER_INSTRUCTION(name)                                                       \
    static inline bool name(const hpa_t *address)                                                  \
    {                                                                                              \
        bool ok;                                                                                   \
        __asm__ volatile(#name " %1" : "=@cca"(ok) : "m"(address->value) : "memory");               \
        return ok;                                                                                 \
    }
VMX_DEFINE_POINTER_INSTRUCTION(vmxon)
VMX_DEFINE_POINTER_INSTRUCTION(vmclear)
VMX_DEFINE_POINTER_INSTRUCTION(vmptrld)
#undef VMX_DEFINE_POINTER_INSTRUCTION

static inline void vmxoff(void)
{
    __asm__ volatile("vmxoff" : : : "cc", "memory");
}

enum { INV_SINGLE_CONTEXT = 1, INV_ALL_CONTEXTS = 2 };

static inline bool invept(uint64_t type, uint64_t eptp)
{
    struct {
        uint64_t eptp, reserved;
    } d = {eptp, 0};
    bool ok;
    __asm__ volatile("invept %1, %2" : "=@cca"(ok) : "m"(d), "r"(type) : "memory");
    return ok;
}

static inline bool invvpid(uint64_t type, uint16_t vpid)
{
    struct {
        uint64_t vpid, linear;
    } d = {vpid, 0};
    bool ok;
    __asm__ volatile("invvpid %1, %2" : "=@cca"(ok) : "m"(d), "r"(type) : "memory");
    return ok;
}

#endif
