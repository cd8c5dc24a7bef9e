/* SPDX-License-Identifier: BSD-2-Clause */
/* A 64-bit ELF file with a Multiboot header: the loader reads ELF64, the entry is 32-bit all the
 * same. */
#include "guests/common/guest.h"
#include "guests/common/multiboot.h"

int guest_main(uint32_t magic, uint32_t info)
{
    print("GUEST: hello from multiboot64, in long mode\n");
    return multiboot_print(magic, info) ? 0 : 1;
}
