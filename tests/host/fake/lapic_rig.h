/* SPDX-License-Identifier: BSD-2-Clause */
/* A local APIC on a test bench: its page, an owner that records what it is asked for, and short
 * accessors. */
#ifndef TESTS_HOST_FAKE_LAPIC_RIG_H
#define TESTS_HOST_FAKE_LAPIC_RIG_H

#include "tests/host/fake/fake.h"
#include "drivers/virt/lapic.h"

struct lapic_rig {
    struct apic_message sent; /* the last one */
    unsigned sends, eois, notifications, deliveries, timers;
    bool timer_is_elsewhere; /* the vCPU has moved on: timer_is_here says no */
    uint8_t last_eoi, last_delivery, last_delivered_vector;
};

extern struct lapic lapic;
extern struct lapic_rig rig;

/* A boot CPU with ID 3 in xAPIC mode, enabled by software; the clock stands at LAPIC_RIG_START. */
#define LAPIC_RIG_START 1000u
int lapic_rig_set_up(void **state);
void power_up(uint32_t id, bool is_bsp);
void reset_counters(void);

/* The page, as the CPU changes it where it virtualizes accesses. */
uint32_t peek(unsigned offset);
void poke(unsigned offset, uint32_t value);

uint32_t read32(unsigned offset);
void write32(unsigned offset, uint32_t value);

/* MSRs by the register's offset; rdmsr fails the test on #GP. */
uint64_t rdmsr(unsigned offset);
bool wrmsr(unsigned offset, uint64_t value);
bool faults_on_read(unsigned offset);

bool set_mode(uint64_t bits);
void enter_x2apic(void);

/* From elsewhere; the owner takes it at once. */
bool receive(uint8_t delivery, uint8_t vector, bool is_level);
bool request(uint8_t vector); /* fixed, by an edge */
void take(uint8_t vector);    /* fails the test unless it is the one to deliver */

#endif
