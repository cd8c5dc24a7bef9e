/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What other CPUs have for a local APIC: vectors and errors wait outside the page, in struct
 * lapic_posted, until the owner takes them. Senders take no lock and wait for nobody. The first one
 * after the owner has looked notifies; those that come until it looks again are seen on the same
 * occasion, so that a flood of messages costs its receiver one notification each time.
 */
#include "drivers/virt/lapic_internal.h"

static uint32_t filled_bit(enum lapic_trigger trigger, unsigned word)
{
    return 1u << (trigger * LAPIC_VECTOR_WORDS + word);
}

bool lapic_post(struct lapic *l, uint8_t vector, enum lapic_trigger trigger)
{
    unsigned word = vector / 32;

    if (!lapic_accepts_vector(l, vector))
        return false;
    __atomic_fetch_or(&l->posted.words[trigger][word], 1u << vector % 32, __ATOMIC_RELEASE);
    if (__atomic_fetch_or(&l->posted.filled, filled_bit(trigger, word), __ATOMIC_ACQ_REL) == 0)
        l->wiring->notify(l->context);
    return true;
}

/* Edges first: of one vector in both modes the level counts, as only its EOI is waited for. */
void lapic_take_posted(struct lapic *l)
{
    uint32_t filled = __atomic_exchange_n(&l->posted.filled, 0, __ATOMIC_ACQ_REL);

    for (; filled; filled &= filled - 1) {
        unsigned i = (unsigned)__builtin_ctz(filled), word = i % LAPIC_VECTOR_WORDS;
        enum lapic_trigger trigger = i / LAPIC_VECTOR_WORDS;
        uint32_t vectors = __atomic_exchange_n(&l->posted.words[trigger][word], 0, __ATOMIC_ACQUIRE);

        lapic_request(l, word, vectors, trigger);
    }
}

/* In this order: a vector that comes meanwhile may be dropped, but never stays in a word that counts as empty. */
void lapic_drop_posted(struct lapic *l)
{
    __atomic_exchange_n(&l->posted.filled, 0, __ATOMIC_ACQ_REL);
    for (unsigned i = 0; i < LAPIC_VECTOR_WORDS; i++)
        for (unsigned trigger = LAPIC_EDGE; trigger < LAPIC_TRIGGERS; trigger++)
            __atomic_exchange_n(&l->posted.words[trigger][i], 0, __ATOMIC_ACQUIRE);
}

/* The error entry may itself hold an illegal vector: an error raises only when it is new. */
void lapic_report_error(struct lapic *l, uint32_t esr_bits)
{
    uint32_t before = __atomic_fetch_or(&l->errors, esr_bits, __ATOMIC_RELAXED);
    uint32_t entry = lapic_get(l, APIC_LVT_ERROR);

    if ((before | esr_bits) != before && !(entry & APIC_LVT_MASKED))
        lapic_post(l, entry & APIC_VECTOR, LAPIC_EDGE);
}
