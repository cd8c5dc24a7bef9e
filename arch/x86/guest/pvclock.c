/* SPDX-License-Identifier: BSD-2-Clause */
/* The clock page is written once, when the guest asks for it: our TSC is invariant, so it never changes. */
#include "arch/x86/guest/pvclock.h"
#include "kernel/guest_mem.h"
#include "kernel/timer.h"
#include "kernel/vm.h"

#define SYSTEM_TIME_ENABLE 1u
#define FLAG_TSC_STABLE    1u

struct pvclock_wall_clock {
    uint32_t version; /* even: complete */
    uint32_t seconds, nanoseconds;
} PACKED;

struct pvclock_time {
    uint32_t version;
    uint32_t pad;
    uint64_t tsc_timestamp;
    uint64_t system_time;
    uint32_t tsc_to_system_mul;
    int8_t tsc_shift;
    uint8_t flags;
    uint8_t pad2[2];
};
_Static_assert(sizeof(struct pvclock_time) == 32, "an interface of KVM's");

/* ns = (ticks << shift) * multiplier >> 32, with the multiplier in [2^31, 2^32) */
static void set_scale(struct pvclock_time *page, uint64_t hz)
{
    uint64_t ns = 1000000000;
    int s = 0;

    for (; hz > 2 * ns; hz >>= 1)
        s--;
    for (; hz <= ns; hz <<= 1)
        s++;
    page->tsc_to_system_mul = (uint32_t)mul_div(ns, 1ull << 32, hz);
    page->tsc_shift = (int8_t)s;
}

/*
 * The guest's own arithmetic, so that it agrees with it, and wraps: a guest sets its TSC as it likes, and
 * of an absurd one there is no time that fits, which mul_div() would not survive.
 */
static uint64_t guest_ns(const struct pvclock_time *page, uint64_t tsc)
{
    uint64_t ticks = page->tsc_shift < 0 ? tsc >> -page->tsc_shift : tsc << page->tsc_shift;

    return (uint64_t)(((unsigned __int128)ticks * page->tsc_to_system_mul) >> 32);
}

static struct pvclock_time clock_page(const struct vcpu *vcpu)
{
    struct pvclock_time page = {
        .version = 2, .flags = FLAG_TSC_STABLE, .tsc_timestamp = clock_now() + vcpu->tsc_offset};

    set_scale(&page, clock_hz());
    page.system_time = guest_ns(&page, page.tsc_timestamp);
    return page;
}

bool pvclock_write_wall_clock(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    /* The guest adds its system time: when that was 0. */
    uint64_t started = clock_wall_ns() - clock_page(vcpu).system_time;
    struct pvclock_wall_clock page = {
        .version = 2,
        .seconds = (uint32_t)(started / 1000000000),
        .nanoseconds = (uint32_t)(started % 1000000000),
    };

    (void)index;
    return guest_mem_write(&vcpu->vm->mem, GPA(value), &page, sizeof page) == 0;
}

bool pvclock_write_system_time(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    struct pvclock_time page = clock_page(vcpu);

    (void)index;
    if (!(value & SYSTEM_TIME_ENABLE))
        return true;
    return guest_mem_write(&vcpu->vm->mem, GPA(value & ~(uint64_t)3), &page, sizeof page) == 0;
}
