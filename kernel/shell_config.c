/* SPDX-License-Identifier: BSD-2-Clause */
/* The shell's commands for descriptions of VMs: showing one, and making one like another. */
#include "arch/arch.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "kernel/shell_command.h"
#include "kernel/vm.h"

#define VALUE_BYTES 256u /* a long command line is cut */

/* --- a value as it would be typed --- */

static void say_flag(const struct config_key *key, const void *field, char *text, size_t size)
{
    (void)key;
    format_text(text, size, "%d", *(const bool *)field);
}

static void say_number(const struct config_key *key, const void *field, char *text, size_t size)
{
    (void)key;
    format_text(text, size, "%u", *(const unsigned *)field);
}

static void say_size(const struct config_key *key, const void *field, char *text, size_t size)
{
    uint64_t bytes = *(const uint64_t *)field;

    (void)key;
    if (bytes % MIB(1) == 0)
        format_text(text, size, "%luM", bytes >> 20);
    else
        format_text(text, size, "%luK", bytes >> 10);
}

static void say_address(const struct config_key *key, const void *field, char *text, size_t size)
{
    uint64_t address = *(const uint64_t *)field;

    (void)key;
    if (address != VM_ADDRESS_ANY)
        format_text(text, size, "%#lx", address);
}

static void say_choice(const struct config_key *key, const void *field, char *text, size_t size)
{
    const char *name = config_choice_name(key->choices, *(const unsigned *)field);

    if (name[0] != '?')
        format_text(text, size, "%s", name);
}

static void say_choices(const struct config_key *key, const void *field, char *text, size_t size)
{
    unsigned bits = *(const unsigned *)field;
    size_t n = 0;

    for (const struct config_choice *c = key->choices; c->name && n < size; c++)
        if (bits ? (c->value & bits) != 0 : c->value == 0)
            n += format_text(text + n, size - n, "%s%s", n ? "," : "", c->name);
}

static void say_cpus(const struct config_key *key, const void *field, char *text, size_t size)
{
    uint64_t mask = *(const uint64_t *)field;
    size_t n = 0;

    (void)key;
    for (unsigned i = 0; i < 64 && n < size; i++)
        if (mask & BIT(i))
            n += format_text(text + n, size - n, "%s%u", n ? "," : "", i);
}

static void say_text(const struct config_key *key, const void *field, char *text, size_t size)
{
    (void)key;
    format_text(text, size, "%s", (const char *)field);
}

static void (*const sayers[])(const struct config_key *key, const void *field, char *text, size_t size) = {
    [CONFIG_FLAG] = say_flag,       [CONFIG_NUMBER] = say_number,   [CONFIG_SIZE] = say_size,
    [CONFIG_ADDRESS] = say_address, [CONFIG_CHOICE] = say_choice,   [CONFIG_CHOICES] = say_choices,
    [CONFIG_CPU_LIST] = say_cpus,   [CONFIG_TEXT] = say_text,       [CONFIG_NAME] = say_text,
};

static void show_net(const struct vm_net_config *net)
{
    shell_print("  net=%s,mac=%02x:%02x:%02x:%02x:%02x:%02x,vlan=%u%s%s%s", net->network, net->mac[0], net->mac[1], net->mac[2],
                net->mac[3], net->mac[4], net->mac[5], net->vlan, net->is_trunk ? ",trunk" : "",
                net->is_isolated ? ",isolated" : "", net->spoof_check ? "" : ",spoof_check=0");
}

/* What was not given has no line. */
static void show_key(const struct config_key *key, const struct vm_config *config)
{
    char text[VALUE_BYTES] = "";

    sayers[key->type](key, (const char *)config + key->offset, text, sizeof text);
    for (char *c = text; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    if (text[0])
        shell_print("  %s=%s", key->name, text);
}

/* Where its RAM is: what an IOMMU's line names, and a person's looking into the machine. */
static void show_memory(const struct guest_mem *mem)
{
    for (unsigned i = 0; i < mem->count; i++) {
        const struct guest_mem_slot *s = &mem->slots[i];

        shell_print("  RAM %#lx-%#lx is at %#lx, %lu KiB%s", s->base.value, s->base.value + s->size - 1,
                    virt_to_phys(s->host).value, s->size >> 10, s->is_scattered ? ", but for what came back elsewhere" : "");
    }
}

void shell_vm_show(const struct shell_call *call)
{
    const struct vm_slot *slot = call->slot;
    const struct vm_config *config = slot->config;

    shell_print("%s: %s, %u starts, last stop: %s", config->name, vm_state_name(slot->state), slot->starts,
                stop_reason_name(slot->last_reason));
    if (config->refused)
        shell_print("  refused: %s", config->reason.text);
    for (unsigned i = 0; i < vm_config_table.count; i++)
        show_key(&vm_config_table.keys[i], config);
    for (unsigned i = 0; i < config->net_count; i++)
        show_net(&config->nets[i]);
    for (unsigned i = 0; i < config->shared_count; i++)
        shell_print("  shared=%s,size=%luK,vectors=%u", config->shared[i].name, config->shared[i].size >> 10,
                    config->shared[i].vectors);
    shell_print("  disks: %u, modules: %u, initrd: %s", config->disk_count, config->module_count,
                config->initrd == VM_IMAGE_NONE ? "no" : "yes");
    if (slot->vm)
        show_memory(&slot->vm->mem);
}

/* --- making one --- */

static struct vm_config draft;  /* too large for a stack */
static struct config_pair pair; /* likewise */

static bool says(const struct config_error *error)
{
    shell_print("vm create: %s", error->text);
    return false;
}

/* Takes like=VM out of the pairs. */
static bool copy_other(struct config_cursor cursor)
{
    const struct vm_slot *other = NULL;
    struct config_error error;
    int result;

    config_explain(&error, "like=VM is missing: whose images?");
    while ((result = config_next(&cursor, &pair)) > 0) {
        if (strcmp(pair.key, "like") != 0)
            continue;
        other = manager_find(pair.value);
        if (!other)
            config_explain(&error, "like=%.31s: no VM has that name", pair.value);
    }
    if (result < 0)
        config_explain_token(&error, &pair, result);
    if (result < 0 || !other)
        return says(&error);
    draft = *other->config;
    return true;
}

/* A key twice is a slip: which one was meant? */
static bool change_key(uint32_t *seen)
{
    const struct config_key *key = config_find(&vm_config_table, pair.key);
    bool is_like = strcmp(pair.key, "like") == 0;
    uint32_t bit = key ? 1u << (key - vm_config_table.keys) : 1u << 31;
    struct config_error error;

    if (!key && !is_like)
        config_explain(&error, "%s: no such key; help vm create lists all", pair.key);
    else if (*seen & bit)
        config_explain(&error, "%s: given twice", pair.key);
    else if (is_like || config_store(key, &draft, &pair, &error) == 0)
        return (*seen |= bit) != 0;
    return says(&error);
}

static bool change_keys(struct config_cursor cursor)
{
    uint32_t seen = 0;

    while (config_next(&cursor, &pair) > 0)
        if (!change_key(&seen))
            return false;
    return true;
}

static bool is_sound(const char *name)
{
    struct vm_config_set set = {&draft, 1, 1};

    vm_config_rename(&draft, name);
    draft.refused = false;
    draft.reason.text[0] = '\0';
    vm_config_check(&set);
    return draft.refused ? says(&draft.reason) : true;
}

static void add(const char *name)
{
    struct vm_slot *slot;
    int error = manager_add(&draft, &slot);

    if (error) {
        shell_print("vm create: %s", error == -ENOSPC ? "there are as many VMs as there can be" : "no memory for it");
        return;
    }
    error = manager_create(slot);
    if (!error) {
        shell_print("%s is created", name);
        return;
    }
    shell_explain_vm_error(slot, error);
    if (manager_remove(slot) != 0)
        shell_print("%s: its description stays", name);
}

void shell_vm_create(const struct shell_call *call)
{
    const char *name = call->word[0];

    if (manager_find(name))
        shell_print("vm create: there is a VM '%s' already", name);
    else if (copy_other(call->rest) && change_keys(call->rest) && is_sound(name))
        add(name);
}
