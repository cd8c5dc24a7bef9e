/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC that a guest sees, as xAPIC (MMIO) and as x2APIC (MSRs): SDM 3A, "Advanced
 * Programmable Interrupt Controller". All registers live in one 4 KiB page in the layout of the
 * hardware's virtual-APIC page (SDM 3C, "APIC Virtualization and Virtual Interrupts"), so that one
 * model serves three ways to run a vCPU:
 *   - every access comes here (lapic_mmio_ops, lapic_msr_read, lapic_msr_write);
 *   - the CPU itself changes the TPR in the page; lapic_tpr_threshold says when to look again;
 *   - the CPU reads and writes most registers in the page and delivers interrupts by itself
 *     (lapic_use_virtual_delivery); we hear of a write after it was made (lapic_write_trapped).
 * Hence the rule of the files: what the CPU may change (TPR, PPR, ISR, IRR, ICR) is never cached.
 *
 * In x2APIC mode the page holds the 64-bit ICR in the 8 bytes at APIC_ICR_LOW, where the CPU's
 * virtualized RDMSR looks for it. APIC_TIMER_CURRENT exists only as a read that comes here, so the
 * owner keeps that MSR, and those that do not exist, intercepted.
 *
 * CPUs: a page belongs to the CPU that runs its vCPU, and nobody else writes to it, for the hardware
 * may be at it; only other CPUs' hardware may set bits of its IRR, where it sends IPIs by itself.
 * What others send waits in struct lapic_posted; notify makes the owner come and
 * take it (lapic_take_posted) before it decides what the guest gets. Any CPU may call
 * lapic_receive, lapic_set_lint (one at a time for a pin), lapic_priority, lapic_accepts_fixed and
 * lapic_matches_logical; these read registers that the guest may be changing, as a message on a
 * real bus does. Everything else is the owner's.
 */
#ifndef DRIVERS_VIRT_LAPIC_H
#define DRIVERS_VIRT_LAPIC_H

#include "arch/x86/apic_regs.h"
#include "arch/x86/msr.h"
#include "kernel/io_bus.h"
#include "kernel/lib/types.h"
#include "kernel/timer.h"

struct lapic;

/* What travels between local APICs, IOAPICs and MSI sources. */
struct apic_message {
    uint32_t destination;       /* an 8-bit sender widens its 0xff to X2APIC_BROADCAST */
    uint32_t shorthand;         /* 0, or APIC_ICR_SELF, _ALL, _ALL_BUT_SELF in its stead */
    const struct lapic *sender; /* of an IPI, for shorthands */
    uint8_t vector;
    uint8_t delivery; /* APIC_DELIVERY_* */
    bool is_logical;
    bool is_level;
};

/* The delivery mode of an ICR, an LVT or redirection entry, or an MSI's data. */
static inline uint8_t apic_delivery(uint64_t bits)
{
    return (uint8_t)((bits & APIC_DELIVERY) >> APIC_DELIVERY_SHIFT);
}

/* What the owner does for its local APIC. */
struct lapic_wiring {
    /* Routes an IPI. */
    void (*send)(void *context, const struct apic_message *message);
    /* Tells the IOAPICs that a level-triggered vector has been serviced. */
    void (*broadcast_eoi)(void *context, uint8_t vector);
    /* Called on any CPU: something may be deliverable now, look again before the guest goes on. */
    void (*notify)(void *context);
    /* Called on any CPU: NMI, INIT, STARTUP or EXTINT (APIC_DELIVERY_*) has reached this one. */
    void (*deliver)(void *context, uint8_t delivery, uint8_t vector);
    /*
     * Called where the timer was armed, which need not be where the vCPU is by now. true: it is here;
     * false: it was told, and calls lapic_timer_expired.
     */
    bool (*timer_is_here)(void *context);
};

#define LAPIC_VECTOR_WORDS 8u /* of 32 vectors each */

enum lapic_trigger { LAPIC_EDGE, LAPIC_LEVEL, LAPIC_TRIGGERS };

/*
 * Vectors on their way in from other CPUs. A sender sets the vector's bit and then that of its word; the owner clears
 * the word's bit and then takes the word, so that no order of the two loses a vector. The trigger modes have words of
 * their own, so that a vector and its mode are one atomic operation.
 */
struct lapic_posted {
    uint32_t words[LAPIC_TRIGGERS][LAPIC_VECTOR_WORDS];
    uint32_t filled; /* words that may hold something, as bits: those of edges, then those of levels */
};

struct lapic {
    uint8_t *page;
    uint64_t base; /* IA32_APIC_BASE */
    uint32_t id;
    bool may_have_irr;   /* false only if the page's IRR is empty: one compare says so */
    bool keeps_irr_hint; /* the CPU sets IRR bits without telling: the hint stays true */
    bool level_vectors_changed;
    bool lint[2];    /* the input pins */
    uint32_t errors; /* since the ESR was last written; any CPU */
    const struct lapic_wiring *wiring;
    void *context;

    struct timer timer;
    uint32_t timer_mode;  /* of the running timer: bits of APIC_LVT_TIMER_MODE */
    unsigned timer_shift; /* one count is 1 << timer_shift ticks of the TSC */
    uint32_t timer_count; /* what it counts down from (the register may change first); 0: stopped */
    uint64_t timer_start; /* host TSC at which the current period began */
    uint64_t tsc_deadline; /* guest TSC; 0: disarmed */
    int64_t tsc_offset;    /* guest TSC = host TSC + tsc_offset */

    struct lapic_posted posted; /* last: other CPUs write to it */
};

enum lapic_reset_kind {
    LAPIC_POWER_UP, /* also enters xAPIC mode */
    LAPIC_INIT,     /* keeps IA32_APIC_BASE, and so the mode */
};

/* page: 4 KiB, aligned, the caller's. Powers up. The id is the same in both modes. */
void lapic_init(struct lapic *l, void *page, uint32_t id, bool is_bsp,
                const struct lapic_wiring *wiring, void *context);
/* The boot CPU's LINT0 comes up as ExtINT, unmasked: firmware leaves it so to a PIC-only kernel. */
void lapic_reset(struct lapic *l, enum lapic_reset_kind kind);

/* From now on the CPU evaluates, delivers and ends interrupts in the page by itself. */
void lapic_use_virtual_delivery(struct lapic *l);

/* --- the guest's accesses --- */

/* The 4 KiB at APIC_DEFAULT_BASE, widths 1, 2 and 4. Silent (all ones) unless in xAPIC mode. */
extern const struct io_region_ops lapic_mmio_ops;

/* MSRs 0x800 to 0x8ff. false: #GP (not in x2APIC mode, no such register, reserved bits). */
bool lapic_msr_read(struct lapic *l, uint32_t index, uint64_t *value);
bool lapic_msr_write(struct lapic *l, uint32_t index, uint64_t value);

/* IA32_APIC_BASE. false: #GP (illegal transition, reserved bits, another address). */
bool lapic_set_base(struct lapic *l, uint64_t value);

/* The guest's write is in the page already: makes it well-formed and does what it asks for. */
void lapic_write_trapped(struct lapic *l, uint32_t offset);
/* The CPU has ended vector by itself, and it is one of lapic_level_vectors. */
void lapic_eoi_induced(struct lapic *l, uint8_t vector);

/* --- priorities and delivery --- */

/* Is there something from other CPUs to take? */
static inline bool lapic_has_posted(const struct lapic *l)
{
    return __atomic_load_n(&l->posted.filled, __ATOMIC_RELAXED) != 0;
}

/* Puts it into IRR and TMR. The caller decides anew what to deliver: nobody is notified for it once more. */
void lapic_take_posted(struct lapic *l);

/* May the IRR hold something? Never wrongly false. What was posted counts once it is taken. */
static inline bool lapic_has_irr(const struct lapic *l)
{
    return l->may_have_irr;
}

int lapic_highest_irr(struct lapic *l); /* -1: none */
int lapic_highest_isr(const struct lapic *l);
/* Is anything but this vector in service? */
bool lapic_serves_others(const struct lapic *l, uint8_t vector);
uint8_t lapic_ppr(struct lapic *l);            /* recomputed, and stored in the page */
uint8_t lapic_priority(const struct lapic *l); /* the same, but only computed */
int lapic_pending_vector(struct lapic *l);     /* deliverable now; -1: none */
void lapic_acknowledge(struct lapic *l, uint8_t vector);

/* The whole register; CR8 is its bits 7:4. */
uint8_t lapic_tpr(const struct lapic *l);
void lapic_set_tpr(struct lapic *l, uint8_t tpr);
/* An interrupt waits until bits 7:4 of the TPR fall below this; 0: none waits for the TPR. */
uint8_t lapic_tpr_threshold(struct lapic *l);

/* The vectors whose EOI the IOAPICs want to hear of, as the four EOI-exit bitmaps. */
void lapic_level_vectors(const struct lapic *l, uint64_t eoi_exit_bitmap[4]);
bool lapic_is_level(const struct lapic *l, uint8_t vector);
/* Have they changed since this was last asked? */
bool lapic_take_level_vectors_change(struct lapic *l);

/* --- messages and pins --- */

/*
 * Returns whether it was accepted. The destination is not looked at. What the local APIC itself has sent is for the
 * owner, who is here: it goes into the page at once. All else is posted.
 */
bool lapic_receive(struct lapic *l, const struct apic_message *message);
/* Is it enabled, in IA32_APIC_BASE and by software? */
bool lapic_accepts_fixed(const struct lapic *l);
bool lapic_matches_logical(const struct lapic *l, uint32_t destination);

/*
 * LINT0 or LINT1 (pin 0 or 1): an irq_line's sink. A fixed LVT entry is taken as edge-triggered. An
 * ExtINT is only announced: the PIC's output and lapic_accepts_extint decide when the CPU acts.
 */
void lapic_set_lint(void *lapic, unsigned pin, bool level);
/* Does the PIC's INTR reach this CPU? */
bool lapic_accepts_extint(const struct lapic *l);

static inline bool lapic_is_enabled(const struct lapic *l)
{
    return l->base & APIC_BASE_EN;
}

static inline bool lapic_is_x2apic(const struct lapic *l)
{
    return l->base & APIC_BASE_EXTD;
}

/* --- the timer (lapic_timer.c) --- */

/* IA32_TSC_DEADLINE; outside TSC-deadline mode it reads 0 and swallows writes. */
static inline uint64_t lapic_tsc_deadline(const struct lapic *l)
{
    return l->tsc_deadline;
}

/* The timer has fired on another CPU. It may have been armed anew since: fires only what is due. */
void lapic_timer_expired(struct lapic *l);
void lapic_set_tsc_deadline(struct lapic *l, uint64_t guest_tsc);
/* Moves an armed deadline along. */
void lapic_set_tsc_offset(struct lapic *l, int64_t offset);

#endif
