/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers of a remapping unit, spelled as in the VT-d specification ("Register Descriptions");
 * a bit is named REGISTER_FIELD. Entries of tables are vtd_table.h's.
 */
#ifndef ARCH_X86_VTD_VTD_H
#define ARCH_X86_VTD_VTD_H

#include "kernel/lib/types.h"

#define VER_REG     0x00
#define CAP_REG     0x08
#define ECAP_REG    0x10
#define GCMD_REG    0x18
#define GSTS_REG    0x1c
#define RTADDR_REG  0x20
#define CCMD_REG    0x28
#define FSTS_REG    0x34
#define FECTL_REG   0x38
#define FEDATA_REG  0x3c
#define FEADDR_REG  0x40
#define FEUADDR_REG 0x44
#define PMEN_REG    0x64
#define IQH_REG     0x80
#define IQT_REG     0x88
#define IQA_REG     0x90
#define IRTA_REG    0xb8
/* Behind ECAP.IRO and CAP.FRO */
#define IOTLB_REG_AT(iro)   ((iro) + 8)
#define FRCD_REG_AT(fro, i) ((fro) + 16 * (i))

/* "Capability Register" */
#define CAP_ND(cap)     ((unsigned)((cap)&7)) /* domains: 2^(4 + 2 * ND) */
#define CAP_RWBF        BIT(4)
#define CAP_PLMR        BIT(5)
#define CAP_PHMR        BIT(6)
#define CAP_CM          BIT(7)
#define CAP_SAGAW_SHIFT 8 /* bit n: tables of n + 2 levels */
#define CAP_SAGAW_MASK  0x1fu
#define CAP_MGAW(cap)   ((unsigned)((cap) >> 16 & 0x3f) + 1) /* bits of an address */
#define CAP_FRO(cap)    ((unsigned)((cap) >> 24 & 0x3ff) * 16)
#define CAP_SLLPS_2M    BIT(34)
#define CAP_SLLPS_1G    BIT(35)
#define CAP_NFR(cap)    ((unsigned)((cap) >> 40 & 0xff) + 1)
#define CAP_DWD         BIT(54)
#define CAP_DRD         BIT(55)
#define CAP_PI          BIT(59)

/* "Extended Capability Register" */
#define ECAP_C         BIT(0)
#define ECAP_QI        BIT(1)
#define ECAP_IR        BIT(3)
#define ECAP_EIM       BIT(4)
#define ECAP_PT        BIT(6)
#define ECAP_IRO(ecap) ((unsigned)((ecap) >> 8 & 0x3ff) * 16)

/* "Global Command Register", "Global Status Register": the same bits in both. */
#define GCMD_SIRTP 0x1000000u
#define GCMD_IRE   0x2000000u
#define GCMD_QIE   0x4000000u
#define GCMD_WBF   0x8000000u
#define GCMD_SRTP  0x40000000u
#define GCMD_TE    0x80000000u
/* What is commanded for a moment only: status must not be written back there. */
#define GCMD_ONE_SHOT (GCMD_SIRTP | GCMD_WBF | 0x30000000u | GCMD_SRTP)

/* "Root Table Address Register" */
#define RTADDR_TTM_MASK (BIT(10) | BIT(11)) /* 0: legacy mode */

/* "Context Command Register" */
#define CCMD_ICC         BIT(63)
#define CCMD_CIRG_GLOBAL (UINT64_C(1) << 61)

/* "IOTLB Invalidate Register" */
#define IOTLB_IVT         BIT(63)
#define IOTLB_IIRG_GLOBAL (UINT64_C(1) << 60)
#define IOTLB_IIRG_DOMAIN (UINT64_C(2) << 60)
#define IOTLB_DR          BIT(49)
#define IOTLB_DW          BIT(48)
#define IOTLB_DID_SHIFT   32

/* "Fault Status Register" */
#define FSTS_PFO       0x1u
#define FSTS_PPF       0x2u
#define FSTS_IQE       0x10u
#define FSTS_ICE       0x20u
#define FSTS_ITE       0x40u
#define FSTS_QUEUE     (FSTS_IQE | FSTS_ICE | FSTS_ITE)
#define FSTS_FRI(fsts) ((unsigned)((fsts) >> 8 & 0xff))

#define FECTL_IM 0x80000000u

/* "Fault Recording Registers": the upper 64 bits. */
#define FRCD_SID(high)       ((uint16_t)(high))
#define FRCD_FR(high)        ((unsigned)((high) >> 32 & 0xff))
#define FRCD_T1              BIT(62) /* with T2 clear: 0 write, 1 read */
#define FRCD_T2              BIT(28)
#define FRCD_F               BIT(63)
#define FRCD_INTERRUPT_SHIFT 48 /* in the lower 64 bits, of an interrupt: which */

/* "Protected Memory Enable Register" */
#define PMEN_PRS 0x1u
#define PMEN_EPM 0x80000000u

/* "Invalidation Queue": entries of 16 bytes; a page holds 256. */
#define IQ_ENTRIES     256u
#define IQ_INDEX_SHIFT 4 /* in IQH and IQT */

#define IQ_CONTEXT         0x1u
#define IQ_IOTLB           0x2u
#define IQ_IEC             0x4u
#define IQ_WAIT            0x5u
#define IQ_G_SHIFT         4
#define IQ_G_GLOBAL        1u /* granularities of IQ_CONTEXT and IQ_IOTLB; of IQ_IEC, 0 is global */
#define IQ_G_DOMAIN        2u
#define IQ_IOTLB_DW        BIT(6)
#define IQ_IOTLB_DR        BIT(7)
#define IQ_DID_SHIFT       16
#define IQ_WAIT_SW         BIT(5)
#define IQ_WAIT_DATA_SHIFT 32

/* "Interrupt Remapping Table Address Register" */
#define IRTA_EIME BIT(11)

#endif
