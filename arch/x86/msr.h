/* SPDX-License-Identifier: BSD-2-Clause */
/* The one home of MSR numbers and bits; spelled as in SDM 4, "Architectural MSRs". */
#ifndef ARCH_X86_MSR_H
#define ARCH_X86_MSR_H

#include "kernel/lib/types.h"

#define MSR_IA32_TIME_STAMP_COUNTER 0x10
#define MSR_IA32_PLATFORM_ID        0x17
#define MSR_IA32_APIC_BASE          0x1b
#define MSR_IA32_FEATURE_CONTROL    0x3a
#define MSR_IA32_TSC_ADJUST         0x3b
#define MSR_IA32_SPEC_CTRL          0x48
#define SPEC_CTRL_IBRS              (1u << 0)
#define SPEC_CTRL_BHI_DIS_S         (1u << 10)
#define MSR_IA32_PRED_CMD           0x49
#define PRED_CMD_IBPB               1u
#define MSR_IA32_BIOS_UPDT_TRIG     0x79
#define MSR_IA32_BIOS_SIGN_ID       0x8b
#define MSR_IA32_MTRRCAP            0xfe
#define MSR_IA32_ARCH_CAPABILITIES  0x10a
#define ARCH_CAP_RDCL_NO            (1u << 0)
#define ARCH_CAP_IBRS_ALL           (1u << 1)
#define ARCH_CAP_SKIP_L1DFL_VMENTRY (1u << 3)
#define ARCH_CAP_MDS_NO             (1u << 5)
#define ARCH_CAP_TAA_NO             (1u << 8)
#define ARCH_CAP_MMIO_NO            (7u << 13) /* SBDR_SSDP_NO, FBSDP_NO, PSDP_NO */
#define ARCH_CAP_FB_CLEAR           (1u << 17)
#define ARCH_CAP_RFDS_NO            (1u << 27)
#define ARCH_CAP_RFDS_CLEAR         (1u << 28)
#define MSR_IA32_FLUSH_CMD          0x10b
#define FLUSH_CMD_L1D               1u
#define MSR_IA32_SYSENTER_CS        0x174
#define MSR_IA32_SYSENTER_ESP       0x175
#define MSR_IA32_SYSENTER_EIP       0x176
#define MSR_IA32_MCG_CAP            0x179
#define MCG_CAP_COUNT               0xffu
#define MCG_CAP_SER_P               (1u << 24)
#define MSR_IA32_MCG_STATUS         0x17a
#define MCG_STATUS_RIPV             (1u << 0)
#define MCG_STATUS_EIPV             (1u << 1)
#define MCG_STATUS_MCIP             (1u << 2)
#define MSR_IA32_MC_STATUS(bank)    (0x401u + 4 * (bank))
#define MC_STATUS_AR                BIT(55)
#define MC_STATUS_PCC               BIT(57)
#define MC_STATUS_ADDRV             BIT(58)
#define MC_STATUS_MISCV             BIT(59)
#define MC_STATUS_UC                BIT(61)
#define MC_STATUS_OVER              BIT(62)
#define MC_STATUS_VAL               BIT(63)
#define MSR_IA32_MC_ADDR(bank)      (0x402u + 4 * (bank))
#define MSR_IA32_MC_MISC(bank)      (0x403u + 4 * (bank))
#define MSR_IA32_PERF_STATUS        0x198
#define MSR_IA32_MISC_ENABLE        0x1a0
#define MSR_IA32_DEBUGCTL           0x1d9
#define MSR_IA32_MTRR_PHYSBASE0     0x200
#define MSR_IA32_MTRR_PHYSMASK7     0x20f
#define MSR_IA32_MTRR_FIX64K_00000  0x250
#define MSR_IA32_MTRR_FIX16K_80000  0x258
#define MSR_IA32_MTRR_FIX16K_A0000  0x259
#define MSR_IA32_MTRR_FIX4K_C0000   0x268
#define MSR_IA32_MTRR_FIX4K_F8000   0x26f
#define MSR_IA32_PAT                0x277
#define MSR_IA32_MTRR_DEF_TYPE      0x2ff
#define MTRR_TYPES                  0x73u /* bits: UC, WC, WT, WP, WB */
#define MTRR_TYPE_WB                6u
#define MTRR_PHYSMASK_V             (1u << 11)
#define MTRR_DEF_TYPE_FE            (1u << 10)
#define MTRR_DEF_TYPE_E             (1u << 11)
#define MSR_IA32_TSC_DEADLINE       0x6e0
#define MSR_IA32_X2APIC_FIRST       0x800
#define MSR_IA32_X2APIC_LAST        0x8ff
#define MSR_IA32_XSS                0xda0
#define MSR_IA32_EFER               0xc0000080u
#define MSR_IA32_STAR               0xc0000081u
#define MSR_IA32_LSTAR              0xc0000082u
#define MSR_IA32_CSTAR              0xc0000083u
#define MSR_IA32_FMASK              0xc0000084u
#define MSR_IA32_FS_BASE            0xc0000100u
#define MSR_IA32_GS_BASE            0xc0000101u
#define MSR_IA32_KERNEL_GS_BASE     0xc0000102u
#define MSR_IA32_TSC_AUX            0xc0000103u

#define APIC_BASE_BSP    BIT(8)
#define APIC_BASE_EXTD   BIT(10)
#define APIC_BASE_EN     BIT(11)

#define FEATURE_CONTROL_LOCK            BIT(0)
#define FEATURE_CONTROL_VMX_OUTSIDE_SMX BIT(2)

/* The value of IA32_PAT after reset: WB WT UC- UC twice. */
#define PAT_RESET 0x0007040600070406ul

#endif
