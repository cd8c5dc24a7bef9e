/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multiboot 1 kernels: ELF (32 or 64 bits, both entered in 32-bit mode) or any file whose header
 * carries addresses ("a.out kludge"). Multiboot Specification 0.6.96.
 */
#include "arch/x86/guest/boot_job.h"
#include "arch/x86/guest/boot_start.h"
#include "arch/x86/guest/elf.h"
#include "arch/x86/guest/layout.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

#define MULTIBOOT_HEADER_MAGIC     0x1badb002u
#define MULTIBOOT_BOOTLOADER_MAGIC 0x2badb002u
#define MULTIBOOT_SEARCH_BYTES     8192u

/* "OS image format": flags that the kernel requires; bits 0 to 15 may not be ignored. */
#define MULTIBOOT_PAGE_ALIGN     BIT(0)
#define MULTIBOOT_MEMORY_INFO    BIT(1)
#define MULTIBOOT_VIDEO_MODE     BIT(2)
#define MULTIBOOT_REQUIRED_MASK  0xffffu
#define MULTIBOOT_REQUIRED_KNOWN (MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO)
#define MULTIBOOT_AOUT_KLUDGE    BIT(16)

/* "Boot information format": which fields are there. */
#define MULTIBOOT_INFO_MEMORY           BIT(0)
#define MULTIBOOT_INFO_CMDLINE          BIT(2)
#define MULTIBOOT_INFO_MODS             BIT(3)
#define MULTIBOOT_INFO_MEM_MAP          BIT(6)
#define MULTIBOOT_INFO_BOOT_LOADER_NAME BIT(9)

struct multiboot_header {
    uint32_t magic, flags, checksum;
    /* With MULTIBOOT_AOUT_KLUDGE: */
    uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};

#define MULTIBOOT_HEADER_BYTES 12u /* without the addresses */

struct multiboot_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
    uint32_t syms[4], mmap_length, mmap_addr, drives_length, drives_addr, config_table;
    uint32_t boot_loader_name, apm_table;
    uint32_t video[7]; /* VBE and framebuffer: a VM has no screen */
};

struct multiboot_module {
    uint32_t mod_start, mod_end, cmdline, reserved;
};

struct multiboot_mmap_entry {
    uint32_t size; /* of what follows */
    uint64_t addr, len;
    uint32_t type;
} PACKED;

/* --- header --- */

static bool read_header(const struct guest_image *image, uint64_t at,
                        struct multiboot_header *header)
{
    const uint8_t *p = image_at(image, at, MULTIBOOT_HEADER_BYTES);

    if (!p || get_le32(p) != MULTIBOOT_HEADER_MAGIC ||
        get_le32(p) + get_le32(p + 4) + get_le32(p + 8) != 0)
        return false;
    memset(header, 0, sizeof *header);
    memcpy(header, p, MIN(sizeof *header, image->size - at));
    return true;
}

/* Where in the file the header is, or false. */
static bool find_header(const struct guest_image *image, struct multiboot_header *header,
                        uint64_t *at)
{
    for (*at = 0; *at <= MULTIBOOT_SEARCH_BYTES - MULTIBOOT_HEADER_BYTES; *at += 4)
        if (read_header(image, *at, header))
            return true;
    return false;
}

bool boot_multiboot_probe(const struct guest_image *image)
{
    struct multiboot_header header;
    uint64_t at;

    return find_header(image, &header, &at);
}

static bool check_flags(struct boot_job *job, uint32_t flags)
{
    if (flags & MULTIBOOT_VIDEO_MODE)
        return boot_refuse(job, "Multiboot kernel requires a video mode, and a VM has no screen");
    if (flags & MULTIBOOT_REQUIRED_MASK & ~MULTIBOOT_REQUIRED_KNOWN)
        return boot_refuse(job, "Multiboot kernel requires a feature that is unknown to us");
    return true;
}

/* --- the kernel --- */

/* How many bytes are loaded from the file at which offset, and how many are taken in all. */
struct kludge {
    uint64_t offset, load_bytes, memory_bytes;
};

static bool parse_kludge(const struct guest_image *image, const struct multiboot_header *h,
                         uint64_t at, struct kludge *k)
{
    uint64_t before = (uint64_t)h->header_addr - h->load_addr; /* loaded in front of the header */

    if (h->header_addr < h->load_addr || before > at)
        return false;
    k->offset = at - before;
    k->load_bytes =
        h->load_end_addr ? (uint64_t)h->load_end_addr - h->load_addr : image->size - k->offset;
    k->memory_bytes = h->bss_end_addr ? (uint64_t)h->bss_end_addr - h->load_addr : k->load_bytes;
    if (h->load_end_addr && h->load_end_addr < h->load_addr)
        return false;
    if (h->bss_end_addr && h->bss_end_addr < h->load_addr)
        return false;
    return k->load_bytes <= k->memory_bytes && range_fits(k->offset, k->load_bytes, image->size);
}

static bool load_kludge(struct boot_job *job, const struct multiboot_header *h, uint64_t at,
                        uint64_t *entry)
{
    const struct guest_image *image = &job->request->image;
    struct kludge k;

    if (!image_at(image, at, sizeof *h) || !parse_kludge(image, h, at, &k))
        return boot_refuse(job, "Multiboot header's addresses do not fit the file");
    if (h->entry_addr < h->load_addr || h->entry_addr - h->load_addr >= k.memory_bytes)
        return boot_refuse(job, "Multiboot kernel's entry is outside of what is loaded");
    *entry = h->entry_addr;
    return boot_claim(job, h->load_addr, k.memory_bytes,
                      "Multiboot kernel does not lie in guest RAM") &&
           boot_write(job, h->load_addr, image_at(image, k.offset, k.load_bytes), k.load_bytes);
}

static bool load_elf(struct boot_job *job, uint64_t *entry)
{
    struct elf elf;

    if (!elf_parse(&elf, &job->request->image, &job->why))
        return false;
    if (!elf_entry_physical(&elf, entry) || *entry > UINT32_MAX)
        return boot_refuse(job, "ELF kernel's entry is in no segment below 4 GiB");
    return elf_load(&elf, job);
}

/* --- the information structure --- */

static bool place_memory_map(struct boot_job *job, struct multiboot_info *info)
{
    uint32_t bytes = (uint32_t)(job->map.count * sizeof(struct multiboot_mmap_entry));
    struct multiboot_mmap_entry *table = boot_claim_low(job, bytes, 4, &info->mmap_addr);

    if (!table)
        return false;
    for (unsigned i = 0; i < job->map.count; i++) {
        const struct guest_memory_range *range = &job->map.ranges[i];

        table[i] = (struct multiboot_mmap_entry){sizeof *table - sizeof table->size, range->base,
                                                 range->size, range->type};
    }
    info->mmap_length = bytes;
    info->mem_lower = GUEST_CONVENTIONAL_BYTES / 1024;
    info->mem_upper = (uint32_t)(guest_memory_map_extended_bytes(&job->map) / 1024);
    info->flags |= MULTIBOOT_INFO_MEMORY | MULTIBOOT_INFO_MEM_MAP;
    return true;
}

/* Modules go as low as they can, like GRUB's: small kernels map, and allocate, from the bottom. */
static bool place_module(struct boot_job *job, const struct guest_module *module, uint64_t align,
                         struct multiboot_module *entry)
{
    uint64_t base;

    if (!boot_place_low(job, &module->image, align, &base) ||
        !boot_place_string(job, module->cmdline, &entry->cmdline))
        return false;
    entry->mod_start = (uint32_t)base;
    entry->mod_end = (uint32_t)(base + module->image.size);
    return true;
}

static bool place_modules(struct boot_job *job, uint64_t align, struct multiboot_info *info)
{
    unsigned count = boot_module_count(job->request);
    struct multiboot_module *list;

    info->flags |= MULTIBOOT_INFO_MODS;
    if (count == 0)
        return true;
    list = boot_claim_low(job, count * sizeof *list, 4, &info->mods_addr);
    if (!list)
        return false;
    for (unsigned i = 0; i < count; i++) {
        struct guest_module module = boot_module_get(job->request, i);

        if (!place_module(job, &module, align, &list[i]))
            return false;
    }
    info->mods_count = count;
    return true;
}

static bool place_strings(struct boot_job *job, struct multiboot_info *info)
{
    if (!boot_place_string(job, job->request->cmdline, &info->cmdline) ||
        !boot_place_string(job, "Ringmaster", &info->boot_loader_name))
        return false;
    if (info->cmdline)
        info->flags |= MULTIBOOT_INFO_CMDLINE;
    info->flags |= MULTIBOOT_INFO_BOOT_LOADER_NAME;
    return true;
}

static bool place_info(struct boot_job *job, uint32_t header_flags, uint32_t *address)
{
    uint64_t align = header_flags & MULTIBOOT_PAGE_ALIGN ? PAGE_SIZE : 16;
    struct multiboot_info *info = boot_claim_low(job, sizeof *info, 8, address);

    return info && place_memory_map(job, info) && place_modules(job, align, info) &&
           place_strings(job, info);
}

bool boot_multiboot_load(struct boot_job *job)
{
    struct multiboot_header header;
    uint64_t at, entry;
    uint32_t info;

    if (!find_header(&job->request->image, &header, &at))
        return boot_refuse(job, "kernel has no Multiboot header in its first 8 KiB");
    if (!check_flags(job, header.flags))
        return false;
    if (!(header.flags & MULTIBOOT_AOUT_KLUDGE ? load_kludge(job, &header, at, &entry)
                                               : load_elf(job, &entry)))
        return false;
    if (!place_info(job, header.flags, &info))
        return false;
    boot_start_protected(job->request->start, (uint32_t)entry);
    job->request->start->gpr[GPR_RAX] = MULTIBOOT_BOOTLOADER_MAGIC;
    job->request->start->gpr[GPR_RBX] = info;
    return true;
}
