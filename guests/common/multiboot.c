/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints a Multiboot 1 boot for tests to read: command line, memory, modules with a checksum. */
#include "guests/common/multiboot.h"
#include "guests/common/guest.h"

static const char *text_at(uint32_t address)
{
    return address ? (const char *)(uintptr_t)address : "";
}

/* A sum that notices moved and missing bytes. */
static uint32_t checksum(uint32_t start, uint32_t end)
{
    uint32_t sum = 0;

    for (uint32_t at = start; at < end; at++)
        sum = sum * 31 + *(const uint8_t *)(uintptr_t)at;
    return sum;
}

static bool print_modules(const struct multiboot_info *info)
{
    const struct multiboot_module *module = (const void *)(uintptr_t)info->mods_addr;

    for (uint32_t i = 0; i < info->mods_count; i++, module++) {
        if (module->end < module->start)
            return false;
        print("GUEST: module %u bytes=%u sum=%x cmdline=%s\n", i, module->end - module->start,
              checksum(module->start, module->end), text_at(module->cmdline));
    }
    return true;
}

bool multiboot_print(uint32_t magic, uint32_t address)
{
    const struct multiboot_info *info = (const void *)(uintptr_t)address;

    if (magic != MULTIBOOT_BOOTLOADER_MAGIC) {
        print("GUEST: FAILED: EAX is %x, not Multiboot's magic\n", magic);
        return false;
    }
    if (info->flags & MULTIBOOT_INFO_CMDLINE)
        print("GUEST: cmdline=%s\n", text_at(info->cmdline));
    if (info->flags & MULTIBOOT_INFO_MEMORY)
        print("GUEST: memory lower=%uK upper=%uK\n", info->mem_lower, info->mem_upper);
    print("GUEST: memory map bytes=%u\n",
          info->flags & MULTIBOOT_INFO_MEM_MAP ? info->mmap_length : 0);
    return !(info->flags & MULTIBOOT_INFO_MODS) || print_modules(info);
}

static const char *behind(const char *text, const char *prefix)
{
    while (*prefix && *text == *prefix) {
        text++;
        prefix++;
    }
    return *prefix ? NULL : text;
}

const char *multiboot_text_option(const struct multiboot_info *info, const char *name)
{
    const char *text = info->flags & MULTIBOOT_INFO_CMDLINE ? text_at(info->cmdline) : "";

    for (; *text; text++)
        if (behind(text, name))
            return behind(text, name);
    return NULL;
}

unsigned multiboot_option(const struct multiboot_info *info, const char *name)
{
    const char *digits = multiboot_text_option(info, name);
    unsigned number = 0;

    while (digits && *digits >= '0' && *digits <= '9')
        number = number * 10 + (unsigned)(*digits++ - '0');
    return number;
}
