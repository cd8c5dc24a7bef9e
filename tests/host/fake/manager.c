/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/manager.h"
#include "kernel/lib/errno.h"
#include "kernel/trace.h"

#define SLOTS_MAX 6u

int fake_manager_error;
unsigned fake_manager_calls;
const char *fake_manager_call;
uint64_t fake_manager_memory;

static struct vm_slot slots[SLOTS_MAX];
static struct vm_config configs[SLOTS_MAX];
static struct vm vms[SLOTS_MAX];
static struct vcpu vcpus[SLOTS_MAX];
static unsigned slot_count;
static unsigned next_vm_id;

const char *vm_state_name(enum vm_state state)
{
    static const char *const names[VM_STATES] = {"stopped", "created", "running", "paused", "stopping"};

    return names[state];
}

const char *stop_reason_name(enum stop_reason reason)
{
    return reason == STOP_NONE ? "none" : reason == STOP_SHUTDOWN ? "shutdown" : "error";
}

const char *exit_name(enum exit_kind kind)
{
    static const char *const names[EXIT_KINDS] = {
        [EXIT_CPUID] = "cpuid", [EXIT_IO] = "io", [EXIT_MEMORY] = "mmio", [EXIT_HLT] = "hlt",
    };

    return names[kind] ? names[kind] : "other";
}

struct vm_slot *manager_slot(unsigned index)
{
    return index < slot_count ? &slots[index] : NULL;
}

struct vm_slot *manager_find(const char *name)
{
    for (unsigned i = 0; i < slot_count; i++)
        if (strcmp(slots[i].config->name, name) == 0)
            return &slots[i];
    return NULL;
}

static int note(const char *call)
{
    int error = fake_manager_error;

    fake_manager_error = 0;
    fake_manager_call = call;
    fake_manager_calls += error == 0;
    return error;
}

int manager_add(const struct vm_config *config, struct vm_slot **slot)
{
    int error = note("add");

    if (error)
        return error;
    if (slot_count == SLOTS_MAX)
        return -ENOSPC;
    assert_null(manager_find(config->name));
    configs[slot_count] = *config;
    slots[slot_count] = (struct vm_slot){.config = &configs[slot_count]};
    *slot = &slots[slot_count++];
    return 0;
}

static int build(struct vm_slot *slot)
{
    unsigned n = (unsigned)(slot - slots);

    slot->vm = &vms[n];
    vms[n] = (struct vm){.id = ++next_vm_id, .vcpus = {&vcpus[n]}, .vcpu_count = 1, .config = slot->config};
    memcpy(vms[n].name, slot->config->name, sizeof vms[n].name);
    vcpus[n] = (struct vcpu){.vm = &vms[n]};
    slot->console = (int)n + 1;
    return 0;
}

static void clear(struct vm_slot *slot)
{
    trace_free(slot->vm->vcpus[0]);
    slot->vm = NULL;
    slot->console = 0;
    slot->state = VM_EMPTY;
}

static int change(struct vm_slot *slot, const char *call, enum vm_state to)
{
    int error = note(call);

    if (error)
        return error;
    if (!slot->vm)
        build(slot);
    slot->state = to;
    return 0;
}

int manager_create(struct vm_slot *slot)
{
    assert_int_equal(slot->state, VM_EMPTY);
    return change(slot, "create", VM_CREATED);
}

int manager_start(struct vm_slot *slot)
{
    assert_true(slot->state == VM_EMPTY || slot->state == VM_CREATED);
    slot->starts++;
    return change(slot, "start", VM_RUNNING);
}

int manager_pause(struct vm_slot *slot)
{
    assert_int_equal(slot->state, VM_RUNNING);
    return change(slot, "pause", VM_PAUSED);
}

int manager_resume(struct vm_slot *slot)
{
    assert_int_equal(slot->state, VM_PAUSED);
    return change(slot, "resume", VM_RUNNING);
}

int manager_power_button(struct vm_slot *slot)
{
    assert_int_equal(slot->state, VM_RUNNING);
    return change(slot, "power button", VM_STOPPING);
}

int manager_stop(struct vm_slot *slot)
{
    int error = note("stop");

    assert_int_not_equal(slot->state, VM_EMPTY);
    if (!error)
        clear(slot);
    return error;
}

int manager_restart(struct vm_slot *slot)
{
    int error = note("restart");

    assert_int_not_equal(slot->state, VM_EMPTY);
    if (error)
        return error;
    clear(slot);
    build(slot);
    slot->state = VM_RUNNING;
    slot->starts++;
    return 0;
}

int manager_set_memory(struct vm_slot *slot, uint64_t bytes)
{
    int error = note("memory");

    assert_int_equal(slot->state, VM_RUNNING);
    if (!error)
        fake_manager_memory = bytes;
    return error;
}

void manager_get_memory(const struct vm_slot *slot, struct vm_memory *memory)
{
    *memory = (struct vm_memory){.pages = slot->config->memory >> PAGE_SHIFT};
    if (fake_manager_memory)
        memory->missing = memory->pages - (fake_manager_memory >> PAGE_SHIFT);
}

int manager_remove(struct vm_slot *slot)
{
    int error = note("remove");
    unsigned n = (unsigned)(slot - slots);

    assert_int_equal(slot->state, VM_EMPTY);
    if (error)
        return error;
    slot_count--;
    for (unsigned i = n; i < slot_count; i++) {
        configs[i] = configs[i + 1];
        slots[i] = slots[i + 1];
        slots[i].config = &configs[i];
    }
    return 0;
}

static void describe(const char *name, uint64_t memory)
{
    struct vm_config config = {.initrd = VM_IMAGE_NONE, .memory = memory, .vcpus = 1, .weight = 100, .consoles = VM_CONSOLE_SERIAL,
                               .load = VM_ADDRESS_ANY, .entry_point = VM_ADDRESS_ANY, .cmdline = "console=ttyS0"};
    struct vm_slot *slot;

    memcpy(config.name, name, strlen(name) + 1);
    assert_int_equal(manager_add(&config, &slot), 0);
}

void fake_manager_reset(void)
{
    for (unsigned i = 0; i < slot_count; i++)
        if (slots[i].vm)
            clear(&slots[i]);
    slot_count = 0;
    fake_manager_error = 0;
    fake_manager_memory = 0;
    describe("web", MIB(256));
    describe("db", MIB(64));
    fake_manager_calls = 0;
    fake_manager_call = "";
}
