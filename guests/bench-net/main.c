/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What does a packet cost? This guest has two network cards on one switch, and sends from the first to the second:
 * one packet a doorbell, a full round a doorbell, and large ones that pass unsegmented. It prints `BENCH name ticks`, the
 * guest's own work of refilling rings included; no interrupts are taken, it polls.
 */
#include "guests/common/guest.h"
#include "guests/common/virtio.h"

/* VIRTIO 1.2, "Virtio Over MMIO", "MMIO Device Register Layout": numbers of 32-bit registers. */
enum {
    REG_DRIVER_FEATURES = 0x020 / 4,
    REG_DRIVER_FEATURES_SEL = 0x024 / 4,
    REG_QUEUE_SEL = 0x030 / 4,
    REG_QUEUE_NUM = 0x038 / 4,
    REG_QUEUE_READY = 0x044 / 4,
    REG_QUEUE_NOTIFY = 0x050 / 4,
    REG_STATUS = 0x070 / 4,
    REG_QUEUE_DESC = 0x080 / 4, /* low and high half, as the next two */
    REG_QUEUE_DRIVER = 0x090 / 4,
    REG_QUEUE_DEVICE = 0x0a0 / 4,
    REG_CONFIG = 0x100 / 4,
};

#define STATUS_READY 0xfu /* ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK */

/* CSUM, GUEST_CSUM, GUEST_TSO4, HOST_TSO4, MRG_RXBUF; of the second word VERSION_1. */
#define FEATURES_LOW  (1u << 0 | 1u << 1 | 1u << 7 | 1u << 11 | 1u << 15)
#define FEATURES_HIGH 1u

#define DESC_WRITE         2u
#define AVAIL_NO_INTERRUPT 1u

#define RING_SIZE    256u
#define BUFFER_BYTES 2048u
#define ROUND        32u
#define HEADER_BYTES 12u

#define TCP_HEADERS_BYTES 54u
#define LARGE_PAYLOAD     61440u
#define MSS               1448u
#define MIB_BYTES         (1u << 20)
#define POLLS_MAX         10000000u /* of a switch that loses nothing: other hypervisors' answer later than the doorbell */

struct desc {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct ring {
    struct desc desc[RING_SIZE];
    struct {
        uint16_t flags, index, ring[RING_SIZE], used_event;
    } avail;
    struct {
        uint16_t flags, index;
        struct {
            uint32_t id, length;
        } ring[RING_SIZE];
        uint16_t avail_event;
    } used __attribute__((aligned(8)));
} __attribute__((aligned(16)));

struct card {
    volatile uint32_t *registers;
    struct ring ring;
    uint32_t queue; /* 0 receives, 1 transmits: each card here does one of them */
    uint16_t taken;
};

static struct card sender = {.queue = 1}, receiver = {.queue = 0};
static uint8_t buffers[RING_SIZE][BUFFER_BYTES];
static uint8_t packet[HEADER_BYTES + TCP_HEADERS_BYTES + LARGE_PAYLOAD];

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static void barrier(void)
{
    __asm__ volatile("" : : : "memory");
}

/* --- cards --- */

static void write_address(volatile uint32_t *at, const void *address)
{
    at[0] = (uint32_t)(uintptr_t)address;
    at[1] = 0;
}

static void start(struct card *c)
{
    volatile uint32_t *r = c->registers;

    r[REG_STATUS] = 0;
    r[REG_STATUS] = 3;
    r[REG_DRIVER_FEATURES_SEL] = 0;
    r[REG_DRIVER_FEATURES] = FEATURES_LOW;
    r[REG_DRIVER_FEATURES_SEL] = 1;
    r[REG_DRIVER_FEATURES] = FEATURES_HIGH;
    r[REG_STATUS] = 0xb;
    c->ring.avail.flags = AVAIL_NO_INTERRUPT;
    r[REG_QUEUE_SEL] = c->queue;
    r[REG_QUEUE_NUM] = RING_SIZE;
    write_address(&r[REG_QUEUE_DESC], c->ring.desc);
    write_address(&r[REG_QUEUE_DRIVER], &c->ring.avail);
    write_address(&r[REG_QUEUE_DEVICE], &c->ring.used);
    r[REG_QUEUE_READY] = 1;
    r[REG_STATUS] = STATUS_READY;
}

static void make_available(struct card *c, uint16_t head)
{
    c->ring.avail.ring[c->ring.avail.index % RING_SIZE] = head;
    barrier();
    c->ring.avail.index++;
}

static void fill_receiver(void)
{
    for (uint16_t i = 0; i < RING_SIZE; i++) {
        receiver.ring.desc[i] = (struct desc){(uintptr_t)buffers[i], BUFFER_BYTES, DESC_WRITE, 0};
        make_available(&receiver, i);
    }
}

/* Gives back every buffer that came; how many bytes were in them. */
static uint32_t drain(void)
{
    uint32_t bytes = 0;

    barrier();
    while (receiver.taken != *(volatile uint16_t *)&receiver.ring.used.index) {
        uint32_t id = receiver.ring.used.ring[receiver.taken % RING_SIZE].id;

        bytes += receiver.ring.used.ring[receiver.taken % RING_SIZE].length;
        receiver.taken++;
        make_available(&receiver, (uint16_t)id);
    }
    return bytes;
}

/* The same packet count times, and one doorbell. */
static void send(uint32_t size_bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        sender.ring.desc[i] = (struct desc){(uintptr_t)packet, HEADER_BYTES + size_bytes, 0, 0};
        make_available(&sender, (uint16_t)i);
    }
    barrier();
    sender.registers[REG_QUEUE_NOTIFY] = sender.queue;
}

/* --- packets --- */

static void make_ethernet(uint16_t type)
{
    const volatile uint8_t *from = (const volatile uint8_t *)&sender.registers[REG_CONFIG];
    const volatile uint8_t *to = (const volatile uint8_t *)&receiver.registers[REG_CONFIG];
    uint8_t *frame = packet + HEADER_BYTES;

    for (unsigned i = 0; i < 6; i++) {
        frame[i] = to[i];
        frame[6 + i] = from[i];
    }
    frame[12] = (uint8_t)(type >> 8);
    frame[13] = (uint8_t)type;
}

/* TCP over IPv4, to be segmented by who needs that: here nobody. */
static void make_large(void)
{
    static const uint8_t header[HEADER_BYTES] = {1, 1, TCP_HEADERS_BYTES, 0, MSS & 0xff, MSS >> 8, 34, 0, 16, 0, 0, 0};
    uint8_t *ip = packet + HEADER_BYTES + 14;

    for (unsigned i = 0; i < HEADER_BYTES; i++)
        packet[i] = header[i];
    make_ethernet(0x0800);
    ip[0] = 0x45;
    ip[9] = 6;
    ip[20 + 12] = 0x50;
}

/* --- measures --- */

static uint64_t measure(uint32_t size_bytes, unsigned count, unsigned rounds)
{
    uint64_t start_ticks = 0;
    uint32_t bytes = 0, wanted = 0;

    for (unsigned i = 0; i <= rounds; i++) {
        if (i == 1) /* the first warms up */
            start_ticks = read_tsc();
        send(size_bytes, count);
        wanted += count * (size_bytes + HEADER_BYTES);
        for (unsigned polls = 0; bytes < wanted && polls < POLLS_MAX; polls++)
            bytes += drain();
    }
    start_ticks = read_tsc() - start_ticks;
    if (bytes != wanted)
        print("GUEST: FAILED: %u bytes of %u\n", bytes, wanted);
    return start_ticks;
}

static void report(const char *name, uint64_t ticks, uint64_t units)
{
    print("BENCH %s %lu\n", name, (ticks + units / 2) / units);
}

int guest_main(uint32_t magic UNUSED, uint32_t info UNUSED)
{
    sender.registers = virtio_find_nth(VIRTIO_ID_NET, 0);
    receiver.registers = virtio_find_nth(VIRTIO_ID_NET, 1);
    if (!sender.registers || !receiver.registers) {
        print("GUEST: FAILED: expected two network cards\n");
        return 1;
    }
    start(&sender);
    fill_receiver();
    start(&receiver);
    poll_preemptibly();
    make_ethernet(0x88b5);
    report("net_packet_alone", measure(60, 1, 100), 100);
    report("net_packet_60", measure(60, ROUND, 20), 20 * ROUND);
    report("net_packet_1514", measure(1514, ROUND, 20), 20 * ROUND);
    make_large();
    report("net_mib", measure(TCP_HEADERS_BYTES + LARGE_PAYLOAD, 4, 32) * (MIB_BYTES / 1024) / (LARGE_PAYLOAD / 1024), 4 * 32);
    print("BENCH end\n");
    return 0;
}
