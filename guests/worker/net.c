/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See net.h. Stop and wait: a packet is sent again until its answer has come, for the next guest may not have started
 * yet. What comes from the guest before must be the packet that is due, or the last one once more; packets for others
 * come too, as long as the switch does not know where those are.
 */
#include "guests/worker/net.h"
#include "guests/common/virtio.h"
#include "guests/worker/pattern.h"

#define ETHERTYPE     0xb588u /* local experiments, big-endian */
#define HEADER_BYTES  12u     /* virtio's, in front of each packet */
#define PAYLOAD_WORDS 240u
#define AGAIN_WAITS   20000u

enum { KIND_DATA = 1, KIND_ANSWER };

struct packet {
    uint8_t header[HEADER_BYTES];
    uint8_t to[6], from[6];
    uint16_t type;
    uint16_t kind;
    uint32_t round;
    uint32_t words[PAYLOAD_WORDS];
} __attribute__((packed, aligned(4)));

static struct virtio_queue receiver, sender;
static struct packet incoming[VIRTIO_RING_SIZE], outgoing;
static uint8_t own_address[6], next_address[6], before_address[6];
static unsigned own_id, before_id;
static unsigned received; /* rounds of the guest before; the next one is due */
static unsigned answered; /* our rounds that the next guest has */
static const char *complaint;

/* The description of the VMs gives guest N this address. */
static void make_address(uint8_t *address, unsigned id)
{
    const uint8_t bytes[6] = {0x02, 0, 0, 0, 1, (uint8_t)id};

    for (unsigned i = 0; i < 6; i++)
        address[i] = bytes[i];
}

static bool is_address(const uint8_t *one, const uint8_t *other)
{
    unsigned equal = 0;

    while (equal < 6 && one[equal] == other[equal])
        equal++;
    return equal == 6;
}

static void offer_buffer(uint16_t i)
{
    receiver.desc[i] = (struct virtio_desc){(uintptr_t)&incoming[i], sizeof incoming[i], VIRTIO_WRITE, 0};
    virtio_offer(&receiver, i);
}

bool net_start(unsigned id, unsigned of)
{
    volatile uint32_t *registers = virtio_find(VIRTIO_ID_NET);

    if (!registers || of == 0 || !virtio_begin(registers, 0))
        return false;
    own_id = id;
    before_id = (id + of - 1) % of;
    make_address(own_address, id);
    make_address(next_address, (id + 1) % of);
    make_address(before_address, before_id);
    virtio_add_queue(registers, &receiver, 0);
    virtio_add_queue(registers, &sender, 1);
    virtio_finish(registers);
    for (uint16_t i = 0; i < VIRTIO_RING_SIZE; i++)
        offer_buffer(i);
    virtio_notify(&receiver);
    return true;
}

static uint32_t seed_of(unsigned from, unsigned round)
{
    return 3u << 30 | from << 16 | round;
}

static void send(const uint8_t *to, uint16_t kind, unsigned round)
{
    uint32_t head, length;

    for (unsigned i = 0; i < 6; i++) {
        outgoing.to[i] = to[i];
        outgoing.from[i] = own_address[i];
    }
    outgoing.type = ETHERTYPE;
    outgoing.kind = kind;
    outgoing.round = round;
    for (unsigned i = 0; i < PAYLOAD_WORDS; i++)
        outgoing.words[i] = pattern_word(seed_of(own_id, round), i);
    sender.desc[0] = (struct virtio_desc){(uintptr_t)&outgoing, sizeof outgoing, 0, 0};
    virtio_offer(&sender, 0);
    virtio_notify(&sender);
    while (!virtio_take(&sender, &head, &length))
        __asm__ volatile("pause");
}

static bool has_words_of(const struct packet *p, unsigned from)
{
    for (unsigned i = 0; i < PAYLOAD_WORDS; i++)
        if (p->words[i] != pattern_word(seed_of(from, p->round), i))
            return false;
    return true;
}

static const char *take_data(const struct packet *p)
{
    if (!is_address(p->from, before_address))
        return "net: a packet from a stranger";
    if (p->round > received || p->round + 1 < received)
        return "net: a packet out of its turn";
    if (!has_words_of(p, before_id))
        return "net: a packet with other words";
    if (p->round == received)
        received++;
    send(before_address, KIND_ANSWER, p->round);
    return NULL;
}

static const char *take_answer(const struct packet *p)
{
    if (!is_address(p->from, next_address))
        return "net: an answer from a stranger";
    if (p->round > answered)
        return "net: an answer to nothing";
    if (p->round == answered)
        answered++;
    return NULL;
}

static const char *take(const struct packet *p, uint32_t length)
{
    if (length < HEADER_BYTES + 14 || !is_address(p->to, own_address))
        return NULL;
    if (length != sizeof *p || p->type != ETHERTYPE)
        return "net: a packet that is not ours";
    return p->kind == KIND_DATA ? take_data(p) : take_answer(p);
}

static void poll(void)
{
    uint32_t head, length;

    while (!complaint && virtio_take(&receiver, &head, &length)) {
        complaint = take(&incoming[head % VIRTIO_RING_SIZE], length);
        offer_buffer((uint16_t)(head % VIRTIO_RING_SIZE));
        virtio_notify(&receiver);
    }
}

/* The last round may be answered before the guest before is done with it: both have to be through. */
bool net_exchange(unsigned round)
{
    for (unsigned wait = 0; !complaint && (answered <= round || received <= round); wait++) {
        if (answered <= round && wait % AGAIN_WAITS == 0)
            send(next_address, KIND_DATA, round);
        poll();
        __asm__ volatile("pause");
    }
    return !complaint;
}

bool net_linger(unsigned waits)
{
    while (waits-- && !complaint) {
        poll();
        __asm__ volatile("pause");
    }
    return !complaint;
}

const char *net_complaint(void)
{
    return complaint;
}

unsigned net_received(void)
{
    return received;
}
