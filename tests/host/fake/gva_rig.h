/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest's RAM and registers, with one address that is mapped in 4-level tables by entries that allow everything. */
#ifndef TESTS_HOST_FAKE_GVA_RIG_H
#define TESTS_HOST_FAKE_GVA_RIG_H

#include "tests/host/fake/fake.h"
#include "arch/x86/guest/gva.h"
#include "arch/x86/regs.h"
#include "kernel/lib/errno.h"

#define P   UINT64_C(0x01)
#define RW  UINT64_C(0x02)
#define US  UINT64_C(0x04)
#define A   UINT64_C(0x20)
#define D   UINT64_C(0x40)
#define PS  UINT64_C(0x80)
#define XD  UINT64_C(0x8000000000000000)
#define ALL (P | RW | US | A | D)

/* Two slots of guest RAM with a hole between; tables in either. */
#define LOW_BYTES  0x10000u
#define HIGH_BASE  UINT64_C(0x100000)
#define HIGH_BYTES 0x40000u
#define PML4       UINT64_C(0x1000)
#define PDPT       UINT64_C(0x101000)
#define PD         UINT64_C(0x2000)
#define PT         UINT64_C(0x102000)
#define PML5       UINT64_C(0x3000)
#define PAGE       UINT64_C(0x110000)
#define HOLE       UINT64_C(0x50000)

extern uint8_t ram_low[LOW_BYTES], ram_high[HIGH_BYTES];
extern struct guest_mem mem;
extern struct gva_context ctx;

/* Indices 0x101, 0x82, 0x43, 0x24: all different, kernel half. */
#define ADDRESS UINT64_C(0xffff80a088624abc)
#define I4      ((ADDRESS >> 39) & 511)
#define I3      ((ADDRESS >> 30) & 511)
#define I2      ((ADDRESS >> 21) & 511)
#define I1      ((ADDRESS >> 12) & 511)

int gva_rig_set_up(void **state);
void clear_memory(void);
void enter_4_level(void);
void enter_32bit(void); /* in memory that is clear */

uint64_t *entry(uint64_t table, uint64_t index);
uint32_t *entry32(uint64_t table, uint64_t index);
uint64_t *const *path(void); /* the four entries of ADDRESS, the root's first */

void expect_gpa(uint64_t gva, enum access access, uint64_t gpa);
void expect_fault(uint64_t gva, enum access access, uint32_t error_code);

#endif
