/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF executables by their program headers; see elf.h. Parsing checks every offset and size of the
 * untrusted file once; all that comes later works on the checked copy in struct elf.
 */
#include "arch/x86/guest/elf.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

#define ELF_MAGIC   "\177ELF"
#define EI_CLASS    4
#define EI_DATA     5
#define ELFDATA2LSB 1
#define E_TYPE      16
#define E_MACHINE   18
#define ET_EXEC     2
#define EM_386      3
#define EM_X86_64   62

/* Where the two classes have their fields: offsets, but for the sizes in _bytes. */
static const struct elf_class {
    uint8_t word_bytes, header_bytes, entry, phoff, phentsize, phnum;
    uint8_t segment_bytes, offset, vaddr, paddr, filesz, memsz;
} elf_classes[] = {
    [1] = {4, 52, 24, 28, 42, 44, 32, 4, 8, 12, 16, 20},
    [2] = {8, 64, 24, 32, 54, 56, 56, 8, 16, 24, 32, 40},
};

static uint64_t get_word(const struct elf_class *class, const uint8_t *p)
{
    return class->word_bytes == 8 ? get_le64(p) : get_le32(p);
}

static bool refuse(const char **why, const char *reason)
{
    *why = reason;
    return false;
}

bool elf_probe(const struct guest_image *image)
{
    const uint8_t *magic = image_at(image, 0, 4);

    return magic && memcmp(magic, ELF_MAGIC, 4) == 0;
}

/* The class's layout when the identification and machine are ours, else NULL. */
static const struct elf_class *find_class(const struct guest_image *image, const char **why)
{
    const uint8_t *header = image_at(image, 0, elf_classes[1].header_bytes);
    const struct elf_class *class;

    *why = "ELF kernel is cut short: no whole header";
    if (!header)
        return NULL;
    *why = "ELF kernel is for another machine than x86";
    if (header[EI_DATA] != ELFDATA2LSB || header[EI_CLASS] < 1 || header[EI_CLASS] > 2)
        return NULL;
    if (get_le16(header + E_MACHINE) != EM_386 && get_le16(header + E_MACHINE) != EM_X86_64)
        return NULL;
    *why = "ELF file is no executable";
    if (get_le16(header + E_TYPE) != ET_EXEC)
        return NULL;
    *why = "ELF kernel is cut short: no whole header";
    class = &elf_classes[header[EI_CLASS]];
    return image_at(image, 0, class->header_bytes) ? class : NULL;
}

static bool parse_segment(struct elf_segment *s, const struct guest_image *image,
                          const struct elf_class *class, const uint8_t *header)
{
    s->type = get_le32(header);
    s->virtual_address = get_word(class, header + class->vaddr);
    s->physical_address = get_word(class, header + class->paddr);
    s->file_bytes = get_word(class, header + class->filesz);
    s->memory_bytes = get_word(class, header + class->memsz);
    s->data = image_at(image, get_word(class, header + class->offset), s->file_bytes);
    if (s->type == ELF_PT_NOTE)
        return s->data != NULL;
    return s->data && s->file_bytes <= s->memory_bytes &&
           s->physical_address + s->memory_bytes >= s->memory_bytes;
}

static bool is_wanted(const uint8_t *header)
{
    uint32_t type = get_le32(header);

    return type == ELF_PT_LOAD || type == ELF_PT_NOTE;
}

static bool parse_segments(struct elf *elf, const struct guest_image *image,
                           const struct elf_class *class, const char **why)
{
    const uint8_t *file = image->data;
    unsigned count = get_le16(file + class->phnum), stride = get_le16(file + class->phentsize);
    const uint8_t *table =
        image_at(image, get_word(class, file + class->phoff), (uint64_t)count * stride);

    if (stride < class->segment_bytes || !table)
        return refuse(why, "ELF kernel is cut short: its program headers are not in the file");
    for (unsigned i = 0; i < count; i++) {
        if (!is_wanted(table + i * stride))
            continue;
        if (elf->segment_count == ELF_SEGMENTS_MAX)
            return refuse(why, "ELF kernel has too many segments");
        if (!parse_segment(&elf->segments[elf->segment_count++], image, class, table + i * stride))
            return refuse(why, "ELF kernel has a segment with impossible bounds");
    }
    return true;
}

bool elf_parse(struct elf *elf, const struct guest_image *image, const char **why)
{
    const struct elf_class *class;

    elf->segment_count = 0;
    if (!elf_probe(image))
        return refuse(why, "kernel is no ELF file");
    class = find_class(image, why);
    if (!class)
        return false;
    elf->entry = get_word(class, (const uint8_t *)image->data + class->entry);
    return parse_segments(elf, image, class, why);
}

static bool load_segment(const struct elf_segment *s, struct boot_job *job)
{
    return boot_claim(job, s->physical_address, s->memory_bytes,
                      "ELF kernel has a segment outside of guest RAM, or over another one") &&
           boot_write(job, s->physical_address, s->data, s->file_bytes);
}

bool elf_load(const struct elf *elf, struct boot_job *job)
{
    unsigned loaded = 0;

    for (unsigned i = 0; i < elf->segment_count; i++) {
        const struct elf_segment *s = &elf->segments[i];

        if (s->type != ELF_PT_LOAD || s->memory_bytes == 0)
            continue;
        if (!load_segment(s, job))
            return false;
        loaded++;
    }
    return loaded > 0 || boot_refuse(job, "ELF kernel has nothing to load");
}

static bool is_in(uint64_t address, uint64_t base, uint64_t bytes)
{
    return address >= base && address - base < bytes;
}

bool elf_contains_physical(const struct elf *elf, uint64_t address)
{
    for (unsigned i = 0; i < elf->segment_count; i++) {
        const struct elf_segment *s = &elf->segments[i];

        if (s->type == ELF_PT_LOAD && is_in(address, s->physical_address, s->memory_bytes))
            return true;
    }
    return false;
}

/* Some kernels that are linked high give a physical entry: then it is in no virtual range. */
bool elf_entry_physical(const struct elf *elf, uint64_t *physical)
{
    for (unsigned i = 0; i < elf->segment_count; i++) {
        const struct elf_segment *s = &elf->segments[i];

        if (s->type == ELF_PT_LOAD && is_in(elf->entry, s->virtual_address, s->memory_bytes)) {
            *physical = elf->entry - s->virtual_address + s->physical_address;
            return true;
        }
    }
    *physical = elf->entry;
    return elf_contains_physical(elf, elf->entry);
}

/* A note: words (name bytes, descriptor bytes, type), name, descriptor; both padded to words. */
#define NOTE_HEADER_BYTES 12u

/* Both sizes are 32-bit, so that their sum cannot wrap around. */
static const uint8_t *find_note_in(const struct elf_segment *s, const char *name, uint32_t type,
                                   uint32_t *bytes)
{
    uint64_t at = 0, name_bytes = strlen(name) + 1;

    while (range_fits(at, NOTE_HEADER_BYTES, s->file_bytes)) {
        const uint8_t *note = s->data + at;
        uint64_t note_name_bytes = get_le32(note), descriptor_bytes = get_le32(note + 4);
        uint64_t descriptor = at + NOTE_HEADER_BYTES + ALIGN_UP(note_name_bytes, 4);

        if (!range_fits(descriptor, descriptor_bytes, s->file_bytes))
            return NULL;
        if (get_le32(note + 8) == type && note_name_bytes == name_bytes &&
            memcmp(note + NOTE_HEADER_BYTES, name, name_bytes) == 0) {
            *bytes = (uint32_t)descriptor_bytes;
            return s->data + descriptor;
        }
        at = descriptor + ALIGN_UP(descriptor_bytes, 4);
    }
    return NULL;
}

const uint8_t *elf_find_note(const struct elf *elf, const char *name, uint32_t type,
                             uint32_t *bytes)
{
    for (unsigned i = 0; i < elf->segment_count; i++) {
        const uint8_t *descriptor = elf->segments[i].type == ELF_PT_NOTE
                                        ? find_note_in(&elf->segments[i], name, type, bytes)
                                        : NULL;

        if (descriptor)
            return descriptor;
    }
    return NULL;
}
