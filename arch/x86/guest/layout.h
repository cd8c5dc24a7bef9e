/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where everything is in a guest: its RAM, its MMIO, its ports and its interrupts. The loaders and
 * the ACPI tables tell the guest of it, machine_devices.c wires it; an address is written here and nowhere
 * else.
 */
#ifndef ARCH_X86_GUEST_LAYOUT_H
#define ARCH_X86_GUEST_LAYOUT_H

#include "kernel/lib/types.h"

/*
 * RAM starts at 0 and stops at the hole below 4 GiB; what does not fit below the hole continues at
 * 4 GiB. Below 1 MiB it is described as on a PC: conventional memory, then what firmware keeps.
 */
#define GUEST_CONVENTIONAL_BYTES 0x9fc00u
#define GUEST_EBDA_BASE          0x9fc00u
#define GUEST_EBDA_BYTES         0x400u
#define GUEST_BIOS_BASE          0xe0000u /* the ACPI tables are here: guests scan it for the RSDP */
#define GUEST_BIOS_BYTES         0x20000u
#define GUEST_EXTENDED_BASE      0x100000u
#define GUEST_VGA_BASE           0xa0000u /* the machine's, for a guest that has its VGA; else RAM as any */
#define GUEST_VGA_BYTES          0x20000u
#define GUEST_HOLE_BASE          0xc0000000u
#define GUEST_HOLE_END           0x100000000u
#define GUEST_RAM_BYTES_MIN      MIB(1)

static inline uint64_t guest_ram_below_hole(uint64_t ram_bytes)
{
    return MIN(ram_bytes, (uint64_t)GUEST_HOLE_BASE);
}

static inline uint64_t guest_ram_above_hole(uint64_t ram_bytes)
{
    return ram_bytes - guest_ram_below_hole(ram_bytes);
}

/* The hole. */
#define GUEST_PCI_BASE      0xc0000000u
#define GUEST_PCI_BYTES     0x10000000u
#define GUEST_VIRTIO_BASE   0xd0000000u
#define GUEST_VIRTIO_STRIDE 0x1000u
#define GUEST_VIRTIO_BYTES  0x200u
#define GUEST_VIRTIO_MAX    16u
#define GUEST_IOAPIC_BASE   0xfec00000u
#define GUEST_LAPIC_BASE    0xfee00000u

/* PCI's second window, for what is 64 bits wide and large: between any RAM that a guest has and 2^39. */
#define GUEST_PCI_HIGH_BASE  GIB(256)
#define GUEST_PCI_HIGH_BYTES GIB(128)
#define GUEST_PCI_HIGH_BITS  39u /* of guest-physical addresses, that it needs */

/* Interrupts: ISA's 0-15 (the PIT's IRQ 0 is at input 2), one for each virtio device, one for each PCI function. */
#define GUEST_IOAPIC_ID     0u
#define GUEST_IOAPIC_INPUTS 40u
#define GUEST_PIT_GSI       2u
#define GUEST_SCI_GSI       9u /* level, active high */
#define GUEST_VIRTIO_GSI    16u
#define GUEST_PCI_GSI       32u /* level, active low, as PCI's pins are */
#define GUEST_PCI_PINS      8u
#define GUEST_VCPUS_MAX     64u /* APIC ID = vCPU number */

/* Ports of the power management registers; ACPI, "PM1 Event Grouping" and what follows it. */
#define GUEST_PM1A_EVT_PORT  0x600u
#define GUEST_PM1A_EVT_BYTES 4u
#define GUEST_PM1A_CNT_PORT  0x604u
#define GUEST_PM1A_CNT_BYTES 2u
#define GUEST_PM_TMR_PORT    0x608u
#define GUEST_PM_TMR_BYTES   4u
#define GUEST_S5_SLP_TYP     5u /* what SLP_TYPx of PM1 control means soft-off */
#define GUEST_RESET_PORT     0xcf9u
#define GUEST_RESET_VALUE    6u
#define GUEST_RTC_CENTURY    0x32u /* CMOS index */

/* Where PCI functions' ports may be: none of ours is there. */
#define GUEST_PCI_PORTS_BASE 0x1000u
#define GUEST_PCI_PORTS      0xf000u

/* The PCI host bridge's; the reset register above lies within. */
#define GUEST_PCI_CONFIG_PORT  0xcf8u
#define GUEST_PCI_CONFIG_PORTS 8u

static inline uint32_t guest_virtio_base(unsigned n)
{
    return GUEST_VIRTIO_BASE + n * GUEST_VIRTIO_STRIDE;
}

static inline unsigned guest_virtio_gsi(unsigned n)
{
    return GUEST_VIRTIO_GSI + n;
}

#endif
