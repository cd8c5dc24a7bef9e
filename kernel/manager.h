/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of VMs: every description that was found at boot or made at the console has a slot, with or
 * without a VM in it. All of this belongs to the control thread (kernel/control.h), which alone builds and
 * takes apart VMs; long steps let the guests of its CPU run in between. Nothing here may be called from an exit.
 */
#ifndef KERNEL_MANAGER_H
#define KERNEL_MANAGER_H

#include "kernel/ballooning.h"
#include "kernel/vm.h"
#include "kernel/vm_config.h"

enum vm_state {
    VM_EMPTY,    /* only its description: nothing is allocated */
    VM_CREATED,  /* built, has not run yet */
    VM_RUNNING,
    VM_PAUSED,   /* its vCPUs hold still; its clock goes on */
    VM_STOPPING, /* asked by its power button; or its vCPUs are on their way out */
    VM_STATES
};

struct vm_slot {
    struct vm_config *config;
    struct vm *vm; /* NULL: VM_EMPTY */
    enum vm_state state;
    enum stop_reason last_reason; /* why it last stopped; STOP_NONE: never */
    unsigned starts;              /* since boot */
    int console;                  /* Ctrl-A number, 0: none */
};

const char *vm_state_name(enum vm_state state);

struct boot_info;
struct random;

/* Where images and entropy come from; both stay. */
void manager_init(const struct boot_info *info, struct random *random);

/* Called with each VM that has ended, while all of it is still there; NULL: nobody wants to look. */
extern void (*manager_before_destroy)(void);

/* In the control thread, whenever it was woken: takes apart VMs that have ended, restarts those that are due. */
void manager_run(void);
/* No VM runs, is paused or will start again. */
bool manager_is_idle(void);
/* Has any VM been refused, or ended otherwise than well? */
bool manager_any_failed(void);
/* Reports that config's VM does not exist. */
void manager_refused(const struct vm_config *config);

/* Slots by number from 0, in order of creation; NULL past the end. A slot lives until manager_remove. */
struct vm_slot *manager_slot(unsigned index);
/* By name; NULL: there is none. */
struct vm_slot *manager_find(const char *name);

/*
 * Each returns 0, or a negative errno after which nothing has changed: -EBUSY: the VM is not in a state for that;
 * -ENOMEM; -EINVAL: the description is refused, and config->reason says why.
 */
/* With a copy of the description. -ENOSPC: no slot is left, -EEXIST: the name is taken. */
MUST_CHECK int manager_add(const struct vm_config *config, struct vm_slot **slot);
MUST_CHECK int manager_create(struct vm_slot *slot); /* VM_EMPTY -> VM_CREATED */
MUST_CHECK int manager_start(struct vm_slot *slot);  /* VM_EMPTY or VM_CREATED -> VM_RUNNING */
MUST_CHECK int manager_pause(struct vm_slot *slot);
MUST_CHECK int manager_resume(struct vm_slot *slot);
/* Asks by the ACPI power button. */
MUST_CHECK int manager_power_button(struct vm_slot *slot);
/* By force; the VM is gone (VM_EMPTY) when this returns. */
MUST_CHECK int manager_stop(struct vm_slot *slot);
/* manager_stop, then manager_start. */
MUST_CHECK int manager_restart(struct vm_slot *slot);
/* Asks the guest by its balloon to live with so many bytes. -EINVAL: out of range; -ENOTSUP: it has none. */
MUST_CHECK int manager_set_memory(struct vm_slot *slot, uint64_t bytes);
/* Of a VM that is there. */
void manager_get_memory(const struct vm_slot *slot, struct vm_memory *memory);
/* Takes a slot that is VM_EMPTY off the list. */
MUST_CHECK int manager_remove(struct vm_slot *slot);

#endif
