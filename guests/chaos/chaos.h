/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that does what no sane one does. Everything is an operation: a few bytes of code and all registers, made out
 * of a seed, run so that whatever exception ends it is caught. Attacks make operations; machine.c runs them.
 */
#ifndef GUESTS_CHAOS_CHAOS_H
#define GUESTS_CHAOS_CHAOS_H

#include "arch/x86/guest/layout.h"
#include "kernel/lib/types.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, REGISTERS };

/* R15 is taken: it holds RIP. */
struct registers {
    uint64_t gpr[REGISTERS];
    uint64_t rip, rflags;
};

#define CODE_BYTES_MAX 48u

struct operation {
    struct registers registers;
    uint8_t code[CODE_BYTES_MAX];
    unsigned length;
    bool is_dirty;  /* afterwards control registers are set right */
    bool straddles; /* the code ends in the next page, which another CPU may take away */
};

/* What one CPU is at: its own source of chance, so that a seed means the same operations whatever the other does. */
struct chaos {
    uint64_t state; /* of the source */
    unsigned cpu;
    uint64_t operations, faults;
};

/* --- chance --- */

uint64_t chance(struct chaos *c);
unsigned below(struct chaos *c, unsigned limit);
bool one_in(struct chaos *c, unsigned n);
/* A number that somebody has forgotten: 0, -1, a single bit, a border of something, or any. */
uint64_t odd_value(struct chaos *c);
/* A guest-physical address: of a device, of nothing, at a border; of RAM only what is free to be overwritten. */
uint64_t odd_address(struct chaos *c);
/* The same below 4 GiB, where virtual addresses are the physical ones: never RAM. */
uint32_t device_address(struct chaos *c);

/* --- machine.c --- */

#define ARENA_CPUS        2u
/* Virtual: 512 pages whose page table is the attacks'. What is left of such an address in 32 bits is no RAM. */
#define ARENA_BASE        (BIT(39) | GUEST_PCI_BASE)
#define ARENA_PAGES       512u
#define ARENA_PHYSICAL    0x800000u           /* RAM that is nothing's */
#define CODE_PAGE         0u                  /* of each CPU two pages of code and two that are mapped at will */
#define SPARE_PAGE        2u
#define PAGES_OF_CPU      4u
#define FREE_PAGE         (ARENA_CPUS * PAGES_OF_CPU) /* from here on: RAM for data */
#define DATA_PAGE         (ARENA_PAGES / 2)           /* with room for a long string on either side */
#define CANONICAL_END     (UINT64_C(1) << 47)
#define LAST_PAGE         (CANONICAL_END - PAGE_SIZE) /* is the arena's last one, too */

#define PTE_P  BIT(0)
#define PTE_RW BIT(1)
#define PTE_US BIT(2)
#define PTE_ALL (PTE_P | PTE_RW | PTE_US)

#define SELECTOR_CODE    8u
#define SELECTOR_DATA    16u
#define SELECTOR_CODE32  24u
#define SELECTOR_CODE16  32u
#define SELECTOR_DATA3   (40u | 3)
#define SELECTOR_CODE3   (48u | 3)
#define SELECTOR_CODE323 (56u | 3)

/* Boot CPU, once; then each CPU for itself. */
void machine_init(uint64_t ram_bytes);
void machine_init_cpu(unsigned cpu);

uint64_t machine_ram_bytes(void);
/*
 * QEMU's TCG is no CPU, and a few operations that are fine there end QEMU, or reach its machine past AMD-V:
 *  - WRMSR with anything in the upper half of RCX: it looks beyond the permission map;
 *  - MOV to CR8 while the hypervisor waits for an interrupt window: an assertion of QEMU's own;
 *  - breakpoints: they stay armed after the exit, and VMRUN changes DR7 but not the list of them, so that the next write
 *    of DR7 on another CPU frees what is not there (SIGSEGV in cpu_breakpoint_remove_by_ref);
 *  - STI; HLT: VMRUN drops the shadow of an STI that an exit has saved, and the interrupt comes before the HLT;
 *  - MOV to CR3 with bits that no address has: it says that VM entry failed;
 *  - instructions of more than 15 bytes: their access comes before the #GP.
 */
bool machine_may_be_qemu(void);
uint64_t arena_address(unsigned page);
volatile uint64_t *arena_entry(unsigned page);
/* An entry of the arena's page table becomes what it was. */
void arena_restore(unsigned page);
void flush_page(uint64_t address);
/* The start of a region whose page table is where there is no memory. */
uint64_t lost_address(struct chaos *c);
/* This CPU's IDT is in a device's registers from now on. */
void lose_idt(void);

/* Runs it on this CPU; returns the vector that ended it, 3 if all went well. */
unsigned run(struct chaos *c, struct operation *o);
/* Where its code is put, unless it straddles. The physical address is one that programs reach, too. */
uint8_t *code_page(const struct chaos *c);
uint32_t code_page_physical(unsigned cpu);

uint64_t interrupts_taken(void);
/* The local APIC is on, in xAPIC mode, at its usual place. */
void machine_restore_apic(void);

/* --- building code --- */

void put(struct operation *o, const void *bytes, unsigned count);
void put8(struct operation *o, uint8_t byte);
void put32(struct operation *o, uint32_t value);
#define PUT(o, ...) put(o, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Registers of odd values, interrupts off, a stack that is good. */
void begin(struct chaos *c, struct operation *o);

/* --- attacks: one round each --- */

struct attack {
    const char *name;
    void (*round)(struct chaos *c);
    void (*race)(struct chaos *c); /* what the second CPU does meanwhile; NULL: rounds of its own */
    bool is_fatal;                 /* it may end the VM, which is no failure: only when it is named */
};

void attack_port(struct chaos *c);
void attack_power(struct chaos *c);
void attack_msr(struct chaos *c);
void attack_cpuid(struct chaos *c);
void attack_hypercall(struct chaos *c);
void attack_cr(struct chaos *c);
void attack_cr3(struct chaos *c);
void attack_dr(struct chaos *c);

void attack_mmio(struct chaos *c);
void attack_decoder(struct chaos *c);
void race_decoder(struct chaos *c);
void attack_walk(struct chaos *c);
void attack_undecodable(struct chaos *c);

void attack_virtqueue(struct chaos *c);
void race_virtqueue(struct chaos *c);

void attack_ipi(struct chaos *c);
void race_ipi(struct chaos *c);
void attack_interrupt(struct chaos *c);
void attack_init(struct chaos *c);
void race_nothing(struct chaos *c);

void attack_entry(struct chaos *c);
void attack_odd(struct chaos *c);
void attack_lost(struct chaos *c);

#endif
