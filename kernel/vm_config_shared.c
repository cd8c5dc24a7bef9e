/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One region of memory that a VM shares with others, as its kernel's line says it; see vm_config.h. Whether the others
 * say the same size is found out when the VM is made: they come and go.
 */
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/vm_config.h"
#include "kernel/vm_config_item.h"

/* clang-format off */
#define AT(field) offsetof(struct vm_shared_config, field)
static const struct config_key shared_keys[] = {
    {"name",    CONFIG_NAME,   AT(name),    0, VM_NAME_MAX, NULL, "the region, which all VMs that name it have"},
    {"size",    CONFIG_SIZE,   AT(size),    VM_SHARED_BYTES_MIN, VM_SHARED_BYTES_MAX, NULL, "how large it is: a power of two"},
    {"vectors", CONFIG_NUMBER, AT(vectors), 1, VM_SHARED_VECTORS_MAX, NULL, "interrupts that others can ring"},
};
#undef AT
/* clang-format on */

static const struct vm_config_item shared_item = {"shared", "name", CONFIG_TABLE(shared_keys)};

static bool has_region(const struct vm_config *vm, const char *name)
{
    for (unsigned i = 0; i < vm->shared_count; i++)
        if (strcmp(vm->shared[i].name, name) == 0)
            return true;
    return false;
}

static const char *find_fault(const struct vm_config *vm, const struct vm_shared_config *shared)
{
    if (shared->name[0] == '\0')
        return "expected the name of a region first";
    if (shared->size == 0)
        return "size: missing, expected a power of two like 1M";
    if (shared->size & (shared->size - 1))
        return "size: expected a power of two like 1M";
    return has_region(vm, shared->name) ? "a region is named twice" : NULL;
}

int vm_config_add_shared(struct vm_config *vm, const char *value, struct config_error *error)
{
    struct vm_shared_config shared = {.vectors = 1};
    const char *fault = "too many";

    if (vm->shared_count < VM_SHARED_MAX) {
        if (vm_config_read_item(&shared_item, value, &shared, error) != 0)
            return -EINVAL;
        fault = find_fault(vm, &shared);
    }
    if (fault) {
        config_explain(error, "shared: %s", fault);
        return -EINVAL;
    }
    vm->shared[vm->shared_count++] = shared;
    return 0;
}
