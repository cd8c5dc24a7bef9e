/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inter-VM shared memory as PCI shows it: QEMU, "Device Specification for Inter-VM shared memory device", for who plays
 * the device and who drives it.
 */
#ifndef DRIVERS_IVSHMEM_REGS_H
#define DRIVERS_IVSHMEM_REGS_H

#define IVSHMEM_ID        0x11101af4u /* Red Hat's number of the device, */
#define IVSHMEM_SUBSYSTEM 0x11001af4u /* and of QEMU as its subsystem */
#define IVSHMEM_REVISION  1u

enum { IVSHMEM_BAR_REGISTERS, IVSHMEM_BAR_MESSAGES, IVSHMEM_BAR_MEMORY };
#define IVSHMEM_REGISTERS_BYTES 0x100u

/* "Device registers" */
#define IVSHMEM_INTR_MASK   0x0u
#define IVSHMEM_INTR_STATUS 0x4u
#define IVSHMEM_IV_POSITION 0x8u
#define IVSHMEM_DOORBELL    0xcu
#define IVSHMEM_DOORBELL_PEER_SHIFT  16
#define IVSHMEM_DOORBELL_VECTOR_MASK 0xffffu

#endif
