/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Module lines to VM descriptions; see vm_config.h. A line is read twice: once for the keys that
 * say whose it is and what it is for, then against the table of its role. Whether the whole makes
 * sense is vm_config_check.c's question.
 */
#include "kernel/vm_config.h"
#include "drivers/backend.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"

enum role { ROLE_NONE, ROLE_KERNEL, ROLE_INITRD, ROLE_DISK, ROLE_MODULE };

/* What every line has. */
struct line_head {
    char vm[VM_NAME_MAX + 1];
    enum role role;
};

static const struct config_choice role_choices[] = {{"kernel", ROLE_KERNEL},
                                                    {"initrd", ROLE_INITRD},
                                                    {"disk", ROLE_DISK},
                                                    {"module", ROLE_MODULE},
                                                    {NULL, 0}};

const struct config_choice vm_format_choices[] = {
    {"auto", VM_FORMAT_AUTO},           {"linux", VM_FORMAT_LINUX}, {"pvh", VM_FORMAT_PVH},
    {"multiboot", VM_FORMAT_MULTIBOOT}, {"flat", VM_FORMAT_FLAT},   {NULL, 0}};

static const struct config_choice restart_choices[] = {{"never", VM_RESTART_NEVER},
                                                       {"on-crash", VM_RESTART_ON_CRASH},
                                                       {"always", VM_RESTART_ALWAYS},
                                                       {NULL, 0}};

static const struct config_choice entry_choices[] = {
    {"real", VM_ENTRY_REAL}, {"protected", VM_ENTRY_PROTECTED}, {NULL, 0}};

static const struct config_choice memory_map_choices[] = {
    {"remap", VM_MEMORY_MAP_REMAP}, {"identity", VM_MEMORY_MAP_IDENTITY}, {NULL, 0}};

static const struct config_choice serial_choices[] = {{"COM2", VM_SERIAL_COM2}, {NULL, 0}};

static const struct config_choice console_choices[] = {
    {"serial", VM_CONSOLE_SERIAL}, {"virtio", VM_CONSOLE_VIRTIO}, {"none", 0}, {NULL, 0}};

static const struct config_choice disk_mode_choices[] = {
    {"ro", VM_DISK_RO}, {"cow", VM_DISK_COW}, {"rw", VM_DISK_COW}, {NULL, 0}};

/* clang-format off */
#define AT(field) offsetof(struct line_head, field)
static const struct config_key head_keys[] = {
    {"vm",   CONFIG_NAME,   AT(vm),   0, VM_NAME_MAX, NULL,         "the VM that the module belongs to"},
    {"role", CONFIG_CHOICE, AT(role), 0, 0,           role_choices, "what the module is for"},
};
#undef AT

#define AT(field) offsetof(struct vm_config, field)
#define LOAD_MAX  (GIB(4) - 1)
static const struct config_key kernel_keys[] = {
    {"format",      CONFIG_CHOICE,   AT(format),      0, 0, vm_format_choices, "what kind of image it is"},
    {"cmdline",     CONFIG_TEXT,     AT(cmdline),     0, CONFIG_VALUE_BYTES - 1, NULL, "the kernel's command line"},
    {"memory",      CONFIG_SIZE,     AT(memory),      VM_MEMORY_MIN_FLAT, VM_MEMORY_MAX, NULL, "RAM"},
    {"vcpus",       CONFIG_NUMBER,   AT(vcpus),       1, VM_VCPUS_MAX, NULL, "virtual CPUs"},
    {"cpus",        CONFIG_CPU_LIST, AT(cpus),        0, 0, NULL, "host CPUs that may run it"},
    {"weight",      CONFIG_NUMBER,   AT(weight),      1, 10000, NULL, "share of CPU time against other VMs"},
    {"cap",         CONFIG_NUMBER,   AT(cap),         0, 100 * VM_VCPUS_MAX, NULL, "most CPU time, in percent of one CPU; 0: no limit"},
    {"restart",     CONFIG_CHOICE,   AT(restart),     0, 0, restart_choices, "when to start it again"},
    {"debug_exit",  CONFIG_FLAG,     AT(debug_exit),  0, 1, NULL, "a write to port 0xf4 ends the VM"},
    {"balloon",     CONFIG_FLAG,     AT(balloon),     0, 1, NULL, "a virtio balloon: the guest gives memory back when asked"},
    {"vsock",       CONFIG_NUMBER,   AT(vsock_cid),   VSOCK_CID_FIRST, VSOCK_CID_LAST, NULL, "its CID: sockets with the other VMs that have one"},
    {"free_page_reporting", CONFIG_FLAG, AT(free_page_reporting), 0, 1, NULL, "its free memory goes back by itself; needs balloon"},
    {"load",        CONFIG_ADDRESS,  AT(load),        0, LOAD_MAX, NULL, "where a flat image lies"},
    {"entry",       CONFIG_CHOICE,   AT(entry),       0, 0, entry_choices, "CPU mode at the start of a flat image"},
    {"entry_point", CONFIG_ADDRESS,  AT(entry_point), 0, LOAD_MAX, NULL, "where a flat image starts"},
    {"memory_map",  CONFIG_CHOICE,   AT(memory_map),  0, 0, memory_map_choices, "RAM at its host addresses or remapped"},
    {"devices",     CONFIG_TEXT,     AT(devices_text), 0, VM_DEVICES_TEXT_MAX, NULL, "PCI functions that it gets, such as 00:03.0,01:00.0"},
    {"serial",      CONFIG_CHOICE,   AT(serial),      0, 0, serial_choices, "a serial port of the machine that it gets"},
    {"vga",         CONFIG_FLAG,     AT(vga),         0, 1, NULL, "it gets the machine's VGA"},
    {"console",     CONFIG_CHOICES,  AT(consoles),    0, 0, console_choices, "guest consoles to show"},
};
#undef AT

#define AT(field) offsetof(struct vm_disk_config, field)
static const struct config_key disk_keys[] = {
    {"mode", CONFIG_CHOICE, AT(mode), 0, 0, disk_mode_choices, "read-only or copy-on-write"},
    {"id",   CONFIG_TEXT,   AT(id),   0, VM_DISK_ID_MAX, NULL, "the disk's serial number"},
};
#undef AT

#define AT(field) offsetof(struct vm_module_config, field)
static const struct config_key module_keys[] = {
    {"cmdline", CONFIG_TEXT, AT(cmdline), 0, VM_MODULE_CMDLINE_BYTES - 1, NULL, "the module's command line"},
};
#undef AT
/* clang-format on */

static const struct config_table head_table = CONFIG_TABLE(head_keys);
const struct config_table vm_config_table = CONFIG_TABLE(kernel_keys);

/* store_once keeps a bit for each. */
_Static_assert(ARRAY_SIZE(kernel_keys) <= 32, "more keys than bits");

static int add_kernel(struct vm_config *vm, unsigned image, void **object)
{
    if (vm->kernel != VM_IMAGE_NONE)
        return -EEXIST;
    vm->kernel = image;
    *object = vm;
    return 0;
}

static int add_initrd(struct vm_config *vm, unsigned image, void **object)
{
    if (vm->initrd != VM_IMAGE_NONE)
        return -EEXIST;
    vm->initrd = image;
    *object = vm;
    return 0;
}

static int add_disk(struct vm_config *vm, unsigned image, void **object)
{
    if (vm->disk_count == VM_DISKS_MAX)
        return -ENOSPC;
    vm->disks[vm->disk_count] = (struct vm_disk_config){.image = image, .mode = VM_DISK_RO};
    *object = &vm->disks[vm->disk_count++];
    return 0;
}

static int add_module(struct vm_config *vm, unsigned image, void **object)
{
    if (vm->module_count == VM_MODULES_MAX)
        return -ENOSPC;
    vm->modules[vm->module_count] = (struct vm_module_config){.image = image};
    *object = &vm->modules[vm->module_count++];
    return 0;
}

/* What a role's line may say, and which object takes it: made anew by add, which fails when it
 * cannot. */
static const struct {
    struct config_table table;
    int (*add)(struct vm_config *vm, unsigned image, void **object);
} roles[] = {
    [ROLE_KERNEL] = {CONFIG_TABLE(kernel_keys), add_kernel},
    [ROLE_INITRD] = {{NULL, 0}, add_initrd},
    [ROLE_DISK] = {CONFIG_TABLE(disk_keys), add_disk},
    [ROLE_MODULE] = {CONFIG_TABLE(module_keys), add_module},
};

/* Keys of the kernel's line that may be there more than once. */
static const struct {
    const char *key;
    int (*add)(struct vm_config *vm, const char *value, struct config_error *error);
} lists[] = {
    {"net", vm_config_add_net},
    {"shared", vm_config_add_shared},
};

/* One line while it is read; seen has a bit for each row of the table in use. */
struct line_reader {
    struct config_pair pair;
    struct config_error *error;
    uint32_t seen;
};

static int store_once(struct line_reader *reader, const struct config_table *table, void *object)
{
    const struct config_key *key = config_find(table, reader->pair.key);
    uint32_t bit;

    if (!key) {
        config_explain(reader->error, "%s: no such key for this role", reader->pair.key);
        return -EINVAL;
    }
    bit = 1u << (key - table->keys);
    if (reader->seen & bit) {
        config_explain(reader->error, "%s: given twice", reader->pair.key);
        return -EINVAL;
    }
    reader->seen |= bit;
    return config_store(key, object, &reader->pair, reader->error);
}

/* Takes the head's keys and skips all others; errors of theirs are for the second reading. */
static int read_head(const char *line, struct line_head *head, struct config_error *error)
{
    struct config_cursor cursor = config_open(line);
    struct line_reader reader = {.error = error};
    int result, first_error = 0;

    while ((result = config_next(&cursor, &reader.pair)) != 0) {
        if (result < 0 || !config_find(&head_table, reader.pair.key) || first_error)
            continue;
        first_error = store_once(&reader, &head_table, head);
    }
    return first_error;
}

static int store(struct line_reader *reader, enum role role, void *object)
{
    for (unsigned i = 0; i < ARRAY_SIZE(lists) && role == ROLE_KERNEL; i++)
        if (strcmp(reader->pair.key, lists[i].key) == 0)
            return lists[i].add(object, reader->pair.value, reader->error);
    return store_once(reader, &roles[role].table, object);
}

static int read_body(const char *line, enum role role, void *object, struct config_error *error)
{
    struct config_cursor cursor = config_open(line);
    struct line_reader reader = {.error = error};
    int result;

    while ((result = config_next(&cursor, &reader.pair)) > 0) {
        if (config_find(&head_table, reader.pair.key))
            continue;
        result = store(&reader, role, object);
        if (result < 0)
            return result;
    }
    if (result < 0)
        config_explain_token(error, &reader.pair, result);
    return result < 0 ? -EINVAL : 0;
}

struct vm_config *vm_config_find(const struct vm_config_set *set, const char *name)
{
    for (unsigned i = 0; i < set->count; i++)
        if (strcmp(set->vms[i].name, name) == 0)
            return &set->vms[i];
    return NULL;
}

static struct vm_config *find_or_add(struct vm_config_set *set, const char *name)
{
    struct vm_config *vm = vm_config_find(set, name);

    if (vm || set->count == set->capacity)
        return vm;
    vm = &set->vms[set->count++];
    memset(vm, 0, sizeof *vm);
    memcpy(vm->name, name, strlen(name) + 1);
    vm->kernel = vm->initrd = VM_IMAGE_NONE;
    vm->vcpus = 1;
    vm->weight = 100;
    vm->consoles = VM_CONSOLE_SERIAL | VM_CONSOLE_VIRTIO;
    vm->load = vm->entry_point = VM_ADDRESS_ANY;
    return vm;
}

void vm_config_refuse(struct vm_config *vm, const char *format, ...)
{
    struct config_error reason;
    va_list args;

    if (vm->refused)
        return;
    va_start(args, format);
    format_text_va(reason.text, sizeof reason.text, format, args);
    va_end(args);
    vm->refused = true;
    config_explain(&vm->reason, "%s", reason.text);
}

bool vm_config_has_pci(const struct vm_config *vm)
{
    return vm->device_count > 0 || vm->shared_count > 0;
}

static int add_to_vm(struct vm_config *vm, unsigned module_index, const char *line,
                     const struct line_head *head, struct config_error *error)
{
    void *object;
    int result;

    if (head->role == ROLE_NONE) {
        config_explain(error, "role: missing, expected kernel, initrd, disk or module");
        return -EINVAL;
    }
    result = roles[head->role].add(vm, module_index, &object);
    if (result < 0) {
        config_explain(error, "role=%s: %s", config_choice_name(role_choices, head->role),
                       result == -EEXIST ? "given twice" : "too many");
        return -EINVAL;
    }
    return read_body(line, head->role, object, error);
}

int vm_config_add_module(struct vm_config_set *set, unsigned module_index, const char *line,
                         struct config_error *error)
{
    struct line_head head = {.role = ROLE_NONE};
    struct vm_config *vm;
    int result = read_head(line, &head, error);

    if (head.vm[0] == '\0') {
        if (result == 0)
            config_explain(error, "vm: missing, expected the name of a VM");
        return -ENOENT;
    }
    vm = find_or_add(set, head.vm);
    if (!vm) {
        config_explain(error, "vm=%s: more than %u VMs", head.vm, set->capacity);
        return -ENOSPC;
    }
    if (result == 0)
        result = add_to_vm(vm, module_index, line, &head, error);
    if (result < 0)
        vm_config_refuse(vm, "%s", error->text);
    return result;
}
