/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A region of memory that it shares with other guests, by ivshmem's registers and interrupts. `mode=` on the command
 * line says what it does there:
 *
 *   token   two of them hand a number to and fro, and each sleeps until the other one rings
 *   count   counts up a number in the region, and ends
 *   hold    has the region, and sleeps until somebody rings
 *   look    has none, and looks for one wherever it might be
 *   flood   rings for everybody, for nobody and for itself, until the token is set
 *   move    has the memory elsewhere, again and again
 *   fetch   jumps into the region, which holds no code
 */
#include "arch/x86/guest/layout.h"
#include "drivers/ivshmem_regs.h"
#include "guests/common/apic.h"
#include "guests/common/multiboot.h"
#include "guests/common/pci.h"
#include "guests/common/traps.h"

#define FIRST_VECTOR   0x50u
#define VECTORS        2u
#define MSI_ADDRESS    0xfee00000u /* the boot CPU's local APIC */
#define ENTRY_WORDS    (PCI_MSIX_ENTRY_BYTES / 4)
#define CAP_MSIX       PCI_CAP_FIRST
#define ROUNDS         1000u
#define PEERS          2u
#define BYTES          0x100000u
#define MOVES          1000u
#define MOVES_FOLLOWED 32u

/* The region, as these guests use it. */
struct shared {
    uint32_t token, is_ready[PEERS];
    uint32_t count;
};

static volatile uint32_t *registers;
static volatile struct shared *shared;
static volatile unsigned interrupts[VECTORS];

static __attribute__((interrupt)) void on_first(struct interrupt_frame *frame UNUSED)
{
    interrupts[0]++;
    apic_eoi();
}

static __attribute__((interrupt)) void on_second(struct interrupt_frame *frame UNUSED)
{
    interrupts[1]++;
    apic_eoi();
}

/* --- the device --- */

static unsigned find_device(void)
{
    unsigned device = 0;

    while (device < PCI_DEVICES && pci_read(device, PCI_VENDOR_ID) != IVSHMEM_ID)
        device++;
    return device;
}

static void enable_messages(unsigned device)
{
    volatile uint32_t *table = pci_memory(device, IVSHMEM_BAR_MESSAGES);

    traps_set(FIRST_VECTOR, on_first);
    traps_set(FIRST_VECTOR + 1, on_second);
    for (unsigned i = 0; i < VECTORS; i++) {
        table[i * ENTRY_WORDS] = MSI_ADDRESS;
        table[i * ENTRY_WORDS + 1] = 0;
        table[i * ENTRY_WORDS + 2] = FIRST_VECTOR + i;
        table[i * ENTRY_WORDS + 3] = 0;
    }
    pci_write(device, CAP_MSIX, PCI_MSIX_CONTROL_ENABLE << 16);
}

static bool open_device(void)
{
    unsigned device = find_device();

    if (device == PCI_DEVICES)
        return false;
    pci_write(device, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    registers = pci_memory(device, IVSHMEM_BAR_REGISTERS);
    shared = pci_memory(device, IVSHMEM_BAR_MEMORY);
    enable_messages(device);
    return true;
}

static unsigned position(void)
{
    return registers[IVSHMEM_IV_POSITION / 4];
}

static void ring(unsigned peer, unsigned vector)
{
    registers[IVSHMEM_DOORBELL / 4] = peer << IVSHMEM_DOORBELL_PEER_SHIFT | vector;
}

/* Sleeps until that interrupt has come more often than `seen` times. */
static void wait_for(unsigned vector, unsigned seen)
{
    __asm__ volatile("cli");
    while (interrupts[vector] == seen)
        __asm__ volatile("sti; hlt; cli" : : : "memory");
    __asm__ volatile("sti");
}

/* --- modes --- */

static int fail(const char *what)
{
    print("GUEST: FAILED: %s\n", what);
    return 1;
}

/* Peer 0 makes the token odd, peer 1 even; who rings last rings another vector, too. */
static int pass_token(void)
{
    unsigned me = position(), other = 1 - me;
    uint64_t start;

    if (me >= PEERS)
        return fail("a third peer");
    shared->is_ready[me] = 1;
    while (!shared->is_ready[other])
        __asm__ volatile("pause");
    start = read_tsc();
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (i > 0 || me == 1)
            wait_for(0, me == 1 ? i : i - 1);
        if (shared->token != 2 * i + me)
            return fail("the token is not what was handed over");
        shared->token++;
        ring(other, 0);
    }
    if (me == 0)
        wait_for(0, ROUNDS - 1);
    print("GUEST: peer %u: %u rounds, %u interrupts, token %u, %lu ticks a round\n", me, ROUNDS, interrupts[0],
          shared->token, (read_tsc() - start) / ROUNDS);
    ring(other, 1);
    wait_for(1, 0);
    return interrupts[0] == ROUNDS && interrupts[1] == 1 ? 0 : fail("interrupts are lost, or made up");
}

static int count(void)
{
    print("GUEST: peer %u: count %u\n", position(), ++shared->count);
    return 0;
}

static int hold(void)
{
    unsigned me = position();

    print("GUEST: peer %u: holds it\n", me);
    if (me < PEERS)
        shared->is_ready[me] = 1;
    wait_for(0, 0);
    print("GUEST: peer %u: was rung, count %u\n", me, shared->count);
    return 0;
}

static int look(void)
{
    const volatile uint32_t *windows[] = {(void *)(uintptr_t)GUEST_PCI_BASE, (void *)(uintptr_t)(GUEST_PCI_BASE + BYTES)};

    for (unsigned i = 0; i < ARRAY_SIZE(windows); i++)
        for (unsigned page = 0; page < BYTES / 4; page += 1024)
            if (windows[i][page] != UINT32_MAX)
                return fail("there is something");
    print("GUEST: nothing is shared\n");
    return 0;
}

static int flood(void)
{
    static const unsigned peers[] = {0, 1, 2, 63, 64, 0x7fff, 0xffff};

    print("GUEST: peer %u: rings\n", position());
    for (unsigned i = 0; shared->token == 0; i++)
        ring(peers[i % ARRAY_SIZE(peers)], i % 5 ? i % VECTORS : i);
    return 0;
}

/* More often than the hypervisor follows; what it does not follow stays where it was. */
static int move(void)
{
    unsigned device = find_device(), bar = PCI_BAR0 + 4 * IVSHMEM_BAR_MEMORY;
    uint32_t first = pci_read(device, bar) & PCI_BAR_MEMORY_MASK;

    shared->token = FIRST_VECTOR;
    for (unsigned i = 1; i <= MOVES; i++) {
        pci_write(device, bar, first + i % 8 * BYTES);
        shared = pci_memory(device, IVSHMEM_BAR_MEMORY);
        if (i <= MOVES_FOLLOWED && shared->token++ != FIRST_VECTOR + i - 1)
            return fail("the memory did not come along");
        if (pci_read(device, PCI_VENDOR_ID) != IVSHMEM_ID)
            return fail("the device is gone");
    }
    pci_write(device, bar, GUEST_HOLE_END - BYTES); /* no window */
    pci_write(device, bar, 0);
    print("GUEST: it moves\n");
    return 0;
}

static int fetch(void)
{
    print("GUEST: jumps\n");
    ((void (*)(void))(uintptr_t)shared)();
    return fail("it came back");
}

static const struct mode {
    const char *name;
    int (*run)(void);
    bool needs_device;
} modes[] = {
    {"token", pass_token, true}, {"count", count, true}, {"hold", hold, true},
    {"look", look, false},       {"flood", flood, true}, {"move", move, true},
    {"fetch", fetch, true},
};

static bool is_word(const char *text, const char *word)
{
    while (*word && *text == *word)
        text++, word++;
    return *word == '\0' && (*text == '\0' || *text == ' ');
}

int guest_main(uint32_t magic UNUSED, uint32_t address)
{
    const char *name = multiboot_text_option((const void *)(uintptr_t)address, "mode=");
    const struct mode *mode = modes;

    while (mode < modes + ARRAY_SIZE(modes) && !(name && is_word(name, mode->name)))
        mode++;
    if (mode == modes + ARRAY_SIZE(modes))
        return fail("no such mode");
    traps_enable();
    apic_enable();
    if (open_device() != mode->needs_device)
        return fail(mode->needs_device ? "there is no region" : "there is a region");
    return mode->run();
}
