/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Single-steps over instructions that a hypervisor emulates. Each must trap once, with DR6.BS, at the
 * instruction behind it; a repetition traps between its iterations, at itself.
 */
#include "guests/common/guest.h"

#define CODE_SELECTOR  8u
#define GATE_INTERRUPT 0x8eu
#define DB_VECTOR      1u
#define DR6_BS         BIT(14)
#define COM1_SCRATCH   0x3ffu
#define VIRTIO_MMIO    0xd0000000u
#define ITERATIONS     3u

struct interrupt_frame {
    uint64_t ip, cs, flags, sp, ss;
};

struct PACKED gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

/* Where the instruction behind each begins; step_repeat is at the repetition itself. */
extern const uint8_t step_cpuid[], step_in[], step_load[], step_repeat[], step_end[];

static struct gate idt[32];
static volatile uint64_t traps[32];
static volatile unsigned trap_count, other_causes;

static __attribute__((interrupt)) void on_debug(struct interrupt_frame *frame)
{
    uint64_t dr6;

    __asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
    __asm__ volatile("mov %0, %%dr6" : : "r"(dr6 & ~DR6_BS));
    other_causes += !(dr6 & DR6_BS) || (dr6 & 15);
    if (trap_count < ARRAY_SIZE(traps))
        traps[trap_count++] = frame->ip;
}

static void load_idt(void)
{
    struct PACKED {
        uint16_t limit;
        uint64_t base;
    } descriptor = {sizeof idt - 1, (uintptr_t)idt};
    uintptr_t address = (uintptr_t)on_debug;

    idt[DB_VECTOR] = (struct gate){.offset_low = (uint16_t)address,
                                   .selector = CODE_SELECTOR,
                                   .type = GATE_INTERRUPT,
                                   .offset_middle = (uint16_t)(address >> 16)};
    __asm__ volatile("lidt %0" : : "m"(descriptor));
}

/* Its labels may be there only once. */
static __attribute__((noinline, noclone)) void step(void)
{
    static const uint8_t bytes[ITERATIONS];
    uint64_t rax = 0, rcx = 0, rdx, rsi = (uintptr_t)bytes;

    __asm__ volatile("pushfq\n\t"
                     "orq $0x100, (%%rsp)\n\t"
                     "popfq\n\t"
                     "cpuid\n"
                     "step_cpuid:\n\t"
                     "mov %[port], %%edx\n\t"
                     "in %%dx, %%al\n"
                     "step_in:\n\t"
                     "mov %[mmio], %%eax\n\t"
                     "mov (%%rax), %%eax\n"
                     "step_load:\n\t"
                     "mov %[count], %%ecx\n"
                     "step_repeat:\n\t"
                     "rep outsb\n"
                     "step_end:\n\t"
                     "pushfq\n\t"
                     "andq $~0x100, (%%rsp)\n\t"
                     "popfq"
                     : "+a"(rax), "+c"(rcx), "=d"(rdx), "+S"(rsi)
                     : [port] "i"(COM1_SCRATCH), [mmio] "i"(VIRTIO_MMIO), [count] "i"(ITERATIONS)
                     : "rbx", "memory", "cc");
}

static unsigned traps_at(const uint8_t *ip)
{
    unsigned found = 0;

    for (unsigned i = 0; i < trap_count; i++)
        found += traps[i] == (uintptr_t)ip;
    return found;
}

int guest_main(uint32_t magic UNUSED, uint32_t info UNUSED)
{
    static const struct {
        const char *name;
        const uint8_t *ip;
        unsigned expected;
    } points[] = {
        {"cpuid", step_cpuid, 1},
        {"in", step_in, 1},
        {"load", step_load, 1},
        {"repeat", step_repeat, ITERATIONS}, /* once before it, and between its iterations */
        {"end", step_end, 1},
    };

    load_idt();
    step();
    for (unsigned i = 0; i < ARRAY_SIZE(points); i++)
        print("GUEST: step %s %u of %u\n", points[i].name, traps_at(points[i].ip), points[i].expected);
    print("GUEST: step traps %u, for other causes %u\n", trap_count, other_causes);
    return 0;
}
