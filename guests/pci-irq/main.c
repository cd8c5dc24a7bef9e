/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does a passed-through function interrupt as it does on the bare machine? By its pin: a level, which comes again
 * until it is served, and is held back by the function's command register and by the IOAPIC; and by message. The
 * function is QEMU's edu (QEMU, "EDU device"), which interrupts whenever it is told to. One line a check.
 */
#include "arch/x86/guest/layout.h"
#include "guests/common/apic.h"
#include "guests/common/pci.h"
#include "guests/common/traps.h"

#define EDU_ID        0x11e81234u
#define EDU_DEVICE    1u /* the first one that a guest is given */
#define EDU_STATUS    0x24
#define EDU_RAISE     0x60
#define EDU_LOWER     0x64
#define PIN_VECTOR    0x51u
#define MSI_VECTOR    0x52u
#define ROUNDS        200u
#define UNSERVED      5u
#define FLICKERS      3000u
#define PATIENCE_TICKS (UINT64_C(1) << 34) /* some seconds */
#define SILENCE_TICKS  (UINT64_C(1) << 26)
#define IOAPIC_REDIRECTION 0x10u
#define IOAPIC_LEVEL  (1u << 15)
#define IOAPIC_MASKED (1u << 16)

static volatile uint8_t *edu;
static volatile unsigned pins, messages, unserved;

static volatile uint32_t *edu_at(unsigned offset)
{
    return (volatile uint32_t *)(edu + offset);
}

static void ioapic_set(uint32_t low)
{
    volatile uint32_t *ioapic = (volatile uint32_t *)(uintptr_t)GUEST_IOAPIC_BASE;
    unsigned reg = IOAPIC_REDIRECTION + 2 * GUEST_PCI_GSI;

    ioapic[0] = reg + 1;
    ioapic[4] = 0;
    ioapic[0] = reg;
    ioapic[4] = low;
}

static __attribute__((interrupt)) void on_pin(struct interrupt_frame *frame UNUSED)
{
    pins++;
    if (unserved > 0)
        unserved--;
    else
        *edu_at(EDU_LOWER) = *edu_at(EDU_STATUS);
    apic_eoi();
}

static __attribute__((interrupt)) void on_message(struct interrupt_frame *frame UNUSED)
{
    messages++;
    *edu_at(EDU_LOWER) = *edu_at(EDU_STATUS);
    apic_eoi();
}

static bool comes(volatile unsigned *counter, unsigned value)
{
    uint64_t end = read_tsc() + PATIENCE_TICKS;

    while (*counter != value && read_tsc() < end)
        __asm__ volatile("pause");
    return *counter == value;
}

static bool stays(volatile unsigned *counter, unsigned value)
{
    uint64_t end = read_tsc() + SILENCE_TICKS;

    while (*counter == value && read_tsc() < end)
        __asm__ volatile("pause");
    return *counter == value;
}

static void set_command(uint32_t bits, bool is_on)
{
    uint32_t command = pci_read(EDU_DEVICE, PCI_COMMAND) & 0xffff;

    pci_write(EDU_DEVICE, PCI_COMMAND, is_on ? command | bits : command & ~bits);
}

/* --- the checks --- */

static bool a_pin_interrupts(void)
{
    for (unsigned i = 1; i <= ROUNDS; i++) {
        *edu_at(EDU_RAISE) = 1;
        if (!comes(&pins, i))
            return false;
    }
    return stays(&pins, ROUNDS);
}

static bool a_pin_comes_again_until_it_is_served(void)
{
    pins = 0;
    unserved = UNSERVED;
    *edu_at(EDU_RAISE) = 1;
    return comes(&pins, UNSERVED + 1) && stays(&pins, UNSERVED + 1);
}

static bool the_command_register_holds_it_back(void)
{
    pins = 0;
    set_command(PCI_COMMAND_INTX_OFF, true);
    *edu_at(EDU_RAISE) = 1;
    if (!stays(&pins, 0) || !(pci_read(EDU_DEVICE, PCI_COMMAND) >> 16 & PCI_STATUS_INTERRUPT))
        return false;
    set_command(PCI_COMMAND_INTX_OFF, false);
    return comes(&pins, 1) && stays(&pins, 1) && !(pci_read(EDU_DEVICE, PCI_COMMAND) >> 16 & PCI_STATUS_INTERRUPT);
}

static bool the_ioapic_holds_it_back(void)
{
    pins = 0;
    ioapic_set(IOAPIC_MASKED | IOAPIC_LEVEL | PIN_VECTOR);
    *edu_at(EDU_RAISE) = 1;
    if (!stays(&pins, 0))
        return false;
    ioapic_set(IOAPIC_LEVEL | PIN_VECTOR);
    return comes(&pins, 1) && stays(&pins, 1);
}

/* Many interrupts that are gone when somebody looks: others' lines and the machine survive, and so does this one. */
static bool a_pin_that_flickers(void)
{
    __asm__ volatile("cli" : : : "memory");
    for (unsigned i = 0; i < FLICKERS; i++) {
        *edu_at(EDU_RAISE) = 1;
        *edu_at(EDU_LOWER) = 1;
    }
    __asm__ volatile("sti" : : : "memory");
    for (uint64_t end = read_tsc() + SILENCE_TICKS; read_tsc() < end;)
        __asm__ volatile("pause");
    pins = 0;
    *edu_at(EDU_RAISE) = 1;
    return comes(&pins, 1);
}

static bool a_message_interrupts(void)
{
    unsigned msi = pci_find_capability(EDU_DEVICE, PCI_CAP_ID_MSI);

    if (!msi)
        return false;
    pins = 0;
    set_command(PCI_COMMAND_INTX_OFF, true);
    pci_write(EDU_DEVICE, msi + 4, GUEST_LAPIC_BASE);
    pci_write(EDU_DEVICE, msi + 8, 0);
    pci_write(EDU_DEVICE, msi + 12, MSI_VECTOR);
    pci_write(EDU_DEVICE, msi, (uint32_t)PCI_MSI_CONTROL_ENABLE << 16);
    for (unsigned i = 1; i <= ROUNDS; i++) {
        *edu_at(EDU_RAISE) = 1;
        if (!comes(&messages, i))
            return false;
    }
    return stays(&messages, ROUNDS) && pins == 0;
}

static const struct {
    const char *name;
    bool (*holds)(void);
} checks[] = {
    {"a pin interrupts", a_pin_interrupts},
    {"a pin comes again until it is served", a_pin_comes_again_until_it_is_served},
    {"the command register holds it back", the_command_register_holds_it_back},
    {"the IOAPIC holds it back", the_ioapic_holds_it_back},
    {"a pin that flickers", a_pin_that_flickers},
    {"a message interrupts", a_message_interrupts},
};

static void set_up(void)
{
    traps_set(PIN_VECTOR, on_pin);
    traps_set(MSI_VECTOR, on_message);
    traps_enable();
    apic_enable();
    set_command(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, true);
    edu = pci_memory(EDU_DEVICE, 0);
    ioapic_set(IOAPIC_LEVEL | PIN_VECTOR);
}

int guest_main(uint32_t magic UNUSED, uint32_t info UNUSED)
{
    int failed = 0;

    if (pci_read(EDU_DEVICE, PCI_VENDOR_ID) != EDU_ID || (pci_read(EDU_DEVICE, PCI_INTERRUPT_LINE) >> 8 & 0xff) != 1) {
        print("GUEST: FAILED: no edu with a pin\n");
        return 1;
    }
    set_up();
    for (unsigned i = 0; i < ARRAY_SIZE(checks); i++) {
        bool is_ok = checks[i].holds();

        print("GUEST: %s: %s\n", is_ok ? "ok" : "FAILED", checks[i].name);
        failed |= !is_ok;
    }
    print("GUEST: all checked\n");
    return failed;
}
