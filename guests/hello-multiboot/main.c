/* SPDX-License-Identifier: BSD-2-Clause */
/* A 32-bit ELF file with a Multiboot header. `status=N` on its command line is what it ends with.
 */
#include "guests/common/guest.h"
#include "guests/common/multiboot.h"

int guest_main(uint32_t magic, uint32_t info)
{
    print("GUEST: hello from multiboot\n");
    if (!multiboot_print(magic, info))
        return 1;
    return (int)multiboot_option((const void *)(uintptr_t)info, "status=");
}
