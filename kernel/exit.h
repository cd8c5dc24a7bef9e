/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The neutral exit: why a guest CPU stopped running, in terms that no vendor owns. An engine fills it in
 * from its hardware's reason; arch/x86/guest/exit.c has the handler of each kind, which returns a verdict.
 */
#ifndef KERNEL_EXIT_H
#define KERNEL_EXIT_H

#include "kernel/lib/types.h"

enum exit_kind {
    EXIT_UNEXPECTED, /* the hardware reason has no decision but: dump and stop this VM */
    EXIT_CPUID,
    EXIT_HYPERCALL,
    EXIT_RDMSR,
    EXIT_WRMSR,
    EXIT_IO,
    EXIT_MEMORY,      /* no second-level translation: MMIO, or nothing */
    EXIT_INTERRUPT,   /* the host got one; the engine has taken it */
    EXIT_TIMESLICE,
    EXIT_WINDOW,      /* the guest can take an interrupt, or NMI, now */
    EXIT_HLT,
    EXIT_PAUSE,
    EXIT_CR,
    EXIT_XSETBV,
    EXIT_EXCEPTION,
    EXIT_EOI,         /* the guest ended a level-triggered interrupt */
    EXIT_APIC_WRITE,  /* a register of the virtual APIC page was written */
    EXIT_TPR_LOWERED,
    EXIT_CACHE,       /* INVD, WBINVD: emulated as nothing */
    EXIT_UNDEFINED,   /* an instruction that guests do not have: #UD */
    EXIT_PROTECTED,   /* an instruction that guests may not use: #GP(0) */
    EXIT_TASK_SWITCH, /* the CPU leaves it to us */
    EXIT_DEBUG_REGISTER, /* the first use of them since the vCPU was loaded */
    EXIT_SHUTDOWN,    /* triple fault */
    EXIT_INIT,        /* the host's INIT signal: nothing of ours */
    EXIT_ENTRY_FAILED,
    EXIT_KINDS
};

enum verdict {
    VERDICT_RESUME = 0, /* go on at the same instruction */
    VERDICT_NEXT = 1,   /* the instruction is done: go on behind it */
    VERDICT_LEAVE = 2,  /* as RESUME, but the run loop looks at timers and requests first */
    VERDICT_WAIT = VERDICT_NEXT | VERDICT_LEAVE, /* and sleep until there is an event */
    VERDICT_STOP = 4,   /* vm_stop() was called */
};

enum task_source { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE }; /* the last: an event's, in the IDT */

struct vcpu_exit {
    enum exit_kind kind;
    uint8_t fetched_bytes;  /* MEMORY, where the CPU tells what it fetched at RIP; else 0. As the hardware says it: unchecked */
    const uint8_t *fetched; /* these; valid until the next entry */
    union {
        struct {
            uint16_t port;
            uint8_t width;
            bool is_in, is_string, has_rep;
        } io;
        struct {
            gpa_t address;
            bool is_write, is_fetch;
        } memory;
        struct {
            uint8_t number;
            uint8_t gpr;
            uint8_t width; /* bytes of a read that the register gets: SMSW may be short; 0: none, memory has got it */
            bool is_read;  /* MOV from CR; else a write of value */
            uint64_t value;
        } cr;
        struct {
            uint8_t vector;
            bool has_error_code;
            uint32_t error_code;
            uint64_t detail; /* #DB: the bits for DR6; #PF: the address */
        } exception;
        struct {
            uint16_t selector; /* of the new task's TSS */
            enum task_source source;
            uint32_t length;   /* of the instruction, which is over for the old task; 0: RIP stays */
            bool is_external;  /* an event that no instruction asked for */
            bool has_error_code;
            uint32_t error_code;
        } task;
        uint8_t vector;       /* EOI */
        uint16_t apic_offset; /* APIC_WRITE */
        struct {
            uint32_t reason;
            uint64_t qualification;
        } hardware; /* UNEXPECTED, ENTRY_FAILED */
    };
};

const char *exit_name(enum exit_kind kind);

#endif
