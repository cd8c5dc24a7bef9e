/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every mode with paging has the first 4 GiB 1:1 for the supervisor, the aliases of layout.h for user mode, and the window.
 * Long mode is on the tables that the guest was started with, and the legacy modes have theirs in low memory, where cases
 * can change them.
 */
#include "guests/popek/tables.h"
#include "arch/x86/paging_format.h"
#include "guests/common/guest.h"
#include "guests/popek/asm.h"

#define PAGE_2M    0x200000u
#define PAGE_4M    0x400000u
#define ENTRIES    512u
#define ENTRIES32  1024u
#define GIBIBYTES  4u
#define USUAL      (PTE_P | PTE_RW | PTE_US)
#define TOO_HIGH   BIT(51) /* of an address: no machine has so much memory */
#define HIGHER     BIT(52) /* reserved in PAE paging, the system's own in long mode */
#define LARGE_RESERVED   BIT(13)
#define LARGE_RESERVED32 BIT(21)

enum { IN_WIDE = 1, IN_32 = 2, IN_ALL = IN_WIDE | IN_32 };

/* Bits of its directory entry and of the entries in its table; is_elsewhere: where the directory entry points to. */
struct page_kind {
    const char *name;
    uint64_t directory, entry;
    unsigned formats;
    bool is_elsewhere;
};

static const struct page_kind kinds[] = {
    {"usual", USUAL, USUAL, IN_ALL, false},
    {"marked", USUAL | PTE_A, USUAL | PTE_A | PTE_D, IN_ALL, false},
    {"absent", USUAL, USUAL & ~PTE_P, IN_ALL, false},
    {"absent directory", USUAL & ~PTE_P, USUAL, IN_ALL, false},
    {"read-only", USUAL, PTE_P | PTE_US, IN_ALL, false},
    {"read-only directory", PTE_P | PTE_US, USUAL, IN_ALL, false},
    {"supervisor's", USUAL, PTE_P | PTE_RW, IN_ALL, false},
    {"supervisor's directory", PTE_P | PTE_RW, USUAL, IN_ALL, false},
    {"no-execute", USUAL, USUAL | PTE_XD, IN_WIDE, false},
    {"no-execute directory", USUAL | PTE_XD, USUAL, IN_WIDE, false},
    {"reserved bit", USUAL, USUAL | TOO_HIGH, IN_WIDE, false},
    {"reserved bit in directory", USUAL | TOO_HIGH, USUAL, IN_WIDE, false},
    {"bit 52", USUAL, USUAL | HIGHER, IN_WIDE, false},
    {"large", USUAL | PTE_PS, 0, IN_ALL, true},
    {"large, read-only", PTE_P | PTE_US | PTE_PS, 0, IN_ALL, true},
    {"large, supervisor's", PTE_P | PTE_RW | PTE_PS, 0, IN_ALL, true},
    {"large, no-execute", USUAL | PTE_PS | PTE_XD, 0, IN_WIDE, true},
    {"large, reserved bit", USUAL | PTE_PS | LARGE_RESERVED, 0, IN_WIDE, true},
    {"large, reserved bit", USUAL | PTE_PS | LARGE_RESERVED32, 0, IN_32, true},
};

static uint64_t *const pae_pointers = (uint64_t *)PAE_POINTERS, *const pae_other_pointers = (uint64_t *)PAE_OTHER_POINTERS;
static uint64_t *const pae_directories = (uint64_t *)PAE_DIRECTORIES, *const wide_window = (uint64_t *)PAE_WINDOW;
static uint32_t *const directory32 = (uint32_t *)PAGE32_DIRECTORY, *const other_directory32 = (uint32_t *)PAGE32_OTHER_DIRECTORY;
static uint32_t *const window32 = (uint32_t *)PAGE32_WINDOW, *const aliases32 = (uint32_t *)PAGE32_ALIASES;
static uint64_t *long_directory; /* of the aliases' GiB */

/* What the window's entries were set to. */
static uint64_t directory_was, entries_were[WINDOW_PAGES];

/* --- the window, in each format --- */

static uint64_t window_directory(enum paging paging)
{
    if (paging == PAGING_32)
        return directory32[WINDOW / PAGE_4M];
    return paging == PAGING_PAE ? pae_directories[WINDOW / PAGE_2M] : long_directory[WINDOW / PAGE_2M % ENTRIES];
}

static void set_window_directory(enum paging paging, uint64_t value)
{
    if (paging == PAGING_32)
        directory32[WINDOW / PAGE_4M] = other_directory32[WINDOW / PAGE_4M] = (uint32_t)value;
    else if (paging == PAGING_PAE)
        pae_directories[WINDOW / PAGE_2M] = value;
    else
        long_directory[WINDOW / PAGE_2M % ENTRIES] = value;
    directory_was = value;
}

static uint64_t window_entry(enum paging paging, unsigned n)
{
    return paging == PAGING_32 ? window32[n] : wide_window[n];
}

static uint64_t page_behind(unsigned n)
{
    const uint64_t scratch = (LOW_BASE + LOW_SCRATCH) & ~0xfffu;

    if (n == WINDOW_DEVICE)
        return IOAPIC_BASE | PTE_PCD;
    return n == WINDOW_BEFORE || n == WINDOW_BEHIND ? scratch : n * PAGE_SIZE;
}

/* The device's page is the usual one, whatever the others are. */
static void set_window_entries(enum paging paging, uint64_t bits)
{
    for (unsigned n = 0; n < WINDOW_PAGES; n++) {
        uint64_t value = entries_were[n] = page_behind(n) | (n == WINDOW_DEVICE ? USUAL : bits);

        if (paging == PAGING_32)
            window32[n] = (uint32_t)value;
        else
            wide_window[n] = value;
    }
}

void tables_set_window(const struct mode *mode, const struct page_kind *kind)
{
    uint64_t table = mode->paging == PAGING_32 ? PAGE32_WINDOW : PAE_WINDOW;

    set_window_directory(mode->paging, kind->is_elsewhere ? kind->directory : kind->directory | table);
    set_window_entries(mode->paging, kind->entry);
    if (mode->paging == PAGING_LONG)
        __asm__ volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
}

const struct page_kind *tables_kind(const struct mode *mode, unsigned i, const char **name, bool *is_there)
{
    if (i >= ARRAY_SIZE(kinds))
        return NULL;
    *name = kinds[i].name;
    *is_there = kinds[i].formats & (mode->paging == PAGING_32 ? IN_32 : IN_WIDE);
    return &kinds[i];
}

void tables_print_changes(const struct mode *mode)
{
    uint64_t bits;

    if (mode->paging == PAGING_NONE)
        return;
    bits = window_directory(mode->paging) ^ directory_was;
    if (bits)
        print(" directory^%lx", bits);
    for (unsigned n = 0; n < WINDOW_PAGES; n++) {
        bits = window_entry(mode->paging, n) ^ entries_were[n];
        if (bits)
            print(" page-%x^%lx", n, bits);
    }
}

/* --- the rest --- */

static void set_wide_aliases(uint64_t *directory)
{
    static const struct {
        uint32_t address;
        uint64_t entry;
    } aliases[] = {
        {ALIAS_BASE, USUAL | PTE_PS},
        {ALIAS_ABSENT, 0},
        {ALIAS_READ_ONLY, PTE_P | PTE_US | PTE_PS},
        {ALIAS_NO_EXECUTE, USUAL | PTE_PS | PTE_XD},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(aliases); i++)
        directory[aliases[i].address / PAGE_2M % ENTRIES] = aliases[i].entry;
}

static void init_long(void)
{
    uint64_t cr3;

    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    uint64_t *top = (uint64_t *)cr3, *pointers = (uint64_t *)(top[0] & PTE_ADDRESS);

    long_directory = (uint64_t *)(pointers[ALIAS_BASE >> 30] & PTE_ADDRESS);
    top[0] |= PTE_US;
    pointers[ALIAS_BASE >> 30] |= PTE_US;
    set_wide_aliases(long_directory);
    __asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

static void init_pae(void)
{
    for (unsigned i = 0; i < GIBIBYTES * ENTRIES; i++)
        pae_directories[i] = (uint64_t)i * PAGE_2M | PTE_P | PTE_RW | PTE_PS;
    for (unsigned i = 0; i < ENTRIES; i++)
        wide_window[i] = 0;
    set_wide_aliases(pae_directories + (ALIAS_BASE >> 30) * ENTRIES);
}

/* Its large pages are too large for the aliases. */
static void init_page32(void)
{
    const uint32_t of_alias[] = {USUAL, 0, PTE_P | PTE_US, USUAL};

    for (unsigned i = 0; i < ENTRIES32; i++) {
        directory32[i] = i * PAGE_4M | PTE_P | PTE_RW | PTE_PS;
        window32[i] = 0;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(of_alias) * ENTRIES; i++)
        aliases32[i] = of_alias[i / ENTRIES] ? i % ENTRIES * PAGE_SIZE | of_alias[i / ENTRIES] : 0;
    for (unsigned i = 0; i < 2; i++)
        directory32[ALIAS_BASE / PAGE_4M + i] = (PAGE32_ALIASES + i * (uint32_t)PAGE_SIZE) | USUAL;
    for (unsigned i = 0; i < ENTRIES32; i++)
        other_directory32[i] = directory32[i];
}

void tables_init(void)
{
    init_long();
    init_pae();
    init_page32();
}

void tables_reset(const struct mode *mode)
{
    uint64_t user = mode->world == WORLD_VM86 ? PTE_US : 0; /* the low segment is where it is */

    if (mode->paging == PAGING_NONE)
        return;
    for (unsigned i = 0; i < GIBIBYTES; i++)
        pae_pointers[i] = pae_other_pointers[i] = (PAE_DIRECTORIES + i * PAGE_SIZE) | PTE_P;
    pae_directories[0] = PTE_P | PTE_RW | PTE_PS | user;
    directory32[0] = other_directory32[0] = (uint32_t)(PTE_P | PTE_RW | PTE_PS | user);
    tables_set_window(mode, &kinds[0]);
}

uint32_t tables_root(const struct mode *mode)
{
    return mode->paging == PAGING_32 ? PAGE32_DIRECTORY : mode->paging == PAGING_PAE ? PAE_POINTERS : 0;
}

uint32_t tables_other_root(const struct mode *mode)
{
    return mode->paging == PAGING_32 ? PAGE32_OTHER_DIRECTORY : mode->paging == PAGING_PAE ? PAE_OTHER_POINTERS : 0;
}
