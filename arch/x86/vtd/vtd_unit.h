/* SPDX-License-Identifier: BSD-2-Clause */
/* One remapping unit, between the files that each drive one side of it. */
#ifndef ARCH_X86_VTD_VTD_UNIT_H
#define ARCH_X86_VTD_VTD_UNIT_H

#include "arch/x86/acpi.h"
#include "arch/x86/vtd/vtd.h"
#include "arch/x86/vtd/vtd_table.h"
#include "kernel/iommu.h"
#include "kernel/lib/lock.h"
#include "kernel/pt.h"

#define VTD_UNITS_MAX       ACPI_DMAR_UNITS_MAX
#define VTD_IRTES           4096u
#define VTD_IRTE_ORDER      4u
#define VTD_IRTE_SIZE_FIELD 11u /* of IRTA_REG: 2^(this + 1) entries */
_Static_assert(VTD_IRTES * sizeof(struct vtd_entry) == PAGE_SIZE << VTD_IRTE_ORDER,
               "the table fills its block");
_Static_assert(VTD_IRTES == 2u << VTD_IRTE_SIZE_FIELD, "the unit is told its size");

struct vtd_unit {
    const struct acpi_dmar_unit *table; /* what firmware says of it */
    void *registers;
    uint64_t cap, ecap;
    struct vtd_entry *root; /* VTD_TABLE_ENTRIES, by bus */

    struct lock lock;        /* guards commands, the queue and the registers of invalidation */
    struct vtd_entry *queue; /* NULL: invalidation by registers */
    uint32_t *wait_status;   /* written by the unit when it is through with the queue */
    unsigned queue_tail;
    uint32_t wait_count;

    struct vtd_entry *irtes; /* NULL: interrupts are not remapped */
    uint64_t irtes_taken[VTD_IRTES / 64];
    bool is_extended; /* APIC ids of 32 bits in IRTEs */

    bool is_fault_masked; /* its fault interrupt came too often: poll() lets it come again */
    uint64_t fault_window;
    unsigned fault_interrupts; /* in that window */
};

extern struct vtd_unit vtd_units[VTD_UNITS_MAX];
extern unsigned vtd_unit_count;

/* --- vtd_reg.c: access --- */

/* Maps the registers and reads the capabilities; -ENODEV: no unit answers there; -ENOMEM */
MUST_CHECK int vtd_unit_map(struct vtd_unit *unit, const struct acpi_dmar_unit *table);
uint32_t vtd_read32(const struct vtd_unit *unit, unsigned offset);
uint64_t vtd_read64(const struct vtd_unit *unit, unsigned offset);
void vtd_write32(const struct vtd_unit *unit, unsigned offset, uint32_t value);
void vtd_write64(const struct vtd_unit *unit, unsigned offset, uint64_t value);

/* --- vtd_unit.c: commands, and from what firmware left to what we want --- */

/* Waits until the 32 bits at offset, under mask, are value; -EIO: they never are. */
MUST_CHECK int vtd_wait(const struct vtd_unit *unit, unsigned offset, uint32_t mask,
                        uint32_t value);

/*
 * Switches one of GCMD's bits, and waits until the unit says that it did; at boot, or under the
 * lock. -EIO
 */
MUST_CHECK int vtd_command(struct vtd_unit *unit, uint32_t bit, bool is_on);

/* What the unit reads of [at, +bytes) from now on is what we wrote. */
void vtd_publish(const struct vtd_unit *unit, const void *at, size_t bytes);

/* Translation on, for every device, with tables that allow nothing. -EIO, -ENOMEM */
MUST_CHECK int vtd_unit_start(struct vtd_unit *unit);
/* Everything off that firmware left on. */
void vtd_unit_stop(struct vtd_unit *unit);

/* --- vtd_queue.c: invalidation; each returns when it is done, or -EIO. Any CPU --- */

MUST_CHECK int vtd_queue_start(struct vtd_unit *unit); /* -ENOMEM */
MUST_CHECK int vtd_flush_contexts(struct vtd_unit *unit);
MUST_CHECK int vtd_flush_iotlb(struct vtd_unit *unit);
MUST_CHECK int vtd_flush_domain(struct vtd_unit *unit, uint16_t domain_id);
MUST_CHECK int vtd_flush_interrupts(struct vtd_unit *unit); /* only with a queue */
/* What we stored leaves the chip set's write buffers, where it has such (CAP.RWBF). */
MUST_CHECK int vtd_flush_writes(struct vtd_unit *unit);

/* --- vtd_scope.c: who is seen by which unit --- */

struct vtd_boot;

void vtd_scopes_resolve(const struct vtd_boot *boot);
struct vtd_unit *vtd_find_unit(struct pci_address device);
struct vtd_unit *vtd_find_ioapic(uint8_t ioapic_id, uint16_t *source_id);
/* Is the device in the region's scope? */
bool vtd_is_reserved_for(const struct acpi_dmar_rmrr *rmrr, struct pci_address device);
/* The device that a scope of type endpoint names. */
bool vtd_scope_endpoint(unsigned scope, struct pci_address *device);

/* --- vtd_domain.c --- */

struct iommu_domain {
    char owner[IOMMU_OWNER_BYTES];
    bool is_firmwares;
    enum iommu_domain_kind kind;
    uint16_t id;
    struct pt pt; /* of a translated one */
};

/* What all units can: decided once, before the first domain. */
struct vtd_common {
    unsigned levels; /* 0: they have none in common, so there are no domains */
    unsigned leaf_levels;
    unsigned address_bits;
    unsigned domains;
    const struct pt_memory *memory;
};
extern struct vtd_common vtd_common;

void vtd_common_init(void);
/* The most levels, of those that we know, in a set of CAP.SAGAW; 0: none. */
unsigned vtd_best_levels(uint64_t sagaw);

int vtd_domain_create(const char *owner, enum iommu_domain_kind kind, struct iommu_domain **domain);
void vtd_domain_destroy(struct iommu_domain *domain);
int vtd_map(struct iommu_domain *domain, uint64_t iova, hpa_t hpa, uint64_t size,
            unsigned attributes);
int vtd_unmap(struct iommu_domain *domain, uint64_t iova, uint64_t size);

/* --- vtd_attach.c --- */

void vtd_attach_init(void);
/* The context entry of a device, or NULL where its bus has no table. */
struct vtd_entry *vtd_context_find(const struct vtd_unit *unit, struct pci_address device);
struct iommu_domain *vtd_domain_of(struct pci_address device); /* or NULL */
/* Whose it is, or "". Any CPU, also from an interrupt. */
void vtd_copy_owner(struct pci_address requester, char name[IOMMU_OWNER_BYTES]);
/* Does the unit see a device of the domain? */
bool vtd_is_used_on(const struct iommu_domain *domain, const struct vtd_unit *unit);

int vtd_attach(struct iommu_domain *domain, const struct iommu_device *device);
int vtd_detach(struct iommu_domain *domain, struct pci_address device);

/* --- vtd_firmware.c --- */

/* Devices that firmware still works with keep its memory until somebody takes them. */
void vtd_attach_firmware(const struct vtd_boot *boot);
/* The device is nobody's afterwards, as far as firmware is concerned. -EBUSY: it does not let go */
MUST_CHECK int vtd_take_from_firmware(const struct iommu_device *device);

/* --- vtd_audit.c --- */

int vtd_audit(int (*visit)(void *context, const struct iommu_reach *reach), void *context);

/* --- vtd_irq.c --- */

void vtd_irq_init(void);
/* Interrupt remapping on, for every unit or for none; false: none. */
bool vtd_irq_start(const struct acpi_info *acpi, bool is_x2apic);
bool vtd_irq_is_capable(const struct acpi_dmar *dmar);
bool vtd_remaps_interrupts(void);
int vtd_route_ioapic(uint8_t ioapic_id, unsigned input, const struct iommu_route *route,
                     uint64_t *entry);
int vtd_interrupts_create(struct pci_address device, unsigned count,
                          struct iommu_interrupts **interrupts);
void vtd_interrupts_destroy(struct iommu_interrupts *interrupts);
int vtd_interrupts_route(struct iommu_interrupts *interrupts, unsigned index,
                         const struct iommu_route *route, struct iommu_message *message);

/* --- vtd_fault.c --- */

void vtd_fault_init(void);
/* Forgets what firmware's devices did wrong. */
void vtd_fault_clear(struct vtd_unit *unit);
/* The units' own interrupt, to this CPU. */
void vtd_fault_start(bool is_x2apic);
void vtd_fault_poll(void);
/* The device has a new owner, who starts without debts. */
void vtd_fault_forget(struct pci_address requester);

#endif
