/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypervisor's own address space. */
#ifndef ARCH_X86_PAGING_H
#define ARCH_X86_PAGING_H

#include "kernel/lib/types.h"

#define DIRECT_MAP_BASE 0xffff800000000000ul /* all RAM that the memory map names, no execution */
#define DEVICE_MAP_BASE 0xffffc00000000000ul /* MMIO, page by page as asked for */
#define STACKS_BASE     0xffffd00000000000ul /* with unmapped pages in between */
#define KERNEL_BASE     0xffffffff80000000ul

struct memmap;

/*
 * Builds the final tables and leaves the boot ones: image by section, W^X; RAM; the null page and all
 * guard pages unmapped. Table pages come from [*early, …), which is RAM below 4 GiB that the map must
 * still have as usable; *early is advanced past what was used.
 */
void paging_init(const struct memmap *map, hpa_t *early);

/* Loads the final tables and turns on NX, WP, SMEP, SMAP, UMIP where this CPU has them. Each CPU. */
void paging_load(void);
hpa_t paging_root(void);

/* The tables of boot/multiboot2.asm, for starting APs; dropping them takes away the 1:1 map for good. */
hpa_t paging_boot_root(void);
void paging_drop_boot_tables(void);

struct cpu_stacks {
    uint64_t main_top;
    uint64_t ist_top[3];
};

/* Allocates and maps a stack above an unmapped page; slots below PCPU_MAX are the CPUs'. -ENOMEM. */
MUST_CHECK int paging_map_stack(unsigned slot, uint64_t *top);
/* All stacks of a CPU. -ENOMEM. */
MUST_CHECK int paging_map_stacks(unsigned cpu, struct cpu_stacks *stacks);
/* Can a word of a stack be read there? For panic, at any time: true of what lies behind the first stack in the image, too. */
bool paging_is_stack(uint64_t address);

#endif
