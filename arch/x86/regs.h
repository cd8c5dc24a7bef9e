/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one home of control-register, flag, exception and CPUID constants (SDM 3A, "Control Registers"). Guests and
 * tests use it too.
 */
#ifndef ARCH_X86_REGS_H
#define ARCH_X86_REGS_H

#include "kernel/lib/types.h"

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_VME        BIT(0)
#define CR4_PVI        BIT(1)
#define CR4_TSD        BIT(2)
#define CR4_DE         BIT(3)
#define CR4_PSE        BIT(4)
#define CR4_PAE        BIT(5)
#define CR4_MCE        BIT(6)
#define CR4_PGE        BIT(7)
#define CR4_PCE        BIT(8)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_VMXE       BIT(13)
#define CR4_SMXE       BIT(14)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE        BIT(22)

#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define EFER_AIBRSE BIT(21) /* AMD: automatic IBRS */

#define RFLAGS_CF   BIT(0)
#define RFLAGS_ONE  BIT(1) /* reads as 1 */
#define RFLAGS_PF   BIT(2)
#define RFLAGS_AF   BIT(4)
#define RFLAGS_ZF   BIT(6)
#define RFLAGS_SF   BIT(7)
#define RFLAGS_TF   BIT(8)
#define RFLAGS_IF   BIT(9)
#define RFLAGS_DF   BIT(10)
#define RFLAGS_OF   BIT(11)
#define RFLAGS_IOPL (BIT(12) | BIT(13))
#define RFLAGS_NT   BIT(14)
#define RFLAGS_RF   BIT(16)
#define RFLAGS_VM   BIT(17)
#define RFLAGS_AC   BIT(18)
#define RFLAGS_VIF  BIT(19)
#define RFLAGS_VIP  BIT(20)
#define RFLAGS_ID   BIT(21)

#define DR6_INIT 0xffff0ff0ul
#define DR6_BREAKPOINTS 15ul
#define DR6_BS   BIT(14)
#define DR6_BT   BIT(15)
#define DR6_CAUSES (0xful | BIT(13) | DR6_BS | DR6_BT) /* B0-B3, BD, BS, BT */
#define DR7_INIT 0x400ul
#define DR7_LOCAL 0x155ul /* L0-L3, LE */
#define DR7_ENABLED 0xfful /* L0-G3 */
#define DR7_FIELDS_SHIFT 16 /* R/W0, LEN0, R/W1, …: 2 bits each */
#define DR7_GD   BIT(13)

#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)

enum x86_exception {
    X86_DE = 0, X86_DB = 1, X86_NMI = 2, X86_BP = 3, X86_OF = 4, X86_BR = 5, X86_UD = 6, X86_NM = 7,
    X86_DF = 8, X86_TS = 10, X86_NP = 11, X86_SS = 12, X86_GP = 13, X86_PF = 14, X86_MF = 16,
    X86_AC = 17, X86_MC = 18, X86_XM = 19, X86_VE = 20, X86_CP = 21, X86_EXCEPTIONS = 32
};

/* Exceptions that push an error code (SDM 3A, "Error Code"). */
#define X86_EXCEPTIONS_WITH_ERROR_CODE                                                             \
    (1u << X86_DF | 1u << X86_TS | 1u << X86_NP | 1u << X86_SS | 1u << X86_GP | 1u << X86_PF |     \
     1u << X86_AC | 1u << X86_CP)

/* Exceptions of an instruction that did not happen (SDM 3A, "Exception Classifications"). */
#define X86_FAULTS                                                                                 \
    (1u << X86_DE | 1u << X86_BR | 1u << X86_UD | 1u << X86_NM | 1u << X86_TS | 1u << X86_NP |     \
     1u << X86_SS | 1u << X86_GP | 1u << X86_PF | 1u << X86_MF | 1u << X86_AC | 1u << X86_XM |     \
     1u << X86_VE | 1u << X86_CP)

#define CPUID_HYPERVISOR_LEAF    0x40000000u /* the name of the one below us */

/* CPUID feature bits that the host itself asks for. */
#define CPUID_1_ECX_VMX          (1u << 5)
#define CPUID_1_ECX_PCID         (1u << 17)
#define CPUID_1_ECX_X2APIC       (1u << 21)
#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)
#define CPUID_1_ECX_XSAVE        (1u << 26)
#define CPUID_1_ECX_OSXSAVE      (1u << 27)
#define CPUID_1_ECX_RDRAND       (1u << 30)
#define CPUID_1_ECX_HYPERVISOR   (1u << 31)
#define CPUID_1_EDX_MCE          (1u << 7)
#define CPUID_1_EDX_APIC         (1u << 9)
#define CPUID_1_EDX_PGE          (1u << 13)
#define CPUID_1_EDX_MCA          (1u << 14)
#define CPUID_7_EBX_SMEP         (1u << 7)
#define CPUID_7_EBX_RTM          (1u << 11)
#define CPUID_7_EBX_RDSEED       (1u << 18)
#define CPUID_7_EBX_SMAP         (1u << 20)
#define CPUID_7_ECX_UMIP         (1u << 2)
#define CPUID_7_EDX_MD_CLEAR     (1u << 10)
#define CPUID_7_EDX_IBPB         (1u << 26)
#define CPUID_7_EDX_L1D_FLUSH    (1u << 28)
#define CPUID_7_EDX_ARCH_CAPABILITIES (1u << 29)
#define CPUID_72_EDX_BHI_CTRL    (1u << 4)
#define CPUID_88_EBX_IBPB        (1u << 12)
#define CPUID_821_EAX_AUTO_IBRS  (1u << 8)
#define CPUID_81_EDX_NX          (1u << 20)
#define CPUID_81_EDX_PAGE1GB     (1u << 26)

#endif
