/* SPDX-License-Identifier: BSD-2-Clause */
/* A flat image, entered at its first byte in 32-bit protected mode, with nothing handed over. */
#include "guests/common/guest.h"

int guest_main(uint32_t magic UNUSED, uint32_t info UNUSED)
{
    uint32_t cr0;

    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    print("GUEST: hello from protected, cr0=%x\n", cr0);
    return cr0 & 1 ? 0 : 1;
}
