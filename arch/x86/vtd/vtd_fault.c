/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What units refused: VT-d specification, "Fault Logging". One line a fault, with who wanted what,
 * at most so many a second for each device; a device that goes on, fast or for long, is reported as
 * hopeless, once, to whoever can silence it. A guest can make its device fault as often as it likes, so the interrupt
 * is masked when it comes too often, until the next poll.
 */
#include "arch/arch.h"
#include "arch/x86/apic.h"
#include "arch/x86/trap.h"
#include "arch/x86/vtd/vtd_unit.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/timer.h"

#define WINDOW_NS              1000000000u
#define LINES_PER_WINDOW       8u
#define FAULTS_MAX             64u /* not yet forgotten, and the device is hopeless; each window forgets one */
#define INTERRUPTS_PER_WINDOW  256u
#define OFFENDERS_MAX          64u
#define MSI_ADDRESS            0xfee00000u
#define MSI_DESTINATION_SHIFT  12
#define FIRST_INTERRUPT_REASON 0x20u

struct offender {
    bool is_taken, is_silenced;
    struct pci_address device;
    uint64_t window;
    unsigned lines;  /* in that window */
    unsigned faults; /* that are not forgotten */
};

static struct offender offenders[OFFENDERS_MAX];
static struct lock lock; /* guards offenders, and the units' fault registers */
static bool is_started;

/* "Fault Reasons" (legacy mode), "Interrupt Translation Fault Conditions" */
static const char *const reasons[] = {
    [0x01] = "its bus is given nothing",
    [0x02] = "it is given nothing",
    [0x03] = "malformed context entry",
    [0x04] = "beyond the address width",
    [0x05] = "not mapped for writing",
    [0x06] = "not mapped for reading",
    [0x07] = "second-level table not readable",
    [0x08] = "root table not readable",
    [0x09] = "context table not readable",
    [0x0a] = "reserved bits in a root entry",
    [0x0b] = "reserved bits in a context entry",
    [0x0c] = "reserved bits in a second-level entry",
    [0x0d] = "translated or translation request not allowed",
    [0x0e] = "address in the interrupt range",
    [0x20] = "reserved bits in the interrupt request",
    [0x21] = "beyond the interrupt table",
    [0x22] = "interrupt not given to anybody",
    [0x23] = "interrupt table not readable",
    [0x24] = "reserved bits in an interrupt entry",
    [0x25] = "interrupt in compatibility format",
    [0x26] = "interrupt of another device",
};

void vtd_fault_init(void)
{
    memset(offenders, 0, sizeof offenders);
    is_started = false;
}

static const char *reason_text(unsigned reason)
{
    return reason < ARRAY_SIZE(reasons) && reasons[reason] ? reasons[reason] : "unknown reason";
}

static uint64_t window_now(void)
{
    return clock_now() / clock_ticks_from_ns(WINDOW_NS);
}

/* --- who did it --- */

/* NULL: so many devices fault that this one goes unnoticed; it is blocked all the same. */
static struct offender *find_offender(struct pci_address device)
{
    struct offender *free_slot = NULL;

    for (unsigned i = 0; i < OFFENDERS_MAX; i++) {
        if (offenders[i].is_taken && pci_is_same(offenders[i].device, device))
            return &offenders[i];
        if (!offenders[i].is_taken && !free_slot)
            free_slot = &offenders[i];
    }
    if (free_slot)
        *free_slot = (struct offender){.is_taken = true, .device = device, .window = window_now()};
    return free_slot;
}

void vtd_fault_forget(struct pci_address requester)
{
    uint64_t flags = arch_irq_save();

    lock_acquire(&lock);
    for (unsigned i = 0; i < OFFENDERS_MAX; i++)
        if (offenders[i].is_taken && pci_is_same(offenders[i].device, requester))
            offenders[i].is_taken = false;
    lock_release(&lock);
    arch_irq_restore(flags);
}

static void count_fault(struct offender *o)
{
    uint64_t now = window_now(), passed = now - o->window;

    if (passed > 0)
        o->lines = 0;
    o->faults -= (unsigned)MIN(passed, o->faults);
    o->faults++;
    o->window = now;
}

static void log_fault(const struct iommu_fault *f)
{
    const char *what = f->is_interrupt ? "interrupt" : f->is_write ? "write of" : "read of";

    log_warn("iommu", PCI_ADDRESS_FORMAT " (%s): %s %#llx refused: %s%s",
             PCI_ADDRESS_ARGS(f->requester), f->owner[0] ? f->owner : "nobody's", what,
             (unsigned long long)f->address, f->reason,
             f->is_final ? "; too many: it is silenced" : "");
}

static void report(struct iommu_fault *f)
{
    struct offender *o = find_offender(f->requester);

    if (!o || o->is_silenced)
        return;
    count_fault(o);
    f->is_final = o->is_silenced = o->faults >= FAULTS_MAX;
    if (o->lines++ < LINES_PER_WINDOW || f->is_final)
        log_fault(f);
    if (iommu_on_fault)
        iommu_on_fault(f);
}

/* --- registers --- */

static struct iommu_fault decode(const struct vtd_unit *unit, uint64_t low, uint64_t high)
{
    struct pci_address device = pci_requester(unit->table->segment, FRCD_SID(high));
    bool is_interrupt =
        FRCD_FR(high) >= FIRST_INTERRUPT_REASON && FRCD_FR(high) < ARRAY_SIZE(reasons);
    struct iommu_fault fault = {
        .requester = device,
        .address = is_interrupt ? low >> FRCD_INTERRUPT_SHIFT : ALIGN_DOWN(low, PAGE_SIZE),
        .is_interrupt = is_interrupt,
        .is_write = !(high & FRCD_T1),
        .reason = reason_text(FRCD_FR(high)),
    };

    vtd_copy_owner(device, fault.owner);
    return fault;
}

/* One pass over the records: a device that fills them as fast as we empty them gets no more. */
static void read_records(struct vtd_unit *unit)
{
    for (unsigned i = 0; i < CAP_NFR(unit->cap); i++) {
        unsigned offset = FRCD_REG_AT(CAP_FRO(unit->cap), i);
        uint64_t high = vtd_read64(unit, offset + 8);
        struct iommu_fault fault;

        if (!(high & FRCD_F))
            continue;
        fault = decode(unit, vtd_read64(unit, offset), high);
        vtd_write64(unit, offset + 8, FRCD_F);
        report(&fault);
    }
    vtd_write32(unit, FSTS_REG, FSTS_PFO);
}

static void mask_if_too_often(struct vtd_unit *unit)
{
    uint64_t now = window_now();

    if (unit->fault_window != now) {
        unit->fault_window = now;
        unit->fault_interrupts = 0;
    }
    if (++unit->fault_interrupts < INTERRUPTS_PER_WINDOW || unit->is_fault_masked)
        return;
    unit->is_fault_masked = true;
    vtd_write32(unit, FECTL_REG, FECTL_IM);
}

static void on_interrupt(void)
{
    lock_acquire(&lock);
    for (unsigned i = 0; i < vtd_unit_count; i++) {
        read_records(&vtd_units[i]);
        mask_if_too_often(&vtd_units[i]);
    }
    lock_release(&lock);
}

void vtd_fault_poll(void)
{
    uint64_t flags = arch_irq_save();

    lock_acquire(&lock);
    for (unsigned i = 0; i < vtd_unit_count; i++) {
        struct vtd_unit *u = &vtd_units[i];

        read_records(u);
        if (!u->is_fault_masked || !is_started)
            continue;
        u->is_fault_masked = false;
        vtd_write32(u, FECTL_REG, 0);
    }
    lock_release(&lock);
    arch_irq_restore(flags);
}

void vtd_fault_clear(struct vtd_unit *unit)
{
    for (unsigned i = 0; i < CAP_NFR(unit->cap); i++)
        vtd_write64(unit, FRCD_REG_AT(CAP_FRO(unit->cap), i) + 8, FRCD_F);
    vtd_write32(unit, FSTS_REG, FSTS_PFO | FSTS_QUEUE);
}

/* "Fault Event": a message of the unit's own, which is not remapped. */
void vtd_fault_start(bool is_x2apic)
{
    uint32_t id = apic_id();

    trap_set_handler(VECTOR_IOMMU, on_interrupt);
    is_started = true;
    for (unsigned i = 0; i < vtd_unit_count; i++) {
        struct vtd_unit *u = &vtd_units[i];

        vtd_write32(u, FEDATA_REG, VECTOR_IOMMU);
        vtd_write32(u, FEADDR_REG, MSI_ADDRESS | (id & 0xff) << MSI_DESTINATION_SHIFT);
        vtd_write32(u, FEUADDR_REG, is_x2apic ? id & ~0xffu : 0);
        vtd_write32(u, FECTL_REG, 0);
    }
}
