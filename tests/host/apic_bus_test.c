/* SPDX-License-Identifier: BSD-2-Clause */
/* Theory: a message reaches exactly those local APICs that the manual's addressing names, in
 * whatever modes they are. */
#include "tests/host/fake/fake.h"
#include "drivers/virt/apic_bus.h"
#include <errno.h>

#define CPUS 20u

static uint8_t pages[APIC_BUS_LAPICS_MAX][PAGE_SIZE] __attribute__((aligned(4096)));
static struct lapic lapics[APIC_BUS_LAPICS_MAX];
static unsigned cpus; /* that are on the bus */
static struct apic_bus bus;
static uint64_t notified, delivered; /* who, as bits */
static uint8_t last_delivery;

static uint64_t bit_of(void *context)
{
    return BIT((struct lapic *)context - lapics);
}

static void route(void *context, const struct apic_message *message)
{
    (void)context;
    apic_bus_send(&bus, message);
}

static void route_eoi(void *context, uint8_t vector)
{
    (void)context;
    apic_bus_broadcast_eoi(&bus, vector);
}

static void record_notify(void *context)
{
    notified |= bit_of(context);
}

static void record_delivery(void *context, uint8_t delivery, uint8_t vector)
{
    (void)vector;
    delivered |= bit_of(context);
    last_delivery = delivery;
}

static bool timer_is_here(void *context)
{
    (void)context;
    return true;
}

static const struct lapic_wiring wiring = {route, route_eoi, record_notify, record_delivery, timer_is_here};

static void write32(unsigned cpu, unsigned offset, uint32_t value)
{
    lapic_mmio_ops.write(&lapics[cpu], offset, 4, value);
}

static void enter_x2apic(unsigned cpu)
{
    assert_true(lapic_set_base(&lapics[cpu], APIC_DEFAULT_BASE | APIC_BASE_EN | APIC_BASE_EXTD));
}

static int attach(unsigned count)
{
    fake_clock_reset();
    apic_bus_init(&bus);
    cpus = count;
    for (unsigned i = 0; i < count; i++) {
        lapic_init(&lapics[i], pages[i], i, i == 0, &wiring, &lapics[i]);
        write32(i, APIC_SVR, APIC_SVR_ENABLE | 0xff);
        assert_int_equal(apic_bus_attach(&bus, &lapics[i]), 0);
    }
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return attach(CPUS);
}

static int set_up_all(void **state)
{
    (void)state;
    return attach(APIC_BUS_LAPICS_MAX);
}

/* Who has got something fixed since the last call; takes it away. */
static uint64_t receivers(uint8_t vector)
{
    uint64_t set = 0;

    for (unsigned i = 0; i < cpus; i++) {
        lapic_take_posted(&lapics[i]);
        if (lapic_highest_irr(&lapics[i]) != vector)
            continue;
        set |= BIT(i);
        lapic_acknowledge(&lapics[i], vector);
        if (lapic_is_x2apic(&lapics[i]))
            assert_true(lapic_msr_write(&lapics[i], MSR_IA32_X2APIC_FIRST + APIC_EOI / 16, 0));
        else
            write32(i, APIC_EOI, 0);
    }
    return set;
}

static uint64_t send_to(uint32_t destination, bool is_logical)
{
    struct apic_message m = {.destination = destination, .is_logical = is_logical, .vector = 0x40};
    uint64_t set;
    bool is_accepted = apic_bus_send(&bus, &m);

    set = receivers(0x40);
    assert_int_equal(is_accepted, set != 0);
    return set;
}

#define ALL (BIT(CPUS) - 1)

static void attaching_has_limits(void **state)
{
    static uint8_t page[PAGE_SIZE] __attribute__((aligned(4096)));
    struct apic_eoi_listener nobody = {0};
    struct lapic far, twin;

    (void)state;
    lapic_init(&far, page, APIC_BUS_LAPICS_MAX, false, &wiring, &far);
    assert_int_equal(apic_bus_attach(&bus, &far), -EINVAL);
    lapic_init(&twin, page, 3, false, &wiring, &twin);
    assert_int_equal(apic_bus_attach(&bus, &twin), -EEXIST);
    for (unsigned i = 0; i < APIC_BUS_IOAPICS_MAX; i++)
        assert_int_equal(apic_bus_listen(&bus, &nobody), 0);
    assert_int_equal(apic_bus_listen(&bus, &nobody), -ENOSPC);
}

static void physical_is_one_or_all(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CPUS; i++)
        assert_int_equal(send_to(i, false), BIT(i));
    assert_int_equal(send_to(CPUS, false), 0);
    assert_int_equal(send_to(APIC_BUS_LAPICS_MAX, false), 0);
    assert_int_equal(send_to(0x80000000, false), 0);
    assert_int_equal(send_to(X2APIC_BROADCAST, false), ALL);
    assert_int_equal(send_to(0xff, false), 0); /* 8-bit senders have widened theirs */
}

static void flat_is_a_mask(void **state)
{
    (void)state;
    assert_int_equal(send_to(0x01, true), 0); /* nobody has a logical ID yet */
    for (unsigned i = 0; i < 8; i++)
        write32(i, APIC_LDR, 1u << (24 + i));
    assert_int_equal(send_to(0x81, true), 0x81);
    assert_int_equal(send_to(0x10, true), 0x10);
    assert_int_equal(send_to(0, true), 0);
    assert_int_equal(send_to(0x101, true), 0);
    assert_int_equal(send_to(X2APIC_BROADCAST, true), ALL);
}

static void clusters_are_groups_of_four(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CPUS; i++) {
        write32(i, APIC_DFR, APIC_DFR_CLUSTER);
        write32(i, APIC_LDR, (i / 4 << 4 | 1u << i % 4) << 24);
    }
    assert_int_equal(send_to(0x0f, true), 0x0000f);
    assert_int_equal(send_to(0x2a, true), 0x00a00);
    assert_int_equal(send_to(0x41, true), BIT(16));
    assert_int_equal(send_to(0x50, true), 0);
    assert_int_equal(send_to(0x5f, true), 0);
    assert_int_equal(send_to(0x121, true), 0);
}

static void x2apic_clusters_are_groups_of_sixteen(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CPUS; i++)
        enter_x2apic(i);
    assert_int_equal(send_to(0x00008001, true), 0x8001);
    assert_int_equal(send_to(0x00010006, true), 6ull << 16);
    assert_int_equal(send_to(0x0001ffff, true), 0xfull << 16);
    assert_int_equal(send_to(0x00020001, true), 0);
    assert_int_equal(send_to(X2APIC_BROADCAST, true), ALL);
    assert_int_equal(send_to(17, false), BIT(17));
}

static void modes_may_be_mixed(void **state)
{
    (void)state;
    enter_x2apic(1);
    write32(0, APIC_LDR, 0x02000000);
    assert_int_equal(send_to(0x02, true), 0x3); /* flat bit 1 of CPU 0, and member 1 of cluster 0 */
}

static uint64_t shorthand(unsigned cpu, uint32_t bits)
{
    write32(cpu, APIC_ICR_LOW, bits | 0x40);
    return receivers(0x40);
}

static void shorthands_name_the_sender(void **state)
{
    struct apic_message m = {.shorthand = APIC_ICR_SELF, .sender = &lapics[9], .vector = 0x40};

    (void)state;
    assert_int_equal(shorthand(5, APIC_ICR_SELF), BIT(5));
    assert_int_equal(shorthand(5, APIC_ICR_ALL), ALL);
    assert_int_equal(shorthand(5, APIC_ICR_ALL_BUT_SELF), ALL & ~BIT(5));
    assert_true(apic_bus_send(&bus, &m));
    assert_int_equal(receivers(0x40), BIT(9));
    delivered = 0;
    write32(2, APIC_ICR_LOW, APIC_ICR_DELIVERY_INIT | APIC_ICR_ASSERT | APIC_ICR_ALL_BUT_SELF);
    assert_int_equal(delivered, ALL & ~BIT(2));
    assert_int_equal(last_delivery, APIC_DELIVERY_INIT);
}

static void an_ipi_travels_by_both_registers(void **state)
{
    (void)state;
    write32(3, APIC_ICR_HIGH, 7u << 24);
    delivered = 0;
    write32(3, APIC_ICR_LOW, APIC_ICR_DELIVERY_NMI | APIC_ICR_ASSERT);
    assert_int_equal(delivered, BIT(7));
    assert_int_equal(last_delivery, APIC_DELIVERY_NMI);
    enter_x2apic(4);
    assert_true(
        lapic_msr_write(&lapics[4], MSR_IA32_X2APIC_FIRST + APIC_ICR_LOW / 16, 19ull << 32 | 0x40));
    assert_int_equal(receivers(0x40), BIT(19));
}

static uint64_t send_lowest(uint32_t destination)
{
    struct apic_message m = {.destination = destination,
                             .is_logical = true,
                             .delivery = APIC_DELIVERY_LOWEST,
                             .vector = 0x40};

    apic_bus_send(&bus, &m);
    return receivers(0x40);
}

static void lowest_priority_is_one_and_takes_turns(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++)
        write32(i, APIC_LDR, 1u << (24 + i));
    for (unsigned turn = 0; turn < 3; turn++) {
        assert_int_equal(send_lowest(0x26), BIT(1));
        assert_int_equal(send_lowest(0x26), BIT(2));
        assert_int_equal(send_lowest(0x26), BIT(5));
    }
    write32(1, APIC_TPR, 0x30);
    write32(2, APIC_TPR, 0x1f);
    write32(5, APIC_TPR, 0x20);
    assert_int_equal(send_lowest(0x26), BIT(2));
    assert_int_equal(send_lowest(0x26), BIT(2));
    write32(2, APIC_SVR, 0xff); /* out of the game */
    assert_int_equal(send_lowest(0x26), BIT(5));
    assert_int_equal(send_lowest(0x04), 0);
    assert_int_equal(send_lowest(0), 0);
}

static void service_counts_as_priority(void **state)
{
    (void)state;
    write32(0, APIC_LDR, 0x01000000);
    write32(1, APIC_LDR, 0x02000000);
    lapic_acknowledge(&lapics[0], 0x80);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(send_lowest(0x03), BIT(1));
}

static void msis_say_who_and_how(void **state)
{
    (void)state;
    write32(0, APIC_LDR, 0x01000000);
    write32(1, APIC_LDR, 0x02000000);
    assert_true(apic_bus_send_msi(&bus, 0xfee07000, 0x40));
    assert_int_equal(receivers(0x40), BIT(7));
    assert_true(apic_bus_send_msi(&bus, 0xfeeff000, 0x40));
    assert_int_equal(receivers(0x40), ALL);
    assert_true(apic_bus_send_msi(&bus, 0xfee03000 | MSI_ADDRESS_LOGICAL, 0x40));
    assert_int_equal(receivers(0x40), 3);
    assert_true(
        apic_bus_send_msi(&bus, 0xfee03000 | MSI_ADDRESS_LOGICAL | MSI_ADDRESS_REDIRECT, 0x40));
    assert_int_equal(__builtin_popcountll(receivers(0x40)), 1);
    assert_true(
        apic_bus_send_msi(&bus, 0xfee03000 | MSI_ADDRESS_LOGICAL, APIC_ICR_DELIVERY_LOWEST | 0x40));
    assert_int_equal(__builtin_popcountll(receivers(0x40)), 1);
    delivered = 0;
    assert_true(apic_bus_send_msi(&bus, 0xfee02000, APIC_ICR_DELIVERY_NMI));
    assert_int_equal(delivered, BIT(2));
}

static void what_is_no_msi_goes_nowhere(void **state)
{
    (void)state;
    assert_false(apic_bus_send_msi(&bus, 0xfed00000, 0x40));
    assert_false(apic_bus_send_msi(&bus, 0xfef00000, 0x40));
    assert_false(apic_bus_send_msi(&bus, 0x1fee00000, 0x40));
    assert_false(apic_bus_send_msi(&bus, 0xfee00000, 0x0f));
    assert_false(apic_bus_send_msi(&bus, 0xfee00000, MSI_DATA_LEVEL | 0x40)); /* a de-assert */
    assert_int_equal(receivers(0x40), 0);
    assert_true(apic_bus_send_msi(&bus, 0xfee00000, MSI_DATA_LEVEL | MSI_DATA_ASSERT | 0x40));
    assert_int_equal(receivers(0x40), 1);
}

/* The farthest corner of each way to address. */
static void the_64th_is_one_like_any_other(void **state)
{
    (void)state;
    assert_int_equal(send_to(63, false), BIT(63));
    assert_int_equal(send_to(X2APIC_BROADCAST, false), UINT64_MAX);
    assert_int_equal(shorthand(63, APIC_ICR_ALL_BUT_SELF), ~BIT(63));
    assert_int_equal(shorthand(63, APIC_ICR_SELF), BIT(63));
    assert_true(apic_bus_send_msi(&bus, MSI_ADDRESS_BASE | 63 << MSI_ADDRESS_DEST_SHIFT, 0x40));
    assert_int_equal(receivers(0x40), BIT(63));
    for (unsigned i = 0; i < 60; i++) { /* clusters 0 to 14 of four members */
        write32(i, APIC_DFR, APIC_DFR_CLUSTER);
        write32(i, APIC_LDR, (i / 4 << 4 | 1u << i % 4) << 24);
    }
    assert_int_equal(send_to(0xe8, true), BIT(59));
    for (unsigned i = 0; i < 64; i++)
        enter_x2apic(i);
    assert_int_equal(send_to(0x00038000, true), BIT(63));
    assert_int_equal(send_to(0x0003ffff, true), UINT64_MAX << 48);
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(send_to(i, false), BIT(i));
}

static unsigned eois[APIC_BUS_IOAPICS_MAX];

static void count_eoi(void *chip, uint8_t vector)
{
    assert_int_equal(vector, 0x40);
    ++*(unsigned *)chip;
}

static void every_ioapic_hears_an_eoi(void **state)
{
    struct apic_eoi_listener first = {count_eoi, &eois[0]}, second = {count_eoi, &eois[1]};
    struct apic_message m = {.destination = 4, .vector = 0x40, .is_level = true};

    (void)state;
    assert_int_equal(apic_bus_listen(&bus, &first), 0);
    assert_int_equal(apic_bus_listen(&bus, &second), 0);
    assert_true(apic_bus_send(&bus, &m));
    assert_int_equal(receivers(0x40), BIT(4));
    assert_int_equal(eois[0], 1);
    assert_int_equal(eois[1], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(attaching_has_limits, set_up),
        cmocka_unit_test_setup(physical_is_one_or_all, set_up),
        cmocka_unit_test_setup(flat_is_a_mask, set_up),
        cmocka_unit_test_setup(clusters_are_groups_of_four, set_up),
        cmocka_unit_test_setup(x2apic_clusters_are_groups_of_sixteen, set_up),
        cmocka_unit_test_setup(modes_may_be_mixed, set_up),
        cmocka_unit_test_setup(shorthands_name_the_sender, set_up),
        cmocka_unit_test_setup(an_ipi_travels_by_both_registers, set_up),
        cmocka_unit_test_setup(lowest_priority_is_one_and_takes_turns, set_up),
        cmocka_unit_test_setup(service_counts_as_priority, set_up),
        cmocka_unit_test_setup(msis_say_who_and_how, set_up),
        cmocka_unit_test_setup(what_is_no_msi_goes_nowhere, set_up),
        cmocka_unit_test_setup(every_ioapic_hears_an_eoi, set_up),
        cmocka_unit_test_setup(the_64th_is_one_like_any_other, set_up_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
