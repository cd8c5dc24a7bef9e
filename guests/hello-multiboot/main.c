/* SPDX-License-Identifier: BSD-2-Clause */
/* A 32-bit ELF file with a Multiboot header. */
#include "guests/common/guest.h"
#include "guests/common/multiboot.h"

int guest_main(uint32_t magic, uint32_t info)
{
    print("GUEST: hello from multiboot\n");
    return multiboot_print(magic, info) ? 0 : 1;
}
