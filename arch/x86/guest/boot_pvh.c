/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF kernels by PVH: a note names a 32-bit entry, which gets a start info structure in EBX.
 * Xen, "x86/HVM direct boot ABI" (docs/misc/pvh.pandoc) and its public header hvm/start_info.h.
 */
#include "arch/x86/guest/boot_job.h"
#include "arch/x86/guest/boot_start.h"
#include "arch/x86/guest/elf.h"
#include "arch/x86/guest/layout.h"
#include "kernel/lib/bytes.h"

#define XEN_NOTE_NAME            "Xen"
#define XEN_ELFNOTE_PHYS32_ENTRY 18u
#define XEN_HVM_START_MAGIC      0x336ec578u

struct hvm_start_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr;
    uint32_t memmap_entries, reserved;
};

struct hvm_modlist_entry {
    uint64_t paddr, size, cmdline_paddr, reserved;
};

struct hvm_memmap_table_entry {
    uint64_t addr, size;
    uint32_t type, reserved;
};

bool boot_pvh_probe(const struct guest_image *image)
{
    return elf_probe(image);
}

static bool find_entry(struct boot_job *job, const struct elf *elf, uint32_t *entry)
{
    uint32_t bytes = 0;
    const uint8_t *note = elf_find_note(elf, XEN_NOTE_NAME, XEN_ELFNOTE_PHYS32_ENTRY, &bytes);

    if (!note || bytes < sizeof *entry)
        return boot_refuse(job, "ELF kernel has neither a Multiboot header nor a PVH entry note");
    *entry = get_le32(note);
    if (bytes >= sizeof(uint64_t) && get_le64(note) != *entry)
        return boot_refuse(job, "PVH entry is not below 4 GiB");
    if (!elf_contains_physical(elf, *entry))
        return boot_refuse(job, "PVH entry is in no segment of the ELF kernel");
    return true;
}

static bool place_memory_map(struct boot_job *job, struct hvm_start_info *info)
{
    uint32_t address;
    struct hvm_memmap_table_entry *table =
        boot_claim_low(job, job->map.count * sizeof *table, 8, &address);

    if (!table)
        return false;
    for (unsigned i = 0; i < job->map.count; i++) {
        const struct guest_memory_range *range = &job->map.ranges[i];

        table[i] = (struct hvm_memmap_table_entry){range->base, range->size, range->type, 0};
    }
    info->memmap_paddr = address;
    info->memmap_entries = job->map.count;
    return true;
}

/* An initrd's address is 32 bits wide in Linux's own structures, so modules stay below the hole. */
static bool place_module(struct boot_job *job, const struct guest_module *module,
                         struct hvm_modlist_entry *entry)
{
    uint32_t cmdline;

    if (!boot_place_high(job, &module->image, GUEST_HOLE_BASE, &entry->paddr) ||
        !boot_place_string(job, module->cmdline, &cmdline))
        return false;
    entry->size = module->image.size;
    entry->cmdline_paddr = cmdline;
    return true;
}

static bool place_modules(struct boot_job *job, struct hvm_start_info *info)
{
    unsigned count = boot_module_count(job->request);
    struct hvm_modlist_entry *list;
    uint32_t address;

    if (count == 0)
        return true;
    list = boot_claim_low(job, count * sizeof *list, 8, &address);
    if (!list)
        return false;
    for (unsigned i = 0; i < count; i++) {
        struct guest_module module = boot_module_get(job->request, i);

        if (!place_module(job, &module, &list[i]))
            return false;
    }
    info->modlist_paddr = address;
    info->nr_modules = count;
    return true;
}

static bool place_start_info(struct boot_job *job, uint32_t *address)
{
    struct hvm_start_info *info = boot_claim_low(job, sizeof *info, 8, address);
    uint32_t cmdline;

    if (!info || !place_memory_map(job, info) || !place_modules(job, info) ||
        !boot_place_string(job, job->request->cmdline, &cmdline))
        return false;
    info->magic = XEN_HVM_START_MAGIC;
    info->version = 1;
    info->cmdline_paddr = cmdline;
    info->rsdp_paddr = job->request->acpi_rsdp.value;
    return true;
}

bool boot_pvh_load(struct boot_job *job)
{
    uint32_t entry, info;
    struct elf elf;

    if (!elf_parse(&elf, &job->request->image, &job->why) || !find_entry(job, &elf, &entry) ||
        !elf_load(&elf, job) || !place_start_info(job, &info))
        return false;
    boot_start_protected(job->request->start, entry);
    job->request->start->gpr[GPR_RBX] = info;
    return true;
}
