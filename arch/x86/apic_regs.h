/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one home of the local APIC's register offsets and bits, shared by the host's driver and the
 * virtual chip (SDM 3A, "Advanced Programmable Interrupt Controller"). Offsets are those of the
 * xAPIC page and of the virtual-APIC page; the x2APIC MSR of a register is MSR_IA32_X2APIC_FIRST +
 * offset / 16.
 */
#ifndef ARCH_X86_APIC_REGS_H
#define ARCH_X86_APIC_REGS_H

#define APIC_DEFAULT_BASE 0xfee00000ul

#define APIC_ID            0x020
#define APIC_VERSION       0x030
#define APIC_TPR           0x080
#define APIC_APR           0x090
#define APIC_PPR           0x0a0
#define APIC_EOI           0x0b0
#define APIC_RRD           0x0c0
#define APIC_LDR           0x0d0
#define APIC_DFR           0x0e0
#define APIC_SVR           0x0f0
#define APIC_ISR           0x100 /* 8 registers of 32 bits, 16 bytes apart; so are TMR and IRR */
#define APIC_TMR           0x180
#define APIC_IRR           0x200
#define APIC_ESR           0x280
#define APIC_LVT_CMCI      0x2f0
#define APIC_ICR_LOW       0x300
#define APIC_ICR_HIGH      0x310
#define APIC_LVT_TIMER     0x320
#define APIC_LVT_THERMAL   0x330
#define APIC_LVT_PMC       0x340
#define APIC_LVT_LINT0     0x350
#define APIC_LVT_LINT1     0x360
#define APIC_LVT_ERROR     0x370
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE  0x3e0
#define APIC_SELF_IPI      0x3f0 /* x2APIC mode only */

#define APIC_ID_SHIFT    24 /* xAPIC mode: of the ID, the logical ID and the ICR's destination */
#define APIC_BROADCAST   0xffu
#define X2APIC_BROADCAST 0xffffffffu

#define APIC_VERSION_INTEGRATED    0x14u
#define APIC_VERSION_MAX_LVT_SHIFT 16
#define APIC_VERSION_EOI_BROADCAST (1u << 24) /* SVR bit 12 is supported */

#define APIC_DFR_FLAT    0xffffffffu
#define APIC_DFR_CLUSTER 0x0fffffffu

#define APIC_SVR_VECTOR                 0x0ffu
#define APIC_SVR_ENABLE                 (1u << 8)
#define APIC_SVR_FOCUS_DISABLED         (1u << 9)
#define APIC_SVR_EOI_BROADCAST_DISABLED (1u << 12)

#define APIC_ESR_SEND_ILLEGAL_VECTOR    (1u << 5)
#define APIC_ESR_RECEIVE_ILLEGAL_VECTOR (1u << 6)
#define APIC_ESR_ILLEGAL_REGISTER       (1u << 7)

/* Shared by the ICR, the LVT entries, IOAPIC redirection entries and MSI data. */
#define APIC_VECTOR           0x000000ffu
#define APIC_VECTOR_MIN       16u /* below: reserved, an illegal vector */
#define APIC_DELIVERY_SHIFT   8
#define APIC_DELIVERY         (7u << APIC_DELIVERY_SHIFT)
#define APIC_DELIVERY_FIXED   0u
#define APIC_DELIVERY_LOWEST  1u
#define APIC_DELIVERY_SMI     2u
#define APIC_DELIVERY_NMI     4u
#define APIC_DELIVERY_INIT    5u
#define APIC_DELIVERY_STARTUP 6u
#define APIC_DELIVERY_EXTINT  7u

#define APIC_ICR_DELIVERY_FIXED   (APIC_DELIVERY_FIXED << APIC_DELIVERY_SHIFT)
#define APIC_ICR_DELIVERY_LOWEST  (APIC_DELIVERY_LOWEST << APIC_DELIVERY_SHIFT)
#define APIC_ICR_DELIVERY_NMI     (APIC_DELIVERY_NMI << APIC_DELIVERY_SHIFT)
#define APIC_ICR_DELIVERY_INIT    (APIC_DELIVERY_INIT << APIC_DELIVERY_SHIFT)
#define APIC_ICR_DELIVERY_STARTUP (APIC_DELIVERY_STARTUP << APIC_DELIVERY_SHIFT)
#define APIC_ICR_LOGICAL          (1u << 11)
#define APIC_ICR_PENDING          (1u << 12)
#define APIC_ICR_ASSERT           (1u << 14)
#define APIC_ICR_LEVEL            (1u << 15)
#define APIC_ICR_SHORTHAND_SHIFT  18
#define APIC_ICR_SHORTHAND        (3u << APIC_ICR_SHORTHAND_SHIFT)
#define APIC_ICR_SELF             (1u << APIC_ICR_SHORTHAND_SHIFT)
#define APIC_ICR_ALL              (2u << APIC_ICR_SHORTHAND_SHIFT)
#define APIC_ICR_ALL_BUT_SELF     (3u << APIC_ICR_SHORTHAND_SHIFT)

#define APIC_LVT_DELIVERY_NMI       (APIC_DELIVERY_NMI << APIC_DELIVERY_SHIFT)
#define APIC_LVT_DELIVERY_EXTINT    (APIC_DELIVERY_EXTINT << APIC_DELIVERY_SHIFT)
#define APIC_LVT_PENDING            (1u << 12)
#define APIC_LVT_ACTIVE_LOW         (1u << 13)
#define APIC_LVT_REMOTE_IRR         (1u << 14)
#define APIC_LVT_LEVEL              (1u << 15)
#define APIC_LVT_MASKED             (1u << 16)
#define APIC_LVT_TIMER_MODE         (3u << 17)
#define APIC_LVT_TIMER_ONESHOT      (0u << 17)
#define APIC_LVT_TIMER_PERIODIC     (1u << 17)
#define APIC_LVT_TIMER_TSC_DEADLINE (2u << 17)

#define APIC_TIMER_DIVIDE_BY_1 0xbu
#define APIC_TIMER_DIVIDE_BITS 0xbu

/* MSIs (SDM 3A, "Message Signalled Interrupts"). */
#define MSI_ADDRESS_BASE       0xfee00000ul
#define MSI_ADDRESS_MASK       (~0xffffful)
#define MSI_ADDRESS_DEST_SHIFT 12
#define MSI_ADDRESS_REDIRECT   (1ul << 3)
#define MSI_ADDRESS_LOGICAL    (1ul << 2)
#define MSI_DATA_ASSERT        (1u << 14)
#define MSI_DATA_LEVEL         (1u << 15)

#endif
