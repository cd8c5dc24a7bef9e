/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An instruction that a hypervisor emulates, in the last two bytes below EIP = 4 GiB: behind it EIP is 0. The code segment's
 * base lies so that both are in RAM, one behind the other.
 */
#include "guests/common/guest.h"

#define FLAT_CODE   8u
#define MOVED_CODE  24u
#define LAST_CPUID  "0xfffffffe"

/* Bytes of the base stand apart in a descriptor. */
static uint64_t with_base(uint64_t descriptor, uint32_t base)
{
    return descriptor | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(base >> 24) << 56;
}

extern const uint8_t last_cpuid[], eip_zero[];
__asm__("last_cpuid: cpuid\n"
        "eip_zero:   wbinvd\n"
        "            lret\n");

int guest_main(uint32_t magic, uint32_t info)
{
    static uint64_t gdt[] = {0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00cf9a000000ffff};
    struct PACKED {
        uint16_t limit;
        uint32_t base;
    } gdtr = {sizeof gdt - 1, (uint32_t)gdt};
    uint32_t leaf = 0;

    (void)magic;
    (void)info;
    gdt[MOVED_CODE / 8] = with_base(gdt[MOVED_CODE / 8], (uint32_t)eip_zero);
    __asm__ volatile("lgdt %1\n"
                     "ljmp %2, $1f\n"
                     "1: lcall %3, $" LAST_CPUID
                     : "+a"(leaf)
                     : "m"(gdtr), "i"(FLAT_CODE), "i"(MOVED_CODE)
                     : "ebx", "ecx", "edx", "memory");
    print("GUEST: back from 4 GiB, leaf 0 says %x\n", leaf);
    return leaf == 0;
}
