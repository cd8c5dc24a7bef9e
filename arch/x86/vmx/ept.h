/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extended page tables: the entry format for kernel/pt.c, and the pointer that leads to the tables.
 * Which page sizes a CPU has is for the caller to say (IA32_VMX_EPT_VPID_CAP); it has the 4-level
 * walk and write-back tables, or VT-x is not used at all.
 */
#ifndef ARCH_X86_VMX_EPT_H
#define ARCH_X86_VMX_EPT_H

#include "kernel/pt.h"

/* SDM 3C, "EPT Translation Mechanism": bits of every entry, the later ones only of those that map a
 * page. */
#define EPT_READ       BIT(0)
#define EPT_WRITE      BIT(1)
#define EPT_EXECUTE    BIT(2)
#define EPT_TYPE_SHIFT 3
#define EPT_TYPE_MASK  (BIT(3) | BIT(4) | BIT(5))
#define EPT_IGNORE_PAT BIT(6)
#define EPT_PAGE       BIT(7) /* of levels 2 and 3: maps a page */
#define EPT_ADDRESS    (BIT(52) - PAGE_SIZE)

#define MEMORY_TYPE_UC UINT64_C(0)
#define MEMORY_TYPE_WB UINT64_C(6)

/* SDM 3C, "Extended-Page-Table Pointer (EPTP)". */
#define EPTP_WALK_LENGTH_SHIFT 3 /* holds the number of levels, less 1 */
#define EPTP_ACCESSED_DIRTY    BIT(6)

extern const struct pt_format ept_format;

/* The EPTP of tables made by ept_format. Setting accessed_dirty needs a CPU that has it. */
uint64_t ept_pointer(hpa_t root, bool accessed_dirty);

#endif
