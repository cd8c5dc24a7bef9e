/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does a VM's description make sense as a whole? See vm_config.h. Only what needs no look into an
 * image and no knowledge of the machine is checked here.
 */
#include "kernel/vm_config.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

/* Where a boot sector lies by the PC BIOS's convention, and where the first megabyte ends. */
#define LOAD_REAL_DEFAULT      0x7c00u
#define LOAD_PROTECTED_DEFAULT MIB(1)

static void check_kernel(struct vm_config *vm)
{
    if (vm->kernel == VM_IMAGE_NONE)
        vm_config_refuse(vm, "no module with role=kernel");
}

static void check_memory(struct vm_config *vm)
{
    if (vm->memory == 0)
        vm_config_refuse(vm, "memory: missing, expected a size like 256M");
    else if (vm->memory < VM_MEMORY_MIN && vm->format != VM_FORMAT_FLAT)
        vm_config_refuse(vm, "memory=%lluK: expected at least 1M unless format=flat",
                         (unsigned long long)(vm->memory >> 10));
}

static void check_initrd(struct vm_config *vm)
{
    if (vm->initrd != VM_IMAGE_NONE &&
        (vm->format == VM_FORMAT_MULTIBOOT || vm->format == VM_FORMAT_FLAT))
        vm_config_refuse(vm, "role=initrd: not for format=%s",
                         config_choice_name(vm_format_choices, vm->format));
}

static void check_modules(struct vm_config *vm)
{
    if (vm->module_count > 0 && vm->format != VM_FORMAT_MULTIBOOT && vm->format != VM_FORMAT_AUTO)
        vm_config_refuse(vm, "role=module: not for format=%s",
                         config_choice_name(vm_format_choices, vm->format));
}

static void check_disk_ids(struct vm_config *vm)
{
    for (unsigned i = 1; i < vm->disk_count; i++)
        for (unsigned j = 0; j < i; j++)
            if (vm->disks[i].id[0] != '\0' && strcmp(vm->disks[i].id, vm->disks[j].id) == 0)
                vm_config_refuse(vm, "id=%s: two disks have it", vm->disks[i].id);
}

static void complete_flat(struct vm_config *vm)
{
    if (vm->entry == VM_ENTRY_ANY)
        vm->entry = VM_ENTRY_REAL;
    if (vm->load == VM_ADDRESS_ANY)
        vm->load = vm->entry == VM_ENTRY_REAL ? LOAD_REAL_DEFAULT : LOAD_PROTECTED_DEFAULT;
    if (vm->entry_point == VM_ADDRESS_ANY)
        vm->entry_point = vm->load;
}

static void check_flat(struct vm_config *vm)
{
    if (vm->format != VM_FORMAT_FLAT) {
        if (vm->load != VM_ADDRESS_ANY || vm->entry_point != VM_ADDRESS_ANY ||
            vm->entry != VM_ENTRY_ANY)
            vm_config_refuse(vm, "load, entry, entry_point: only for format=flat");
        return;
    }
    complete_flat(vm);
    if (vm->load >= vm->memory)
        vm_config_refuse(vm, "load=0x%llx: beyond the memory", (unsigned long long)vm->load);
    if (vm->entry_point >= vm->memory)
        vm_config_refuse(vm, "entry_point=0x%llx: beyond the memory",
                         (unsigned long long)vm->entry_point);
    if (vm->entry == VM_ENTRY_REAL && vm->entry_point >= MIB(1))
        vm_config_refuse(vm, "entry_point=0x%llx: real mode reaches 1M only",
                         (unsigned long long)vm->entry_point);
}

/* Below the hole under 4 GiB the guest's layout and a machine's agree; above it they need not. */
#define IDENTITY_BYTES_MAX GIB(3)

static void check_identity(struct vm_config *vm)
{
    if (vm->memory_map == VM_MEMORY_MAP_IDENTITY && vm->memory > IDENTITY_BYTES_MAX)
        vm_config_refuse(vm, "memory_map=identity: for at most 3G of memory");
}

/* A device reaches what its guest gave back. */
static void check_balloon(struct vm_config *vm)
{
    if (vm->balloon && vm->memory_map == VM_MEMORY_MAP_IDENTITY)
        vm_config_refuse(vm, "balloon: not with memory_map=identity");
    if (vm->balloon && vm->device_count > 0)
        vm_config_refuse(vm, "balloon: not for a VM that has devices");
    if (vm->balloon && vm->vga)
        vm_config_refuse(vm, "balloon: not for a VM that has the VGA");
}

static void check_vga(struct vm_config *vm)
{
    if (vm->vga && vm->memory < VM_MEMORY_MIN)
        vm_config_refuse(vm, "vga: needs 1M of memory");
}

/* There is one low memory in a machine. */
static void check_one_identity(struct vm_config_set *set)
{
    const struct vm_config *first = NULL;

    for (unsigned i = 0; i < set->count; i++) {
        struct vm_config *vm = &set->vms[i];

        if (vm->refused || vm->memory_map != VM_MEMORY_MAP_IDENTITY)
            continue;
        if (first)
            vm_config_refuse(vm, "memory_map=identity: %s has it", first->name);
        first = first ? first : vm;
    }
}

void vm_config_check(struct vm_config_set *set)
{
    static void (*const checks[])(struct vm_config * vm) = {
        check_kernel, check_memory, check_initrd, check_modules, check_disk_ids, check_flat, check_identity,
        check_balloon, check_vga,
        vm_config_read_devices,
    };

    for (unsigned i = 0; i < set->count; i++)
        for (unsigned c = 0; c < ARRAY_SIZE(checks) && !set->vms[i].refused; c++)
            checks[c](&set->vms[i]);
    check_one_identity(set);
}

void vm_config_read_boot(struct vm_config_set *set, const struct boot_info *boot)
{
    struct config_error error;

    for (unsigned i = 0; i < boot->module_count; i++)
        if (vm_config_add_module(set, i, boot->modules[i].command_line, &error) < 0)
            log_error("config", "module %u: %s", i, error.text);
    vm_config_check(set);
    for (unsigned i = 0; i < set->count; i++)
        if (set->vms[i].refused)
            log_error("config", "vm %s refused: %s", set->vms[i].name, set->vms[i].reason.text);
}
