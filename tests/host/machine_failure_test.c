/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whichever allocation finds no memory while a VM is made, made anew, or changed, that VM is refused and a line
 * says why; everything it had is free again; the other VMs have all that they had; and what was refused works as soon as
 * there is memory.
 *
 * Each case begins in a process of its own, since some things are made once and stay (a switch, an IOMMU's tables): the
 * N-th allocation fails, for every N until none is left to fail; once alone, and once with all that follow.
 */
#include "tests/host/fake/machine_rig.h"
#include "kernel/guest_pages.h"
#include "kernel/iommu.h"
#include "kernel/machine.h"
#include "kernel/machine_function.h"
#include "kernel/manager.h"
#include "kernel/page.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOREVER 1000000u

/* --- what must be the same --- */

struct books {
    uint64_t free_pages, heap_objects, heap_bytes;
};

static struct books look(void)
{
    struct page_stats pages;

    page_get_stats(&pages);
    return (struct books){pages.free_pages, heap_objects, heap_bytes};
}

static void assert_same(struct books a, struct books b)
{
    assert_int_equal(a.free_pages, b.free_pages);
    assert_int_equal(a.heap_objects, b.heap_objects);
    assert_int_equal(a.heap_bytes, b.heap_bytes);
}

static struct vm_slot *slot_of(const char *name)
{
    struct vm_slot *slot = manager_find(name);

    assert_non_null(slot);
    return slot;
}

static void *memory_of(const char *name, uint64_t address)
{
    void *at = guest_mem_at(&slot_of(name)->vm->mem, GPA(address), 8);

    assert_non_null(at);
    return at;
}

/* --- the cases --- */

struct failing_case {
    const char *name, *vm;
    void (*prepare)(void); /* where nothing fails */
    int (*run)(void);
    void (*check)(int error); /* what the failure has left */
    void (*undo)(void);
};

/* -EBUSY: it was refused. */
static void stop(const char *name)
{
    int error = manager_stop(slot_of(name));

    assert_true(error == 0 || error == -EBUSY);
}

static void assert_refused(const char *name, int error)
{
    const struct vm_slot *slot = slot_of(name);

    assert_int_equal(error, -EINVAL);
    assert_null(slot->vm);
    assert_int_equal(slot->state, VM_EMPTY);
    assert_true(strlen(slot->config->reason.text) > 0);
}

/* --- a VM with every emulated device --- */

static int create_web(void)
{
    return manager_create(slot_of("web"));
}

static void web_is_refused(int error)
{
    assert_refused("web", error);
}

static void stop_web(void)
{
    stop("web");
}

static void start_web(void)
{
    assert_int_equal(manager_start(slot_of("web")), 0);
}

/* It was stopped for that: refused, it stays so. */
static int restart_web(void)
{
    struct vm_slot *slot = slot_of("web");

    return slot->vm ? manager_restart(slot) : manager_start(slot);
}

/* --- its balloon --- */

#define LENT_AT    (MIB(2) - KIB(64)) /* two large pages are split for it */
#define LENT_PAGES 32u

static struct guest_pages *web_pages(void)
{
    return slot_of("web")->vm->mem.pages;
}

static int take_again(void)
{
    int error = 0;

    for (unsigned i = 0; i < LENT_PAGES && !error; i++)
        error = guest_pages_restore(web_pages(), GPA(LENT_AT + i * PAGE_SIZE));
    return error;
}

/* As its balloon would: what cannot be taken from it stays. */
static int lend_and_take_again(void)
{
    struct vm *vm = slot_of("web")->vm;
    uint64_t done, lent = guest_pages_release(web_pages(), GPA(LENT_AT), LENT_PAGES * PAGE_SIZE, &done);

    vm->platform->balloon_wants_flush = true;
    ballooning_collect(vm);
    assert_int_equal(web_pages()->missing, lent);
    return lent == LENT_PAGES ? take_again() : -ENOMEM;
}

static void web_lives_on(int error)
{
    assert_int_equal(error, -ENOMEM);
    assert_int_equal(slot_of("web")->state, VM_RUNNING);
}

static void complete_web(void)
{
    assert_int_equal(take_again(), 0);
    assert_int_equal(web_pages()->missing, 0);
    stop_web();
    start_web();
}

/* --- a VM with a function of the machine's --- */

static int create_driver(void)
{
    return manager_create(slot_of("driver"));
}

static void driver_is_refused(int error)
{
    assert_refused("driver", error);
    assert_null(machine_function_find(pci_requester(0, NIC)));
}

/* Refused or not, once it was there its pin is listened to. */
static void stop_driver(void)
{
    if (slot_of("driver")->vm)
        assert_int_equal(routed_pins, 1);
    stop("driver");
}

/* --- its messages --- */

static void start_driver(void)
{
    assert_int_equal(manager_start(slot_of("driver")), 0);
}

static int prepare_message(void)
{
    struct machine_function *f = machine_function_find(pci_requester(0, NIC));
    struct iommu_message host;

    return machine_message_prepare(f, &f->messages[1], &host);
}

static void driver_lives_on(int error)
{
    assert_true(error < 0);
    assert_int_equal(slot_of("driver")->state, VM_RUNNING);
}

static void retire_message(void)
{
    machine_message_retire(&machine_function_find(pci_requester(0, NIC))->messages[1]);
}

static const struct failing_case cases[] = {
    {"a VM with every emulated device", "web", NULL, create_web, web_is_refused, stop_web},
    {"its restart", "web", start_web, restart_web, web_is_refused, stop_web},
    {"its balloon", "web", start_web, lend_and_take_again, web_lives_on, complete_web},
    {"a VM with a function of the machine's", "driver", NULL, create_driver, driver_is_refused, stop_driver},
    {"a message of the function", "driver", start_driver, prepare_message, driver_lives_on, retire_message},
};

/* --- one N of one case, in a process of its own --- */

static const struct failing_case *the_case;
static unsigned fails_at, failures;
static struct books *expected; /* at the end, where nothing has failed; all processes' */
static enum { FAILED = 10, ABSORBED, NONE_LEFT } outcome;

/* The case works, and has given all back that is not made once for all. */
static struct books repeat(void)
{
    int error = the_case->run();

    if (error)
        fail_msg("error %d without a failure: %s", error, slot_of(the_case->vm)->config->reason.text);
    the_case->undo();
    return look();
}

static void one_failure(void **state)
{
    struct books after;
    int error;

    (void)state;
    start_machine();
    assert_int_equal(manager_start(slot_of("neighbour")), 0);
    memcpy(memory_of("neighbour", KIB(64)), "is here", 8);
    if (the_case->prepare)
        the_case->prepare();
    page_fail(fails_at, failures);
    error = the_case->run();
    outcome = page_fails_in() > 0 ? NONE_LEFT : error ? FAILED : ABSORBED;
    page_fail(0, 0);
    if (outcome == FAILED)
        the_case->check(error);
    else
        assert_int_equal(error, 0);
    the_case->undo();
    after = look();
    assert_string_equal(memory_of("neighbour", KIB(64)), "is here");
    assert_true(repeat().free_pages <= after.free_pages);
    after = look();
    assert_same(repeat(), after);
    if (outcome == NONE_LEFT)
        *expected = after;
    else
        assert_same(after, *expected);
}

/* What passes says nothing. */
static void show(FILE *said)
{
    int c;

    rewind(said);
    while ((c = fgetc(said)) != EOF)
        fputc(c, stderr);
}

static int run_in_child(void)
{
    const struct CMUnitTest test[] = {cmocka_unit_test(one_failure)};
    FILE *said = tmpfile();
    int status;

    assert_non_null(said);
    fflush(NULL);
    if (fork() == 0) {
        dup2(fileno(said), STDOUT_FILENO);
        dup2(fileno(said), STDERR_FILENO);
        _exit(cmocka_run_group_tests(test, NULL, NULL) ? 1 : (int)outcome);
    }
    wait(&status);
    if (!WIFEXITED(status) || WEXITSTATUS(status) < FAILED)
        show(said);
    fclose(said);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void every_allocation_fails_once(const struct failing_case *c, unsigned times)
{
    unsigned refused = 0, status;

    the_case = c;
    failures = times;
    fails_at = FOREVER;
    assert_int_equal(run_in_child(), NONE_LEFT);
    for (fails_at = 1; (status = (unsigned)run_in_child()) != NONE_LEFT; fails_at++) {
        if (status != FAILED && status != ABSORBED)
            fail_msg("%s: allocation %u, %u failures", c->name, fails_at, times);
        refused += status == FAILED;
    }
    print_message("%s: %u allocations, %u of them needed, when %s failed\n", c->name, fails_at - 1, refused,
                  times == 1 ? "each alone" : "all from there on");
}

static void test_case(void **state)
{
    every_allocation_fails_once(*state, 1);
    every_allocation_fails_once(*state, FOREVER);
}

int main(void)
{
    struct CMUnitTest tests[ARRAY_SIZE(cases)];

    expected = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        tests[i] = (struct CMUnitTest){cases[i].name, test_case, NULL, NULL, (void *)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
