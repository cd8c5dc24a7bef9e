/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V by the manual: the VMCB, its bits, exit codes, CPUID and MSRs (APM 2, "Secure Virtual Machine" and "VMCB
 * Layout").
 */
#ifndef ARCH_X86_SVM_SVM_H
#define ARCH_X86_SVM_SVM_H

#include "kernel/lib/types.h"

/* CPUID Fn8000_0001 ECX, Fn8000_0008 EBX, Fn8000_000A */
#define CPUID_SVM_LEAF               0x8000000au
#define CPUID_81_ECX_SVM             (1u << 2)
#define CPUID_88_EBX_INVLPGB         (1u << 3)
#define CPUID_88_EBX_RDPRU           (1u << 4)
#define CPUID_88_EBX_MCOMMIT         (1u << 8)
#define SVM_REVISION_MASK            0xffu
#define SVM_FEATURE_NP               (1u << 0)
#define SVM_FEATURE_NRIPS            (1u << 3)
#define SVM_FEATURE_VMCB_CLEAN       (1u << 5)
#define SVM_FEATURE_FLUSH_BY_ASID    (1u << 6)
#define SVM_FEATURE_DECODE_ASSISTS   (1u << 7)
#define SVM_FEATURE_PAUSE_FILTER     (1u << 10)
#define SVM_FEATURE_PAUSE_THRESHOLD  (1u << 12)
#define SVM_FEATURE_AVIC             (1u << 13)

/* APM 2, "SVM Related MSRs" */
#define MSR_VM_CR       0xc0010114u
#define MSR_VM_HSAVE_PA 0xc0010117u
#define VM_CR_LOCK      BIT(3)
#define VM_CR_SVMDIS    BIT(4)
#define EFER_SVME       BIT(12)

/* --- intercepts: six words of bits at the VMCB's start --- */

enum intercept_word {
    INTERCEPT_CR, /* reads of CR0–15 in the low half, writes in the high one */
    INTERCEPT_DR, /* likewise */
    INTERCEPT_EXCEPTION,
    INTERCEPT_MISC1,
    INTERCEPT_MISC2,
    INTERCEPT_MISC3,
    INTERCEPT_WORDS
};

#define CR_READ(n)  (1u << (n))
#define CR_WRITE(n) (1u << (16 + (n)))
#define DR_READ(n)  (1u << (n))
#define DR_WRITE(n) (1u << (16 + (n)))

#define MISC1_INTR         (1u << 0)
#define MISC1_NMI          (1u << 1)
#define MISC1_INIT         (1u << 3)
#define MISC1_VINTR        (1u << 4)
#define MISC1_CR0_SEL      (1u << 5) /* writes that change more than TS and MP */
#define MISC1_RDPMC        (1u << 15)
#define MISC1_CPUID        (1u << 18)
#define MISC1_RSM          (1u << 19)
#define MISC1_IRET         (1u << 20)
#define MISC1_INVD         (1u << 22)
#define MISC1_PAUSE        (1u << 23)
#define MISC1_HLT          (1u << 24)
#define MISC1_INVLPGA      (1u << 26)
#define MISC1_IOIO_PROT    (1u << 27)
#define MISC1_MSR_PROT     (1u << 28)
#define MISC1_SHUTDOWN     (1u << 31)

#define MISC2_VMRUN        (1u << 0)
#define MISC2_VMMCALL      (1u << 1)
#define MISC2_VMLOAD       (1u << 2)
#define MISC2_VMSAVE       (1u << 3)
#define MISC2_STGI         (1u << 4)
#define MISC2_CLGI         (1u << 5)
#define MISC2_SKINIT       (1u << 6)
#define MISC2_ICEBP        (1u << 8)
#define MISC2_WBINVD       (1u << 9)
#define MISC2_MONITOR      (1u << 10)
#define MISC2_MWAIT        (1u << 11)
#define MISC2_MWAIT_ARMED  (1u << 12)
#define MISC2_XSETBV       (1u << 13)
#define MISC2_RDPRU        (1u << 14)

#define MISC3_INVLPGB         (1u << 0)
#define MISC3_INVLPGB_ILLEGAL (1u << 1)
#define MISC3_MCOMMIT         (1u << 3)
#define MISC3_TLBSYNC         (1u << 4)

/* --- other fields --- */

enum tlb_control { TLB_KEEP = 0, TLB_FLUSH_ALL = 1, TLB_FLUSH_ASID = 3 };

/* Offset 060H, "virtual interrupt control" */
#define V_TPR_MASK     0x0ful
#define V_IRQ          BIT(8)
#define V_IGN_TPR      BIT(20)
#define V_INTR_MASKING BIT(24)
#define V_AVIC_ENABLE  BIT(31)

#define INTERRUPT_SHADOW BIT(0) /* offset 068H */
#define NP_ENABLE        BIT(0) /* offset 090H */

/* EVENTINJ and EXITINTINFO */
#define EVENT_TYPE_SHIFT       8
#define EVENT_TYPE_MASK        7u
#define EVENT_ERROR_CODE_VALID BIT(11)
#define EVENT_VALID            BIT(31)
#define EVENT_ERROR_CODE_SHIFT 32
enum svm_event_type { SVM_EVENT_INTR = 0, SVM_EVENT_NMI = 2, SVM_EVENT_EXCEPTION = 3, SVM_EVENT_SOFTWARE = 4 };

/* VMCB clean bits: what the CPU may have kept since the last VMRUN. */
#define CLEAN_INTERCEPTS BIT(0) /* with the TSC offset and the PAUSE filter */
#define CLEAN_ASID       BIT(2)
#define CLEAN_TPR        BIT(3) /* offset 060H */
#define CLEAN_NP         BIT(4) /* N_CR3 and G_PAT */
#define CLEAN_CR         BIT(5) /* CR0, CR3, CR4, EFER */
#define CLEAN_DR         BIT(6) /* DR6, DR7 */
#define CLEAN_DT         BIT(7)
#define CLEAN_SEG        BIT(8) /* with CPL */
#define CLEAN_CR2        BIT(9)
#define CLEAN_ALL        0x3ffu /* and I/O and MSR permission maps, which never change; not AVIC's fields */

/* EXITINFO1 of IOIO, of a nested page fault, and of an access to a control register with decode assists */
#define IOIO_IN          BIT(0)
#define IOIO_STRING      BIT(2)
#define IOIO_REP         BIT(3)
#define IOIO_SIZE_SHIFT  4
#define IOIO_SIZE_MASK   7u
#define IOIO_PORT_SHIFT  16
#define NPF_WRITE        BIT(1)
#define NPF_FETCH        BIT(4)
#define CR_INFO_IS_MOV   BIT(63)
#define CR_INFO_GPR_MASK 0xfu

/* APM 2, "AVIC Physical APIC ID Table", "AVIC Logical APIC ID Table" */
#define AVIC_PHYSICAL_VALID   BIT(63)
#define AVIC_PHYSICAL_RUNNING BIT(62)
#define AVIC_PHYSICAL_HOST_ID 0xfful
#define AVIC_LOGICAL_VALID    (1u << 31)

/* EXITINFO1 of VMEXIT_AVIC_NOACCEL; the upper half of EXITINFO2 of VMEXIT_AVIC_INCOMPLETE_IPI */
#define AVIC_ACCESS_OFFSET 0xff0u
#define AVIC_ACCESS_WRITE  BIT(32)
enum avic_ipi_failure {
    AVIC_IPI_INVALID_TYPE, AVIC_IPI_TARGET_NOT_RUNNING, AVIC_IPI_INVALID_TARGET, AVIC_IPI_INVALID_BACKING_PAGE,
    AVIC_IPI_INVALID_VECTOR,
};

struct vmcb_segment {
    uint16_t selector;
    uint16_t attributes; /* bits 8-15 and 20-23 of the descriptor's second doubleword, without a gap */
    uint32_t limit;
    uint64_t base;
};

#define VMCB_ATTR_L BIT(9)

struct vmcb_control {
    uint32_t intercepts[INTERCEPT_WORDS];
    uint8_t reserved1[0x03c - 0x018];
    uint16_t pause_filter_threshold, pause_filter_count;
    uint64_t iopm_base_pa, msrpm_base_pa;
    uint64_t tsc_offset;
    uint32_t guest_asid;
    uint32_t tlb_control; /* enum tlb_control */
    uint64_t v_intr;
    uint64_t interrupt_shadow;
    uint64_t exit_code, exit_info1, exit_info2, exit_int_info;
    uint64_t np_enable;
    uint64_t avic_apic_bar, ghcb;
    uint64_t event_inj;
    uint64_t n_cr3;
    uint64_t lbr_virtualization_enable;
    uint32_t clean, reserved2;
    uint64_t next_rip;
    uint8_t fetched_bytes, instruction[15];
    uint64_t avic_backing_page, reserved3;
    uint64_t avic_logical_table, avic_physical_table; /* with the highest index in bits 7:0 */
    uint8_t reserved4[0x400 - 0x100];
};

struct vmcb_state {
    struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    uint8_t reserved1[0x0cb - 0x0a0];
    uint8_t cpl;
    uint32_t reserved2;
    uint64_t efer;
    uint8_t reserved3[0x148 - 0x0d8];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
    uint8_t reserved4[0x1d8 - 0x180];
    uint64_t rsp, s_cet, ssp, isst_addr, rax;
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t cr2;
    uint8_t reserved5[0x268 - 0x248];
    uint64_t g_pat;
    uint64_t dbgctl;
};

struct vmcb {
    struct vmcb_control control;
    struct vmcb_state state;
    uint8_t reserved[PAGE_SIZE - sizeof(struct vmcb_control) - sizeof(struct vmcb_state)];
};

#define VMCB_AT(member, offset) _Static_assert(offsetof(struct vmcb, member) == (offset), #member)
VMCB_AT(control.pause_filter_threshold, 0x03c);
VMCB_AT(control.iopm_base_pa, 0x040);
VMCB_AT(control.tsc_offset, 0x050);
VMCB_AT(control.guest_asid, 0x058);
VMCB_AT(control.v_intr, 0x060);
VMCB_AT(control.interrupt_shadow, 0x068);
VMCB_AT(control.exit_code, 0x070);
VMCB_AT(control.exit_int_info, 0x088);
VMCB_AT(control.np_enable, 0x090);
VMCB_AT(control.event_inj, 0x0a8);
VMCB_AT(control.n_cr3, 0x0b0);
VMCB_AT(control.clean, 0x0c0);
VMCB_AT(control.next_rip, 0x0c8);
VMCB_AT(control.fetched_bytes, 0x0d0);
VMCB_AT(control.avic_apic_bar, 0x098);
VMCB_AT(control.avic_backing_page, 0x0e0);
VMCB_AT(control.avic_logical_table, 0x0f0);
VMCB_AT(control.avic_physical_table, 0x0f8);
VMCB_AT(state.es, 0x400);
VMCB_AT(state.gdtr, 0x460);
VMCB_AT(state.tr, 0x490);
VMCB_AT(state.cpl, 0x4cb);
VMCB_AT(state.efer, 0x4d0);
VMCB_AT(state.cr4, 0x548);
VMCB_AT(state.rip, 0x578);
VMCB_AT(state.rsp, 0x5d8);
VMCB_AT(state.rax, 0x5f8);
VMCB_AT(state.star, 0x600);
VMCB_AT(state.sysenter_cs, 0x628);
VMCB_AT(state.cr2, 0x640);
VMCB_AT(state.g_pat, 0x668);
#undef VMCB_AT
_Static_assert(sizeof(struct vmcb) == PAGE_SIZE, "a VMCB is a page");

/* APM 2, "SVM Intercept Exit Codes" */
enum svm_exit_code {
    VMEXIT_CR0_READ = 0x00, VMEXIT_CR4_READ = 0x04, VMEXIT_CR8_READ = 0x08, VMEXIT_CR15_READ = 0x0f,
    VMEXIT_CR0_WRITE = 0x10, VMEXIT_CR4_WRITE = 0x14, VMEXIT_CR8_WRITE = 0x18,
    VMEXIT_DR0_READ = 0x20, VMEXIT_DR3_READ = 0x23, VMEXIT_DR0_WRITE = 0x30, VMEXIT_DR3_WRITE = 0x33, VMEXIT_DR7_WRITE = 0x37,
    VMEXIT_EXCP0 = 0x40, VMEXIT_EXCP_DB = 0x41, VMEXIT_EXCP_AC = 0x51, VMEXIT_EXCP_MC = 0x52,
    VMEXIT_INTR = 0x60, VMEXIT_NMI = 0x61, VMEXIT_INIT = 0x63, VMEXIT_VINTR = 0x64, VMEXIT_CR0_SEL_WRITE = 0x65,
    VMEXIT_RDPMC = 0x6f, VMEXIT_CPUID = 0x72, VMEXIT_RSM = 0x73, VMEXIT_IRET = 0x74, VMEXIT_INVD = 0x76,
    VMEXIT_PAUSE = 0x77, VMEXIT_HLT = 0x78, VMEXIT_INVLPGA = 0x7a, VMEXIT_IOIO = 0x7b, VMEXIT_MSR = 0x7c,
    VMEXIT_SHUTDOWN = 0x7f, VMEXIT_VMRUN = 0x80, VMEXIT_VMMCALL = 0x81, VMEXIT_VMLOAD = 0x82, VMEXIT_VMSAVE = 0x83,
    VMEXIT_STGI = 0x84, VMEXIT_CLGI = 0x85, VMEXIT_SKINIT = 0x86, VMEXIT_ICEBP = 0x88, VMEXIT_WBINVD = 0x89,
    VMEXIT_MONITOR = 0x8a, VMEXIT_MWAIT = 0x8b, VMEXIT_MWAIT_ARMED = 0x8c, VMEXIT_XSETBV = 0x8d, VMEXIT_RDPRU = 0x8e,
    VMEXIT_INVLPGB = 0xa0, VMEXIT_INVLPGB_ILLEGAL = 0xa1, VMEXIT_MCOMMIT = 0xa3, VMEXIT_TLBSYNC = 0xa4,
    VMEXIT_LOW_CODES,
    VMEXIT_NPF = 0x400, VMEXIT_AVIC_INCOMPLETE_IPI = 0x401, VMEXIT_AVIC_NOACCEL = 0x402,
    VMEXIT_INVALID = -1, /* some emulators write 32 bits of it */
};

static inline void vmsave(hpa_t vmcb)
{
    __asm__ volatile("vmsave %0" : : "a"(vmcb.value) : "memory");
}

#endif
