/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiboot2 boot information to struct boot_info; see multiboot2.h. Reads nothing but the given
 * bytes. */
#include "kernel/multiboot2.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

/* "Basic tags structure": u32 total_size, u32 reserved; then tags that each open with type and
 * size. */
#define MBI_HEADER_BYTES 8u
#define TAG_HEADER_BYTES 8u

struct tag {
    const uint8_t *bytes; /* from the tag's own header on */
    uint32_t type;
    uint32_t size;
};

/* NULL unless a NUL ends the string inside the tag. */
static const char *tag_string(const struct tag *tag, uint32_t offset)
{
    const char *text = (const char *)tag->bytes + offset;
    size_t limit = tag->size - offset;

    if (strnlen(text, limit) == limit) {
        log_warn("multiboot2", "tag %u: string without an end ignored", tag->type);
        return NULL;
    }
    return text;
}

static void read_cmdline(const struct tag *tag, struct boot_info *info)
{
    const char *text = tag_string(tag, TAG_HEADER_BYTES);

    if (text)
        info->command_line = text;
}

static void read_loader_name(const struct tag *tag, struct boot_info *info)
{
    const char *text = tag_string(tag, TAG_HEADER_BYTES);

    if (text)
        info->loader_name = text;
}

/* "Modules": u32 mod_start, u32 mod_end, string. */
static void read_module(const struct tag *tag, struct boot_info *info)
{
    uint32_t start = get_le32(tag->bytes + 8), end = get_le32(tag->bytes + 12);
    const char *command_line = tag_string(tag, 16);

    if (!command_line)
        return;
    if (end < start) {
        log_error("multiboot2", "module \"%s\" ends before it starts: ignored", command_line);
        return;
    }
    if (info->module_count == BOOT_MODULES_MAX) {
        log_error("multiboot2", "more than %u modules: \"%s\" ignored", BOOT_MODULES_MAX,
                  command_line);
        return;
    }
    info->modules[info->module_count++] =
        (struct boot_module){HPA(start), end - start, command_line};
}

/* "Memory map": what the specification does not define is reserved. */
static enum memmap_type memory_type(uint32_t type)
{
    static const enum memmap_type types[] = {
        [0] = MEMMAP_RESERVED,         [1] = MEMMAP_USABLE,   [2] = MEMMAP_RESERVED,
        [3] = MEMMAP_ACPI_RECLAIMABLE, [4] = MEMMAP_ACPI_NVS, [5] = MEMMAP_BAD,
    };

    return type < ARRAY_SIZE(types) ? types[type] : MEMMAP_RESERVED;
}

/* "Memory map": u32 entry_size, u32 entry_version, entries of u64 base, u64 length, u32 type, u32
 * 0. */
static void read_mmap(const struct tag *tag, struct boot_info *info)
{
    uint32_t entry_size = get_le32(tag->bytes + 8), offset = 16;

    /* Later versions may make entries longer; the fields that we read stay. */
    if (entry_size < 24 || entry_size > tag->size) {
        log_warn("multiboot2", "memory map with entries of %u bytes ignored", entry_size);
        return;
    }
    for (; tag->size - offset >= entry_size; offset += entry_size) {
        const uint8_t *entry = tag->bytes + offset;

        if (info->memory_count == BOOT_MEMORY_MAX) {
            log_error("multiboot2", "more than %u memory ranges: the rest ignored",
                      BOOT_MEMORY_MAX);
            return;
        }
        info->memory[info->memory_count++] = (struct memmap_range){
            HPA(get_le64(entry)), get_le64(entry + 8), memory_type(get_le32(entry + 16))};
    }
}

static struct boot_color_field color_field(const uint8_t *bytes)
{
    return (struct boot_color_field){bytes[0], bytes[1]};
}

static bool is_color_field_sane(struct boot_color_field field, unsigned bits_per_pixel)
{
    return field.bits > 0 && field.bits <= 8 && field.position + field.bits <= bits_per_pixel;
}

static bool is_framebuffer_sane(const struct boot_framebuffer *f)
{
    uint64_t row_bytes = ((uint64_t)f->width * f->bits_per_pixel + 7) / 8;

    if (f->type > BOOT_FRAMEBUFFER_EGA_TEXT || !f->width || !f->height || !f->bits_per_pixel)
        return false;
    if (f->bits_per_pixel > 32 || f->pitch_bytes < row_bytes)
        return false;
    return f->type != BOOT_FRAMEBUFFER_RGB || (is_color_field_sane(f->red, f->bits_per_pixel) &&
                                               is_color_field_sane(f->green, f->bits_per_pixel) &&
                                               is_color_field_sane(f->blue, f->bits_per_pixel));
}

/*
 * "Framebuffer info". The text shows color_info right after a reserved byte, at offset 31; the
 * specification's own multiboot2.h and every loader have it at 32.
 */
static void read_framebuffer(const struct tag *tag, struct boot_info *info)
{
    const uint8_t *bytes = tag->bytes;
    struct boot_framebuffer f = {
        .address = HPA(get_le64(bytes + 8)),
        .pitch_bytes = get_le32(bytes + 16),
        .width = get_le32(bytes + 20),
        .height = get_le32(bytes + 24),
        .bits_per_pixel = bytes[28],
        .type = bytes[29],
    };

    if (f.type == BOOT_FRAMEBUFFER_RGB && tag->size >= 38) {
        f.red = color_field(bytes + 32);
        f.green = color_field(bytes + 34);
        f.blue = color_field(bytes + 36);
    }
    if (!is_framebuffer_sane(&f)) {
        log_warn("multiboot2", "framebuffer %ux%ux%u of type %u, %u bytes a line: ignored", f.width,
                 f.height, f.bits_per_pixel, f.type, f.pitch_bytes);
        return;
    }
    info->framebuffer = f;
    info->has_framebuffer = true;
}

/* "ACPI old RSDP", "ACPI new RSDP": the tag is a copy of the structure. The longer one is the
 * newer. */
static void read_rsdp(const struct tag *tag, struct boot_info *info)
{
    size_t size = tag->size - TAG_HEADER_BYTES;

    if (size <= info->rsdp_bytes)
        return;
    info->rsdp = tag->bytes + TAG_HEADER_BYTES;
    info->rsdp_bytes = size;
}

static void read_efi32(const struct tag *tag, struct boot_info *info)
{
    info->has_efi32 = true;
    info->efi_system_table = HPA(get_le32(tag->bytes + 8));
}

static void read_efi64(const struct tag *tag, struct boot_info *info)
{
    info->has_efi64 = true;
    info->efi_system_table = HPA(get_le64(tag->bytes + 8));
}

static void read_efi_boot_services(const struct tag *tag, struct boot_info *info)
{
    (void)tag;
    info->is_efi_boot_services_active = true;
}

/* "ACPI old RSDP": the structure of ACPI 1.0 has 20 bytes, that of 2.0 has 36. */
static const struct {
    uint32_t min_bytes; /* so that a reader may take its fixed fields unchecked */
    void (*read)(const struct tag *tag, struct boot_info *info);
} readers[] = {
    [MULTIBOOT2_TAG_CMDLINE] = {TAG_HEADER_BYTES + 1, read_cmdline},
    [MULTIBOOT2_TAG_BOOT_LOADER_NAME] = {TAG_HEADER_BYTES + 1, read_loader_name},
    [MULTIBOOT2_TAG_MODULE] = {16 + 1, read_module},
    [MULTIBOOT2_TAG_MMAP] = {16, read_mmap},
    [MULTIBOOT2_TAG_FRAMEBUFFER] = {31, read_framebuffer},
    [MULTIBOOT2_TAG_EFI32] = {12, read_efi32},
    [MULTIBOOT2_TAG_EFI64] = {16, read_efi64},
    [MULTIBOOT2_TAG_ACPI_OLD] = {TAG_HEADER_BYTES + 20, read_rsdp},
    [MULTIBOOT2_TAG_ACPI_NEW] = {TAG_HEADER_BYTES + 36, read_rsdp},
    [MULTIBOOT2_TAG_EFI_BS] = {TAG_HEADER_BYTES, read_efi_boot_services},
};

static void read_tag(const struct tag *tag, struct boot_info *info)
{
    if (tag->type >= ARRAY_SIZE(readers) || !readers[tag->type].read)
        return;
    if (tag->size < readers[tag->type].min_bytes) {
        log_warn("multiboot2", "tag %u of %u bytes is too short: ignored", tag->type, tag->size);
        return;
    }
    readers[tag->type].read(tag, info);
}

static int refuse(const char *why, size_t offset)
{
    log_error("multiboot2", "boot information: %s at offset %zu", why, offset);
    return -EINVAL;
}

static int read_tags(const uint8_t *mbi, size_t total, struct boot_info *info)
{
    size_t offset = MBI_HEADER_BYTES;

    while (range_fits(offset, TAG_HEADER_BYTES, total)) {
        struct tag tag = {mbi + offset, get_le32(mbi + offset), get_le32(mbi + offset + 4)};

        if (tag.size < TAG_HEADER_BYTES || !range_fits(offset, tag.size, total))
            return refuse("tag of an impossible size", offset);
        if (tag.type == MULTIBOOT2_TAG_END)
            return 0;
        read_tag(&tag, info);
        offset = ALIGN_UP(offset + tag.size, MULTIBOOT2_TAG_ALIGNMENT);
    }
    return refuse("no end tag", offset);
}

int multiboot2_parse(const void *mbi, size_t size, struct boot_info *info)
{
    uint32_t total;

    memset(info, 0, sizeof *info);
    info->command_line = "";
    info->loader_name = "";
    if (size < MBI_HEADER_BYTES)
        return refuse("truncated", 0);
    total = get_le32(mbi);
    if (total < MBI_HEADER_BYTES || total > size)
        return refuse("impossible total size", 0);
    return read_tags(mbi, total, info);
}
