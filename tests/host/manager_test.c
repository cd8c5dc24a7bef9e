/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: in each of its states a VM allows what manager.h says and refuses the rest with nothing changed. What is
 * built is taken apart, whatever way it ends. A VM that crashes is started again, ever later, if its description
 * wants that; one that ended well comes back as soon as ever; one that was asked to shut down, or was stopped, stays
 * down.
 */
#include "tests/host/fake/fake.h"
#include "kernel/control.h"
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/lib/errno.h"
#include "kernel/machine.h"
#include "kernel/manager.h"
#include "kernel/page.h"
#include "kernel/sched.h"
#include "kernel/ballooning.h"

/* --- memory that guests give back is guest_pages_test's --- */

void ballooning_collect(struct vm *vm)
{
    (void)vm;
}

int ballooning_set_target(struct vm *vm, uint64_t bytes)
{
    (void)vm;
    (void)bytes;
    return 0;
}

void ballooning_get_memory(struct vm *vm, struct vm_memory *memory)
{
    (void)vm;
    (void)memory;
}

#define BACKOFF 100000000u /* ns, which are ticks here */

static struct vm_slot *slot;
static struct vcpu vcpus[2];
static unsigned alive;    /* VMs that machine_create made and machine_destroy has not freed */
static unsigned yields, wakes, buttons;
static bool is_out_of_memory;

/* --- what is known of a vCPU: dump_test has the real ones --- */

void dump_print(const struct dump *dump, const char *name)
{
    log_line(LOG_INFO, "dump", "%s: %s", name, dump->why);
}

void dump_print_counts(const struct vcpu *vcpu)
{
    (void)vcpu;
}

/* --- a machine that is only counted --- */

struct vm *machine_create(struct vm_config *c, const struct boot_info *boot, struct random *random)
{
    struct vm *vm = is_out_of_memory ? NULL : calloc(1, sizeof *vm);

    (void)boot;
    (void)random;
    if (!vm) {
        vm_config_refuse(c, "too little memory");
        return NULL;
    }
    vm->config = c;
    vm->console = 1;
    memcpy(vm->name, c->name, sizeof vm->name);
    vm->vcpu_count = ARRAY_SIZE(vcpus);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        vcpus[i] = (struct vcpu){.vm = vm, .index = i, .task.state = TASK_OUT};
        vm->vcpus[i] = &vcpus[i];
    }
    alive++;
    return vm;
}

void machine_start(struct vm *vm)
{
    vm->live_vcpus = vm->vcpu_count;
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vm->vcpus[i]->task.state = TASK_RUNNING;
}

void machine_destroy(struct vm *vm)
{
    assert_int_equal(vm->live_vcpus, 0);
    alive--;
    free(vm);
}

void machine_press_power_button(struct vm *vm)
{
    assert_int_not_equal(vm->live_vcpus, 0);
    buttons++;
}

uint64_t arch_irq_save(void)
{
    return 0;
}

void arch_irq_restore(uint64_t flags)
{
    (void)flags;
}

void control_wake(void)
{
    wakes++;
}

/* --- its vCPUs: each yield of the control thread lets one of them take its requests --- */

static void take_requests(struct vcpu *vcpu)
{
    uint32_t requests = vcpu->requests;

    vcpu->requests = 0;
    if (vcpu->task.state == TASK_OUT)
        return;
    if (requests & REQUEST_STOP) {
        vcpu->task.state = TASK_OUT;
        vcpu->vm->live_vcpus--;
    } else if (requests & REQUEST_LOOK) {
        vcpu->task.state = vcpu->vm->is_paused ? TASK_ASLEEP : TASK_RUNNING;
    }
}

void vcpu_request(struct vcpu *vcpu, uint32_t requests)
{
    vcpu->requests |= requests;
}

void vm_request(struct vm *vm, uint32_t requests)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_request(vm->vcpus[i], requests);
}

void vm_stop(struct vm *vm, enum stop_reason reason)
{
    if (vm->stop_reason == STOP_NONE)
        vm->stop_reason = reason;
    vm_request(vm, REQUEST_STOP);
}

const char *stop_reason_name(enum stop_reason reason)
{
    return reason == STOP_RESET ? "reset" : "other";
}

void control_yield(void)
{
    assert_true(yields < 100000);
    take_requests(&vcpus[yields++ % ARRAY_SIZE(vcpus)]);
}

/* --- the tests --- */

static int setup(void **state)
{
    (void)state;
    fake_clock_reset();
    fake_log_count = alive = yields = wakes = buttons = 0;
    is_out_of_memory = false;
    manager_init(NULL, NULL);
    assert_int_equal(manager_add(&(struct vm_config){.name = "tested"}, &slot), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (slot && slot->state != VM_EMPTY)
        assert_int_equal(manager_stop(slot), 0);
    assert_int_equal(alive, 0);
    if (slot)
        assert_int_equal(manager_remove(slot), 0);
    assert_null(manager_slot(0));
    return 0;
}

/* The guest ends it, and the control thread is woken. */
static void end(enum stop_reason reason, uint32_t status)
{
    slot->vm->exit_status = status;
    vm_stop(slot->vm, reason);
    control_yield();
    control_yield();
    manager_run();
}

static int start(struct vm_slot *s)
{
    return manager_start(s);
}

static int remove_slot(struct vm_slot *s)
{
    int error = manager_remove(s);

    if (!error)
        slot = NULL;
    return error;
}

/* Each call, and the state that it leads to from each state; -1: refused. */
static const struct {
    const char *name;
    int (*call)(struct vm_slot *slot);
    int next[VM_STATES];
} calls[] = {
    /*                                      empty       created     running      paused      stopping */
    {"create", manager_create,             {VM_CREATED, -1,         -1,          -1,         -1}},
    {"start", start,                       {VM_RUNNING, VM_RUNNING, -1,          -1,         -1}},
    {"pause", manager_pause,               {-1,         -1,         VM_PAUSED,   -1,         -1}},
    {"resume", manager_resume,             {-1,         -1,         -1,          VM_RUNNING, -1}},
    {"power button", manager_power_button, {-1,         -1,         VM_STOPPING, -1,         -1}},
    {"stop", manager_stop,                 {-1,         VM_EMPTY,   VM_EMPTY,    VM_EMPTY,   VM_EMPTY}},
    {"restart", manager_restart,           {-1,         VM_RUNNING, VM_RUNNING,  VM_RUNNING, VM_RUNNING}},
    {"remove", remove_slot,                {VM_EMPTY,   -1,         -1,          -1,         -1}},
};

static void bring_to(enum vm_state wanted)
{
    if (wanted == VM_EMPTY)
        return;
    assert_int_equal(manager_create(slot), 0);
    if (wanted != VM_CREATED)
        assert_int_equal(manager_start(slot), 0);
    if (wanted == VM_PAUSED)
        assert_int_equal(manager_pause(slot), 0);
    if (wanted == VM_STOPPING)
        assert_int_equal(manager_power_button(slot), 0);
    assert_int_equal(slot->state, wanted);
}

static void test_each_call_in_each_state(void **state)
{
    for (unsigned c = 0; c < ARRAY_SIZE(calls); c++) {
        for (unsigned from = 0; from < VM_STATES; from++) {
            int next = calls[c].next[from], error;

            if (c || from)
                setup(state);
            bring_to(from);
            error = calls[c].call(slot);
            if (error != (next < 0 ? -EBUSY : 0))
                fail_msg("%s when %s: %d", calls[c].name, vm_state_name(from), error);
            if (slot)
                assert_int_equal(slot->state, next < 0 ? from : (unsigned)next);
            if (c + 1 < ARRAY_SIZE(calls) || from + 1 < VM_STATES)
                teardown(state);
        }
    }
}

static void test_names_are_unique_and_found(void **state)
{
    struct vm_config same = {.name = "tested"}, other = {.name = "other"};
    struct vm_slot *second;

    (void)state;
    assert_int_equal(manager_add(&same, &second), -EEXIST);
    assert_int_equal(manager_add(&other, &second), 0);
    other.name[0] = 'x'; /* it has its own copy */
    assert_ptr_equal(manager_find("other"), second);
    assert_ptr_equal(manager_find("tested"), slot);
    assert_null(manager_find("xther"));
    assert_ptr_equal(manager_slot(0), slot);
    assert_ptr_equal(manager_slot(1), second);
    assert_null(manager_slot(2));
    assert_int_equal(manager_remove(second), 0);
    assert_null(manager_slot(1));
}

static void test_slots_run_out(void **state)
{
    struct vm_config many = {.name = ""};
    struct vm_slot *added;
    unsigned count = 1;
    int error;

    (void)state;
    do
        snprintf(many.name, sizeof many.name, "vm%u", count);
    while ((error = manager_add(&many, &added)) == 0 && ++count < 10000);
    assert_int_equal(error, -ENOSPC);
    assert_int_equal(count, 256);
    while ((added = manager_slot(1)))
        assert_int_equal(manager_remove(added), 0);
}

static void test_what_was_refused_for_want_of_memory_may_be_tried_again(void **state)
{
    (void)state;
    is_out_of_memory = true;
    assert_int_equal(manager_start(slot), -EINVAL);
    assert_string_equal(slot->config->reason.text, "too little memory");
    assert_int_equal(slot->state, VM_EMPTY);
    is_out_of_memory = false;
    assert_int_equal(manager_start(slot), 0);
}

static void test_a_bad_description_stays_refused(void **state)
{
    (void)state;
    vm_config_refuse(slot->config, "no kernel");
    assert_int_equal(manager_create(slot), -EINVAL);
    assert_int_equal(manager_start(slot), -EINVAL);
    assert_string_equal(slot->config->reason.text, "no kernel");
}

static void test_an_end_is_reported_and_all_is_freed(void **state)
{
    (void)state;
    assert_int_equal(manager_start(slot), 0);
    assert_false(manager_is_idle());
    manager_run(); /* nothing has happened */
    assert_int_equal(slot->state, VM_RUNNING);
    end(STOP_DEBUG_EXIT, 0);
    assert_int_equal(alive, 0);
    assert_int_equal(slot->state, VM_EMPTY);
    assert_int_equal(slot->last_reason, STOP_DEBUG_EXIT);
    assert_int_equal(slot->starts, 1);
    assert_int_equal(slot->console, 0);
    assert_true(manager_is_idle());
    assert_false(manager_any_failed());
}

/* Half of the vCPUs have left: the other half still runs in its memory. */
static void test_a_vm_is_taken_apart_when_its_last_vcpu_has_left(void **state)
{
    (void)state;
    assert_int_equal(manager_start(slot), 0);
    vm_stop(slot->vm, STOP_SHUTDOWN);
    control_yield();
    manager_run();
    assert_int_equal(alive, 1);
    control_yield();
    manager_run();
    assert_int_equal(alive, 0);
}

static const struct {
    enum vm_restart policy;
    enum stop_reason reason;
    uint32_t status;
    bool is_started_again;
} policies[] = {
    {VM_RESTART_NEVER, STOP_RESET, 0, false},
    {VM_RESTART_NEVER, STOP_TRIPLE_FAULT, 0, false},
    {VM_RESTART_ON_CRASH, STOP_SHUTDOWN, 0, false},
    {VM_RESTART_ON_CRASH, STOP_DEBUG_EXIT, 0, false},
    {VM_RESTART_ON_CRASH, STOP_RESET, 0, true},
    {VM_RESTART_ON_CRASH, STOP_TRIPLE_FAULT, 0, true},
    {VM_RESTART_ON_CRASH, STOP_ERROR, 0, true},
    {VM_RESTART_ALWAYS, STOP_SHUTDOWN, 0, true},
    {VM_RESTART_ALWAYS, STOP_DEBUG_EXIT, 0, true},
    {VM_RESTART_ALWAYS, STOP_DEBUG_EXIT, 3, true},
    {VM_RESTART_ALWAYS, STOP_TRIPLE_FAULT, 0, true},
};

static void test_each_policy_for_each_end(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(policies); i++) {
        if (i)
            setup(state);
        slot->config->restart = policies[i].policy;
        assert_int_equal(manager_start(slot), 0);
        end(policies[i].reason, policies[i].status);
        assert_int_equal(slot->state, VM_EMPTY);
        assert_int_equal(manager_is_idle(), !policies[i].is_started_again);
        fake_clock_advance(BACKOFF);
        assert_int_equal(wakes, policies[i].is_started_again);
        manager_run();
        assert_int_equal(slot->starts, 1 + policies[i].is_started_again);
        if (i + 1 < ARRAY_SIZE(policies))
            teardown(state);
    }
}

/* How long it is down when it ends now. */
static uint64_t ticks_until_started(enum stop_reason reason)
{
    unsigned starts = slot->starts;
    uint64_t ended = fake_clock;

    end(reason, 0);
    for (unsigned i = 0; i < 10000 && slot->starts == starts; i++) {
        fake_clock_advance(BACKOFF / 10);
        manager_run();
    }
    return fake_clock - ended;
}

static void test_back_off_doubles_up_to_a_limit(void **state)
{
    (void)state;
    slot->config->restart = VM_RESTART_ON_CRASH;
    assert_int_equal(manager_start(slot), 0);
    for (unsigned i = 0; i < 12; i++)
        assert_int_equal(ticks_until_started(STOP_TRIPLE_FAULT), (uint64_t)BACKOFF << MIN(i, 9u));
    fake_clock_advance((uint64_t)61 * FAKE_HZ); /* a good run */
    assert_int_equal(ticks_until_started(STOP_TRIPLE_FAULT), BACKOFF);
    assert_int_equal(ticks_until_started(STOP_TRIPLE_FAULT), 2 * BACKOFF);
    assert_true(manager_any_failed());
}

static void test_a_good_end_needs_no_longer_back_off(void **state)
{
    (void)state;
    slot->config->restart = VM_RESTART_ALWAYS;
    assert_int_equal(manager_start(slot), 0);
    for (unsigned i = 0; i < 12; i++)
        assert_int_equal(ticks_until_started(STOP_SHUTDOWN), BACKOFF);
    assert_int_equal(ticks_until_started(STOP_RESET), BACKOFF);
    assert_int_equal(ticks_until_started(STOP_RESET), 2 * BACKOFF);
    assert_int_equal(ticks_until_started(STOP_SHUTDOWN), BACKOFF);
    assert_int_equal(ticks_until_started(STOP_RESET), BACKOFF);
}

static void test_who_was_asked_to_shut_down_stays_down(void **state)
{
    (void)state;
    slot->config->restart = VM_RESTART_ALWAYS;
    assert_int_equal(manager_start(slot), 0);
    assert_int_equal(manager_power_button(slot), 0);
    assert_int_equal(buttons, 1);
    end(STOP_SHUTDOWN, 0);
    assert_true(manager_is_idle());
}

static void test_who_was_asked_to_shut_down_and_crashed_comes_back(void **state)
{
    (void)state;
    slot->config->restart = VM_RESTART_ALWAYS;
    assert_int_equal(manager_start(slot), 0);
    assert_int_equal(manager_power_button(slot), 0);
    end(STOP_TRIPLE_FAULT, 0);
    assert_false(manager_is_idle());
    fake_clock_advance(BACKOFF);
    manager_run();
    assert_int_equal(slot->state, VM_RUNNING);
}

static void test_what_is_stopped_by_force_stays_down(void **state)
{
    (void)state;
    slot->config->restart = VM_RESTART_ALWAYS;
    assert_int_equal(manager_start(slot), 0);
    assert_int_equal(manager_stop(slot), 0);
    assert_int_equal(slot->last_reason, STOP_FORCED);
    fake_clock_advance(100 * (uint64_t)BACKOFF);
    manager_run();
    assert_int_equal(slot->starts, 1);
}

/* It waits for its restart: that counts as an end, of the plan. */
static void test_stop_and_start_drop_a_planned_restart(void **state)
{
    (void)state;
    slot->config->restart = VM_RESTART_ALWAYS;
    assert_int_equal(manager_start(slot), 0);
    end(STOP_RESET, 0);
    assert_false(manager_is_idle());
    assert_int_equal(manager_stop(slot), -EBUSY);
    assert_true(manager_is_idle());
    assert_int_equal(manager_start(slot), 0);
    end(STOP_RESET, 0);
    assert_int_equal(manager_start(slot), 0);
    fake_clock_advance(100 * (uint64_t)BACKOFF);
    manager_run();
    assert_int_equal(slot->starts, 3);
}

static void test_a_restart_for_which_there_is_no_memory_is_reported(void **state)
{
    (void)state;
    slot->config->restart = VM_RESTART_ALWAYS;
    assert_int_equal(manager_start(slot), 0);
    end(STOP_RESET, 0);
    is_out_of_memory = true;
    fake_clock_advance(BACKOFF);
    manager_run();
    assert_string_equal(fake_log_last, "event=vm-refused vm=tested why=\"too little memory\"");
    assert_true(manager_is_idle());
}

static void test_a_paused_vm_holds_still_until_resumed(void **state)
{
    (void)state;
    assert_int_equal(manager_start(slot), 0);
    assert_int_equal(manager_pause(slot), 0);
    assert_int_equal(vcpus[0].task.state, TASK_ASLEEP);
    assert_int_equal(vcpus[1].task.state, TASK_ASLEEP);
    manager_run();
    assert_int_equal(slot->state, VM_PAUSED);
    assert_false(manager_is_idle());
    assert_int_equal(manager_resume(slot), 0);
    assert_false(slot->vm->is_paused);
    assert_true(vcpus[0].requests & REQUEST_LOOK);
}

/* A vCPU that ends its VM while the control thread waits for all to hold still. */
static void test_a_vm_that_ends_while_it_is_paused_is_taken_apart(void **state)
{
    (void)state;
    assert_int_equal(manager_start(slot), 0);
    vm_stop(slot->vm, STOP_TRIPLE_FAULT);
    assert_int_equal(manager_pause(slot), 0);
    manager_run();
    assert_int_equal(slot->state, VM_EMPTY);
    assert_int_equal(slot->last_reason, STOP_TRIPLE_FAULT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int get_memory(void **state)
{
    (void)state;
    page_init();
    assert_int_equal(page_add_range(HPA(MIB(1)), MIB(16)), 0);
    heap_init();
    return 0;
}

/* What was asked for is printed once; what a crash left comes before the line that says that the VM has stopped. */
static void last_words_come_before_the_end(void **state)
{
    (void)state;
    assert_int_equal(manager_start(slot), 0);
    fake_log_reset();
    strcpy(vcpus[1].dump.why, "halted");
    vcpus[1].has_dump = true;
    manager_run();
    manager_run();
    assert_string_equal(fake_log_text, "tested: halted\n");
    strcpy(slot->vm->crash.why, "triple fault");
    slot->vm->has_crashed = true;
    end(STOP_RESET, 0);
    assert_non_null(strstr(fake_log_text, "tested: triple fault\nevent=vm-stop vm=tested reason=reset\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_end_is_reported_and_all_is_freed), /* the first: nothing has failed so far */
        TEST(last_words_come_before_the_end),
        TEST(test_each_call_in_each_state),
        TEST(test_names_are_unique_and_found),
        TEST(test_slots_run_out),
        TEST(test_what_was_refused_for_want_of_memory_may_be_tried_again),
        TEST(test_a_bad_description_stays_refused),
        TEST(test_a_vm_is_taken_apart_when_its_last_vcpu_has_left),
        TEST(test_each_policy_for_each_end),
        TEST(test_back_off_doubles_up_to_a_limit),
        TEST(test_a_good_end_needs_no_longer_back_off),
        TEST(test_who_was_asked_to_shut_down_stays_down),
        TEST(test_who_was_asked_to_shut_down_and_crashed_comes_back),
        TEST(test_what_is_stopped_by_force_stays_down),
        TEST(test_stop_and_start_drop_a_planned_restart),
        TEST(test_a_restart_for_which_there_is_no_memory_is_reported),
        TEST(test_a_paused_vm_holds_still_until_resumed),
        TEST(test_a_vm_that_ends_while_it_is_paused_is_taken_apart),
    };

    return cmocka_run_group_tests(tests, get_memory, NULL);
}
