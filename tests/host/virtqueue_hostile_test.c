/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever a ring says, and whenever it changes, a device gets only spans that lie inside
 * guest RAM, in bounded number; a ring that breaks the rules stops its device and nothing else.
 */
#include "tests/host/fake/virtqueue_rig.h"
#include <pthread.h>

/* --- malformed --- */

static void refuses_an_index_that_jumps(void **state)
{
    (void)state;
    driver_avail(&guest, q)->idx = 17;
    assert_refused("index jumped");
}

static void refuses_an_index_that_goes_back(void **state)
{
    const struct buffer buffer = {GUEST_BUFFERS, 8, 0};

    (void)state;
    driver_add(&guest, q, &buffer, 1);
    assert_true(vq_pop(&queue, &chain));
    driver_avail(&guest, q)->idx = 0;
    assert_refused("index jumped");
}

static void refuses_a_head_outside_the_table(void **state)
{
    (void)state;
    driver_make_available(&guest, q, 16);
    assert_refused("out of range");
}

static void refuses_a_next_outside_the_table(void **state)
{
    (void)state;
    driver_make_available(&guest, q, 0);
    *driver_desc(&guest, q, 0) = (struct virtq_desc){GUEST_BUFFERS, 8, VIRTQ_DESC_F_NEXT, 0xffff};
    assert_refused("out of range");
}

static void refuses_a_loop(void **state)
{
    (void)state;
    driver_make_available(&guest, q, 0);
    *driver_desc(&guest, q, 0) = (struct virtq_desc){GUEST_BUFFERS, 8, VIRTQ_DESC_F_NEXT, 1};
    *driver_desc(&guest, q, 1) = (struct virtq_desc){GUEST_BUFFERS, 8, VIRTQ_DESC_F_NEXT, 0};
    assert_refused("too long or loops");
}

static void refuses_a_loop_whose_buffers_are_cut_by_a_border(void **state)
{
    (void)state;
    driver_make_available(&guest, q, 0);
    *driver_desc(&guest, q, 0) = (struct virtq_desc){GUEST_BORDER - 1, 2, VIRTQ_DESC_F_NEXT, 0};
    assert_refused("chain is too long or loops");
}

static void refuses_bad_buffers(void **state)
{
    static const struct {
        struct buffer buffers[2];
        const char *why;
    } rows[] = {
        {{{GUEST_BUFFERS, 0, 0}, {GUEST_BUFFERS, 1, 0}}, "empty buffer"},
        {{{GUEST_BUFFERS, 1, VIRTQ_DESC_F_WRITE}, {GUEST_BUFFERS, 1, 0}}, "after a writable"},
        {{{GUEST_RAM_END, 1, 0}, {GUEST_BUFFERS, 1, 0}}, "not in RAM"},
        {{{GUEST_RAM_END - 1, 2, 0}, {GUEST_BUFFERS, 1, 0}}, "not in RAM"},
        {{{GUEST_RAM_END - 1, 2, VIRTQ_DESC_F_WRITE}, {GUEST_BUFFERS, 1, VIRTQ_DESC_F_WRITE}},
         "not in RAM"},
        {{{UINT64_MAX, 1, 0}, {GUEST_BUFFERS, 1, 0}}, "not in RAM"},
        {{{UINT64_MAX, UINT32_MAX, 0}, {GUEST_BUFFERS, 1, 0}}, "not in RAM"},
        {{{0, UINT32_MAX, 0}, {GUEST_BUFFERS, 1, 0}}, "not in RAM"},
        {{{GUEST_HIGH - 1, 2, 0}, {GUEST_BUFFERS, 1, 0}}, "not in RAM"},
        {{{GUEST_HIGH + GUEST_SLOT_BYTES - 1, 2, 0}, {GUEST_BUFFERS, 1, 0}}, "not in RAM"},
        {{{GUEST_BUFFERS, 1, 0}, {GUEST_BUFFERS, 0, VIRTQ_DESC_F_WRITE}}, "empty buffer"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        start_with(VIRTIO_F_INDIRECT_DESC, 16);
        driver_add(&guest, q, rows[i].buffers, 2);
        assert_refused(rows[i].why);
        start_with(VIRTIO_F_INDIRECT_DESC, 16);
        driver_add_indirect(&guest, q, GUEST_BUFFERS + 0x1000, rows[i].buffers, 2);
        assert_refused(rows[i].why);
    }
}

static void refuses_a_chain_of_more_than_4_gib(void **state)
{
    static uint8_t window[GUEST_SLOT_BYTES] __attribute__((aligned(4096)));
    struct virtq_desc *d;

    /* Only lengths are added up; nobody touches the bytes of this "RAM". */
    (void)state;
    assert_int_equal(guest_mem_add(&guest.mem, GPA(GIB(16)), GIB(8), window), 0);
    driver_make_available(&guest, q, 0);
    d = driver_desc(&guest, q, 0);
    d[0] = (struct virtq_desc){GIB(16), UINT32_MAX, VIRTQ_DESC_F_NEXT, 1};
    d[1] = (struct virtq_desc){GIB(16), 1, 0, 0};
    assert_refused("too many bytes");
}

/* What a device has no use for is refused before it is looked up: in scattered memory that takes long. */
static void refuses_a_chain_of_more_than_the_device_takes(void **state)
{
    struct virtq_desc *d;

    (void)state;
    queue.bytes_max = 512;
    driver_make_available(&guest, q, 0);
    d = driver_desc(&guest, q, 0);
    d[0] = (struct virtq_desc){GIB(64), 513, 0, 0}; /* no RAM, which is not said */
    assert_refused("too many bytes");
}

static void refuses_bad_indirect_tables(void **state)
{
    static const struct {
        uint64_t table;
        uint32_t len;
        uint16_t flags;
        const char *why;
    } rows[] = {
        {GUEST_BUFFERS, 0, 0, "bad size"},
        {GUEST_BUFFERS, 17, 0, "bad size"},
        {GUEST_BUFFERS, 8, 0, "bad size"},
        {GUEST_BUFFERS, 32, VIRTQ_DESC_F_NEXT, "with a next one"},
        {GUEST_RAM_END, 32, 0, "table is not in RAM"},
        {UINT64_MAX - 7, 32, 0, "table is not in RAM"},
        {GUEST_BUFFERS + 0x800, 16, 0, "in an indirect table"},
        {GUEST_BUFFERS + 0x900, 16, 0, "out of range"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buffer indirect = {rows[i].table, rows[i].len,
                                  VIRTQ_DESC_F_INDIRECT | rows[i].flags};

        start_with(VIRTIO_F_INDIRECT_DESC, 16);
        *(struct virtq_desc *)guest_at(&guest, GUEST_BUFFERS + 0x800) =
            (struct virtq_desc){GUEST_BUFFERS, 16, VIRTQ_DESC_F_INDIRECT, 0};
        *(struct virtq_desc *)guest_at(&guest, GUEST_BUFFERS + 0x900) =
            (struct virtq_desc){GUEST_BUFFERS, 16, VIRTQ_DESC_F_NEXT, 1};
        driver_add(&guest, q, &indirect, 1);
        assert_refused(rows[i].why);
    }
}

static void refuses_indirect_descriptors_that_were_not_negotiated(void **state)
{
    const struct buffer buffer = {GUEST_BUFFERS, 16, 0};

    (void)state;
    start_with(0, 16);
    driver_add_indirect(&guest, q, GUEST_BUFFERS + 0x1000, &buffer, 1);
    assert_refused("not negotiated");
}

/* A table may end at RAM's end and claim to go on: what is not RAM is seen when it is reached. */
static void refuses_an_indirect_table_that_leaves_ram_on_the_way(void **state)
{
    struct buffer indirect = {GUEST_RAM_END - 16, 64, VIRTQ_DESC_F_INDIRECT};
    struct virtq_desc last = {GUEST_BUFFERS, 16, VIRTQ_DESC_F_NEXT, 1};

    (void)state;
    memcpy(guest_at(&guest, GUEST_RAM_END - 16), &last, sizeof last);
    driver_add(&guest, q, &indirect, 1);
    assert_refused("table is not in RAM");
}

static void refuses_bad_rings(void **state)
{
    static const struct {
        uint32_t size;
        uint64_t desc, avail, used;
        const char *why;
    } rows[] = {
        {0, 0x1000, 0x2000, 0x3000, "size"},
        {3, 0x1000, 0x2000, 0x3000, "size"},
        {512, 0x1000, 0x2000, 0x3000, "size"},
        {0x10010, 0x1000, 0x2000, 0x3000, "size"},
        {UINT32_MAX, 0x1000, 0x2000, 0x3000, "size"},
        {16, 0x1008, 0x2000, 0x3000, "misaligned"},
        {16, 0x1000, 0x2001, 0x3000, "misaligned"},
        {16, 0x1000, 0x2000, 0x3002, "misaligned"},
        {16, GUEST_RAM_END, 0x2000, 0x3000, "not in RAM"},
        {16, GUEST_RAM_END - 255 - 1 + 16, 0x2000, 0x3000, "not in RAM"},
        {16, 0x1000, GUEST_RAM_END - 36, 0x3000, "not in RAM"},
        {16, 0x1000, 0x2000, GUEST_RAM_END - 132, "not in RAM"},
        {16, GUEST_BORDER - 16, 0x2000, 0x3000, "not in RAM"},
        {16, 0x1000, UINT64_MAX - 1, 0x3000, "not in RAM"},
        {16, 0x1000, 0x2000, UINT64_MAX - 3, "not in RAM"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_true(driver_negotiate(&guest, VIRTIO_F_VERSION_1));
        queue.setup = (struct vq_setup){rows[i].size, rows[i].desc, rows[i].avail, rows[i].used};
        guest_write_register(&guest, VIRTIO_MMIO_QUEUE_READY, 1);
        assert_int_equal(guest_read_register(&guest, VIRTIO_MMIO_QUEUE_READY), 0);
        assert_true(driver_needs_reset(&guest));
        assert_non_null(strstr(device.failure, rows[i].why));
    }
}

/* --- rings that change --- */

static bool is_in_ram(const struct vq_span *span)
{
    for (unsigned i = 0; i < ARRAY_SIZE(guest.slots); i++)
        if (span->bytes >= guest.slots[i] && range_fits((uint64_t)(span->bytes - guest.slots[i]),
                                                        span->size_bytes, GUEST_SLOT_BYTES))
            return true;
    return false;
}

static void assert_spans_are_sound(void)
{
    uint64_t bytes = 0;

    assert_in_range(chain.span_count, 1, VQ_SPANS_MAX);
    for (unsigned i = 0; i < chain.span_count; i++) {
        assert_true(chain.spans[i].size_bytes > 0);
        assert_true(is_in_ram(&chain.spans[i]));
        bytes += chain.spans[i].size_bytes;
    }
    assert_int_equal(bytes, (uint64_t)chain.readable.left_bytes + chain.writable.left_bytes);
}

static uint64_t likely_address(uint64_t *seed)
{
    static const uint64_t places[] = {GUEST_BUFFERS,  GUEST_BORDER - 8,      GUEST_RAM_END - 64,
                                      GUEST_HIGH,     GUEST_RINGS,           UINT64_MAX - 8,
                                      GUEST_HIGH - 8, GUEST_BUFFERS + 0x1000};

    return places[noise(seed) % (noise(seed) % 4 ? 5 : ARRAY_SIZE(places))] + noise(seed) % 32;
}

static struct virtq_desc likely_descriptor(uint64_t *seed)
{
    static const uint32_t lengths[] = {1, 16, 32, 64, 256, 4096, 0, UINT32_MAX};
    uint32_t len = lengths[noise(seed) % (noise(seed) % 8 ? 6 : ARRAY_SIZE(lengths))];
    uint16_t flags = noise(seed) % 8 ? noise(seed) % 4 : noise(seed) % 8;

    return (struct virtq_desc){likely_address(seed), len, flags, (uint16_t)(noise(seed) % 18)};
}

/*
 * Nothing but invariants: in RAM, bounded, sums right; refused rings stop the device until it is
 * reset.
 */
static void random_rings_do_no_harm(void **state)
{
    uint64_t seed = 0x5eed;
    unsigned popped = 0, refused = 0;

    (void)state;
    for (unsigned round = 0; round < 100000; round++) {
        *driver_desc(&guest, q, (uint16_t)noise(&seed)) = likely_descriptor(&seed);
        *((struct virtq_desc *)guest_at(&guest, GUEST_BUFFERS + 0x1000) + noise(&seed) % 16) =
            likely_descriptor(&seed);
        driver_make_available(&guest, q, noise(&seed) % 17);
        if (noise(&seed) % 64 == 0)
            driver_avail(&guest, q)->idx = (uint16_t)noise(&seed);
        if (vq_pop(&queue, &chain)) {
            assert_spans_are_sound();
            vq_push(&queue, chain.head, chain.writable.left_bytes);
            popped++;
        }
        if (driver_needs_reset(&guest)) {
            refused++;
            start_with(VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX, 16);
            for (uint16_t i = 0; i < 16; i++)
                *driver_desc(&guest, q, i) = likely_descriptor(&seed);
        }
    }
    assert_true(popped > 10000);
    assert_true(refused > 10000);
}

static volatile bool is_race_over;

static void *race(void *context)
{
    volatile struct virtq_desc *table = context;
    uint64_t seed = 0xace;

    while (!is_race_over) {
        struct virtq_desc d = likely_descriptor(&seed);
        volatile struct virtq_desc *at = &table[noise(&seed) % 16];

        at->addr = d.addr;
        at->len = d.len;
        at->flags = d.flags;
        at->next = d.next;
    }
    return NULL;
}

/* Another vCPU rewrites descriptors while they are read: checks and use must see the same values. */
static void racing_descriptors_do_no_harm(void **state)
{
    pthread_t other;

    (void)state;
    is_race_over = false;
    assert_int_equal(pthread_create(&other, NULL, race, driver_desc(&guest, q, 0)), 0);
    for (unsigned round = 0; round < 100000; round++) {
        driver_make_available(&guest, q, round % 16);
        if (vq_pop(&queue, &chain)) {
            assert_spans_are_sound();
            vq_push(&queue, chain.head, 0);
        } else {
            device.status &= (uint8_t)~VIRTIO_STATUS_NEEDS_RESET;
            queue.next_avail = q->next_avail;
        }
    }
    is_race_over = true;
    pthread_join(other, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, virtqueue_rig_set_up, virtqueue_rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(refuses_an_index_that_jumps),
        TEST(refuses_an_index_that_goes_back),
        TEST(refuses_a_head_outside_the_table),
        TEST(refuses_a_next_outside_the_table),
        TEST(refuses_a_loop),
        TEST(refuses_a_loop_whose_buffers_are_cut_by_a_border),
        TEST(refuses_bad_buffers),
        TEST(refuses_a_chain_of_more_than_4_gib),
        TEST(refuses_a_chain_of_more_than_the_device_takes),
        TEST(refuses_bad_indirect_tables),
        TEST(refuses_indirect_descriptors_that_were_not_negotiated),
        TEST(refuses_an_indirect_table_that_leaves_ram_on_the_way),
        TEST(refuses_bad_rings),
        TEST(random_rings_do_no_harm),
        TEST(racing_descriptors_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
