/* SPDX-License-Identifier: BSD-2-Clause */
/* See smp.h. SDM 3A, "MP Initialization Protocol Algorithm for MP Systems". */
#include "guests/common/smp.h"
#include "guests/common/apic.h"

#define TRAMPOLINE   0x8000u
#define OTHER_CPU    1u
#define COMMAND_INIT 0x500u
#define COMMAND_SIPI 0x600u
#define TICKS_MAX    100000000u

extern const uint8_t ap_trampoline[], ap_trampoline_end[];
static volatile bool is_here;

void smp_is_here(void)
{
    is_here = true;
}

bool smp_start(void)
{
    uint64_t start = read_tsc();

    for (const uint8_t *from = ap_trampoline; from < ap_trampoline_end; from++)
        ((volatile uint8_t *)TRAMPOLINE)[from - ap_trampoline] = *from;
    apic_send_ipi(OTHER_CPU, APIC_ICR_ASSERT | COMMAND_INIT);
    apic_send_ipi(OTHER_CPU, APIC_ICR_ASSERT | COMMAND_SIPI | TRAMPOLINE >> 12);
    while (!is_here && read_tsc() - start < TICKS_MAX)
        ;
    return is_here;
}
