/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever is requested of a vCPU is taken, or ends the loop; a request that is left over keeps the guest from
 * running for good. A paused VM's vCPUs sleep, and go on where they were, whatever they were doing.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/pcpu.h"
#include "arch/arch.h"
#include "arch/x86/guest/power_up.h"
#include "arch/x86/guest/world.h"
#include "arch/x86/regs.h"
#include "kernel/console.h"
#include "kernel/control.h"
#include "kernel/dump.h"
#include "kernel/machine.h"
#include "kernel/timers.h"

#define TURNS_MAX 100u

static struct vm vm;
static struct vcpu vcpu;
static struct lapic lapic;
static struct platform platform;
static _Alignas(PAGE_SIZE) uint8_t apic_page[PAGE_SIZE];
static unsigned turns, entries, resumed, dumps, wakes;
static unsigned unloads[2]; /* by whether it comes back */

/* --- what the loop stands on --- */

/* Each turn of the loop ends here: a loop that never enters the guest must not hold the test. */
void arch_take_interrupts(void)
{
    if (++turns == TURNS_MAX)
        vcpu_request(&vcpu, REQUEST_YIELD);
}

/* dump_test has the real one. */
void dump_take(struct dump *dump, struct vcpu *of)
{
    dump->vcpu = of->index;
    dumps++;
}

void control_wake(void)
{
    assert_true(vcpu.has_dump); /* else the control thread would find none */
    wakes++;
}

void timers_fire(void)
{
}

void console_deliver_input(int number)
{
    (void)number;
}

void machine_resume_devices(struct vm *of)
{
    assert_ptr_equal(of, &vm);
    resumed++;
}

void arch_kick(unsigned id)
{
    (void)id;
}

void sched_notify(struct task *task)
{
    (void)task;
}

void sched_set_cpus(struct task *task, uint64_t cpus)
{
    (void)task;
    (void)cpus;
}

void world_load(struct vcpu *loaded)
{
    (void)loaded;
}

void world_save(struct vcpu *saved)
{
    (void)saved;
}

void power_up(struct vcpu *fresh)
{
    (void)fresh;
}

/* --- the engine: a guest that runs until it is told --- */

static enum verdict run(struct vcpu *running)
{
    entries++;
    vcpu_request(running, REQUEST_YIELD);
    return VERDICT_LEAVE;
}

static uint64_t get(struct vcpu *of, enum vcpu_register which)
{
    (void)of;
    return which == VCPU_RFLAGS ? RFLAGS_IF : 0;
}

static bool sync_interrupts(struct vcpu *of)
{
    (void)of;
    return false;
}

static void do_nothing(struct vcpu *with)
{
    (void)with;
}

static void unload(struct vcpu *of, bool comes_back_here)
{
    assert_ptr_equal(of, &vcpu);
    unloads[comes_back_here]++;
}

static const struct vcpu_ops engine = {
    .name = "test",
    .load = do_nothing,
    .unload = unload,
    .run = run,
    .get = get,
    .sync_interrupts = sync_interrupts,
};
const struct vcpu_ops *vcpu_ops = &engine;

static void ignore(void *context)
{
    (void)context;
}

static const struct lapic_wiring wiring = {.notify = ignore};

static int set_up(void **state)
{
    (void)state;
    fake_clock_reset();
    fake_pcpus_reset(2);
    memset(&vm, 0, sizeof vm);
    memset(&vcpu, 0, sizeof vcpu);
    memset(&platform, 0, sizeof platform);
    lapic_init(&lapic, apic_page, 0, true, &wiring, &vcpu);
    pic_init(&platform.pic, (struct irq_line){0});
    vm.platform = &platform;
    vm.vcpus[0] = &vcpu;
    vm.vcpu_count = 1;
    vcpu.vm = &vm;
    vcpu.lapic = &lapic;
    turns = entries = resumed = dumps = wakes = unloads[false] = unloads[true] = 0;
    return 0;
}

/* --- the tests --- */

static void a_vcpu_runs_until_it_is_told(void **state)
{
    (void)state;
    assert_int_equal(vcpu_run(&vcpu), VCPU_PREEMPTED);
    assert_int_equal(entries, 1);
    vm_stop(&vm, STOP_FORCED);
    assert_int_equal(vcpu_run(&vcpu), VCPU_OUT);
    assert_null(this_pcpu()->current);
}

/* Theory: the engine may keep something of a vCPU on a CPU only if no other may run it, and only until the vCPU ends. */
static void what_stays_on_a_cpu_comes_back_there(void **state)
{
    (void)state;
    vcpu.task.cpus = BIT(0) | BIT(1);
    assert_int_equal(vcpu_run(&vcpu), VCPU_PREEMPTED);
    vcpu_unload_current();
    assert_int_equal(unloads[true], 0);
    assert_int_equal(unloads[false], 1);
    vcpu.task.cpus = BIT(0);
    assert_int_equal(vcpu_run(&vcpu), VCPU_PREEMPTED);
    vcpu_unload_current();
    assert_int_equal(unloads[true], 1);
    vm_stop(&vm, STOP_FORCED);
    assert_int_equal(vcpu_run(&vcpu), VCPU_OUT);
    assert_int_equal(unloads[true], 1);
    assert_int_equal(unloads[false], 2);
}

/* Until the control thread has printed it. */
static void a_dump_is_taken_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        vcpu_request(&vcpu, REQUEST_DUMP);
        assert_int_equal(vcpu_run(&vcpu), VCPU_PREEMPTED);
    }
    assert_int_equal(dumps, 1);
    assert_int_equal(wakes, 1);
    assert_string_equal(vcpu.dump.why, "running");
    vcpu.has_dump = false;
    vcpu.is_halted = true;
    vcpu_request(&vcpu, REQUEST_DUMP);
    assert_int_equal(vcpu_run(&vcpu), VCPU_SLEEPS);
    assert_int_equal(dumps, 2);
    assert_string_equal(vcpu.dump.why, "halted");
}

static void the_first_crash_is_heard(void **state)
{
    (void)state;
    vcpu_crash(&vcpu, STOP_TRIPLE_FAULT, "triple fault at %#x", 0x7c00u);
    vcpu_crash(&vcpu, STOP_ERROR, "what came of it");
    assert_int_equal(dumps, 1);
    assert_true(vm.has_crashed);
    assert_string_equal(vm.crash.why, "triple fault at 0x7c00");
    assert_int_equal(vm.stop_reason, STOP_TRIPLE_FAULT);
    assert_int_equal(vcpu_run(&vcpu), VCPU_OUT);
}

static void pause_it(void)
{
    vm.is_paused = true;
    vm_request(&vm, REQUEST_LOOK);
    assert_int_equal(vcpu_run(&vcpu), VCPU_SLEEPS);
    assert_int_equal(vcpu.requests, 0); /* else it would not stay asleep */
    assert_int_equal(entries, 0);
}

static void resume(void)
{
    vm.is_paused = false;
    vm_request(&vm, REQUEST_LOOK | REQUEST_EVENT);
}

static void one_that_was_paused_while_busy_goes_on(void **state)
{
    (void)state;
    pause_it();
    resume();
    assert_int_equal(vcpu_run(&vcpu), VCPU_PREEMPTED);
    assert_int_equal(entries, 1);
    assert_true(turns < TURNS_MAX);
}

static void one_that_was_paused_in_a_hlt_sleeps_on(void **state)
{
    (void)state;
    vcpu.is_halted = true;
    pause_it();
    resume();
    assert_int_equal(vcpu_run(&vcpu), VCPU_SLEEPS);
    assert_int_equal(vcpu.requests, 0);
    vcpu_request(&vcpu, REQUEST_KICK | REQUEST_EVENT);
    assert_int_equal(vcpu_run(&vcpu), VCPU_PREEMPTED);
    assert_int_equal(entries, 1);
}

/* The kick is for the HLT that comes next. */
static void a_kick_survives_a_pause(void **state)
{
    (void)state;
    vcpu_request(&vcpu, REQUEST_KICK | REQUEST_EVENT);
    pause_it();
    resume();
    assert_int_equal(vcpu_run(&vcpu), VCPU_PREEMPTED);
    vcpu.is_halted = true;
    vcpu_request(&vcpu, REQUEST_LOOK);
    assert_int_equal(vcpu_run(&vcpu), VCPU_PREEMPTED);
}

static void one_that_is_paused_ends(void **state)
{
    (void)state;
    pause_it();
    vm_stop(&vm, STOP_FORCED);
    assert_int_equal(vcpu_run(&vcpu), VCPU_OUT);
    assert_int_equal(entries, 0);
}

/* As a request of any other's, it wakes one that is halted, which sleeps on then. */
static void a_halted_one_does_its_devices_work(void **state)
{
    (void)state;
    vcpu.is_halted = true;
    vcpu_request(&vcpu, REQUEST_WORK);
    assert_int_equal(vcpu_run(&vcpu), VCPU_SLEEPS);
    assert_int_equal(resumed, 1);
    assert_int_equal(vcpu.requests, 0);
    assert_int_equal(entries, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_vcpu_runs_until_it_is_told, set_up),
        cmocka_unit_test_setup(what_stays_on_a_cpu_comes_back_there, set_up),
        cmocka_unit_test_setup(a_dump_is_taken_once, set_up),
        cmocka_unit_test_setup(the_first_crash_is_heard, set_up),
        cmocka_unit_test_setup(one_that_was_paused_while_busy_goes_on, set_up),
        cmocka_unit_test_setup(one_that_was_paused_in_a_hlt_sleeps_on, set_up),
        cmocka_unit_test_setup(a_kick_survives_a_pause, set_up),
        cmocka_unit_test_setup(one_that_is_paused_ends, set_up),
        cmocka_unit_test_setup(a_halted_one_does_its_devices_work, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
