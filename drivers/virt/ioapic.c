/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 82093AA (82093AA datasheet, "I/O REDTBL[23:0]"). Edges are sent when they come, and lost when
 * the input is masked, as the datasheet says and operating systems expect. A level goes out once,
 * sets remote IRR, and again only after the EOI of its vector, if it is still asserted.
 */
#include "drivers/virt/ioapic.h"
#include "kernel/lib/assert.h"

#define RTE_LOW_BITS                                                                               \
    (APIC_VECTOR | APIC_DELIVERY | IOAPIC_RTE_LOGICAL | IOAPIC_RTE_ACTIVE_LOW | IOAPIC_RTE_LEVEL | \
     IOAPIC_RTE_MASKED)
#define RTE_HIGH_BITS ((uint64_t)APIC_BROADCAST << IOAPIC_RTE_DEST_SHIFT)

/* Only what ends with an EOI can be level-triggered. */
static bool rte_is_level(uint64_t rte)
{
    return (rte & IOAPIC_RTE_LEVEL) && apic_delivery(rte) <= APIC_DELIVERY_LOWEST;
}

static bool send(struct ioapic *io, unsigned input)
{
    uint64_t rte = io->redirection[input];
    uint32_t destination = (uint32_t)(rte >> IOAPIC_RTE_DEST_SHIFT);
    struct apic_message message = {
        .destination = destination == APIC_BROADCAST ? X2APIC_BROADCAST : destination,
        .vector = rte & APIC_VECTOR,
        .delivery = apic_delivery(rte),
        .is_logical = rte & IOAPIC_RTE_LOGICAL,
        .is_level = rte_is_level(rte),
    };

    return apic_bus_send(io->bus, &message);
}

/* What nobody accepts is tried again at the next occasion. */
static void send_level(struct ioapic *io, unsigned input)
{
    uint64_t rte = io->redirection[input];

    bool is_held = rte & (IOAPIC_RTE_MASKED | IOAPIC_RTE_REMOTE_IRR);

    if ((io->asserted & BIT(input)) && rte_is_level(rte) && !is_held && send(io, input))
        io->redirection[input] |= IOAPIC_RTE_REMOTE_IRR;
}

static void set_line(struct ioapic *io, unsigned input, bool level)
{
    uint64_t before = io->asserted;

    io->asserted = level ? before | BIT(input) : before & ~BIT(input);
    if (rte_is_level(io->redirection[input]))
        send_level(io, input);
    else if ((io->asserted & ~before) && !(io->redirection[input] & IOAPIC_RTE_MASKED))
        send(io, input);
}

void ioapic_set_line(void *ioapic, unsigned input, bool level)
{
    struct ioapic *io = ioapic;

    ASSERT(input < IOAPIC_INPUTS);
    lock_acquire(&io->lock);
    set_line(io, input, level);
    lock_release(&io->lock);
}

/* Returns those of the inputs that were lowered by it. */
static uint64_t end_of_interrupt(struct ioapic *io, uint8_t vector)
{
    uint64_t lowered = 0;

    for (unsigned input = 0; input < IOAPIC_INPUTS; input++) {
        uint64_t *rte = &io->redirection[input];

        if (!(*rte & IOAPIC_RTE_REMOTE_IRR) || (*rte & APIC_VECTOR) != vector)
            continue;
        *rte &= ~IOAPIC_RTE_REMOTE_IRR;
        lowered |= io->sampled & BIT(input);
        io->asserted &= ~lowered;
        send_level(io, input);
    }
    return lowered;
}

static void sample(const struct ioapic *io, uint64_t inputs)
{
    for (; inputs != 0; inputs &= inputs - 1)
        io->sampler.sample(io->sampler.context, (unsigned)__builtin_ctzll(inputs));
}

static void hear_eoi(void *ioapic, uint8_t vector)
{
    struct ioapic *io = ioapic;
    uint64_t lowered;

    lock_acquire(&io->lock);
    lowered = end_of_interrupt(io, vector);
    lock_release(&io->lock);
    sample(io, lowered);
}

void ioapic_sample(struct ioapic *io, uint64_t inputs, const struct ioapic_sampler *sampler)
{
    io->sampled = inputs;
    io->sampler = *sampler;
}

/* --- registers behind the window --- */

/* An entry that turns to edge drops its remote IRR: systems use that to end a level by hand. */
static uint64_t write_redirection(struct ioapic *io, unsigned input, uint64_t rte)
{
    uint64_t lowered = 0;

    if (!rte_is_level(rte)) {
        lowered = rte & IOAPIC_RTE_REMOTE_IRR ? io->sampled & BIT(input) : 0;
        rte &= ~IOAPIC_RTE_REMOTE_IRR;
    }
    io->asserted &= ~lowered;
    io->redirection[input] = rte;
    send_level(io, input);
    return lowered;
}

static uint64_t write_redirection_half(struct ioapic *io, unsigned half, uint32_t value)
{
    uint64_t rte = io->redirection[half / 2];

    if (half % 2)
        rte = (rte & ~RTE_HIGH_BITS) | ((uint64_t)value << 32 & RTE_HIGH_BITS);
    else
        rte = (rte & ~RTE_LOW_BITS) | (value & RTE_LOW_BITS);
    return write_redirection(io, half / 2, rte);
}

static uint32_t window_read(const struct ioapic *io)
{
    unsigned half = io->selected - IOAPIC_REDTBL;

    if (io->selected == IOAPIC_ID || io->selected == IOAPIC_ARB)
        return io->id;
    if (io->selected == IOAPIC_VER)
        return IOAPIC_VERSION | (IOAPIC_INPUTS - 1) << IOAPIC_VER_ENTRIES_SHIFT;
    if (half >= 2 * IOAPIC_INPUTS)
        return 0;
    return (uint32_t)(io->redirection[half / 2] >> (32 * (half % 2)));
}

static uint64_t window_write(struct ioapic *io, uint32_t value)
{
    unsigned half = io->selected - IOAPIC_REDTBL;

    if (half < 2 * IOAPIC_INPUTS)
        return write_redirection_half(io, half, value);
    if (io->selected == IOAPIC_ID)
        io->id = value & IOAPIC_ID_BITS;
    return 0;
}

/* --- MMIO --- */

static uint64_t read_register(const struct ioapic *io, uint64_t offset)
{
    if (offset == IOAPIC_REGSEL)
        return io->selected;
    return offset == IOAPIC_WIN ? window_read(io) : 0;
}

/* The window takes whole doublewords only: a part of one would be a vector to nowhere. Returns the inputs lowered. */
static uint64_t write_register(struct ioapic *io, uint64_t offset, unsigned width, uint64_t value)
{
    if (offset == IOAPIC_WIN && width == sizeof(uint32_t))
        return window_write(io, (uint32_t)value);
    if (offset == IOAPIC_EOI)
        return end_of_interrupt(io, (uint8_t)value);
    if (offset == IOAPIC_REGSEL)
        io->selected = (uint8_t)value;
    return 0;
}

static uint64_t mmio_read(void *device, uint64_t offset, unsigned width)
{
    struct ioapic *io = device;
    uint64_t value;

    (void)width; /* the bus keeps the low bytes */
    lock_acquire(&io->lock);
    value = read_register(io, offset);
    lock_release(&io->lock);
    return value;
}

static void mmio_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    struct ioapic *io = device;
    uint64_t lowered;

    lock_acquire(&io->lock);
    lowered = write_register(io, offset, width, value);
    lock_release(&io->lock);
    sample(io, lowered);
}

const struct io_region_ops ioapic_ops = {mmio_read, mmio_write};

/* --- life --- */

static void reset(struct ioapic *io)
{
    for (unsigned input = 0; input < IOAPIC_INPUTS; input++)
        io->redirection[input] = IOAPIC_RTE_MASKED;
    io->id = 0;
    io->selected = 0;
}

void ioapic_reset(struct ioapic *io)
{
    lock_acquire(&io->lock);
    reset(io);
    lock_release(&io->lock);
}

int ioapic_init(struct ioapic *io, struct apic_bus *bus)
{
    struct apic_eoi_listener listener = {hear_eoi, io};

    *io = (struct ioapic){.bus = bus};
    reset(io);
    return apic_bus_listen(bus, &listener);
}
