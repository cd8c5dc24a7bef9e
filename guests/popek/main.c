/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every sensitive and privileged instruction in every mode, and what was observed of it: a line each, the same bare and in
 * a VM. README.md says how to read the lines and how to add a case.
 */
#include "guests/common/guest.h"
#include "guests/common/multiboot.h"
#include "guests/popek/popek.h"

int guest_main(uint32_t magic, uint32_t info)
{
    if (magic == MULTIBOOT_BOOTLOADER_MAGIC && multiboot_option((const struct multiboot_info *)(uintptr_t)info, "tcg="))
        cpu_spare_tcg();
    cpu_init(); /* what GRUB left may be where this puts the low segment */
    print_whole_lines();
    print("POPEK begin\n");
    report_all();
    print("POPEK end\n");
    for (;;) /* the console drops what it has not shown when a VM ends, and this is ahead of it by much */
        __asm__ volatile("cli; hlt");
}
