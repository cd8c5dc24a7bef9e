/* SPDX-License-Identifier: BSD-2-Clause */
/* Our TSC is invariant: the page changes only when the guest moves it, or its TSC. */
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

/* tsc_offset and tsc_adjust move together, so that their difference is still what the VM started with. */
static struct pvclock_time clock_page(const struct vcpu *vcpu)
{
    uint64_t now = clock_now();
    struct pvclock_time page = {.flags = FLAG_TSC_STABLE, .tsc_timestamp = now + vcpu->tsc_offset};

    set_scale(&page, clock_hz());
    page.system_time = guest_ns(&page, now + vcpu->tsc_offset - vcpu->tsc_adjust);
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

/* Programs read the boot CPU's page on any vCPU: an odd version tells them to wait. */
static bool write_clock_page(struct vcpu *vcpu, uint64_t msr)
{
    const struct guest_mem *mem = &vcpu->vm->mem;
    gpa_t place = GPA(msr & ~(uint64_t)3);
    struct pvclock_time page = clock_page(vcpu);
    uint32_t odd = vcpu->system_time_version + 1, even = odd + 1;

    page.version = odd;
    vcpu->system_time_version = even;
    return guest_mem_write(mem, place, &odd, sizeof odd) == 0 && guest_mem_write(mem, place, &page, sizeof page) == 0 &&
           guest_mem_write(mem, place, &even, sizeof even) == 0;
}

bool pvclock_write_system_time(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    (void)index;
    if ((value & SYSTEM_TIME_ENABLE) && !write_clock_page(vcpu, value))
        return false;
    vcpu->system_time_msr = value;
    return true;
}

/* What is no RAM any more is the guest's loss. */
void pvclock_publish(struct vcpu *vcpu)
{
    if (vcpu->system_time_msr & SYSTEM_TIME_ENABLE)
        (void)!write_clock_page(vcpu, vcpu->system_time_msr);
}
