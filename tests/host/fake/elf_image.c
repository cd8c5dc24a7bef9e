/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/elf_image.h"
#include "kernel/lib/bytes.h"
#include <string.h>

void fake_elf_init(struct fake_elf *e, bool is_64, uint64_t entry)
{
    Elf32_Ehdr h32 = {.e_type = ET_EXEC, .e_machine = EM_386, .e_version = 1, .e_entry = (uint32_t)entry,
                      .e_phoff = sizeof h32, .e_ehsize = sizeof h32, .e_phentsize = sizeof(Elf32_Phdr)};
    Elf64_Ehdr h64 = {.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1, .e_entry = entry,
                      .e_phoff = sizeof h64, .e_ehsize = sizeof h64, .e_phentsize = sizeof(Elf64_Phdr)};

    memset(e, 0, sizeof *e);
    e->is_64 = is_64;
    memcpy(e->bytes, is_64 ? (void *)&h64 : (void *)&h32, is_64 ? sizeof h64 : sizeof h32);
    memcpy(e->bytes, ELFMAG, SELFMAG);
    e->bytes[EI_CLASS] = is_64 ? ELFCLASS64 : ELFCLASS32;
    e->bytes[EI_DATA] = ELFDATA2LSB;
    e->bytes[EI_VERSION] = 1;
    for (unsigned i = FAKE_ELF_CONTENTS; i < FAKE_ELF_BYTES; i++)
        e->bytes[i] = (uint8_t)(i * 13 + 5);
}

static void add_segment_32(struct fake_elf *e, const Elf64_Phdr *p)
{
    Elf32_Ehdr *header = (void *)e->bytes;
    Elf32_Phdr segment = {(uint32_t)p->p_type, (uint32_t)p->p_offset, (uint32_t)p->p_vaddr, (uint32_t)p->p_paddr,
                          (uint32_t)p->p_filesz, (uint32_t)p->p_memsz, p->p_flags, (uint32_t)p->p_align};

    memcpy(e->bytes + header->e_phoff + header->e_phnum++ * sizeof segment, &segment, sizeof segment);
}

void fake_elf_add_segment(struct fake_elf *e, Elf64_Phdr segment)
{
    Elf64_Ehdr *header = (void *)e->bytes;

    if (!e->is_64)
        add_segment_32(e, &segment);
    else
        memcpy(e->bytes + header->e_phoff + header->e_phnum++ * sizeof segment, &segment, sizeof segment);
}

uint32_t fake_elf_put_note(struct fake_elf *e, uint32_t at, const char *name, uint32_t type, uint64_t value,
                           uint32_t bytes)
{
    uint32_t name_bytes = (uint32_t)strlen(name) + 1, descriptor = at + 12 + (name_bytes + 3) / 4 * 4;

    put_le32(e->bytes + at, name_bytes);
    put_le32(e->bytes + at + 4, bytes);
    put_le32(e->bytes + at + 8, type);
    memcpy(e->bytes + at + 12, name, name_bytes);
    memcpy(e->bytes + descriptor, &value, bytes);
    return descriptor + (bytes + 3) / 4 * 4;
}

struct guest_image fake_elf_image(const struct fake_elf *e)
{
    return (struct guest_image){e->bytes, sizeof e->bytes};
}
