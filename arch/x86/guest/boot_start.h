/* SPDX-License-Identifier: BSD-2-Clause */
/* The CPU states that boot protocols ask for: filled into a zeroed state; loaders add registers. */
#ifndef ARCH_X86_GUEST_BOOT_START_H
#define ARCH_X86_GUEST_BOOT_START_H

#include "arch/x86/guest/state.h"

/* Selectors of the flat segments, as Linux's __BOOT_CS and __BOOT_DS. */
#define BOOT_CS 0x10u
#define BOOT_DS 0x18u

/* Descriptors for those selectors, for the protocols that want a GDT in memory. */
#define BOOT_GDT_ENTRIES 4
#define BOOT_GDT_CODE32  0x00cf9b000000ffffull
#define BOOT_GDT_CODE64  0x00af9b000000ffffull
#define BOOT_GDT_DATA    0x00cf93000000ffffull

/* Real mode at a linear address below 1 MiB, with every data segment at 0. */
void boot_start_real(struct vcpu_start *start, uint32_t entry);

/* 32-bit protected mode, flat segments, no paging, no GDT. */
void boot_start_protected(struct vcpu_start *start, uint32_t entry);

/* 64-bit mode on the page tables at cr3. */
void boot_start_long(struct vcpu_start *start, uint64_t entry, uint64_t cr3);

#endif
