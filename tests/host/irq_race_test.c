/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a device interrupts from one CPU while its driver acknowledges on another, and neither an interrupt nor the
 * end of one is lost on the whole way: virtio's status, the IOAPIC's level and remote IRR, the local APIC's posted
 * vectors, the EOI. What would be lost leaves a thread waiting for ever, which the alarm ends. The PICs likewise.
 *
 * Threads rarely meet in the few instructions that matter. So there are schedules, too: one side is held in its
 * middle, where it calls out, long enough for the other one to pass, if nothing keeps it from that.
 */
#include "tests/host/fake/lapic_rig.h"
#include "drivers/virt/ioapic.h"
#include "drivers/virt/pic.h"
#include "drivers/virt/virtio_mmio.h"
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define ROUNDS  2000u
#define INPUT   20u
#define VECTOR  0x51
#define SECONDS 400

static struct apic_bus bus;
static struct ioapic ioapic;
static struct virtio_mmio mmio;
static struct virtio_device device;
static struct lapic_wiring wiring;

static unsigned used, seen; /* the device's counter in the ring, and how far the driver has come; atomic */
static bool announced;

static void announce(void *context)
{
    (void)context;
    __atomic_store_n(&announced, true, __ATOMIC_RELEASE);
}

static void end(void *context, uint8_t vector)
{
    (void)context;
    apic_bus_broadcast_eoi(&bus, vector);
}

static int set_up(void **state)
{
    const struct irq_line line = {ioapic_set_line, &ioapic, INPUT};

    lapic_rig_set_up(state);
    wiring = *lapic.wiring;
    wiring.notify = announce;
    wiring.broadcast_eoi = end;
    lapic.wiring = &wiring;
    apic_bus_init(&bus);
    assert_int_equal(apic_bus_attach(&bus, &lapic), 0);
    assert_int_equal(ioapic_init(&ioapic, &bus), 0);
    virtio_mmio_init(&mmio, &device, &line);
    used = seen = 0;
    announced = false;
    alarm(SECONDS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    alarm(0);
    return 0;
}

static void program(uint32_t low)
{
    ioapic_ops.write(&ioapic, IOAPIC_REGSEL, 4, IOAPIC_REDTBL + 2 * INPUT + 1);
    ioapic_ops.write(&ioapic, IOAPIC_WIN, 4, 3u << 24);
    ioapic_ops.write(&ioapic, IOAPIC_REGSEL, 4, IOAPIC_REDTBL + 2 * INPUT);
    ioapic_ops.write(&ioapic, IOAPIC_WIN, 4, low);
}

/* Another CPU: what is used, then the interrupt. It goes on at most a few ahead of the driver. */
static void *use_all(void *argument)
{
    (void)argument;
    for (unsigned i = 1; i <= ROUNDS; i++) {
        __atomic_store_n(&used, i, __ATOMIC_RELEASE);
        mmio.transport.interrupt_queue(&mmio.transport, 0);
        while (i - __atomic_load_n(&seen, __ATOMIC_ACQUIRE) > i % 4)
            sched_yield();
    }
    return NULL;
}

/* As Linux's vm_interrupt: acknowledge, and only then look at the ring. */
static void handle(void)
{
    uint64_t status = virtio_mmio_ops.read(&mmio, VIRTIO_MMIO_INTERRUPT_STATUS, 4);

    virtio_mmio_ops.write(&mmio, VIRTIO_MMIO_INTERRUPT_ACK, 4, status);
    __atomic_store_n(&seen, __atomic_load_n(&used, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
}

/* The run loop of the vCPU: what was announced is delivered, handled, ended. */
static void serve_until_all_is_seen(void)
{
    while (__atomic_load_n(&seen, __ATOMIC_ACQUIRE) < ROUNDS) {
        if (!__atomic_exchange_n(&announced, false, __ATOMIC_ACQ_REL)) {
            sched_yield();
            continue;
        }
        lapic_take_posted(&lapic);
        if (lapic_pending_vector(&lapic) < 0)
            continue;
        lapic_acknowledge(&lapic, VECTOR);
        handle();
        write32(APIC_EOI, 0);
    }
}

static void a_level_is_never_lost(void **state)
{
    pthread_t thread;

    (void)state;
    program(IOAPIC_RTE_LEVEL | VECTOR);
    assert_int_equal(pthread_create(&thread, NULL, use_all, NULL), 0);
    serve_until_all_is_seen();
    assert_int_equal(pthread_join(thread, NULL), 0);
    virtio_mmio_ops.write(&mmio, VIRTIO_MMIO_INTERRUPT_ACK, 4, UINT32_MAX);
    assert_int_equal(ioapic.asserted, 0);
}

/* The line must rise anew for each interrupt after an acknowledge: a status that outlives its line would end it all. */
static void an_edge_is_never_lost(void **state)
{
    pthread_t thread;

    (void)state;
    program(VECTOR);
    assert_int_equal(pthread_create(&thread, NULL, use_all, NULL), 0);
    serve_until_all_is_seen();
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* --- several devices on one chip --- */

static void *wiggle(void *argument)
{
    unsigned input = (unsigned)(uintptr_t)argument;

    for (unsigned i = 0; i < ROUNDS; i++)
        ioapic_set_line(&ioapic, input, !(i & 1));
    ioapic_set_line(&ioapic, input, input & 1);
    return NULL;
}

static void lines_do_not_disturb_each_other(void **state)
{
    pthread_t threads[2];

    (void)state;
    for (uintptr_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wiggle, (void *)(4 + i)), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(ioapic.asserted, 1u << 5);
}

static struct pic pic;
static unsigned intr_level;

static void set_intr(void *context, unsigned input, bool level)
{
    (void)context;
    (void)input;
    __atomic_store_n(&intr_level, level, __ATOMIC_RELEASE);
}

static void *pulse_pic(void *argument)
{
    unsigned input = (unsigned)(uintptr_t)argument;

    for (unsigned i = 0; i < ROUNDS; i++) {
        pic_set_line(&pic, input, true);
        pic_set_line(&pic, input, false);
    }
    return NULL;
}

static void write_pic(struct pic_chip *chip, const uint8_t icw[3], uint8_t icw1)
{
    pic_ops.write(chip, 0, 1, icw1);
    for (unsigned i = 0; i < 3; i++)
        pic_ops.write(chip, 1, 1, icw[i]);
}

/* Every acknowledge cycle gives a vector of the two, and in the end nothing is left over. */
static void the_pics_stay_whole(void **state)
{
    pthread_t master, slave;
    unsigned cycles = 0;

    (void)state;
    pic_init(&pic, (struct irq_line){set_intr, NULL, 0});
    write_pic(&pic.master, (const uint8_t[]){0x20, 4, PIC_ICW4_UPM | PIC_ICW4_AEOI}, PIC_ICW1_SELECT | PIC_ICW1_IC4);
    write_pic(&pic.slave, (const uint8_t[]){0x28, 2, PIC_ICW4_UPM | PIC_ICW4_AEOI}, PIC_ICW1_SELECT | PIC_ICW1_IC4);
    assert_int_equal(pthread_create(&master, NULL, pulse_pic, (void *)3), 0);
    assert_int_equal(pthread_create(&slave, NULL, pulse_pic, (void *)10), 0);
    for (; cycles < ROUNDS; cycles++)
        if (pic_is_pending(&pic)) {
            int vector = pic_acknowledge(&pic);

            assert_true(vector == 0x23 || vector == 0x2a);
        } else {
            sched_yield();
        }
    assert_int_equal(pthread_join(master, NULL), 0);
    assert_int_equal(pthread_join(slave, NULL), 0);
    while (pic_is_pending(&pic))
        pic_acknowledge(&pic);
    assert_int_equal(intr_level, 0);
    assert_int_equal(pic.master.irr | pic.slave.irr, 0);
}

/* --- schedules --- */

#define HOLD_US 30000

static pthread_t other;
static void *(*others_part)(void *argument); /* NULL: it has begun */

/* Called in the middle of what the one side does: the other one has its chance. */
static void let_the_other_pass(void)
{
    void *(*part)(void *argument) = others_part;

    if (!part)
        return;
    others_part = NULL;
    assert_int_equal(pthread_create(&other, NULL, part, NULL), 0);
    usleep(HOLD_US);
}

static bool line_level;

static void set_line_late(void *context, unsigned input, bool level)
{
    (void)context;
    (void)input;
    let_the_other_pass();
    __atomic_store_n(&line_level, level, __ATOMIC_RELEASE);
}

static void *interrupt(void *argument)
{
    mmio.transport.interrupt_queue(&mmio.transport, 0);
    return argument;
}

static void an_interrupt_in_the_middle_of_an_acknowledge(void **state)
{
    const struct irq_line line = {set_line_late, NULL, 0};

    (void)state;
    virtio_mmio_init(&mmio, &device, &line);
    interrupt(NULL);
    assert_true(line_level);
    others_part = interrupt;
    virtio_mmio_ops.write(&mmio, VIRTIO_MMIO_INTERRUPT_ACK, 4, VIRTIO_MMIO_INT_VRING);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(virtio_mmio_ops.read(&mmio, VIRTIO_MMIO_INTERRUPT_STATUS, 4), VIRTIO_MMIO_INT_VRING);
    assert_true(line_level);
}

static void *deliver_and_end(void *argument)
{
    lapic_take_posted(&lapic);
    lapic_acknowledge(&lapic, VECTOR);
    write32(APIC_EOI, 0);
    return argument;
}

static void notify_late(void *context)
{
    (void)context;
    let_the_other_pass();
}

/* The vCPU is so fast that its EOI comes before the chip that sends has noted that it waits for one. */
static void an_eoi_in_the_middle_of_a_level(void **state)
{
    (void)state;
    program(IOAPIC_RTE_LEVEL | VECTOR);
    wiring.notify = notify_late;
    others_part = deliver_and_end;
    ioapic_set_line(&ioapic, INPUT, true);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(ioapic.redirection[INPUT] & IOAPIC_RTE_REMOTE_IRR, IOAPIC_RTE_REMOTE_IRR);
    lapic_take_posted(&lapic);
    assert_int_equal(lapic_pending_vector(&lapic), VECTOR); /* once more: the line is still up */
}

static void *raise_another(void *argument)
{
    pic_set_line(&pic, 4, true);
    return argument;
}

static void a_line_in_the_middle_of_an_acknowledge_cycle(void **state)
{
    (void)state;
    pic_init(&pic, (struct irq_line){set_line_late, NULL, 0});
    write_pic(&pic.master, (const uint8_t[]){0x20, 4, PIC_ICW4_UPM | PIC_ICW4_AEOI}, PIC_ICW1_SELECT | PIC_ICW1_IC4);
    pic_set_line(&pic, 3, true);
    assert_true(line_level);
    others_part = raise_another;
    assert_int_equal(pic_acknowledge(&pic), 0x23);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_true(line_level);
    assert_int_equal(pic_acknowledge(&pic), 0x24);
    assert_false(line_level);
}

/* --- the IRR, where the hardware of other CPUs sets bits of it --- */

#define HARDWARES_VECTOR (VECTOR + 1) /* in the same word */
#define LOOKS            4u

static bool is_over;

/* Returns, as a pointer, how many of its bits somebody else has taken away. */
static void *send_as_hardware(void *argument)
{
    uint32_t *word = (uint32_t *)(lapic.page + APIC_IRR + HARDWARES_VECTOR / 32 * 16), bit = 1u << HARDWARES_VECTOR % 32;
    uintptr_t lost = 0;

    (void)argument;
    while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
        bool is_there = true;

        __atomic_fetch_or(word, bit, __ATOMIC_ACQ_REL);
        for (unsigned i = 0; i < LOOKS; i++)
            is_there &= (__atomic_load_n(word, __ATOMIC_ACQUIRE) & bit) != 0;
        lost += !is_there;
        __atomic_fetch_and(word, ~bit, __ATOMIC_ACQ_REL);
    }
    return (void *)lost;
}

static void bits_of_other_cpus_hardware_stay(void **state)
{
    const struct apic_message self = {.vector = VECTOR, .delivery = APIC_DELIVERY_FIXED, .sender = &lapic};
    pthread_t thread;
    void *lost;

    (void)state;
    is_over = false;
    assert_int_equal(pthread_create(&thread, NULL, send_as_hardware, NULL), 0);
    for (unsigned i = 0; i < 5000 * ROUNDS; i++) {
        lapic_receive(&lapic, &self);
        lapic_acknowledge(&lapic, VECTOR);
    }
    __atomic_store_n(&is_over, true, __ATOMIC_RELEASE);
    assert_int_equal(pthread_join(thread, &lost), 0);
    assert_null(lost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_interrupt_in_the_middle_of_an_acknowledge, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_eoi_in_the_middle_of_a_level, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_in_the_middle_of_an_acknowledge_cycle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_level_is_never_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_edge_is_never_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_do_not_disturb_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_pics_stay_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bits_of_other_cpus_hardware_stay, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
