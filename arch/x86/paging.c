/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's own map, made by kernel/pt.c in the format of paging_format.c. Invariants: nothing
 * is writable and executable; address 0 and the page below each stack are unmapped; guests' memory is
 * reachable through the direct map only, and not executable there.
 */
#include "arch/x86/paging.h"
#include "arch/arch.h"
#include "arch/x86/cpu.h"
#include "arch/x86/msr.h"
#include "arch/x86/paging_format.h"
#include "arch/x86/regs.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memmap.h"
#include "kernel/page.h"
#include "kernel/pt.h"

#define MAIN_STACK_PAGES 8u
#define IST_STACK_PAGES  2u
#define STACK_SLOT_BYTES MIB(1) /* of address space for one CPU */

extern uint8_t text_start[], text_end[], rodata_start[], rodata_end[], data_start[], data_end[];
extern uint8_t boot_pml4[], boot_stack_guard[];

static struct pt host_pt;
static uint64_t direct_map_offset; /* 0 while the boot tables' 1:1 map is in use */
static uint64_t device_map_next = DEVICE_MAP_BASE;
static hpa_t early_next;

void *phys_to_virt(hpa_t address)
{
    return (void *)(address.value + direct_map_offset);
}

hpa_t virt_to_phys(const void *pointer)
{
    uint64_t v = (uint64_t)pointer;

    return HPA(v >= KERNEL_BASE ? v - KERNEL_BASE : v - direct_map_offset);
}

/* --- the first tables come from a bump allocator: the page allocator needs the direct map --- */

static int early_alloc(hpa_t *table)
{
    *table = early_next;
    early_next.value += PAGE_SIZE;
    memset(phys_to_virt(*table), 0, PAGE_SIZE);
    return 0;
}

static void early_free(hpa_t table)
{
    (void)table; /* stays with the kernel */
}

static void *table_to_virtual(hpa_t table)
{
    return phys_to_virt(table);
}

static void store_entry(uint64_t *entry, uint64_t value)
{
    WRITE_ONCE(*entry, value);
}

static const struct pt_memory early_memory = {early_alloc, early_free, table_to_virtual, store_entry};

static void map_or_panic(uint64_t virt, uint64_t phys, uint64_t size, unsigned attributes)
{
    int error = pt_map(&host_pt, virt, HPA(phys), size, attributes);

    if (error)
        panic("cannot map %#lx bytes at %#lx: error %d", size, virt, error);
}

static void map_section(const uint8_t *start, const uint8_t *end, unsigned attributes)
{
    uint64_t virt = (uint64_t)start;

    map_or_panic(virt, virt - KERNEL_BASE, (uint64_t)(end - start), attributes | PT_GLOBAL);
}

static void map_image(void)
{
    map_section(text_start, text_end, PT_READ | PT_EXEC);
    map_section(rodata_start, rodata_end, PT_READ);
    map_section(data_start, data_end, PT_READ | PT_WRITE);
    if (pt_unmap(&host_pt, (uint64_t)boot_stack_guard, PAGE_SIZE) != 0)
        panic("cannot unmap the boot stack's guard page");
}

/* RAM of every kind: firmware tables and modules are read through the direct map too. */
static void map_ram(const struct memmap *map)
{
    for (unsigned i = 0; i < map->count; i++) {
        const struct memmap_range *r = &map->ranges[i];
        uint64_t start = ALIGN_DOWN(r->start.value, PAGE_SIZE), end = ALIGN_UP(r->start.value + r->size, PAGE_SIZE);
        struct pt_mapping before;

        if (r->type == MEMMAP_RESERVED || r->type == MEMMAP_BAD)
            continue;
        while (start < end && pt_lookup(&host_pt, DIRECT_MAP_BASE + start, &before))
            start += PAGE_SIZE; /* two ranges that meet within a page */
        if (start < end)
            map_or_panic(DIRECT_MAP_BASE + start, start, end - start, PT_READ | PT_WRITE | PT_GLOBAL);
    }
}

void paging_init(const struct memmap *map, hpa_t *early)
{
    bool has_1g = cpuid(0x80000001, 0).edx & CPUID_81_EDX_PAGE1GB;

    early_next = *early;
    if (pt_create(&host_pt, &paging_format, &early_memory, PT_LEAF_4K | PT_LEAF_2M | (has_1g ? PT_LEAF_1G : 0)) != 0)
        panic("no memory for the page tables");
    map_image();
    map_ram(map);
    *early = early_next;
    host_pt.memory = &pt_host_memory;
    paging_load();
    direct_map_offset = DIRECT_MAP_BASE;
}

static void enable_protections(void)
{
    struct cpuid_result leaf1 = cpuid(1, 0), leaf7 = cpuid(0, 0).eax >= 7 ? cpuid(7, 0) : (struct cpuid_result){0};
    uint64_t cr4 = read_cr4() & ~(CR4_TSD | CR4_PCE);

    cr4 |= CR4_PGE | CR4_DE;
    cr4 |= leaf1.edx & CPUID_1_EDX_MCE ? CR4_MCE : 0; /* else a machine check is a shutdown without a word */
    cr4 |= leaf7.ebx & CPUID_7_EBX_SMEP ? CR4_SMEP : 0;
    cr4 |= leaf7.ebx & CPUID_7_EBX_SMAP ? CR4_SMAP : 0;
    cr4 |= leaf7.ecx & CPUID_7_ECX_UMIP ? CR4_UMIP : 0;
    cr4 |= leaf1.ecx & CPUID_1_ECX_XSAVE ? CR4_OSXSAVE : 0;
    write_cr4(cr4);
    write_cr0((read_cr0() & ~(CR0_EM | CR0_TS | CR0_CD | CR0_NW)) | CR0_WP | CR0_NE | CR0_MP);
}

void paging_load(void)
{
    enable_protections();
    wrmsr(MSR_IA32_PAT, PAT_RESET);
    write_cr3(host_pt.root.value);
}

hpa_t paging_root(void)
{
    return host_pt.root;
}

hpa_t paging_boot_root(void)
{
    return HPA((uint64_t)boot_pml4);
}

/* The boot tables are in no map of ours any more; clearing them needs a window. */
void paging_drop_boot_tables(void)
{
    memset(phys_to_virt(paging_boot_root()), 0, PAGE_SIZE);
}

void *arch_map_device(hpa_t address, uint64_t size)
{
    uint64_t start = ALIGN_DOWN(address.value, PAGE_SIZE);
    uint64_t bytes = ALIGN_UP(address.value + size, PAGE_SIZE) - start;
    uint64_t virt = device_map_next;

    if (pt_map(&host_pt, virt, HPA(start), bytes, PT_READ | PT_WRITE | PT_UNCACHED | PT_GLOBAL) != 0)
        return NULL;
    device_map_next += bytes + PAGE_SIZE;
    return (void *)(virt + (address.value - start));
}

static int map_stack(uint64_t bottom, unsigned pages)
{
    for (unsigned i = 0; i < pages; i++) {
        hpa_t page;
        int error = page_alloc_zeroed(PAGE_ORDER_4K, &page);

        if (error)
            return error;
        error = pt_map(&host_pt, bottom + i * PAGE_SIZE, page, PAGE_SIZE, PT_READ | PT_WRITE | PT_GLOBAL);
        if (error) {
            page_free(page, PAGE_ORDER_4K);
            return error;
        }
    }
    return 0;
}

/* A panic may come before there are final tables; stacks of their own are there only under them. */
bool paging_is_stack(uint64_t address)
{
    struct pt_mapping page;

    if (!IS_ALIGNED(address, sizeof(uint64_t)))
        return false;
    if (address >= STACKS_BASE && address < STACKS_BASE + GIB(1))
        return pt_lookup(&host_pt, address, &page);
    return address >= (uint64_t)boot_stack_guard + PAGE_SIZE && address < (uint64_t)data_end;
}

static uint64_t stack_slot(unsigned slot)
{
    return STACKS_BASE + slot * STACK_SLOT_BYTES + PAGE_SIZE; /* the slot's first page is a guard */
}

int paging_map_stack(unsigned slot, uint64_t *top)
{
    *top = stack_slot(slot) + MAIN_STACK_PAGES * PAGE_SIZE;
    return map_stack(stack_slot(slot), MAIN_STACK_PAGES);
}

int paging_map_stacks(unsigned cpu, struct cpu_stacks *stacks)
{
    int error = paging_map_stack(cpu, &stacks->main_top);
    uint64_t at = stacks->main_top;

    for (unsigned i = 0; i < ARRAY_SIZE(stacks->ist_top) && !error; i++) {
        at += PAGE_SIZE;
        error = map_stack(at, IST_STACK_PAGES);
        at += IST_STACK_PAGES * PAGE_SIZE;
        stacks->ist_top[i] = at;
    }
    return error;
}
