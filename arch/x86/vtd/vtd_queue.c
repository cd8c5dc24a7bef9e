/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Invalidation of what a unit has cached: by its queue, else by registers (VT-d specification,
 * "Invalidation of Translation Caches"). Each request is waited for, so the queue never holds more
 * than one and what waits behind it.
 *
 * Draining is asked for where the unit knows it: reads and writes that were translated by the old
 * tables have reached memory when an invalidation is done.
 */
#include "arch/arch.h"
#include "arch/x86/cpu.h"
#include "arch/x86/vtd/vtd_unit.h"
#include "kernel/lib/errno.h"
#include "kernel/log.h"
#include "kernel/page.h"
#include "kernel/timer.h"

#define TIMEOUT_NS 1000000000u
#define BUSY       0x80000000u

/* --- the queue --- */

/* The unit's status word has the page behind the queue's for itself. */
int vtd_queue_start(struct vtd_unit *unit)
{
    hpa_t pages;
    int error = page_alloc_zeroed(1, &pages);

    if (error)
        return error;
    unit->queue = phys_to_virt(pages);
    unit->wait_status = (uint32_t *)(unit->queue + IQ_ENTRIES);
    unit->queue_tail = 0;
    vtd_write32(unit, FSTS_REG, FSTS_QUEUE);
    vtd_write64(unit, IQT_REG, 0);
    vtd_write64(unit, IQA_REG, pages.value);
    return vtd_command(unit, GCMD_QIE, true);
}

static void put(struct vtd_unit *unit, struct vtd_entry entry)
{
    struct vtd_entry *slot = &unit->queue[unit->queue_tail];

    *slot = entry;
    vtd_publish(unit, slot, sizeof *slot);
    unit->queue_tail = (unit->queue_tail + 1) % IQ_ENTRIES;
}

/* The unit stops at an entry that it does not like: an empty page and a new start make it go on. */
static int restart_queue(struct vtd_unit *unit, uint32_t status)
{
    uint64_t head = vtd_read64(unit, IQH_REG) >> IQ_INDEX_SHIFT;
    const struct vtd_entry *e = &unit->queue[head % IQ_ENTRIES];
    int error;

    log_error("vtd", "unit at %#llx refuses invalidation %#llx %#llx (status %#x)",
              (unsigned long long)unit->table->base.value, (unsigned long long)e->low,
              (unsigned long long)e->high, status);
    if (vtd_command(unit, GCMD_QIE, false) != 0)
        return -EIO;
    vtd_write32(unit, FSTS_REG, FSTS_QUEUE);
    vtd_write64(unit, IQT_REG, 0);
    unit->queue_tail = 0;
    error = vtd_command(unit, GCMD_QIE, true);
    return error ? error : -EIO;
}

static int wait_until_through(struct vtd_unit *unit)
{
    uint64_t start = clock_now(), ticks = clock_ticks_from_ns(TIMEOUT_NS);

    while (__atomic_load_n(unit->wait_status, __ATOMIC_ACQUIRE) != unit->wait_count) {
        uint32_t status = vtd_read32(unit, FSTS_REG);

        if ((status & FSTS_QUEUE) || clock_now() - start > ticks)
            return restart_queue(unit, status);
        cpu_relax();
    }
    return 0;
}

static int submit(struct vtd_unit *unit, struct vtd_entry request)
{
    unit->wait_count++;
    put(unit, request);
    put(unit,
        (struct vtd_entry){IQ_WAIT | IQ_WAIT_SW | (uint64_t)unit->wait_count << IQ_WAIT_DATA_SHIFT,
                           virt_to_phys(unit->wait_status).value});
    vtd_write64(unit, IQT_REG, (uint64_t)unit->queue_tail << IQ_INDEX_SHIFT);
    return wait_until_through(unit);
}

/* --- registers --- */

/* Both registers are busy as long as their highest bit is set. */
_Static_assert(CCMD_ICC >> 32 == BUSY && IOTLB_IVT >> 32 == BUSY, "a register's upper half tells");

static int by_register(struct vtd_unit *unit, unsigned offset, uint64_t command)
{
    int error = vtd_wait(unit, offset + 4, BUSY, 0);

    if (error)
        return error;
    vtd_write64(unit, offset, command);
    return vtd_wait(unit, offset + 4, BUSY, 0);
}

/* --- what callers see --- */

static int report(const struct vtd_unit *unit, int error)
{
    if (error)
        log_error("vtd", "unit at %#llx does not invalidate",
                  (unsigned long long)unit->table->base.value);
    return error;
}

int vtd_flush_contexts(struct vtd_unit *unit)
{
    int error;

    lock_acquire(&unit->lock);
    if (unit->queue)
        error = submit(unit, (struct vtd_entry){IQ_CONTEXT | IQ_G_GLOBAL << IQ_G_SHIFT, 0});
    else
        error = by_register(unit, CCMD_REG, CCMD_ICC | CCMD_CIRG_GLOBAL);
    lock_release(&unit->lock);
    return report(unit, error);
}

/* domain_id counts only with granularity IQ_G_DOMAIN. */
static int flush_iotlb(struct vtd_unit *unit, unsigned granularity, uint16_t domain_id)
{
    bool drains_writes = unit->cap & CAP_DWD, drains_reads = unit->cap & CAP_DRD;
    int error;

    lock_acquire(&unit->lock);
    if (unit->queue)
        error = submit(unit, (struct vtd_entry){IQ_IOTLB | granularity << IQ_G_SHIFT |
                                                    (drains_writes ? IQ_IOTLB_DW : 0) |
                                                    (drains_reads ? IQ_IOTLB_DR : 0) |
                                                    (uint64_t)domain_id << IQ_DID_SHIFT,
                                                0});
    else
        error = by_register(
            unit, IOTLB_REG_AT(ECAP_IRO(unit->ecap)),
            IOTLB_IVT | (granularity == IQ_G_GLOBAL ? IOTLB_IIRG_GLOBAL : IOTLB_IIRG_DOMAIN) |
                (drains_writes ? IOTLB_DW : 0) | (drains_reads ? IOTLB_DR : 0) |
                (uint64_t)domain_id << IOTLB_DID_SHIFT);
    lock_release(&unit->lock);
    return report(unit, error);
}

int vtd_flush_iotlb(struct vtd_unit *unit)
{
    return flush_iotlb(unit, IQ_G_GLOBAL, 0);
}

int vtd_flush_domain(struct vtd_unit *unit, uint16_t domain_id)
{
    return flush_iotlb(unit, IQ_G_DOMAIN, domain_id);
}

int vtd_flush_interrupts(struct vtd_unit *unit)
{
    int error;

    lock_acquire(&unit->lock);
    error = submit(unit, (struct vtd_entry){IQ_IEC, 0});
    lock_release(&unit->lock);
    return report(unit, error);
}

int vtd_flush_writes(struct vtd_unit *unit)
{
    int error;

    if (!(unit->cap & CAP_RWBF))
        return 0;
    lock_acquire(&unit->lock);
    error = vtd_command(unit, GCMD_WBF, true);
    lock_release(&unit->lock);
    return report(unit, error);
}
