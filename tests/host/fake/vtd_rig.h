/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two remapping units in software (fake/vtd_unit.h), the tables that describe them and what our driver has made of them,
 * with short accessors. Unit 0 names 00:03.0 and what is below the bridge 00:04.0 (buses 5 to 7), unit 1 has the rest.
 */
#ifndef TESTS_HOST_FAKE_VTD_RIG_H
#define TESTS_HOST_FAKE_VTD_RIG_H

#include "tests/host/fake/fake.h"
#include "tests/host/fake/arch.h"
#include "tests/host/fake/vtd_unit.h"
#include "arch/x86/vtd/vtd_ops.h"

#define RW (PT_READ | PT_WRITE)

#define NIC       0x0018
#define BELOW     0x0608
#define OTHER     0x00f8
#define IOAPIC    0xf0f8
#define IOAPIC_ID 7

/* What vtd_start() gets, to be changed before start(). */
extern struct acpi_info acpi;
extern struct vtd_boot boot;

extern const struct iommu_ops *iommu;
extern struct iommu_fault faults[512];
extern unsigned fault_count;

int vtd_rig_set_up(void **state);
void add_scope(uint8_t type, uint8_t id, uint8_t bus, uint8_t device, uint8_t function);
void add_rmrr(uint64_t base, uint64_t size, uint8_t devfn);
void start(void);

struct iommu_device device(uint16_t id);
struct iommu_domain *create(void); /* its owner is "web" */
void attach(struct iommu_domain *d, uint16_t id);
void detach(struct iommu_domain *d, uint16_t id);
void map(struct iommu_domain *d, uint64_t iova, uint64_t hpa, uint64_t size);

/* By the device's own unit, for reads and for writes. */
void assert_reaches(uint16_t id, uint64_t iova, uint64_t want);
void assert_blocked(uint16_t id, uint64_t iova);

#endif
