/* SPDX-License-Identifier: BSD-2-Clause */
/* ELF executables for x86, 32 and 64 bits, by their program headers alone. */
#ifndef ARCH_X86_GUEST_ELF_H
#define ARCH_X86_GUEST_ELF_H

#include "arch/x86/guest/boot_job.h"

#define ELF_SEGMENTS_MAX 32

enum elf_segment_type { ELF_PT_LOAD = 1, ELF_PT_NOTE = 4 };

struct elf_segment {
    enum elf_segment_type type;
    const uint8_t *data; /* file_bytes of them, in the image */
    uint64_t virtual_address, physical_address;
    uint64_t file_bytes, memory_bytes;
};

/* Only the segments to load and the notes; each is checked against the image and does not wrap. */
struct elf {
    uint64_t entry;
    struct elf_segment segments[ELF_SEGMENTS_MAX];
    unsigned segment_count;
};

bool elf_probe(const struct guest_image *image);

/* False: refused, and *why says why. */
bool elf_parse(struct elf *elf, const struct guest_image *image, const char **why);

/* Claims and fills each loadable segment at its physical address; RAM beyond the file is zero. */
bool elf_load(const struct elf *elf, struct boot_job *job);

/* e_entry is a virtual address: turns it into a physical one. False: in no segment. */
bool elf_entry_physical(const struct elf *elf, uint64_t *physical);
bool elf_contains_physical(const struct elf *elf, uint64_t address);

/* The first note of that name and type: its descriptor, or NULL. */
const uint8_t *elf_find_note(const struct elf *elf, const char *name, uint32_t type,
                             uint32_t *bytes);

#endif
