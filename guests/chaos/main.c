/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `seed=N rounds=N what=NAME,NAME` on the command line: rounds of each attack that is named (all that are survivable, if
 * none is), then `chaos: N operations, M faults`, and the end with status 0. With a second vCPU that one races, or does
 * the same out of its own numbers. The boot CPU's operations are the same at every run with that seed.
 */
#include "guests/chaos/chaos.h"
#include "guests/common/apic.h"
#include "guests/common/guest.h"
#include "guests/common/multiboot.h"
#include "guests/common/smp.h"

#define ROUNDS_DEFAULT 200u
#define OTHER_CPU      1u
#define FOLLOWS_TICKS  50000000u
#define UART_FCR       0x3fau
#define UART_LCR       0x3fbu
#define UART_MCR       0x3fcu
#define UART_IER       0x3f9u

static const struct attack attacks[] = {
    {"port", attack_port, NULL, false},
    {"msr", attack_msr, NULL, false},
    {"cpuid", attack_cpuid, NULL, false},
    {"hypercall", attack_hypercall, NULL, false},
    {"cr", attack_cr, NULL, false},
    {"dr", attack_dr, NULL, false},
    {"mmio", attack_mmio, NULL, false},
    {"decoder", attack_decoder, race_decoder, false},
    {"walk", attack_walk, NULL, false},
    {"virtqueue", attack_virtqueue, race_virtqueue, false},
    {"entry", attack_entry, NULL, false},
    {"interrupt", attack_interrupt, race_ipi, false},
    {"ipi", attack_ipi, race_ipi, false},
    {"init", attack_init, race_nothing, false},
    {"odd", attack_odd, race_nothing, false},
    {"power", attack_power, NULL, true},
    {"cr3", attack_cr3, NULL, true},
    {"undecodable", attack_undecodable, NULL, true},
    {"lost", attack_lost, NULL, true},
};

static struct chaos chaos[ARENA_CPUS];
static const struct attack *volatile current; /* NULL: the other CPU waits */
static const struct attack *volatile followed; /* the one that it is at */
static bool has_other, is_wanted[ARRAY_SIZE(attacks)];

/* --- the other CPU --- */

static void other_main(unsigned id)
{
    struct chaos *c = &chaos[id];

    machine_init_cpu(id);
    machine_restore_apic();
    for (;;) {
        const struct attack *attack = current;

        followed = attack;
        if (!attack)
            __asm__ volatile("pause");
        else if (attack->race)
            attack->race(c);
        else
            attack->round(c);
    }
}

/* The attacks that send it elsewhere leave it there; an INIT may come out of any access to the local APIC, too. */
static void start_other(void)
{
    current = followed = NULL;
    if (has_other && !smp_start(OTHER_CPU, other_main)) {
        print("GUEST: the second CPU does not come back\n");
        has_other = false;
    }
}

static bool follows(const struct attack *attack)
{
    uint64_t end = read_tsc() + FOLLOWS_TICKS;

    current = attack;
    while (followed != attack && read_tsc() < end)
        __asm__ volatile("pause");
    return followed == attack;
}

static void set_current(const struct attack *attack)
{
    if (!has_other || follows(attack))
        return;
    start_other();
    (void)follows(attack);
}

/* --- the command line --- */

static bool names(const char *list, const char *name)
{
    unsigned i = 0;

    while (name[i] && list[i] == name[i])
        i++;
    if (!name[i] && (list[i] == ',' || list[i] == ' ' || list[i] == '\0'))
        return true;
    while (*list && *list != ',' && *list != ' ')
        list++;
    return *list == ',' && names(list + 1, name);
}

/* All at once: the command line is in low memory, where some attacks write. */
static void choose(const struct multiboot_info *info)
{
    const char *list = multiboot_text_option(info, "what=");

    for (unsigned i = 0; i < ARRAY_SIZE(attacks); i++)
        is_wanted[i] = list ? names(list, attacks[i].name) : !attacks[i].is_fatal;
}

/* --- --- */

/* Whatever the attacks made of it, text comes out. */
static void restore_uart(void)
{
    outb(UART_LCR, 3);
    outb(UART_IER, 0);
    outb(UART_MCR, 3);
    outb(UART_FCR, 1);
}

static void do_rounds(const struct attack *attack, unsigned rounds)
{
    bool loses_other = attack->round == attack_init || attack->round == attack_odd;
    uint64_t before = chaos[0].operations + chaos[1].operations;

    if (loses_other && !has_other)
        return;
    set_current(attack);
    for (unsigned i = 0; i < rounds; i++)
        attack->round(&chaos[0]);
    machine_restore_apic();
    if (loses_other)
        start_other();
    else
        set_current(NULL);
    restore_uart();
    print("GUEST: chaos: %s: %lu\n", attack->name, chaos[0].operations + chaos[1].operations - before);
}

static void seed(unsigned number)
{
    for (unsigned i = 0; i < ARENA_CPUS; i++) {
        chaos[i] = (struct chaos){.state = 0x9e3779b97f4a7c15 * (2 * number + i + 1), .cpu = i};
        for (unsigned n = 0; n < 4; n++)
            chance(&chaos[i]);
    }
}

int guest_main(uint32_t magic UNUSED, uint32_t address)
{
    const struct multiboot_info *info = (const void *)(uintptr_t)address;
    unsigned rounds = multiboot_option(info, "rounds=");

    seed(multiboot_option(info, "seed="));
    choose(info);
    machine_init(MIB(1) + KIB(info->mem_upper));
    machine_init_cpu(0);
    machine_restore_apic();
    has_other = multiboot_option(info, "cpus=") > 1;
    start_other();
    for (unsigned i = 0; i < ARRAY_SIZE(attacks); i++)
        if (is_wanted[i])
            do_rounds(&attacks[i], rounds ? rounds : ROUNDS_DEFAULT);
    print("GUEST: chaos: %lu operations, %lu faults, %lu interrupts\n", chaos[0].operations + chaos[1].operations,
          chaos[0].faults + chaos[1].faults, interrupts_taken());
    return 0;
}
