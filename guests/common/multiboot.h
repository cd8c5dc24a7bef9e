/* SPDX-License-Identifier: BSD-2-Clause */
/* What a Multiboot 1 loader hands over (Multiboot Specification 0.6.96, "Boot information format"),
 * as far as the guests look at it. */
#ifndef GUESTS_COMMON_MULTIBOOT_H
#define GUESTS_COMMON_MULTIBOOT_H

#include "kernel/lib/types.h"

#define MULTIBOOT_BOOTLOADER_MAGIC 0x2badb002u

#define MULTIBOOT_INFO_MEMORY  BIT(0)
#define MULTIBOOT_INFO_CMDLINE BIT(2)
#define MULTIBOOT_INFO_MODS    BIT(3)
#define MULTIBOOT_INFO_MEM_MAP BIT(6)

struct multiboot_info {
    uint32_t flags;
    uint32_t mem_lower, mem_upper; /* KiB */
    uint32_t boot_device;
    uint32_t cmdline;
    uint32_t mods_count, mods_addr;
    uint32_t syms[4];
    uint32_t mmap_length, mmap_addr;
};

struct multiboot_module {
    uint32_t start, end;
    uint32_t cmdline;
    uint32_t reserved;
};

/* Prints what was handed over; false when it is no Multiboot boot, or it contradicts itself. */
bool multiboot_print(uint32_t magic, uint32_t info);

/* What stands behind `name` (such as "mode=") on the command line, up to its end; NULL when it is not there. */
const char *multiboot_text_option(const struct multiboot_info *info, const char *name);

/* The number behind `name` on the command line; 0 when it is not there. */
unsigned multiboot_option(const struct multiboot_info *info, const char *name);

#endif
