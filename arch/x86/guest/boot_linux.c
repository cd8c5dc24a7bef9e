/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux bzImages: by the 64-bit boot protocol, or by the 32-bit one for kernels that have no 64-bit
 * entry. Linux, "The Linux/x86 Boot Protocol" and "Zero Page". Offsets are those of that document,
 * and the same in the image's setup header and in the zero page.
 */
#include "arch/x86/guest/boot_job.h"
#include "arch/x86/guest/boot_start.h"
#include "arch/x86/guest/layout.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

#define SETUP_SECTS     0x1f1u
#define SYSSIZE         0x1f4u /* in paragraphs of 16 bytes */
#define VID_MODE        0x1fau
#define JUMP_OFFSET     0x201u /* the header ends that far after 0x202 */
#define HEADER          0x202u
#define VERSION         0x206u
#define TYPE_OF_LOADER  0x210u
#define LOADFLAGS       0x211u
#define CODE32_START    0x214u
#define RAMDISK_IMAGE   0x218u
#define RAMDISK_SIZE    0x21cu
#define CMD_LINE_PTR    0x228u
#define INITRD_ADDR_MAX 0x22cu
#define XLOADFLAGS      0x236u
#define CMDLINE_SIZE    0x238u
#define SETUP_DATA      0x250u
#define PREF_ADDRESS    0x258u
#define INIT_SIZE       0x260u
#define HEADER_END_2_10 0x264u
#define HEADER_END_MAX  0x290u /* the zero page's next field */

/* Fields that only the zero page has. */
#define SCREEN_MODE      0x006u
#define SCREEN_COLUMNS   0x007u
#define SCREEN_LINES     0x00eu
#define SCREEN_IS_VGA    0x00fu
#define SCREEN_POINTS    0x010u /* of a character's height */
#define ACPI_RSDP_ADDR   0x070u
#define E820_ENTRIES     0x1e8u
#define E820_TABLE       0x2d0u
#define E820_ENTRY_BYTES 20u

#define SECTOR_BYTES     512u
#define PROTOCOL_2_10    0x20au /* the first with pref_address and init_size */
#define PROTOCOL_2_12    0x20cu /* the first with xloadflags */
#define LOADED_HIGH      BIT(0)
#define XLF_KERNEL_64    BIT(0)
#define ENTRY_64         0x200u
#define LOADER_UNDEFINED 0xffu
#define VID_MODE_NORMAL  0xffffu
#define VGA_MODE_TEXT    3u

/* What the setup header says, checked. */
struct linux_kernel {
    const uint8_t *setup;
    uint32_t header_end;
    struct guest_image code; /* the protected-mode part */
    bool is_64;
    uint64_t load_address, memory_bytes;
    uint64_t initrd_limit;
    uint32_t cmdline_bytes_max; /* without the NUL */
};

/* Where the other pieces went. */
struct linux_pieces {
    uint64_t initrd;
    uint32_t cmdline, zero_page, gdt, page_tables;
};

bool boot_linux_probe(const struct guest_image *image)
{
    const uint8_t *signature = image_at(image, HEADER, 4);

    return signature && memcmp(signature, "HdrS", 4) == 0;
}

/* --- the setup header --- */

static bool check_header(struct boot_job *job, struct linux_kernel *k)
{
    const struct guest_image *image = &job->request->image;

    if (!boot_linux_probe(image))
        return boot_refuse(job, "kernel is no bzImage: no HdrS signature");
    k->setup = image_at(image, 0, HEADER_END_MAX);
    if (!k->setup)
        return boot_refuse(job, "bzImage is cut short: no whole setup header");
    if (get_le16(k->setup + VERSION) < PROTOCOL_2_10)
        return boot_refuse(job, "bzImage is too old: its boot protocol is below 2.10");
    if (!(k->setup[LOADFLAGS] & LOADED_HIGH))
        return boot_refuse(job, "kernel is a zImage, which loads low; a bzImage is needed");
    k->header_end = HEADER + k->setup[JUMP_OFFSET];
    if (k->header_end < HEADER_END_2_10)
        return boot_refuse(job, "bzImage's setup header is too short for its boot protocol");
    k->header_end = MIN(k->header_end, HEADER_END_MAX);
    return true;
}

/* A signature may follow the code: the file may be longer than syssize says, never shorter. */
static bool find_code(struct boot_job *job, struct linux_kernel *k)
{
    const struct guest_image *image = &job->request->image;
    uint64_t sectors = k->setup[SETUP_SECTS] ? k->setup[SETUP_SECTS] : 4;
    uint64_t setup_bytes = (sectors + 1) * SECTOR_BYTES;
    uint64_t code_bytes = (uint64_t)get_le32(k->setup + SYSSIZE) * 16;

    if (code_bytes <= ENTRY_64 || !image_at(image, setup_bytes, code_bytes))
        return boot_refuse(job, "bzImage is cut short: less code than its setup header says");
    k->code =
        (struct guest_image){image_at(image, setup_bytes, code_bytes), image->size - setup_bytes};
    return true;
}

static bool parse_kernel(struct boot_job *job, struct linux_kernel *k)
{
    if (!check_header(job, k) || !find_code(job, k))
        return false;
    k->is_64 = get_le16(k->setup + VERSION) >= PROTOCOL_2_12 &&
               get_le16(k->setup + XLOADFLAGS) & XLF_KERNEL_64;
    k->load_address = get_le64(k->setup + PREF_ADDRESS);
    k->memory_bytes = MAX(k->code.size, (uint64_t)get_le32(k->setup + INIT_SIZE));
    k->initrd_limit = (uint64_t)get_le32(k->setup + INITRD_ADDR_MAX) + 1;
    k->cmdline_bytes_max = get_le32(k->setup + CMDLINE_SIZE);
    return true;
}

/* --- the pieces --- */

/* Even a relocatable kernel would move itself up to the preferred address: no other place helps. */
static bool place_kernel(struct boot_job *job, const struct linux_kernel *k)
{
    if (k->load_address < GUEST_EXTENDED_BASE || k->load_address >= GUEST_HOLE_BASE)
        return boot_refuse(job, "bzImage's preferred address is not between 1 MiB and 3 GiB");
    return boot_claim(job, k->load_address, k->memory_bytes,
                      "too little guest RAM for the bzImage to unpack itself (its init_size)") &&
           boot_write(job, k->load_address, k->code.data, k->code.size);
}

static bool place_initrd(struct boot_job *job, const struct linux_kernel *k, struct linux_pieces *p)
{
    p->initrd = 0;
    if (job->request->initrd.size == 0)
        return true;
    return boot_place_high(job, &job->request->initrd,
                           MIN(k->initrd_limit, (uint64_t)GUEST_HOLE_BASE), &p->initrd);
}

static bool place_cmdline(struct boot_job *job, const struct linux_kernel *k,
                          struct linux_pieces *p)
{
    const char *cmdline = job->request->cmdline;

    if (cmdline && strlen(cmdline) > k->cmdline_bytes_max)
        return boot_refuse(job, "command line is longer than this Linux kernel takes");
    return boot_place_string(job, cmdline, &p->cmdline);
}

static void fill_e820(uint8_t *zero_page, const struct guest_memory_map *map)
{
    for (unsigned i = 0; i < map->count; i++) {
        uint8_t *entry = zero_page + E820_TABLE + i * E820_ENTRY_BYTES;

        put_le64(entry, map->ranges[i].base);
        put_le64(entry + 8, map->ranges[i].size);
        put_le32(entry + 16, map->ranges[i].type);
    }
    zero_page[E820_ENTRIES] = (uint8_t)map->count;
}

/* Linux, "struct screen_info": 80 columns and 25 lines of VGA text. All zero: there is no screen. */
static void fill_screen(uint8_t *zero_page)
{
    zero_page[SCREEN_MODE] = VGA_MODE_TEXT;
    zero_page[SCREEN_COLUMNS] = 80;
    zero_page[SCREEN_LINES] = 25;
    zero_page[SCREEN_IS_VGA] = 1;
    zero_page[SCREEN_POINTS] = 16;
}

static bool place_zero_page(struct boot_job *job, const struct linux_kernel *k,
                            struct linux_pieces *p)
{
    uint8_t *zero_page = boot_claim_low(job, PAGE_SIZE, PAGE_SIZE, &p->zero_page);

    if (!zero_page)
        return false;
    memcpy(zero_page + SETUP_SECTS, k->setup + SETUP_SECTS, k->header_end - SETUP_SECTS);
    put_le16(zero_page + VID_MODE, VID_MODE_NORMAL);
    zero_page[TYPE_OF_LOADER] = LOADER_UNDEFINED;
    put_le32(zero_page + CODE32_START, (uint32_t)k->load_address);
    put_le32(zero_page + RAMDISK_IMAGE, (uint32_t)p->initrd);
    put_le32(zero_page + RAMDISK_SIZE, (uint32_t)job->request->initrd.size);
    put_le32(zero_page + CMD_LINE_PTR, p->cmdline);
    put_le64(zero_page + SETUP_DATA, 0);
    put_le64(zero_page + ACPI_RSDP_ADDR, job->request->acpi_rsdp.value);
    fill_e820(zero_page, &job->map);
    if (job->request->has_vga)
        fill_screen(zero_page);
    return true;
}

static bool place_gdt(struct boot_job *job, const struct linux_kernel *k, struct linux_pieces *p)
{
    uint8_t *gdt =
        boot_claim_low(job, BOOT_GDT_ENTRIES * sizeof(uint64_t), sizeof(uint64_t), &p->gdt);

    if (!gdt)
        return false;
    put_le64(gdt + BOOT_CS, k->is_64 ? BOOT_GDT_CODE64 : BOOT_GDT_CODE32);
    put_le64(gdt + BOOT_DS, BOOT_GDT_DATA);
    return true;
}

/* --- identity page tables of the low 4 GiB: PML4, PDPT, four page directories of 2 MiB pages --- */

#define PAGE_TABLE_COUNT   6u
#define PAGE_TABLE_ENTRIES 512u
#define PTE_P              BIT(0)
#define PTE_RW             BIT(1)
#define PTE_PS             BIT(7)

static bool place_page_tables(struct boot_job *job, struct linux_pieces *p)
{
    uint64_t *tables =
        boot_claim_low(job, PAGE_TABLE_COUNT * PAGE_SIZE, PAGE_SIZE, &p->page_tables);
    uint64_t *pdpt, *directories;

    if (!tables)
        return false;
    pdpt = tables + PAGE_TABLE_ENTRIES;
    directories = pdpt + PAGE_TABLE_ENTRIES;
    tables[0] = (p->page_tables + PAGE_SIZE) | PTE_P | PTE_RW;
    for (unsigned i = 0; i < 4; i++)
        pdpt[i] = (p->page_tables + (2 + i) * PAGE_SIZE) | PTE_P | PTE_RW;
    for (unsigned i = 0; i < 4 * PAGE_TABLE_ENTRIES; i++)
        directories[i] = i * MIB(2) | PTE_P | PTE_RW | PTE_PS;
    return true;
}

static void set_start(struct vcpu_start *start, const struct linux_kernel *k,
                      const struct linux_pieces *p)
{
    if (k->is_64)
        boot_start_long(start, k->load_address + ENTRY_64, p->page_tables);
    else
        boot_start_protected(start, (uint32_t)k->load_address);
    start->gpr[GPR_RSI] = p->zero_page;
    start->gdtr = (struct descriptor_table){p->gdt, BOOT_GDT_ENTRIES * sizeof(uint64_t) - 1};
}

bool boot_linux_load(struct boot_job *job)
{
    struct linux_kernel kernel;
    struct linux_pieces pieces;

    if (!parse_kernel(job, &kernel) || !place_kernel(job, &kernel) ||
        !place_initrd(job, &kernel, &pieces) || !place_cmdline(job, &kernel, &pieces) ||
        !place_zero_page(job, &kernel, &pieces) || !place_gdt(job, &kernel, &pieces))
        return false;
    if (kernel.is_64 && !place_page_tables(job, &pieces))
        return false;
    set_start(job->request->start, &kernel, &pieces);
    return true;
}
