/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One of many small guests in a ring, which all use a disk and a network card at once and check what they get. Its
 * command line says `id=N of=M rounds=R`. The disk comes full of words that depend on the id, so that a guest that was
 * given another's would notice. A round writes a block, sends a packet to the next guest in the ring until that says
 * that it has it, answers the guest before, and reads the block again. Status 0: everything was as it should be.
 */
#include "guests/common/guest.h"
#include "guests/common/multiboot.h"
#include "guests/worker/disk.h"
#include "guests/worker/net.h"
#include "guests/worker/pattern.h"

/* The last answer may be lost on its way: the guest before would send again for so long. */
#define LINGER_WAITS 200000u

static uint32_t block[DISK_BLOCK_BYTES / 4];

static const char *check_disk(uint32_t seed_of(unsigned id, unsigned block_number), unsigned id)
{
    for (unsigned i = 0; i < DISK_BLOCKS; i++) {
        if (!disk_read(i, block))
            return "disk: read failed";
        if (!pattern_matches(block, ARRAY_SIZE(block), seed_of(id, i)))
            return "disk: not what it should hold";
    }
    return NULL;
}

static uint32_t seed_at_start(unsigned id, unsigned block_number)
{
    return id << 16 | block_number;
}

static uint32_t seed_of_round(unsigned id, unsigned round)
{
    return 1u << 31 | id << 16 | round;
}

static const char *play_round(unsigned id, unsigned round)
{
    uint32_t seed = seed_of_round(id, round);

    pattern_fill(block, ARRAY_SIZE(block), seed);
    if (!disk_write(round % DISK_BLOCKS, block))
        return "disk: write failed";
    if (!net_exchange(round))
        return net_complaint();
    if (!disk_read(round % DISK_BLOCKS, block))
        return "disk: read failed";
    return pattern_matches(block, ARRAY_SIZE(block), seed) ? NULL : "disk: not what was written";
}

static const char *work(unsigned id, unsigned of, unsigned rounds)
{
    const char *complaint;

    if (!disk_start() || !net_start(id, of))
        return "no disk, or no network card";
    if ((complaint = check_disk(seed_at_start, id)))
        return complaint;
    for (unsigned round = 0; round < rounds; round++)
        if ((complaint = play_round(id, round)))
            return complaint;
    return net_linger(LINGER_WAITS) ? NULL : net_complaint();
}

int guest_main(uint32_t magic UNUSED, uint32_t info)
{
    const struct multiboot_info *boot = (const void *)(uintptr_t)info;
    unsigned id = multiboot_option(boot, "id="), rounds = multiboot_option(boot, "rounds=");
    const char *complaint;

    __asm__ volatile("sti"); /* nothing is unmasked; Bochs holds back the host's interrupts from a guest with IF = 0 */
    complaint = work(id, multiboot_option(boot, "of="), rounds);
    if (complaint)
        print("GUEST: FAILED: %s\n", complaint);
    else
        print("GUEST: worker %u did %u rounds, %u packets came\n", id, rounds, net_received());
    return complaint ? 1 : 0;
}
