/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: no sequence of register and MSR accesses, messages, lines and EOIs makes the local APIC or the IOAPIC
 * leave their state, loop, or offer a vector that cannot be taken. The page is shared with the CPU, which may write
 * anything into it. Input: records of 8 bytes {what, which, where, value}.
 */
#include "tests/host/fake/lapic_rig.h"
#include "drivers/virt/ioapic.h"
#include "kernel/lib/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct apic_bus bus;
static struct ioapic ioapic;
static struct lapic_wiring wiring;

static void send_to_bus(void *context, const struct apic_message *message)
{
    (void)context;
    apic_bus_send(&bus, message);
}

static void broadcast_eoi(void *context, uint8_t vector)
{
    (void)context;
    apic_bus_broadcast_eoi(&bus, vector);
}

static void power_up_all(void)
{
    lapic_rig_set_up(NULL);
    wiring = *lapic.wiring;
    wiring.broadcast_eoi = broadcast_eoi;
    wiring.send = send_to_bus;
    lapic.wiring = &wiring;
    apic_bus_init(&bus);
    if (apic_bus_attach(&bus, &lapic) || ioapic_init(&ioapic, &bus))
        abort();
}

static void deliver(void)
{
    int vector = lapic_pending_vector(&lapic);

    if (vector > 255 || (vector >= 0 && vector < 16))
        abort();
    if (vector >= 0)
        lapic_acknowledge(&lapic, (uint8_t)vector);
}

static void access_ioapic(uint16_t where, uint32_t value)
{
    static const uint64_t offsets[] = {IOAPIC_REGSEL, IOAPIC_WIN, 0x40};

    if (where & 0x8000)
        ioapic_ops.read(&ioapic, offsets[where % ARRAY_SIZE(offsets)], 4);
    else
        ioapic_ops.write(&ioapic, offsets[where % ARRAY_SIZE(offsets)], 4, value);
}

static void access_registers(const uint8_t record[8])
{
    uint16_t where = get_le16(record + 2);
    uint32_t value = get_le32(record + 4);
    uint64_t ignored;

    switch (record[1] % 6) {
    case 0:
        lapic_mmio_ops.write(&lapic, where % PAGE_SIZE & ~3u, 4, value);
        break;
    case 1:
        lapic_mmio_ops.read(&lapic, where % PAGE_SIZE & ~3u, 4);
        break;
    case 2:
        (void)lapic_msr_write(&lapic, 0x800 + where % 0x40, value | (uint64_t)(where >> 8) << 32);
        break;
    case 3:
        (void)lapic_msr_read(&lapic, 0x800 + where % 0x40, &ignored);
        break;
    case 4:
        (void)lapic_set_base(&lapic, value | (uint64_t)(where & 7) << 32);
        break;
    default:
        access_ioapic(where, value);
    }
}

static void step(const uint8_t record[8])
{
    uint16_t where = get_le16(record + 2);
    uint32_t value = get_le32(record + 4);

    switch (record[0] % 8) {
    case 0:
        ioapic_set_line(&ioapic, record[1] % 24, value & 1);
        break;
    case 1:
        (void)apic_bus_send_msi(&bus, 0xfee00000 | where << 4, value);
        break;
    case 2:
        deliver();
        break;
    case 3:
        fake_clock_advance(value % (FAKE_HZ / 4));
        break;
    case 4:
        lapic_set_tsc_deadline(&lapic, fake_clock + where);
        break;
    case 5:
        lapic_set_lint(&lapic, record[1] % 2, value & 1);
        break;
    default:
        access_registers(record);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    power_up_all();
    for (size_t at = 0; at + 8 <= size; at += 8)
        step(data + at);
    return 0;
}
