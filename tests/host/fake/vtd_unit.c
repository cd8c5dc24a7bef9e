/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/vtd_unit.h"
#include "arch/arch.h"
#include "arch/x86/apic.h"
#include "arch/x86/trap.h"
#include "kernel/lib/errno.h"
#include "tests/host/fake/fake.h"

#define ACCESS_TICKS 1000u /* each register access takes a microsecond */

struct fake_unit fake_units[FAKE_UNITS];
void (*fake_trap_handler)(void);
uint32_t fake_apic_id;

void fake_units_reset(void)
{
    memset(fake_units, 0, sizeof fake_units);
    for (unsigned i = 0; i < FAKE_UNITS; i++) {
        fake_units[i].version = 0x10;
        fake_units[i].cap = FAKE_UNIT_CAP;
        fake_units[i].ecap = FAKE_UNIT_ECAP;
        fake_units[i].lowest_status = UINT32_MAX;
    }
    fake_trap_handler = NULL;
    fake_apic_id = 0;
}

void trap_set_handler(unsigned vector, void (*handler)(void))
{
    assert_int_equal(vector, VECTOR_IOMMU);
    fake_trap_handler = handler;
}

uint32_t apic_id(void)
{
    return fake_apic_id;
}

int vtd_unit_map(struct vtd_unit *unit, const struct acpi_dmar_unit *table)
{
    uint64_t index = (table->base.value - FAKE_UNIT_BASE) / PAGE_SIZE;
    struct fake_unit *u = &fake_units[index];

    assert_true(index < FAKE_UNITS);
    *unit = (struct vtd_unit){.table = table, .registers = u, .cap = u->cap, .ecap = u->ecap};
    return u->version ? 0 : -ENODEV;
}

/* --- caches --- */

static void forget(struct fake_unit *u, bool of_all, uint16_t domain)
{
    for (unsigned i = 0; i < FAKE_UNIT_CACHE; i++)
        if (of_all || u->cache[i].domain == domain)
            u->cache[i].is_valid = false;
}

static void forget_contexts(struct fake_unit *u)
{
    memset(u->contexts, 0, sizeof u->contexts);
    u->context_flushes++;
}

static void forget_interrupts(struct fake_unit *u)
{
    memset(u->interrupt_cache, 0, sizeof u->interrupt_cache);
}

static void flush_iotlb(struct fake_unit *u, unsigned granularity, uint16_t domain, bool drains)
{
    assert_true(granularity == 1 || granularity == 2);
    assert_true(drains == ((u->cap & CAP_DWD) != 0));
    forget(u, granularity == 1, domain);
    u->iotlb_flushes += granularity == 1;
    u->domain_flushes += granularity == 2;
}

/* --- the queue --- */

static void work_off(struct fake_unit *u)
{
    const uint64_t *queue = phys_to_virt(HPA(u->iqa & ~UINT64_C(0xfff)));

    assert_true(u->status & GCMD_QIE);
    while (u->queue_head != u->queue_tail && !u->queue_hangs) {
        const uint64_t *e = &queue[2 * u->queue_head];
        unsigned granularity = e[0] >> 4 & 3;

        if (u->queue_refuses) {
            u->fsts |= FSTS_IQE;
            return;
        }
        switch (e[0] & 0xf) {
        case 1:
            assert_int_equal(granularity, 1);
            forget_contexts(u);
            break;
        case 2:
            flush_iotlb(u, granularity, (uint16_t)(e[0] >> 16), e[0] >> 6 & 1);
            assert_int_equal(e[0] >> 6 & 1, e[0] >> 7 & 1);
            break;
        case 4:
            assert_int_equal(e[0], 4);
            forget_interrupts(u);
            u->interrupt_flushes++;
            break;
        case 5:
            assert_true(e[0] & 1 << 5);
            *(uint32_t *)phys_to_virt(HPA(e[1])) = (uint32_t)(e[0] >> 32);
            break;
        default:
            fail_msg("entry of type %u in the queue", (unsigned)(e[0] & 0xf));
        }
        u->queue_head = (u->queue_head + 1) % 256;
    }
}

/* --- registers --- */

static unsigned fro(const struct fake_unit *u)
{
    return (unsigned)(u->cap >> 24 & 0x3ff) * 16;
}

static unsigned iro(const struct fake_unit *u)
{
    return (unsigned)(u->ecap >> 8 & 0x3ff) * 16;
}

static void command(struct fake_unit *u, uint32_t value)
{
    static const uint32_t lasting = GCMD_TE | GCMD_QIE | GCMD_IRE | 1u << 23;
    uint32_t old = u->status;

    u->commands++;
    if (u->is_deaf)
        return;
    assert_int_equal(__builtin_popcount((old & lasting) ^ (value & lasting)) +
                         __builtin_popcount(value & ~lasting),
                     1);
    if (value & GCMD_SRTP)
        u->root = u->root_written;
    if (value & GCMD_SIRTP)
        u->irta = u->irta_written;
    if ((old ^ value) & value & GCMD_QIE)
        u->queue_head = 0;
    u->write_flushes += (value & GCMD_WBF) != 0;
    u->status = (value & lasting) | (old & ~lasting) | (value & (GCMD_SRTP | GCMD_SIRTP));
    u->lowest_status &= u->status;
}

uint32_t vtd_read32(const struct vtd_unit *unit, unsigned offset)
{
    struct fake_unit *u = unit->registers;

    fake_clock += ACCESS_TICKS;
    switch (offset) {
    case VER_REG:
        return u->version;
    case GSTS_REG:
        return u->status;
    case FSTS_REG:
        return u->fsts;
    case FECTL_REG:
        return u->fectl;
    case PMEN_REG:
        return u->pmen;
    case CCMD_REG + 4:
        return (uint32_t)(u->ccmd >> 32);
    }
    if (offset == iro(u) + 12)
        return (uint32_t)(u->iotlb >> 32);
    fail_msg("32 bits of register %#x are read", offset);
    return 0;
}

uint64_t vtd_read64(const struct vtd_unit *unit, unsigned offset)
{
    struct fake_unit *u = unit->registers;

    fake_clock += ACCESS_TICKS;
    switch (offset) {
    case RTADDR_REG:
        return u->root_written;
    case IQH_REG:
        return u->queue_head << 4;
    case IQT_REG:
        return u->queue_tail << 4;
    }
    for (unsigned i = 0; i < FAKE_UNIT_FAULTS; i++)
        for (unsigned word = 0; word < 2; word++)
            if (offset == fro(u) + 16 * i + 8 * word)
                return u->faults[i][word];
    fail_msg("64 bits of register %#x are read", offset);
    return 0;
}

void vtd_write32(const struct vtd_unit *unit, unsigned offset, uint32_t value)
{
    struct fake_unit *u = unit->registers;

    fake_clock += ACCESS_TICKS;
    switch (offset) {
    case GCMD_REG:
        command(u, value);
        return;
    case FSTS_REG:
        u->fsts &= ~value;
        return;
    case FECTL_REG:
        u->fectl = value;
        return;
    case FEDATA_REG:
        u->fedata = value;
        return;
    case FEADDR_REG:
        u->feaddr = value;
        return;
    case FEUADDR_REG:
        u->feuaddr = value;
        return;
    case PMEN_REG:
        u->pmen = value & PMEN_EPM ? PMEN_EPM | PMEN_PRS : 0;
        return;
    }
    fail_msg("32 bits of register %#x are written", offset);
}

void vtd_write64(const struct vtd_unit *unit, unsigned offset, uint64_t value)
{
    struct fake_unit *u = unit->registers;

    fake_clock += ACCESS_TICKS;
    switch (offset) {
    case RTADDR_REG:
        u->root_written = value;
        return;
    case IRTA_REG:
        u->irta_written = value;
        return;
    case IQA_REG:
        u->iqa = value;
        return;
    case IQT_REG:
        u->queue_tail = (uint32_t)value >> 4;
        if (u->status & GCMD_QIE)
            work_off(u);
        else
            u->queue_head = u->queue_tail = 0;
        return;
    case CCMD_REG:
        assert_int_equal(value >> 61, 5);
        u->ccmd = u->is_deaf ? value : value & ~BIT(63);
        forget_contexts(u);
        return;
    }
    if (offset == iro(u) + 8) {
        u->iotlb = u->is_deaf ? value : value & ~BIT(63);
        flush_iotlb(u, value >> 60 & 3, (uint16_t)(value >> 32), value >> 48 & 1);
        return;
    }
    for (unsigned i = 0; i < FAKE_UNIT_FAULTS; i++) {
        if (offset == fro(u) + 16 * i + 8) {
            u->faults[i][1] &= ~(value & BIT(63));
            return;
        }
    }
    fail_msg("64 bits of register %#x are written", offset);
}

/* --- translation, by the bits of the specification --- */

void fake_unit_fault(struct fake_unit *u, uint16_t source, uint64_t low, unsigned reason,
                     bool is_read)
{
    uint64_t *record = u->faults[u->fault_next];

    if (record[1] & BIT(63)) {
        u->fsts |= FSTS_PFO;
        return;
    }
    record[0] = low;
    record[1] = BIT(63) | (uint64_t)is_read << 62 | (uint64_t)reason << 32 | source;
    u->fault_next = (u->fault_next + 1) % FAKE_UNIT_FAULTS;
    u->fsts |= FSTS_PPF;
    if (!(u->fectl & FECTL_IM) && fake_trap_handler && u->fedata == VECTOR_IOMMU)
        fake_trap_handler();
}

static const uint64_t *entry_at(uint64_t table, uint64_t index, unsigned words)
{
    return (const uint64_t *)phys_to_virt(HPA(table & 0xffffffffff000)) + index * words;
}

static unsigned walk(const uint64_t *context, uint64_t iova, bool is_write, uint64_t *hpa,
                     bool *is_writable)
{
    unsigned levels = (unsigned)(context[1] & 7) + 2;
    uint64_t entry = context[0];

    if (iova >> (12 + 9 * levels))
        return 4;
    for (unsigned level = levels; level > 0; level--) {
        entry = *entry_at(entry, iova >> (12 + 9 * (level - 1)) & 0x1ff, 1);
        if (!(entry & (is_write ? 2 : 1)))
            return is_write ? 5 : 6;
        if (level == 1 || entry & BIT(7)) {
            uint64_t mask = BIT(12 + 9 * (level - 1)) - 1;

            assert_int_equal(entry & 0xffffffffff000 & mask, 0);
            *hpa = (entry & 0xffffffffff000) | (iova & mask);
            *is_writable = entry & 2;
            return 0;
        }
    }
    return 6;
}

/* What is not present is not cached: caching mode is not played. */
static unsigned find_context(struct fake_unit *u, uint16_t source)
{
    const uint64_t *root = entry_at(u->root, source >> 8, 2), *context;

    if (u->contexts[source].is_valid)
        return 0;
    if (!(root[0] & 1))
        return 1;
    context = entry_at(root[0], source & 0xff, 2);
    if (!(context[0] & 1))
        return 2;
    u->contexts[source].is_valid = true;
    memcpy(u->contexts[source].words, context, 16);
    return 0;
}

static unsigned look_up(struct fake_unit *u, uint16_t source, uint64_t iova, bool is_write,
                        uint64_t *hpa)
{
    unsigned at = u->cached++ % FAKE_UNIT_CACHE, fault = find_context(u, source);
    const uint64_t *context = u->contexts[source].words;

    if (fault)
        return fault;
    if ((context[0] >> 2 & 3) == 2) {
        *hpa = iova;
        return 0;
    }
    fault = walk(context, iova, is_write, hpa, &u->cache[at].is_writable);
    if (fault)
        return fault;
    u->cache[at].is_valid = true;
    u->cache[at].source = source;
    u->cache[at].domain = (uint16_t)(context[1] >> 8);
    u->cache[at].page = iova >> 12;
    u->cache[at].hpa = *hpa & ~UINT64_C(0xfff);
    return 0;
}

bool fake_unit_translate(struct fake_unit *u, uint16_t source, uint64_t iova, bool is_write,
                         uint64_t *hpa)
{
    unsigned fault;

    *hpa = iova;
    if (!(u->status & GCMD_TE))
        return true;
    for (unsigned i = 0; i < FAKE_UNIT_CACHE; i++) {
        if (!u->cache[i].is_valid || u->cache[i].source != source ||
            u->cache[i].page != iova >> 12 || (is_write && !u->cache[i].is_writable))
            continue;
        *hpa = u->cache[i].hpa | (iova & 0xfff);
        return true;
    }
    fault = look_up(u, source, iova, is_write, hpa);
    if (fault)
        fake_unit_fault(u, source, iova, fault, !is_write);
    return fault == 0;
}

static bool remap(struct fake_unit *u, uint16_t source, unsigned index,
                  struct fake_interrupt *interrupt)
{
    const uint64_t *table = entry_at(u->irta, 0, 1);
    unsigned at = index % FAKE_UNIT_CACHE, fault = 0;
    bool is_extended = u->irta >> 11 & 1;

    if (index >= 2u << (u->irta & 0xf))
        fault = 0x21;
    else if (!u->interrupt_cache[at].is_valid || u->interrupt_cache[at].index != index) {
        u->interrupt_cache[at].is_valid = true;
        u->interrupt_cache[at].index = (uint16_t)index;
        u->interrupt_cache[at].low = table[2 * index];
        u->interrupt_cache[at].high = table[2 * index + 1];
    }
    if (!fault && !(u->interrupt_cache[at].low & 1))
        fault = 0x22;
    if (!fault && ((u->interrupt_cache[at].high >> 18 & 3) != 1 ||
                   (uint16_t)u->interrupt_cache[at].high != source))
        fault = 0x26;
    if (fault) {
        fake_unit_fault(u, source, (uint64_t)index << 48, fault, false);
        return false;
    }
    *interrupt = (struct fake_interrupt){
        (uint32_t)(u->interrupt_cache[at].low >> (is_extended ? 32 : 40)),
        (uint8_t)(u->interrupt_cache[at].low >> 16), u->interrupt_cache[at].low >> 4 & 1};
    if (!is_extended)
        interrupt->destination &= 0xff;
    return true;
}

bool fake_unit_interrupt(struct fake_unit *u, uint16_t source, const struct iommu_message *message,
                         struct fake_interrupt *interrupt)
{
    unsigned handle = (message->address >> 5 & 0x7fff) | (message->address >> 2 & 1) << 15;

    assert_int_equal(message->address >> 20, 0xfee);
    assert_true(u->status & GCMD_IRE);
    if (!(message->address & 1 << 4)) {
        fake_unit_fault(u, source, 0, 0x25, false);
        return false;
    }
    return remap(u, source, handle + (message->address & 8 ? message->data & 0xffff : 0),
                 interrupt);
}

bool fake_unit_ioapic(struct fake_unit *u, uint16_t source, uint64_t entry,
                      struct fake_interrupt *interrupt)
{
    assert_true(entry & BIT(48));
    return remap(u, source, (entry >> 49 & 0x7fff) | (entry >> 11 & 1) << 15, interrupt);
}
