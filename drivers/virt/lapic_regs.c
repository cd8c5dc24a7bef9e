/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC's register file: one table says for each register who may read and write it in
 * which mode, which bits exist, and what a write causes. MMIO, MSRs and the writes that the CPU has
 * made in the page all end in the same effects: a raw value is in the page, the effect makes it
 * well-formed and acts.
 */
#include "drivers/virt/lapic_internal.h"
#include "kernel/lib/string.h"

#define REGISTER_BYTES 16u
#define REGISTER_COUNT (0x400 / REGISTER_BYTES)
#define REGISTER(x)    ((x) / REGISTER_BYTES)
#define REGISTERS(x)   REGISTER(x)... REGISTER(x) + 7

/* In x2APIC mode the CPU looks for the ICR's high half behind the low one. */
#define X2APIC_ICR_HIGH (APIC_ICR_LOW + 4)

#define LVT_ENTRIES 6u
#define MAX_LVT     ((LVT_ENTRIES - 1) << APIC_VERSION_MAX_LVT_SHIFT)
#define VERSION     (APIC_VERSION_INTEGRATED | MAX_LVT | APIC_VERSION_EOI_BROADCAST)

#define SVR_BITS \
    (APIC_SVR_VECTOR | APIC_SVR_ENABLE | APIC_SVR_FOCUS_DISABLED | APIC_SVR_EOI_BROADCAST_DISABLED)
#define LVT_BITS       (APIC_VECTOR | APIC_LVT_MASKED)
#define LVT_TIMER_BITS (LVT_BITS | APIC_LVT_TIMER_MODE)
#define LVT_LINT_BITS  (LVT_BITS | APIC_DELIVERY | APIC_LVT_ACTIVE_LOW | APIC_LVT_LEVEL)
#define LVT_LINT_STATE (APIC_LVT_PENDING | APIC_LVT_REMOTE_IRR)
#define ICR_BITS                                                                         \
    (APIC_VECTOR | APIC_DELIVERY | APIC_ICR_LOGICAL | APIC_ICR_ASSERT | APIC_ICR_LEVEL | \
     APIC_ICR_SHORTHAND)

enum access {
    XAPIC_READ = 1,
    XAPIC_WRITE = 2,
    X2APIC_READ = 4,
    X2APIC_WRITE = 8,
    READ = XAPIC_READ | X2APIC_READ,
    WRITE = XAPIC_WRITE | X2APIC_WRITE,
};

struct apic_register {
    uint8_t access;
    uint32_t bits;    /* that a write sets */
    uint32_t ignored; /* read-only, not reserved: WRMSR takes them, and they change nothing */
    void (*written)(struct lapic *l, unsigned offset);
};

/* --- what writes cause --- */

static void id_written(struct lapic *l, unsigned offset)
{
    lapic_put(l, offset, l->id << APIC_ID_SHIFT); /* read-only, as in every CPU since x2APIC */
}

static void tpr_written(struct lapic *l, unsigned offset)
{
    lapic_set_tpr(l, (uint8_t)lapic_get(l, offset));
}

static void eoi_written(struct lapic *l, unsigned offset)
{
    (void)offset;
    lapic_end_of_interrupt(l);
}

static void dfr_written(struct lapic *l, unsigned offset)
{
    lapic_put(l, offset, lapic_get(l, offset) | APIC_DFR_CLUSTER);
}

static void nothing_more(struct lapic *l, unsigned offset)
{
    (void)l;
    (void)offset;
}

static const uint16_t lvt_offsets[LVT_ENTRIES] = {
    APIC_LVT_TIMER, APIC_LVT_THERMAL, APIC_LVT_PMC, APIC_LVT_LINT0, APIC_LVT_LINT1, APIC_LVT_ERROR,
};

static void mask_lvt(struct lapic *l, unsigned offset)
{
    lapic_put(l, offset, lapic_get(l, offset) | APIC_LVT_MASKED);
}

static void svr_written(struct lapic *l, unsigned offset)
{
    (void)offset;
    if (!lapic_is_software_enabled(l))
        for (unsigned i = 0; i < LVT_ENTRIES; i++)
            mask_lvt(l, lvt_offsets[i]);
    l->wiring->notify(l->context); /* what was held may go now, or the PIC has lost its wire */
}

/* A write makes the errors since the last one visible. */
static void esr_written(struct lapic *l, unsigned offset)
{
    lapic_put(l, offset, __atomic_exchange_n(&l->errors, 0, __ATOMIC_RELAXED));
}

static void lvt_written(struct lapic *l, unsigned offset)
{
    if (!lapic_is_software_enabled(l))
        mask_lvt(l, offset);
}

static void lvt_timer_written(struct lapic *l, unsigned offset)
{
    lvt_written(l, offset);
    lapic_timer_lvt_written(l);
}

static void lvt_lint_written(struct lapic *l, unsigned offset)
{
    lvt_written(l, offset);
    l->wiring->notify(l->context); /* the PIC may have got its wire */
}

static void timer_initial_written(struct lapic *l, unsigned offset)
{
    (void)offset;
    lapic_timer_initial_written(l);
}

static void timer_divide_written(struct lapic *l, unsigned offset)
{
    (void)offset;
    lapic_timer_divide_written(l);
}

/* --- interprocessor interrupts --- */

static bool has_vector(uint8_t delivery)
{
    return delivery == APIC_DELIVERY_FIXED || delivery == APIC_DELIVERY_LOWEST;
}

static void send(struct lapic *l, const struct apic_message *message)
{
    if (has_vector(message->delivery) && message->vector < APIC_VECTOR_MIN)
        lapic_report_error(l, APIC_ESR_SEND_ILLEGAL_VECTOR);
    else if (message->shorthand == APIC_ICR_SELF)
        lapic_receive(l, message);
    else
        l->wiring->send(l->context, message);
}

static void self_ipi_written(struct lapic *l, unsigned offset)
{
    struct apic_message message = {
        .vector = (uint8_t)lapic_get(l, offset),
        .delivery = APIC_DELIVERY_FIXED,
        .shorthand = APIC_ICR_SELF,
        .sender = l,
    };

    lapic_put(l, offset, 0); /* write-only */
    send(l, &message);
}

static uint32_t icr_destination(const struct lapic *l)
{
    uint32_t destination;

    if (lapic_is_x2apic(l))
        return lapic_get(l, X2APIC_ICR_HIGH);
    destination = lapic_get(l, APIC_ICR_HIGH) >> APIC_ID_SHIFT;
    return destination == APIC_BROADCAST ? X2APIC_BROADCAST : destination;
}

static bool is_init_deassert(uint32_t icr)
{
    return (icr & (APIC_DELIVERY | APIC_ICR_LEVEL | APIC_ICR_ASSERT)) ==
           (APIC_ICR_DELIVERY_INIT | APIC_ICR_LEVEL);
}

/* IPIs are edges; the level bits only tell the INIT de-assert apart, which nobody acts on. */
static void icr_written(struct lapic *l, unsigned offset)
{
    uint32_t icr = lapic_get(l, offset);
    struct apic_message message = {
        .destination = icr_destination(l),
        .shorthand = icr & APIC_ICR_SHORTHAND,
        .sender = l,
        .vector = icr & APIC_VECTOR,
        .delivery = apic_delivery(icr),
        .is_logical = icr & APIC_ICR_LOGICAL,
    };

    if (!is_init_deassert(icr) && message.delivery != APIC_DELIVERY_EXTINT) /* reserved in an ICR */
        send(l, &message);
}

/* --- the table --- */

/* clang-format off */
static const struct apic_register registers[REGISTER_COUNT] = {
    [REGISTER(APIC_ID)]            = {READ | XAPIC_WRITE, 0, 0, id_written},
    [REGISTER(APIC_VERSION)]       = {READ, 0, 0, NULL},
    [REGISTER(APIC_TPR)]           = {READ | WRITE, 0xff, 0, tpr_written},
    [REGISTER(APIC_PPR)]           = {READ, 0, 0, NULL},
    [REGISTER(APIC_EOI)]           = {XAPIC_READ | WRITE, 0, 0, eoi_written},
    [REGISTER(APIC_LDR)]           = {READ | XAPIC_WRITE, 0xff000000, 0, nothing_more},
    [REGISTER(APIC_DFR)]           = {XAPIC_READ | XAPIC_WRITE, 0xf0000000, 0, dfr_written},
    [REGISTER(APIC_SVR)]           = {READ | WRITE, SVR_BITS, 0, svr_written},
    [REGISTERS(APIC_ISR)]          = {READ, 0, 0, NULL},
    [REGISTERS(APIC_TMR)]          = {READ, 0, 0, NULL},
    [REGISTERS(APIC_IRR)]          = {READ, 0, 0, NULL},
    [REGISTER(APIC_ESR)]           = {READ | WRITE, 0, 0, esr_written},
    [REGISTER(APIC_ICR_LOW)]       = {READ | WRITE, ICR_BITS, 0, icr_written},
    [REGISTER(APIC_ICR_HIGH)]      = {XAPIC_READ | XAPIC_WRITE, 0xff000000, 0, nothing_more},
    [REGISTER(APIC_LVT_TIMER)]     = {READ | WRITE, LVT_TIMER_BITS, APIC_LVT_PENDING, lvt_timer_written},
    [REGISTER(APIC_LVT_THERMAL)]   = {READ | WRITE, LVT_BITS | APIC_DELIVERY, APIC_LVT_PENDING, lvt_written},
    [REGISTER(APIC_LVT_PMC)]       = {READ | WRITE, LVT_BITS | APIC_DELIVERY, APIC_LVT_PENDING, lvt_written},
    [REGISTER(APIC_LVT_LINT0)]     = {READ | WRITE, LVT_LINT_BITS, LVT_LINT_STATE, lvt_lint_written},
    [REGISTER(APIC_LVT_LINT1)]     = {READ | WRITE, LVT_LINT_BITS, LVT_LINT_STATE, lvt_lint_written},
    [REGISTER(APIC_LVT_ERROR)]     = {READ | WRITE, LVT_BITS, APIC_LVT_PENDING, lvt_written},
    [REGISTER(APIC_TIMER_INITIAL)] = {READ | WRITE, 0xffffffff, 0, timer_initial_written},
    [REGISTER(APIC_TIMER_CURRENT)] = {READ, 0, 0, NULL},
    [REGISTER(APIC_TIMER_DIVIDE)]  = {READ | WRITE, APIC_TIMER_DIVIDE_BITS, 0, timer_divide_written},
    [REGISTER(APIC_SELF_IPI)]      = {X2APIC_WRITE, APIC_VECTOR, 0, self_ipi_written},
};
/* clang-format on */

static const struct apic_register *find_register(uint64_t offset, unsigned access)
{
    uint64_t index = offset / REGISTER_BYTES;

    return index < REGISTER_COUNT && (registers[index].access & access) ? &registers[index] : NULL;
}

static uint32_t read_register(struct lapic *l, unsigned offset)
{
    if (offset == APIC_PPR)
        return lapic_ppr(l);
    if (offset == APIC_TIMER_CURRENT)
        return lapic_timer_current(l);
    return lapic_get(l, offset);
}

static void act_on_write(struct lapic *l, const struct apic_register *r, unsigned offset)
{
    lapic_put(l, offset, lapic_get(l, offset) & r->bits);
    r->written(l, offset);
}

void lapic_write_trapped(struct lapic *l, uint32_t offset)
{
    unsigned access = lapic_is_x2apic(l) ? X2APIC_WRITE : XAPIC_WRITE;
    const struct apic_register *r = find_register(offset, access);

    if (r && lapic_is_enabled(l))
        act_on_write(l, r, ALIGN_DOWN(offset, REGISTER_BYTES));
}

/* --- MMIO --- */

static bool answers_mmio(const struct lapic *l)
{
    return lapic_is_enabled(l) && !lapic_is_x2apic(l);
}

static uint64_t mmio_read(void *device, uint64_t offset, unsigned width)
{
    struct lapic *l = device;
    unsigned byte = offset % REGISTER_BYTES;

    if (!answers_mmio(l))
        return UINT64_MAX;
    if (!find_register(offset, XAPIC_READ | XAPIC_WRITE)) {
        lapic_report_error(l, APIC_ESR_ILLEGAL_REGISTER);
        return 0;
    }
    if (byte + width > sizeof(uint32_t))
        return 0;
    return read_register(l, (unsigned)(offset - byte)) >> (8 * byte);
}

/* Other writes than of aligned doublewords are undefined by the manual: they change nothing. */
static void mmio_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    struct lapic *l = device;
    const struct apic_register *r;

    if (!answers_mmio(l))
        return;
    if (!find_register(offset, XAPIC_READ | XAPIC_WRITE)) {
        lapic_report_error(l, APIC_ESR_ILLEGAL_REGISTER);
        return;
    }
    r = find_register(offset, XAPIC_WRITE);
    if (!r || width != sizeof(uint32_t) || offset % REGISTER_BYTES != 0)
        return;
    lapic_put(l, (unsigned)offset, (uint32_t)value);
    act_on_write(l, r, (unsigned)offset);
}

const struct io_region_ops lapic_mmio_ops = {mmio_read, mmio_write};

/* --- x2APIC MSRs --- */

static const struct apic_register *find_msr(const struct lapic *l, uint32_t index, unsigned access)
{
    if (!lapic_is_x2apic(l) || index < MSR_IA32_X2APIC_FIRST)
        return NULL;
    return find_register((uint64_t)(index - MSR_IA32_X2APIC_FIRST) * REGISTER_BYTES, access);
}

static unsigned msr_offset(uint32_t index)
{
    return (index - MSR_IA32_X2APIC_FIRST) * REGISTER_BYTES;
}

bool lapic_msr_read(struct lapic *l, uint32_t index, uint64_t *value)
{
    if (!find_msr(l, index, X2APIC_READ))
        return false;
    *value = read_register(l, msr_offset(index));
    if (msr_offset(index) == APIC_ICR_LOW)
        *value |= (uint64_t)lapic_get(l, X2APIC_ICR_HIGH) << 32;
    return true;
}

bool lapic_msr_write(struct lapic *l, uint32_t index, uint64_t value)
{
    const struct apic_register *r = find_msr(l, index, X2APIC_WRITE);
    bool is_icr = msr_offset(index) == APIC_ICR_LOW;

    if (!r || ((uint32_t)value & ~(r->bits | r->ignored)) || (value >> 32 && !is_icr))
        return false;
    if (is_icr)
        lapic_put(l, X2APIC_ICR_HIGH, (uint32_t)(value >> 32));
    lapic_put(l, msr_offset(index), (uint32_t)value);
    act_on_write(l, r, msr_offset(index));
    return true;
}

/* --- reset and modes --- */

/* SDM 3A, "Logical Destination Mode in x2APIC Mode": the logical ID follows from the ID. */
static uint32_t x2apic_logical_id(uint32_t id)
{
    return (id >> 4) << 16 | 1u << (id & 15);
}

void lapic_registers_enter_mode(struct lapic *l)
{
    bool is_x2apic = lapic_is_x2apic(l);

    lapic_put(l, APIC_ID, is_x2apic ? l->id : l->id << APIC_ID_SHIFT);
    lapic_put(l, APIC_LDR, is_x2apic ? x2apic_logical_id(l->id) : 0);
    lapic_put(l, APIC_ICR_HIGH, 0);
    lapic_put(l, X2APIC_ICR_HIGH, 0);
}

/* SDM 3A, "Local APIC State After Power-Up or Reset". */
void lapic_registers_reset(struct lapic *l)
{
    memset(l->page, 0, PAGE_SIZE);
    lapic_put(l, APIC_VERSION, VERSION);
    lapic_put(l, APIC_DFR, APIC_DFR_FLAT);
    lapic_put(l, APIC_SVR, APIC_SVR_VECTOR);
    for (unsigned i = 0; i < LVT_ENTRIES; i++)
        mask_lvt(l, lvt_offsets[i]);
    __atomic_store_n(&l->errors, 0, __ATOMIC_RELAXED);
    lapic_drop_posted(l);
    l->may_have_irr = l->keeps_irr_hint;
    l->level_vectors_changed = true;
    lapic_timer_reset(l);
}
