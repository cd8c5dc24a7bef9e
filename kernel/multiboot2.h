/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the boot loader tells us, by the Multiboot2 Specification 2.0. Section titles are that document's. The loader
 * puts the boot information anywhere: who parses it keeps others from that memory as long as it uses what was found.
 */
#ifndef KERNEL_MULTIBOOT2_H
#define KERNEL_MULTIBOOT2_H

#include "kernel/lib/types.h"
#include "kernel/memmap.h"

/* "Header layout", "General tag structure" */
#define MULTIBOOT2_HEADER_MAGIC             0xe85250d6u
#define MULTIBOOT2_HEADER_ARCHITECTURE_I386 0u
#define MULTIBOOT2_HEADER_ALIGNMENT         8u
#define MULTIBOOT2_HEADER_SEARCH_BYTES      32768u
#define MULTIBOOT2_HEADER_TAG_OPTIONAL      1u
enum multiboot2_header_tag {
    MULTIBOOT2_HEADER_TAG_END,
    MULTIBOOT2_HEADER_TAG_INFORMATION_REQUEST,
    MULTIBOOT2_HEADER_TAG_ADDRESS,
    MULTIBOOT2_HEADER_TAG_ENTRY_ADDRESS,
    MULTIBOOT2_HEADER_TAG_CONSOLE_FLAGS,
    MULTIBOOT2_HEADER_TAG_FRAMEBUFFER,
    MULTIBOOT2_HEADER_TAG_MODULE_ALIGN,
    MULTIBOOT2_HEADER_TAG_EFI_BS,
    MULTIBOOT2_HEADER_TAG_ENTRY_ADDRESS_EFI32,
    MULTIBOOT2_HEADER_TAG_ENTRY_ADDRESS_EFI64,
    MULTIBOOT2_HEADER_TAG_RELOCATABLE,
};

/* "I386 machine state": EAX at entry. */
#define MULTIBOOT2_BOOTLOADER_MAGIC 0x36d76289u

/* "Boot information format" */
#define MULTIBOOT2_TAG_ALIGNMENT 8u
enum multiboot2_tag {
    MULTIBOOT2_TAG_END = 0,
    MULTIBOOT2_TAG_CMDLINE = 1,
    MULTIBOOT2_TAG_BOOT_LOADER_NAME = 2,
    MULTIBOOT2_TAG_MODULE = 3,
    MULTIBOOT2_TAG_MMAP = 6,
    MULTIBOOT2_TAG_FRAMEBUFFER = 8,
    MULTIBOOT2_TAG_EFI32 = 11,
    MULTIBOOT2_TAG_EFI64 = 12,
    MULTIBOOT2_TAG_ACPI_OLD = 14,
    MULTIBOOT2_TAG_ACPI_NEW = 15,
    MULTIBOOT2_TAG_EFI_BS = 18,
};

#define BOOT_MEMORY_MAX  256
#define BOOT_MODULES_MAX 64

struct boot_module {
    hpa_t start;
    uint64_t size;
    const char *command_line; /* in the boot information, like all strings here */
};

/* "Framebuffer info" */
enum boot_framebuffer_type {
    BOOT_FRAMEBUFFER_INDEXED,
    BOOT_FRAMEBUFFER_RGB,
    BOOT_FRAMEBUFFER_EGA_TEXT, /* width and height are in characters */
};

struct boot_color_field {
    uint8_t position; /* of the lowest bit */
    uint8_t bits;
};

struct boot_framebuffer {
    hpa_t address;
    uint32_t pitch_bytes, width, height;
    uint8_t bits_per_pixel;
    enum boot_framebuffer_type type;
    struct boot_color_field red, green, blue; /* BOOT_FRAMEBUFFER_RGB only */
};

struct boot_info {
    const char *command_line; /* "" when there is none */
    const char *loader_name;  /* likewise */
    struct memmap_range memory[BOOT_MEMORY_MAX];
    unsigned memory_count;
    struct boot_module modules[BOOT_MODULES_MAX];
    unsigned module_count;
    bool has_framebuffer;
    struct boot_framebuffer framebuffer;
    const void *rsdp;  /* a copy of the ACPI RSDP, the newer one if there are two; NULL when none */
    size_t rsdp_bytes; /* how much of it may be read */
    hpa_t efi_system_table;
    bool has_efi32, has_efi64; /* what kind of firmware efi_system_table belongs to */
    bool is_efi_boot_services_active;
};

/*
 * Reads size bytes of boot information; info points into them. A tag that makes no sense is
 * logged and skipped, and so is what does not fit the arrays. -EINVAL: the chain of tags is broken.
 */
MUST_CHECK int multiboot2_parse(const void *mbi, size_t size, struct boot_info *info);

#endif
