/* SPDX-License-Identifier: BSD-2-Clause */
/* See traps.h. */
#include "guests/common/traps.h"

#define CODE_SELECTOR   8u
#define GATE_INTERRUPT  0x8eu /* present, DPL 0, 64-bit interrupt gate */
#define UD_VECTOR       6u
#define HYPERCALL_BYTES 3u
#define NULL_FUNCTION   100u /* of a hypercall; KVM's bench asks for the same */

struct PACKED gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

static struct gate idt[256];
static volatile bool was_undefined;

static __attribute__((interrupt)) void on_undefined(struct interrupt_frame *frame)
{
    was_undefined = true;
    frame->ip += HYPERCALL_BYTES;
}

void traps_set(unsigned vector, void (*handler)(struct interrupt_frame *))
{
    uintptr_t address = (uintptr_t)handler;

    idt[vector] = (struct gate){.offset_low = (uint16_t)address,
                                .selector = CODE_SELECTOR,
                                .type = GATE_INTERRUPT,
                                .offset_middle = (uint16_t)(address >> 16)};
}

void traps_enable(void)
{
    struct PACKED {
        uint16_t limit;
        uint64_t base;
    } descriptor = {sizeof idt - 1, (uintptr_t)idt};

    traps_set(UD_VECTOR, on_undefined);
    __asm__ volatile("lidt %0" : : "m"(descriptor));
}

/* Each maker's CPUs have one of the two. */
static void vmcall(void)
{
    uint64_t rax = NULL_FUNCTION;

    __asm__ volatile("vmcall" : "+a"(rax) : : "memory");
}

static void vmmcall(void)
{
    uint64_t rax = NULL_FUNCTION;

    __asm__ volatile("vmmcall" : "+a"(rax) : : "memory");
}

hypercall_fn *traps_find_hypercall(void)
{
    hypercall_fn *const candidates[] = {vmcall, vmmcall};

    for (unsigned i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
        was_undefined = false;
        candidates[i]();
        if (!was_undefined)
            return candidates[i];
    }
    return NULL;
}
