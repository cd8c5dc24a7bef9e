/* SPDX-License-Identifier: BSD-2-Clause */
/* Hostile by what their vCPUs, `cpus=` of them, do to each other. For ever; without a second one they end, and are missed. */
#include "guests/common/apic.h"
#include "guests/common/guest.h"
#include "guests/common/smp.h"
#include "guests/common/traps.h"
#include "guests/measure/measure.h"

#define STORM_VECTOR 0x51u
#define STORM        (APIC_ICR_ASSERT | STORM_VECTOR)
#define LOGICAL_ALL  0xffu

static unsigned cpus;

static __attribute__((interrupt)) void on_storm(struct interrupt_frame *frame UNUSED)
{
    apic_eoi();
}

static bool start_others(const struct multiboot_info *info, void (*main)(unsigned id))
{
    cpus = multiboot_option(info, "cpus=");
    traps_set(STORM_VECTOR, on_storm);
    for (unsigned id = 1; id < cpus; id++)
        if (!smp_start(id, main)) {
            print("GUEST: FAILED: vCPU %u does not start\n", id);
            return false;
        }
    print("GUEST: storms\n");
    return cpus > 1;
}

/* Everybody sends to each, to all the others, and to a logical destination that is everybody. */
static void send_for_ever(void)
{
    for (;;) {
        for (unsigned id = 0; id < cpus; id++)
            apic_send_ipi((uint8_t)id, STORM);
        apic_send_ipi(0, STORM | APIC_ICR_ALL_BUT_SELF);
        apic_send_ipi(LOGICAL_ALL, STORM | APIC_ICR_LOGICAL);
    }
}

static void storm_main(unsigned id UNUSED)
{
    traps_enable();
    apic_enable();
    send_for_ever();
}

static void ipi_storm(const struct multiboot_info *info)
{
    if (start_others(info, storm_main))
        send_for_ever();
}

/* --- the boot CPU resets the others, which meanwhile send --- */

/* With interrupts off: they are all on one stack after the second SIPI. */
static void reset_main(unsigned id UNUSED)
{
    send_for_ever();
}

static void init_storm(const struct multiboot_info *info)
{
    if (!start_others(info, reset_main))
        return;
    for (;;)
        for (unsigned id = 1; id < cpus; id++)
            smp_send_init_sipi(id, SMP_AP_PAGE >> PAGE_SHIFT);
}

const struct mode hostile_smp_modes[] = {
    {"ipi-storm", ipi_storm},
    {"init-storm", init_storm},
    {NULL, NULL},
};
