/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A unit's life: from whatever firmware left it in to translation with tables that allow nothing.
 * Invariant on the way: a device that was confined is never free in between, unless the unit knows
 * no other way.
 */
#include "arch/arch.h"
#include "arch/x86/cpu.h"
#include "arch/x86/vtd/vtd_unit.h"
#include "kernel/lib/errno.h"
#include "kernel/log.h"
#include "kernel/page.h"
#include "kernel/timer.h"

#define COMMAND_TIMEOUT_NS 100000000u /* far above what any unit takes */

int vtd_wait(const struct vtd_unit *unit, unsigned offset, uint32_t mask, uint32_t value)
{
    uint64_t start = clock_now(), ticks = clock_ticks_from_ns(COMMAND_TIMEOUT_NS);

    while ((vtd_read32(unit, offset) & mask) != value) {
        if (clock_now() - start > ticks)
            return -EIO;
        cpu_relax();
    }
    return 0;
}

/*
 * "Global Command Register": one bit at a time, the others as the status has them. Of the write
 * buffer the status says that it is being flushed; of all else, that it is done.
 */
int vtd_command(struct vtd_unit *unit, uint32_t bit, bool is_on)
{
    uint32_t others = vtd_read32(unit, GSTS_REG) & ~GCMD_ONE_SHOT & ~bit;
    bool ends_set = is_on && bit != GCMD_WBF;
    int error;

    vtd_write32(unit, GCMD_REG, (uint32_t)(others | (is_on ? bit : 0)));
    error = vtd_wait(unit, GSTS_REG, bit, ends_set ? bit : 0);
    if (error)
        log_error("vtd", "unit at %#llx does not obey command %#x",
                  (unsigned long long)unit->table->base.value, bit);
    return error;
}

void vtd_publish(const struct vtd_unit *unit, const void *at, size_t bytes)
{
    if (!(unit->ecap & ECAP_C))
        cpu_flush_range(at, bytes);
    else
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static bool is_on(const struct vtd_unit *unit, uint32_t bit)
{
    return vtd_read32(unit, GSTS_REG) & bit;
}

static int turn_off(struct vtd_unit *unit, uint32_t bit)
{
    return is_on(unit, bit) ? vtd_command(unit, bit, false) : 0;
}

/* "Queued Invalidation Interface": only an empty queue may be switched off. */
static int turn_off_queue(struct vtd_unit *unit)
{
    uint64_t start = clock_now();

    if (!is_on(unit, GCMD_QIE))
        return 0;
    while (vtd_read64(unit, IQH_REG) != vtd_read64(unit, IQT_REG) &&
           clock_now() - start < clock_ticks_from_ns(COMMAND_TIMEOUT_NS))
        cpu_relax();
    return vtd_command(unit, GCMD_QIE, false);
}

/* Nothing may be disabled before translation is on that these ranges protect. */
static int turn_off_protected_memory(struct vtd_unit *unit)
{
    if (!(unit->cap & (CAP_PLMR | CAP_PHMR)) || !(vtd_read32(unit, PMEN_REG) & PMEN_EPM))
        return 0;
    vtd_write32(unit, PMEN_REG, 0);
    return vtd_wait(unit, PMEN_REG, PMEN_PRS, 0);
}

/*
 * Translation that is on stays on while the root table is changed, which a unit allows in legacy
 * mode ("Root Table Address Register"); firmware that used another mode has it switched off.
 */
static int turn_off_leftovers(struct vtd_unit *unit)
{
    int error = turn_off(unit, GCMD_IRE);

    if (!error)
        error = turn_off_queue(unit);
    if (!error && (vtd_read64(unit, RTADDR_REG) & RTADDR_TTM_MASK))
        error = turn_off(unit, GCMD_TE);
    return error;
}

static int alloc_root(struct vtd_unit *unit)
{
    hpa_t root;
    int error = page_alloc_zeroed(PAGE_ORDER_4K, &root);

    if (error)
        return error;
    unit->root = phys_to_virt(root);
    vtd_publish(unit, unit->root, PAGE_SIZE);
    return 0;
}

static int use_root(struct vtd_unit *unit)
{
    int error = vtd_flush_writes(unit);

    if (error)
        return error;
    vtd_write64(unit, RTADDR_REG, virt_to_phys(unit->root).value);
    error = vtd_command(unit, GCMD_SRTP, true);
    if (!error)
        error = vtd_flush_contexts(unit);
    if (!error)
        error = vtd_flush_iotlb(unit);
    if (!error && !is_on(unit, GCMD_TE))
        error = vtd_command(unit, GCMD_TE, true);
    return error;
}

int vtd_unit_start(struct vtd_unit *unit)
{
    int error = turn_off_leftovers(unit);

    if (!error)
        error = alloc_root(unit);
    if (!error && (unit->ecap & ECAP_QI))
        error = vtd_queue_start(unit);
    if (!error)
        error = use_root(unit);
    if (!error)
        error = turn_off_protected_memory(unit);
    if (!error)
        vtd_fault_clear(unit);
    return error;
}

void vtd_unit_stop(struct vtd_unit *unit)
{
    int error = turn_off(unit, GCMD_TE);

    error = turn_off(unit, GCMD_IRE) ? -EIO : error;
    error = turn_off_queue(unit) ? -EIO : error;
    error = turn_off_protected_memory(unit) ? -EIO : error;
    if (error)
        log_error("vtd", "unit at %#llx: what firmware left on stays on",
                  (unsigned long long)unit->table->base.value);
}
