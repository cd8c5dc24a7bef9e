/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/lapic_rig.h"

static uint8_t page[PAGE_SIZE] __attribute__((aligned(4096)));
struct lapic lapic;
struct lapic_rig rig;

static void record_send(void *context, const struct apic_message *message)
{
    assert_ptr_equal(context, &lapic);
    rig.sent = *message;
    rig.sends++;
}

static void record_eoi(void *context, uint8_t vector)
{
    assert_ptr_equal(context, &lapic);
    rig.last_eoi = vector;
    rig.eois++;
}

static void record_notify(void *context)
{
    assert_ptr_equal(context, &lapic);
    rig.notifications++;
}

static void record_delivery(void *context, uint8_t delivery, uint8_t vector)
{
    assert_ptr_equal(context, &lapic);
    rig.last_delivery = delivery;
    rig.last_delivered_vector = vector;
    rig.deliveries++;
}

static bool timer_is_here(void *context)
{
    assert_ptr_equal(context, &lapic);
    rig.timers++;
    return !rig.timer_is_elsewhere;
}

static const struct lapic_wiring wiring = {record_send, record_eoi, record_notify, record_delivery, timer_is_here};

uint32_t peek(unsigned offset)
{
    uint32_t value;

    memcpy(&value, page + offset, sizeof value);
    return value;
}

/* As the CPU does where it virtualizes accesses. */
void poke(unsigned offset, uint32_t value)
{
    memcpy(page + offset, &value, sizeof value);
}

uint32_t read32(unsigned offset)
{
    return (uint32_t)lapic_mmio_ops.read(&lapic, offset, 4);
}

void write32(unsigned offset, uint32_t value)
{
    lapic_mmio_ops.write(&lapic, offset, 4, value);
}

bool set_mode(uint64_t bits)
{
    return lapic_set_base(&lapic, APIC_DEFAULT_BASE | APIC_BASE_BSP | bits);
}

void enter_x2apic(void)
{
    assert_true(set_mode(APIC_BASE_EN | APIC_BASE_EXTD));
}

static uint64_t msr_of(unsigned offset)
{
    return MSR_IA32_X2APIC_FIRST + offset / 16;
}

uint64_t rdmsr(unsigned offset)
{
    uint64_t value = 0;

    assert_true(lapic_msr_read(&lapic, (uint32_t)msr_of(offset), &value));
    return value;
}

bool wrmsr(unsigned offset, uint64_t value)
{
    return lapic_msr_write(&lapic, (uint32_t)msr_of(offset), value);
}

bool faults_on_read(unsigned offset)
{
    uint64_t value;

    return !lapic_msr_read(&lapic, (uint32_t)msr_of(offset), &value);
}

bool receive(uint8_t delivery, uint8_t vector, bool is_level)
{
    struct apic_message m = {.delivery = delivery, .vector = vector, .is_level = is_level};

    bool is_accepted = lapic_receive(&lapic, &m);

    lapic_take_posted(&lapic);
    return is_accepted;
}

bool request(uint8_t vector)
{
    return receive(APIC_DELIVERY_FIXED, vector, false);
}

void take(uint8_t vector)
{
    lapic_take_posted(&lapic);
    assert_int_equal(lapic_pending_vector(&lapic), vector);
    lapic_acknowledge(&lapic, vector);
}

void reset_counters(void)
{
    rig = (struct lapic_rig){0};
}

void power_up(uint32_t id, bool is_bsp)
{
    fake_clock_reset();
    fake_clock_advance(LAPIC_RIG_START);
    memset(page, 0xa5, sizeof page);
    lapic_init(&lapic, page, id, is_bsp, &wiring, &lapic);
    reset_counters();
}

int lapic_rig_set_up(void **state)
{
    (void)state;
    power_up(3, true);
    write32(APIC_SVR, APIC_SVR_ENABLE | 0xff);
    reset_counters();
    return 0;
}
