/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC's heart: what is requested, in service and deliverable, messages, pins, and the
 * modes of IA32_APIC_BASE. lapic_posted.c has what comes from other CPUs, lapic_regs.c the register
 * file, lapic_timer.c the timer, apic_bus.c the routing. Keeps the invariants that only the owner
 * writes to the page (but for the IRR, see irr_set()), and that may_have_irr is false only when the IRR is empty.
 */
#include "drivers/virt/lapic_internal.h"
#include "kernel/lib/assert.h"

#define PRIORITY_CLASS 0xf0u

#define APIC_BASE_MODE (APIC_BASE_EN | APIC_BASE_EXTD)

/* --- sets of vectors: ISR, TMR, IRR --- */

static unsigned word_offset(unsigned set, uint8_t vector)
{
    return set + vector / 32 * LAPIC_WORD_BYTES;
}

static uint32_t vector_bit(uint8_t vector)
{
    return 1u << (vector % 32);
}

static void vector_set(struct lapic *l, unsigned set, uint8_t vector)
{
    unsigned word = word_offset(set, vector);

    lapic_put(l, word, lapic_get(l, word) | vector_bit(vector));
}

static void vector_clear(struct lapic *l, unsigned set, uint8_t vector)
{
    unsigned word = word_offset(set, vector);

    lapic_put(l, word, lapic_get(l, word) & ~vector_bit(vector));
}

/* Of one word of the IRR. Where the CPU sends IPIs by itself, others' hardware may set bits of it meanwhile: they stay. */
static void irr_set(struct lapic *l, unsigned word, uint32_t vectors)
{
    __atomic_fetch_or((uint32_t *)(l->page + APIC_IRR + word * LAPIC_WORD_BYTES), vectors, __ATOMIC_ACQ_REL);
}

static void irr_clear(struct lapic *l, unsigned word, uint32_t vectors)
{
    __atomic_fetch_and((uint32_t *)(l->page + APIC_IRR + word * LAPIC_WORD_BYTES), ~vectors, __ATOMIC_ACQ_REL);
}

static bool vector_is_set(const struct lapic *l, unsigned set, uint8_t vector)
{
    return lapic_get(l, word_offset(set, vector)) & vector_bit(vector);
}

static int highest_vector(const struct lapic *l, unsigned set)
{
    for (unsigned i = LAPIC_VECTOR_WORDS; i-- > 0;) {
        uint32_t word = lapic_get(l, set + i * LAPIC_WORD_BYTES);

        if (word)
            return (int)(32 * i + 31) - __builtin_clz(word);
    }
    return -1;
}

/* --- priorities --- */

int lapic_highest_irr(struct lapic *l)
{
    int vector;

    if (!lapic_has_irr(l))
        return -1;
    vector = highest_vector(l, APIC_IRR);
    l->may_have_irr = vector >= 0 || l->keeps_irr_hint;
    return vector;
}

int lapic_highest_isr(const struct lapic *l)
{
    return highest_vector(l, APIC_ISR);
}

bool lapic_serves_others(const struct lapic *l, uint8_t vector)
{
    for (unsigned i = 0; i < LAPIC_VECTOR_WORDS; i++)
        if (lapic_get(l, APIC_ISR + i * LAPIC_WORD_BYTES) & ~(i == vector / 32 ? 1u << vector % 32 : 0))
            return true;
    return false;
}

/* SDM 3A, "Task and Processor Priorities". */
uint8_t lapic_priority(const struct lapic *l)
{
    unsigned tpr = lapic_tpr(l);
    int isr = lapic_highest_isr(l);
    unsigned in_service = isr < 0 ? 0 : (unsigned)isr & PRIORITY_CLASS;

    return (uint8_t)((tpr & PRIORITY_CLASS) >= in_service ? tpr : in_service);
}

uint8_t lapic_ppr(struct lapic *l)
{
    uint8_t ppr = lapic_priority(l);

    lapic_put(l, APIC_PPR, ppr);
    return ppr;
}

int lapic_pending_vector(struct lapic *l)
{
    int vector = lapic_highest_irr(l);

    if (vector < 0 || !lapic_is_software_enabled(l))
        return -1;
    return ((unsigned)vector & PRIORITY_CLASS) > (lapic_ppr(l) & PRIORITY_CLASS) ? vector : -1;
}

void lapic_acknowledge(struct lapic *l, uint8_t vector)
{
    irr_clear(l, vector / 32, vector_bit(vector));
    vector_set(l, APIC_ISR, vector);
    lapic_ppr(l);
}

uint8_t lapic_tpr(const struct lapic *l)
{
    return (uint8_t)lapic_get(l, APIC_TPR);
}

void lapic_set_tpr(struct lapic *l, uint8_t tpr)
{
    lapic_put(l, APIC_TPR, tpr);
    lapic_ppr(l);
    lapic_notify_if_irr(l);
}

uint8_t lapic_tpr_threshold(struct lapic *l)
{
    int irr = lapic_highest_irr(l), isr = lapic_highest_isr(l);

    if (irr < 0 || irr >> 4 <= isr >> 4 || irr >> 4 > lapic_tpr(l) >> 4)
        return 0;
    return (uint8_t)(irr >> 4);
}

void lapic_notify_if_irr(struct lapic *l)
{
    if (lapic_has_irr(l))
        l->wiring->notify(l->context);
}

/* --- accepting and ending --- */

void lapic_request(struct lapic *l, unsigned word, uint32_t vectors, enum lapic_trigger trigger)
{
    unsigned tmr = APIC_TMR + word * LAPIC_WORD_BYTES;
    uint32_t before = lapic_get(l, tmr), after = trigger == LAPIC_LEVEL ? before | vectors : before & ~vectors;

    irr_set(l, word, vectors);
    l->may_have_irr = true;
    if (after == before)
        return;
    lapic_put(l, tmr, after);
    l->level_vectors_changed = true;
}

/* Two requests of one vector are one, but the owner looks again: the trigger mode may be another. */
bool lapic_accept(struct lapic *l, uint8_t vector, enum lapic_trigger trigger)
{
    if (!lapic_accepts_vector(l, vector))
        return false;
    lapic_request(l, vector / 32, vector_bit(vector), trigger);
    l->wiring->notify(l->context);
    return true;
}

bool lapic_is_level(const struct lapic *l, uint8_t vector)
{
    return vector_is_set(l, APIC_TMR, vector);
}

static void end_vector(struct lapic *l, uint8_t vector)
{
    if (lapic_is_level(l, vector) &&
        !(lapic_get(l, APIC_SVR) & APIC_SVR_EOI_BROADCAST_DISABLED))
        l->wiring->broadcast_eoi(l->context, vector);
}

void lapic_end_of_interrupt(struct lapic *l)
{
    int vector = lapic_highest_isr(l);

    if (vector < 0)
        return;
    vector_clear(l, APIC_ISR, (uint8_t)vector);
    lapic_ppr(l);
    end_vector(l, (uint8_t)vector);
    lapic_notify_if_irr(l);
}

void lapic_eoi_induced(struct lapic *l, uint8_t vector)
{
    end_vector(l, vector);
}

void lapic_level_vectors(const struct lapic *l, uint64_t eoi_exit_bitmap[4])
{
    for (unsigned i = 0; i < 4; i++) {
        uint64_t low = lapic_get(l, APIC_TMR + 2 * i * LAPIC_WORD_BYTES);
        uint64_t high = lapic_get(l, APIC_TMR + (2 * i + 1) * LAPIC_WORD_BYTES);

        eoi_exit_bitmap[i] = high << 32 | low;
    }
}

bool lapic_take_level_vectors_change(struct lapic *l)
{
    bool changed = l->level_vectors_changed;

    l->level_vectors_changed = false;
    return changed;
}

/* --- messages --- */

static bool receive_fixed(struct lapic *l, const struct apic_message *message)
{
    enum lapic_trigger trigger = message->is_level ? LAPIC_LEVEL : LAPIC_EDGE;

    if (message->sender == l)
        return lapic_accept(l, message->vector, trigger);
    return lapic_post(l, message->vector, trigger);
}

bool lapic_receive(struct lapic *l, const struct apic_message *message)
{
    if (!lapic_is_enabled(l))
        return false;
    switch (message->delivery) {
    case APIC_DELIVERY_FIXED:
    case APIC_DELIVERY_LOWEST:
        return receive_fixed(l, message);
    case APIC_DELIVERY_NMI:
    case APIC_DELIVERY_INIT:
    case APIC_DELIVERY_STARTUP:
    case APIC_DELIVERY_EXTINT:
        l->wiring->deliver(l->context, message->delivery, message->vector);
        return true;
    default: /* SMI: there is no system management mode; the rest is reserved */
        return false;
    }
}

bool lapic_accepts_vector(struct lapic *l, uint8_t vector)
{
    if (!lapic_accepts_fixed(l))
        return false;
    if (vector < APIC_VECTOR_MIN)
        lapic_report_error(l, APIC_ESR_RECEIVE_ILLEGAL_VECTOR);
    return vector >= APIC_VECTOR_MIN;
}

bool lapic_accepts_fixed(const struct lapic *l)
{
    return lapic_is_enabled(l) && lapic_is_software_enabled(l);
}

/* Cluster numbers have to agree, and one of the member bits has to be common. */
static bool cluster_matches(uint32_t mine, uint32_t destination, unsigned member_bits)
{
    uint32_t members = (1u << member_bits) - 1;

    return mine >> member_bits == destination >> member_bits && (mine & destination & members);
}

/* SDM 3A, "Logical Destination Mode" and "Logical Destination Mode in x2APIC Mode". */
bool lapic_matches_logical(const struct lapic *l, uint32_t destination)
{
    uint32_t mine = lapic_get(l, APIC_LDR);

    if (destination == X2APIC_BROADCAST)
        return true;
    if (lapic_is_x2apic(l))
        return cluster_matches(mine, destination, 16);
    mine >>= APIC_ID_SHIFT;
    if (lapic_get(l, APIC_DFR) == APIC_DFR_FLAT)
        return destination <= APIC_BROADCAST && (mine & destination);
    return cluster_matches(mine, destination, 4);
}

/* --- pins --- */

/* The pins of a disabled APIC are the CPU's own INTR and NMI. */
static uint32_t lint_entry(const struct lapic *l, unsigned pin)
{
    if (!lapic_is_enabled(l))
        return pin ? APIC_LVT_DELIVERY_NMI : APIC_LVT_DELIVERY_EXTINT;
    return lapic_get(l, pin ? APIC_LVT_LINT1 : APIC_LVT_LINT0);
}

void lapic_set_lint(void *lapic, unsigned pin, bool level)
{
    struct lapic *l = lapic;
    uint32_t entry = lint_entry(l, pin);
    uint8_t delivery = apic_delivery(entry);
    bool rises;

    ASSERT(pin < ARRAY_SIZE(l->lint));
    rises = level && !l->lint[pin];
    l->lint[pin] = level;
    if (!rises || (entry & APIC_LVT_MASKED))
        return;
    if (delivery == APIC_DELIVERY_FIXED)
        lapic_post(l, entry & APIC_VECTOR, LAPIC_EDGE);
    else if (delivery == APIC_DELIVERY_NMI || delivery == APIC_DELIVERY_EXTINT)
        l->wiring->deliver(l->context, delivery, 0);
}

bool lapic_accepts_extint(const struct lapic *l)
{
    return (lint_entry(l, 0) & (APIC_LVT_MASKED | APIC_DELIVERY)) == APIC_LVT_DELIVERY_EXTINT;
}

/* --- modes --- */

/* SDM 3A, "x2APIC State Transitions": into x2APIC mode only from xAPIC, and out only to disabled.
 */
static bool is_legal_transition(uint64_t from, uint64_t to)
{
    if (to == from || to == 0)
        return true;
    return (from == 0 && to == APIC_BASE_EN) || (from == APIC_BASE_EN && to == APIC_BASE_MODE);
}

static void enter_mode(struct lapic *l, uint64_t mode)
{
    l->base = (l->base & ~APIC_BASE_MODE) | mode;
    if (mode == 0)
        lapic_registers_reset(l); /* a disabled APIC comes back as after power-up */
    lapic_registers_enter_mode(l);
    l->wiring->notify(l->context); /* the PIC may have got its wire */
}

bool lapic_set_base(struct lapic *l, uint64_t value)
{
    uint64_t from = l->base & APIC_BASE_MODE, to = value & APIC_BASE_MODE;

    if ((value & ~(APIC_BASE_MODE | APIC_BASE_BSP)) != APIC_DEFAULT_BASE ||
        !is_legal_transition(from, to))
        return false;
    if (from != to)
        enter_mode(l, to);
    return true;
}

void lapic_reset(struct lapic *l, enum lapic_reset_kind kind)
{
    if (kind == LAPIC_POWER_UP)
        l->base = (l->base & APIC_BASE_BSP) | APIC_DEFAULT_BASE | APIC_BASE_EN;
    lapic_registers_reset(l);
    lapic_registers_enter_mode(l);
    if (l->base & APIC_BASE_BSP)
        lapic_put(l, APIC_LVT_LINT0, APIC_LVT_DELIVERY_EXTINT);
}

void lapic_use_virtual_delivery(struct lapic *l)
{
    l->keeps_irr_hint = true;
    l->may_have_irr = true;
}

void lapic_init(struct lapic *l, void *page, uint32_t id, bool is_bsp,
                const struct lapic_wiring *wiring, void *context)
{
    *l = (struct lapic){
        .page = page,
        .id = id,
        .base = is_bsp ? APIC_BASE_BSP : 0,
        .wiring = wiring,
        .context = context,
    };
    lapic_timer_init(l);
    lapic_reset(l, LAPIC_POWER_UP);
}
