/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest that breaks: with no IDT a breakpoint is a triple fault. The others must not notice. */
#include "guests/common/guest.h"

int guest_main(uint32_t magic UNUSED, uint32_t info UNUSED)
{
    struct PACKED {
        uint16_t limit;
        uintptr_t base;
    } no_idt = {0, 0};

    print("GUEST: about to triple-fault\n");
    __asm__ volatile("lidt %0; int3" : : "m"(no_idt));
    print("GUEST: FAILED: still alive\n");
    return 1;
}
