/* SPDX-License-Identifier: BSD-2-Clause */
/* Guests that none of the others must notice. Each does its worst for ever. */
#include "guests/measure/measure.h"
#include "guests/common/apic.h"
#include "guests/common/guest.h"
#include "guests/common/traps.h"

#define COM1            0x3f8u
#define COM1_SCRATCH    (COM1 + 7)
#define I8042_COMMAND   0x64u
#define I8042_RESET     0xfeu
#define VIRTIO_MMIO     0xd0000000u
#define QUEUE_NOTIFY    (0x050 / 4)
#define IOAPIC          0xfec00000u
#define FLOOD_VECTOR    0x50u
#define ABSENT_APIC     0x7fu
#define APIC_SELF_ID    0u
#define UART_LINE_CHARS 72u
#define IA32_PAT        0x277u

static void triple_fault(const struct multiboot_info *info UNUSED)
{
    struct PACKED {
        uint16_t limit;
        uintptr_t base;
    } no_idt = {0, 0};

    __asm__ volatile("lidt %0; int3" : : "m"(no_idt));
}

static void cli_spin(const struct multiboot_info *info UNUSED)
{
    __asm__ volatile("cli");
    for (;;)
        __asm__ volatile("");
}

static void hlt_off(const struct multiboot_info *info UNUSED)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void reset_loop(const struct multiboot_info *info UNUSED)
{
    for (;;)
        outb(I8042_COMMAND, I8042_RESET);
}

static void uart_flood(const struct multiboot_info *info UNUSED)
{
    for (unsigned i = 0;; i++)
        outb(COM1, i % UART_LINE_CHARS ? 'x' : '\n');
}

static void port_flood(const struct multiboot_info *info UNUSED)
{
    for (;;)
        outb(COM1_SCRATCH, inb(COM1_SCRATCH));
}

static void doorbell_flood(const struct multiboot_info *info UNUSED)
{
    for (;;)
        ((volatile uint32_t *)(uintptr_t)VIRTIO_MMIO)[QUEUE_NOTIFY] = 0;
}

static void mmio_flood(const struct multiboot_info *info UNUSED)
{
    volatile uint32_t *ioapic = (volatile uint32_t *)(uintptr_t)IOAPIC;

    for (;;)
        ioapic[4] = ioapic[4]; // cppcheck-suppress selfAssignment
}

static void msr_flood(const struct multiboot_info *info UNUSED)
{
    for (;;)
        wrmsr(IA32_PAT, rdmsr(IA32_PAT));
}

static __attribute__((interrupt)) void on_flood(struct interrupt_frame *frame UNUSED)
{
    apic_eoi();
}

/* To itself, to nobody, to everybody else, and to a logical destination that nobody has. */
static void ipi_flood(const struct multiboot_info *info UNUSED)
{
    traps_set(FLOOD_VECTOR, on_flood);
    for (;;) {
        apic_send_ipi(APIC_SELF_ID, APIC_ICR_ASSERT | FLOOD_VECTOR);
        apic_send_ipi(ABSENT_APIC, APIC_ICR_ASSERT | FLOOD_VECTOR);
        apic_send_ipi(0, APIC_ICR_ASSERT | APIC_ICR_ALL_BUT_SELF | FLOOD_VECTOR);
        apic_send_ipi(0xff, APIC_ICR_ASSERT | APIC_ICR_LOGICAL | FLOOD_VECTOR);
    }
}

static __attribute__((interrupt)) void on_timer(struct interrupt_frame *frame UNUSED)
{
    apic_eoi();
}

static void timer_flood(const struct multiboot_info *info UNUSED)
{
    apic_timer_start(on_timer);
    for (;;)
        wrmsr(IA32_TSC_DEADLINE, 1);
}

const struct mode hostile_modes[] = {
    {"triple-fault", triple_fault},
    {"cli-spin", cli_spin},
    {"hlt-off", hlt_off},
    {"reset-loop", reset_loop},
    {"uart-flood", uart_flood},
    {"port-flood", port_flood},
    {"doorbell-flood", doorbell_flood},
    {"mmio-flood", mmio_flood},
    {"msr-flood", msr_flood},
    {"ipi-flood", ipi_flood},
    {"timer-flood", timer_flood},
    {NULL, NULL},
};
