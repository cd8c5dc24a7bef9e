/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPU's own paging: the bits of its entries, for our tables and for the walk of a guest's, and
 * the format of our 4-level tables for kernel/pt.c. EFER.NXE is set and IA32_PAT entry 3 is UC, as
 * after reset.
 */
#ifndef ARCH_X86_PAGING_FORMAT_H
#define ARCH_X86_PAGING_FORMAT_H

#include "kernel/pt.h"

/* SDM 3A, "4-Level Paging and 5-Level Paging"; the low bits are the same in every paging mode. */
#define PTE_P        BIT(0)
#define PTE_RW       BIT(1)
#define PTE_US       BIT(2)
#define PTE_PWT      BIT(3)
#define PTE_PCD      BIT(4)
#define PTE_A        BIT(5)
#define PTE_D        BIT(6)
#define PTE_PS       BIT(7) /* of levels that may map pages; level 1 has PAT here */
#define PTE_G        BIT(8)
#define PTE_XD       BIT(63)
#define PTE_ADDRESS  (BIT(52) - PAGE_SIZE)
#define PTE_PK_SHIFT 59 /* four bits: the protection key */

extern const struct pt_format paging_format;

#endif
