/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slots, and what each state allows. A VM ends in two steps: its vCPUs leave the scheduler one by one, each on its
 * CPU; the last one wakes the control thread, which reports, takes the VM apart and starts it again if its
 * description says so.
 */
#include "kernel/manager.h"
#include "kernel/console.h"
#include "kernel/control.h"
#include "kernel/dump.h"
#include "kernel/heap.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/machine.h"
#include "kernel/page.h"
#include "kernel/timer.h"

#define SLOTS_MAX 256u
/* A VM that ends again and again is started ever later; one that has run for a while has earned a new beginning. */
#define BACKOFF_FIRST_NS 100000000u /* also how often one may end well */
#define BACKOFF_DOUBLINGS_MAX 9u
#define GOOD_RUN_NS      60000000000u

/* The public part is the first: a vm_slot is a record. */
struct record {
    struct vm_slot slot;
    struct vm_config config;
    uint64_t started_at;    /* host TSC */
    uint64_t restart_at;    /* likewise; 0: not planned */
    unsigned failures;      /* in a row */
};

static struct record *records[SLOTS_MAX];
static unsigned record_count;
static const struct boot_info *boot;
static struct random *entropy;
static struct timer restart_timer;
static bool any_failed;

void (*manager_before_destroy)(void);

static const char *const state_names[VM_STATES] = {
    [VM_EMPTY] = "empty", [VM_CREATED] = "created", [VM_RUNNING] = "running", [VM_PAUSED] = "paused",
    [VM_STOPPING] = "stopping",
};

const char *vm_state_name(enum vm_state state)
{
    return state_names[state];
}

static struct record *record_of(struct vm_slot *slot)
{
    return (struct record *)slot;
}

struct vm_slot *manager_slot(unsigned index)
{
    return index < record_count ? &records[index]->slot : NULL;
}

struct vm_slot *manager_find(const char *name)
{
    for (unsigned i = 0; i < record_count; i++)
        if (strcmp(records[i]->slot.config->name, name) == 0)
            return &records[i]->slot;
    return NULL;
}

static void restart_is_due(void *context)
{
    (void)context;
    control_wake();
}

void manager_init(const struct boot_info *info, struct random *random)
{
    boot = info;
    entropy = random;
    timer_init(&restart_timer, restart_is_due, NULL);
}

/* --- the list --- */

int manager_add(const struct vm_config *config, struct vm_slot **slot)
{
    struct record *record;

    if (manager_find(config->name))
        return -EEXIST;
    if (record_count == SLOTS_MAX)
        return -ENOSPC;
    record = heap_alloc(sizeof *record);
    if (!record)
        return -ENOMEM;
    record->config = *config;
    record->slot.config = &record->config;
    records[record_count++] = record;
    *slot = &record->slot;
    return 0;
}

int manager_remove(struct vm_slot *slot)
{
    struct record *record = record_of(slot);
    unsigned i = 0;

    if (slot->state != VM_EMPTY)
        return -EBUSY;
    while (records[i] != record)
        i++;
    memmove(&records[i], &records[i + 1], (--record_count - i) * sizeof records[0]);
    heap_free(record);
    return 0;
}

/* --- beginning --- */

static uint64_t used_pages(void)
{
    struct page_stats stats;

    page_get_stats(&stats);
    return stats.total_pages - stats.free_pages;
}

/* What tests/bench reads. The guests of this CPU ran meanwhile, if there were any. */
static struct vm *create_and_measure(struct vm_config *config)
{
    uint64_t start = clock_now(), pages = used_pages();
    struct vm *vm = machine_create(config, boot, entropy);

    if (vm)
        log_debug("manager", "%s: made in %lu ticks, of %lu pages; %lu were in use", config->name, clock_now() - start,
                  used_pages() - pages, pages);
    return vm;
}

/* What was refused for want of memory may work another time. */
int manager_create(struct vm_slot *slot)
{
    if (slot->state != VM_EMPTY)
        return -EBUSY;
    if (slot->config->refused)
        return -EINVAL;
    slot->vm = create_and_measure(slot->config);
    if (!slot->vm) {
        slot->config->refused = false;
        return -EINVAL;
    }
    slot->state = VM_CREATED;
    slot->console = slot->vm->console;
    return 0;
}

int manager_start(struct vm_slot *slot)
{
    int error = slot->state == VM_EMPTY ? manager_create(slot) : 0;

    if (error)
        return error;
    if (slot->state != VM_CREATED)
        return -EBUSY;
    slot->state = VM_RUNNING;
    slot->starts++;
    record_of(slot)->started_at = clock_now();
    record_of(slot)->restart_at = 0;
    log_event("event=vm-start vm=%s", slot->vm->name);
    machine_start(slot->vm);
    return 0;
}

/* --- ending --- */

static bool is_success(const struct vm *vm)
{
    return vm->stop_reason == STOP_SHUTDOWN || vm->stop_reason == STOP_FORCED ||
           (vm->stop_reason == STOP_DEBUG_EXIT && vm->exit_status == 0);
}

static void report_stop(const struct vm *vm)
{
    if (vm->stop_reason == STOP_DEBUG_EXIT)
        log_event("event=vm-stop vm=%s reason=debug-exit status=%u", vm->name, vm->exit_status);
    else
        log_event("event=vm-stop vm=%s reason=%s", vm->name, stop_reason_name(vm->stop_reason));
}

static bool has_left(const struct vm_slot *slot)
{
    return slot->state >= VM_RUNNING && __atomic_load_n(&slot->vm->live_vcpus, __ATOMIC_ACQUIRE) == 0;
}

static void log_memory(const struct vm_slot *slot)
{
    struct page_stats pages;
    struct heap_stats heap;

    page_get_stats(&pages);
    heap_get_stats(&heap);
    log_debug("manager", "%s is gone: %lu pages are free, %lu objects on the heap", slot->config->name, pages.free_pages,
              heap.objects);
}

static void destroy(struct vm_slot *slot)
{
    machine_destroy(slot->vm);
    slot->vm = NULL;
    slot->console = 0;
    slot->state = VM_EMPTY;
    log_memory(slot);
}

/* What its vCPUs were asked for. */
static void print_dumps(const struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *vcpu = vm->vcpus[i];

        if (!__atomic_load_n(&vcpu->has_dump, __ATOMIC_ACQUIRE))
            continue;
        dump_print(&vcpu->dump, vm->name);
        dump_print_counts(vcpu);
        __atomic_store_n(&vcpu->has_dump, false, __ATOMIC_RELEASE);
    }
}

/* What is to be known of its end, before the line that says so. */
static void print_last_words(const struct vm *vm)
{
    console_flush_guest(vm->console);
    print_dumps(vm);
    if (vm->has_crashed)
        dump_print(&vm->crash, vm->name);
    for (unsigned i = 0; i < vm->vcpu_count && log_level >= LOG_DEBUG; i++)
        dump_print_counts(vm->vcpus[i]);
}

/* Its vCPUs are out of the scheduler. Did it end well? */
static bool finish(struct vm_slot *slot)
{
    const struct vm *vm = slot->vm;
    bool ended_well = is_success(vm);

    print_last_words(vm);
    report_stop(vm);
    slot->last_reason = vm->stop_reason;
    if (manager_before_destroy)
        manager_before_destroy();
    any_failed |= !ended_well;
    destroy(slot);
    return ended_well;
}

/*
 * A reset that the guest asked for is no end either: it wants to begin again. One that was told to shut down, and did,
 * was meant to stay down.
 */
static bool wants_restart(const struct vm_slot *slot, bool was_asked)
{
    static const bool is_crash[STOP_REASONS] = {[STOP_RESET] = true, [STOP_TRIPLE_FAULT] = true, [STOP_ERROR] = true};

    if (slot->config->restart == VM_RESTART_NEVER || (was_asked && slot->last_reason == STOP_SHUTDOWN))
        return false;
    return slot->config->restart == VM_RESTART_ALWAYS || is_crash[slot->last_reason];
}

static void plan_restart(struct record *record, bool ended_well)
{
    uint64_t now = clock_now();
    unsigned doublings;

    if (ended_well || now - record->started_at > clock_ticks_from_ns(GOOD_RUN_NS))
        record->failures = 0;
    doublings = MIN(record->failures, BACKOFF_DOUBLINGS_MAX);
    record->failures += !ended_well;
    record->restart_at = now + (clock_ticks_from_ns(BACKOFF_FIRST_NS) << doublings);
}

static void arm_restart_timer(void)
{
    uint64_t earliest = UINT64_MAX;

    for (unsigned i = 0; i < record_count; i++)
        if (records[i]->restart_at)
            earliest = MIN(earliest, records[i]->restart_at);
    if (earliest == UINT64_MAX)
        timer_cancel(&restart_timer);
    else
        timer_arm(&restart_timer, earliest);
}

static void restart_due(struct record *record)
{
    if (record->restart_at == 0 || clock_now() < record->restart_at)
        return;
    record->restart_at = 0;
    if (manager_start(&record->slot) != 0) {
        any_failed = true;
        log_event("event=vm-refused vm=%s why=\"%s\"", record->slot.config->name, record->slot.config->reason.text);
    }
}

void manager_run(void)
{
    for (unsigned i = 0; i < record_count; i++) {
        struct vm_slot *slot = &records[i]->slot;

        if (has_left(slot)) {
            bool was_asked = slot->state == VM_STOPPING, ended_well = finish(slot);

            if (wants_restart(slot, was_asked))
                plan_restart(records[i], ended_well);
        }
        if (slot->state >= VM_RUNNING) {
            print_dumps(slot->vm);
            ballooning_collect(slot->vm);
        }
        restart_due(records[i]);
    }
    arm_restart_timer();
}

bool manager_is_idle(void)
{
    for (unsigned i = 0; i < record_count; i++)
        if (records[i]->slot.state >= VM_RUNNING || records[i]->restart_at)
            return false;
    return true;
}

bool manager_any_failed(void)
{
    return any_failed;
}

void manager_refused(const struct vm_config *config)
{
    any_failed = true;
    log_event("event=vm-refused vm=%s why=\"%s\"", config->name, config->reason.text);
}

int manager_stop(struct vm_slot *slot)
{
    record_of(slot)->restart_at = 0;
    if (slot->state == VM_EMPTY)
        return -EBUSY;
    if (slot->state != VM_CREATED) {
        vm_stop(slot->vm, STOP_FORCED);
        while (!has_left(slot))
            control_yield();
        finish(slot);
        return 0;
    }
    destroy(slot);
    return 0;
}

int manager_restart(struct vm_slot *slot)
{
    int error = manager_stop(slot);

    return error ? error : manager_start(slot);
}

int manager_power_button(struct vm_slot *slot)
{
    if (slot->state != VM_RUNNING)
        return -EBUSY;
    machine_press_power_button(slot->vm);
    slot->state = VM_STOPPING;
    return 0;
}

/* --- memory --- */

int manager_set_memory(struct vm_slot *slot, uint64_t bytes)
{
    return slot->state < VM_RUNNING ? -EBUSY : ballooning_set_target(slot->vm, bytes);
}

void manager_get_memory(const struct vm_slot *slot, struct vm_memory *memory)
{
    ballooning_get_memory(slot->vm, memory);
}

/* --- holding still --- */

static bool is_still(const struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        if (vm->vcpus[i]->task.state != TASK_ASLEEP && vm->vcpus[i]->task.state != TASK_OUT)
            return false;
    return true;
}

int manager_pause(struct vm_slot *slot)
{
    if (slot->state != VM_RUNNING)
        return -EBUSY;
    slot->vm->is_paused = true;
    vm_request(slot->vm, REQUEST_LOOK);
    while (!is_still(slot->vm))
        control_yield();
    slot->state = VM_PAUSED;
    return 0;
}

int manager_resume(struct vm_slot *slot)
{
    if (slot->state != VM_PAUSED)
        return -EBUSY;
    slot->state = VM_RUNNING;
    slot->vm->is_paused = false;
    vm_request(slot->vm, REQUEST_LOOK | REQUEST_EVENT);
    return 0;
}
