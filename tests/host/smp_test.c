/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whenever a CPU answers, or if it never does, the boot goes on with the others and says so; one that comes when
 * nobody waits for it halts, in a page that is nobody else's or before it does anything, and no stack, no page and no
 * number is ever two CPUs'.
 *
 * The test plays the CPUs, on a clock that goes on whenever somebody looks at it. A STARTUP stays pending behind an INIT,
 * as it may in emulators: the worst case.
 */
#include "tests/host/fake/arch.h"
#include "tests/host/fake/fake.h"
#include "arch/x86/acpi.h"
#include "arch/x86/apic.h"
#include "arch/x86/clock.h"
#include "arch/x86/descriptors.h"
#include "arch/x86/paging.h"
#include "arch/x86/smp.h"
#include "drivers/host/host_uart.h"
#include "kernel/heap.h"
#include "kernel/lib/bytes.h"
#include "kernel/page.h"
#include "kernel/pcpu.h"
#include <asm/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MS        1000000u
#define NEVER     UINT64_MAX
#define CPUS      4u
#define LOW_PAGES 8u

/* In the real one's stead: the same words behind some code. */
__asm__(".pushsection .rodata\n"
        ".globl ap_trampoline, ap_trampoline_end, ap_trampoline_claim, ap_trampoline_stack, ap_trampoline_argument\n"
        ".globl ap_trampoline_entry, ap_trampoline_cr3, ap_trampoline_boot_cr3\n"
        ".balign 8\n"
        "ap_trampoline: .quad 0\n"
        "ap_trampoline_claim: .quad 0\n"
        "ap_trampoline_stack: .quad 0\n"
        "ap_trampoline_argument: .quad 0\n"
        "ap_trampoline_entry: .quad 0\n"
        "ap_trampoline_cr3: .quad 0\n"
        "ap_trampoline_boot_cr3: .quad 0\n"
        "ap_trampoline_end:\n"
        ".popsection");
enum { CLAIM = 8, STACK = 16, ARGUMENT = 24, ENTRY = 32 };

/* --- the CPUs, by APIC id; 0 is the boot CPU --- */

static struct cpu {
    uint64_t answers_after, works_for; /* ns from the first STARTUP; from its first instruction until it reports */
    uint64_t called_at, begins_at, reports_at;
    hpa_t page;
    uint64_t stack;
    enum { SLEEPS, CALLED, RUNS, IN_MAIN, HALTED_IN_PAGE, HALTED } state;
    unsigned startups;
} cpus[CPUS];
static struct cpu *running;
static jmp_buf end_of_turn;
static bool are_boot_tables_dropped, is_x2apic;
static struct acpi_info acpi;

static void begin(struct cpu *c)
{
    uint8_t *page = phys_to_virt(c->page);
    uint32_t *claim = (uint32_t *)(page + CLAIM);

    c->state = *claim ? RUNS : HALTED_IN_PAGE;
    *claim = 0;
    c->stack = get_le64(page + STACK);
    c->reports_at = c->works_for == NEVER ? NEVER : fake_clock + c->works_for;
}

/* entry(argument), which comes back by a jump. */
static void report(struct cpu *c)
{
    const uint8_t *page = phys_to_virt(c->page);
    void (*entry)(uint64_t) = (void (*)(uint64_t))get_le64(page + ENTRY);

    running = c;
    if (setjmp(end_of_turn) == 0)
        entry(get_le64(page + ARGUMENT));
    running = NULL;
}

static void let_them_run(void)
{
    for (struct cpu *c = cpus + 1; c < cpus + CPUS && !running; c++) {
        if (c->state == CALLED && fake_clock >= c->begins_at)
            begin(c);
        if (c->state == RUNS && fake_clock >= c->reports_at)
            report(c);
    }
}

static void main_of_others(void)
{
    smp_report_online();
    running->state = IN_MAIN;
    longjmp(end_of_turn, 1);
}

void arch_halt(void)
{
    assert_non_null(running);
    running->state = HALTED;
    longjmp(end_of_turn, 1);
}

/* --- what smp.c calls --- */

uint64_t fake_clock, fake_clock_hz = FAKE_HZ;

uint64_t clock_now(void)
{
    fake_clock += 10000;
    let_them_run();
    return fake_clock;
}

uint64_t clock_hz(void)
{
    return fake_clock_hz;
}

void clock_delay_ns(uint64_t ns)
{
    fake_clock += ns;
    let_them_run();
}

void apic_send_startup(uint32_t id, uint8_t page)
{
    struct cpu *c = &cpus[id];

    assert_in_range(id, 1, CPUS - 1);
    c->startups++;
    if (c->state != SLEEPS || c->answers_after == NEVER)
        return;
    c->state = CALLED;
    c->begins_at = fake_clock + c->answers_after;
    c->page = HPA((uint64_t)page << PAGE_SHIFT);
}

void apic_send_init(uint32_t id)
{
    assert_in_range(id, 1, CPUS - 1);
}

uint32_t apic_id(void)
{
    return 0;
}

bool apic_is_x2apic(void)
{
    return is_x2apic;
}

void apic_send_ipi(uint32_t id, uint8_t vector)
{
    (void)id;
    (void)vector;
}

void apic_send_nmi(uint32_t id)
{
    (void)id;
}

void host_uart_break_lock(void)
{
}

void paging_load(void)
{
}

void descriptors_load(struct pcpu *cpu)
{
    assert_int_equal(syscall(SYS_arch_prctl, ARCH_SET_GS, cpu), 0);
}

hpa_t paging_root(void)
{
    return HPA(0x1000);
}

hpa_t paging_boot_root(void)
{
    return HPA(0x2000);
}

void paging_drop_boot_tables(void)
{
    are_boot_tables_dropped = true;
}

int paging_map_stacks(unsigned cpu, struct cpu_stacks *stacks)
{
    *stacks = (struct cpu_stacks){.main_top = 0x10000 * (cpu + 1)};
    return 0;
}

/* --- */

static int set_up(void **state)
{
    (void)state;
    fake_ram_reset();
    page_init();
    heap_init();
    assert_int_equal(page_add_range(HPA(PAGE_SIZE), LOW_PAGES * PAGE_SIZE), 0);
    assert_int_equal(page_add_range(HPA(MIB(1)), MIB(1)), 0);
    memset(pcpus, 0, sizeof pcpus);
    memset(cpus, 0, sizeof cpus);
    acpi = (struct acpi_info){.cpu_count = CPUS};
    for (unsigned i = 0; i < CPUS; i++) {
        cpus[i].answers_after = 50000;
        acpi.cpus[i].apic_id = i;
    }
    are_boot_tables_dropped = is_x2apic = false;
    fake_log_reset();
    (void)smp_init_boot_cpu();
    return 0;
}

/* All that is still on its way comes. */
static void start_all(void)
{
    smp_start_others(&acpi, PCPU_MAX, main_of_others);
    for (unsigned i = 0; i < 100; i++)
        clock_delay_ns(100 * MS);
}

static uint64_t low_pages_in_use(void)
{
    struct page_stats stats;

    page_get_stats(&stats);
    return stats.low_total_pages - stats.low_free_pages;
}

/* Those CPUs run and no others, in that order. */
static void assert_online(unsigned count, const uint32_t *ids)
{
    assert_int_equal(pcpu_count, count + 1);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(pcpus[i + 1].apic_id, ids[i]);
        assert_true(pcpus[i + 1].is_online);
        assert_int_equal(cpus[ids[i]].state, IN_MAIN);
        assert_int_equal(cpus[ids[i]].stack, pcpus[i + 1].arch->stack_top);
    }
}
#define ASSERT_ONLINE(...) \
    assert_online(sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), (const uint32_t[]){__VA_ARGS__})

static void assert_said(const char *text)
{
    if (!strstr(fake_log_text, text))
        fail_msg("\"%s\" is not in the log: %s", text, fake_log_text);
}

static void all_answer(void **state)
{
    (void)state;
    start_all();
    ASSERT_ONLINE(1, 2, 3);
    for (unsigned i = 1; i < CPUS; i++)
        assert_int_equal(cpus[i].startups, 1);
    assert_int_equal(low_pages_in_use(), 0);
    assert_true(are_boot_tables_dropped);
    assert_said("4 CPUs online");
}

static void one_needs_the_second_startup(void **state)
{
    (void)state;
    cpus[2].answers_after = 100 * MS;
    start_all();
    ASSERT_ONLINE(1, 2, 3);
    assert_int_equal(cpus[2].startups, 2);
    assert_int_equal(low_pages_in_use(), 0);
}

static void one_is_not_there(void **state)
{
    (void)state;
    cpus[1].answers_after = NEVER;
    start_all();
    ASSERT_ONLINE(2, 3);
    assert_said("CPU with APIC id 1 does not answer: left out");
    assert_true(are_boot_tables_dropped);
}

static void none_is_there(void **state)
{
    (void)state;
    for (unsigned i = 1; i < CPUS; i++)
        cpus[i].answers_after = NEVER;
    start_all();
    assert_int_equal(pcpu_count, 1);
    assert_said("1 CPU online");
}

/* While the next one is waited for, or when all is over. */
static void one_that_comes_too_late_halts(void **state)
{
    static const uint64_t delays[] = {205 * MS, 212 * MS, 300 * MS, 5000u * (uint64_t)MS};

    for (unsigned i = 0; i < ARRAY_SIZE(delays); i++) {
        set_up(state);
        cpus[1].answers_after = delays[i];
        cpus[2].answers_after = 150 * MS;
        start_all();
        ASSERT_ONLINE(2, 3);
        assert_int_equal(cpus[1].state, HALTED_IN_PAGE);
        assert_int_equal(low_pages_in_use(), 1);
        assert_true(cpus[1].page.value != cpus[2].page.value);
    }
}

static void one_that_is_slow_after_it_began_is_waited_for(void **state)
{
    (void)state;
    cpus[1].works_for = 350 * MS;
    start_all();
    ASSERT_ONLINE(1, 2, 3);
}

/* Whoever has its stack and its number may use them at any time. */
static void one_that_began_and_does_not_come_is_the_last(void **state)
{
    static const uint64_t delays[] = {450 * MS, 5000u * (uint64_t)MS, NEVER};

    for (unsigned i = 0; i < ARRAY_SIZE(delays); i++) {
        set_up(state);
        cpus[2].works_for = delays[i];
        start_all();
        ASSERT_ONLINE(1);
        assert_int_equal(cpus[2].state, delays[i] == NEVER ? RUNS : HALTED);
        assert_false(pcpus[2].is_online);
        assert_int_equal(cpus[3].startups, 0);
        assert_false(are_boot_tables_dropped);
        assert_said("CPU with APIC id 2 begins and does not come: it and all others are left out");
    }
}

static void an_id_that_xapic_cannot_name_is_left_out(void **state)
{
    (void)state;
    acpi.cpus[1].apic_id = 0x1ff;
    start_all();
    ASSERT_ONLINE(2, 3);
    assert_said("CPU with APIC id 511 is beyond xAPIC's reach: left out");
}

static void no_memory_for_one(void **state)
{
    (void)state;
    page_fail(2, 1000); /* the first one's is there */
    start_all();
    page_fail(0, 0);
    ASSERT_ONLINE(1);
    assert_said("CPU with APIC id 2 and all others are left out: no memory");
    assert_true(are_boot_tables_dropped);
}

static void no_page_in_low_memory(void **state)
{
    hpa_t page;

    (void)state;
    while (page_alloc_low(&page) == 0)
        ;
    start_all();
    assert_int_equal(pcpu_count, 1);
    assert_said("no memory");
}

static void as_many_as_were_asked_for(void **state)
{
    (void)state;
    smp_start_others(&acpi, 2, main_of_others);
    ASSERT_ONLINE(1);
    assert_int_equal(cpus[2].startups, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(all_answer),
        TEST(one_needs_the_second_startup),
        TEST(one_is_not_there),
        TEST(none_is_there),
        TEST(one_that_comes_too_late_halts),
        TEST(one_that_is_slow_after_it_began_is_waited_for),
        TEST(one_that_began_and_does_not_come_is_the_last),
        TEST(an_id_that_xapic_cannot_name_is_left_out),
        TEST(no_memory_for_one),
        TEST(no_page_in_low_memory),
        TEST(as_many_as_were_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
