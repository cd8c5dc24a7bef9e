/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A remapping unit in software, written from the specification and not from our driver: it obeys
 * commands, works through its queue, walks tables that it finds in fake RAM and caches what it
 * found, so that an invalidation that was forgotten shows.
 */
#ifndef TESTS_HOST_FAKE_VTD_UNIT_H
#define TESTS_HOST_FAKE_VTD_UNIT_H

#include "arch/x86/vtd/vtd_unit.h"

#define FAKE_UNITS       2u
#define FAKE_UNIT_BASE   0xfed90000u /* the second one lies a page behind */
#define FAKE_UNIT_CACHE  64u
#define FAKE_UNIT_FAULTS 4u /* one more than the 3 in FAKE_UNIT_CAP */
/* Queue and interrupt remapping, all three page sizes, 3 and 4 levels, 48 bits, 256 domains. */
#define FAKE_UNIT_CAP                                                                  \
    (UINT64_C(2) | 6u << CAP_SAGAW_SHIFT | UINT64_C(47) << 16 | UINT64_C(0x22) << 24 | \
     CAP_SLLPS_2M | CAP_SLLPS_1G | UINT64_C(3) << 40 | CAP_DWD | CAP_DRD)
#define FAKE_UNIT_ECAP (ECAP_C | ECAP_QI | ECAP_IR | ECAP_EIM | ECAP_PT | UINT64_C(0xf0) << 8)

struct fake_unit {
    uint64_t cap, ecap;
    uint32_t version, status; /* GSTS */
    uint64_t root, irta, iqa, root_written, irta_written;
    uint32_t queue_head, queue_tail;
    uint32_t fsts, fectl, fedata, feaddr, feuaddr, pmen;
    uint64_t ccmd, iotlb;
    uint64_t faults[FAKE_UNIT_FAULTS][2];
    unsigned fault_next;

    /* What it does wrong. */
    bool is_deaf; /* obeys no command */
    bool queue_hangs, queue_refuses;
    bool is_lazy; /* does not see what is written to tables until its write buffer is flushed */

    /* What was asked of it. */
    unsigned context_flushes, iotlb_flushes, domain_flushes, interrupt_flushes, write_flushes,
        commands;
    uint32_t lowest_status; /* and'ed over all commands: what was ever off */

    struct {
        bool is_valid;
        uint16_t source, domain;
        uint64_t page, hpa;
        bool is_writable;
    } cache[FAKE_UNIT_CACHE];
    unsigned cached;
    struct {
        bool is_valid;
        uint64_t words[2];
    } contexts[0x10000]; /* by source */
    struct {
        bool is_valid;
        uint16_t index;
        uint64_t low, high;
    } interrupt_cache[FAKE_UNIT_CACHE];
    unsigned interrupts_cached;
};

extern struct fake_unit fake_units[FAKE_UNITS];
extern void (*fake_trap_handler)(void); /* of VECTOR_IOMMU */
extern uint32_t fake_apic_id;

void fake_units_reset(void);

/* What a device's access comes to: true and the address, or false and a fault that is recorded. */
bool fake_unit_translate(struct fake_unit *u, uint16_t source, uint64_t iova, bool is_write,
                         uint64_t *hpa);

/* What a device's message comes to. */
struct fake_interrupt {
    uint32_t destination; /* APIC id */
    uint8_t vector;
    bool is_level;
};
bool fake_unit_interrupt(struct fake_unit *u, uint16_t source, const struct iommu_message *message,
                         struct fake_interrupt *interrupt);
bool fake_unit_ioapic(struct fake_unit *u, uint16_t source, uint64_t entry,
                      struct fake_interrupt *interrupt);

void fake_unit_fault(struct fake_unit *u, uint16_t source, uint64_t low, unsigned reason,
                     bool is_read);

#endif
