/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loading a guest: an image and what comes with it go into guest RAM as the image's boot protocol
 * wants them, and the boot vCPU's start state is set. An image is untrusted: a bad one is refused
 * with a reason. One file a format, one table (boot.c); building the ACPI tables and the RAM is the
 * caller's.
 */
#ifndef ARCH_X86_GUEST_BOOT_H
#define ARCH_X86_GUEST_BOOT_H

#include "arch/x86/guest/state.h"
#include "kernel/guest_mem.h"
#include "kernel/lib/types.h"

enum boot_format { BOOT_AUTO, BOOT_LINUX, BOOT_MULTIBOOT, BOOT_PVH, BOOT_FLAT, BOOT_FORMAT_COUNT };

/* How a flat image is entered: no other format has the choice. */
enum boot_entry_mode { BOOT_ENTRY_REAL, BOOT_ENTRY_PROTECTED };

struct guest_image {
    const void *data;
    uint64_t size; /* 0: there is none */
};

struct guest_module {
    struct guest_image image;
    const char *cmdline; /* NULL: none */
};

struct boot_request {
    const struct guest_mem *mem; /* zeroed RAM, laid out as arch/x86/guest/layout.h says; it may have holes above 1 MiB */
    uint64_t ram_bytes;          /* below and above the hole together */
    enum boot_format format;     /* BOOT_AUTO: by the image's look; a flat image has none */
    struct guest_image image;
    struct guest_image initrd;
    const char *cmdline; /* NULL: none */
    const struct guest_module *modules;
    unsigned module_count;
    gpa_t load_address; /* of a flat image, like the two that follow */
    gpa_t entry;
    enum boot_entry_mode entry_mode;
    gpa_t acpi_rsdp; /* 0: none */
    bool has_vga;    /* in text mode, as a PC starts */
    struct vcpu_start *start;
    void (*pause)(void); /* called now and then in long copies; NULL: nobody needs that */
};

/* -ENOEXEC: refused, *why is one line (static) for a human, and guest RAM is no longer zeroed. */
MUST_CHECK int boot_load(const struct boot_request *request, const char **why);

/* BOOT_AUTO: the image is of no format that can be told by its look. */
enum boot_format boot_format_detect(const struct guest_image *image);
const char *boot_format_name(enum boot_format format);

#endif
