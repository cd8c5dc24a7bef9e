/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: what a guest gives back is the allocator's after a flush by all CPUs, and the guest is answered then; however
 * often it does so, there are not more flushes in a second than CPUs can bear, and none that it was promised is lost.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/arch.h"
#include "kernel/ballooning.h"
#include "kernel/control.h"
#include "kernel/guest_pages.h"
#include "kernel/heap.h"
#include "kernel/machine.h"
#include "kernel/page.h"
#include "kernel/pt.h"
#include "kernel/sched.h"
#include "kernel/stage2.h"

#define RAM_BYTES MIB(2)

static struct vm_config config = {.memory = RAM_BYTES};
static struct platform platform;
static struct virtio_balloon balloon;
static struct pt tables;
static struct vm vm;
static unsigned flushes, wakes;
static uint32_t requests;

void vm_request(struct vm *of, uint32_t bits)
{
    assert_ptr_equal(of, &vm);
    requests |= bits;
}

void sched_synchronize(void)
{
    flushes++;
}

void control_yield(void)
{
}

void control_wake(void)
{
    wakes++;
}

static uint64_t free_pages(void)
{
    struct page_stats stats;

    page_get_stats(&stats);
    return stats.free_pages;
}

static int set_up(void **state)
{
    hpa_t ram;

    (void)state;
    fake_ram_reset();
    page_init();
    assert_int_equal(page_add_range(HPA(MIB(16)), MIB(8)), 0);
    heap_init();
    platform = (struct platform){.vm = &vm, .balloon = &balloon};
    vm = (struct vm){.config = &config, .platform = &platform, .stage2 = &tables};
    assert_int_equal(stage2_create(&tables), 0);
    assert_int_equal(page_alloc_zeroed(page_order_for(RAM_BYTES), &ram), 0);
    assert_int_equal(stage2_map(&tables, GPA(0), ram, RAM_BYTES), 0);
    assert_int_equal(guest_mem_add(&vm.mem, GPA(0), RAM_BYTES, phys_to_virt(ram)), 0);
    assert_int_equal(ballooning_init_pages(&vm), 0);
    ballooning_init_device(&vm);
    fake_clock_advance(FAKE_HZ);
    flushes = wakes = requests = 0;
    return 0;
}

/* What the device does for one page. */
static void give_back(uint64_t address)
{
    assert_true(balloon.memory.has_room(balloon.memory.context));
    assert_int_equal(balloon.memory.release(balloon.memory.context, GPA(address), PAGE_SIZE), PAGE_SIZE);
    balloon.memory.flush(balloon.memory.context);
}

static void a_page_is_free_after_the_flush(void **state)
{
    uint64_t before;

    (void)state;
    give_back(0x5000);
    assert_int_equal(wakes, 1);
    before = free_pages();
    ballooning_collect(&vm);
    assert_int_equal(flushes, 1);
    assert_true(requests & REQUEST_FLUSH);
    assert_int_equal(free_pages(), before + 1);
    ballooning_collect(&vm); /* nobody asked */
    assert_int_equal(flushes, 1);
}

static void flushes_have_a_distance(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        give_back(i * PAGE_SIZE);
        ballooning_collect(&vm);
    }
    assert_int_equal(flushes, 1);
    wakes = 0;
    fake_clock_advance(FAKE_HZ / 100);
    assert_int_equal(wakes, 1); /* and is not forgotten */
    ballooning_collect(&vm);
    assert_int_equal(flushes, 2);
    assert_int_equal(vm.mem.pages->missing, 100);
    fake_clock_advance(FAKE_HZ / 100);
    assert_int_equal(wakes, 1);
}

static void parts_of_pages_and_what_is_no_ram_are_passed_over(void **state)
{
    const struct balloon_memory *m = &balloon.memory;

    (void)state;
    assert_int_equal(m->release(m->context, GPA(0x800), 0x1000), 0x1000);
    assert_int_equal(m->release(m->context, GPA(~UINT64_C(0) - 100), 100), 100);
    assert_int_equal(m->release(m->context, GPA(RAM_BYTES), 0x3000), 0x3000);
    assert_int_equal(vm.mem.pages->missing, 0);
    assert_int_equal(m->release(m->context, GPA(0x800), 0x2000), 0x2000);
    assert_int_equal(vm.mem.pages->missing, 1);
}

/* The rest is for the next round, wherever a long report was cut. */
static void a_long_report_is_cut_at_a_page(void **state)
{
    const struct balloon_memory *m = &balloon.memory;
    uint64_t size = GUEST_PAGES_LOOKS_MAX * PAGE_SIZE + 0x1800, done;

    (void)state;
    done = m->release(m->context, GPA(RAM_BYTES + 0x800), size);
    assert_int_equal((0x800 + done) % PAGE_SIZE, 0);
    assert_in_range(done, GUEST_PAGES_LOOKS_MAX * PAGE_SIZE, size - 1);
    m->flush(m->context);
    ballooning_collect(&vm);
    assert_int_equal(m->release(m->context, GPA(RAM_BYTES + 0x800 + done), size - done), size - done);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(a_page_is_free_after_the_flush),
        TEST(flushes_have_a_distance),
        TEST(parts_of_pages_and_what_is_no_ram_are_passed_over),
        TEST(a_long_report_is_cut_at_a_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
