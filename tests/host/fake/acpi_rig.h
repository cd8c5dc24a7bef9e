/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Firmware's tables for the parser: the first MiB and a piece of RAM in which they are built, and a root that lists them.
 * Each mapping is an exact heap copy, so that the sanitizer sees a byte that is read outside.
 */
#ifndef TESTS_HOST_FAKE_ACPI_RIG_H
#define TESTS_HOST_FAKE_ACPI_RIG_H

#include "tests/host/fake/fake.h"
#include "arch/x86/acpi.h"
#include "kernel/lib/bytes.h"

#define TABLES_BYTES 0x20000u
#define ROOT_MAX     20

extern uint8_t low[0x100000]; /* the first MiB */
extern uint32_t tables_used;
extern uint32_t root_entries[ROOT_MAX];
extern unsigned root_count;
extern uint8_t rsdp[36];
extern struct acpi_source source;
extern struct acpi_info info;

int acpi_rig_set_up(void **state);
int acpi_rig_tear_down(void **state);

/* NULL: there is none. */
uint8_t *memory_at(uint64_t address, uint64_t size);
uint32_t table_address(const uint8_t *table);
void seal_table(uint8_t *table);
/* A table in the root's list; a body shorter than the length is followed by zeroes. */
uint8_t *add_table(const char *signature, uint32_t length, const void *body, size_t body_bytes);
void seal_rsdp(void);
void make_rsdp(uint8_t revision);

int parse(void);
/* Builds both roots over the tables so far, hands the RSDP to the parser and parses. */
int parse_built(void);

/* --- MADT --- */

extern uint8_t madt[0x2000];
extern uint32_t madt_used;

void madt_open(void);
void madt_add(const uint8_t *entry, uint8_t length);

#define MADT_ADD(...)                                                                              \
    do {                                                                                           \
        const uint8_t entry[] = {__VA_ARGS__};                                                     \
        madt_add(entry, sizeof entry);                                                             \
    } while (0)

/* --- FADT --- */

extern uint8_t fadt[276 - 36];

void fadt_u32(uint32_t offset, uint32_t value);
void fadt_gas(uint32_t offset, uint8_t space, uint32_t address);
void fadt_open(void);

/* --- DMAR --- */

extern uint8_t dmar[0x4000];
extern uint32_t dmar_used;
extern const uint8_t ioapic_scope[8], bridge_scope[10];

void dmar_open(void);
uint8_t *dmar_add(uint16_t type, uint16_t length);
uint8_t *dmar_drhd(uint64_t base, uint16_t scope_bytes);
uint8_t *sound_rmrr(void);

#endif
