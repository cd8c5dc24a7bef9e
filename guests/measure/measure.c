/* SPDX-License-Identifier: BSD-2-Clause */
/* How much of a CPU, and how soon. All times are in ticks of the guest's TSC, which is 0 at its start. */
#include "guests/measure/measure.h"
#include "guests/common/apic.h"
#include "guests/common/guest.h"
#include "guests/common/traps.h"

#define BLOCK_ROUNDS 256u

/* --- spin --- */

static void run_block(void)
{
    for (unsigned rounds = BLOCK_ROUNDS; rounds--;)
        __asm__ volatile("");
}

static void spin_until(uint64_t end)
{
    while (read_tsc() < end)
        ;
}

/*
 * Counts for `ticks=` ticks, from `from=` on; then spins on for as long, since others that started later still count.
 * Nobody interrupted the block that took the least time: how often it was done says how much of the time was its own.
 */
static void spin(const struct multiboot_info *info)
{
    uint64_t from = multiboot_option(info, "from="), ticks = multiboot_option(info, "ticks=");
    uint64_t least = UINT64_MAX, blocks = 0, start, now;

    spin_until(from);
    start = now = read_tsc();
    while (now < start + ticks) {
        uint64_t before = now;

        run_block();
        blocks++;
        now = read_tsc();
        least = now - before < least ? now - before : least;
    }
    ticks = now - start;
    spin_until(now + from);
    print("GUEST: spun %lu\n", blocks * BLOCK_ROUNDS);
    print("GUEST: spun permille=%lu ticks=%lu\n", blocks * least * 1000 / ticks, ticks);
}

/* --- latency --- */

static uint64_t deadline;
static volatile uint64_t worst, total, count;

static __attribute__((interrupt)) void on_timer(struct interrupt_frame *frame UNUSED)
{
    uint64_t late = read_tsc() - deadline;

    worst = late > worst ? late : worst;
    total += late;
    count++;
    apic_eoi();
}

static void sleep_for(uint64_t ticks)
{
    __asm__ volatile("cli" : : : "memory");
    deadline = read_tsc() + ticks;
    wrmsr(IA32_TSC_DEADLINE, deadline);
    __asm__ volatile("sti; hlt" : : : "memory");
}

static uint64_t mean(void)
{
    return count ? total / count : 0;
}

static void latency(const struct multiboot_info *info)
{
    unsigned wanted = multiboot_option(info, "count="), period = multiboot_option(info, "period=");

    apic_timer_start(on_timer);
    while (count < wanted)
        sleep_for(period);
    print("GUEST: latency worst=%lu mean=%lu count=%lu\n", worst, mean(), count);
}

/* --- listen: the same with a card that is sent to --- */

static void listen(const struct multiboot_info *info)
{
    unsigned wanted = multiboot_option(info, "count="), period = multiboot_option(info, "period="), frames = 0;

    if (!net_start()) {
        print("GUEST: FAILED: no network card\n");
        return;
    }
    apic_timer_start(on_timer);
    while (count < wanted) {
        sleep_for(period);
        frames += net_drain();
    }
    print("GUEST: latency worst=%lu mean=%lu count=%lu frames=%u\n", worst, mean(), count, frames);
}

/* --- memory: for `ticks=`, nobody writes into what is ours --- */

#define CHECKED_START MIB(2) /* behind the image */

static uint64_t expected(uint64_t address, uint64_t round)
{
    return (address + round) * 0x9e3779b97f4a7c15;
}

static void fill(uint64_t end, uint64_t round)
{
    for (uint64_t at = CHECKED_START; at < end; at += sizeof at)
        *(volatile uint64_t *)at = expected(at, round);
}

static uint64_t count_changed(uint64_t end, uint64_t round)
{
    uint64_t changed = 0;

    for (uint64_t at = CHECKED_START; at < end; at += sizeof at)
        changed += *(volatile uint64_t *)at != expected(at, round);
    return changed;
}

static void memory(const struct multiboot_info *info)
{
    uint64_t end = MIB(1) + KIB(info->mem_upper), stop = read_tsc() + multiboot_option(info, "ticks=");
    uint64_t rounds = 0, changed = 0;

    for (; read_tsc() < stop; rounds++) {
        fill(end, rounds);
        changed += count_changed(end, rounds);
    }
    print("GUEST: memory changed=%lu rounds=%lu\n", changed, rounds);
}

const struct mode measuring_modes[] = {
    {"spin", spin},
    {"latency", latency},
    {"listen", listen},
    {"memory", memory},
    {NULL, NULL},
};
